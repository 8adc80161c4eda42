"""The desktop sign-in service and its page: refresh, codes for a browser and for another device (KIRO_PROTOCOL 5.1).

Bodies are snake_case for a code and camelCase for everything else, answers camelCase.
"""

from __future__ import annotations

import re

from kirotrio.simulator.accounts import Grant, Kind, RefreshTokenDead, RefreshTokenUnknown
from kirotrio.simulator.answers import Call, Reply, json_reply
from kirotrio.simulator.auth import json_object, oidc_error
from kirotrio.simulator.browsing import BadPage, bad, members, sent_back
from kirotrio.simulator.sign_ins import Refusal, SignIns

_CLIENT = "kiro-cli"
_PROVIDERS = ("Google", "Github")
_KINDS = (Kind.SOCIAL,)
_EDITOR = "kiro://kiro.kiroAgent/authenticate-success"
_LOOPBACK = re.compile(r"http://localhost:(?:3128|1987[6-9]|19880)")
_CALLBACK = "/oauth/callback"
_PAGE = "https://app.kiro.dev/device"


def refresh_social(sign_ins: SignIns, call: Call) -> Reply:
    """`POST /refreshToken`: new tokens and the profile; the token that was sent is dead from now on."""
    body = json_object(call)
    token = body.get("refreshToken") if body is not None else None
    if not isinstance(token, str):
        return _invalid("refreshToken")
    try:
        return _token_reply(sign_ins.book.refresh(token, _KINDS))
    except RefreshTokenDead:
        return oidc_error("invalid_grant", "Invalid refresh token provided")
    except RefreshTokenUnknown:
        return json_reply({"message": "Bad credentials"}, status=401)


def login(sign_ins: SignIns, call: Call) -> Reply:
    """`GET /login`: the page of one provider, which goes back to exactly `redirect_uri`."""
    try:
        names = ("idp", "redirect_uri", "code_challenge", "code_challenge_method", "state")
        query = members(call, names)
        if query["idp"] not in _PROVIDERS:
            raise BadPage(f"idp has to be one of {', '.join(_PROVIDERS)}")
        return _begun(sign_ins, query["redirect_uri"], query["redirect_uri"], query["state"], query["code_challenge"])
    except BadPage as wrong:
        return bad(wrong)


def sign_in_page(sign_ins: SignIns, call: Call) -> Reply:
    """`GET /signin`: the portal's page, which lets the person choose and goes back to a path below `redirect_uri`."""
    try:
        names = ("state", "code_challenge", "redirect_uri", "redirect_from")
        query = members(call, names, ("code_challenge_method",))
        if query["redirect_from"] not in ("KiroIDE", "KiroCLI"):
            raise BadPage("redirect_from has to be KiroIDE or KiroCLI")
        if not _LOOPBACK.fullmatch(query["redirect_uri"]):
            raise BadPage("redirect_uri has to be http://localhost at one of the known ports, without a path")
        back = query["redirect_uri"] + _CALLBACK
        return _begun(sign_ins, back, query["redirect_uri"], query["state"], query["code_challenge"])
    except BadPage as wrong:
        return bad(wrong)


def exchange_code(sign_ins: SignIns, call: Call) -> Reply:
    """`POST /oauth/token`: a browser's code for tokens."""
    body = json_object(call)
    if body is None or body.keys() != {"code", "code_verifier", "redirect_uri"}:
        return _invalid("code, code_verifier, redirect_uri")
    redirect_uri, verifier = body["redirect_uri"], body["code_verifier"]
    try:
        return _token_reply(sign_ins.redeem(body["code"], _KINDS, "", redirect_uri=redirect_uri, verifier=verifier))
    except Refusal as refusal:
        return oidc_error(refusal.error, str(refusal))


def authorize_device(sign_ins: SignIns, call: Call) -> Reply:
    """`POST /oauth/device/authorization`. Times are milliseconds here."""
    body = json_object(call)
    if body is None or body.keys() != {"clientId", "loginProvider"}:
        return _invalid("clientId, loginProvider")
    if body["clientId"] != _CLIENT:
        return oidc_error("invalid_client", "The client is not known", status=401)
    provider = body["loginProvider"]
    if provider not in _PROVIDERS:
        return _invalid(f"loginProvider, one of {', '.join(_PROVIDERS)}")
    code = sign_ins.begin_device(Kind.SOCIAL, _CLIENT, provider=provider)
    return json_reply(
        {
            "deviceCode": code,
            "userCode": "SIMU-LATE",
            "verificationUri": _PAGE,
            "verificationUriComplete": f"{_PAGE}?user_code=SIMU-LATE",
            "intervalInMilliseconds": round(sign_ins.interval * 1000),
            "expiresInMilliseconds": round(sign_ins.device_life * 1000),
        }
    )


def poll_device(sign_ins: SignIns, call: Call) -> Reply:
    """`POST /oauth/device/poll`. Whatever the sign-in's state, the status is 200, and tokens have no time to live."""
    body = json_object(call)
    if body is None or body.keys() != {"clientId", "deviceCode"}:
        return _invalid("clientId, deviceCode")
    try:
        grant = sign_ins.poll(body["deviceCode"], _KINDS, str(body["clientId"]))
    except Refusal as refusal:
        if refusal.error == "invalid_grant":
            return oidc_error(refusal.error, str(refusal))
        return json_reply({"status": refusal.error})
    document = {
        "accessToken": grant.access_token,
        "refreshToken": grant.refresh_token,
        "profileArn": grant.account.profile_arn,
        "identityProvider": grant.account.identity,
        "status": "success",
    }
    return json_reply(document, account=grant.account.name)


def _begun(sign_ins: SignIns, back: str, redirect_uri: str, state: str, challenge: str) -> Reply:
    if redirect_uri != _EDITOR and not _LOOPBACK.match(redirect_uri):
        raise BadPage("redirect_uri is none that is known")
    return sent_back(
        sign_ins,
        back,
        state,
        lambda: sign_ins.begin_code(Kind.SOCIAL, "", redirect_uri=redirect_uri, challenge=challenge),
    )


def _token_reply(grant: Grant) -> Reply:
    return json_reply(
        {
            "accessToken": grant.access_token,
            "refreshToken": grant.refresh_token,
            "expiresIn": grant.expires_in,
            "profileArn": grant.account.profile_arn,
        },
        account=grant.account.name,
    )


def _invalid(wanted: str) -> Reply:
    return json_reply({"message": f"Invalid request: {wanted}", "error": "invalid_request"}, status=400)
