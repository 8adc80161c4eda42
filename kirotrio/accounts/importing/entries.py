"""From the members of an account to a sign-in that can be kept, or the reason why not. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlsplit, urlunsplit

from attrs import field

from kirotrio.accounts.credential import Credential, Social
from kirotrio.accounts.credential_json import checked_refresh_token, fits_a_header, kind_of, parse_credential
from kirotrio.accounts.importing.fields import can_be_shown, plain, secrets_in
from kirotrio.accounts.importing.shapes import Found
from kirotrio.accounts.records import NO_PROXY
from kirotrio.accounts.records import kind_of as account_kind
from kirotrio.classes import frozen
from kirotrio.config.options import options
from kirotrio.config.values import FALSE, TRUE, Refused, parse
from kirotrio.errors import AccountUnavailable, SettingsError
from kirotrio.kiro.endpoints import DATA_REGIONS
from kirotrio.kiro.proxies import parse_proxy
from kirotrio.telemetry.redact import Redactor

_SOCIAL: Final = frozenset({"google", "github"})
_OIDC: Final = frozenset(
    {"builderid", "awsbuilderid", "enterprise", "internal", "awsidc", "idc", "identitycenter", "iamidentitycenter"}
)
"""What is written as the provider, in lower case and without dashes."""
_LOWEST_PRIORITY: Final = 1_000_000
_LONGEST_ID: Final = 200
_EMAIL = re.compile(r"[^@\s\x00-\x20\x7f]{1,64}@[^@\s\x00-\x20\x7f]{1,255}")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}")
_ROOM: Final = {
    "provider": 64,
    "profileArn": 256,
    "region": 32,
    "signInRegion": 32,
    "dataRegion": 32,
    "startUrl": 2048,
    "tokenEndpoint": 2048,
    "clientId": 4096,
    "scope": 4096,
}
"""Characters of what the store keeps as it is."""
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CUT = ("...", "…", "***", "•")
_DIRECT: Final = frozenset({"direct", "none"})
_WHERE = "entry"

Registration: TypeAlias = Callable[[str], Mapping[str, Any] | None]
"""A clientIdHash -> the client's registration, None where there is none."""


@frozen(kw_only=True)
class Entry:
    """An account to be taken over. `source` and `path` say where it was; `name` is what it was called there.

    `region` is of data calls, "" for what the profile or the settings say. `proxy_url` is as in `Secrets`. With
    `follows` (`records.following`) its tokens stay where they are. `notes` are sentences for the report.
    """

    source: str
    path: str
    credential: Credential
    name: str = ""
    email: str = ""
    user_id: str = ""
    region: str = ""
    priority: int | None = None
    enabled: bool = True
    proxy_url: str = field(default="", repr=False)
    follows: str = ""
    notes: tuple[str, ...] = ()


@frozen
class Refusal:
    """What cannot be taken over. `reason` is a sentence without a secret."""

    source: str
    path: str
    reason: str
    name: str = ""


class _Unfit(Exception):
    def __init__(self, member: str, reason: str) -> None:
        super().__init__(reason)
        self.member = member
        self.reason = reason


def entry_of(found: Found, source: str, registration: Registration | None = None) -> Entry | Refusal:
    """What `found` is worth. `registration` finds what a clientIdHash stands for; None where nothing lies beside."""
    called = _name(found)
    try:
        if found.problem:
            raise _Unfit("", found.problem)
        return _entry(found, source, called, registration)
    except _Unfit as unfit:
        return Refusal(source, _at(found.path, unfit.member), unfit.reason, called)
    except AccountUnavailable as error:
        return Refusal(source, found.path, error.message.removeprefix(f"{_WHERE}: "), called)


def _entry(found: Found, source: str, called: str, registration: Registration | None) -> Entry:
    fields = dict(found.fields)
    _set_method(fields)
    client = None
    if kind_of(fields) == "oidc" and not (fields.get("clientId") and fields.get("clientSecret")):
        client = _client(fields, registration)
    elif bool(fields.get("clientId")) != bool(fields.get("clientSecret")) and kind_of(fields) == "social":
        there, missing = ("clientId", "clientSecret") if fields.get("clientId") else ("clientSecret", "clientId")
        raise _Unfit(there, f"it is there and {missing} is not: a Builder ID or Identity Center sign-in needs both")
    kind = kind_of(fields, client)
    _check_token(fields, kind)
    _check_room(fields)
    region, notes = _regions(fields, kind)
    credential = parse_credential(fields, where=_WHERE, registration=client)
    email = _email(fields)
    return Entry(
        source=source,
        path=found.path,
        credential=credential,
        name=called or email,
        email=email,
        user_id=_short_text(fields, "userId"),
        region=region,
        priority=_priority(fields),
        enabled=_enabled(fields),
        proxy_url=_proxy(fields),
        notes=notes,
    )


def _set_method(fields: dict[str, Any]) -> None:
    """Where nothing says how it signed in, its provider does."""
    provider = fields.get("provider")
    if fields.get("authMethod") is None and isinstance(provider, str):
        if plain(provider) in _SOCIAL:
            fields["authMethod"] = "social"
        elif plain(provider) in _OIDC:
            fields["authMethod"] = "idc"


def _client(fields: Mapping[str, Any], registration: Registration | None) -> Mapping[str, Any]:
    digest = fields.get("clientIdHash")
    if digest is None:
        raise _Unfit("", "a Builder ID or Identity Center sign-in needs clientId and clientSecret")
    if not isinstance(digest, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", digest):  # it becomes a file name
        raise _Unfit("clientIdHash", "it is not a hash")
    client = registration(digest) if registration else None
    if client is None:
        named = f"{digest}.json" if _SHA.fullmatch(digest) else "the file that it names"
        beside = f"{named} is not there beside it" if registration else "it names a file that is not at hand here"
        raise _Unfit(
            "clientIdHash",
            f"{beside}, and the client's registration is in it; import kiro-auth-token.json from its own folder, or "
            "add clientId and clientSecret",
        )
    return client


def _check_token(fields: Mapping[str, Any], kind: str) -> None:
    if kind == "api-key":
        key = fields.get("apiKey") or fields.get("accessToken")
        if not isinstance(key, str):
            raise _Unfit("apiKey", "it has to be text")
        if not key.startswith("ksk_"):
            raise _Unfit("apiKey", "it is no key of Kiro's, which begins with ksk_")
        _check_whole(key, "apiKey", "key")
        return
    token = fields.get("refreshToken")
    if token is not None and not isinstance(token, str):
        raise _Unfit("refreshToken", "it has to be text")
    if token is None and isinstance(fields.get("apiKey"), str):
        raise _Unfit("apiKey", "it is no key of Kiro's, which begins with ksk_")
    try:
        whole = checked_refresh_token(token or "", _WHERE)
    except AccountUnavailable as error:
        raise _Unfit("refreshToken" if token else "", error.message.removeprefix(f"{_WHERE}: ")) from None
    _check_whole(whole, "refreshToken", "refresh token")


def _check_whole(token: str, member: str, noun: str) -> None:
    if any(sign in token for sign in _CUT):
        raise _Unfit(member, f"the {noun} was cut or hidden; copy the whole of it or sign in again")
    if not fits_a_header(token) or " " in token:
        raise _Unfit(member, f"the {noun} has characters that none has; copy the whole of it once more")


def _check_room(fields: Mapping[str, Any]) -> None:
    """Refuse what the store has no room for before a refresh brings something that must not be lost."""
    for member, longest in _ROOM.items():
        value = fields.get(member)
        if isinstance(value, str) and (len(value) > longest or not value.isprintable()):
            raise _Unfit(member, f"it has to be printable text of at most {longest} characters")


def _regions(fields: dict[str, Any], kind: str) -> tuple[str, tuple[str, ...]]:
    """The data region and what is to be said of it; the sign-in's is put where `parse_credential` looks for it.

    `region` alone is that of the sign-in for Builder ID and Identity Center, and of the data elsewhere.
    """
    for name in ("region", "signInRegion", "dataRegion"):
        value = fields.get(name)
        if value is not None and not (isinstance(value, str) and _REGION.fullmatch(value)):
            raise _Unfit(name if name == "region" else "", "a region has to be a name like us-east-1")
    common, sign_in, data = fields.pop("region", None), fields.pop("signInRegion", None), fields.pop("dataRegion", None)
    if kind == "oidc" and not sign_in:
        common, sign_in = None, common
    fields["ssoRegion"] = sign_in
    if data is not None and data not in DATA_REGIONS:
        return "", (f"no data service is known in {data}; the profile's region is used, else that of the settings",)
    named = data or common
    return (named if named in DATA_REGIONS else ""), ()


def _priority(fields: Mapping[str, Any]) -> int | None:
    value = fields.get("priority")
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,7}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LOWEST_PRIORITY:
        raise _Unfit("priority", f"it has to be a whole number from 0 to {_LOWEST_PRIORITY}")
    return value


def _enabled(fields: Mapping[str, Any]) -> bool:
    disabled, enabled = _truth(fields, "disabled"), _truth(fields, "enabled")
    return not disabled and enabled is not False


def _truth(fields: Mapping[str, Any], name: str) -> bool | None:
    value = fields.get(name)
    if value is None or isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, str | int) else ""
    if word not in TRUE | FALSE:
        raise _Unfit(name, "it has to be true or false")
    return word in TRUE


def _proxy(fields: Mapping[str, Any]) -> str:
    url = fields.get("proxyUrl")
    if url is None:
        return ""
    if isinstance(url, str) and url.lower() in _DIRECT:
        return NO_PROXY
    option = options()["upstream.proxy_url"]
    try:
        address = str(parse(option, url))
        parts = urlsplit(address)
    except (Refused, ValueError) as error:
        reason = str(error) if isinstance(error, Refused) else "it is not an address"
        raise _Unfit("proxyUrl", reason) from None
    user, password = fields.get("proxyUsername"), fields.get("proxyPassword")
    if user is None and password is None:
        return _usable(address)
    if not isinstance(user, str) or not isinstance(password, str | None):
        raise _Unfit("proxyUsername", "the proxy's user and password have to be text")
    signed_in = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    return _usable(urlunsplit(parts._replace(netloc=f"{signed_in}@{parts.netloc.rpartition('@')[2]}")))


def _usable(proxy_url: str) -> str:
    try:
        parse_proxy(proxy_url, "it")
    except SettingsError as error:
        raise _Unfit("proxyUrl", error.message.removeprefix("it: ")) from None
    return proxy_url


def _email(fields: Mapping[str, Any]) -> str:
    value = fields.get("email")
    if not isinstance(value, str) or not _EMAIL.fullmatch(value) or _shows(value, fields):
        return ""
    return value if can_be_shown(value.partition("@")[0]) else ""


def _short_text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or len(value) > _LONGEST_ID or not value.isprintable() or _shows(value, fields):
        return ""
    return value


def _name(found: Found) -> str:
    """What it is called where it comes from, "" if nothing that could be shown."""
    names = (*(found.fields.get(member) for member in ("name", "label", "nickname")), found.name)
    shown = (name for name in names if isinstance(name, str) and can_be_shown(name))
    return next((name for name in shown if not _shows(name, found.fields)), "")


def _shows(text: str, fields: Mapping[str, Any]) -> bool:
    """Whether a text of the account's would give away a secret of it."""
    return Redactor(secrets_in(fields)).text(text) != text or any(
        text in secret for secret in secrets_in(fields) if len(text) > 7
    )


def _at(path: str, member: str) -> str:
    return f"{path}.{member}" if path and member else path or member


def default_name(credential: Credential) -> str:
    """What to call an account that nobody gave a name."""
    if isinstance(credential, Social) and credential.provider:
        return credential.provider
    return account_kind(credential)
