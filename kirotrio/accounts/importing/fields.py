"""The members of an account's JSON object under one name each, however they are spelled. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from kirotrio.telemetry.redact import Redactor

# fmt: off
_ALIASES: Final = {
    "refreshToken": (),
    "accessToken": (),
    "apiKey": ("kiroApiKey",),
    "expiresAt": ("expiry", "expiration"),
    "authMethod": ("authType",),
    "provider": ("idp", "identityProvider"),
    "clientId": (),
    "clientSecret": (),
    "clientIdHash": (),
    "clientSecretExpiresAt": (),
    "tokenEndpoint": (),
    "scope": (),
    "scopes": (),
    "startUrl": (),
    "profileArn": (),
    "region": (),
    "signInRegion": ("ssoRegion", "authRegion", "idcRegion", "oidcRegion"),
    "dataRegion": ("apiRegion",),
    "name": (),
    "label": (),
    "nickname": (),
    "email": ("userEmail",),
    "userId": (),
    "priority": (),
    "disabled": (),
    "enabled": (),
    "proxyUrl": ("proxy",),
    "proxyUsername": ("proxyUser",),
    "proxyPassword": (),
}
"""Our name of a member -> its other names; each of them in any case, with dashes or underscores anywhere."""
# fmt: on

SIGNS: Final = frozenset(
    {"refreshToken", "accessToken", "apiKey", "authMethod", "clientIdHash", "tokenEndpoint"},
)
"""An object with one of these, be it empty, is meant to be an account."""

_OF_THE_TOKEN: Final = frozenset({"refreshToken", "accessToken", "apiKey", "expiresAt"})

_SECRET: Final = frozenset({"refreshToken", "accessToken", "apiKey", "clientSecret", "proxyUrl", "proxyPassword"})


_LONGEST_LABEL: Final = 64
_LIKE_A_TOKEN = re.compile(r"[A-Za-z0-9+/=_:-]{24,}")


def plain(name: str) -> str:
    """A spelling's letters, without case, dashes and underscores."""
    return re.sub(r"[-_ ]", "", name).lower()


_NAMES: Final = {plain(alias): name for name, aliases in _ALIASES.items() for alias in (name, *aliases)}


def fields_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The members that are known, by our names. Of two spellings the first with something in it counts; a member that
    is there, but null or empty, is None. All others (`machineId`, usage, tags) are left out.
    """
    found: dict[str, Any] = {}
    for spelling, value in entry.items():
        name = _NAMES.get(plain(spelling)) if len(spelling) <= 40 else None
        if name is None:
            continue
        if isinstance(value, str):
            value = value.strip()
        if found.get(name) is None:
            found[name] = None if value == "" else value
    return found


def handed_down(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What an object says of the one account that is nested in it: all but tokens, and plain values alone."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and name not in _OF_THE_TOKEN and (name == "scopes" or not isinstance(value, dict | list))
    }


def completed(fields: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`fields`, with `defaults` where they say nothing."""
    return {**defaults, **{name: value for name, value in fields.items() if value is not None or name not in defaults}}


def can_be_shown(text: str) -> bool:
    """Whether a name or a label that somebody else chose may stand in a report: short, printable, and nothing that
    could be a token, which some programs use as a name."""
    return (
        0 < len(text) <= _LONGEST_LABEL
        and text.isprintable()
        and _LIKE_A_TOKEN.search(text) is None
        and Redactor().text(text) == text
    )


def secrets_in(fields: Mapping[str, Any]) -> set[str]:
    """What must not be shown of an account."""
    return {value for name in _SECRET if isinstance(value := fields.get(name), str) and value}
