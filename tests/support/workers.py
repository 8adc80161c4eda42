"""A desk and seats at it: in one Trio run, over a real Unix socket."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from kirotrio.config.settings import Settings
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.workers.desk import Desk
from kirotrio.web.workers.seat import Seat


@attrs.define
class Office:
    """`desk` may be closed and opened again; each seat is a worker of its own."""

    settings: Settings
    path: Path
    nursery: trio.Nursery
    log: RecordingLog = attrs.field(factory=RecordingLog)
    desk: Desk = attrs.field(init=False)
    _open: trio.CancelScope | None = None
    _seats: dict[int, trio.CancelScope] = attrs.field(factory=dict)

    async def open(self) -> None:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(self.path))
        listening.listen(100)
        self.desk = Desk(self.settings)

        async def serve() -> None:
            with listening, trio.CancelScope() as self._open:
                await self.desk.serve(listening)

        self.nursery.start_soon(serve)
        await trio.testing.wait_all_tasks_blocked()

    async def close(self) -> None:
        """As if the desk's process had died."""
        assert self._open is not None
        self.path.unlink()
        self._open.cancel()
        await trio.testing.wait_all_tasks_blocked()

    async def seat(self, worker: int) -> Seat:
        seat = Seat(self.path, worker, self.settings, self.log)

        async def run(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            with trio.CancelScope() as self._seats[worker]:
                await seat.run(task_status=task_status)

        await self.nursery.start(run)
        return seat

    def leave(self, worker: int) -> None:
        """As if the worker's process had died."""
        self._seats.pop(worker).cancel()


@asynccontextmanager
async def office(settings: Settings | None = None) -> AsyncIterator[Office]:
    with tempfile.TemporaryDirectory(prefix="kirotrio-desk-") as folder:  # the path of a socket is short
        async with trio.open_nursery() as nursery:
            here = Office(settings or Settings(), Path(folder) / "desk", nursery)
            await here.open()
            yield here
            nursery.cancel_scope.cancel()
