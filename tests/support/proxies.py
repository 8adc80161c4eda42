"""Tiny proxies that record what they were asked: HTTP (plain requests and CONNECT), the same over TLS, and SOCKS5.

All want a user and a password that have to be percent-encoded, and resolve names that nobody else knows.
"""

from __future__ import annotations

import base64
import contextlib
import ssl
from functools import partial
from urllib.parse import quote, urlsplit

import trio

USER, PASSWORD = "mé@home", "p:w/%d ü"


class Proxy:
    """`asked` lists `host:port` of every connection that was let through, `refused` counts those that were not.

    `names`: what `host:port`, or `host` at any port, stands for; everything else is called as it is named. `ready`: no
    connection is made before. `pieces`: the proxy's own answers are sent byte by byte. `hangs_at`: the proxy says
    nothing from there on: "tcp" (at once), "sign_in" or "connect"; `hanging` is set when it does, `gone` when a client
    left.
    """

    scheme = ""

    def __init__(self, tls: ssl.SSLContext | None = None, *, hangs_at: str = "", pieces: bool = False) -> None:
        self.asked: list[str] = []
        self.refused = 0
        self.names: dict[str, tuple[str, int]] = {}
        self.ready = trio.Event()
        self.ready.set()
        self.hanging = trio.Event()
        self.gone = trio.Event()
        self.port = 0
        self._tls = tls
        self._hangs_at = hangs_at
        self._pieces = pieces

    async def start(self, nursery: trio.Nursery) -> int:
        listeners = await nursery.start(partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1"))
        self.port = int(listeners[0].socket.getsockname()[1])
        return self.port

    def url(self, user: str = USER, password: str = PASSWORD, scheme: str = "") -> str:
        scheme = scheme or self.scheme + ("s" if self._tls else "")
        sign_in = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        return f"{scheme}://{sign_in}127.0.0.1:{self.port}"

    async def _serve(self, socket: trio.SocketStream) -> None:
        client: trio.abc.Stream = socket
        try:
            await self._hang("tcp", client)
            if self._tls is not None:
                client = trio.SSLStream(client, self._tls, server_side=True, https_compatible=True)
            await self.greet(client)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self.gone.set()
            await trio.aclose_forcefully(client)

    async def greet(self, client: trio.abc.Stream) -> None:
        raise NotImplementedError

    async def _hang(self, place: str, client: trio.abc.Stream) -> None:
        if self._hangs_at == place:
            self.hanging.set()
            while await client.receive_some(65536):
                pass
            raise trio.BrokenResourceError("the client is gone")

    async def say(self, client: trio.abc.Stream, answer: bytes) -> None:
        step = 1 if self._pieces else len(answer)
        for start in range(0, len(answer), step):
            await client.send_all(answer[start : start + step])

    async def reach(self, host: str, port: int) -> trio.SocketStream:
        await self.ready.wait()
        self.asked.append(f"{host}:{port}")
        where = self.names.get(f"{host}:{port}") or self.names.get(host) or (host, port)
        return await trio.open_tcp_stream(*where)

    async def pass_on(self, client: trio.abc.Stream, upstream: trio.abc.Stream) -> None:
        async with upstream, trio.open_nursery() as nursery:
            nursery.start_soon(self._copy, client, upstream, nursery)
            nursery.start_soon(self._copy, upstream, client, nursery)

    async def _copy(self, source: trio.abc.Stream, target: trio.abc.Stream, nursery: trio.Nursery) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while piece := await source.receive_some(65536):
                await target.send_all(piece)
        nursery.cancel_scope.cancel()


class HttpProxy(Proxy):
    """One plain request a connection, or one tunnel. `challenge` is what it says with a 407."""

    scheme = "http"
    challenge = b'Basic realm="test"'

    async def greet(self, client: trio.abc.Stream) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = await client.receive_some(65536)
            if not piece:
                return
            head += piece
        first, _, rest = head.partition(b"\r\n")
        method, target, _ = first.decode().split(" ")
        await self._hang("connect", client)
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode())
        if b"proxy-authorization: basic " + token.lower() not in head.lower():
            self.refused += 1
            answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: %b\r\n" % self.challenge
            await self.say(client, answer + b"content-length: 0\r\n\r\n")
            return
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            try:
                upstream = await self.reach(host.strip("[]"), int(port))
            except OSError:
                await self.say(client, b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
                return
            await self.say(client, b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n")
            await self.pass_on(client, upstream)
            return
        where = urlsplit(target)
        path = (where.path or "/") + (f"?{where.query}" if where.query else "")
        upstream = await self.reach(str(where.hostname), where.port or 80)
        kept = [line for line in rest.split(b"\r\n") if not line.lower().startswith((b"connection:", b"proxy-"))]
        await upstream.send_all(f"{method} {path} HTTP/1.1\r\nconnection: close\r\n".encode() + b"\r\n".join(kept))
        await self.pass_on(client, upstream)


class Socks5Proxy(Proxy):
    """`reply`: the reply field of its answer to every request; `kind` the kind of address within it."""

    scheme = "socks5"
    reply = 0
    kind = 1

    async def greet(self, client: trio.abc.Stream) -> None:
        _, count = await exactly(client, 2)
        methods = await exactly(client, count)
        await self._hang("sign_in", client)
        if 2 not in methods:
            self.refused += 1
            await self.say(client, b"\x05\xff")
            return
        await self.say(client, b"\x05\x02")
        _, size = await exactly(client, 2)
        user = await exactly(client, size)
        password = await exactly(client, (await exactly(client, 1))[0])
        if (user.decode(), password.decode()) != (USER, PASSWORD):
            self.refused += 1
            await self.say(client, b"\x01\x01")
            return
        await self.say(client, b"\x01\x00")
        _, _, _, kind = await exactly(client, 4)
        if kind == 3:
            host = (await exactly(client, (await exactly(client, 1))[0])).decode()
        elif kind == 1:
            host = ".".join(map(str, await exactly(client, 4)))
        else:
            host = "[" + (await exactly(client, 16)).hex(":", 2) + "]"
        port = int.from_bytes(await exactly(client, 2), "big")
        await self._hang("connect", client)
        bound = {1: bytes(4), 3: b"\x04here", 4: bytes(16)}[self.kind] + b"\0\0"
        if self.reply:
            await self.say(client, bytes([5, self.reply, 0, self.kind]) + bound)
            return
        upstream = await self.reach(host, port)
        await self.say(client, bytes([5, 0, 0, self.kind]) + bound)
        await self.pass_on(client, upstream)


async def exactly(stream: trio.abc.Stream, count: int) -> bytes:
    held = b""
    while len(held) < count:
        piece = await stream.receive_some(count - len(held))
        if not piece:
            raise trio.BrokenResourceError("the client left")
        held += piece
    return held
