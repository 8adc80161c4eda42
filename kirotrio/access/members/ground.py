"""What every part of `People` stands on: store, settings, clock, and the sessions that were just looked at."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import time
from collections.abc import Callable
from typing import Final, TypeVar
from uuid import uuid4

import attrs
from sqlalchemy import Connection

from kirotrio.access.audit import Actor
from kirotrio.access.members.outcomes import ConfirmationNeeded, Entered, NeedsSecondFactor, SignedIn
from kirotrio.access.passwords import Passwords
from kirotrio.config.settings import Settings
from kirotrio.store import audit_rows, sign_in_rows, user_rows
from kirotrio.store.database import Database
from kirotrio.store.sealer import Sealer
from kirotrio.store.sign_in_rows import Slowing
from kirotrio.store.user_record import Session, User

_T = TypeVar("_T")

CONFIRMED: Final = 300.0
"""Seconds that a password which was given (again) counts."""
CODE_LASTS: Final = 300.0
"""Seconds that the second factor may take to come after the password."""
REMEMBERED: Final = 2.0
"""Seconds that a session is not looked at again: so long may what another gateway revokes still hold here."""
_MOST_REMEMBERED = 1000
_FREE_BY_NAME, _FREE_BY_ADDRESS = 5, 30
_LONGEST_WAIT = 300.0


class Ground:
    """See `people.People`."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        settings: Settings,
        *,
        now: Callable[[], float] = time.time,
        passwords: Passwords | None = None,
        is_own_key: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`is_own_key`: whether this is the gateway's own key, which proves whoever makes the first operator."""
        self.database: Final = database
        self.sealer: Final = sealer
        self.settings: Final = settings
        self.now: Final = now
        self.passwords: Final = passwords or Passwords()
        self._is_own_key = is_own_key
        self._remembered: dict[str, tuple[Session, float]] = {}

    async def _change(self, work: Callable[[Connection], _T]) -> _T:
        """A change after which no session is as it was looked at before."""
        try:
            return await self.database.write(work)
        finally:
            self._remembered.clear()

    def _enter(
        self, connection: Connection, user: User, by: str, address: str, agent: str, *, second_factor: bool = False
    ) -> Entered:
        """Begin a session of this user, who has proved to be it `by` that way."""
        now, token = self.now(), secrets.token_urlsafe(32)
        waits = user.second_factor_at is not None and not second_factor
        session = Session(
            id=str(uuid4()),
            user=user,
            csrf=secrets.token_urlsafe(32),
            created_at=now,
            seen_at=now,
            expires_at=now + (CODE_LASTS if waits else self.settings.users.session_lifetime),
            confirmed_at=None if waits else now,
            second_factor_at=now if second_factor else None,
            address=address,
            agent=agent,
        )
        sign_in_rows.add(connection, digest_of(token), session)
        if waits:
            return NeedsSecondFactor(token, session.expires_at)
        user_rows.signed_in(connection, user.id, now)
        actor = Actor(user.id, user.name, address)
        audit_rows.note(connection, actor.entry("sign-in.succeed", user.name, now, {"by": by}))
        return SignedIn(token, self._judged(attrs.evolve(session, user=attrs.evolve(user, last_sign_in_at=now))))

    def _judged(self, session: Session) -> Session:
        needed = self.settings.users.require_second_factor and session.user.is_operator
        return attrs.evolve(session, needs_enrolment=needed and session.user.second_factor_at is None)

    def _remember(self, digest: str, session: Session) -> None:
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[digest] = (session, self.now() + REMEMBERED)

    def is_confirmed(self, session: Session) -> bool:
        """Whether the password was given within the last minutes."""
        return session.confirmed_at is not None and self.now() < session.confirmed_at + CONFIRMED

    def require_confirmed(self, session: Session) -> None:
        """Raises ConfirmationNeeded."""
        if not self.is_confirmed(session):
            raise ConfirmationNeeded


def actor_of(session: Session, address: str = "") -> Actor:
    """Who acts where this session does; `address` is where the request comes from."""
    return Actor(session.user.id, session.user.name, address or session.address)


def digest_of(token: str) -> str:
    """SHA-256 of a session's or invitation's token, which is 32 random bytes; hexadecimal. Any text has one."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def slowed(thing: str, name: str, address: str) -> tuple[Slowing, ...]:
    """What an attempt on `name` from `address` counts against. Names are kept as digests: people type passwords into
    the wrong field."""
    by_name = Slowing(f"{thing}:{digest_of(name)}", _FREE_BY_NAME, _LONGEST_WAIT)
    if not address:
        return (by_name,)
    return (by_name, Slowing(f"address:{_network(address)}", _FREE_BY_ADDRESS, _LONGEST_WAIT))


def _network(address: str) -> str:
    """Where an attempt comes from: of IPv6 the /64 that one subscriber has to choose from."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return digest_of(address)
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Network((found, 64), strict=False))
    return str(found)
