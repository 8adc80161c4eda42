"""A new key for all secrets, and the way on when the key is lost. Either ends the stored responses, which soon pass.

The new key lasts in its place before anything is sealed with it; one transaction seals everything anew and names it;
the old one is dropped only then. Killed anywhere between, both keys are there, and the next call finishes what is left.
"""

from __future__ import annotations

import time

import orjson
from sqlalchemy import Connection, delete, select, update

from kirotrio.classes import frozen
from kirotrio.errors import Blame
from kirotrio.store import response_rows
from kirotrio.store.backup import key_ids_in, patient
from kirotrio.store.columns import upsert
from kirotrio.store.database import Database
from kirotrio.store.revisions import begin_change, bump
from kirotrio.store.schema import accounts, meta, users
from kirotrio.store.sealing import SEALED_COLUMNS, KeyMissing, holds_secrets, key_named, name_key, purpose_of
from kirotrio.store.secret_keys import KeyPlace, SecretKey
from kirotrio.store.vault import Vault, key_id_of, seal_with

RETIRED_KEYS = "retired_keys"
"""The row of `meta` that names keys which nothing is sealed with any more, and which are still to be dropped."""


@frozen
class Rotated:
    """`old_ids`: the keys that were dropped; `resealed`: how many values; `where`: the place of the new key."""

    new_id: str
    old_ids: tuple[str, ...]
    where: str
    resealed: int


def rotate_key(database: Database, vault: Vault) -> Rotated:
    """Seal every secret with a new key, and drop the old one. Blocking; may run beside gateways that use this database.

    Raises KeyMissing where a secret cannot be opened, SettingsError where the place of the keys cannot be used,
    StoreUnavailable. Then the old key is there still, and nothing is lost.
    """
    with patient(database, write=True) as connection:
        begin_change(connection)
        place, key = _new_key(connection, vault)
        before = {*key_ids_in(connection), *filter(None, [key_named(connection)])}
        resealed = reseal(connection, vault, key)
        response_rows.remove_all(connection)
        name_key(connection, key.id)
        _retire(connection, {*retired(connection), *before} - {key.id})
        bump(connection)
    old_ids = database.reading(retired)
    drop_retired(database, vault)
    return Rotated(key.id, tuple(sorted(old_ids)), place.where, resealed)


def reseal(connection: Connection, vault: Vault, key: SecretKey) -> int:
    """Everything that is sealed with another key, with this one; how many. Raises KeyMissing, SealBroken."""
    count = 0
    for table, row, column in SEALED_COLUMNS:
        for row_id, sealed in connection.execute(
            select(table.c[row], table.c[column]).where(table.c[column] != b"")
        ).all():
            if key_id_of(bytes(sealed)) == key.id:
                continue
            purpose = purpose_of(table.name, row_id, column)
            anew = seal_with(key, vault.open(bytes(sealed), purpose), purpose)
            connection.execute(update(table).where(table.c[row] == row_id).values({column: anew}))
            count += 1
    return count


def retired(connection: Connection) -> set[str]:
    """The ids of keys that are still to be dropped."""
    value = connection.scalar(select(meta.c.value).where(meta.c.name == RETIRED_KEYS))
    return set(orjson.loads(value)) if value else set()


def drop_retired(database: Database, vault: Vault) -> None:
    """Drop them from their places. One that something is sealed with after all is kept. Raises as `rotate_key`."""

    def drop(connection: Connection) -> None:
        begin_change(connection)
        for key_id in retired(connection) - {*key_ids_in(connection), key_named(connection)}:
            try:
                place, _ = vault.keys.place_of(key_id)
            except KeyMissing:
                continue
            place.drop(key_id)
        _retire(connection, set())

    database.writing(drop)


def forget_secrets(database: Database, *, now: float | None = None) -> list[str]:
    """Give up every secret whose key is lost; the accounts stay, and wait for a new sign-in. Returns their names.
    Users stay too, without their second factors."""

    def forget(connection: Connection) -> list[str]:
        begin_change(connection)
        sealed = accounts.c.sealed != b""
        rows = connection.execute(select(accounts.c.id, accounts.c.name, accounts.c.follows).where(sealed)).all()
        at = time.time() if now is None else now
        for row in rows:
            changes: dict[str, object] = {"sealed": b"", "updated_at": at}
            if not row.follows:  # the tokens of the others lie elsewhere
                reason = (
                    f"its secrets were given up with their key; `kirotrio login --again {row.name}` signs it in anew"
                )
                changes |= {"mark": Blame.SIGN_IN.value, "mark_reason": reason, "marked_at": at, "expires_at": None}
            connection.execute(update(accounts).where(accounts.c.id == row.id).values(changes))
        second_factors = users.c.sealed != b""
        connection.execute(
            update(users).where(second_factors).values(sealed=None, second_factor_at=None, updated_at=at)
        )
        response_rows.remove_all(connection)
        name_key(connection, "")
        _retire(connection, set())
        bump(connection)
        return sorted(row.name for row in rows if not row.follows)

    return database.writing(forget)


def _new_key(connection: Connection, vault: Vault) -> tuple[KeyPlace, SecretKey]:
    """It lies where the old one does. Raises KeyMissing, SettingsError."""
    named = key_named(connection)
    try:
        place: KeyPlace | None = vault.keys.place_of(named)[0] if named else None
    except KeyMissing:
        if holds_secrets(connection):
            raise
        place = None
    key = SecretKey.new()
    if place is None:
        place = vault.keys.install(key)
    else:
        place.add(key)
    vault.add(key)
    return place, key


def _retire(connection: Connection, key_ids: set[str]) -> None:
    if key_ids:
        value = orjson.dumps(sorted(key_ids)).decode()
        upsert(connection, meta, {"name": RETIRED_KEYS, "value": value}, keys=["name"])
    else:
        connection.execute(delete(meta).where(meta.c.name == RETIRED_KEYS))
