"""Which of many sockets have something to read, asked of the system for all of them together.

A task that waits for a socket by itself is registered with the system anew for every read, and then woken: a system
call, and half of the Python calls of an event that comes alone. Here a socket stays registered for as long as its task
waits, and what came is handled by the task that asked, `run`, one socket after the other; the one that waits is woken
only where there is something that has to wait. Where several events come at about the same time, as they do where
there are many streams, the turn of the loop is theirs together.

Bounds: `_ROUNDS` questions and `_MOST` sockets a question, after which all others get their turn. Without `run`, and
where the system has no epoll, `running` is False, and whoever wants to read waits by himself.
"""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Callable
from typing import Final, TypeAlias

from trio.lowlevel import Abort, Task, current_task, reschedule, wait_readable, wait_task_rescheduled

_MOST: Final = 64
_ROUNDS: Final = 4

Ready: TypeAlias = Callable[[], bool]
"""Handles what can be read. True: the task that waits is wanted. It raises nothing."""


class Readiness:
    """Sockets that are waited for. One task calls `run`; any number of others `wait`, each for a socket of its own."""

    __slots__ = ("_epoll", "_waiting")

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._waiting: dict[int, tuple[Ready, Task]] = {}

    @property
    def running(self) -> bool:
        return self._epoll is not None

    async def run(self) -> None:
        """Ask, until cancelled; then all that wait return. It returns at once where the system has no epoll."""
        if sys.platform != "linux":
            return
        with select.epoll() as epoll:
            self._epoll = epoll
            try:
                descriptor = epoll.fileno()
                while True:
                    await wait_readable(descriptor)
                    self._ask(epoll)
            finally:
                self._epoll = None
                for _, task in self._waiting.values():
                    reschedule(task)
                self._waiting.clear()

    async def wait(self, sock: socket.socket, ready: Ready) -> None:
        """Have `ready` called, by the task that runs this, whenever the socket can be read; returns once it said True,
        or `run` is over. Raises OSError or ValueError for a socket that is closed; it must not be closed by
        another task meanwhile. Cancelled, `ready` is not called any more.
        """
        epoll = self._epoll
        if epoll is None:
            return
        descriptor = sock.fileno()
        epoll.register(descriptor, select.EPOLLIN)
        self._waiting[descriptor] = (ready, current_task())

        def leave(_: object) -> Abort:
            self._forget(descriptor)
            return Abort.SUCCEEDED

        await wait_task_rescheduled(leave)

    def _ask(self, epoll: select.epoll) -> None:
        waiting = self._waiting
        for _ in range(_ROUNDS):
            events = epoll.poll(0, _MOST)
            for descriptor, _ in events:
                waits = waiting.get(descriptor)
                # One before it may have cancelled this one's task, or, below, its own.
                if waits is not None and waits[0]() and waiting.get(descriptor) is waits:
                    self._forget(descriptor)
                    reschedule(waits[1])
            if not events:
                return

    def _forget(self, descriptor: int) -> None:
        """It is not asked for any more; what comes now is for whoever waits next."""
        del self._waiting[descriptor]
        if self._epoll is not None:
            self._epoll.unregister(descriptor)
