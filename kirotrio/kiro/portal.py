"""Kiro's web portal as bytes: calls and answers in CBOR (KIRO_PROTOCOL 6.4).

An answer may hold maps and texts of indefinite length and times under tag 1. What is decoded here is plain JSON
values: a time becomes epoch seconds, and what JSON has no form for becomes None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

import orjson
from attrs import field

from kirotrio.classes import frozen
from kirotrio.conversation.request import Json
from kirotrio.errors import KirotrioError, UpstreamFailed
from kirotrio.kiro.endpoints import USER_AGENT
from kirotrio.kiro.errors import from_response

PORTAL: Final = "https://app.kiro.dev"
_PATH: Final = "/service/KiroWebPortalService/operation/"
_CBOR: Final = "application/cbor"
_COOKIE_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]+")
"""What may stand in a cookie (RFC 6265): no blanks, quotes, commas, semicolons or backslashes."""
_DEEPEST = 32
_LARGEST = 4 * 1024 * 1024

IDENTITIES: Final = ("Github", "Google", "BuilderId")
"""How the portal spells who signed in, in the order in which they are tried where that is not known."""
_OWN_IDENTITY: Final = {
    "github": "Github",
    "google": "Google",
    "builderid": "BuilderId",
    "enterprise": "AWSIdC",
    "internal": "AWSIdC",
    "awsidc": "AWSIdC",
    "identitycenter": "AWSIdC",
}


@frozen
class PortalCall:
    """One call, ready to be made. Its head holds the access token."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes
    method: str = "POST"


def identities(provider: str) -> tuple[str, ...]:
    """The spellings to try for a sign-in through `provider` (`Google`, `BuilderId`, `Enterprise`, …; "" not known).

    Its own comes first; a wrong one is refused with 401 or 403, and then the next may be the right one.
    """
    own = _OWN_IDENTITY.get(re.sub(r"[^a-z]", "", provider.lower()))
    return tuple(dict.fromkeys([own, *IDENTITIES] if own else IDENTITIES))


def portal_call(
    operation: str,
    members: Mapping[str, Json],
    *,
    access_token: str = "",
    identity: str = "",
    base_url: str = "",
    user_agent: str = "",
) -> PortalCall:
    """A call of one operation. `base_url` (`upstream.portal_url`) replaces scheme and host.

    Without an `access_token` it is a call of somebody who has not signed in. Raises UpstreamFailed for a token that
    cannot stand in a cookie, which no token of the upstream's is.
    """
    agent = user_agent or USER_AGENT
    headers = {
        "content-type": _CBOR,
        "accept": _CBOR,
        "smithy-protocol": "rpc-v2-cbor",
        "user-agent": agent,
        "x-amz-user-agent": agent,
        "amz-sdk-request": "attempt=1; max=1",
    }
    if access_token:
        if not _COOKIE_VALUE.fullmatch(access_token):
            raise UpstreamFailed("The access token has characters that the portal's cookie cannot carry")
        headers["authorization"] = f"Bearer {access_token}"
        headers["cookie"] = f"Idp={identity}; AccessToken={access_token}"
    url = f"{(base_url or PORTAL).rstrip('/')}{_PATH}{operation}"
    return PortalCall(url, headers, encode(members))


def encode(members: Mapping[str, Json]) -> bytes:
    """A CBOR map."""
    import cbor2  # here, so that only who asks the portal pays for it

    return bytes(cbor2.dumps(dict(members)))


def decode(body: bytes) -> Json:
    """The value that `body` is. Raises UpstreamFailed where it is no CBOR, or larger than any answer there is."""
    import cbor2

    if len(body) > _LARGEST:
        raise UpstreamFailed(f"Kiro's portal sent {len(body)} bytes, more than any answer of its has")
    try:
        value = cbor2.loads(body)
    except (cbor2.CBORError, ValueError, OverflowError, RecursionError, MemoryError, TypeError) as error:
        raise UpstreamFailed(f"The answer of Kiro's portal is not readable as CBOR ({type(error).__name__})") from error
    return _plain(value, _DEEPEST)


def refusal(status: int, headers: Mapping[str, str], body: bytes, *, account: str = "") -> KirotrioError:
    """The error that an answer of the portal other than 200 means. Never raises.

    423, or the type AccountSuspendedException whatever the status, is AccountSuspended.
    """
    try:
        said = decode(body)
    except UpstreamFailed:
        said = None
    if isinstance(said, dict):
        body = orjson.dumps(said)
    return from_response(status, headers, body, account=account)


def _plain(value: Any, deepest: int) -> Json:
    """JSON values alone. A map's keys are texts; other entries are left out."""
    match value:
        case None | bool():
            return value
        case str():
            # CBOR's texts are Unicode, but a decoder may let half of a pair through, which JSON cannot carry.
            return value.encode("utf-8", "replace").decode()
        case int():
            return value if abs(value) < 2**63 else None
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            return value.timestamp()
        case date():
            return value.isoformat()
        case Mapping() if deepest:
            return {
                str(_plain(key, 0)): _plain(entry, deepest - 1) for key, entry in value.items() if isinstance(key, str)
            }
        case list() | tuple() if deepest:
            return [_plain(entry, deepest - 1) for entry in value]
    return None
