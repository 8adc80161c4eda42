"""The life of one sign-in's token: used while it is good, read again where it comes from, refreshed in its turn.

The token in memory is used until `terms.ahead` seconds before it expires. Then the place that it came from is read
again, since other programs rotate the same token; what stands there is used if it is still good. Only then, and only
in its turn among all processes (`Turns`), is it refreshed, and the new token is written back to that place before
anybody uses it.

All of that is one flight (`SingleFlight`): however many requests need a token, one refresh call is made. Between
the call and the end of the writing nothing can be cancelled, or the rotated token would be lost; both have their
own deadline.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import trio
from attrs import evolve

from kirotrio.accounts.credential import ApiKey, Credential, Refreshable
from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.sources.source import NotWritten, Source
from kirotrio.accounts.terms import Terms
from kirotrio.accounts.tokens import sentences
from kirotrio.accounts.tokens.refresh import SignInRefused, refresh_by
from kirotrio.accounts.tokens.single_flight import SingleFlight
from kirotrio.accounts.tokens.turns import Turn, Turns, Whose
from kirotrio.accounts.tokens.validity import Validity, digest_of, token_of
from kirotrio.errors import (
    AccountUnavailable,
    DeadlineExceeded,
    KirotrioError,
    Recovery,
    StoreUnavailable,
    UpstreamFailed,
)
from kirotrio.telemetry.log import Log

TRIES = 3
"""Refresh calls in a row that may fail for reasons that pass."""
FIRST_PAUSE = 0.5
"""Seconds before the second try; doubled for each further one, and varied by half."""
LONGEST_PAUSE = 10.0
"""A service that asks for more is not waited for: the caller learns of it instead."""
QUIET = 30.0
"""Seconds until a refresh ahead of time that failed is tried again, while the old token still counts."""
ROUNDS = 3
"""How often another program may get in between one refresh and its writing."""
LOOK_AGAIN = 0.25
"""Seconds between two looks while another process refreshes; varied by half."""


class Token:
    """The token of one account. `now` is the wall clock, in epoch seconds; `changed` is called when another token is
    used from now on, with whether it is certainly the same person's. `spread`: by how much of `terms.ahead` a refresh
    is earlier still, so that accounts which signed in together are not refreshed together."""

    def __init__(
        self,
        whose: Whose,
        source: Source,
        http: HttpCalls,
        nursery: trio.Nursery,
        terms: Terms,
        log: Log,
        turns: Turns,
        now: Callable[[], float],
        changed: Callable[[bool], None],
        spread: float,
    ) -> None:
        self.gone = False
        """Whether nothing was found any more where this sign-in came from."""
        self.current: Credential | None = None
        self._validity = Validity(terms, now, spread)
        self._whose = whose
        self._source = source
        self._http = http
        self._log = log
        self._now = now
        self._changed = changed
        self._turn = Turn(turns, whose.turn)
        self._renewal = SingleFlight(nursery, self._renew)
        self._due = 0.0
        self._unsaved: tuple[str, Refreshable] | None = None
        self._told = ""
        self._dead: dict[str, SignInRefused] = {}
        """Digests of refresh tokens that were refused for good. They are not sent again; others in their place are."""

    @property
    def terms(self) -> Terms:
        """What it goes by; another is used from the next step on."""
        return self._validity.terms

    @terms.setter
    def terms(self, terms: Terms) -> None:
        self._validity.terms = terms

    def rename(self, name: str, source: Source) -> None:
        """The account is called otherwise from now on, by `source` as well; its tokens and its turn stay."""
        self._whose, self._source = evolve(self._whose, name=name), source

    @property
    def busy(self) -> bool:
        """Whether something is under way that must not be done by two at a time, or has still to be written."""
        return self.is_refreshing or self._unsaved is not None

    @property
    def is_refreshing(self) -> bool:
        return self._renewal.in_flight

    @property
    def is_due(self) -> bool:
        """Whether it is to be looked after now, as far as is known without reading anything."""
        return self.current is None or not self._fresh(self.current)

    @property
    def due(self) -> float | None:
        """When it is to be looked after, in epoch seconds; None where there is nothing to look after."""
        return None if self.current is None or isinstance(self.current, ApiKey) else self._due

    async def valid(self) -> Credential:
        """A token that is good now. Cancellation ends the waiting alone, never a refresh under way."""
        current = self.current
        if current is not None and self._renewal.in_flight and self._validity.outlasts_a_refresh(current):
            return current
        if current is None or not self._fresh(current):
            await self._renewal()
        return self.held()

    async def keep_fresh(self) -> None:
        """Refresh if that is due. Errors and cancellation as in `valid`."""
        if self.current is None or not self._fresh(self.current):
            await self._renewal()

    def held(self) -> Credential:
        if self.current is None:
            raise AccountUnavailable(f"The account {self._whose.name} holds no token; {self._source.remedy}")
        return self.current

    async def peek(self) -> Credential | None:
        """A token that is good at this moment, None without one. Reads where it comes from, and refreshes nothing."""
        current = self.current
        if current is not None and self._validity.good(current):
            return current
        try:
            found = await self._source.read()
        except AccountUnavailable:
            return None
        return found if found is not None and self._validity.good(found) else None

    async def look(self) -> bool:
        """Somebody changed the place that the token comes from: what stands there is used, if it is good.

        Whether another token is used from now on.
        """
        if self.busy:
            return False  # it looks by itself
        try:
            found = await self._source.read()
        except AccountUnavailable as error:
            self._log.debug("sign-in not readable", account=self._whose.name, reason=error.message)
            return False
        if found is None or not self._validity.good(found):
            return False
        before, self.gone = self.current, False
        self._adopt(found)
        return before is None or token_of(before) != token_of(found)

    async def save_pending(self) -> bool:
        """Try once more to write what an earlier refresh brought and could not write; whether nothing is left to write.

        Cancellation ends the waiting alone.
        """
        if self._unsaved is not None:
            with contextlib.suppress(KirotrioError):  # logged, and tried again
                await self._renewal()
        return self._unsaved is None

    async def save_last(self) -> bool:
        """The same once no refresh runs any more: what cannot be written now is lost, and the log says what to run."""
        if self._unsaved is None:
            return True
        try:
            await self._save()
        except NotWritten as error:
            self._log.error(
                "a rotated token is lost, and the sign-in with it",
                account=self._whose.name,
                error=error.message,
                to_go_on=self._source.remedy,
            )
            return False
        return True

    async def replace(self, token: str) -> None:
        """This access token is refused: get another, even if it had time left."""
        self._validity.refused = token
        # A renewal under way that began with this token sees the mark before it could settle for it.
        await self._renewal()

    def is_refused(self, token: str) -> bool:
        return self._validity.refused == token

    # What is used

    def _fresh(self, credential: Credential) -> bool:
        """Whether this token may be used without a second look."""
        if isinstance(credential, ApiKey):
            return True
        return self._validity.alive(credential) and self._now() < self._due_of(credential)

    def _due_of(self, credential: Refreshable) -> float:
        if self.current is not None and token_of(self.current) == credential.access_token:
            return self._due
        return self._validity.due(credential)

    def _adopt(self, credential: Credential, *, due: float | None = None, ours: bool = False) -> None:
        """Use this from now on; `due` is when to look again, if not `ahead` of its expiry. `ours`: we refreshed it,
        so it is the same person's."""
        if not isinstance(credential, ApiKey):
            self._due = self._due_of(credential) if due is None else due
        if self.current is not None and token_of(self.current) != token_of(credential):
            self._told = ""
            self._changed(ours)
        self.current = credential

    # Reading, refreshing, writing

    async def _renew(self) -> None:
        if self._unsaved is not None and not await self._saved_at_last():
            return
        held = await self._read()
        if isinstance(held, ApiKey) or self._fresh(held):
            self._adopt(held)
            return
        if not await self._in_turn(held):
            return
        try:
            await self._renew_in_turn()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + self.terms.deadline):
                await self._turn.give_back()

    async def _saved_at_last(self) -> bool:
        """Write what an earlier refresh brought; False where that still fails and the token before it is still good."""
        try:
            await self._save()
        except NotWritten as error:
            if not self._use_to_the_end(error.message):
                raise
            return False
        return True

    async def _in_turn(self, held: Refreshable) -> bool:
        """Wait until it is our turn to refresh; False where that is not needed any more, or not yet."""
        patience = trio.current_time() + self.terms.turn
        while True:
            try:
                if await self._turn.take(self.terms.turn):
                    return True
                problem = "another gateway is refreshing it"
            except StoreUnavailable as error:
                problem = error.message
            if self._validity.alive(held):
                self._log.debug("refresh put off", account=self._whose.name, reason=problem)
                self._adopt(held, due=self._now() + min(QUIET, self.terms.ahead / 2))
                return False
            if trio.current_time() >= patience:
                raise sentences.not_now(self._whose.name, problem)
            await trio.sleep(LOOK_AGAIN * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads looks
            found = await self._read()
            if isinstance(found, ApiKey) or self._fresh(found):
                self._adopt(found)
                return False
            held = found

    async def _renew_in_turn(self) -> None:
        for _ in range(ROUNDS):
            held = await self._read()
            if isinstance(held, ApiKey) or self._fresh(held):
                self._adopt(held)
                return
            sent = held
            try:
                if over := self._dead.get(digest_of(held.refresh_token)):
                    sent = await self._before_successors(over)
                if obstacle := await self._source.obstacle():
                    raise sentences.hindered(self._source, obstacle)
                if await self._rotate(sent, in_place_of=held.refresh_token):
                    return
            except SignInRefused as refusal:
                # Perhaps because somebody else has rotated it: one more look tells (KIRO_PROTOCOL 5.2).
                self._log.warning("refresh token refused", account=self._whose.name, reason=refusal.reason)
                self._dead[digest_of(sent.refresh_token)] = refusal
            except (AccountUnavailable, UpstreamFailed, DeadlineExceeded) as error:
                if not self._validity.alive(held):
                    raise
                self._log.warning("using a token to its end", account=self._whose.name, reason=error.message)
                self._adopt(held, due=self._now() + QUIET)
                return
        raise AccountUnavailable(
            f"Another program keeps changing the sign-in in {self._source.where}; try again when it is done",
            recovery=Recovery.RETRY,
        )

    def _use_to_the_end(self, problem: str) -> bool:
        """Whether the token in use is still good; then it is used on, and looked at again in a while."""
        if self.current is None or isinstance(self.current, ApiKey) or not self._validity.alive(self.current):
            return False
        if problem != self._told:  # once, and not every time that it is tried again
            self._log.warning("using a token to its end", account=self._whose.name, reason=problem)
        self._told = problem
        self._due = self._now() + QUIET
        return True

    async def _read(self) -> Credential:
        """What the source holds now. An unreadable source does not end a token that is still good."""
        problem: AccountUnavailable
        try:
            found = await self._source.read()
            if found is not None:
                self.gone = False
                return found
            self.gone = True
            problem = AccountUnavailable(f"No sign-in is in {self._source.where} any more: {self._source.remedy}")
        except AccountUnavailable as error:
            problem = error
        current = self.current
        if current is not None and self._use_to_the_end(problem.message):
            return current
        if current is not None and problem.retryable:
            raise sentences.not_now(self._whose.name, problem.message)
        raise problem

    async def _before_successors(self, over: SignInRefused) -> Refreshable:
        """The sign-in as it was written down, which may have begun another life where its kept successor is dead (a
        service that has forgotten what it gave out). Raises AccountUnavailable where it is dead as well."""
        original = await self._source.original()
        if original is None or digest_of(original.refresh_token) in self._dead:
            raise sentences.over(self._whose.name, self._source, over)
        return original

    async def _rotate(self, held: Refreshable, *, in_place_of: str) -> bool:
        """Refresh and write back; False if the source may no longer hold the token `in_place_of` by then."""
        pause = FIRST_PAUSE
        for left in reversed(range(TRIES)):
            await self._keep_turn()
            if not self._turn.is_unbroken:
                return False
            try:
                # From the moment the call leaves, the service may have rotated the token.
                with trio.CancelScope(shield=True):
                    renewed = await refresh_by(self._http, held, self.terms, self._now)
                    self._unsaved = (in_place_of, held.after(renewed))
                    return await self._save()
            except (UpstreamFailed, DeadlineExceeded) as error:
                wait = max(error.retry_after or 0.0, pause * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads calls
                if not left or not error.retryable or wait > LONGEST_PAUSE:
                    raise
            await trio.sleep(wait)
            pause *= 2
        raise AssertionError("unreachable: the last try returns or raises")

    async def _keep_turn(self) -> None:
        """A turn is long enough for one call and its writing, so that it is taken anew before each.

        Raises AccountUnavailable where it is another's by now, or nobody can tell.
        """
        try:
            if await self._turn.take(self.terms.turn):
                return
            problem = "another gateway is refreshing it"
        except StoreUnavailable as error:
            problem = error.message
        raise sentences.not_now(self._whose.name, problem)

    async def _save(self) -> bool:
        """Write what a refresh brought, then use it. What cannot be written stays to be tried again."""
        assert self._unsaved is not None  # noqa: S101 - both callers have just set or seen it
        old_refresh_token, new = self._unsaved
        written = None
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self.terms.deadline):
            written = await self._source.write_back(old_refresh_token, new)
        if written is None:
            raise NotWritten(f"A new token was not written to {self._source.where} in time; it is tried again")
        self._unsaved = None
        if not written:
            self._log.warning(
                "sign-in was changed by another program", account=self._whose.name, where=self._source.where
            )
            return False
        self._adopt(new, due=self._validity.due_when_new(new), ours=True)
        if new.access_token == self._validity.refused:
            self._validity.refused = ""  # the service insists on this token, and asking on would get it no other
        seconds = round((new.expires_at or 0.0) - self._now())
        self._log.info("token refreshed", account=self._whose.name, kind=new.kind, seconds=seconds)
        return True
