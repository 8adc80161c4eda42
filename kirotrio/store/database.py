"""The database: SQLite in the data folder, or a PostgreSQL that several gateways share. One code for both.

Work is a function of a connection that runs in one transaction in a worker thread, never on the event loop. SQLite has
one writer at a time. Whatever the engine raises because it is away, locked or full becomes `StoreUnavailable`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio
from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kirotrio.errors import StoreUnavailable
from kirotrio.store.engines import POOL, WRITE, is_driver_error, make_engine

_T = TypeVar("_T")

_RETRY_AFTER = 5.0


class Database:
    """One engine. `deadline`: seconds that one step may take before it counts as failed.

    `read` and `write` are for the event loop, `reading` and `writing` for code that is in a thread already.
    Nothing is connected before the first use; a lost connection is replaced at the next. Close it with `close()`.
    """

    def __init__(self, url: URL | str, *, deadline: float) -> None:
        self._engine = make_engine(url, deadline)
        self.deadline = deadline
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        self.path = Path(self._engine.url.database or "") if self.is_sqlite else None
        """SQLite's file."""
        self.trouble: str | None = None
        """Why the last step failed, for a person; None after one that did not."""
        self._readers = trio.CapacityLimiter(POOL)
        self._writers = trio.CapacityLimiter(1 if self.is_sqlite else POOL)
        self._one_writer = threading.Lock()
        self._closed = False

    @property
    def engine(self) -> Engine:
        """For the migrations and the backup alone."""
        return self._engine

    @property
    def where(self) -> str:
        """The place, for messages, without a password."""
        return str(self.path) if self.path is not None else self._engine.url.render_as_string(hide_password=True)

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run `work` in one transaction. Raises StoreUnavailable. Cancelling leaves the thread to end by itself."""
        return await trio.to_thread.run_sync(partial(self.reading, work), limiter=self._readers, abandon_on_cancel=True)

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """The same for work that changes something: it is committed when `work` returns, nothing of it if it raises.

        Cancellation is noticed before and after, never in between. Raises StoreUnavailable; where the connection was
        lost in the very commit, nobody knows whether it happened.
        """
        return await trio.to_thread.run_sync(partial(self.writing, work), limiter=self._writers)

    def reading(self, work: Callable[[Connection], _T]) -> _T:
        """`read`, blocking."""
        with self._watched():
            return self._run(work, write=False)

    def writing(self, work: Callable[[Connection], _T]) -> _T:
        """`write`, blocking."""
        with self._watched():
            if not self.is_sqlite:
                return self._run(work, write=True)
            # SQLite lets its waiting writers try again at odd times; in line here, each of ours has its turn.
            if not self._one_writer.acquire(timeout=self.deadline):
                raise StoreUnavailable(f"the database {self.where} is busy", retry_after=_RETRY_AFTER)
            try:
                return self._run(work, write=True)
            finally:
                self._one_writer.release()

    def close(self) -> None:
        self._closed = True
        self._engine.pool.dispose()

    def _run(self, work: Callable[[Connection], _T], *, write: bool) -> _T:
        try:
            with self._engine.connect().execution_options(**{WRITE: write}) as connection, connection.begin():
                return work(connection)
        finally:
            if self._closed:  # a read that nobody waited for; its connection has just gone back to the pool
                self._engine.pool.dispose()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            with translated(self.where):
                yield
        except StoreUnavailable as error:
            self.trouble = error.message
            raise
        self.trouble = None


def database_url(url: str, data_dir: Path) -> URL:
    """The engine's own address: of `store.url`, or of the file in the data folder where that is empty.

    Raises ValueError or SQLAlchemy's ArgumentError for what is none.
    """
    if not url:
        return URL.create("sqlite+pysqlite", database=str(data_dir / "kirotrio.db"))
    parts = make_url(url)
    return parts.set(drivername="postgresql+psycopg") if parts.drivername in ("postgres", "postgresql") else parts


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """What the engine raises becomes StoreUnavailable; what a value was wrong with, or a conflict, stays as it is."""
    try:
        yield
    except (IntegrityError, DataError):
        raise
    except Exception as error:
        if not isinstance(error, DBAPIError | PoolTimeout | OSError) and not is_driver_error(error):
            raise
        message = f"the database {where} does not answer ({_reason(error)})"
        raise StoreUnavailable(message, retry_after=_RETRY_AFTER) from error


def _reason(error: BaseException) -> str:
    """The driver's own words, on one line; never the statement, which has values in it."""
    beneath = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    said = beneath.strerror if isinstance(beneath, OSError) and beneath.strerror else str(beneath)
    return " ".join(said.split())[:200] or type(beneath).__name__
