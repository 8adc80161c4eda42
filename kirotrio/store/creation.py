"""SQLite's file made in the newest shape, where there is none, with the driver alone.

The migrations would do it as well, and do where this does not come to its end: but to load Alembic and SQLAlchemy takes
0.5 s and 28 MB, in a program that has no further use for the former. `migrations/newest.sql` is what they leave of an
empty database (`tests/store/test_creation.py` holds that, and says what to do after a new migration).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from kirotrio.store.files import PRIVATE
from kirotrio.store.history import SHIPPED

_PATIENCE = 0.1
"""Seconds that another writer is waited for; the ordinary way waits longer."""
NEWEST = SHIPPED.folder / "newest.sql"


def create(path: Path) -> bool:
    """Make the database, unless there is a file already. Blocking; raises nothing.

    True where it was made by this call. False leaves it to the ordinary way to find out what is the matter; what is
    left then is no file, or an empty database, or another's.
    """
    try:
        # For its owner alone; the files that SQLite puts beside it take after it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE))
        with contextlib.closing(sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            # Whoever starts at the same time may have been first, by the migrations.
            if connection.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0]:
                return False
            for statement in statements(NEWEST.read_text(encoding="utf-8")):
                connection.execute(statement)
            connection.execute("COMMIT")
    except (sqlite3.Error, OSError, ValueError):
        return False
    return True


def statements(script: str) -> list[str]:
    """One by one, because the driver commits before it runs a whole script."""
    return [statement for part in script.split(";\n") if (statement := part.strip())]
