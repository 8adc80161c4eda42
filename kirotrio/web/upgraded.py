"""Connections that are not plain HTTP/1.1: HTTP/2 without TLS and handshakes of WebSockets, as hypercorn speaks them.

Imported with the first of them. Where hypercorn waits without an end, a few lines around its connection class give it
one, without patching a name inside the library:

- it shields every write for ever, so that one client that stops reading survives each time-out and blocks the stop
  itself (TRIO_STACK, trap 2);
- it lets a client of HTTP/2 be silent for ever before its first request, and for as long as it likes in the middle of
  an answer whose stream it gives no room; what is held here to the limits of HTTP/1.1 are the calls of the
  application, which do not depend on how it counts its streams;
- it ends a connection with all of its answers where one of them has left ahead of its request's body.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from typing import Any, Final

import trio
from h2.exceptions import ProtocolError
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState

from kirotrio.web.hosting import KEEP_ALIVE, Host
from kirotrio.web.http1 import MOST_HEAD

_CANCEL: Final = 8
_PROTOCOL_ERROR: Final = 1
"""Codes of RFC 9113 7."""
_LAST: Final = 0.5
"""Seconds that the end of the last answer has to leave, where the gateway stops."""


class Upgraded(TCPServer):
    """A connection whose first bytes, `begun`, were read already. It is closed once nothing was asked for
    `KEEP_ALIVE` seconds; what it writes has the server's write deadline."""

    def __init__(self, server: Host, app: ASGIFramework, stream: trio.SocketStream, begun: bytes) -> None:
        super().__init__(ASGIWrapper(self._answer), config(), WorkerContext(None), ConnectionState({}), stream)  # type: ignore[arg-type]  # plain streams are taken too
        self._server = server
        self._application = app
        self._begun = begun
        self._running = trio.CancelScope()
        """Its deadline is the patience with a connection that asks nothing."""
        self._calls = 0
        self._closing = False
        self._waits: set[trio.CancelScope] = set()
        """Of whatever waits for the client to take something."""
        self._over = False
        """Whether nothing is read any more, so that nothing is taken either."""

    async def run(self) -> None:
        self._running.deadline = trio.current_time() + KEEP_ALIVE
        with self._running:
            await super().run()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Call the application for one request."""
        begun = ended = False

        async def send_in_time(message: Any) -> None:
            nonlocal begun, ended
            with self._wait() as waiting:
                await send(message)
                begun = True
                ended = message["type"].endswith(".body") and not message.get("more_body", False)
            if waiting.cancelled_caught:
                call.cancel()
                await trio.lowlevel.checkpoint()

        self._calls += 1
        self._running.deadline = inf
        try:
            with trio.CancelScope() as call:
                await self._application(scope, receive, send_in_time)
        finally:
            self._calls -= 1
            if not self._calls:
                self._running.deadline = trio.current_time() + (_LAST if self._closing else KEEP_ALIVE)
            if begun and not ended:
                await self._reset(scope)

    async def protocol_send(self, event: Event) -> None:
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        async with self.send_lock:
            gone = False
            with self._wait(shield=True) as writing:
                try:
                    await self.stream.send_all(event.data)
                except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                    # Busy: the connection is being closed from the other task at this very moment.
                    gone = True
            if writing.cancelled_caught:
                # The client has not read for that long: what it has not got, it will not get.
                await trio.aclose_forcefully(self.stream)
                gone = True
            if gone:
                await self.protocol.handle(Closed())

    @contextmanager
    def _wait(self, *, shield: bool = False) -> Iterator[trio.CancelScope]:
        """For the client to take what is written to it."""
        patience = 0.0 if self._over else self._server.write_deadline
        with trio.CancelScope(deadline=trio.current_time() + patience, shield=shield) as waiting:
            self._waits.add(waiting)
            try:
                yield waiting
            finally:
                self._waits.remove(waiting)

    async def _reset(self, scope: Any) -> None:
        """Let the client know that the answer to this request has no end; the other ones go on."""
        protocol = self.protocol.protocol
        if isinstance(protocol, H2Protocol):
            for number, stream in protocol.streams.items():
                if getattr(stream, "scope", None) is scope:
                    with suppress(ProtocolError):
                        protocol.connection.reset_stream(number, _CANCEL)
            await self._flush(protocol)

    async def _read_data(self) -> None:
        try:
            await self.protocol.handle(RawData(self._begun))
            self._begun = b""
            protocol = self.protocol.protocol
            if isinstance(protocol, H2Protocol):
                protocol.streams = _Streams(protocol.streams)
            await super()._read_data()
        except (UnicodeDecodeError, UnboundLocalError):
            # A path or a method that is no ASCII; CONNECT, which names no path. Hypercorn's streams are in disorder.
            await self._refuse()
            return
        finally:
            # What is shielded would wait for those who have been cancelled already.
            self._over = True
            self.hurry(0.0)
        # The client has left. Without this the idle timer would keep the connection until it runs out.
        await self.idle_task.stop()

    async def _refuse(self) -> None:
        protocol = self.protocol.protocol
        if isinstance(protocol, H2Protocol):
            with suppress(ProtocolError):
                protocol.connection.close_connection(_PROTOCOL_ERROR)
            await self._flush(protocol)
        self._running.cancel()

    async def _flush(self, protocol: H2Protocol) -> None:
        await self.protocol_send(RawData(protocol.connection.data_to_send()))

    def hurry(self, seconds: float) -> None:
        """Let a write that is waiting now wait no longer than this."""
        until = trio.current_time() + seconds
        for waiting in self._waits:
            waiting.deadline = min(waiting.deadline, until)

    async def close_idle(self) -> None:
        """Close it as soon as it has nothing to answer."""
        # Hypercorn, told to stop, would close the connection between an answer's last bytes and its end.
        self._closing = True
        if not self._calls:
            self._running.cancel()


class _Streams(dict[int, Any]):
    """Hypercorn's streams by number. One that is answered already takes what still comes of its request."""

    def __missing__(self, number: int) -> _Answered:
        return _Answered()


class _Answered:
    async def handle(self, event: object) -> None:
        """Nobody wants it any more."""


def config() -> Config:
    """What hypercorn is told."""
    config = Config()
    config.keep_alive_timeout = KEEP_ALIVE
    config.keep_alive_max_requests = 1_000_000
    config.read_timeout = None  # it would cut long answers (TRIO_STACK, trap 8)
    config.accesslog = None  # one structured line per answer instead (trap 15)
    config.include_server_header = False
    config.h11_max_incomplete_size = MOST_HEAD
    config.websocket_max_message_size = 1
    return config
