"""What an OpenID provider says of itself (OpenID Connect Discovery 1.0), and its keys, as long as they are fresh."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import trio
from attrs import field

from kirotrio.access.elsewhere.code import Proof
from kirotrio.access.elsewhere.fetch import JSON, Fetch, json_object
from kirotrio.access.elsewhere.identity import ElsewhereFailed, Trouble
from kirotrio.classes import define, frozen

WELL_KNOWN: Final = "/.well-known/openid-configuration"
KEPT: Final = 3600.0
"""Seconds that a description and keys are taken as known."""
BETWEEN_LOOKS: Final = 30.0
"""Seconds between two looks at the keys, however many unknown ones tokens name."""
PAUSE: Final = 5.0
"""Seconds after a look that failed for which all others are told the same: strangers can ask for one at any rate."""


@frozen
class Description:
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    algorithms: tuple[str, ...]
    proof: Proof
    names_itself: bool
    """Whether it says in every answer which provider it is (RFC 9207)."""


@define(eq=False)
class Discovered:
    """One provider's description and keys. `now` is any clock in seconds."""

    issuer: str
    has_secret: bool
    now: Callable[[], float]
    _lock: trio.Lock = field(factory=trio.Lock)
    """One look at a time: who waits for it finds what it brought."""
    _description: Description | None = None
    _described_at: float = 0.0
    _keys: list[Any] | None = None
    _keys_at: float = 0.0
    _failed: ElsewhereFailed | None = None
    _failed_at: float = 0.0

    async def description(self, fetch: Fetch) -> Description:
        """Raises ElsewhereFailed."""
        async with self._lock:
            if self._description is None or self.now() - self._described_at > KEPT:
                address = self.issuer.rstrip("/") + WELL_KNOWN
                with self._paused():
                    document = json_object(await fetch("GET", address, headers=JSON), "description")
                    self._description = described(document, self.issuer, has_secret=self.has_secret)
                self._described_at = self.now()
            return self._description

    async def keys(self, fetch: Fetch, *, unless: list[Any] | None = None) -> list[Any]:
        """The provider's keys. `unless`: those that did not have the wanted one; then they are looked at anew, but not
        more often than all `BETWEEN_LOOKS` seconds. Raises ElsewhereFailed."""
        description = await self.description(fetch)
        async with self._lock:
            age = self.now() - self._keys_at
            known = self._keys
            if known is None or age > KEPT or (known is unless and age >= BETWEEN_LOOKS):
                with self._paused():
                    document = json_object(await fetch("GET", description.jwks_uri, headers=JSON), "set of keys")
                    keys = document.get("keys")
                    if not isinstance(keys, list):
                        raise ElsewhereFailed("the provider's set of keys has none", Trouble.MISCONFIGURED)
                self._keys, self._keys_at = keys, self.now()
                return keys
            return known

    @contextlib.contextmanager
    def _paused(self) -> Iterator[None]:
        """One look. Raises at once what the one before it met, if that was a moment ago."""
        if self._failed is not None and self.now() - self._failed_at < PAUSE:
            raise ElsewhereFailed(self._failed.message, self._failed.trouble)
        self._failed = None
        try:
            yield
        except ElsewhereFailed as error:
            self._failed, self._failed_at = ElsewhereFailed(error.message, error.trouble), self.now()
            raise


def described(document: Mapping[str, Any], issuer: str, *, has_secret: bool) -> Description:
    """The description that a document gives, if it is that of `issuer`. Raises ElsewhereFailed."""
    named = document.get("issuer")
    # Whether the address ends in a slash is the provider's to say; tokens are held against its own spelling.
    if not isinstance(named, str) or named.rstrip("/") != issuer.rstrip("/"):
        raise ElsewhereFailed(
            "sign_in.openid_issuer is not what the provider calls itself; copy its issuer as it stands in its "
            f"{WELL_KNOWN}",
            Trouble.MISCONFIGURED,
        )
    plain = urlsplit(issuer).scheme == "http"
    algorithms = document.get("id_token_signing_alg_values_supported", [])
    return Description(
        issuer=named,
        authorization_endpoint=_address(document, "authorization_endpoint", plain=plain),
        token_endpoint=_address(document, "token_endpoint", plain=plain),
        jwks_uri=_address(document, "jwks_uri", plain=plain),
        userinfo_endpoint=_address(document, "userinfo_endpoint", plain=plain, needed=False),
        algorithms=tuple(name for name in algorithms if isinstance(name, str)) if isinstance(algorithms, list) else (),
        proof=_proof(document.get("token_endpoint_auth_methods_supported"), has_secret=has_secret),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def check_issuer(issuer: str) -> None:
    """That what the provider says can be believed. Raises ElsewhereFailed."""
    parts = urlsplit(issuer)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ElsewhereFailed(
            "sign_in.openid_issuer begins with http://, so that anybody on the way could sign in as anybody; "
            "it has to begin with https://",
            Trouble.MISCONFIGURED,
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _address(document: Mapping[str, Any], name: str, *, plain: bool, needed: bool = True) -> str:
    url = document.get(name, "")
    if not url and not needed:
        return ""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        good = (
            bool(parts.hostname) and url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc
        )
    except ValueError:
        good = False
    if not good or parts.scheme not in (("https", "http") if plain else ("https",)):
        raise ElsewhereFailed(f"the provider's {name} is no https address", Trouble.MISCONFIGURED)
    return str(url)


def _proof(methods: object, *, has_secret: bool) -> Proof:
    if not has_secret:
        return Proof.NONE
    # Absent, it stands for client_secret_basic (Discovery 3).
    named = methods if isinstance(methods, list) else [Proof.BASIC.value]
    return Proof.BODY if Proof.BODY.value in named and Proof.BASIC.value not in named else Proof.BASIC
