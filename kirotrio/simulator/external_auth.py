"""A company's own sign-in: how the portal finds it, and an OpenID provider of Entra's shape (KIRO_PROTOCOL 5.4).

Its addresses are those of the real host, as the client has to check them; `upstream.auth_url` leads the calls here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import orjson

from kirotrio.simulator.accounts import AccountBook, Grant, Kind, RefreshTokenDead, RefreshTokenUnknown, jwt
from kirotrio.simulator.answers import Call, Reply, json_reply
from kirotrio.simulator.browsing import BadPage, bad, members, sent_back
from kirotrio.simulator.portal import Operation, PortalRefused
from kirotrio.simulator.sign_ins import Refusal, SignIns

EXTERNAL_CLIENT_ID: Final = "11111111-2222-3333-4444-555555555555"
TENANT: Final = "simulated-tenant"
ISSUER: Final = f"https://login.microsoftonline.com/{TENANT}/v2.0"
DISCOVERY_PATH: Final = f"/{TENANT}/v2.0/.well-known/openid-configuration"
AUTHORIZE_PATH: Final = f"/{TENANT}/oauth2/v2.0/authorize"
TOKEN_PATH: Final = f"/{TENANT}/oauth2/v2.0/token"
SCOPES: Final = (f"api://{EXTERNAL_CLIENT_ID}/codewhisperer:completions", "openid", "email", "offline_access")
_HOST = "https://login.microsoftonline.com"
_KINDS = (Kind.EXTERNAL,)


def portal_operations(sign_ins: SignIns) -> dict[str, Operation]:
    """GetLoginMetadata: which sign-in a mail domain has. Nobody is signed in when it is called."""

    def login_metadata(_book: AccountBook, _call: Call, body: Mapping[str, Any]) -> Mapping[str, Any]:
        domain = body.get("domainName")
        if body.keys() != {"domainName"} or not isinstance(domain, str) or "." not in domain or "@" in domain:
            raise PortalRefused(400, "ValidationException", "domainName is required, and nothing else")
        if domain != sign_ins.person.domain:
            return {"found": False}
        return {"found": True, "clientId": EXTERNAL_CLIENT_ID, "issuerUrl": ISSUER, "scopes": list(SCOPES)}

    return {"GetLoginMetadata": login_metadata}


def discovery(_sign_ins: SignIns, _call: Call) -> Reply:
    """`GET {issuer}/.well-known/openid-configuration`."""
    return json_reply(
        {
            "issuer": ISSUER,
            "authorization_endpoint": _HOST + AUTHORIZE_PATH,
            "token_endpoint": _HOST + TOKEN_PATH,
            "jwks_uri": f"{_HOST}/{TENANT}/discovery/v2.0/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
        }
    )


def authorize(sign_ins: SignIns, call: Call) -> Reply:
    """The sign-in page. A native client may come back to any port of this machine."""
    names = ("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method")
    try:
        query = members(call, names)
        if query["client_id"] != EXTERNAL_CLIENT_ID or query["response_type"] != "code":
            raise BadPage("the client is not known, or response_type is not code")
        back = urlsplit(query["redirect_uri"])
        if back.scheme != "http" or back.hostname not in ("localhost", "127.0.0.1"):
            raise BadPage("redirect_uri has to be on this machine")
        _check_scope(query["scope"])
    except BadPage as wrong:
        return bad(wrong)
    return sent_back(
        sign_ins,
        query["redirect_uri"],
        query["state"],
        lambda: sign_ins.begin_code(
            Kind.EXTERNAL,
            EXTERNAL_CLIENT_ID,
            redirect_uri=query["redirect_uri"],
            challenge=query["code_challenge"],
        ),
    )


def create_token(sign_ins: SignIns, call: Call) -> Reply:
    """The token endpoint: a form in snake_case, for a code or a refresh token."""
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return _error("invalid_request", "the body has to be a form")
    form = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
    if form.get("client_id") != EXTERNAL_CLIENT_ID:
        return _error("unauthorized_client", "the client is not known in this tenant")
    try:
        if "scope" in form:
            _check_scope(form["scope"])
        match form.get("grant_type"):
            case "authorization_code":
                redirect_uri, verifier = form.get("redirect_uri"), form.get("code_verifier")
                grant = sign_ins.redeem(
                    form.get("code"), _KINDS, EXTERNAL_CLIENT_ID, redirect_uri=redirect_uri, verifier=verifier
                )
            case "refresh_token":
                token = form.get("refresh_token", "")
                grant = sign_ins.book.refresh(token, _KINDS, client_id=EXTERNAL_CLIENT_ID)
            case _:
                return _error("unsupported_grant_type", "grant_type has to be authorization_code or refresh_token")
    except (BadPage, Refusal, RefreshTokenDead, RefreshTokenUnknown) as refused:
        name = "invalid_scope" if isinstance(refused, BadPage) else "invalid_grant"
        return _error(name, str(refused) or "the refresh token is not accepted")
    return _token_reply(grant)


def _token_reply(grant: Grant) -> Reply:
    claims = {"oid": grant.account.user_id, "preferred_username": grant.account.email, "iss": ISSUER}
    document = {
        "token_type": "Bearer",
        "scope": " ".join(SCOPES),
        "expires_in": str(grant.expires_in),  # a number or a number as text: both occur
        "access_token": grant.access_token,
        "refresh_token": grant.refresh_token,
        "id_token": jwt(claims),
    }
    return json_reply(document, account=grant.account.name)


def _check_scope(scope: str) -> None:
    if not set(SCOPES).issuperset(scope.split(" ")):
        raise BadPage("a scope that is not known")


def _error(name: str, description: str) -> Reply:
    body = orjson.dumps({"error": name, "error_description": f"AADSTS900000: {description}", "error_codes": [900000]})
    return Reply(400, {"content-type": "application/json"}, body, note=name)
