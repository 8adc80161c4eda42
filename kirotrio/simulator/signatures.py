"""Signatures of native thinking: opaque, bound to account and model, and refused when anybody else made them.

KIRO_PROTOCOL 8.3 reports that the service binds them to the beginning of the conversation as well; that is left out,
since a gateway may rightly change that beginning (compaction, an edited system text).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

_OPAQUE = 208
_MAC = 32


class SignatureIssuer:
    """Issues signatures of a few hundred characters and recognises its own."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret or secrets.token_bytes(32)

    def issue(self, account: str, model: str) -> str:
        opaque = secrets.token_bytes(_OPAQUE)
        return base64.b64encode(opaque + self._mac(opaque, account, model)).decode()

    def issued(self, signature: object, account: str, model: str) -> bool:
        """Whether this issuer made `signature` for this account and model."""
        try:
            raw = base64.b64decode(signature, validate=True) if isinstance(signature, str) else b""
        except (binascii.Error, ValueError):
            return False
        return len(raw) == _OPAQUE + _MAC and hmac.compare_digest(
            raw[_OPAQUE:], self._mac(raw[:_OPAQUE], account, model)
        )

    def _mac(self, opaque: bytes, account: str, model: str) -> bytes:
        return hmac.digest(self._secret, b"\0".join([opaque, account.encode(), model.encode()]), hashlib.sha256)
