"""One request's hold on one account: a place on it, its tokens, and the way to another of the person's pool."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self, TypeVar

import trio
from attrs import evolve, field

from kirotrio.accounts.lending.choice import Candidate
from kirotrio.accounts.lending.gate import Place
from kirotrio.accounts.lending.members import Member
from kirotrio.accounts.lending.pool import Pool
from kirotrio.accounts.lending.refusals import pause
from kirotrio.accounts.lending.states import AccountState, moment, nobody, suspected
from kirotrio.accounts.lending.wish import Wish
from kirotrio.classes import define
from kirotrio.errors import AccountUnavailable, Blame, KirotrioError, NotFound, ProxyFailed, RateLimited, Recovery
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.models import ModelProfile

_T = TypeVar("_T")


@define(eq=False)
class Loan:
    """`async with` picks an account and waits for a place on it, `deadlines.queue` at most; leaving gives it back.

    Cancellation at any point gives back what was taken.
    """

    pool: Pool
    wish: Wish
    _members: list[Member] = field(factory=list, init=False)
    """Those that may serve, as they were when the request came."""
    _member: Member | None = field(default=None, init=False)
    _model: ModelProfile | None = field(default=None, init=False)
    _failures: dict[str, KirotrioError] = field(factory=dict, init=False)
    """Of the accounts that were asked for this request, by key."""
    _visit: AbstractAsyncContextManager[Place] | None = field(default=None, init=False)
    """What holds the place."""
    _place: Place = field(factory=Place, init=False)
    _paced: bool = field(default=False, init=False)
    """Whether the start that came with the place is used up."""
    _sent_at: float = field(default=0.0, init=False)

    async def __aenter__(self) -> Self:
        self._members = await self.pool.members(self.wish)
        if self.pool.colleagues is not None:
            await self.pool.recall_home(self.wish.session, self._members)
        self._refuse_suspected()
        await self._settle_on(self._usable())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._give_back()

    async def _give_back(self) -> None:
        visit, self._visit = self._visit, None
        if visit is not None:
            await visit.__aexit__(None, None, None)

    @property
    def member(self) -> Member:
        assert self._member is not None, "the loan has not been entered"  # noqa: S101 - a fault of ours alone
        return self._member

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def model(self) -> ModelProfile:
        assert self._model is not None, "the loan has not been entered"  # noqa: S101 - a fault of ours alone
        return self._model

    @property
    def has_other(self) -> bool:
        return any(member.key not in self._failures and member is not self._member for member in self._usable())

    async def pace(self, *, again: bool = False) -> None:
        if self._paced:
            await self.member.gate.pace(self.pool.settings.deadlines.queue)
        if again:
            self._leave_if_paused()
        self._paced = True
        self._sent_at = self.pool.now()

    def _leave_if_paused(self) -> None:
        """Other requests may have met its pause since this one came to hold it, or a person has switched it off."""
        if self.member in self._usable():
            return
        now = self.pool.now()
        cooldown = self.pool.cooldowns.against(self.member.key, self.model.id, now)
        if cooldown is not None and cooldown.blame is Blame.SUSPICIOUS:
            raise suspected(self.name, cooldown, now)
        elsewhere = self._nobody()
        elsewhere.recovery = Recovery.SWITCH_ACCOUNT
        raise elsewhere

    async def credentials(self) -> Credentials:
        return await self._on_its_own(self.member.account.credentials())

    async def refused(self, token: str) -> None:
        await self._on_its_own(self.member.account.refused(token))

    async def resolve_profile(self) -> None:
        await self._on_its_own(self.member.account.resolve_profile())

    async def _on_its_own(self, work: Awaitable[_T]) -> _T:
        """A sign-in service that is away is this account's trouble: another's token may be good."""
        try:
            return await work
        except KirotrioError as error:
            if error.blame is not Blame.NONE or not self.has_other:
                raise
            elsewhere = copy.copy(error)
            elsewhere.recovery = Recovery.SWITCH_ACCOUNT
            raise elsewhere from error

    def served(self) -> None:
        pool = self.pool
        pool.cooldowns.served(self.member.key, self.model.id, self._sent_at)
        pool.choice.served(self.wish.session, self.name)

    async def blamed(self, error: KirotrioError) -> KirotrioError:
        """Note it once; a used-up subscription's error comes back with the date of its reset."""
        member, pool = self.member, self.pool
        if self._failures.get(member.key) is error:
            return error
        if error.blame is not Blame.NONE:
            await self._pause(member, error)
            pool.log.warning("account pauses", account=member.name, blame=error.blame.value, error=error.message)
        self._failures[member.key] = error
        return error

    async def _pause(self, member: Member, error: KirotrioError) -> None:
        pool = self.pool
        if error.blame is Blame.SUSPICIOUS and self.wish.session:
            pool.choice.bind(self.wish.session, member.name)
        found = await pause(pool, member, error, self.model.id)
        noted, reset, now = found.cooldown, found.resets_at, found.at
        if noted is not None and not noted.needs_person:
            if error.blame in (Blame.QUOTA, Blame.SHORT_QUOTA):
                what = "The account is asked again from" if reset is None else "The next reset is at"
                error.message = f"{error.message} {what} {moment(noted.until, now)}."
            error.retry_after = max(noted.until - now, 0.0)

    async def switch(self) -> bool:
        self._failures.setdefault(self.member.key, AccountUnavailable("was asked and could not answer"))
        others = [member for member in self._usable() if member.key not in self._failures]
        if not others:
            return False
        await self._give_back()
        await self._settle_on(others)
        return True

    def told(self, error: KirotrioError) -> KirotrioError:
        theirs = error.blame is not Blame.NONE or error.recovery in (Recovery.SWITCH_ACCOUNT, Recovery.REFRESH_TOKEN)
        theirs = theirs or (isinstance(error, ProxyFailed) and error.own)
        # Of one account, what it said itself tells most; but a model is told by name, and with those that there are.
        plain = len(self._members) < 2 and error.blame is not Blame.MODEL
        if plain or error.blame is Blame.SUSPICIOUS or not theirs:
            if isinstance(error, ProxyFailed) and error.own:
                error.message = f"the account {self.name!r} has no way to Kiro: {error.message}"
            return error
        return self._nobody()

    # Which one

    def _usable(self) -> list[Member]:
        """Those that could answer at this moment, as far as is known."""
        now = self.pool.now()
        return [member for member in self._members if self._can_answer(member, self._model_on(member), now)]

    def _can_answer(self, member: Member, model: ModelProfile | None, now: float) -> bool:
        return (
            member.enabled
            and not member.gone
            and model is not None
            and self.pool.cooldowns.against(member.key, model.id, now) is None
        )

    def _model_on(self, member: Member) -> ModelProfile | None:
        try:
            return self.pool.model_of(member, self.wish.model)
        except NotFound:
            return None

    def _refuse_suspected(self) -> None:
        """A session whose account Kiro is looking into waits with it: from others, its requests would look the same."""
        pool, now = self.pool, self.pool.now()
        home = pool.choice.home(self.wish.session) if self.wish.session else ""
        for member in self._members:
            if member.name == home and member.enabled:
                cooldown = pool.cooldowns.against(member.key, "", now)
                if cooldown is not None and cooldown.blame is Blame.SUSPICIOUS:
                    raise suspected(member.name, cooldown, now)

    async def _settle_on(self, usable: list[Member]) -> None:
        """Take a place on one of them: the first in order that has one free, else the one that comes free first.

        One that was paused while its place was waited for is left again: whoever stood in line does not ask it either.
        Raises what the client is to be told where there is none.
        """
        latest = trio.current_time() + self.pool.settings.deadlines.queue
        while True:
            order = self._in_order(usable)
            if not await self._take_free(order):
                await self._take(order, latest)
            member = self.member
            if member.key not in self._failures and self._can_answer(member, self._model, self.pool.now()):
                return
            self._place.used = False
            await self._give_back()
            self._refuse_suspected()
            usable = [member for member in self._usable() if member.key not in self._failures]

    def _in_order(self, usable: list[Member]) -> list[Member]:
        if not usable:
            if len(self._members) == 1 and self._members[0].enabled:
                self.pool.model_of(self._members[0], self.wish.model)  # says which models there are
            raise self._nobody()
        by_name = {member.name: member for member in usable}
        candidates = [Candidate(member.name, member.priority, self.pool.usage.left(member.name)) for member in usable]
        return [by_name[candidate.name] for candidate in self.pool.choice.pick(candidates, self.wish.session)]

    async def _take_free(self, members: Sequence[Member]) -> bool:
        """A place that is had at once. Of many requests that come together each sees those taken before it."""
        for member in members:
            if member.gate.is_free:
                visit = member.gate.place(0.0)
                with contextlib.suppress(RateLimited):
                    self._settled(member, await visit.__aenter__(), visit)
                    return True
        return False

    async def _take(self, members: Sequence[Member], latest: float) -> None:
        """A place on whichever of these has one first; `latest` is Trio's time."""
        began = trio.current_time()
        deadline = max(latest - began, 0.0)
        taken: list[tuple[Member, Place, AbstractAsyncContextManager[Place]]] = []
        full: dict[str, KirotrioError] = {}

        async def wait(member: Member) -> None:
            visit = member.gate.place(deadline)
            try:
                place = await visit.__aenter__()
            except RateLimited as error:
                full[member.key] = error
                self.pool.log.info("no place on an account", account=member.name, error=error.message)
                return
            if taken:
                place.used = False
                await visit.__aexit__(None, None, None)
                return
            taken.append((member, place, visit))
            nursery.cancel_scope.cancel()

        try:
            async with trio.open_nursery() as nursery:
                for member in members:
                    nursery.start_soon(wait, member)
        except BaseException:
            for _, place, visit in taken:
                place.used = False
                await visit.__aexit__(None, None, None)  # nothing waits in there
            raise
        if not taken:
            raise full[members[0].key] if len(self._members) == 1 else self._nobody(full)
        ((member, place, visit),) = taken
        if waited := trio.current_time() - began:
            self.pool.log.debug("waited for a place", account=member.name, seconds=round(waited, 3))
        self._settled(member, place, visit)

    def _settled(self, member: Member, place: Place, visit: AbstractAsyncContextManager[Place]) -> None:
        self._member, self._place, self._visit = member, place, visit
        self._model, self._paced = self._model_on(member), False

    def _nobody(self, full: Mapping[str, KirotrioError] | None = None) -> KirotrioError:
        """The error for a request that none of the accounts can answer. `full`: those that have no place, by key."""
        failures = {**self._failures, **(full or {})}
        states = [self._state(member, failures.get(member.key)) for member in self._members if not member.gone]
        return nobody(states, self.wish.model, now=self.pool.now())

    def _state(self, member: Member, failure: KirotrioError | None) -> AccountState:
        remedy = member.account.remedy if member.record is None else ""
        state = AccountState(member.name, enabled=member.enabled, remedy=remedy, failure=failure)
        model = self._model_on(member)
        names = [known.id for known in self.pool.models.known(member.name).models if known.listed]
        if model is None:
            return evolve(state, offers=False, models=tuple(names))
        cooldown = self.pool.cooldowns.against(member.key, model.id, self.pool.now())
        if cooldown is not None and cooldown.blame is Blame.MODEL:
            state = evolve(state, models=tuple(name for name in names if name != model.id))
        return evolve(state, cooldown=cooldown)
