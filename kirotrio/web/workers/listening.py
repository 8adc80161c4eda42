"""One port, several processes that accept from it.

All workers wait at the same listening sockets, so nothing that a client has begun is lost when a worker dies; sockets
of their own (SO_REUSEPORT) would lose what waits at them, and spread connections by a hash, which of few connections
leaves some workers idle. But whoever is awake takes all that waits, which spreads them no better. So a worker that
holds more connections than another leaves the next one to it for a moment: each says how many it holds, where all can
see it, whenever one comes.
"""

from __future__ import annotations

import mmap
import socket
from collections.abc import Sized
from typing import final

import trio

PATIENCE = 0.005
"""Seconds for which a connection is left to a worker that has fewer, which may be busy."""
_ABSENT = 0xFFFFFFFF
_WIDTH = 4


@final
class Load:
    """How many connections each worker holds: memory that processes share once they are forked. Workers count from
    1; one that does not accept is `absent`."""

    def __init__(self, workers: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, _WIDTH * workers)).cast("I")
        for worker in range(1, workers + 1):
            self.absent(worker)

    def __setitem__(self, worker: int, count: int) -> None:
        self._counts[worker - 1] = count

    def absent(self, worker: int) -> None:
        self._counts[worker - 1] = _ABSENT

    @property
    def least(self) -> int:
        return min(self._counts)


class SharedListener(trio.abc.Listener[trio.SocketStream]):
    """A listening socket that other processes accept from, too. `held`: this worker's connections."""

    def __init__(self, listening: socket.socket, load: Load, worker: int, held: Sized) -> None:
        listening.setblocking(False)
        self._listening = listening
        self.socket = trio.socket.from_stdlib_socket(listening)
        self._load = load
        self._worker = worker
        self._held = held
        load[worker] = len(held)

    async def accept(self) -> trio.SocketStream:
        """The next connection that nobody else takes."""
        while True:
            await trio.lowlevel.wait_readable(self._listening)
            self._load[self._worker] = held = len(self._held)
            if held > self._load.least:
                await trio.sleep(PATIENCE)
            try:
                connected, _ = self._listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue
            connected.setblocking(False)
            self._load[self._worker] = held + 1
            return trio.SocketStream(trio.socket.from_stdlib_socket(connected))

    async def aclose(self) -> None:
        self._load.absent(self._worker)
        self.socket.close()
        await trio.lowlevel.checkpoint()
