"""Two tiny proxies that record what they were asked: HTTP (plain and CONNECT) and SOCKS5, both with a password."""

from __future__ import annotations

import base64
import contextlib
from functools import partial
from urllib.parse import urlsplit

import trio

USER, PASSWORD = "me@home", "p:w/%d"


class Proxy:
    """`asked` lists `host:port` of every connection that was let through."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refused = 0

    async def start(self, nursery: trio.Nursery) -> int:
        listeners = await nursery.start(partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1"))
        return int(listeners[0].socket.getsockname()[1])

    async def _serve(self, client: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async with client:
                await self.greet(client)

    async def greet(self, client: trio.SocketStream) -> None:
        raise NotImplementedError

    async def pass_on(self, client: trio.SocketStream, host: str, port: int, first: bytes = b"") -> None:
        self.asked.append(f"{host}:{port}")
        async with await trio.open_tcp_stream(host, port) as upstream:
            if first:
                await upstream.send_all(first)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._copy, client, upstream, nursery)
                nursery.start_soon(self._copy, upstream, client, nursery)

    async def _copy(self, source: trio.SocketStream, target: trio.SocketStream, nursery: trio.Nursery) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while piece := await source.receive_some(65536):
                await target.send_all(piece)
        nursery.cancel_scope.cancel()


class HttpProxy(Proxy):
    async def greet(self, client: trio.SocketStream) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = await client.receive_some(65536)
            if not piece:
                return
            head += piece
        first, _, rest = head.partition(b"\r\n")
        method, target, _ = first.decode().split(" ")
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode())
        if b"proxy-authorization: basic " + token.lower() not in head.lower():
            self.refused += 1
            await client.send_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            return
        if method == "CONNECT":
            host, _, port = target.partition(":")
            await client.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self.pass_on(client, host, int(port))
            return
        where = urlsplit(target)
        path = (where.path or "/") + (f"?{where.query}" if where.query else "")
        line = f"{method} {path} HTTP/1.1\r\n".encode()
        await self.pass_on(client, str(where.hostname), where.port or 80, line + rest)


class Socks5Proxy(Proxy):
    async def greet(self, client: trio.SocketStream) -> None:
        await client.receive_some(512)
        await client.send_all(b"\x05\x02")
        offered = await client.receive_some(512)
        user = offered[2 : 2 + offered[1]].decode()
        password = offered[3 + offered[1] :].decode()
        if (user, password) != (USER, PASSWORD):
            self.refused += 1
            await client.send_all(b"\x01\x01")
            return
        await client.send_all(b"\x01\x00")
        request = await client.receive_some(512)
        if request[3] == 1:
            host, rest = ".".join(map(str, request[4:8])), request[8:]
        else:
            size = request[4]
            host, rest = request[5 : 5 + size].decode(), request[5 + size :]
        await client.send_all(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        await self.pass_on(client, host, int.from_bytes(rest[:2], "big"))
