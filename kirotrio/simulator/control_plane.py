"""The calls around generation: models, profiles, usage, and web search (KIRO_PROTOCOL 6.1 to 6.3, 6.5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from kirotrio.simulator import samples
from kirotrio.simulator.accounts import Account, AccountBook, Kind, TokenState
from kirotrio.simulator.answers import Call, Flavour, Reply, json_reply
from kirotrio.simulator.catalogue import Catalogue
from kirotrio.simulator.portal import Operation, PortalRefused
from kirotrio.simulator.refusals import RefusalTable
from kirotrio.simulator.subscriptions import portal_dates

LONGEST_QUERY = 200
_MODEL_PAGE = 50
_SEARCH_TOOL = {
    "name": "web_search",
    "description": "Searches the web.",
    "inputSchema": {
        "type": "object",
        "properties": {"query": {"type": "string", "maxLength": LONGEST_QUERY}},
        "required": ["query"],
    },
}


def _move_reset(document: dict[str, Any], now: float) -> None:
    """Let the plan reset at the beginning of the next month, whenever the sample was taken."""
    today = datetime.fromtimestamp(now, UTC)
    reset = (today.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
    for part in (document, *document["usageBreakdownList"]):
        if "nextDateReset" in part:
            part["nextDateReset"] = reset.timestamp()
    if "daysUntilReset" in document:
        document["daysUntilReset"] = (reset - today).days


class ControlPlane:
    """Answers from the samples. Arguments are query or body, whichever the flavour uses."""

    def __init__(self, catalogue: Catalogue, table: RefusalTable, *, wall: Callable[[], float] = time.time) -> None:
        self._catalogue = catalogue
        self._table = table
        self._wall = wall
        self._usage = samples.load("usage_limits")
        self._profile_names = {
            profile["arn"]: profile["profileName"] for profile in samples.load("profiles")["profiles"]
        }
        self._found = samples.load("web_search")

    def models(self, account: Account, arguments: Mapping[str, Any], flavour: Flavour) -> Reply:
        if not arguments.get("origin"):
            raise self._table.refused("REQUEST_BODY_INVALID", "origin is required")
        try:
            limit = int(arguments.get("maxResults", _MODEL_PAGE))
            page = self._catalogue.page(
                account.models, limit, str(arguments.get("nextToken") or ""), schemas=flavour is Flavour.CONTROL
            )
        except (TypeError, ValueError):
            raise self._table.refused("REQUEST_BODY_INVALID", "maxResults or nextToken is not valid") from None
        if not 1 <= limit <= 100:
            raise self._table.refused("REQUEST_BODY_INVALID", f"maxResults {limit}: 1 to 100")
        return json_reply(page, flavour=flavour, account=account.name)

    def profiles(self, account: Account, flavour: Flavour) -> Reply:
        """Builder IDs and keys have no profiles: they are refused, as the service does."""
        if account.kind in (Kind.BUILDER_ID, Kind.API_KEY):
            raise self._table.refused(
                "FEATURE_NOT_SUPPORTED", "no profiles", message="ListAvailableProfiles is unsupported for this account."
            )
        profiles = [
            {"arn": arn, "profileName": self._profile_names.get(arn, "KiroProfile"), "status": "ACTIVE"}
            for arn in account.profiles
        ]
        return json_reply({"profiles": profiles}, flavour=flavour, account=account.name)

    def usage(self, account: Account, arguments: Mapping[str, Any], flavour: Flavour) -> Reply:
        """What the account has and has used, as its flavour of the service tells it."""
        if flavour is Flavour.CONTROL and account.profiles and not arguments.get("profileArn"):
            raise self._table.refused("INVALID_PROFILE_ARN", "this target wants the profile ARN")
        asked = str(arguments.get("isEmailRequired", "false")).lower() == "true"
        document = self.worth(account, email=asked)
        return json_reply(document, flavour=flavour, account=account.name)

    def worth(self, account: Account, *, email: bool) -> dict[str, Any]:
        """The account's subscription, or its plan's sample with what it has used since the start on top."""
        now = self._wall()
        if account.subscription is None:
            document: dict[str, Any] = orjson.loads(orjson.dumps(self._usage[account.plan]))
            credits_used = document["usageBreakdownList"][0]
            used = round(credits_used["currentUsageWithPrecision"] + account.credits_used, 2)
            credits_used.update(currentUsageWithPrecision=used, currentUsage=int(used))
            _move_reset(document, now)
        else:
            document = account.subscription.document(now)
        person = dict(document.get("userInfo") or {})
        if account.user_id:
            person["userId"] = account.user_id
        if account.email and email:
            person["email"] = account.email
        document["userInfo"] = person
        return document

    def charge(self, account: Account, credits_used: float) -> None:
        """A generation of this account has cost so much."""
        account.credits_used += credits_used
        if account.subscription is not None:
            account.subscription.charge(credits_used, self._wall())

    def admit(self, account: Account) -> None:
        """Refuse a generation where everything is used up (KIRO_PROTOCOL 4)."""
        refusal = account.subscription.refusal(self._wall()) if account.subscription is not None else ""
        if refusal:
            raise self._table.refused(refusal, f"{account.name} is used up")

    def portal_operations(self) -> dict[str, Operation]:
        """GetUserUsageAndLimits and GetUserInfo (KIRO_PROTOCOL 6.4)."""
        return {"GetUserUsageAndLimits": self._portal_usage, "GetUserInfo": self._portal_user}

    def _portal_usage(self, book: AccountBook, call: Call, members: Mapping[str, Any]) -> Mapping[str, Any]:
        account = _portal_account(book, call)
        if not members.get("origin"):
            raise PortalRefused(400, "ValidationException", "origin is required")
        document = self.worth(account, email=members.get("isEmailRequired") is True)
        return dict(portal_dates(document))

    def _portal_user(self, book: AccountBook, call: Call, members: Mapping[str, Any]) -> Mapping[str, Any]:
        account = _portal_account(book, call)
        if not members.get("origin"):
            raise PortalRefused(400, "ValidationException", "origin is required")
        return {
            "email": account.email or f"{account.name}@example.com",
            "userId": account.user_id or f"d-0000000000.{account.name}",
            "idp": account.portal_identity,
            "status": "Active",
            "featureFlags": {},
        }

    def mcp(self, account: Account, request: Mapping[str, Any], flavour: Flavour, search: str = "found") -> Reply:
        """JSON-RPC: initialize, tools/list, and tools/call of web_search with a canned result.

        `search` is the control of that name: what comes of a search.
        """
        match request.get("method"):
            case "initialize":
                result: dict[str, Any] = {"protocolVersion": "2025-03-26", "capabilities": {"tools": {}}}
            case "notifications/initialized":
                result = {}
            case "tools/list":
                result = {"tools": [_SEARCH_TOOL]}
            case "tools/call":
                try:
                    query = _checked_query(request)
                except _InvalidParams as wrong:
                    return self._rpc(account, request, flavour, error={"code": -32602, "message": str(wrong)})
                if search == "rpc-error":
                    objection = "Internal error: the search index of the simulator is away"
                    return self._rpc(account, request, flavour, error={"code": -32603, "message": objection})
                result = self._search_result(query, search)
            case other:
                objection = f"Method not found: {other}"
                return self._rpc(account, request, flavour, error={"code": -32601, "message": objection})
        return self._rpc(account, request, flavour, result=result)

    def _search_result(self, query: str, search: str) -> dict[str, Any]:
        document = {**self._found, "query": query}
        if search in ("empty", "index-error"):
            document.update(results=[], totalResults=0)
        if search == "index-error":
            document["error"] = "The search index of the simulator is away."
        text = orjson.dumps(document).decode()
        if search == "broken":
            text = text[: len(text) // 2]
        elif search == "tool-error":
            text = "The search tool of the simulator failed."
        return {"content": [{"type": "text", "text": text}], "isError": search == "tool-error"}

    def _rpc(self, account: Account, request: Mapping[str, Any], flavour: Flavour, **outcome: Any) -> Reply:
        document = {"jsonrpc": "2.0", "id": request.get("id"), **outcome}
        return json_reply(document, flavour=flavour, account=account.name)


_SUSPENDED = ("TEMPORARILY_SUSPENDED", "SUSPENDED", "ACCOUNT_SUSPENDED")


def _portal_account(book: AccountBook, call: Call) -> Account:
    """Whose call it is: the token in header and cookie, and `Idp` in the portal's own spelling for it."""
    scheme, _, bearer = call.headers.get("authorization", "").partition(" ")
    parts = (part.strip().partition("=") for part in call.headers.get("cookie", "").split(";"))
    cookie = {name: value for name, _, value in parts}
    state, account = book.identify(bearer.strip())
    if scheme.lower() != "bearer" or account is None or state is not TokenState.VALID:
        raise PortalRefused(401, "UnauthorizedException", "the access token is not valid")
    if cookie.get("AccessToken") != bearer.strip():
        raise PortalRefused(401, "UnauthorizedException", "the cookie holds no access token, or another one")
    if not account.portal_identity or cookie.get("Idp") != account.portal_identity:
        raise PortalRefused(403, "AccessDeniedException", "the token was not given out for this Idp")
    if account.refusal in _SUSPENDED:
        raise PortalRefused(423, "AccountSuspendedException", "Your account is suspended.")
    return account


class _InvalidParams(Exception):
    """A `tools/call` that names another tool or has no usable query."""


def requested_query(request: Mapping[str, Any]) -> str:
    """The query of a `tools/call`, "" where there is none."""
    parameters = request.get("params")
    arguments = parameters.get("arguments") if isinstance(parameters, dict) else None
    query = arguments.get("query") if isinstance(arguments, dict) else None
    return query if isinstance(query, str) else ""


def _checked_query(request: Mapping[str, Any]) -> str:
    parameters = request.get("params")
    if not isinstance(parameters, dict) or parameters.get("name") != "web_search":
        raise _InvalidParams("Invalid params: the only tool is web_search")
    query = requested_query(request)
    if not query:
        raise _InvalidParams("Invalid params: query has to be a text")
    if len(query) > LONGEST_QUERY:
        raise _InvalidParams(f"Invalid params: query has more than {LONGEST_QUERY} characters")
    return query
