"""One subscription: a valid access token whenever one is asked for.

Its life: the token in memory is used until `terms.ahead` seconds before it expires. Then the place that it came
from is read again, since other programs rotate the same token; what stands there is used if it is still good. Only
then is it refreshed, and the new token is written back to that place before anybody uses it.

All of that is one flight (`SingleFlight`): however many requests need a token, one refresh call is made. Between
the call and the end of the writing nothing can be cancelled, or the rotated token would be lost; both have their
own deadline.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections import deque
from collections.abc import Callable

import trio

from kirotrio.accounts.credential import ApiKey, Credential, ExternalIdp, Refreshable, Renewed
from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.profiles import find_profile
from kirotrio.accounts.refresh import SignInRefused, refresh
from kirotrio.accounts.single_flight import SingleFlight
from kirotrio.accounts.sources.source import NotWritten, Source
from kirotrio.accounts.terms import Terms
from kirotrio.errors import AccountUnavailable, DeadlineExceeded, KirotrioError, Recovery, UpstreamFailed
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.endpoints import data_region
from kirotrio.telemetry.log import Log

TRIES = 3
"""Refresh calls in a row that may fail for reasons that pass."""
FIRST_PAUSE = 0.5
"""Seconds before the second try; doubled for each further one, and varied by half."""
LONGEST_PAUSE = 10.0
"""A service that asks for more is not waited for: the caller learns of it instead."""
QUIET = 30.0
"""Seconds until a refresh ahead of time that failed is tried again, while the old token still counts."""
LAST_SECONDS = 5.0
"""A token this close to its end might not survive the way to the service."""
ROUNDS = 3
"""How often another program may get in between one refresh and its writing."""
REFUSALS = 3
REFUSALS_WITHIN = 60.0
"""No more than so many refreshes in so many seconds because of refused tokens: new ones would not help."""


class Account:
    """`name` tells accounts apart in logs. `now` is the wall clock, in epoch seconds."""

    def __init__(
        self,
        source: Source,
        http: HttpCalls,
        nursery: trio.Nursery,
        terms: Terms,
        log: Log,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name: str = source.name
        self.where = source.where
        self.gone = False
        """Whether nothing was found any more where this account came from."""
        self._source = source
        self._http = http
        self._terms = terms
        self._log = log
        self._now = now
        self._renewal = SingleFlight(nursery, self._renew)
        self._profile_search = SingleFlight(nursery, self._search_profile)
        self._current: Credential | None = None
        self._due = 0.0
        self._unsaved: tuple[str, Refreshable] | None = None
        self._refused = ""
        self._refusals: deque[float] = deque(maxlen=REFUSALS)
        self._dead: dict[str, SignInRefused] = {}
        """Digests of refresh tokens that were refused for good. They are not sent again; others in their place are."""
        self._profile_arn: str | None = None
        """What a look-up found; "" is certainly none, None is not known."""
        self._profile_due = 0.0

    @property
    def busy(self) -> bool:
        """Whether something is under way that must not be done by two at a time, or has still to be written."""
        return self._renewal.in_flight or self._unsaved is not None

    async def credentials(self) -> Credentials:
        """A token that is good now. Cancellation ends the waiting alone, never a refresh under way.

        Raises AccountUnavailable where the sign-in is over or cannot be kept; UpstreamFailed or DeadlineExceeded
        (retryable) where the sign-in service does not answer.
        """
        current = await self._valid()
        if self._lacks_profile(current) and self._now() >= self._profile_due:
            try:
                await self._profile_search()
            except UpstreamFailed as error:
                # Many accounts work without one; where not, the upstream says so and `resolve_profile` is called.
                self._log.warning("profile not found", account=self.name, reason=error.message)
            current = self._held()
        return self._lent(current)

    async def refused(self, token: str) -> None:
        """The upstream refused this access token: get another, even if this one had time left.

        Returns at once if another is in use by now. Cancellation and errors as in `credentials`.
        """
        current = self._current
        if current is None or _token(current) != token:
            return
        if isinstance(current, ApiKey):
            raise AccountUnavailable(f"Kiro refuses the key in {self._source.where}: {self._source.remedy}")
        now = self._now()
        if self._refused != token:
            if len(self._refusals) == REFUSALS and now - self._refusals[0] < REFUSALS_WITHIN:
                raise AccountUnavailable(
                    f"Kiro refuses even new tokens of the account {self.name}: it may be suspended, or its plan may "
                    f"not allow this. Look at it in the Kiro portal, or {self._source.remedy}.",
                    retry_after=REFUSALS_WITHIN,
                )
            self._refusals.append(now)
            self._refused = token
        # A renewal under way that began with this token sees the mark before it could settle for it.
        await self._renewal()

    async def resolve_profile(self) -> None:
        """Look the profile up, whatever was found before. What is found from now on goes with every call.

        Raises UpstreamFailed (retryable) where that could not be done. Cancellation as in `credentials`.
        """
        if not isinstance(await self._valid(), ApiKey):
            await self._profile_search()

    async def _valid(self) -> Credential:
        if self._current is None or not self._fresh(self._current):
            await self._renewal()
        return self._held()

    # What is good for how long

    def _fresh(self, credential: Credential) -> bool:
        """Whether this token may be used without a second look."""
        if isinstance(credential, ApiKey):
            return True
        return self._alive(credential) and self._now() < self._due_of(credential)

    def _alive(self, credential: Refreshable) -> bool:
        """Whether this token would be taken at all."""
        return (
            bool(credential.access_token)
            and credential.access_token != self._refused
            and credential.expires_at is not None
            and self._now() < credential.expires_at - LAST_SECONDS
        )

    def _due_of(self, credential: Refreshable) -> float:
        if self._current is not None and _token(self._current) == credential.access_token:
            return self._due
        return (credential.expires_at or 0.0) - self._terms.ahead

    def _held(self) -> Credential:
        if self._current is None:
            raise AccountUnavailable(f"The account {self.name} holds no token; {self._source.remedy}")
        return self._current

    def _adopt(self, credential: Credential, *, due: float | None = None, ours: bool = False) -> None:
        """Use this from now on; `due` is when to look again, if not `ahead` of its expiry. `ours`: we refreshed it,
        so it is the same person's."""
        if not isinstance(credential, ApiKey):
            self._due = self._due_of(credential) if due is None else due
        changed = self._current is not None and _token(self._current) != _token(credential)
        if changed and not (ours and self._profile_arn):
            self._profile_arn = None  # another person's, or an answer about the old token alone
        self._current = credential

    # Reading, refreshing, writing

    async def _renew(self) -> None:
        if self._unsaved is not None:
            await self._save()
        for _ in range(ROUNDS):
            held = await self._read()
            if isinstance(held, ApiKey) or self._fresh(held):
                self._adopt(held)
                return
            sent = held
            try:
                if over := self._dead.get(_digest(held.refresh_token)):
                    sent = await self._before_successors(over)
                if obstacle := await self._source.obstacle():
                    raise self._hindered(held, obstacle)
                if await self._rotate(sent, in_place_of=held.refresh_token):
                    return
            except SignInRefused as refusal:
                # Perhaps because somebody else has rotated it: one more look tells (KIRO_PROTOCOL 5.2).
                self._log.warning("refresh token refused", account=self.name, reason=refusal.reason)
                self._dead[_digest(sent.refresh_token)] = refusal
            except (AccountUnavailable, UpstreamFailed, DeadlineExceeded) as error:
                if self._unsaved is not None or not self._alive(held):
                    raise
                self._log.warning("using a token to its end", account=self.name, reason=error.message)
                self._adopt(held, due=self._now() + QUIET)
                return
        raise AccountUnavailable(
            f"Another program keeps changing the sign-in in {self._source.where}; try again when it is done",
            recovery=Recovery.RETRY,
        )

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
        if self._current is not None and not isinstance(self._current, ApiKey) and self._alive(self._current):
            self._log.warning("using a token to its end", account=self.name, reason=problem.message)
            self._due = self._now() + QUIET
            return self._current
        raise problem

    async def _before_successors(self, over: SignInRefused) -> Refreshable:
        """The sign-in as it was written down, which may have begun another life where its kept successor is dead (a
        service that has forgotten what it gave out). Raises AccountUnavailable where it is dead as well."""
        original = await self._source.original()
        if original is None or _digest(original.refresh_token) in self._dead:
            raise self._over(over)
        return original

    async def _rotate(self, held: Refreshable, *, in_place_of: str) -> bool:
        """Refresh and write back; False if the source no longer holds the refresh token `in_place_of` by then."""
        pause = FIRST_PAUSE
        for left in reversed(range(TRIES)):
            try:
                # From the moment the call leaves, the service may have rotated the token.
                with trio.CancelScope(shield=True):
                    renewed = await self._call(held)
                    self._unsaved = (in_place_of, held.after(renewed))
                    return await self._save()
            except (UpstreamFailed, DeadlineExceeded) as error:
                wait = max(error.retry_after or 0.0, pause * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads calls
                if not left or not error.retryable or wait > LONGEST_PAUSE:
                    raise
            await trio.sleep(wait)
            pause *= 2
        raise AssertionError("unreachable: the last try returns or raises")

    async def _call(self, held: Refreshable) -> Renewed:
        deadline = self._terms.deadline
        with trio.move_on_after(deadline):
            return await refresh(
                self._http,
                held,
                auth_url=self._terms.auth_url,
                user_agent=self._terms.user_agent,
                deadline=deadline,
                now=self._now,
            )
        raise DeadlineExceeded(
            f"The sign-in service did not answer within {deadline:g} seconds", recovery=Recovery.RETRY
        )

    async def _save(self) -> bool:
        """Write what a refresh brought, then use it. What cannot be written stays to be tried again."""
        assert self._unsaved is not None  # noqa: S101 - both callers have just set or seen it
        old_refresh_token, new = self._unsaved
        written = None
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self._terms.deadline):
            written = await self._source.write_back(old_refresh_token, new)
        if written is None:
            raise NotWritten(f"A new token was not written to {self._source.where} in time; it is tried again")
        self._unsaved = None
        if not written:
            self._log.warning("sign-in was changed by another program", account=self.name, where=self._source.where)
            return False
        # A short-lived token is renewed at half its life, or every request would refresh it.
        expires_at, now = new.expires_at or 0.0, self._now()
        self._adopt(new, due=max(expires_at - self._terms.ahead, now + (expires_at - now) / 2), ours=True)
        if new.access_token == self._refused:
            self._refused = ""  # the service insists on this token, and asking on would get it no other
        self._log.info("token refreshed", account=self.name, kind=new.kind, seconds=round(expires_at - now))
        return True

    def _over(self, refusal: SignInRefused) -> AccountUnavailable:
        return AccountUnavailable(
            f"The sign-in of the account {self.name} ({self._source.where}) is over: {refusal.reason}. "
            f"To go on, {self._source.remedy}.",
            upstream_status=refusal.upstream_status,
        )

    def _hindered(self, held: Refreshable, obstacle: str) -> AccountUnavailable:
        return AccountUnavailable(
            f"The access token in {self._source.where} is used up, and it is not refreshed, since the new one could "
            f"not be kept there and whoever else uses this sign-in would be signed out: {obstacle}. "
            f"Or {self._source.remedy}.",
        )

    # Profile and region

    def _lacks_profile(self, credential: Credential) -> bool:
        return (
            not isinstance(credential, ApiKey)
            and credential.needs_profile
            and self._profile_arn is None
            and not self._arn_of(credential)
        )

    def _arn_of(self, credential: Credential) -> str:
        """Looked up because the upstream asked for it, or named by a person, or found beside the token."""
        if isinstance(credential, ApiKey):
            return ""
        return self._profile_arn or self._terms.profile_arn or credential.profile_arn

    async def _search_profile(self) -> None:
        terms = self._terms
        try:
            self._profile_arn = await find_profile(
                self._http,
                self._lent(self._held()),
                flavour=terms.flavour,
                data_url=terms.data_url,
                user_agent=terms.user_agent,
                deadline=terms.deadline,
            )
        except KirotrioError:
            self._profile_due = self._now() + QUIET
            raise

    def _lent(self, credential: Credential) -> Credentials:
        arn = self._arn_of(credential)
        return Credentials(
            access_token=_token(credential),
            token_type=_token_type(credential),
            profile_arn=arn,
            region=data_region(arn, self._terms.region),
            account=self.name,
        )


def _token(credential: Credential) -> str:
    return credential.key if isinstance(credential, ApiKey) else credential.access_token


def _token_type(credential: Credential) -> str:
    """The `TokenType` header's value (KIRO_PROTOCOL 1.3)."""
    if isinstance(credential, ApiKey):
        return "API_KEY"
    return "EXTERNAL_IDP" if isinstance(credential, ExternalIdp) else ""


def _digest(refresh_token: str) -> str:
    return hashlib.sha256(refresh_token.encode()).hexdigest()
