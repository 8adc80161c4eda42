"""Messages between the processes of one gateway: lists as JSON, one a line, over a Unix socket.

By hand on a plain socket, since this lies on the path of every request: a message that fits into the socket's buffer is
one system call, without a task that wakes up for it.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import orjson
import trio

_PIECE = 256 * 1024
_MOST = 256 * 1024 * 1024
"""Bytes that may wait to be taken by the other side. More is a process that hangs."""


class Link:
    """One side of a connection. `say` may be called from anywhere on the event loop; `hear` and `pour` are one task
    each."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._in = bytearray()
        self._out = bytearray()
        self._left_over = trio.Event()

    def say(self, *message: Any) -> None:
        """Send without waiting, in order. A connection that cannot take it is over, which `hear` tells."""
        line = orjson.dumps(message) + b"\n"
        sent = 0
        if not self._out:
            try:
                sent = self._socket.send(line)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._end()
                return
        if sent < len(line):
            self._out += line[sent:]
            self._left_over.set()
            if len(self._out) > _MOST:
                self._end()

    async def hear(self) -> list[list[Any]]:
        """What came, in order; empty once the other side has gone. Cancellation loses nothing."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                piece = self._socket.recv(_PIECE)
            except BlockingIOError:
                continue
            except OSError:
                return []
            if not piece:
                return []
            self._in += piece
            if b"\n" in piece:
                end = self._in.rfind(b"\n")
                lines = bytes(self._in[:end]).split(b"\n")
                del self._in[: end + 1]
                return [orjson.loads(line) for line in lines]

    async def pour(self) -> None:
        """Until cancelled: send what did not fit when it was said."""
        while True:
            await self._left_over.wait()
            while self._out:
                await trio.lowlevel.wait_writable(self._socket)
                try:
                    sent = self._socket.send(self._out[:_PIECE])
                except BlockingIOError:
                    continue
                except OSError:
                    self._out.clear()
                    self._end()
                else:
                    del self._out[:sent]
            self._left_over = trio.Event()

    def close(self) -> None:
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
