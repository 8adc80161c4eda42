"""The accept loop: connections of our own on our own listeners, which stop in order.

Hypercorn's `serve` ends running answers three seconds after a stop, and its connections for HTTP/1.1 cost too much
(web/wire.py says how much).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Any

import trio

from kirotrio.errors import SettingsError
from kirotrio.relay.register import Register
from kirotrio.telemetry.log import Log
from kirotrio.web.accepting import Listener, accept_from
from kirotrio.web.hosting import Front, Guest
from kirotrio.web.wire import Connection

__all__ = ["Listener", "Server", "base_url", "cannot_listen", "open_listeners"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Server:
    """Listens, accepts, and stops in order. `write_deadline` is in seconds."""

    def __init__(self, front: Front, log: Log, write_deadline: float) -> None:
        self.front = front
        self.log = log
        self.write_deadline = write_deadline
        self.connections = Register[Guest]()
        self.closing = False
        """Whether no connection is kept for another request."""
        self._date_at = 0
        self._date = ""

    async def serve(self, listeners: Sequence[Listener], nursery: trio.Nursery) -> None:
        """Accept until cancelled; connections live in `nursery`."""

        def begin(connected: socket.socket) -> None:
            nursery.start_soon(Connection(self, connected).run)

        async with trio.open_nursery() as accepting:
            for listener in listeners:
                accepting.start_soon(accept_from, listener, begin, self.log)

    def date(self) -> str:
        """The line of a head that names the time, made once a second."""
        now = int(time.time())
        if now != self._date_at:
            self._date_at, self._date = now, f"date: {http_date(now)}\r\n"
        return self._date

    def hurry(self, write_deadline: float) -> None:
        """Give no write longer than this from now on, those that wait already included."""
        self.write_deadline = min(self.write_deadline, write_deadline)
        for connection in self.connections:
            connection.hurry(write_deadline)

    async def close_idle(self) -> None:
        """Close every connection as soon as it has nothing to answer."""
        self.closing = True
        for connection in self.connections:
            await connection.close_idle()


async def open_listeners(host: str, port: int) -> list[trio.SocketListener]:
    """Listen on every address of `host`. Raises SettingsError with what to change."""
    try:
        return list(await trio.open_tcp_listeners(port, host=host))
    except OSError as error:
        raise cannot_listen(host, port, error) from error


def cannot_listen(host: str, port: int, error: OSError) -> SettingsError:
    reason = error.strerror or str(error)
    return SettingsError(
        f"cannot listen on {host}:{port} ({reason}); choose another with --host and --port (server.host, server.port)"
    )


def base_url(name: Any) -> str:
    """Of a listening socket's own name."""
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"


def http_date(now: int) -> str:
    """Epoch seconds as a head spells them (RFC 9110, 5.6.7). `email.utils` would bring eight modules to every start."""
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(now)
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
