"""Keyrings of a test's own, in place of the system's."""

from __future__ import annotations

import threading
from pathlib import Path

from kirotrio.store.secret_keys import KeyFile, KeyringEntries, SecretKeys
from kirotrio.store.vault import Vault


class Keyring:
    """Keeps its entries in memory."""

    name = "a keyring of this test"
    priority = 5.0

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


class HangingKeyring(Keyring):
    """Waits for a person who is not there."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.let_go.wait()
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        self.let_go.wait()


class ForgetfulKeyring(Keyring):
    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class LockedKeyring(Keyring):
    """Refuses, with words that nobody is to read."""

    def get_password(self, service: str, username: str) -> str | None:
        raise RuntimeError("the secret word")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise RuntimeError(f"the secret word {password}")


def keys_in(folder: Path, keyring: Keyring | None = None, source: str = "auto", deadline: float = 60.0) -> SecretKeys:
    """The places of an installation whose data folder this is."""
    file = KeyFile(folder / "store.key")
    return SecretKeys(file, lambda: KeyringEntries(keyring, deadline) if keyring is not None else None, source)


def vault_in(folder: Path, keyring: Keyring | None = None, source: str = "auto") -> Vault:
    """A vault as another process would open it."""
    return Vault(keys_in(folder, keyring, source))
