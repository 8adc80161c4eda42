"""The two engines, set up alike: every wait ends after the deadline, and every transaction says whether it writes."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from kirotrio.store.files import PRIVATE, private_folder
from kirotrio.store.pooling import POOL, WRITE

_IDLE = 60_000
"""Milliseconds that PostgreSQL lets a transaction do nothing before it takes its gateway for gone."""
_BUSY_PAUSE = 0.02
_PAGES = 512
"""Kilobytes of a file's pages that each connection of SQLite's keeps; its own figure is four times as much, which some
thousand records of requests fill, for less than 3 microseconds a record."""


def make_engine(place: Path | URL, deadline: float) -> Engine:
    """`place` is what `database.database_url` gave. Connects to nothing. Raises ArgumentError for what is none."""
    return _sqlite(place, deadline) if isinstance(place, Path) else _postgresql(place, deadline)


def is_driver_error(error: Exception) -> bool:
    """Whether a driver raised it beneath SQLAlchemy, as happens while a connection is set up."""
    psycopg = sys.modules.get("psycopg")  # not loaded for SQLite's sake
    return isinstance(error, sqlite3.Error) or (psycopg is not None and isinstance(error, psycopg.Error))


def _postgresql(url: URL, deadline: float) -> Engine:
    from psycopg import Error
    from psycopg.pq import TransactionStatus
    from sqlalchemy.exc import InvalidatePoolError

    from kirotrio.store.postgresql import connect

    milliseconds = int(deadline * 1000)
    limits = {
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": _IDLE,
        "tcp_keepalives_idle": 30,
    }
    # What the address asks for comes after ours and so holds.
    asked = url.query.get("options", "")
    options = " ".join([*(f"-c {name}={value}" for name, value in limits.items()), str(asked)])
    engine = create_engine(
        url,
        pool_size=POOL,
        max_overflow=POOL,
        pool_timeout=deadline,
        hide_parameters=True,
        connect_args={"options": options, "application_name": "kirotrio", "tcp_user_timeout": milliseconds},
    )

    @event.listens_for(engine, "do_connect")
    def bounded(_: Any, __: Any, arguments: Any, options: Any) -> Any:
        return connect(deadline, *arguments, **options)

    @event.listens_for(engine, "checkout")
    def begin_first(connection: Any, _: Any, __: Any) -> None:
        # Tells as well whether the connection still stands, which would be a journey of its own otherwise.
        try:
            connection.execute("BEGIN")
        except Error as error:
            if connection.closed:
                raise InvalidatePoolError from error  # the pool makes a new one
            raise

    @event.listens_for(engine, "begin")
    def begin_next(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - it has just been taken
        if driver.info.transaction_status == TransactionStatus.IDLE:
            connection.exec_driver_sql("BEGIN")

    return engine


def _sqlite(path: Path, deadline: float) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        pool_size=POOL,
        max_overflow=POOL,
        pool_timeout=deadline,
        hide_parameters=True,
        connect_args={"timeout": deadline},
    )

    @event.listens_for(engine, "do_connect")
    def private(_: Any, __: Any, arguments: Any, ___: Any) -> None:
        # Made by us, for its owner alone; the files that SQLite puts beside it take after it.
        # Never opened beside SQLite where it exists: closing any descriptor of a file drops all locks that this process
        # has on it (fcntl(2)), and another process would then take the journal for nobody's and delete it.
        path = Path(arguments[0])
        private_folder(path.parent)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE))

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        try:
            connection.isolation_level = None  # the driver begins nothing by itself
            _use_wal(connection, deadline)
            for pragma in ("foreign_keys = ON", "synchronous = FULL", f"cache_size = -{_PAGES}"):
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()  # nobody else will
            raise

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that turns from reading to writing could meet another's and fail; so it says it first.
        write = connection.get_execution_options().get(WRITE, True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _use_wal(connection: sqlite3.Connection, deadline: float) -> None:
    """SQLite does not wait for others where a file changes its journal, as a new one does that two open at once."""
    ends = time.monotonic() + deadline
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(_BUSY_PAUSE)
        else:
            return
