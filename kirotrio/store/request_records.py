"""What happened to each request, written beside the requests: they hand a record over and never wait for the database.

One task takes what is there, a second after the first of it came at the latest, and writes it as one batch, with the
statements of `request_rows`. Where the database is away, records wait up to the bound, beyond which the oldest are
dropped and counted.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

import attrs
import trio

from kirotrio.config.settings import Settings
from kirotrio.errors import StoreUnavailable
from kirotrio.store.database import Database
from kirotrio.store.request_record import RequestRecord
from kirotrio.telemetry.log import Log

if TYPE_CHECKING:
    from sqlalchemy import Connection

BATCH = 200
_GATHER = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_PRUNE_EVERY = 3600.0
SETTLED = 5.0
"""Seconds after the start before anything is removed; until then the first requests have the processor."""


_FIELDS = tuple(field.name for field in attrs.fields(RequestRecord))


@final
class RecordWriter:
    """`put` may be called from anywhere on the event loop; `run` is the one task that writes."""

    def __init__(
        self, database: Database, settings: Settings, log: Log, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._log = log
        self._clock = clock
        self._keep = settings.store.keep_requests
        self._flush_within = settings.deadlines.store
        self._waiting: deque[RequestRecord] = deque(maxlen=settings.store.max_pending)
        self._arrived = trio.Event()
        self._told = 0
        self.dropped = 0
        """Records that were lost: no room was left for them, or the database refused them."""

    def put(self, record: RequestRecord) -> None:
        """Hand it over. Never waits: where there is no room, the oldest that waits is dropped."""
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(record)
        self._arrived.set()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def run(self) -> None:
        """Write until cancelled; what waits then is written within `deadlines.store`, or lost and logged."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._prune)
                await self._write_all()
        finally:
            with trio.move_on_after(self._flush_within, shield=True) as patience:
                await self._flush()
            if patience.cancelled_caught:
                late = f"the database did not take them within {self._flush_within:g} s"
                self._log.warning("records of requests are lost", waiting=len(self), error=late)
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._tell()

    async def _write_all(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            await self._arrived.wait()
            if len(self._waiting) < BATCH and pause == _FIRST_PAUSE:
                await trio.sleep(_GATHER)
            try:
                await self._write_batch()
            except StoreUnavailable as error:
                self._log.warning("records of requests wait", waiting=len(self), seconds=pause, error=error.in_full)
                await trio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = _FIRST_PAUSE
                self._tell()

    async def _flush(self) -> None:
        try:
            while self._waiting:
                await self._write_batch()
        except StoreUnavailable as error:
            self._log.warning("records of requests are lost", waiting=len(self), error=error.in_full)

    async def _write_batch(self) -> None:
        """The oldest that wait. They leave the queue once they are written. Raises StoreUnavailable."""
        batch = [self._waiting[place] for place in range(min(BATCH, len(self._waiting)))]
        rows = [{name: getattr(record, name) for name in _FIELDS} for record in batch]
        if not await self._write(rows):
            for row in rows:
                self.dropped += not await self._write([row])
        self._leave(batch)

    async def _write(self, rows: list[dict[str, Any]]) -> bool:
        """False where the database refuses one of them, which may not stand in the way of all that follow."""

        def insert(connection: Connection) -> None:
            from kirotrio.store.request_rows import insert

            insert(connection, rows)

        try:
            await self._database.write(insert)
        except StoreUnavailable:
            raise
        except Exception as error:
            if len(rows) == 1:
                self._log.error("a record of a request was refused", error=repr(error))
            return False
        return True

    def _leave(self, batch: list[RequestRecord]) -> None:
        """Some of the batch may have been dropped meanwhile; what came since stays."""
        done = {id(record) for record in batch}
        while self._waiting and id(self._waiting[0]) in done:
            self._waiting.popleft()
        if not self._waiting:
            self._arrived = trio.Event()

    def _tell(self) -> None:
        if self.dropped > self._told:
            self._log.warning("records of requests were dropped", dropped=self.dropped - self._told)
            self._told = self.dropped

    async def _prune(self) -> None:
        def prune(connection: Connection) -> int:
            from kirotrio.store.request_rows import prune

            return prune(connection, self._clock() - self._keep)

        await trio.sleep(SETTLED)
        while True:
            try:
                await self._database.write(prune)
            except StoreUnavailable as error:
                self._log.warning("old records of requests stay for now", error=error.in_full)
            await trio.sleep(_PRUNE_EVERY)
