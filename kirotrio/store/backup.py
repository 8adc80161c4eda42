"""A backup: one SQLite file with the tables of either engine, and a manifest by which it is checked.

It is a snapshot of one moment, also while gateways write. Secrets stay sealed in it; with `keys` it holds what opens
them too. The file appears whole or not at all, and its owner alone can read it.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import secrets
import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from attrs import field
from sqlalchemy import Column, Connection, MetaData, Table, Text, create_engine, func, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from kirotrio import __version__
from kirotrio.classes import frozen
from kirotrio.errors import SettingsError
from kirotrio.store import schema
from kirotrio.store.database import Database, translated
from kirotrio.store.files import PRIVATE, sync_folder
from kirotrio.store.migrate import REVISION_TABLE, stored_revision
from kirotrio.store.pooling import WRITE
from kirotrio.store.sealing import SEALED_COLUMNS
from kirotrio.store.secret_keys import SecretKey
from kirotrio.store.vault import key_id_of

FORMAT = 1
TABLES: tuple[Table, ...] = tuple(table for table in schema.metadata.sorted_tables if table not in schema.PASSING)
"""What is kept, those that others refer to first."""

BATCH = 500
_LONGEST_STEP = 600.0
_extra = MetaData()
_manifest = Table("manifest", _extra, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))
_revision = Table(REVISION_TABLE, _extra, Column("version_num", Text, primary_key=True))


class BackupUnusable(SettingsError):
    """A file is no backup, is damaged, or comes from a newer program."""


@frozen
class Manifest:
    """What a backup says of itself. `made_at`: epoch seconds; `counts`: rows by table; `key_ids`: of the keys that its
    secrets are sealed with; `keys`: those that it holds, by id."""

    format: int
    program: str
    revision: str
    made_at: float
    counts: Mapping[str, int]
    key_ids: tuple[str, ...] = ()
    keys: Mapping[str, SecretKey] = field(factory=dict, repr=False)

    def entries(self) -> dict[str, str]:
        """As the rows of the table `manifest`."""
        values = {
            "format": self.format,
            "program": self.program,
            "revision": self.revision,
            "made_at": self.made_at,
            "counts": dict(self.counts),
            "key_ids": list(self.key_ids),
            "keys": {key_id: key.to_text() for key_id, key in self.keys.items()},
        }
        return {name: orjson.dumps(value).decode() for name, value in values.items()}

    @classmethod
    def from_entries(cls, entries: Mapping[str, str]) -> Manifest:
        """Raises ValueError, KeyError or TypeError for what no program wrote."""
        values = {name: orjson.loads(value) for name, value in entries.items() if name != "sha256"}
        keys = {key_id: SecretKey.from_text(words) for key_id, words in values["keys"].items()}
        if any(key.id != key_id for key_id, key in keys.items()):
            raise ValueError("a key that does not go by its id")
        return cls(
            format=int(values["format"]),
            program=str(values["program"]),
            revision=str(values["revision"]),
            made_at=float(values["made_at"]),
            counts={str(name): int(count) for name, count in values["counts"].items()},
            key_ids=tuple(map(str, values["key_ids"])),
            keys=keys,
        )


def back_up(
    database: Database,
    target: Path,
    *,
    keys: Iterable[SecretKey] = (),
    overwrite: bool = False,
    now: float | None = None,
) -> Manifest:
    """Write a backup of the whole database to `target`. Blocking.

    Raises SettingsError where the file is there already (without `overwrite`) or cannot be written, StoreUnavailable.
    """
    with patient(database, write=False) as connection:
        return write_backup(connection, target, keys=keys, overwrite=overwrite, now=now)


def write_backup(
    connection: Connection,
    target: Path,
    *,
    keys: Iterable[SecretKey] = (),
    overwrite: bool = False,
    now: float | None = None,
) -> Manifest:
    """The same of what this transaction sees."""
    # A link is followed, so that what it points to is replaced.
    target = Path(os.path.realpath(target))
    if not overwrite and target.exists():
        raise _in_the_way(target)
    draft = target.parent / f".{target.name}.{secrets.token_hex(6)}.new"
    try:
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE))
        manifest = _fill(draft, connection, {key.id: key for key in keys}, time.time() if now is None else now)
        _put_in_place(draft, target, overwrite=overwrite)
    except FileExistsError:
        raise _in_the_way(target) from None
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SettingsError(f"{target}: the backup cannot be written ({reason}); choose another place") from None
    finally:
        draft.unlink(missing_ok=True)
    return manifest


@contextlib.contextmanager
def patient(database: Database, *, write: bool) -> Iterator[Connection]:
    """A transaction that may take long. One that only reads sees a single moment. Raises StoreUnavailable."""
    with translated(database.where), database.engine.connect().execution_options(**{WRITE: write}) as connection:
        try:
            if not database.is_sqlite:
                driver: Any = connection.connection.driver_connection
                driver.deadline = _LONGEST_STEP
            with connection.begin():
                if not database.is_sqlite:
                    if not write:
                        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(_LONGEST_STEP * 1000)}")
                yield connection
        finally:
            connection.invalidate()  # its patience is not for others


def counts_of(connection: Connection) -> dict[str, int]:
    """Rows by table, of those that are kept."""
    return {str(table.name): connection.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES}


def batches(connection: Connection, table: Table) -> Generator[list[dict[str, Any]], None, None]:
    """The rows of a table, some at a time. To be closed by whoever does not take all."""
    with connection.execute(select(table), execution_options={"yield_per": BATCH}) as result:
        for rows in result.mappings().partitions(BATCH):
            yield [dict(row) for row in rows]


def key_ids_in(connection: Connection) -> tuple[str, ...]:
    """The ids of all keys that something is sealed with. Raises SealBroken."""
    found = set()
    for table, _, column in SEALED_COLUMNS:
        for (sealed,) in connection.execute(select(table.c[column]).where(table.c[column] != b"")):
            found.add(key_id_of(bytes(sealed)))
    return tuple(sorted(found))


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """SQLite's own connection to a file that nothing is to be changed in."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()


def checked_manifest(path: Path) -> Manifest:
    """The manifest of a backup in which every row is as it was written. Raises BackupUnusable."""
    if not path.is_file():
        raise BackupUnusable(f"{path}: there is no such file")
    try:
        with read_only(path) as connection:
            problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(1)")]
            if problems != ["ok"]:
                raise BackupUnusable(f"{path} is damaged ({' '.join(problems)[:200]}); use another backup")
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'manifest'").fetchone():
                raise BackupUnusable(f"{path} is no backup of kirotrio; `kirotrio backup FILE` makes one")
            entries = {str(name): str(value) for name, value in connection.execute("SELECT name, value FROM manifest")}
            found = _digest(connection, entries)
            counts = {table: _count(connection, table) for table in _tables(connection)}
        manifest = Manifest.from_entries(entries)
    except sqlite3.Error as error:
        raise BackupUnusable(f"{path} is damaged or no backup of kirotrio ({error}); use another backup") from None
    except (ValueError, KeyError, TypeError):
        raise BackupUnusable(f"{path} is damaged: its manifest cannot be read; use another backup") from None
    if manifest.format > FORMAT:
        raise BackupUnusable(
            f"{path} was written by kirotrio {manifest.program} in a newer form; use that program or a newer one"
        )
    if entries.get("sha256") != found or counts != dict(manifest.counts):
        raise BackupUnusable(f"{path} is damaged: its rows are not those that were written; use another backup")
    return manifest


def _fill(draft: Path, source: Connection, keys: dict[str, SecretKey], now: float) -> Manifest:
    """Write everything into the empty file `draft`."""
    engine = create_engine(f"sqlite+pysqlite:///{draft}", poolclass=NullPool)
    try:
        with engine.begin() as copy:
            schema.metadata.create_all(copy)
            _extra.create_all(copy)
            revision = stored_revision(source) or ""
            copy.execute(insert(_revision), [{"version_num": revision}])
            for table in TABLES:
                with contextlib.closing(batches(source, table)) as rows:
                    for batch in rows:
                        copy.execute(insert(table), batch)
            manifest = Manifest(FORMAT, __version__, revision, now, counts_of(copy), key_ids_in(copy), keys)
            entries = manifest.entries()
            copy.execute(insert(_manifest), [{"name": name, "value": value} for name, value in entries.items()])
    except SQLAlchemyError as error:
        beneath = getattr(error, "orig", error)
        if isinstance(beneath, sqlite3.Error):
            raise SettingsError(
                f"the backup cannot be written to {draft.parent} ({beneath}); make room there"
            ) from None
        raise
    finally:
        engine.dispose()
    # Of what the file holds, not of what was to be written.
    with contextlib.closing(sqlite3.connect(draft)) as written, written:
        written.execute("INSERT INTO manifest VALUES ('sha256', ?)", [_digest(written, entries)])
    return manifest


def _put_in_place(draft: Path, target: Path, *, overwrite: bool) -> None:
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    if overwrite:
        draft.replace(target)
    else:
        try:
            os.link(draft, target)  # unlike a rename, this fails where somebody was first
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            draft.replace(target)
    sync_folder(target.parent)


def _digest(connection: sqlite3.Connection, entries: Mapping[str, str]) -> str:
    """SHA-256 over the manifest and every row, whatever columns there are: a backup of an older shape has others."""
    sha = hashlib.sha256()
    told = sorted((name, value) for name, value in entries.items() if name != "sha256")
    sha.update(orjson.dumps(told))
    for table in (*_tables(connection), REVISION_TABLE):
        columns = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
        order = ", ".join(f'"{column[1]}"' for column in sorted(columns, key=lambda column: column[5]) if column[5])
        sha.update(orjson.dumps([table, *(column[1] for column in columns)]))
        rows = connection.execute(f'SELECT * FROM "{table}" ORDER BY {order or "rowid"}')  # noqa: S608 - the file's own
        while batch := list(itertools.islice(rows, BATCH)):
            sha.update(b"".join(orjson.dumps(row, default=bytes.hex) + b"\n" for row in batch))
    return sha.hexdigest()


def _tables(connection: sqlite3.Connection) -> list[str]:
    kept = ("manifest", REVISION_TABLE, *(table.name for table in schema.PASSING))
    names = (
        str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    )
    return [name for name in names if name not in kept and not name.startswith("sqlite_")]


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])  # noqa: S608 - the file's own


def _in_the_way(target: Path) -> SettingsError:
    return SettingsError(f"{target} is there already; name another file, or replace it with --force")
