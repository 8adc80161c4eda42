"""Asking what an account is worth: the service's usage limits first, the web portal second (KIRO_PROTOCOL 6.3, 6.4).

The portal is asked where the first does not serve this kind of account, fails, or does not tell whose it is. It never
is for API keys, which it does not know, nor where `upstream.url` replaces the service and `upstream.portal_url` is
empty: whoever leads the calls elsewhere does not want the token to go out at another door.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import orjson
import trio

from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.classes import frozen
from kirotrio.config.settings import Settings
from kirotrio.conversation.request import Json
from kirotrio.errors import AccountSuspended, DeadlineExceeded, KirotrioError, Recovery, UpstreamFailed
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.endpoints import endpoints, headers_for
from kirotrio.kiro.errors import from_response
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.kiro.portal import decode, identities, portal_call, refusal
from kirotrio.kiro.usage import AccountUsage, UsageSource, parse_usage
from kirotrio.store.account_record import Worth

_WRONG_IDENTITY = (401, 403)
_ORIGIN = "KIRO_IDE"
"""What the portal's operations are asked with; the setting `upstream.origin` is for the service."""


@frozen
class UsageAnswer:
    """`document` is what the upstream said, as it is kept; `identity` the portal's spelling that worked, "" if none."""

    document: dict[str, Json]
    identity: str = ""


class Lookup:
    """The time that one look at one source may take, however many calls it needs."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = trio.current_time() + seconds

    def left(self) -> float:
        """Seconds; raises DeadlineExceeded where none are."""
        left = self._ends - trio.current_time()
        if left <= 0:
            raise DeadlineExceeded(
                f"Kiro did not tell what the account is worth within {self._seconds:g} seconds (deadlines.lookup)",
                recovery=Recovery.RETRY,
            )
        return left


async def ask_usage(
    http: HttpCalls, credentials: Credentials, settings: Settings, *, now: Callable[[], float] = time.time
) -> AccountUsage:
    """What the account is worth now. `now`: the wall clock, in epoch seconds.

    Raises AccountSuspended where the account is locked, with recovery REFRESH_TOKEN where the token is refused, else
    the error of the first source. Each source has `deadlines.lookup` for itself. Cancellation closes the call.
    """
    answer = await look_up(http, credentials, settings)
    return read_document(answer.document, now())


async def look_up(
    http: HttpCalls,
    credentials: Credentials,
    settings: Settings,
    *,
    known: AccountUsage | None = None,
    identity: str = "",
    whose: bool = True,
) -> UsageAnswer:
    """The upstream's words for `read_document`, with what was `known` of the person before.

    `identity`: the portal's spelling that worked the last time. `whose`: ask the portal where the service does not
    tell an e-mail. Raises and is cancelled as `ask_usage`.
    """
    open_portal = _portal_is_open(credentials, settings)
    try:
        limits = await ask_limits(http, credentials, settings)
    except KirotrioError as error:
        if not open_portal or isinstance(error, AccountSuspended) or error.recovery is Recovery.REFRESH_TOKEN:
            raise
        try:
            return await _Portal(http, credentials, settings, identity).usage()
        except AccountSuspended:
            raise
        except KirotrioError:
            raise error from None  # the first source is the one that a person can do something about
    usage = parse_usage(limits, fetched_at=0.0)
    user: Json = {"email": known.email, "userId": known.user_id} if known is not None and known.email else None
    found = ""
    if usage is not None and not usage.email and user is None and whose and open_portal:
        portal = _Portal(http, credentials, settings, identity)
        try:
            user = await portal.user()
            found = portal.identity
        except AccountSuspended:
            raise
        except KirotrioError:
            user = None  # the figures are there, and they matter more than whose they are
    return UsageAnswer({"source": "limits", "answer": limits, "user": user}, found)


def read_document(document: Json, fetched_at: float) -> AccountUsage:
    """The value of what `look_up` found, then or long ago. Raises UpstreamFailed where it is no such document."""
    parts = document if isinstance(document, dict) else {}
    source: UsageSource = "portal" if parts.get("source") == "portal" else "limits"
    usage = parse_usage(parts.get("answer"), fetched_at=fetched_at, source=source, user=parts.get("user"))
    if usage is None:
        raise UpstreamFailed("Kiro's answer about the account's usage has no figures; check `upstream.flavour`")
    return usage


def figures_of(usage: AccountUsage) -> Worth:
    """What lists show of it, and are sorted by."""
    return Worth(
        plan=usage.plan,
        email=usage.email,
        credits_used=usage.used if usage.limit is not None else None,
        credits_limit=usage.limit,
        credits_left=usage.left,
        resets_at=usage.resets_at,
        fetched_at=usage.fetched_at,
    )


async def ask_limits(http: HttpCalls, credentials: Credentials, settings: Settings) -> Json:
    """The answer of GetUsageLimits. Raises the error that another answer means.

    A profile that it does not take is left out, since some accounts must have it and some must not (KIRO_PROTOCOL 12).
    """
    lookup = Lookup(settings.deadlines.lookup)
    arn = credentials.profile_arn
    answer = await _limits(http, credentials, settings, arn, lookup)
    if answer.status == 400 and arn:
        answer = await _limits(http, credentials, settings, "", lookup)
    if answer.status != 200:
        raise from_response(answer.status, answer.headers, answer.body, now=time.time(), account=credentials.account)
    try:
        return orjson.loads(answer.body)
    except ValueError as error:
        raise UpstreamFailed("Kiro's answer about the account's usage is not readable as JSON") from error


async def _limits(
    http: HttpCalls, credentials: Credentials, settings: Settings, arn: str, lookup: Lookup
) -> HttpAnswer:
    upstream = settings.upstream
    endpoint = endpoints(credentials.flavour, credentials.region, credentials.url).usage_limits(
        origin=upstream.origin, profile_arn=arn, email=True
    )
    return await http.call(
        endpoint.method,
        endpoint.url,
        headers=headers_for(credentials, endpoint, user_agent=upstream.user_agent, attempts=1),
        body=endpoint.body,
        deadline=lookup.left(),
        proxy_url=credentials.proxy_url,
    )


def _portal_is_open(credentials: Credentials, settings: Settings) -> bool:
    if credentials.token_type == "API_KEY":  # noqa: S105 - the name of a kind
        return False
    return bool(settings.upstream.portal_url) or not (settings.upstream.url or credentials.url)


class _Portal:
    """One look at the portal. `identity` is the spelling that worked, once one has."""

    def __init__(self, http: HttpCalls, credentials: Credentials, settings: Settings, identity: str) -> None:
        self._http = http
        self._credentials = credentials
        self._upstream = settings.upstream
        self._lookup = Lookup(settings.deadlines.lookup)
        self._spellings = tuple(dict.fromkeys([*filter(None, [identity]), *identities(credentials.provider)]))
        self.identity = ""

    async def usage(self) -> UsageAnswer:
        """GetUserUsageAndLimits, and GetUserInfo where that tells no e-mail."""
        answer = await self._ask("GetUserUsageAndLimits", {"isEmailRequired": True, "origin": _ORIGIN})
        usage = parse_usage(answer, fetched_at=0.0)
        if usage is None:
            raise UpstreamFailed("The answer of Kiro's portal about the account's usage has no figures")
        user: Json = None
        if not usage.email:
            try:
                user = await self.user()
            except AccountSuspended:
                raise
            except KirotrioError:
                user = None
        return UsageAnswer({"source": "portal", "answer": answer, "user": user}, self.identity)

    async def user(self) -> Mapping[str, Json]:
        """GetUserInfo. Raises AccountSuspended where it says that."""
        answer = await self._ask("GetUserInfo", {"origin": _ORIGIN})
        if not isinstance(answer, dict):
            raise UpstreamFailed("The answer of Kiro's portal about the user is no map")
        if str(answer.get("status") or "").lower() == "suspended":
            raise AccountSuspended(
                f"Kiro has suspended the account {self._credentials.account!r}. Only its owner can have it unlocked, "
                "through Kiro's support.",
                recovery=Recovery.SWITCH_ACCOUNT,
            )
        return answer

    async def _ask(self, operation: str, members: Mapping[str, Json]) -> Json:
        spellings = (self.identity,) if self.identity else self._spellings
        for number, spelling in enumerate(spellings, start=1):
            call = portal_call(
                operation,
                members,
                access_token=self._credentials.access_token,
                identity=spelling,
                base_url=self._upstream.portal_url,
                user_agent=self._upstream.user_agent,
            )
            answer = await self._http.call(
                call.method,
                call.url,
                headers=call.headers,
                body=call.body,
                deadline=self._lookup.left(),
                proxy_url=self._credentials.proxy_url,
            )
            if answer.status == 200:
                self.identity = spelling
                return decode(answer.body)
            error = refusal(answer.status, answer.headers, answer.body, account=self._credentials.account)
            wrong = answer.status in _WRONG_IDENTITY and not isinstance(error, AccountSuspended)
            if not wrong or number == len(spellings):
                raise error
        raise UpstreamFailed("Kiro's portal was not asked: there is no spelling of who signed in")
