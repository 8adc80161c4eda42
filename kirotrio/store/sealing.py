"""Secrets in rows: what seals and opens them, and with which key a transaction does so.

The database names the key that seals now (`meta.secret_key`). Whoever seals looks there inside its own change
(`revisions.begin_change`), so that a new key, which another process names, comes wholly before it or wholly after it:
nothing is ever sealed with a key that is about to be dropped.
"""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection, Table, delete, select

from kirotrio.errors import KirotrioError, SettingsError
from kirotrio.store.columns import upsert
from kirotrio.store.schema import accounts, meta

SECRET_KEY = "secret_key"  # noqa: S105 - a name, not a secret
"""The row of `meta` that names the key which seals now."""

SEALED_COLUMNS: tuple[tuple[Table, str, str], ...] = ((accounts, "id", "sealed"),)
"""Every column that a `Sealer` seals: table, column that names the row, column. What `successors` holds is sealed
otherwise, with the very token that it succeeds."""


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
        """Never the same bytes twice. For rows of the database only `seal_in` calls it."""

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Raises KeyMissing, and SealBroken for what was not sealed for this purpose."""

    def current(self, named: str) -> str:
        """The id of the key that `seal` takes from now on: the one that the database names.

        "" where it names none yet: then one is made if there is none. Raises KeyMissing.
        """


def purpose_of(table: Table, row_id: str, column: str = "sealed") -> str:
    """Where a value lies, as one string: `accounts/ID/sealed`."""
    return f"{table.name}/{row_id}/{column}"


def seal_in(connection: Connection, sealer: Sealer, plain: bytes, purpose: str) -> bytes:
    """Seal with the key that the database names, within a change that has begun (`revisions.begin_change`).

    The first value that is sealed names the key. Raises KeyMissing where that key is not to be had.
    """
    named = key_named(connection)
    try:
        key_id = sealer.current(named)
    except KeyMissing:
        if holds_secrets(connection):
            raise
        key_id = sealer.current("")  # nothing is lost with the missing one
    if key_id != named:
        name_key(connection, key_id)
    return sealer.seal(plain, purpose)


def key_named(connection: Connection) -> str:
    """The id of the key that the database names, "" if none."""
    return connection.scalar(select(meta.c.value).where(meta.c.name == SECRET_KEY)) or ""


def name_key(connection: Connection, key_id: str) -> None:
    """Every sealed value has to be of that key when the transaction ends. "" names none."""
    if key_id:
        upsert(connection, meta, {"name": SECRET_KEY, "value": key_id}, keys=["name"])
    else:
        connection.execute(delete(meta).where(meta.c.name == SECRET_KEY))


def holds_secrets(connection: Connection) -> bool:
    """Whether anything is sealed in this database."""
    return any(
        connection.execute(select(table.c[row]).where(table.c[column] != b"").limit(1)).first() is not None
        for table, row, column in SEALED_COLUMNS
    )
