"""Seals secrets with AES-256-GCM, and finds the key to do so.

A sealed value: one byte version, eight bytes key id, twelve bytes nonce, then ciphertext and tag. What stands before
the ciphertext and the purpose are authenticated with it: a value that was damaged, or moved to another row, does not
open. Nonces are random, which is safe for 2^32 values of one key; a gateway seals a few each hour.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kirotrio.config.settings import StoreSettings
from kirotrio.store.sealer import KeyMissing, SealBroken
from kirotrio.store.secret_keys import ID_SIZE, KeyFile, SecretKey, SecretKeys, usable_keyring

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from kirotrio.store.database import Database

_VERSION = b"\x01"
_NONCE = 12
_TAG = 16
_HEAD = len(_VERSION) + ID_SIZE

KEY_FILE = "store.key"


class Vault:
    """A `Sealer` over the keys of an installation. Any number of threads may use it.

    A key is looked for when it is needed first and held from then on, so that a keyring which goes away later disturbs
    nothing. A value of an unknown key makes it look once more: another process may have changed the key.
    """

    def __init__(self, keys: SecretKeys) -> None:
        self.keys = keys
        self._lock = threading.Lock()
        self._known: dict[str, SecretKey] = {}
        self._current: SecretKey | None = None

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """With the key that `current` gave last. Raises SettingsError."""
        key = self._current or self.key(self.current(""))
        return seal_with(key, plain, purpose)

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Raises KeyMissing, SealBroken, SettingsError."""
        return open_with(self.key(key_id_of(sealed)), sealed, purpose)

    def current(self, named: str) -> str:
        """As `Sealer.current`. Raises KeyMissing, SettingsError."""
        if named:
            key = self.key(named)
        else:
            with self._lock:
                key = self._current or self.keys.make()
        self.add(key)
        self._current = key
        return key.id

    def key(self, key_id: str) -> SecretKey:
        """Raises KeyMissing, SettingsError."""
        with self._lock:
            if (key := self._known.get(key_id)) is None:
                key = self._known[key_id] = self.keys.find(key_id)
            return key

    def add(self, key: SecretKey) -> None:
        """Know this one too, without looking for it."""
        with self._lock:
            self._known[key.id] = key


def open_vault(database: Database, settings: StoreSettings, data_dir: Path) -> Vault:
    """The vault of this database. Blocking.

    Raises KeyMissing where the database holds secrets whose key is not to be had, SettingsError where the place of
    the keys cannot be used, StoreUnavailable.
    """
    vault = vault_of(settings, data_dir)
    database.reading(lambda connection: require_key(connection, vault))
    return vault


def vault_of(settings: StoreSettings, data_dir: Path) -> Vault:
    """The same without a look at the database."""
    deadline = settings.keyring_deadline
    file = KeyFile(settings.key_file or data_dir / KEY_FILE)
    return Vault(SecretKeys(file, lambda: usable_keyring(deadline), settings.key_source))


def require_key(connection: Connection, vault: Vault) -> None:
    """Raise KeyMissing where something is sealed with a key that is not to be had."""
    from kirotrio.store.sealing import holds_secrets, key_named

    require_named(vault, key_named(connection), lambda: holds_secrets(connection))


def require_named(vault: Vault, named: str, holds_secrets: Callable[[], bool]) -> None:
    """The same of a database that names this key ("" for none)."""
    if named:
        try:
            vault.current(named)
        except KeyMissing:
            if holds_secrets():
                raise


def key_id_of(sealed: bytes) -> str:
    """The id of the key that it takes. Raises SealBroken for what was never sealed."""
    if len(sealed) < _HEAD + _NONCE + _TAG or not sealed.startswith(_VERSION):
        raise SealBroken(
            "a secret in the database is damaged, or of a newer program; restore a backup or sign in again"
        )
    return sealed[len(_VERSION) : _HEAD].hex()


def seal_with(key: SecretKey, plain: bytes, purpose: str) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head, nonce = _VERSION + bytes.fromhex(key.id), os.urandom(_NONCE)
    return head + nonce + AESGCM(key.material).encrypt(nonce, plain, head + purpose.encode())


def open_with(key: SecretKey, sealed: bytes, purpose: str) -> bytes:
    """Raises SealBroken; it says where, never what."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head, nonce, rest = sealed[:_HEAD], sealed[_HEAD : _HEAD + _NONCE], sealed[_HEAD + _NONCE :]
    try:
        return AESGCM(key.material).decrypt(nonce, rest, head + purpose.encode())
    except InvalidTag:
        raise SealBroken(
            f"the secret at {purpose} in the database was altered or moved; restore a backup, or sign in again"
        ) from None
