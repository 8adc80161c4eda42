"""The sign-in calls: the desktop auth service's refresh (KIRO_PROTOCOL 5.1) and AWS SSO OIDC (5.2)."""

from __future__ import annotations

import time
from typing import Any

import orjson

from kirotrio.simulator.accounts import AccountBook, Grant, RefreshTokenDead, RefreshTokenUnknown, TokenState
from kirotrio.simulator.answers import Call, Reply, json_reply

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_TOKEN_MEMBERS = {"clientId", "clientSecret", "grantType", "refreshToken", "deviceCode", "code", "codeVerifier"}
_REGISTRATION_DAYS = 90


def refresh_social(book: AccountBook, call: Call) -> Reply:
    """`POST /refreshToken`: new tokens and the profile; the token that was sent is dead from now on."""
    body = _json_object(call)
    token = body.get("refreshToken") if body is not None else None
    if not isinstance(token, str):
        return json_reply({"message": "Invalid request", "error": "invalid_request"}, status=400)
    try:
        grant = book.refresh(token, social=True)
    except RefreshTokenDead:
        return _oidc_error("invalid_grant", "Invalid refresh token provided")
    except RefreshTokenUnknown:
        return json_reply({"message": "Bad credentials"}, status=401)
    return json_reply(
        {
            "accessToken": grant.access_token,
            "refreshToken": grant.refresh_token,
            "expiresIn": grant.expires_in,
            "profileArn": grant.account.profile_arn,
        },
        account=grant.account.name,
    )


def register_client(book: AccountBook, call: Call) -> Reply:
    """`POST /client/register`."""
    body = _json_object(call)
    if body is None or not isinstance(body.get("clientName"), str) or body.get("clientType") != "public":
        return _oidc_error("invalid_request", "clientName and clientType public are required, as JSON in camelCase")
    client_id, secret = book.register_client()
    now = int(time.time())
    expires = now + _REGISTRATION_DAYS * 86_400
    return json_reply(
        {"clientId": client_id, "clientSecret": secret, "clientIdIssuedAt": now, "clientSecretExpiresAt": expires}
    )


def authorize_device(book: AccountBook, call: Call) -> Reply:
    """`POST /device_authorization`. Nobody has to open the address: see `AccountBook.poll_device`."""
    body = _json_object(call)
    if body is None or not isinstance(body.get("startUrl"), str):
        return _oidc_error("invalid_request", "startUrl is required, as JSON in camelCase")
    if refused := _check_client(book, body):
        return refused
    code = book.begin_device(body["clientId"])
    address = "https://view.awsapps.com/start/#/device"
    return json_reply(
        {
            "deviceCode": code,
            "userCode": "SIMU-LATE",
            "verificationUri": address,
            "verificationUriComplete": f"{address}?user_code=SIMU-LATE",
            "expiresIn": 600,
            "interval": 1,
        }
    )


def create_token(book: AccountBook, call: Call) -> Reply:
    """`POST /token`: refresh, or the poll of a device sign-in. camelCase JSON only, and no `scope`."""
    body = _json_object(call)
    if body is None:
        return _oidc_error("invalid_request", "the body has to be a JSON object with content type application/json")
    if unknown := body.keys() - _TOKEN_MEMBERS:
        return _oidc_error("invalid_request", f"members that are not known: {', '.join(sorted(unknown))}")
    if refused := _check_client(book, body):
        return refused
    match body.get("grantType"):
        case "refresh_token":
            token = body.get("refreshToken")
            if not isinstance(token, str):
                return _oidc_error("invalid_request", "refreshToken is required")
            try:
                return _token_reply(book.refresh(token, social=False, client_id=body["clientId"]))
            except (RefreshTokenDead, RefreshTokenUnknown):
                return _oidc_error("invalid_grant", "Invalid refresh token provided")
        case "urn:ietf:params:oauth:grant-type:device_code":
            try:
                grant = book.poll_device(body.get("deviceCode"), body["clientId"])
            except KeyError:
                return _oidc_error("expired_token", "The device code is not known or no longer valid")
            return _token_reply(grant) if grant else _oidc_error("authorization_pending", "Not confirmed yet")
        case _:
            return _oidc_error("unsupported_grant_type", f"grantType has to be refresh_token or {_DEVICE_GRANT}")


def _check_client(book: AccountBook, body: dict[str, Any]) -> Reply | None:
    if not isinstance(body.get("clientId"), str) or not isinstance(body.get("clientSecret"), str):
        return _oidc_error("invalid_request", "clientId and clientSecret are required, in camelCase")
    match book.client_state(body["clientId"], body["clientSecret"]):
        case TokenState.VALID:
            return None
        case TokenState.EXPIRED:
            return _oidc_error("invalid_client", "Client is expired", status=401)
        case _:
            return _oidc_error("invalid_client", "Invalid client provided", status=401)


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


def _oidc_error(error: str, description: str, *, status: int = 400) -> Reply:
    type_name = "".join(word.capitalize() for word in error.split("_")) + "Exception"
    body = orjson.dumps({"error": error, "error_description": description})
    return Reply(status, {"content-type": "application/json", "x-amzn-errortype": type_name}, body, note=error)


def _json_object(call: Call) -> dict[str, Any] | None:
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return None
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None
