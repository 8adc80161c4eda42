"""People on a test's database, with a clock that the test moves and hashes that cost nothing."""

from __future__ import annotations

from typing import Any

import attrs
import pyotp
from support.engines import PlainSealer

from kirotrio.access.audit import Actor
from kirotrio.access.members.outcomes import Entered, SignedIn
from kirotrio.access.people import People
from kirotrio.config.settings import Settings
from kirotrio.store.audit_entry import Entry
from kirotrio.store.audit_rows import entries
from kirotrio.store.database import Database
from kirotrio.store.listing import Listing
from kirotrio.store.user_record import Role, Session, User

OWN_KEY = "sk-kt-the-gateways-own"
PASSWORD = "correct horse battery"
HERE = "192.0.2.1"
OPERATOR = Actor("", "command line", "")


@attrs.define
class Clock:
    at: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.at


@attrs.define
class House:
    people: People
    clock: Clock

    @classmethod
    def on(cls, database: Database, clock: Clock | None = None, **users: Any) -> House:
        settings = Settings()
        settings = attrs.evolve(settings, users=attrs.evolve(settings.users, **users))
        clock = clock or Clock()
        people = People(
            database,
            PlainSealer(),
            settings,
            now=clock,
            is_own_key=lambda key: key == OWN_KEY,
        )
        return cls(people, clock)

    async def add(self, name: str = "anna", role: Role = Role.OPERATOR) -> User:
        return await self.people.create_user(OPERATOR, name, PASSWORD, role)

    async def enter(self, name: str = "anna", password: str = PASSWORD, address: str = HERE) -> SignedIn:
        return entered(await self.people.sign_in(name, password, address, "a browser"))

    async def session(self, token: str) -> Session | None:
        """As another gateway sees it, which remembers nothing."""
        self.people._remembered.clear()
        return await self.people.session(token)

    async def with_second_factor(self, name: str = "anna") -> tuple[pyotp.TOTP, tuple[str, ...]]:
        """Set one up; what makes its codes, and the recovery codes."""
        session = (await self.enter(name)).session
        begun = await self.people.start_second_factor(session)
        totp = pyotp.TOTP(begun.secret)
        codes = await self.people.enable_second_factor(session, totp.at(int(self.clock.at)), HERE)
        return totp, codes

    async def audited(self) -> list[str]:
        """The actions, the oldest first."""
        return [one.action for one in await self.log()]

    async def log(self) -> list[Entry]:
        """The lines of the audit log, the oldest first."""
        found = await self.people.database.read(lambda link: entries(link, Listing(size=200)))
        return [*reversed(found.rows)]


def entered(done: Entered) -> SignedIn:
    assert isinstance(done, SignedIn), done
    return done
