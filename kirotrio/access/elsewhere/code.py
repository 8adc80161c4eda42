"""The authorization code grant with PKCE (RFC 6749 4.1, RFC 7636), as all providers here speak it."""

from __future__ import annotations

import base64
import enum
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from attrs import field

from kirotrio.access.elsewhere.fetch import JSON, Fetch, Fetched, json_object
from kirotrio.access.elsewhere.identity import ElsewhereFailed, Trouble
from kirotrio.access.elsewhere.journey import Journey
from kirotrio.classes import frozen

_LONGEST_CODE = 4096
_LONGEST_TOKEN = 64 * 1024
_PERSONS = frozenset({"access_denied", "login_required", "interaction_required", "consent_required"})
"""Errors at the authorization endpoint that are the person's own decision."""
_OVER = frozenset({"invalid_grant", "bad_verification_code"})
"""The code is too old or was used already; GitHub has a name of its own for that."""
_PASSING = frozenset({"server_error", "temporarily_unavailable"})


class Proof(enum.Enum):
    """How the gateway shows the token endpoint who it is."""

    BASIC = "client_secret_basic"
    BODY = "client_secret_post"
    NONE = "none"
    """It has no secret; PKCE alone protects the code."""


@frozen
class Client:
    """What the provider knows this gateway as."""

    client_id: str
    client_secret: str = field(default="", repr=False)
    scope: str = ""


def authorization_url(
    endpoint: str, client: Client, journey: Journey, redirect_uri: str, more: Mapping[str, str] | None = None
) -> str:
    """Where to send the browser."""
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # type: ignore[import-untyped]  # it has no types

    url: str = prepare_grant_uri(
        endpoint,
        client.client_id,
        "code",
        redirect_uri=redirect_uri,
        scope=client.scope or None,
        state=journey.state,
        code_challenge=journey.challenge,
        code_challenge_method="S256",
        **(more or {}),
    )
    return url


def code_of(arguments: Mapping[str, str]) -> str:
    """The code that the browser brought. Raises ElsewhereFailed where it brought an error instead."""
    if error := arguments.get("error"):
        if error in _PERSONS:
            raise ElsewhereFailed("the person did not agree to the sign-in", Trouble.DECLINED)
        if error in _PASSING:
            raise ElsewhereFailed("the provider cannot sign anybody in at present", Trouble.UNREACHABLE)
        raise ElsewhereFailed(f"the provider refused the request ({_plain(error)})", Trouble.MISCONFIGURED)
    code = arguments.get("code", "")
    if not code or len(code) > _LONGEST_CODE:
        raise ElsewhereFailed("the provider's answer has no code", Trouble.UNTRUSTED)
    return code


async def tokens_for(
    code: str, endpoint: str, client: Client, proof: Proof, journey: Journey, redirect_uri: str, fetch: Fetch
) -> Tokens:
    """Exchange the code. Raises ElsewhereFailed."""
    from authlib.oauth2.rfc6749.parameters import prepare_token_request

    headers = {**JSON, "content-type": "application/x-www-form-urlencoded"}
    more = {}
    if proof is Proof.BASIC:
        # RFC 6749 2.3.1: both halves are form-encoded first, so that a colon in one does not end it.
        pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        more["client_id"] = client.client_id
        if proof is Proof.BODY:
            more["client_secret"] = client.client_secret
    body: str = prepare_token_request(
        "authorization_code", redirect_uri=redirect_uri, code=code, code_verifier=journey.verifier, **more
    )
    return _tokens(await fetch("POST", endpoint, headers=headers, body=body.encode()))


@frozen
class Tokens:
    access: str = field(repr=False)
    id: str = field(default="", repr=False)
    """The ID token; "" from a provider that does not speak OpenID."""


def _tokens(answer: Fetched) -> Tokens:
    if 400 <= answer.status < 500:
        raise _refused(_error_of(answer), answer.status)
    found: Mapping[str, Any] = json_object(answer, "token answer")
    if error := found.get("error"):  # GitHub says no with a status of 200
        raise _refused(_plain(error), answer.status)
    access, id_token = found.get("access_token"), found.get("id_token", "")
    if not isinstance(access, str) or not access or not isinstance(id_token, str):
        raise ElsewhereFailed("the provider's token answer has no access token", Trouble.UNTRUSTED)
    if str(found.get("token_type", "bearer")).lower() != "bearer":
        raise ElsewhereFailed("the provider's access token is of an unknown type", Trouble.UNTRUSTED)
    if len(access) > _LONGEST_TOKEN or len(id_token) > _LONGEST_TOKEN:
        raise ElsewhereFailed(f"the provider's token is longer than {_LONGEST_TOKEN} characters", Trouble.UNTRUSTED)
    return Tokens(access, id_token)


def _error_of(answer: Fetched) -> str:
    try:
        return _plain(json_object(Fetched(200, answer.body), "error").get("error"))
    except ElsewhereFailed:
        return ""


def _refused(error: str, status: int) -> ElsewhereFailed:
    if error in _OVER:
        return ElsewhereFailed("the provider says that the code is too old or was used already", Trouble.EXPIRED)
    if status == 429:
        return ElsewhereFailed("the provider asks for patience (429)", Trouble.UNREACHABLE)
    named = f" ({error})" if error else ""
    return ElsewhereFailed(f"the provider did not take the code: {status}{named}", Trouble.MISCONFIGURED)


def _plain(error: object) -> str:
    """An error's name if it looks like one: what a stranger can put into an address is not repeated otherwise."""
    text = error if isinstance(error, str) else ""
    return text if len(text) <= 40 and text.replace("_", "").isalpha() and text.isascii() else "an unknown error"
