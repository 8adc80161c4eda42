"""Stores with something in every table, and all that is in them as a value."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select

from kirotrio.store import schema
from kirotrio.store.accounts import AccountRecord, Secrets, add, all_accounts
from kirotrio.store.database import Database
from kirotrio.store.vault import Vault


def fill(database: Database, vault: Vault, *names: str) -> None:
    """Accounts of these names, and a row in every other table that a backup has."""
    for name in names:
        secrets = Secrets(refresh_token=f"token {name}")
        record = AccountRecord(id=f"id-{name}", name=name, kind="social", secrets=secrets)

        def put(connection: Any, record: AccountRecord = record, name: str = name) -> None:
            add(connection, vault, record)
            cooldown = {"account_id": record.id, "blame": "rate", "reason": "so", "began_at": 1.5, "until": 1e300}
            connection.execute(insert(schema.cooldowns).values(model="", **cooldown))
            snapshot = {"account_id": record.id, "topic": "usage", "content": "{}", "fetched_at": 0.1}
            connection.execute(insert(schema.snapshots).values(**snapshot))
            succession = {"digest": name.ljust(64, "0"), "sealed": b"\0\xff" + name.encode(), "updated_at": 2.0}
            connection.execute(insert(schema.successors).values(**succession))
            request = {"id": f"request-{name}", "at": 3.25, "outcome": "ok", "seconds": 0.5, "credits": None}
            connection.execute(insert(schema.requests).values(**request))

        database.writing(put)


def tokens(database: Database, vault: Vault) -> dict[str, str]:
    records = database.reading(lambda connection: all_accounts(connection, vault))
    return {account.name: account.secrets.refresh_token for account in records}


def dump(database: Database) -> dict[str, list[str]]:
    """Every row of what a backup holds, but for what is sealed anew and counted on."""

    def read(connection: Any) -> dict[str, list[str]]:
        found = {}
        for table in schema.metadata.sorted_tables:
            if table in (*schema.PASSING, schema.meta):
                continue
            rows = [dict(row) for row in connection.execute(select(table)).mappings()]
            if table is schema.accounts:
                rows = [{**row, "sealed": bool(row["sealed"])} for row in rows]
            found[str(table.name)] = sorted(map(repr, rows))
        return found

    return database.reading(read)
