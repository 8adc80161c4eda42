"""A server of connections of our own on a real socket, with answers of a few lines behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import trio

from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.exchange import Exchange
from kirotrio.web.http1 import Malformed, RequestHead
from kirotrio.web.incoming import Reply
from kirotrio.web.intake import BodyIntake, Inflight
from kirotrio.web.server import Server

GET = b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n%b\r\n"


@attrs.define
class Running:
    """A server whose answers `answer` gives; `answered` counts those that it has finished or left."""

    answer: Callable[[Exchange], Awaitable[None]]
    server: Server = attrs.field(init=False)
    log: RecordingLog = attrs.field(factory=RecordingLog)
    port: int = 0
    cancelled: int = 0
    inflight: Inflight = attrs.field(factory=lambda: Inflight(10_000_000))

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)


class Front:
    def __init__(self, running: Running) -> None:
        self._running = running

    def intake(self, head: RequestHead) -> BodyIntake:
        return BodyIntake(self._running.inflight, 1_000_000, head.length)

    def malformed(self, malformed: Malformed) -> Reply:
        return Reply(b"", malformed.status)

    async def answer(self, exchange: Exchange) -> None:
        try:
            await self._running.answer(exchange)
        except trio.Cancelled:
            self._running.cancelled += 1
            raise
        finally:
            exchange.intake.release()


@asynccontextmanager
async def serving(answer: Callable[[Exchange], Awaitable[None]], write_deadline: float = 5.0) -> AsyncIterator[Running]:
    running = Running(answer)
    running.server = Server(Front(running), running.log, write_deadline)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        running.port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(running.server.serve, listeners, nursery)
        yield running
        nursery.cancel_scope.cancel()


async def echo(exchange: Exchange) -> None:
    """The path, then the body."""
    body = await exchange.intake.whole(5)
    await exchange.start(200, {"x-method": exchange.head.method})
    await exchange.write(exchange.head.path.encode())
    await exchange.finish(body)


async def read_until(client: trio.SocketStream, end: bytes) -> bytes:
    received = b""
    with trio.fail_after(10):
        while not received.endswith(end):
            piece = await client.receive_some(65536)
            assert piece, f"closed after {received!r}"
            received += piece
    return received


async def read_to_end(client: trio.SocketStream) -> bytes:
    with trio.fail_after(10):
        return b"".join([piece async for piece in client])


END = b"0\r\n\r\n"
