"""Puts a backup in the place of what the database holds: all of it or, whatever happens, nothing.

The file is checked first. Then one transaction keeps the present state as a backup of its own and replaces every row,
so that this is safe beside running gateways too; leases stay, since they belong to processes that run. A SQLite file
that is damaged, or a newer program's, is put aside, and a new one that is whole already takes its name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
from sqlalchemy import Connection, Table, create_engine, delete, insert, select
from sqlalchemy.exc import DataError
from sqlalchemy.pool import NullPool

from kirotrio import __version__
from kirotrio.classes import frozen
from kirotrio.errors import SettingsError
from kirotrio.store import schema
from kirotrio.store.backup import (
    TABLES,
    BackupUnusable,
    Manifest,
    batches,
    checked_manifest,
    counts_of,
    patient,
    read_only,
    write_backup,
)
from kirotrio.store.columns import upsert
from kirotrio.store.database import Database, database_url
from kirotrio.store.files import private_folder, sync_folder
from kirotrio.store.migrate import SHIPPED, History, migrate, open_store, stored_revision
from kirotrio.store.rekeying import RETIRED_KEYS
from kirotrio.store.revisions import ACCOUNTS, KEYS, RESPONSES, begin_change, revision
from kirotrio.store.sealing import SEALED_COLUMNS, SECRET_KEY, KeyMissing, SealBroken, key_named, name_key, purpose_of
from kirotrio.store.secret_keys import SecretKey
from kirotrio.store.vault import Vault, key_id_of, seal_with

_OWN = (ACCOUNTS, KEYS, RESPONSES, SECRET_KEY, RETIRED_KEYS)
"""Rows of `meta` that say something of this database, not of what it holds."""
_BUSY = 5.0
"""Seconds to wait for those who use a file."""
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)

KeyFate = Literal["none", "same", "installed", "resealed"]


@frozen
class Changes:
    """What a restore does to the accounts, by name; and the rows by table, before and after."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    same: tuple[str, ...]
    before: Mapping[str, int]
    after: Mapping[str, int]


@frozen
class Restored:
    """`previous`: the backup that was made of the state before; `damaged`, `newer`: where an unreadable file or a newer
    program's was put; None where there was none. `key`: nothing is sealed; its key is there already; it was put in
    place from the backup, at `key_where`; or the secrets were sealed anew with the key that was here."""

    manifest: Manifest
    changes: Changes
    key: KeyFate
    key_where: str = ""
    previous: Path | None = None
    damaged: Path | None = None
    newer: Path | None = None


def restore(
    source: Path,
    url: str,
    data_dir: Path,
    vault: Vault,
    *,
    deadline: float,
    dry_run: bool = False,
    history: History = SHIPPED,
) -> Restored:
    """Put the backup `source` into the database of `store.url` (that of the data folder where it is empty). Blocking.

    With `dry_run` nothing is written. Raises BackupUnusable, also where the key to its secrets is not to be had, and
    SettingsError and StoreUnavailable as `open_store`. Unless it returns, the old state stands.
    """
    manifest = checked_manifest(source)
    for key in manifest.keys.values():
        vault.add(key)
    file = Database(database_url(url, data_dir), deadline=deadline).path
    with (
        tempfile.TemporaryDirectory(prefix=".restore-", dir=private_folder(data_dir)) as room,
        _rows_of(source, manifest, Path(room) / "backup", deadline, history) as backup,
    ):
        work = _Restoring(source, manifest, backup, vault, data_dir)
        work.check_secrets()
        if file is not None and (unfit := _unfit(file, url, data_dir, deadline, history)):
            if unfit == "newer" and not dry_run:
                _in_one_file(file)
            with _opened("", Path(room), deadline, history) as database:
                done = work.look(database) if dry_run else work.replace(database)
            if dry_run:
                return done
            aside = _swap(Path(room) / file.name, file, unfit)
            return attrs.evolve(done, damaged=aside) if unfit == "damaged" else attrs.evolve(done, newer=aside)
        if not dry_run:
            with _opened(url, data_dir, deadline, history) as database:
                return work.replace(database)
        fresh = _is_fresh(url, data_dir, file, deadline, history)
        with _opened("" if fresh else url, Path(room) if fresh else data_dir, deadline, history) as database:
            return work.look(database)


def is_damaged(path: Path) -> bool:
    """Whether this file is no database any more, or one with damaged pages. False for one that is not there."""
    if not path.exists():
        return False
    try:
        with read_only(path) as connection:
            return [row[0] for row in connection.execute("PRAGMA quick_check(1)")] != ["ok"]
    except sqlite3.Error as error:
        return error.sqlite_errorcode in _DAMAGED


def _unfit(file: Path, url: str, data_dir: Path, deadline: float, history: History) -> Literal["damaged", "newer", ""]:
    """Why this file cannot take the rows of a backup in, "" if it can or is not there."""
    if is_damaged(file):
        return "damaged"
    if not file.exists():
        return ""
    stored = _revision_of(url, data_dir, deadline)
    return "newer" if stored is not None and stored not in history.revisions else ""


def _revision_of(url: str, data_dir: Path, deadline: float) -> str | None:
    """None for an empty one, and for that of another program, which is told when it is opened."""
    database = Database(database_url(url, data_dir), deadline=deadline)
    try:
        return database.reading(stored_revision)
    except SettingsError:
        return None
    finally:
        database.close()


def _in_one_file(file: Path) -> None:
    """Bring a database that is whole into its one file, without a log beside it. Raises SettingsError while another
    program uses it."""
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=_BUSY)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.Error as error:
        raise SettingsError(
            f"the database {file} is of a newer kirotrio, and cannot be put aside ({error}); stop the gateways that "
            "use it, and try again"
        ) from None


@frozen
class _Restoring:
    """One backup, checked, and its rows in the newest shape."""

    source: Path
    manifest: Manifest
    backup: Connection
    vault: Vault
    data_dir: Path

    def check_secrets(self) -> None:
        """Raise BackupUnusable where one of the backup's secrets would not open."""
        try:
            for table, row, column in SEALED_COLUMNS:
                for row_id, sealed in self.backup.execute(select(table.c[row], table.c[column])):
                    if sealed:
                        self.vault.open(sealed, purpose_of(table.name, row_id, column))
        except KeyMissing as error:
            raise BackupUnusable(
                f"{self.source}: the secrets in it are sealed with the key {error.key_id}, which is neither in the "
                f"file nor in {error.looked}; copy the key there from the machine where the backup was made, or use a "
                "backup that was made with --with-key"
            ) from None
        except SealBroken:
            raise BackupUnusable(f"{self.source} is damaged: a secret in it was altered; use another backup") from None

    def look(self, database: Database) -> Restored:
        """What `replace` would do."""
        with patient(database, write=False) as connection:
            fate = self._key(key_named(connection))[1]
            return Restored(self.manifest, self._changes(connection), fate)

    def replace(self, database: Database) -> Restored:
        # A keyring may ask a person first: rather before the database is locked than within.
        self._key(database.reading(key_named))
        with patient(database, write=True) as connection:
            begin_change(connection)
            _lock(connection)
            changes = self._changes(connection)
            key, fate = self._key(key_named(connection))
            where = self.vault.keys.install(key).where if key is not None and fate == "installed" else ""
            previous = self._keep(connection, changes)
            self._replace_rows(connection, key)
        return Restored(self.manifest, changes, fate, where, previous)

    def _key(self, named: str) -> tuple[SecretKey | None, KeyFate]:
        """The key that is to seal everything: the database's own if it is to be had, else the backup's."""
        held = self.manifest.key_ids
        if not held:
            return None, "none"
        if named:
            # In its place, that is: the vault knows those of the backup as well.
            with contextlib.suppress(KeyMissing):
                return self.vault.keys.find(named), "same" if held == (named,) else "resealed"
        preferred = key_named(self.backup)
        key = self.vault.key(preferred if preferred in held else held[-1])
        try:
            self.vault.keys.find(key.id)
        except KeyMissing:
            return key, "installed"
        return key, "same"

    def _changes(self, connection: Connection) -> Changes:
        before, after = _accounts(connection), _accounts(self.backup)
        both = before.keys() & after.keys()
        same = {name for name in both if self._alike(before[name], after[name])}
        return Changes(
            added=tuple(sorted(after.keys() - both)),
            removed=tuple(sorted(before.keys() - both)),
            changed=tuple(sorted(both - same)),
            same=tuple(sorted(same)),
            before=counts_of(connection),
            after=counts_of(self.backup),
        )

    def _alike(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        unlike = {name for name in one if one[name] != other[name]} - {"updated_at"}
        if unlike != {"sealed"} or not one["sealed"] or not other["sealed"]:
            return not unlike
        purpose = purpose_of(schema.accounts.name, one["id"])
        try:
            return self.vault.open(bytes(one["sealed"]), purpose) == self.vault.open(bytes(other["sealed"]), purpose)
        except (KeyMissing, SealBroken):
            return False

    def _keep(self, connection: Connection, changes: Changes) -> Path | None:
        """A backup of what stands there, None where nothing does."""
        if not any(count for table, count in changes.before.items() if table != schema.meta.name):
            return None
        stem = f"before-restore-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        names = (f"{stem}{f'-{number}' if number else ''}.backup" for number in range(1000))
        path = next(path for name in names if not (path := self.data_dir / name).exists())
        write_backup(connection, path)
        return path

    def _replace_rows(self, connection: Connection, key: SecretKey | None) -> None:
        newest = {of: max(revision(connection, of), revision(self.backup, of)) + 1 for of in (ACCOUNTS, KEYS)}
        own = schema.meta.c.name.in_(_OWN)
        for table in reversed(TABLES):
            connection.execute(delete(table).where(~own) if table is schema.meta else delete(table))
        try:
            for table in TABLES:
                with contextlib.closing(batches(self.backup, table)) as rows:
                    for batch in rows:
                        kept = [self._sealed_anew(table, row, key) for row in batch if not _is_own(table, row)]
                        if kept:
                            connection.execute(insert(table), kept)
        except DataError:
            raise SettingsError(f"{self.source} holds a value that this database has no room for") from None
        if key is not None:
            name_key(connection, key.id)
        # They only grow: that is how gateways learn of it.
        for of, number in newest.items():
            upsert(connection, schema.meta, {"name": of, "value": str(number)}, keys=["name"])

    def _sealed_anew(self, table: Table, row: dict[str, Any], key: SecretKey | None) -> dict[str, Any]:
        for sealed_table, row_id, column in SEALED_COLUMNS:
            if table is sealed_table and key is not None and row[column] and key_id_of(row[column]) != key.id:
                purpose = purpose_of(table.name, row[row_id], column)
                row[column] = seal_with(key, self.vault.open(row[column], purpose), purpose)
        return row


@contextlib.contextmanager
def _rows_of(source: Path, manifest: Manifest, room: Path, deadline: float, history: History) -> Iterator[Connection]:
    """The rows of a backup in the newest shape; one of an older shape is brought to it in a copy."""
    if manifest.revision not in history.revisions:
        raise BackupUnusable(
            f"{source} was written by kirotrio {manifest.program}, whose database has a newer shape than kirotrio "
            f"{__version__} knows; use that program or a newer one"
        )
    if manifest.revision == history.newest:
        address = f"{source.resolve().as_uri()}?mode=ro"
        engine = create_engine(
            "sqlite+pysqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool
        )
    else:
        room.mkdir(mode=0o700)
        shutil.copyfile(source, room / "kirotrio.db")
        database = Database(database_url("", room), deadline=deadline)
        migrate(database, history)
        engine = database.engine
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextlib.contextmanager
def _opened(url: str, data_dir: Path, deadline: float, history: History) -> Iterator[Database]:
    database = open_store(url, data_dir, deadline=deadline, history=history)
    try:
        yield database
    finally:
        database.close()


def _is_fresh(url: str, data_dir: Path, file: Path | None, deadline: float, history: History) -> bool:
    """Whether there is nothing yet in the database. A dry run does not open one of an older shape, which changes it."""
    if file is not None and not file.exists():
        return True
    database = Database(database_url(url, data_dir), deadline=deadline)
    try:
        stored = database.reading(stored_revision)
    finally:
        database.close()
    if stored is not None and stored != history.newest and stored in history.revisions:
        raise SettingsError(
            f"the database {database.where} is of an older kirotrio, so that what would change cannot be told yet; "
            "`kirotrio store info` brings it up to date"
        )
    return stored is None


def _lock(connection: Connection) -> None:
    """Nobody else writes until the end. SQLite has one writer anyhow; `meta` is covered by `begin_change`."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(table.name for table in TABLES if table is not schema.meta)
        connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")


def _accounts(connection: Connection) -> dict[str, Mapping[str, Any]]:
    return {row["name"]: dict(row) for row in connection.execute(select(schema.accounts)).mappings()}


def _is_own(table: Table, row: Mapping[str, Any]) -> bool:
    return table is schema.meta and row["name"] in _OWN


def _swap(fresh: Path, live: Path, unfit: str) -> Path:
    """Put the file `fresh` in the place of the damaged or newer one, whose new name is returned."""
    aside = live.with_name(f"{live.name}.{unfit}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    try:
        # Never joined to the new one, which they do not belong to.
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                live.with_name(live.name + suffix).replace(aside.with_name(aside.name + suffix))
        try:
            os.link(live, aside)
        except OSError:  # a file system without links: for a moment there is no database
            live.replace(aside)
        fresh.replace(live)
        sync_folder(live.parent)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SettingsError(
            f"{live}: the {unfit} database cannot be put aside ({reason}); move it away yourself"
        ) from None
    return aside
