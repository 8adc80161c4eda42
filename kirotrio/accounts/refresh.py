"""One refresh call for each kind of sign-in, and what its answer means (KIRO_PROTOCOL 5.1, 5.2, 5.4)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from kirotrio.accounts.credential import Oidc, Refreshable, Renewed, Social
from kirotrio.accounts.credential_json import fits_a_header
from kirotrio.accounts.endpoints import oidc_token_url, real_arn, rebased, social_refresh_url
from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.errors import AccountUnavailable, Recovery, UpstreamFailed
from kirotrio.kiro.http_answer import HttpAnswer

DEFAULT_LIFETIME = 3600.0
"""Seconds, where an answer names none."""

_GRANT_DEAD = frozenset(
    {
        "invalidgrant",
        "invalidgrantexception",
        "expiredtoken",
        "expiredtokenexception",
        "accessdenied",
        "accessdeniedexception",
        "interactionrequired",
    }
)
_CLIENT_DEAD = frozenset(
    {
        "invalidclient",
        "invalidclientexception",
        "expiredclientexception",
        "unauthorizedclient",
        "unauthorizedclientexception",
    }
)
_SLOW_DOWN = frozenset({"slowdown", "slowdownexception"})
_SLOW_DOWN_PAUSE = 5.0


class SignInRefused(AccountUnavailable):
    """The service says that this sign-in is over. Final, unless somebody else has rotated the token meanwhile.

    `reason` is a clause.
    """

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason, upstream_status=status)
        self.reason = reason


class NetworkRefused(AccountUnavailable):
    """The service does not talk to this network; the sign-in itself is as good as before."""


async def refresh(
    http: HttpCalls,
    credential: Refreshable,
    *,
    auth_url: str = "",
    user_agent: str = "",
    deadline: float,
    now: Callable[[], float],
) -> Renewed:
    """Exchange the refresh token for new tokens, in one call of at most `deadline` seconds. `now`: epoch seconds.

    Raises SignInRefused (final), NetworkRefused, UpstreamFailed or DeadlineExceeded. A cancelled call may have
    rotated the token without anybody learning of the new one: shield it.
    """
    url, content_type, body = _call_for(credential, auth_url)
    headers = {"content-type": content_type, "accept": "application/json"}
    if user_agent:
        headers["user-agent"] = user_agent
    answer = await http.call("POST", url, headers=headers, body=body, deadline=deadline)
    if 200 <= answer.status < 300:
        return _renewed(answer, now())
    raise _failure(credential, answer)


def refresh_url(credential: Refreshable, auth_url: str = "") -> str:
    """Where this sign-in is refreshed."""
    if isinstance(credential, Social):
        return social_refresh_url(credential.sign_in_region, auth_url)
    if isinstance(credential, Oidc):
        return oidc_token_url(credential.sign_in_region, auth_url)
    return rebased(credential.token_endpoint, auth_url)


def _call_for(credential: Refreshable, auth_url: str) -> tuple[str, str, bytes]:
    url = refresh_url(credential, auth_url)
    if isinstance(credential, Social):
        return url, "application/json", json.dumps({"refreshToken": credential.refresh_token}).encode()
    if isinstance(credential, Oidc):
        members = {
            "grantType": "refresh_token",
            "refreshToken": credential.refresh_token,
            "clientId": credential.client_id,
            "clientSecret": credential.client_secret,
        }
        return url, "application/json", json.dumps(members).encode()
    form = {
        "grant_type": "refresh_token",
        "refresh_token": credential.refresh_token,
        "client_id": credential.client_id,
    }
    if credential.scope:
        form["scope"] = credential.scope
    return url, "application/x-www-form-urlencoded", urlencode(form).encode()


def _renewed(answer: HttpAnswer, now: float) -> Renewed:
    entry = _object(answer) or {}
    access_token = _text(entry, "accessToken", "access_token")
    if not access_token:
        raise UpstreamFailed("The sign-in service answered a refresh without an access token", recovery=Recovery.RETRY)
    if not fits_a_header(access_token):
        raise UpstreamFailed("The sign-in service answered with an access token that no header can carry")
    return Renewed(
        access_token=access_token,
        refresh_token=_text(entry, "refreshToken", "refresh_token"),
        expires_at=now + _lifetime(entry.get("expiresIn", entry.get("expires_in"))),
        profile_arn=real_arn(_text(entry, "profileArn", "profile_arn")),
    )


def _lifetime(value: Any) -> float:
    """Seconds, from a number or a number as text (KIRO_PROTOCOL 5.4)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return DEFAULT_LIFETIME
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return DEFAULT_LIFETIME
    return seconds if math.isfinite(seconds) and 0 < seconds < 1e9 else DEFAULT_LIFETIME


def _failure(credential: Refreshable, answer: HttpAnswer) -> AccountUnavailable | UpstreamFailed:
    entry = _object(answer)
    name = _error_name(entry, answer)
    plain = re.sub(r"[^a-z]", "", name.lower())
    status = answer.status
    called = f"{status} {name}".strip()
    if plain in _SLOW_DOWN:
        return _transient(called, status, _SLOW_DOWN_PAUSE)
    if status in (408, 429) or status >= 500:
        return _transient(called, status, _retry_after(answer))
    if status == 403 and (entry is None or isinstance(credential, Social)):
        # A firewall in front of the service says this, whatever the token (KIRO_PROTOCOL 5.1).
        return NetworkRefused(
            f"The sign-in service refuses calls from this network ({called}); the sign-in itself is not lost. "
            "Use another network, or a proxy (upstream.proxy_url).",
            upstream_status=status,
        )
    if plain in _CLIENT_DEAD:
        return SignInRefused(f"the registration of the client has expired or is unknown ({called})", status=status)
    if plain in _GRANT_DEAD or b"invalid_grant" in answer.body or b"Invalid refresh token" in answer.body:
        return SignInRefused(f"the refresh token is no longer accepted ({called})", status=status)
    if status in (401, 403):
        return SignInRefused(f"the refresh token is refused ({called})", status=status)
    return UpstreamFailed(f"The sign-in service does not take our refresh call ({called})", upstream_status=status)


def _transient(called: str, status: int, retry_after: float | None) -> UpstreamFailed:
    return UpstreamFailed(
        f"The sign-in service cannot refresh the token at present ({called})",
        recovery=Recovery.RETRY,
        retry_after=retry_after,
        upstream_status=status,
    )


def _error_name(entry: dict[str, Any] | None, answer: HttpAnswer) -> str:
    """What the error calls itself: `__type` first (KIRO_PROTOCOL 5.2). Names only, since an error's prose may
    repeat what was sent."""
    for key in ("__type", "error", "code"):
        value = (entry or {}).get(key)
        if isinstance(value, str) and value:
            return _clean(value.rpartition("#")[2])
    return _clean(answer.headers.get("x-amzn-errortype", "").partition(":")[0].rpartition("#")[2])


def _clean(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,59}", name) else ""


def _retry_after(answer: HttpAnswer) -> float | None:
    value = answer.headers.get("retry-after", "").strip()
    return float(value) if re.fullmatch(r"[0-9]{1,6}", value) else None


def _object(answer: HttpAnswer) -> dict[str, Any] | None:
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _text(entry: dict[str, Any], *keys: str) -> str:
    for key in keys:
        value = entry.get(key)
        if isinstance(value, str) and value:
            return value
    return ""
