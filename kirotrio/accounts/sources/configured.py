"""Credentials that a person wrote into a setting or sends with a request.

Refresh tokens rotate, and what the person wrote down stays: so the successor of a given token is kept in the store. It
is found by the SHA-256 of the given token and encrypted with a key derived from it, so that it can be opened only
while the given token is presented, and no key lies about.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, Protocol

import attrs
from attrs import field

from kirotrio.accounts.credential import ApiKey, Credential, Refreshable
from kirotrio.accounts.credential_json import checked_refresh_token
from kirotrio.accounts.expiry import known_expiry
from kirotrio.classes import frozen

_PURPOSE = b"kirotrio: successor of a refresh token, 1"
_NONCE = 12
_SALT = 16


class Successors(Protocol):
    """Where successors are kept. Every method blocks; raises OSError or StoreUnavailable where it cannot."""

    @property
    def where(self) -> str: ...

    def get(self, digest: str) -> bytes | None: ...

    def put(self, digest: str, sealed: bytes, *, in_place_of: bytes | None) -> bool:
        """False, with nothing changed, if something else than `in_place_of` is kept there by now."""

    def obstacle(self) -> str | None:
        """Why nothing can be kept, as a clause."""


@frozen
class ConfiguredStore:
    """`given` is the credential as the person wrote it."""

    given: Refreshable
    successors: Successors
    name: str = "default"
    where: str = "accounts.refresh_token"
    remedy: str = "sign in again and put the new refresh token into accounts.refresh_token"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.given.refresh_token.encode()).hexdigest()

    def read(self) -> Credential:
        checked_refresh_token(self.given.refresh_token, self.where)
        return self._opened(self.successors.get(self.digest)) or self.given

    def watched(self) -> tuple[Path, ...]:
        return ()

    def original(self) -> Refreshable | None:
        return self.given

    def obstacle(self) -> str | None:
        return self.successors.obstacle()

    def write_back(self, old_refresh_token: str, new: Refreshable) -> bool:
        before = self.successors.get(self.digest)
        if (self._opened(before) or self.given).refresh_token != old_refresh_token:
            return False
        tokens = {
            "refresh_token": new.refresh_token,
            "access_token": new.access_token,
            "expires_at": new.expires_at,
            "profile_arn": new.profile_arn,
        }
        sealed = seal(json.dumps(tokens).encode(), self.given.refresh_token)
        return self.successors.put(self.digest, sealed, in_place_of=before)

    def _opened(self, sealed: bytes | None) -> Refreshable | None:
        content = unseal(sealed, self.given.refresh_token) if sealed is not None else None
        if content is None:
            # None, damaged, or not ours: the given token is all there is, and the service knows whether it counts.
            return None
        tokens: dict[str, Any] = json.loads(content)
        return attrs.evolve(
            self.given,
            refresh_token=tokens["refresh_token"],
            access_token=tokens["access_token"],
            expires_at=known_expiry(tokens["expires_at"]),
            profile_arn=tokens["profile_arn"],
        )


@frozen
class ApiKeyStore:
    """An API key from a setting: nothing in it ever changes."""

    key: str = field(repr=False)
    name: str = "api-key"
    where: str = "accounts.api_key"
    remedy: str = "make a new key in the Kiro portal and put it into accounts.api_key"

    def read(self) -> Credential:
        return ApiKey(self.key.strip())

    def watched(self) -> tuple[Path, ...]:
        return ()

    def original(self) -> Refreshable | None:
        return None

    def obstacle(self) -> str | None:
        return None

    def write_back(self, old_refresh_token: str, new: Refreshable) -> bool:
        return False


def seal(content: bytes, secret: str) -> bytes:
    """`content` as a JSON object that only who knows `secret` can open or forge (HKDF-SHA256, AES-256-GCM)."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 50 ms, and not needed by every start

    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    sealed = AESGCM(_key(secret, salt)).encrypt(nonce, content, _PURPOSE)
    parts = {"salt": salt, "nonce": nonce, "sealed": sealed}
    return json.dumps({"version": 1, **{name: b64encode(part).decode() for name, part in parts.items()}}).encode()


def unseal(sealed: bytes, secret: str) -> bytes | None:
    """What `seal` was given; None if this was not sealed with `secret` or is damaged."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        parts = json.loads(sealed)
        salt, nonce, body = (b64decode(parts[name], validate=True) for name in ("salt", "nonce", "sealed"))
        return AESGCM(_key(secret, salt)).decrypt(nonce, body, _PURPOSE)
    except (ValueError, KeyError, TypeError, InvalidTag):
        return None


def _key(secret: str, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=_PURPOSE).derive(secret.encode())
