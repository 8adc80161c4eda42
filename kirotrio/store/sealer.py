"""What seals secrets and opens them, as an interface; which key does so is `sealing`'s.

It stands apart from the statements because a gateway that starts needs it before it needs SQLAlchemy.
"""

from __future__ import annotations

from typing import Protocol

from kirotrio.errors import KirotrioError, SettingsError


class KeyPlaceUnusable(SettingsError):
    """The place of the keys to the secrets cannot be used at present, or not as it is: a file, or the keyring."""


class KeyMissing(SettingsError):
    """The key to a sealed value is not to be had here. `looked`: where it was looked for, as a clause."""

    def __init__(self, key_id: str, looked: str) -> None:
        super().__init__(
            f"the key {key_id} to the secrets in the database is missing. It is not in {looked}. Copy it from the "
            "machine where it was made, or restore a backup that holds it: `kirotrio restore FILE`. Without either, "
            "give those secrets up with `kirotrio store forget-secrets`, and sign in again."
        )
        self.key_id = key_id
        self.looked = looked


class SealBroken(KirotrioError):
    """A sealed value is damaged, or was sealed for another place."""


class Sealer(Protocol):
    """What turns secrets into bytes that say nothing, and back. May be used from several threads.

    `purpose` is where the value lies (`purpose_of`): a sealed value that was moved elsewhere does not open.
    """

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Never the same bytes twice. For rows of the database only `sealing.seal_in` calls it."""

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Raises KeyMissing, and SealBroken for what was not sealed for this purpose."""

    def current(self, named: str) -> str:
        """The id of the key that `seal` takes from now on: the one that the database names.

        "" where it names none yet: then one is made if there is none. Raises KeyMissing.
        """


def purpose_of(table: str, row_id: str, column: str = "sealed") -> str:
    """Where a value lies, as one string: `accounts/ID/sealed`."""
    return f"{table}/{row_id}/{column}"
