"""The database goes away and comes back (issue 4: degrades as documented and heals)."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from sqlalchemy import Connection, text
from support.engines import PostgresServer, open_database

from kirotrio.errors import StoreUnavailable
from kirotrio.store.database import Database
from kirotrio.store.leases import take
from kirotrio.store.revisions import begin_change, bump, revision


def _count(connection: Connection) -> None:
    begin_change(connection)
    bump(connection)


def _fails(step: Callable[[], object], database: Database) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable, match="does not answer") as failure:
        step()
    assert database.trouble == failure.value.in_full
    assert failure.value.message == "the database does not answer as it should; try again in a moment"
    assert failure.value.retry_after
    return failure.value


async def test_locked_sqlite_fails_after_the_deadline_and_heals(tmp_path: Path) -> None:
    open_database("", tmp_path).close()
    database = open_database("", tmp_path, deadline=0.1)
    other = sqlite3.connect(tmp_path / "kirotrio.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match=r"kirotrio\.db does not answer \(database is locked\)"):
        await database.write(_count)
    assert "locked" in str(database.trouble)
    assert await database.read(revision) == 0, "readers go on beside a writer"
    assert database.trouble is None
    other.execute("COMMIT")
    await database.write(_count)
    assert (await database.read(revision), database.trouble) == (1, None)
    other.close()
    database.close()


async def test_a_command_beside_a_gateway_leaves_it_its_journal(tmp_path: Path) -> None:
    """The last user of an SQLite file deletes its journal; what a gateway then wrote into it would be lost with it."""
    database = open_database("", tmp_path)
    together = threading.Barrier(3)

    def look(connection: Connection) -> None:
        connection.execute(text("SELECT 1"))
        together.wait(timeout=30)  # so that there are several connections, which stay in the pool

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(database.read, look)
    await database.write(_count)
    journal = tmp_path / "kirotrio.db-wal"
    before = journal.stat().st_ino
    command = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(*c.execute('SELECT * FROM meta')); c.close()"
    )
    await trio.run_process([sys.executable, "-c", command, str(tmp_path / "kirotrio.db")], capture_stdout=True)
    assert journal.exists(), "another process took the journal for nobody's"
    assert journal.stat().st_ino == before
    await database.write(_count)
    database.close()
    again = open_database("", tmp_path)
    assert await again.read(revision) == 2
    again.close()


async def test_writers_of_one_process_stand_in_line(tmp_path: Path) -> None:
    database = open_database("", tmp_path)
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(database.write, _count)
    assert await database.read(revision) == 50
    database.close()


async def test_what_a_write_read_holds_until_its_commit(tmp_path: Path) -> None:
    databases = [open_database("", tmp_path) for _ in range(2)]
    value = text("SELECT value FROM meta WHERE name = 'revision'")

    def one_more(connection: Connection) -> None:
        seen = int(connection.scalar(value))
        connection.execute(text("UPDATE meta SET value = :value WHERE name = 'revision'"), {"value": str(seen + 1)})

    async with trio.open_nursery() as nursery:
        for number in range(60):
            nursery.start_soon(databases[number % 2].write, one_more)
    assert await databases[0].read(revision) == 60
    for database in databases:
        database.close()


async def test_cancelled_write_happens_wholly_or_not_at_all(tmp_path: Path) -> None:
    database = open_database("", tmp_path)
    entered = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def slow(connection: Connection) -> None:
        _count(connection)
        token.run_sync_soon(entered.set)
        connection.execute(text("SELECT 1"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.write, slow)
        await entered.wait()
        nursery.cancel_scope.cancel()
    assert await database.read(revision) == 1
    with trio.CancelScope() as scope:
        scope.cancel()
        await database.write(_count)
    assert await database.read(revision) == 1
    database.close()


async def test_connection_of_a_read_that_nobody_waits_for_is_closed(tmp_path: Path) -> None:
    database = open_database("", tmp_path)
    entered, done, go_on = trio.Event(), trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()
    used: list[Any] = []

    def slow(connection: Connection) -> None:
        used.append(connection.connection.dbapi_connection)
        token.run_sync_soon(entered.set)
        go_on.wait(30)

    def run() -> None:
        database.reading(slow)
        token.run_sync_soon(done.set)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, run)
        await entered.wait()
        database.close()
        go_on.set()
        await done.wait()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        used[0].execute("SELECT 1")


def test_conflict_and_value_are_told_from_an_outage(database: Database) -> None:
    from sqlalchemy.exc import IntegrityError

    def twice(connection: Connection) -> None:
        connection.execute(text("INSERT INTO leases VALUES ('a', 'b', 0), ('a', 'b', 0)"))

    with pytest.raises(IntegrityError):
        database.writing(twice)
    assert database.trouble is None


def test_values_stay_out_of_messages(database: Database) -> None:
    def wrong(connection: Connection) -> None:
        connection.execute(text("SELECT nonsense FROM leases WHERE name = :name"), {"name": "hunter2"})

    failure = _fails(lambda: database.reading(wrong), database)
    chain = f"{failure} {failure.__cause__}"
    assert "hunter2" not in chain


def test_lost_server_is_told_at_once_and_found_again(postgresql: PostgresServer) -> None:
    database = open_database(postgresql.migrated_database())
    database.writing(_count)
    for mode in ("fast", "immediate"):
        before = database.reading(revision)
        postgresql.stop(mode)
        try:
            _fails(lambda: database.reading(revision), database)
            _fails(lambda: database.writing(_count), database)
        finally:
            postgresql.start()
        database.writing(_count)
        assert database.reading(revision) == before + 1, "what was committed is there, what failed is not"
        assert database.trouble is None
    database.close()


def test_connections_that_died_in_the_pool_are_replaced(postgresql: PostgresServer) -> None:
    database = open_database(postgresql.migrated_database())
    database.writing(_count)
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kirotrio'"
    postgresql.execute(others)
    assert database.reading(revision) == 1, "nobody need notice"
    database.close()


def test_statement_that_waits_for_a_lock_fails_after_the_deadline(postgresql: PostgresServer) -> None:
    url = postgresql.migrated_database()
    database, other = open_database(url, deadline=0.2), open_database(url)

    def hold(connection: Connection) -> None:
        begin_change(connection)
        failure = _fails(lambda: database.writing(_count), database)
        assert "timeout" in failure.in_full

    other.writing(hold)
    database.writing(_count)
    assert database.reading(revision) == 1
    database.close()
    other.close()


def test_server_that_hangs_fails_after_the_deadline(postgresql: PostgresServer) -> None:
    database = open_database(postgresql.migrated_database(), deadline=0.1)
    stopped: list[int] = []

    def hang(connection: Connection) -> None:
        stopped.append(connection.scalar(text("SELECT pg_backend_pid()")))
        os.kill(stopped[0], signal.SIGSTOP)
        take(connection, "refresh", "host:1:x", 60)

    try:
        failure = _fails(lambda: database.writing(hang), database)
        assert "no word from the server" in failure.in_full
        database.writing(_count)
        assert database.reading(revision) == 1, "by another connection"
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    database.close()


def test_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="does not answer") as failure:
        open_database("postgresql://me:hunter2@127.0.0.1:1/name", tmp_path)
    assert "hunter2" not in failure.value.message


@pytest.mark.parametrize("refusal", ["no such database", "no such role"])
def test_refused_connection_is_told_without_the_password(postgresql: PostgresServer, refusal: str) -> None:
    url = postgresql.url_of("nosuch")
    if refusal == "no such role":
        url = postgresql.url_of("postgres").replace("//postgres:", "//nobody:")
    with pytest.raises(StoreUnavailable, match="does not exist") as failure:
        open_database(url)
    assert "p@ss" not in str(failure.value)


def test_many_readers_share_the_pool(postgresql: PostgresServer) -> None:
    database = open_database(postgresql.migrated_database())

    async def main() -> list[Any]:
        found: list[Any] = []

        async def look() -> None:
            found.append(await database.read(revision))

        async with trio.open_nursery() as nursery:
            for _ in range(60):
                nursery.start_soon(look)
        return found

    assert trio.run(main) == [0] * 60
    database.close()
