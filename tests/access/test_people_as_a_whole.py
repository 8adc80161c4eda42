"""Whatever is done to users in whatever order: who is there, who may sign in, and which sessions hold is what a model
of a few lines says."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import attrs
import trio
from access.peoples import HERE, OPERATOR, House
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from support.engines import emptied, open_database

from kirotrio.access.members.outcomes import InvitationInvalid, SignedIn, SignInRefused
from kirotrio.access.people import CONFIRMED
from kirotrio.store.listing import Listing
from kirotrio.store.schema import throttles
from kirotrio.store.user_record import Role, UserState
from kirotrio.store.user_rows import LastOperator, UserGone, UserNameTaken

T = TypeVar("T")
names = st.sampled_from(["anna", "bert", "Carla"])
passwords = st.sampled_from(["correct horse battery", "another good password"])
roles = st.sampled_from(list(Role))
IDLE, LIFETIME, INVITED = 1000.0, 5000.0, 3000.0


@attrs.define
class Known:
    """A user, as the model has it. `ends` counts what ends all sessions."""

    id: str
    role: Role
    password: str
    state: UserState = UserState.ACTIVE
    ends: int = 0


@attrs.define
class Kept:
    token: str
    user: Known
    ends: int
    began: float
    seen: float
    confirmed: float
    revoked: bool = False


class PeopleMachine(RuleBasedStateMachine):
    invitations = Bundle("invitations")

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kirotrio-people-"))
        self.database = emptied(open_database("", self.folder))
        limits: dict[str, Any] = {"session_idle": IDLE, "session_lifetime": LIFETIME, "invitation_lifetime": INVITED}
        self.house = House.on(self.database, **limits)
        self.users: dict[str, Known] = {}
        self.sessions: list[Kept] = []

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            shutil.rmtree(self.folder)

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        async def main() -> T:
            return await work()

        return trio.run(main)

    @property
    def now(self) -> float:
        return self.house.clock.at

    def serving(self) -> list[Known]:
        return [user for user in self.users.values() if user.role is Role.OPERATOR and user.state is UserState.ACTIVE]

    @rule(name=names, password=passwords, role=roles)
    def create(self, name: str, password: str, role: Role) -> None:
        try:
            made = self.run(lambda: self.house.people.create_user(OPERATOR, name, password, role))
        except UserNameTaken:
            assert name.lower() in self.users
        else:
            assert self.users.setdefault(name.lower(), Known(made.id, role, password)).id == made.id

    @rule(name=names, password=passwords)
    def sign_in(self, name: str, password: str) -> None:
        self.database.writing(lambda link: link.execute(throttles.delete()))  # they have tests of their own
        user = self.users.get(name.lower())
        right = user is not None and user.state is UserState.ACTIVE and user.password == password
        try:
            done = self.run(lambda: self.house.people.sign_in(name, password, HERE))
        except SignInRefused:
            assert not right
        else:
            assert right
            assert user is not None
            assert isinstance(done, SignedIn)
            self.sessions.append(Kept(done.token, user, user.ends, self.now, self.now, self.now))

    @rule(name=names, change=st.sampled_from(["disable", "enable", "remove", "set_role", "set_password"]), role=roles,
          password=passwords)  # fmt: skip
    def change(self, name: str, change: str, role: Role, password: str) -> None:
        user = self.users.get(name.lower())
        people, user_id = self.house.people, user.id if user is not None else "nobody"
        called: dict[str, Callable[[], Awaitable[object]]] = {
            "disable": lambda: people.disable(OPERATOR, user_id),
            "enable": lambda: people.enable(OPERATOR, user_id),
            "remove": lambda: people.remove_user(OPERATOR, user_id),
            "set_role": lambda: people.set_role(OPERATOR, user_id, role),
            "set_password": lambda: people.set_password(OPERATOR, user_id, password),
        }
        takes_away = change in ("disable", "remove") or (change == "set_role" and role is not Role.OPERATOR)
        try:
            self.run(called[change])
        except UserGone:
            assert user is None
            return
        except LastOperator:
            assert takes_away
            assert self.serving() == [user]
            return
        assert user is not None
        assert not (takes_away and self.serving() == [user])
        before = (user.role, user.state)
        if change == "remove":
            del self.users[name.lower()]
        elif change == "set_role":
            user.role = role
        elif change == "set_password":
            user.password = password
        else:
            user.state = UserState.DISABLED if change == "disable" else UserState.ACTIVE
        if change in ("remove", "set_password") or before != (user.role, user.state):
            user.ends += 1

    @rule(target=invitations, role=roles)
    def invite(self, role: Role) -> Any:
        return (self.run(lambda: self.house.people.invite(OPERATOR, role)), role, self.now + INVITED)

    @rule(target=invitations, invitation=consumes(invitations), name=names, password=passwords)
    def accept(self, invitation: tuple[str, Role, float], name: str, password: str) -> Any:
        token, role, ends = invitation
        try:
            done = self.run(lambda: self.house.people.accept_invitation(token, name, password, HERE))
        except InvitationInvalid:
            assert self.now >= ends
            return multiple(invitation)
        except UserNameTaken:
            assert name.lower() in self.users
            return multiple(invitation)
        assert self.now < ends
        assert isinstance(done, SignedIn)
        user = self.users[name.lower()] = Known(done.session.user.id, role, password)
        self.sessions.append(Kept(done.token, user, 0, self.now, self.now, self.now))
        return multiple((token, role, 0.0))  # nobody can accept it again

    @rule(number=st.integers(0, 30))
    def revoke(self, number: int) -> None:
        holding = [kept for kept in self.sessions if self.holds(kept)]
        if holding:
            kept = holding[number % len(holding)]
            session = self.run(lambda: self.house.session(kept.token))
            assert session is not None
            kept.seen = self.now
            assert self.run(lambda: self.house.people.revoke_session(OPERATOR, session.id))
            kept.revoked = True

    @rule(seconds=st.sampled_from([1.0, 70.0, 250.0, 600.0, 1000.0, 4000.0]))
    def wait(self, seconds: float) -> None:
        self.house.clock.at += seconds

    def holds(self, kept: Kept) -> bool:
        return (
            not kept.revoked
            and kept.ends == kept.user.ends
            and kept.user.state is UserState.ACTIVE
            and self.now < kept.began + LIFETIME
            and self.now < kept.seen + IDLE
        )

    @invariant()
    def sessions_hold_as_the_model_says(self) -> None:
        for kept in getattr(self, "sessions", []):
            expected = self.holds(kept)
            for look in (self.house.people.session, self.house.session):
                found = self.run(lambda look=look, kept=kept: look(kept.token))
                assert (found is not None) == expected
            if found is not None:
                assert (found.user.id, found.user.role) == (kept.user.id, kept.user.role)
                assert self.house.people.is_confirmed(found) == (self.now < kept.confirmed + CONFIRMED)
                if self.now - kept.seen >= 60:  # so often it is noted that somebody is there
                    kept.seen = self.now

    @invariant()
    def the_list_is_the_models(self) -> None:
        if hasattr(self, "users"):
            listed = self.run(lambda: self.house.people.users(Listing())).rows
            assert {user.name: (user.id, user.role, user.state) for user in listed} == {
                name: (user.id, user.role, user.state) for name, user in self.users.items()
            }


TestPeople = PeopleMachine.TestCase
TestPeople.settings = settings(settings.default, max_examples=15, stateful_step_count=25, deadline=None)
