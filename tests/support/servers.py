"""Servers of a few lines, and the transport that calls them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio

from kirotrio.config.settings import DeadlineSettings, UpstreamSettings
from kirotrio.kiro.client import Transport

Handler = Callable[[trio.abc.Stream], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-Amzn-RequestId: r1\r\n\r\nok"


@asynccontextmanager
async def server(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, trio.Nursery]]:
    """A server on a free port; yields the port and the nursery."""
    async with trio.open_nursery() as nursery:
        if tls is None:
            listeners = await nursery.start(partial(trio.serve_tcp, handler, 0, host="127.0.0.1"))
            port = listeners[0].socket.getsockname()[1]
        else:
            listeners = await nursery.start(partial(trio.serve_ssl_over_tcp, handler, 0, tls, host="127.0.0.1"))
            port = listeners[0].transport_listener.socket.getsockname()[1]
        yield port, nursery
        nursery.cancel_scope.cancel()


def saying(answer: bytes) -> Handler:
    async def handler(stream: trio.abc.Stream) -> None:
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(answer)

    return handler


def transport(connect: float = 5, **upstream: Any) -> Transport:
    return Transport(UpstreamSettings(**upstream), DeadlineSettings(connect=connect))
