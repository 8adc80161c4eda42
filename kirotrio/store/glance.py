"""A look at SQLite's file with the driver alone, for a start: what a gateway has to know of a database in order.

SQLAlchemy, which all other work goes through, takes a quarter of a second to import, and a start half of one in all.
What is read here is what the same rows give through it (`tests/store/test_glance.py` holds that). Whatever is not as
it should be, be it a file that is not there, of another shape, damaged, locked or read-only, or something to tidy, is
no matter of this module: it says None, and the ordinary way is taken, which mends it or says what is wrong.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kirotrio.classes import frozen
from kirotrio.store.history import REVISION_TABLE, SHIPPED, History

MODE = "mode"
"""The name of the single value that `access.modes` keeps."""
_PATIENCE = 0.1
"""Seconds that another writer is waited for; the ordinary way waits longer."""


@frozen
class Glance:
    """`revision` counts the changes of accounts, `key_named` is the id of the key to their secrets ("" for none),
    `mode` the one that the gateway is in, as it lies there ("" for none); the rows by their columns."""

    revision: int
    key_named: str
    mode: str
    accounts: tuple[Mapping[str, Any], ...]
    cooldowns: tuple[Mapping[str, Any], ...]
    second_factors: bool = False
    """Whether a user has one."""

    @property
    def holds_secrets(self) -> bool:
        return self.second_factors or any(row["sealed"] for row in self.accounts)


def glance(path: Path, forgotten: float, history: History = SHIPPED) -> Glance | None:
    """What is in the file, None for whatever needs more than a look. Blocking; raises nothing.

    `forgotten`: successors of tokens that are older than this have to be removed, which is more than a look.
    """
    address = f"file:{quote(str(path.absolute()))}?mode=rw"
    try:
        with contextlib.closing(
            sqlite3.connect(address, uri=True, timeout=_PATIENCE, isolation_level=None)
        ) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN IMMEDIATE")  # which proves that it can be written
            try:
                return _read(connection, forgotten, history)
            finally:
                connection.execute("ROLLBACK")
    except (sqlite3.Error, OSError, ValueError):
        return None


def _read(connection: sqlite3.Connection, forgotten: float, history: History) -> Glance | None:
    shape = connection.execute(f"SELECT version_num FROM {REVISION_TABLE}").fetchall()  # noqa: S608 - no input
    if [row[0] for row in shape] != [history.newest]:
        return None
    untidy = "SELECT EXISTS (SELECT 1 FROM leases) OR EXISTS (SELECT 1 FROM successors WHERE updated_at < ?)"
    if (
        connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal"
        or (connection.execute(untidy, (forgotten,)).fetchone()[0])
    ):
        return None
    meta = {row["name"]: row["value"] for row in connection.execute("SELECT name, value FROM meta")}
    return Glance(
        int(meta.get("revision", 0)),
        meta.get("secret_key", ""),
        meta.get(MODE, ""),
        _rows(connection, "SELECT * FROM accounts"),
        _rows(connection, "SELECT * FROM cooldowns ORDER BY account_id, model"),
        bool(connection.execute("SELECT EXISTS (SELECT 1 FROM users WHERE sealed != x'')").fetchone()[0]),
    )


def _rows(connection: sqlite3.Connection, statement: str) -> tuple[Mapping[str, Any], ...]:
    return tuple(dict(row) for row in connection.execute(statement))
