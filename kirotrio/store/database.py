"""The database: SQLite in the data folder, or a PostgreSQL that several gateways share. One code for both.

Work is a function of a connection that runs in one transaction in a worker thread, never on the event loop. SQLite has
one writer at a time. Whatever the engine raises because it is away, locked or full becomes `StoreUnavailable`.

SQLAlchemy takes a quarter of a second to import, of the half that a start may take. So it is imported here, and by the
modules whose statements it runs, with the first work on a file, which `glance` lets a start do without.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import trio

from kirotrio.errors import StoreUnavailable
from kirotrio.store.pooling import POOL, WRITE

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

_T = TypeVar("_T")

_RETRY_AFTER = 5.0


def _unavailable(detail: str) -> StoreUnavailable:
    return StoreUnavailable(
        "the database does not answer as it should; try again in a moment", detail=detail, retry_after=_RETRY_AFTER
    )


class Database:
    """One engine. `place` is SQLite's file or PostgreSQL's address (`database_url`), `deadline` the seconds that one
    step may take before it counts as failed.

    `read` and `write` are for the event loop, `reading` and `writing` for code that is in a thread already.
    Nothing is connected before the first use; a lost connection is replaced at the next. Close it with `close()`.
    """

    def __init__(self, place: Path | URL, *, deadline: float) -> None:
        self._place = place
        self._where = ""
        self._engine: Engine | None = None
        self._making = threading.Lock()
        self.deadline = deadline
        self.path = place if isinstance(place, Path) else None
        """SQLite's file."""
        self.is_sqlite = self.path is not None
        self.trouble: str | None = None
        """Why the last step failed, with the place, for the log and the command line; None after one that did not."""
        self.tell: Callable[[str], object] | None = None
        """Called with `trouble` where a step fails and the one before did not; in the thread of that step."""
        self._telling = threading.Lock()
        self._readers = trio.CapacityLimiter(POOL)
        self._writers = trio.CapacityLimiter(1 if self.is_sqlite else POOL)
        self._one_writer = threading.Lock()
        self._closed = False

    @property
    def engine(self) -> Engine:
        """For the migrations and the backup alone. Raises ArgumentError for an address that is none."""
        with self._making:
            if self._engine is None:
                from kirotrio.store.engines import make_engine

                self._engine = make_engine(self._place, self.deadline)
            return self._engine

    @property
    def is_used(self) -> bool:
        """Whether anything was read or written here."""
        return self._engine is not None

    @property
    def where(self) -> str:
        """The place, for messages, without a password."""
        if not self._where:
            place = self._place
            self._where = str(place) if isinstance(place, Path) else place.render_as_string(hide_password=True)
        return self._where

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
                raise _unavailable(f"the database {self.where} is busy")
            try:
                return self._run(work, write=True)
            finally:
                self._one_writer.release()

    def close(self) -> None:
        self._closed = True
        with self._making:
            if self._engine is not None:
                self._engine.pool.dispose()

    def _run(self, work: Callable[[Connection], _T], *, write: bool) -> _T:
        engine = self.engine
        try:
            with engine.connect().execution_options(**{WRITE: write}) as connection, connection.begin():
                return work(connection)
        finally:
            if self._closed:  # a read that nobody waited for; its connection has just gone back to the pool
                engine.pool.dispose()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            with translated(self.where):
                yield
        except StoreUnavailable as error:
            with self._telling:
                is_new, self.trouble = self.trouble is None, error.in_full
            if is_new and self.tell is not None:
                self.tell(error.in_full)
            raise
        self.trouble = None


def database_url(url: str, data_dir: Path) -> Path | URL:
    """The place: the engine's own address of `store.url`, or the file in the data folder where that is empty.

    Raises ValueError or SQLAlchemy's ArgumentError for what is none.
    """
    if not url:
        return data_dir / "kirotrio.db"
    from sqlalchemy import make_url

    parts = make_url(url)
    return parts.set(drivername="postgresql+psycopg") if parts.drivername in ("postgres", "postgresql") else parts


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """What the engine raises becomes StoreUnavailable; what a value was wrong with, or a conflict, stays as it is."""
    try:
        yield
    except Exception as error:
        from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
        from sqlalchemy.exc import TimeoutError as PoolTimeout

        from kirotrio.store.engines import is_driver_error

        if isinstance(error, IntegrityError | DataError):
            raise
        if not isinstance(error, DBAPIError | PoolTimeout | OSError) and not is_driver_error(error):
            raise
        raise _unavailable(f"the database {where} does not answer ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """The driver's own words, on one line; never the statement, which has values in it."""
    beneath = getattr(error, "orig", None) or error  # what SQLAlchemy wraps
    said = beneath.strerror if isinstance(beneath, OSError) and beneath.strerror else str(beneath)
    return " ".join(said.split())[:200] or type(beneath).__name__
