"""Kiro's hosts by their real names, on a network that only a proxy leads into.

Nothing is rebased: the calls go to the names that production uses. This machine resolves none of them (`Nowhere` fails,
and writes down what it was asked), the proxy takes them all to `FarService`, which speaks TLS as each of them.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import trio
import trustme
from attrs import define, field

from kirotrio.simulator import Simulator


@define
class Nowhere(trio.abc.HostnameResolver):
    """Resolves no name but that of this machine. Addresses that are numbers are not asked about."""

    asked: list[str] = field(factory=list)

    async def getaddrinfo(self, host: Any, port: Any, *_: Any, **__: Any) -> Any:
        if host in ("localhost", b"localhost"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port)))]
        self.asked.append(host.decode() if isinstance(host, bytes) else host)
        raise socket.gaierror(socket.EAI_NONAME, "nobody knows it here")

    async def getnameinfo(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


@define
class FarService:
    """`hosts` lists the names that were called, once for each connection. `where` is its address for a proxy."""

    authority: trustme.CA = field(factory=trustme.CA)
    hosts: list[str] = field(factory=list)
    where: tuple[str, int] = ("127.0.0.1", 0)
    _simulator: Simulator | None = None
    _present: trio.Event = field(factory=trio.Event)

    def begin(self, simulator: Simulator) -> None:
        """Who answers; connections that come earlier wait."""
        self._simulator = simulator
        self._present.set()

    async def start(self, nursery: trio.Nursery) -> FarService:
        listeners = await nursery.start(partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1"))
        self.where = listeners[0].socket.getsockname()[:2]
        return self

    async def _serve(self, socket: trio.SocketStream) -> None:
        tls = trio.SSLStream(socket, self._context(), server_side=True, https_compatible=True)
        try:
            await tls.do_handshake()
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(tls)
            return
        await self._present.wait()
        assert self._simulator is not None
        await self._simulator.handle_connection(tls)

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = self._named
        return context

    def _named(self, connection: Any, name: str, _: ssl.SSLContext) -> None:
        self.hosts.append(name)
        connection.context = _identity(self.authority, name)


@functools.lru_cache(maxsize=64)
def _identity(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


class Everywhere(dict[str, tuple[str, int]]):
    """The `names` of a proxy for which every name stands for the same place."""

    def __init__(self, where: tuple[str, int]) -> None:
        super().__init__()
        self.where = where

    def get(self, *_: Any) -> tuple[str, int]:
        return self.where


@contextlib.asynccontextmanager
async def far_away() -> AsyncIterator[tuple[FarService, Nowhere, trio.Nursery]]:
    """The far service; within, no name resolves."""
    nowhere = Nowhere()
    async with trio.open_nursery() as nursery:
        far = await FarService().start(nursery)
        before = trio.socket.set_custom_hostname_resolver(nowhere)
        try:
            yield far, nowhere, nursery
        finally:
            trio.socket.set_custom_hostname_resolver(before)
            nursery.cancel_scope.cancel()
