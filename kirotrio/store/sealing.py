"""Secrets in rows: with which key a transaction seals them. What seals and opens is a `sealer.Sealer`.

The database names the key that seals now (`meta.secret_key`). Whoever seals looks there inside its own change
(`revisions.begin_change`), so that a new key, which another process names, comes wholly before it or wholly after it:
nothing is ever sealed with a key that is about to be dropped.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table, delete, select

from kirotrio.store.columns import upsert
from kirotrio.store.schema import accounts, meta, users
from kirotrio.store.sealer import KeyMissing as KeyMissing
from kirotrio.store.sealer import SealBroken as SealBroken
from kirotrio.store.sealer import Sealer as Sealer
from kirotrio.store.sealer import purpose_of as purpose_of

SECRET_KEY = "secret_key"  # noqa: S105 - a name, not a secret
"""The row of `meta` that names the key which seals now."""

SEALED_COLUMNS: tuple[tuple[Table, str, str], ...] = ((accounts, "id", "sealed"), (users, "id", "sealed"))
"""Every column that a `Sealer` seals: table, column that names the row, column. What `successors` holds is sealed
otherwise, with the very token that it succeeds."""


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
