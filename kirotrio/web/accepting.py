"""How connections come in: from a listening socket, as many as wait there, each as a plain socket.

In place of `trio.serve_listeners`, which makes a stream of each connection that is taken apart again at once, and
closes that with a cancel scope of its own: half of what a connection costs before its first byte.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import trio

from kirotrio.kiro.lines import tune
from kirotrio.telemetry.log import Log

if TYPE_CHECKING:
    from kirotrio.web.workers.listening import SharedListener

Listener: TypeAlias = "trio.SocketListener | SharedListener"

_AT_ONCE: Final = 16
"""Connections that are taken before others get their turn."""
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_PAUSE: Final = 0.1
"""Seconds after which to try again, where the system has no room for another connection."""


async def accept_from(listener: Listener, begin: Callable[[socket.socket], None], log: Log) -> None:
    """Hand every connection to `begin`, whose it is from then on, until cancelled; then the listener is closed."""
    async with listener:
        if not isinstance(listener, trio.SocketListener):
            while True:
                try:
                    stream = await listener.accept()
                except OSError as error:
                    await _make_room(error, log)
                else:
                    begin(socket.socket(fileno=stream.socket.detach()))
        beneath = listener.socket
        with socket.fromfd(beneath.fileno(), beneath.family, beneath.type) as listening:
            listening.setblocking(False)
            while True:
                await trio.lowlevel.wait_readable(listening)
                try:
                    for _ in range(_AT_ONCE):
                        connected, _ = listening.accept()
                        tune(connected)
                        begin(connected)
                except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                    continue
                except OSError as error:
                    await _make_room(error, log)


async def _make_room(error: OSError, log: Log) -> None:
    """Wait where that may help. Raises the error where it does not."""
    if error.errno not in _NO_ROOM:
        raise error
    log.error("no room for another connection", error=str(error), seconds=_PAUSE)
    await trio.sleep(_PAUSE)
