"""Credentials as other programs write them down: camelCase and snake_case, many names for the same kind
(KIRO_PROTOCOL 5.5). Reading one, and putting new tokens into one without disturbing the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from kirotrio.accounts.credential import ApiKey, Credential, ExternalIdp, Oidc, Rotating, Social
from kirotrio.accounts.endpoints import checked_region, checked_token_endpoint, real_arn
from kirotrio.accounts.expiry import format_expiry, known_expiry
from kirotrio.errors import AccountUnavailable
from kirotrio.kiro.endpoints import DEFAULT_REGION

SHORTEST_REFRESH_TOKEN = 100
"""Characters. A shorter one was cut on its way here (KIRO_PROTOCOL 5.2)."""

_KINDS = {
    "social": "social",
    "google": "social",
    "github": "social",
    "desktop": "social",
    "kirodesktop": "social",
    "idc": "oidc",
    "iam": "oidc",
    "oidc": "oidc",
    "sso": "oidc",
    "awsssooidc": "oidc",
    "awsidc": "oidc",
    "builderid": "oidc",
    "awsbuilderid": "oidc",
    "identitycenter": "oidc",
    "iamidentitycenter": "oidc",
    "enterprise": "oidc",
    "internal": "oidc",
    "externalidp": "external",
    "external": "external",
    "apikey": "api-key",
}
"""What is written as the method of a sign-in, in lower case and without dashes -> its kind."""

_PROVIDERS = {
    "google": "Google",
    "github": "Github",
    "builderid": "BuilderId",
    "awsbuilderid": "BuilderId",
    "identitycenter": "Enterprise",
    "iamidentitycenter": "Enterprise",
    "enterprise": "Enterprise",
    "internal": "Internal",
}
"""Those of them that say through whom it was made, too. `IdC` and `iam` stand for Builder ID as well."""


class Unreadable(AccountUnavailable):
    """A place holds something that is no usable credential. `torn`: it may have been caught while it was written."""

    def __init__(self, message: str, *, torn: bool = False) -> None:
        super().__init__(message)
        self.torn = torn


def decode_object(content: bytes | str, where: str) -> dict[str, Any]:
    """The JSON object in `content`. Raises Unreadable."""
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable(f"{where}: not readable as JSON; sign in again to have it written anew", torn=True) from None
    if not isinstance(value, dict):
        raise Unreadable(f"{where}: a JSON object was expected, with refreshToken or apiKey in it")
    return value


def pick(entry: Mapping[str, Any], name: str) -> Any:
    """The value of a camelCase `name` in either spelling; None where it is missing, null or ""."""
    for key in (name, _snake(name)):
        value = entry.get(key)
        if value is not None and value != "":
            return value
    return None


def pick_text(entry: Mapping[str, Any], name: str, where: str) -> str:
    """The same for a value that has to be text, without blanks around it; "" where there is none."""
    value = pick(entry, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable(f"{where}: {name} has to be text")
    return value.strip()


def checked_refresh_token(token: str, where: str) -> str:
    """`token`, unless it is missing or was cut. Raises Unreadable."""
    if not token:
        raise Unreadable(f"{where}: no refresh token is there; sign in again")
    if "..." in token or "…" in token:
        raise Unreadable(
            f'{where}: the refresh token was cut (it contains "..."); copy the whole of it or sign in again'
        )
    if len(token) < SHORTEST_REFRESH_TOKEN:
        raise Unreadable(
            f"{where}: the refresh token has only {len(token)} characters, a whole one has "
            f"{SHORTEST_REFRESH_TOKEN} or more; copy the whole of it or sign in again"
        )
    return token


def fits_a_header(token: str) -> bool:
    """Whether an access token can be sent: printable ASCII alone. Another one is damaged."""
    return token.isascii() and token.isprintable()


def kind_of(entry: Mapping[str, Any], registration: Mapping[str, Any] | None = None) -> str:
    """`social`, `oidc`, `external` or `api-key`: as the entry says, else by what stands in it."""
    said = _KINDS.get(_method(entry))
    if said:
        return said
    if pick(entry, "refreshToken") is None and _api_key_in(entry):
        return "api-key"
    if pick(entry, "tokenEndpoint"):
        return "external"
    client = registration or entry
    if pick(entry, "clientIdHash") or (pick(client, "clientId") and pick(client, "clientSecret")):
        return "oidc"
    return "social"


def parse_credential(
    entry: Mapping[str, Any],
    *,
    where: str,
    registration: Mapping[str, Any] | None = None,
    profile_arn: str = "",
) -> Credential:
    """The credential in a JSON object. Raises Unreadable (or AccountUnavailable) with a sentence beginning `where`.

    `registration` is the client's own object where that lies elsewhere; its expiry is the registration's and never
    the token's. `profile_arn` is used by kinds that need one, where the entry itself names none.
    """
    kind = kind_of(entry, registration)
    if kind == "api-key":
        key = _api_key_in(entry)
        if not key:
            raise Unreadable(f"{where}: it says api_key, but no apiKey is there")
        if not fits_a_header(key):
            raise Unreadable(f"{where}: the API key has characters that none has; copy the whole of it once more")
        return ApiKey(key)
    refresh_token = pick_text(entry, "refreshToken", where)
    access_token = pick_text(entry, "accessToken", where)
    if not fits_a_header(access_token):
        access_token = ""  # damaged: a refresh brings another
    expires_at = known_expiry(pick(entry, "expiresAt"))
    own_arn = real_arn(pick_text(entry, "profileArn", where))
    provider = pick_text(entry, "provider", where) or _PROVIDERS.get(_method(entry), "")
    sign_in_region = pick_text(entry, "ssoRegion", where) or pick_text(entry, "authRegion", where)
    if kind == "external":
        if not refresh_token:
            raise Unreadable(f"{where}: no refresh token is there; sign in again")
        endpoint = pick_text(entry, "tokenEndpoint", where)
        client_id = pick_text(entry, "clientId", where)
        if not endpoint or not client_id:
            raise Unreadable(f"{where}: a sign-in through an external provider needs tokenEndpoint and clientId")
        return ExternalIdp(
            refresh_token=refresh_token,
            access_token=access_token,
            expires_at=expires_at,
            profile_arn=own_arn or real_arn(profile_arn),
            provider=provider,
            token_endpoint=checked_token_endpoint(endpoint, where),
            client_id=client_id,
            scope=_scope(entry),
        )
    checked_refresh_token(refresh_token, where)
    if kind == "oidc":
        client = registration or entry
        client_id = pick_text(client, "clientId", where)
        client_secret = pick_text(client, "clientSecret", where)
        if not client_id or not client_secret:
            raise Unreadable(f"{where}: a Builder ID or Identity Center sign-in needs clientId and clientSecret")
        registered_until = pick(client, "clientSecretExpiresAt") or (registration and pick(registration, "expiresAt"))
        region = sign_in_region or pick_text(entry, "region", where) or DEFAULT_REGION
        found = Oidc(
            refresh_token=refresh_token,
            access_token=access_token,
            expires_at=expires_at,
            profile_arn=own_arn,
            provider=provider,
            client_id=client_id,
            client_secret=client_secret,
            sign_in_region=checked_region(region, where),
            start_url=pick_text(entry, "startUrl", where),
            registration_expires_at=known_expiry(registered_until),
        )
        if found.needs_profile and not own_arn and profile_arn:
            return found.with_profile(real_arn(profile_arn))
        return found
    # `region` of a social sign-in is where its data lives; the sign-in service is known in us-east-1 alone.
    return Social(
        refresh_token=refresh_token,
        access_token=access_token,
        expires_at=expires_at,
        profile_arn=own_arn,
        provider=provider,
        sign_in_region=checked_region(sign_in_region or DEFAULT_REGION, where),
    )


def refresh_token_in(entry: Mapping[str, Any]) -> str:
    """The refresh token that stands in an entry, "" if none."""
    token = pick(entry, "refreshToken")
    return token.strip() if isinstance(token, str) else ""


def with_new_tokens(entry: Mapping[str, Any], new: Rotating) -> dict[str, Any]:
    """A copy of `entry` with the tokens, expiry and (where one is known) profile of `new`.

    Every other key and the order stay; a value that stands there in both spellings is replaced in both; the expiry
    keeps the form it had.
    """
    updated = dict(entry)
    _put(updated, "accessToken", new.access_token)
    _put(updated, "refreshToken", new.refresh_token)
    if new.expires_at is not None:
        _put(updated, "expiresAt", format_expiry(new.expires_at, pick(entry, "expiresAt")))
    if isinstance(new, Social) and new.profile_arn:
        _put(updated, "profileArn", new.profile_arn)
    return updated


def _put(entry: dict[str, Any], name: str, value: Any) -> None:
    there = [key for key in (name, _snake(name)) if key in entry]
    if not there:
        there = [_snake(name) if "refresh_token" in entry else name]
    for key in there:
        entry[key] = value


def _method(entry: Mapping[str, Any]) -> str:
    method = pick(entry, "authMethod")
    return re.sub(r"[^a-z]", "", method.lower()) if isinstance(method, str) else ""


def _api_key_in(entry: Mapping[str, Any]) -> str:
    for name in ("apiKey", "kiroApiKey", "accessToken"):
        value = pick(entry, name)
        if isinstance(value, str) and (name != "accessToken" or value.startswith("ksk_")):
            return value.strip()
    return ""


def _scope(entry: Mapping[str, Any]) -> str:
    scopes = pick(entry, "scopes") or pick(entry, "scope")
    if isinstance(scopes, list):
        return " ".join(scope for scope in scopes if isinstance(scope, str))
    return scopes if isinstance(scopes, str) else ""


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()
