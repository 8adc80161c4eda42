"""AWS SSO OIDC: clients, device codes, the sign-in page, tokens (KIRO_PROTOCOL 5.2). camelCase JSON only."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import urlsplit

import orjson

from kirotrio.simulator.accounts import AccountBook, Grant, Kind, RefreshTokenDead, RefreshTokenUnknown, TokenState
from kirotrio.simulator.answers import Call, Reply, json_reply
from kirotrio.simulator.browsing import BadPage, bad, members, sent_back
from kirotrio.simulator.sign_ins import BUILDER_ID_START_URL, Refusal, SignIns

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_CODE_GRANT = "authorization_code"
_GRANTS = {_DEVICE_GRANT, _CODE_GRANT, "refresh_token"}
_TOKEN_MEMBERS = {
    "clientId",
    "clientSecret",
    "grantType",
    "refreshToken",
    "deviceCode",
    "code",
    "codeVerifier",
    "redirectUri",
}
_REGISTRATION_MEMBERS = {"clientName", "clientType", "scopes", "grantTypes", "redirectUris", "issuerUrl"}
_SCOPES = {
    f"codewhisperer:{name}" for name in ("completions", "analysis", "conversations", "transformations", "taskassist")
}
_REGISTRATION_LIFE = 90 * 86_400.0
_OIDC = (Kind.BUILDER_ID, Kind.IDENTITY_CENTER)
_START_URL = re.compile(r"https://[a-z0-9.-]+(?:/[A-Za-z0-9/_-]*)?")


def register_client(sign_ins: SignIns, call: Call) -> Reply:
    """`POST /client/register`."""
    body = json_object(call)
    if body is None or not isinstance(body.get("clientName"), str) or body.get("clientType") != "public":
        return oidc_error("invalid_request", "clientName and clientType public are required, as JSON in camelCase")
    if unknown := body.keys() - _REGISTRATION_MEMBERS:
        return oidc_error("invalid_request", f"members that are not known: {', '.join(sorted(unknown))}")
    scopes, grants, redirects = (_texts(body.get(name)) for name in ("scopes", "grantTypes", "redirectUris"))
    if scopes is None or grants is None or redirects is None:
        return oidc_error("invalid_request", "scopes, grantTypes and redirectUris have to be lists of texts")
    if not scopes or not _SCOPES.issuperset(scopes):
        return oidc_error("invalid_scope", "no scopes, or scopes that are not known")
    if not _GRANTS.issuperset(grants):
        return oidc_error("unsupported_grant_type", "a grant type that is not known")
    if _CODE_GRANT in grants and not (redirects and all(map(_is_loopback, redirects)) and body.get("issuerUrl")):
        return oidc_error("invalid_redirect_uri", "redirectUris at http://127.0.0.1:PORT and issuerUrl are required")
    client_id, secret = sign_ins.book.register_client(
        lifetime=_REGISTRATION_LIFE, grants=grants, redirects=redirects, start_url=str(body.get("issuerUrl", ""))
    )
    now = int(time.time())
    expires = now + int(_REGISTRATION_LIFE)
    return json_reply(
        {"clientId": client_id, "clientSecret": secret, "clientIdIssuedAt": now, "clientSecretExpiresAt": expires}
    )


def authorize_device(sign_ins: SignIns, call: Call) -> Reply:
    """`POST /device_authorization`. Nobody has to open the address: `SignIns.person` says what comes of it."""
    body = json_object(call)
    start_url = body.get("startUrl") if body is not None else None
    if body is None or not isinstance(start_url, str) or not _START_URL.fullmatch(start_url):
        return oidc_error("invalid_request", "startUrl is required, as JSON in camelCase")
    if refused := _check_client(sign_ins.book, body, _DEVICE_GRANT):
        return refused
    code = sign_ins.begin_device(_kind(start_url), body["clientId"])
    address = f"{start_url.rstrip('/')}/#/device"
    return json_reply(
        {
            "deviceCode": code,
            "userCode": "SIMU-LATE",
            "verificationUri": address,
            "verificationUriComplete": f"{address}?user_code=SIMU-LATE",
            "expiresIn": round(sign_ins.device_life),
            "interval": _whole(sign_ins.interval),
        }
    )


def authorize(sign_ins: SignIns, call: Call) -> Reply:
    """`GET /authorize`: the sign-in page. The parameter is `scopes`."""
    names = ("response_type", "client_id", "redirect_uri", "scopes", "state", "code_challenge", "code_challenge_method")
    try:
        query = members(call, names)
        client = sign_ins.book.client(query["client_id"])
        if client is None or _CODE_GRANT not in client.grants:
            raise BadPage("the client is not known here, or not registered for this")
        if query["redirect_uri"] not in client.redirects:
            raise BadPage("redirect_uri is none of the registered ones")
        if query["response_type"] != "code" or not _SCOPES.issuperset(query["scopes"].split(" ")):
            raise BadPage("response_type has to be code, and scopes those that are known")
    except BadPage as wrong:
        return bad(wrong)
    return sent_back(
        sign_ins,
        query["redirect_uri"],
        query["state"],
        lambda: sign_ins.begin_code(
            _kind(client.start_url),
            query["client_id"],
            redirect_uri=query["redirect_uri"],
            challenge=query["code_challenge"],
        ),
    )


def create_token(sign_ins: SignIns, call: Call) -> Reply:
    """`POST /token`: refresh, the poll of a device sign-in, or a browser's code. No `scope` here."""
    body = json_object(call)
    if body is None:
        return oidc_error("invalid_request", "the body has to be a JSON object with content type application/json")
    if unknown := body.keys() - _TOKEN_MEMBERS:
        return oidc_error("invalid_request", f"members that are not known: {', '.join(sorted(unknown))}")
    grant_type = body.get("grantType")
    if refused := _check_client(sign_ins.book, body, str(grant_type) if grant_type in list(_GRANTS) else ""):
        return refused
    owner = body["clientId"]
    try:
        match grant_type:
            case "refresh_token":
                token = body.get("refreshToken")
                if not isinstance(token, str):
                    return oidc_error("invalid_request", "refreshToken is required")
                return _token_reply(sign_ins.book.refresh(token, _OIDC, client_id=owner))
            case "urn:ietf:params:oauth:grant-type:device_code":
                return _token_reply(sign_ins.poll(body.get("deviceCode"), _OIDC, owner))
            case "authorization_code":
                redirect_uri, verifier = body.get("redirectUri"), body.get("codeVerifier")
                grant = sign_ins.redeem(body.get("code"), _OIDC, owner, redirect_uri=redirect_uri, verifier=verifier)
                return _token_reply(grant)
            case _:
                known = ", ".join(sorted(_GRANTS))
                return oidc_error("unsupported_grant_type", f"grantType has to be one of {known}")
    except (RefreshTokenDead, RefreshTokenUnknown):
        return oidc_error("invalid_grant", "Invalid refresh token provided")
    except Refusal as refusal:
        return oidc_error(refusal.error, str(refusal))


def _check_client(book: AccountBook, body: dict[str, Any], grant: str) -> Reply | None:
    if not isinstance(body.get("clientId"), str) or not isinstance(body.get("clientSecret"), str):
        return oidc_error("invalid_request", "clientId and clientSecret are required, in camelCase")
    match book.client_state(body["clientId"], body["clientSecret"]):
        case TokenState.VALID:
            client = book.client(body["clientId"])
            if grant and client is not None and client.grants and grant not in client.grants:
                return oidc_error("unauthorized_client", "The client is not registered for this grant")
            return None
        case TokenState.EXPIRED:
            return oidc_error("invalid_client", "Client is expired", status=401)
        case _:
            return oidc_error("invalid_client", "Invalid client provided", status=401)


def _token_reply(grant: Grant) -> Reply:
    return json_reply(
        {
            "accessToken": grant.access_token,
            "refreshToken": grant.refresh_token,
            "tokenType": "Bearer",
            "expiresIn": grant.expires_in,
        },
        account=grant.account.name,
    )


def oidc_error(error: str, description: str, *, status: int = 400) -> Reply:
    """An OAuth error, and its name as AWS puts it into a header."""
    type_name = "".join(word.capitalize() for word in error.split("_")) + "Exception"
    body = orjson.dumps({"error": error, "error_description": description})
    return Reply(status, {"content-type": "application/json", "x-amzn-errortype": type_name}, body, note=error)


def json_object(call: Call) -> dict[str, Any] | None:
    """The body, None where it is no JSON object or does not say that it is."""
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return None
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _kind(start_url: str) -> Kind:
    return Kind.BUILDER_ID if start_url.rstrip("/") == BUILDER_ID_START_URL else Kind.IDENTITY_CENTER


def _texts(value: Any) -> tuple[str, ...] | None:
    """The texts of a list, none where there is none, None where it is something else."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list) and all(isinstance(text, str) for text in value) else None


def _is_loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and parts.hostname == "127.0.0.1" and bool(parts.port)
    except ValueError:
        return False


def _whole(seconds: float) -> float:
    """As the service writes it: whole seconds without a point; tests may want less than one."""
    return int(seconds) if seconds.is_integer() else seconds
