"""Where each data call goes and what its head carries (KIRO_PROTOCOL 1.1 to 1.4, 6.1 to 6.3, 6.5).

Three generations of the same service are alive: `rest` (paths), `rpc` (targets on the same hosts), `runtime`
(targets on new hosts). `endpoints()` picks one, and the rest of the program does not know which.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal, TypeAlias
from urllib.parse import urlencode, urlsplit

import orjson
from attrs import field

from kirotrio import __version__
from kirotrio.classes import frozen
from kirotrio.conversation.request import Json
from kirotrio.errors import SettingsError
from kirotrio.kiro.credentials import Credentials

Flavour: TypeAlias = Literal["rest", "rpc", "runtime"]

FLAVOURS: tuple[Flavour, ...] = ("rest", "rpc", "runtime")
DEFAULT_REGION = "us-east-1"
DATA_REGIONS = ("us-east-1", "eu-central-1", "us-gov-east-1", "us-gov-west-1")
"""Where the data plane exists; the region of a sign-in may be any other (trap 18)."""
PROFILE_REGIONS = ("us-east-1", "eu-central-1")
"""Profiles are regional and have to be looked for in both (KIRO_PROTOCOL 6.2)."""
USER_AGENT = f"kirotrio/{__version__}"
"""Our own name; no other program is imitated (KIRO_PROTOCOL 1.4)."""
AGENT_MODE = "vibe"

_JSON = "application/json"
_RPC_JSON = "application/x-amz-json-1.0"
_STREAMING = {"rpc": "AmazonCodeWhispererStreamingService", "runtime": "KiroRuntimeService"}
_CONTROL = {"rpc": "AmazonCodeWhispererService", "runtime": "KiroControlPlaneBearerService"}
_MANAGEMENT_REGIONS = ("us-east-1", "eu-central-1", "us-gov-west-1")


@frozen
class Endpoint:
    """One call. `body` is the whole body of a control call, None for a GET and where the caller brings its own.

    `members` belong into the root of a body that the caller brings.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    members: Mapping[str, str] = field(factory=dict)


@frozen
class Endpoints:
    """The data calls of one flavour in one region. `data` and `control` are scheme and host, no slash at the end."""

    flavour: Flavour
    data: str
    control: str

    def generate(self) -> Endpoint:
        """GenerateAssistantResponse; the body is a request body that went through `shape_body`."""
        if self.flavour == "rest":
            headers = {"content-type": _JSON, "x-amzn-kiro-agent-mode": AGENT_MODE}
            return Endpoint("POST", f"{self.data}/generateAssistantResponse", headers)
        return self._streaming_call("GenerateAssistantResponse")

    def mcp(self, *, profile_arn: str = "") -> Endpoint:
        """InvokeMCP; the body is a JSON-RPC request. The profile stands in a header, in `runtime` in the body."""
        if self.flavour == "runtime":
            call = self._streaming_call("InvokeMCP")
            return Endpoint(call.method, call.url, call.headers, members=_profile(profile_arn))
        header = {"x-amzn-kiro-profile-arn": profile_arn} if profile_arn else {}
        if self.flavour == "rest":
            return Endpoint("POST", f"{self.data}/mcp", {"content-type": _JSON, **header})
        call = self._streaming_call("InvokeMCP")
        return Endpoint(call.method, call.url, {**call.headers, **header})

    def models(self, *, origin: str = "AI_EDITOR", profile_arn: str = "", next_token: str = "") -> Endpoint:
        """ListAvailableModels, one page of at most 50."""
        members = {"origin": origin, **self._asked({"maxResults": 50}), **_profile(profile_arn), **_next(next_token)}
        if self.flavour == "rest":
            return Endpoint("GET", f"{self.data}/ListAvailableModels?{urlencode(members)}", {"accept": _JSON})
        return self._control_call("ListAvailableModels", members)

    def usage_limits(self, *, origin: str = "AI_EDITOR", profile_arn: str = "", email: bool = False) -> Endpoint:
        """GetUsageLimits; `email`: with the address of whoever signed in."""
        asked: dict[str, Json] = {"resourceType": "AGENTIC_REQUEST"}
        if email:
            asked["isEmailRequired"] = "true" if self.flavour == "rest" else True
        members = {"origin": origin, **self._asked(asked), **_profile(profile_arn)}
        if self.flavour == "rest":
            return Endpoint("GET", f"{self.data}/getUsageLimits?{urlencode(members)}", {"accept": _JSON})
        return self._control_call("GetUsageLimits", members)

    def profiles(self, *, next_token: str = "") -> Endpoint:
        """ListAvailableProfiles, of this region only (`PROFILE_REGIONS`)."""
        members = {"maxResults": 10, **_next(next_token)}
        if self.flavour == "rest":
            headers = {"content-type": _JSON}
            return Endpoint("POST", f"{self.data}/ListAvailableProfiles", headers, orjson.dumps(members))
        return self._control_call("ListAvailableProfiles", members)

    def _asked(self, members: Mapping[str, Json]) -> Mapping[str, Json]:
        """Members that `runtime` was never seen with; it may refuse what it does not know (KIRO_PROTOCOL 2.1)."""
        return {} if self.flavour == "runtime" else members

    def _streaming_call(self, operation: str) -> Endpoint:
        target = f"{_STREAMING[self.flavour]}.{operation}"
        return Endpoint("POST", f"{self.data}/", {"content-type": _RPC_JSON, "x-amz-target": target})

    def _control_call(self, operation: str, members: Mapping[str, Json]) -> Endpoint:
        target = f"{_CONTROL[self.flavour]}.{operation}"
        headers = {"content-type": _RPC_JSON, "x-amz-target": target}
        return Endpoint("POST", f"{self.control}/", headers, orjson.dumps(members))


@functools.lru_cache(64)  # every request asks, and taking the address apart is a percent of a small one
def endpoints(flavour: str, region: str, override_url: str = "") -> Endpoints:
    """The calls of `flavour` (`upstream.flavour`) in `region`; a region without a data plane means us-east-1.

    `override_url` (`upstream.url`) replaces scheme and host of all of them; a path in it stays in front.
    Raises SettingsError where a setting is wrong.
    """
    known = next((name for name in FLAVOURS if name == flavour), None)
    if known is None:
        raise SettingsError(f"upstream.flavour: {flavour!r} is none of {', '.join(FLAVOURS)}")
    if override_url:
        base = _base(override_url)
        return Endpoints(known, base, base)
    region = data_region("", region)
    if known == "runtime":
        # The new data hosts serve no control calls (KIRO_PROTOCOL 1.1).
        control_region = region if region in _MANAGEMENT_REGIONS else "us-gov-west-1"
        return Endpoints(known, f"https://runtime.{region}.kiro.dev", f"https://management.{control_region}.kiro.dev")
    host = f"https://q.{region}.amazonaws.com"
    return Endpoints(known, host, host)


def data_region(profile_arn: str, otherwise: str) -> str:
    """The region of data calls: the fourth field of the ARN, `otherwise` without one.

    us-east-1 for a region that has no data plane (KIRO_PROTOCOL 1.1, trap 18).
    """
    fields = profile_arn.split(":")
    region = fields[3] if len(fields) > 3 else otherwise
    return region if region in DATA_REGIONS else DEFAULT_REGION


def headers_for(
    credentials: Credentials,
    endpoint: Endpoint,
    *,
    user_agent: str = "",
    invocation_id: str = "",
    attempt: int = 1,
    attempts: int = 3,
) -> dict[str, str]:
    """The whole head of a call, names in lower case.

    `invocation_id` stays the same over the attempts of one logical call. `user_agent` "" is our own name.
    """
    agent = user_agent or USER_AGENT
    headers = {
        **endpoint.headers,
        "authorization": f"Bearer {credentials.access_token}",
        "user-agent": agent,
        "x-amz-user-agent": agent,
        "x-amzn-codewhisperer-optout": "true",
        "amz-sdk-request": f"attempt={attempt}; max={max(attempt, attempts)}",
    }
    if invocation_id:
        headers["amz-sdk-invocation-id"] = invocation_id
    if credentials.token_type:
        # An access token with this header, or a key without it, is refused (KIRO_PROTOCOL 1.3).
        headers["tokentype"] = credentials.token_type
    return headers


def shape_body(flavour: str, body: Mapping[str, Json]) -> dict[str, Json]:
    """The request body as this flavour wants it: `runtime` takes the agent mode and the root conversation inside.

    `body` is left as it is. The session is always a main session: its root is itself (KIRO_PROTOCOL 2.2).
    """
    shaped = dict(body)
    state = dict(body.get("conversationState", {}))
    if flavour == "runtime":
        shaped["agentMode"] = AGENT_MODE
        if "conversationId" in state:
            state["rootConversationId"] = state["conversationId"]
    else:
        shaped.pop("agentMode", None)
        state.pop("rootConversationId", None)
    if state:
        shaped["conversationState"] = state
    return shaped


def _base(url: str) -> str:
    wanted = "it has the form http://host:port or https://host"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError as error:
        raise SettingsError(f"upstream.url: {url!r} is not an address ({error}); {wanted}") from error
    if not usable or parts.query or parts.fragment:
        raise SettingsError(f"upstream.url: {url!r} is not an address of a server; {wanted}")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _profile(profile_arn: str) -> dict[str, str]:
    return {"profileArn": profile_arn} if profile_arn else {}


def _next(next_token: str) -> dict[str, str]:
    return {"nextToken": next_token} if next_token else {}
