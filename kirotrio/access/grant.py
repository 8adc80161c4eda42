"""Who may ask, and with whose subscription: the caller of one request, after its key was read."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from attrs import field

from kirotrio.classes import define, frozen
from kirotrio.errors import AuthenticationFailed


@frozen
class Grant:
    """A valid key's rights. `credential` is the caller's own refresh token, where one came along with the key."""

    key_id: str
    credential: str | None = field(default=None, repr=False)
    accounts: frozenset[str] | None = None
    """The accounts that it may use, by name; None: all of them."""


@define
class Keyring:
    """The gateway keys that are accepted. Keys may contain colons."""

    _keys: Mapping[str, str] = field(repr=False)
    """Key id to key."""

    def admit(self, headers: Mapping[str, str]) -> Grant:
        """Read `x-api-key` and `Authorization: Bearer` (CONTRACT, Keys).

        One valid key is enough; with two, `x-api-key` names the caller. Raises AuthenticationFailed.
        """
        offered = [key for key in (headers.get("x-api-key"), _bearer(headers.get("authorization"))) if key]
        if not offered:
            raise AuthenticationFailed(
                "no key was sent; send the gateway's key as `x-api-key` or as `Authorization: Bearer …`"
            )
        for key in offered:
            if grant := self._grant(key):
                return grant
        raise AuthenticationFailed(
            "this key is not known to the gateway; send the one that `kirotrio keys show` prints, or the one set in "
            "server.api_key"
        )

    def is_own(self, grant: Grant) -> bool:
        """Whether it is that of a key which the gateway was started with."""
        return grant.key_id in self._keys

    def _grant(self, offered: str) -> Grant | None:
        """The longest key that `offered` is, or begins with before a colon. Every key is compared in full."""
        best: tuple[int, Grant] | None = None
        raw = offered.encode("utf-8", "surrogateescape")
        for key_id, key in self._keys.items():
            known = key.encode()
            whole = hmac.compare_digest(raw, known)
            prefix = hmac.compare_digest(raw[: len(known) + 1], known + b":") and len(raw) > len(known) + 1
            if (whole or prefix) and (best is None or len(known) > best[0]):
                best = (len(known), Grant(key_id, offered[len(key) + 1 :] if prefix else None))
        return best[1] if best else None


def _bearer(value: str | None) -> str | None:
    scheme, _, rest = (value or "").partition(" ")
    return rest.strip() or None if scheme.lower() == "bearer" else None
