"""A company's own sign-in, Microsoft Entra for one: found by mail domain, then OpenID Connect (KIRO_PROTOCOL 5.4).

The portal names the issuer and the issuer its endpoints; neither is trusted with more than it needs: each address
has to lie at a known host before anything is sent there.
"""

from __future__ import annotations

from typing import Any

import orjson

from kirotrio.accounts.credential import ExternalIdp
from kirotrio.accounts.endpoints import rebased
from kirotrio.accounts.sign_in.addresses import checked_domain, checked_identity_host
from kirotrio.accounts.sign_in.calls import Calls, unusable_answer
from kirotrio.accounts.sign_in.loopback import listening
from kirotrio.accounts.sign_in.proof import METHOD, Proof
from kirotrio.accounts.sign_in.social import PORTS
from kirotrio.accounts.sign_in.values import SignInFailed, SignInPlan
from kirotrio.accounts.tokens.answers import json_object, renewed, text_in
from kirotrio.classes import frozen
from kirotrio.kiro.portal import decode, portal_call

_REFRESHABLE = "offline_access"
"""The scope without which a sign-in brings no refresh token (OpenID Connect Core, 11)."""


@frozen
class _Company:
    """What the portal knows about a domain."""

    client_id: str
    issuer: str
    scopes: tuple[str, ...]

    @property
    def scope(self) -> str:
        return " ".join(self.scopes)


@frozen
class _Issuer:
    authorize: str
    token: str


async def by_browser(plan: SignInPlan, calls: Calls) -> tuple[ExternalIdp, dict[str, Any]]:
    """Send the person's browser to the company's sign-in page and wait for it to come back: the tokens, and what the
    ID token claims about the person ({} without one). Raises as `sign_in` does."""
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # type: ignore[import-untyped]  # it has no types

    company = await _company(calls, checked_domain(plan.domain))
    issuer = await _discover(calls, company.issuer)
    proof = Proof.new()
    deadline = calls.settings.deadlines.sign_in
    # Any port will do for this service; the seen ones come first, so that a firewall's exception fits both kinds.
    async with listening(proof, host="localhost", ports=(*PORTS, 0), call_deadline=deadline) as loopback:
        address = prepare_grant_uri(
            rebased(issuer.authorize, calls.auth_url),
            company.client_id,
            "code",
            redirect_uri=loopback.callback,
            scope=company.scope,
            state=proof.state,
            code_challenge=proof.challenge,
            code_challenge_method=METHOD,
        )
        calls.prompt.browser(address, calls.patience, loopback.came_to)
        code = await loopback.code(calls.patience)
    exchange = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": loopback.callback,
        "client_id": company.client_id,
        "code_verifier": proof.verifier,
        "scope": company.scope,
    }
    answer = await calls.wanted_form(rebased(issuer.token, calls.auth_url), exchange, "tokens")
    tokens = renewed(answer, calls.now())
    if not tokens.refresh_token:
        raise unusable_answer("a refresh token")
    credential = ExternalIdp(
        refresh_token=tokens.refresh_token,
        access_token=tokens.access_token,
        expires_at=tokens.expires_at,
        provider="ExternalIdp",
        token_endpoint=issuer.token,
        client_id=company.client_id,
        scope=company.scope,
    )
    return credential, _claims(text_in(json_object(answer) or {}, "id_token"))


async def _company(calls: Calls, domain: str) -> _Company:
    what = f"the sign-in of {domain}"
    upstream = calls.settings.upstream
    call = portal_call(
        "GetLoginMetadata",
        {"domainName": domain},
        base_url=upstream.portal_url.rstrip("/"),
        user_agent=upstream.user_agent,
    )
    answer = await calls.wanted(lambda: calls.once("POST", call.url, headers=call.headers, body=call.body), what)
    found = decode(answer.body)
    if not isinstance(found, dict):
        raise unusable_answer(what)
    if found.get("found") is False:
        raise SignInFailed(
            f"Kiro knows no sign-in for {domain}. Ask the company's administrator which one it is: an Identity Center "
            "(`kirotrio login identity-center --start-url …`), or another mail domain.",
            "unusable",
        )
    client_id, issuer = text_in(found, "clientId"), text_in(found, "issuerUrl")
    if not (client_id and issuer):
        raise unusable_answer(what)
    named = found.get("scopes")
    scopes = tuple(scope for scope in named if isinstance(scope, str)) if isinstance(named, list) else ()
    if _REFRESHABLE not in scopes:
        scopes = (*scopes, _REFRESHABLE)
    return _Company(client_id, checked_identity_host(issuer, "issuer"), scopes)


async def _discover(calls: Calls, issuer: str) -> _Issuer:
    """Its endpoints. That they lie at trusted hosts stands for the comparison with the issuer's own name, which
    Entra's shared issuers do not pass."""
    from authlib.oidc.discovery import get_well_known_url  # type: ignore[import-untyped]  # it has no types

    url = rebased(get_well_known_url(issuer, external=True), calls.auth_url)
    answer = await calls.wanted(lambda: calls.once("GET", url), "the company's sign-in endpoints")
    entry = json_object(answer) or {}
    authorize, token = text_in(entry, "authorization_endpoint"), text_in(entry, "token_endpoint")
    if not (authorize and token):
        raise unusable_answer("the company's sign-in endpoints")
    return _Issuer(checked_identity_host(authorize, "sign-in page"), checked_identity_host(token, "token endpoint"))


def _claims(id_token: str) -> dict[str, Any]:
    """What an ID token says. Its signature is not looked at: it came from the issuer itself over TLS (OpenID Connect
    Core, 3.1.3.7), and nothing but a name for the account hangs on it."""
    from authlib.common.encoding import urlsafe_b64decode  # type: ignore[import-untyped]  # it has no types

    try:
        claims = orjson.loads(urlsafe_b64decode(id_token.split(".")[1].encode()))
    except (ValueError, IndexError):  # no token, or none of three parts
        return {}
    return claims if isinstance(claims, dict) else {}
