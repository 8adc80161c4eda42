"""Opens the database, and first brings it to the shape that this program knows.

The migrations are Alembic's, in `migrations/versions`; a new one is added to `history.SHIPPED`, oldest first. Alembic
itself is loaded only where there is something to do. All steps run in one transaction under a lock, so that programs
that start at one time migrate once and a killed one leaves the old shape. SQLite's file is copied beforehand.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import ArgumentError

from kirotrio import __version__
from kirotrio.errors import SettingsError, StoreUnavailable
from kirotrio.store.database import Database, database_url, translated
from kirotrio.store.files import PRIVATE
from kirotrio.store.history import REVISION_TABLE as REVISION_TABLE
from kirotrio.store.history import SHIPPED as SHIPPED
from kirotrio.store.history import History as History
from kirotrio.store.history import check_folder

_LOCK = 0x6B69726F7472696F
"""PostgreSQL's advisory lock of those who migrate; the number is the name kirotrio in ASCII."""
_LOCK_WAIT = 60.0
_LONGEST_STEP = 600.0
_NO_DATABASE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def open_store(url: str, data_dir: Path, *, deadline: float, history: History = SHIPPED) -> Database:
    """The database of `store.url`, or of the data folder where that is empty, in the newest shape. Blocking.

    Raises SettingsError for an address that is none, a folder that cannot be used, a database that is newer than this
    program, damaged, or another program's; StoreUnavailable where it does not answer.
    """
    try:
        database = Database(database_url(url, data_dir), deadline=deadline)
        _ = database.engine  # a driver may refuse the address as well
    except (ArgumentError, ValueError):
        # Its own words may have a part of the password in them.
        raise SettingsError(
            "store.url is no address of a database; one looks like postgresql://user:password@host:5432/name, where "
            "special characters in the password are percent-encoded"
        ) from None
    try:
        if database.path is not None:
            check_folder(database.path.parent)
        migrate(database, history)
    except BaseException:
        database.close()
        raise
    return database


def migrate(database: Database, history: History = SHIPPED) -> Path | None:
    """Bring it to the newest shape; nothing happens to one that has it. Blocking.

    Returns where SQLite's file was copied to beforehand, None where nothing was to be kept. Raises as `open_store`.
    """
    with _explained(database):
        if database.reading(stored_revision) == history.newest:
            return None
        with translated(database.where), _alone(database) as connection:
            return _upgrade(database, connection, history)


def stored_revision(connection: Connection) -> str | None:
    """The revision that the database has; None for an empty one. Raises SettingsError for another program's."""
    tables = set(inspect(connection).get_table_names())
    if REVISION_TABLE in tables:
        found = connection.execute(text(f"SELECT version_num FROM {REVISION_TABLE}")).scalar()  # noqa: S608 - no input
        if found is not None:
            return str(found)
    if tables - {REVISION_TABLE}:
        raise SettingsError("it belongs to another program: its tables are not those of kirotrio")
    return None


def _upgrade(database: Database, connection: Connection, history: History) -> Path | None:
    """The connection is the only one that migrates; what the others did before is seen here."""
    stored = stored_revision(connection)
    if stored == history.newest:
        return None
    if stored is not None and stored not in history.revisions:
        way_back = (
            "put a backup from before in its place with `kirotrio restore FILE`, which keeps it as a file"
            if database.is_sqlite
            else "name an empty database in store.url and put a backup from before into that one with `kirotrio "
            "restore FILE`"
        )
        raise SettingsError(
            f"it has revision {stored}, which kirotrio {__version__} does not know (the newest that it knows is "
            f"{history.newest}): use the newer kirotrio that it comes from, or {way_back}"
        )
    kept = _copy(database.path, stored) if database.path is not None and stored is not None else None

    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(history.folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, history.newest)
    if database.is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise SettingsError("rows in it refer to others that are missing; restore a backup")
    return kept


@contextlib.contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """A transaction that no other migration runs beside. Its connection, with its long patience, is not used again."""
    with database.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        try:
            if database.is_sqlite:
                # A table that is made anew would take with it whatever refers to the old one. Not to be changed later:
                # within a transaction SQLite ignores it.
                driver.execute("PRAGMA foreign_keys = OFF")
                driver.execute(f"PRAGMA busy_timeout = {int(_LOCK_WAIT * 1000)}")
            else:
                driver.deadline = _LONGEST_STEP
            with connection.begin():
                if not database.is_sqlite:
                    for name, seconds in (("lock_timeout", _LOCK_WAIT), ("statement_timeout", _LONGEST_STEP)):
                        connection.exec_driver_sql(f"SET LOCAL {name} = {int(seconds * 1000)}")
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
                yield connection
        finally:
            connection.invalidate()


def _copy(path: Path, revision: str) -> Path:
    """A copy of SQLite's file as it is now, beside it. Its name says revision and time; its owner alone can read it."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target = path.with_name(f"{path.stem}-{revision}-{moment}{path.suffix}")
    draft = path.with_name(f".{target.name}.{secrets.token_hex(6)}.new")
    try:
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE))
        with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(draft)) as copy:
            source.backup(copy)
            # In one file: nothing of it may lie in a second one that the renaming would leave behind.
            copy.execute("PRAGMA journal_mode = DELETE")
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(target)
    except (OSError, sqlite3.Error) as error:
        draft.unlink(missing_ok=True)
        raise SettingsError(
            f"it has to be brought to a newer shape, and could not be copied to {target} beforehand ({error}); make "
            "room there"
        ) from error
    return target


@contextlib.contextmanager
def _explained(database: Database) -> Iterator[None]:
    """Says which database it is that cannot be used."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(f"the database {database.where} cannot be used: {error.message}") from error
    except StoreUnavailable as error:
        beneath = getattr(error.__cause__, "orig", error.__cause__)
        if getattr(beneath, "sqlite_errorcode", None) in _NO_DATABASE:
            raise SettingsError(
                f"the file {database.where} is damaged or no database ({beneath}); `kirotrio restore FILE` puts a "
                "backup in its place, and moving it away begins anew"
            ) from error
        raise
