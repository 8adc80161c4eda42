"""Connections that are not plain HTTP/1.1: HTTP/2 without TLS and handshakes of WebSockets, as hypercorn speaks them.

Imported with the first of them. Hypercorn's own connections shield every write for ever, so that one client that stops
reading survives each time-out and blocks the stop itself (TRIO_STACK, trap 2); that is decided by a few lines around
its connection class; those lines are ours, without patching a name inside the library.
"""

from __future__ import annotations

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState

from kirotrio.web.hosting import KEEP_ALIVE, Host
from kirotrio.web.http1 import MOST_HEAD


class Upgraded(TCPServer):
    """A connection whose first bytes, `begun`, were read already. Its writes have a deadline."""

    def __init__(self, server: Host, app: ASGIFramework, stream: trio.SocketStream, begun: bytes) -> None:
        self._terminated = WorkerContext(None)
        super().__init__(ASGIWrapper(app), config(), self._terminated, ConnectionState({}), stream)  # type: ignore[arg-type]  # plain streams are taken too
        self._server = server
        self._begun = begun
        self._writing: trio.CancelScope | None = None

    async def protocol_send(self, event: Event) -> None:
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        async with self.send_lock:
            gone = False
            with trio.CancelScope(deadline=trio.current_time() + self._server.write_deadline, shield=True) as writing:
                self._writing = writing
                try:
                    await self.stream.send_all(event.data)
                except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                    # Busy: the connection is being closed from the other task at this very moment.
                    gone = True
            self._writing = None
            if writing.cancelled_caught:
                # The client has not read for that long: what it has not got, it will not get.
                await trio.aclose_forcefully(self.stream)
                gone = True
            if gone:
                await self.protocol.handle(Closed())

    async def _read_data(self) -> None:
        await self.protocol.handle(RawData(self._begun))
        self._begun = b""
        await super()._read_data()
        # The client has left. Without this the idle timer would keep the connection until it runs out.
        await self.idle_task.stop()

    def hurry(self, seconds: float) -> None:
        """Let a write that is waiting now wait no longer than this."""
        if self._writing is not None:
            self._writing.deadline = min(self._writing.deadline, trio.current_time() + seconds)

    async def close_idle(self) -> None:
        """Close it as soon as it has nothing to answer."""
        await self._terminated.terminated.set()


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
