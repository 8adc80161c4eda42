"""One refresh call for each kind of sign-in, and what its answer means (KIRO_PROTOCOL 5.1, 5.2, 5.4)."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlencode

import trio

from kirotrio.accounts.credential import Oidc, Refreshable, Renewed, Social
from kirotrio.accounts.endpoints import oidc_token_url, rebased, social_refresh_url
from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.terms import Terms
from kirotrio.accounts.tokens.answers import error_name, json_object, plain_name, renewed, retry_after
from kirotrio.errors import AccountUnavailable, Blame, DeadlineExceeded, Recovery, UpstreamFailed
from kirotrio.kiro.http_answer import HttpAnswer

_GRANT_DEAD = frozenset({"invalidgrant", "expiredtoken", "accessdenied", "interactionrequired"})
_CLIENT_DEAD = frozenset({"invalidclient", "expiredclient", "unauthorizedclient"})
_SLOW_DOWN_PAUSE = 5.0


class SignInRefused(AccountUnavailable):
    """The service says that this sign-in is over. Final, unless somebody else has rotated the token meanwhile.

    `reason` is a clause.
    """

    blame = Blame.SIGN_IN

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
    proxy_url: str | None = None,
) -> Renewed:
    """Exchange the refresh token for new tokens, in one call of at most `deadline` seconds. `now`: epoch seconds.

    Raises SignInRefused (final), NetworkRefused, UpstreamFailed or DeadlineExceeded. A cancelled call may have
    rotated the token without anybody learning of the new one: shield it.
    """
    url, content_type, body = _call_for(credential, auth_url)
    headers = {"content-type": content_type, "accept": "application/json"}
    if user_agent:
        headers["user-agent"] = user_agent
    answer = await http.call("POST", url, headers=headers, body=body, deadline=deadline, proxy_url=proxy_url)
    if 200 <= answer.status < 300:
        return renewed(answer, now())
    raise _failure(credential, answer)


async def refresh_by(http: HttpCalls, credential: Refreshable, terms: Terms, now: Callable[[], float]) -> Renewed:
    """The same by the terms of an account, and never longer than its deadline, wherever the time goes."""
    with trio.move_on_after(terms.deadline):
        return await refresh(
            http,
            credential,
            auth_url=terms.auth_url,
            user_agent=terms.user_agent,
            deadline=terms.deadline,
            now=now,
            proxy_url=terms.proxy_url,
        )
    raise DeadlineExceeded(
        f"The sign-in service did not answer within {terms.deadline:g} seconds", recovery=Recovery.RETRY
    )


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


def _failure(credential: Refreshable, answer: HttpAnswer) -> AccountUnavailable | UpstreamFailed:
    name = error_name(answer)
    plain = plain_name(name)
    status = answer.status
    called = f"{status} {name}".strip()
    if plain == "slowdown":
        return _transient(called, status, _SLOW_DOWN_PAUSE)
    if status in (408, 429) or status >= 500:
        return _transient(called, status, retry_after(answer))
    if status == 403 and (json_object(answer) is None or isinstance(credential, Social)):
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
