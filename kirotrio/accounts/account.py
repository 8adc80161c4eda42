"""One subscription: a valid access token whenever one is asked for, and the profile that goes with it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import trio

from kirotrio.accounts.calling import credentials_for
from kirotrio.accounts.credential import ApiKey, Credential
from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.profiles import find_profile
from kirotrio.accounts.sources.source import Source
from kirotrio.accounts.terms import Terms
from kirotrio.accounts.tokens.renewal import QUIET, Token
from kirotrio.accounts.tokens.single_flight import SingleFlight
from kirotrio.accounts.tokens.turns import OwnTurns, Turns, Whose
from kirotrio.accounts.tokens.validity import token_of
from kirotrio.errors import AccountUnavailable, Blame, KirotrioError, UpstreamFailed
from kirotrio.kiro.credentials import Credentials
from kirotrio.telemetry.log import Log

REFUSALS = 3
REFUSALS_WITHIN = 60.0
"""No more than so many refreshes in so many seconds because of refused tokens: new ones would not help."""


class Account:
    """`name` tells accounts apart in logs. `now` is the wall clock, in epoch seconds.

    `turns` says whether this process may refresh now; `turn` is the account's name there, the same in every process.
    `spread` moves refreshes of accounts apart: by how much of `terms.ahead` its own is earlier still.
    """

    def __init__(
        self,
        source: Source,
        http: HttpCalls,
        nursery: trio.Nursery,
        terms: Terms,
        log: Log,
        *,
        name: str = "",
        turns: Turns | None = None,
        turn: str = "",
        spread: float = 0.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name: str = name or source.name
        self.where = source.where
        self.remedy = source.remedy
        self._source = source
        self._http = http
        self._log = log
        self._now = now
        whose = Whose(self.name, turn) if turn else Whose(self.name)
        self._token = Token(
            whose, source, http, nursery, terms, log, turns or OwnTurns(), now, self._token_changed, spread
        )
        self._profile_search = SingleFlight(nursery, self._search_profile)
        self._refusals: deque[float] = deque(maxlen=REFUSALS)
        self._profile_arn: str | None = None
        """What a look-up found; "" is certainly none, None is not known."""
        self._profile_due = 0.0
        self._last_lent: tuple[tuple[object, ...], Credentials] | None = None
        """What was lent last, behind all that it was made of."""

    def rename(self, name: str, source: Source) -> None:
        """Go on under another name, which `source` has too; what is under way goes on as well."""
        self.name, self.where, self.remedy, self._source = name, source.where, source.remedy, source
        self._token.rename(name, source)

    @property
    def gone(self) -> bool:
        """Whether nothing was found any more where this account came from."""
        return self._token.gone

    @gone.setter
    def gone(self, gone: bool) -> None:
        self._token.gone = gone

    @property
    def terms(self) -> Terms:
        return self._token.terms

    @terms.setter
    def terms(self, terms: Terms) -> None:
        """What a person changed applies from the next call on."""
        self._token.terms = terms

    @property
    def busy(self) -> bool:
        """Whether something is under way that must not be done by two at a time, or has still to be written."""
        return self._token.busy

    @property
    def is_refreshing(self) -> bool:
        return self._token.is_refreshing

    @property
    def is_due(self) -> bool:
        """Whether its token is to be looked after now, as far as is known without reading anything."""
        return self._token.is_due

    @property
    def refresh_due(self) -> float | None:
        """When the token in use is to be looked after, in epoch seconds; None where there is nothing to look after."""
        return self._token.due

    @property
    def expires_at(self) -> float | None:
        """Of the access token in use, in epoch seconds; None where that is not known or never."""
        current = self._token.current
        return None if current is None or isinstance(current, ApiKey) else current.expires_at

    async def credentials(self) -> Credentials:
        """A token that is good now. Cancellation ends the waiting alone, never a refresh under way.

        Raises AccountUnavailable where the sign-in is over or cannot be kept; UpstreamFailed or DeadlineExceeded
        (retryable) where the sign-in service does not answer.
        """
        current = await self._token.valid()
        if self._lacks_profile(current) and self._now() >= self._profile_due:
            try:
                await self._profile_search()
            except UpstreamFailed as error:
                # Many accounts work without one; where not, the upstream says so and `resolve_profile` is called.
                self._log.warning("profile not found", account=self.name, reason=error.message)
            current = self._token.held()
        return self._lent(current)

    async def peek(self) -> Credentials | None:
        """A token that is good at this moment, None without one. Reads where it comes from, and refreshes nothing."""
        current = await self._token.peek()
        return self._lent(current) if current is not None else None

    async def look(self) -> bool:
        """Somebody changed the place that the token comes from: what stands there is used, if it is good.

        Whether another token is used from now on."""
        return await self._token.look()

    def stamp(self) -> object:
        """Differs after another program has changed that place. Blocking; never raises."""
        return self._source.stamp()

    async def keep_fresh(self) -> None:
        """Refresh ahead of time if that is due. Errors and cancellation as in `credentials`."""
        await self._token.keep_fresh()

    async def save_pending(self) -> bool:
        """Try again to write a rotated token that could not be written; whether nothing is left to write."""
        return await self._token.save_pending()

    async def save_last(self) -> bool:
        """The same at the very end, when no refresh runs any more; what fails then is logged with what to run."""
        return await self._token.save_last()

    async def refused(self, token: str) -> None:
        """The upstream refused this access token: get another, even if this one had time left.

        Returns at once if another is in use by now. Cancellation and errors as in `credentials`.
        """
        current = self._token.current
        if current is None or token_of(current) != token:
            return
        if isinstance(current, ApiKey):
            raise AccountUnavailable(
                f"Kiro refuses the key in {self._source.where}: {self._source.remedy}", blame=Blame.SIGN_IN
            )
        now = self._now()
        if not self._token.is_refused(token):
            if len(self._refusals) == REFUSALS and now - self._refusals[0] < REFUSALS_WITHIN:
                raise AccountUnavailable(
                    f"Kiro refuses even new tokens of the account {self.name}: it may be suspended, or its plan may "
                    f"not allow this. Look at it in the Kiro portal, or {self._source.remedy}.",
                    retry_after=REFUSALS_WITHIN,
                    blame=Blame.ACCESS,
                )
            self._refusals.append(now)
        await self._token.replace(token)

    async def resolve_profile(self) -> None:
        """Look the profile up, whatever was found before. What is found from now on goes with every call.

        Raises UpstreamFailed (retryable) where that could not be done. Cancellation as in `credentials`.
        """
        if not isinstance(await self._token.valid(), ApiKey):
            await self._profile_search()

    def _token_changed(self, ours: bool) -> None:
        if not (ours and self._profile_arn):
            self._profile_arn = None  # another person's, or an answer about the old token alone

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
        return self._profile_arn or self.terms.profile_arn or credential.profile_arn

    async def _search_profile(self) -> None:
        terms = self.terms
        try:
            self._profile_arn = await find_profile(
                self._http,
                self._lent(self._token.held()),
                user_agent=terms.user_agent,
                deadline=terms.deadline,
            )
        except KirotrioError:
            self._profile_due = self._now() + QUIET
            raise

    def _lent(self, credential: Credential) -> Credentials:
        arn = self._arn_of(credential)
        made_of = (credential, self.terms, self.name, arn)
        if self._last_lent is None or self._last_lent[0] != made_of:
            lent = credentials_for(credential, self.terms, account=self.name, profile_arn=arn)
            self._last_lent = made_of, lent
        return self._last_lent[1]
