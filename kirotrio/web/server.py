"""The accept loop: hypercorn's protocol machinery on our own listeners, with a deadline for every write.

Hypercorn's own `serve` ends running answers three seconds after a stop, and its connections shield every write for
ever, so that one client that stops reading survives each time-out and blocks the stop itself (TRIO_STACK, traps 2
and 5). Both are decided by a few lines around its connection class; those lines are ours, without patching a name
inside the library. The connection's protocol stays hypercorn's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState

from kirotrio.errors import SettingsError
from kirotrio.relay.register import Register
from kirotrio.telemetry.log import Log
from kirotrio.web.workers.listening import SharedListener

Listener: TypeAlias = trio.SocketListener | SharedListener

_KEEP_ALIVE = 75.0
"""Seconds for which an idle connection is kept: longer than the 60 s for which reverse proxies keep theirs."""


class Connection(TCPServer):
    """One client connection, whose writes have a deadline."""

    def __init__(self, server: Server, stream: trio.SocketStream) -> None:
        super().__init__(server.app, server.config, server.context, ConnectionState({}), stream)  # type: ignore[arg-type]  # plain streams are taken too
        self._server = server
        self._writing: trio.CancelScope | None = None

    async def run(self) -> None:
        self._server.connections.add(self)
        try:
            await super().run()
        except Exception as error:
            self._server.log.error("connection failed", exc_info=error)
        finally:
            self._server.connections.remove(self)

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
        await super()._read_data()
        # The client has left. Without this the idle timer would keep the connection until it runs out.
        await self.idle_task.stop()

    def hurry(self, seconds: float) -> None:
        """Let a write that is waiting now wait no longer than this."""
        if self._writing is not None:
            self._writing.deadline = min(self._writing.deadline, trio.current_time() + seconds)


class Server:
    """Listens, accepts, and stops in order. `write_deadline` is in seconds."""

    def __init__(self, app: ASGIFramework, log: Log, write_deadline: float) -> None:
        self.app = ASGIWrapper(app)
        self.log = log
        self.write_deadline = write_deadline
        self.config = _config()
        self.context = WorkerContext(None)
        self.connections = Register[Connection]()

    async def serve(self, listeners: Sequence[Listener], nursery: trio.Nursery) -> None:
        """Accept until cancelled; connections live in `nursery`."""

        async def handle(stream: trio.SocketStream) -> None:
            await Connection(self, stream).run()

        await trio.serve_listeners(handle, list[Any](listeners), handler_nursery=nursery)

    def hurry(self, write_deadline: float) -> None:
        """Give no write longer than this from now on, those that wait already included."""
        self.write_deadline = min(self.write_deadline, write_deadline)
        for connection in self.connections:
            connection.hurry(write_deadline)


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


def _config() -> Config:
    config = Config()
    config.keep_alive_timeout = _KEEP_ALIVE
    config.keep_alive_max_requests = 1_000_000
    config.read_timeout = None  # it would cut long answers (TRIO_STACK, trap 8)
    config.accesslog = None  # one structured line per answer instead (trap 15)
    config.include_server_header = False
    config.h11_max_incomplete_size = 64 * 1024
    config.websocket_max_message_size = 1
    return config
