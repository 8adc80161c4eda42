"""How a call travels to the upstream. The only file that knows what may break beneath it (what is said of it stands in
kiro/failures.py).

One `Transport` serves every call: generation, models, usage, profiles, sign-in, refresh. So proxy, certificates
and deadlines are the same everywhere. Above this file only `kirotrio.errors` exist.
"""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import trio

from kirotrio.classes import define
from kirotrio.config.settings import DeadlineSettings, UpstreamSettings
from kirotrio.errors import DeadlineExceeded, Recovery, SettingsError, UpstreamFailed
from kirotrio.kiro.address import Address, NoAddress, parse_address
from kirotrio.kiro.connections import BROKEN, Connection, Pool, TakeNow, WayOut
from kirotrio.kiro.failures import broke, translated
from kirotrio.kiro.http1 import UnfitRequest, request_head
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.kiro.proxies import ACCOUNTS_OWN, Proxy, bypasses_proxy, parse_proxy
from kirotrio.kiro.readiness import Readiness
from kirotrio.kiro.tunnels import Direct, Roots, Tunnel, not_admitted

_LARGEST_ANSWER: Final = 16 * 1024 * 1024
"""A plain answer (models, usage, an error) is far smaller; more than this is not ours to hold."""

_MOST_ROUTES: Final = 32
"""Proxies whose connections are kept for the next call. A person has a handful of accounts."""

_MOST_ADDRESSES: Final = 256
"""Addresses that are not read anew at every call; there are a dozen, and a few that carry a page's token."""

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class Transport:
    """Every connection to the upstream. Close it with `aclose()`, or use it as an async context manager."""

    def __init__(self, upstream: UpstreamSettings, deadlines: DeadlineSettings) -> None:
        self._no_proxy = upstream.no_proxy
        self._connections = upstream.connections
        self._readiness = Readiness()
        self._tls: Roots = functools.cache(functools.partial(tls_context, upstream.certificates))
        # Reads have no deadline of their own: silence is watched from beside the read (TRIO_STACK, trap 13).
        self.connect_patience = deadlines.connect
        self.write_patience = deadlines.client_write
        self._addresses: dict[str, Address] = {}
        self._direct = self._route(None)
        self._through = self._route(parse_proxy(upstream.proxy_url)) if upstream.proxy_url else self._direct
        self._own: dict[str, Route] = {}
        """By the address of an account's proxy; the one that was used last comes last."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        for route in (self._direct, self._through, *self._own.values()):
            route.close()

    async def run(self) -> None:
        """Until cancelled, events of running answers are waited for together, which is cheaper: see `readiness`."""
        await self._readiness.run()

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float,
        proxy_url: str | None = None,
    ) -> HttpAnswer:
        """Make one plain call and read its whole answer, whatever its status.

        `proxy_url`: an account's own proxy; "" for none, None for the one of the settings. `upstream.no_proxy`
        excepts hosts from either.

        Raises UpstreamFailed (retryable) where the network fails, also where the proxy refuses (retryable if the next
        attempt may fare better), SettingsError for an address that is none, DeadlineExceeded after `deadline` seconds.
        Cancellation closes the connection.
        """
        try:
            with trio.fail_after(deadline):
                async with self.stream(method, url, headers=headers or {}, body=body, proxy_url=proxy_url) as stream:
                    return HttpAnswer(stream.status, stream.headers, await stream.read(_LARGEST_ANSWER))
        except trio.TooSlowError:
            raise DeadlineExceeded(
                f"{_called(url).host} did not answer within {deadline:g} seconds", recovery=Recovery.RETRY
            ) from None

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        proxy_url: str | None = None,
    ) -> UpstreamStream:
        """A call whose answer is read piece by piece; it is made on entering the returned context."""
        where = self._address(url)
        fields = _fields(where.netloc, method, headers, body)
        return UpstreamStream(self, where, method, fields, body or b"", proxy_url)

    def borrow(self, where: Address, proxy_url: str | None) -> Route:
        """The way to `where`, which stays open until it is given back. Raises SettingsError."""
        route = self._way(where, proxy_url)
        route.busy += 1
        return route

    def give_back(self, route: Route) -> None:
        route.busy -= 1
        if len(self._own) > _MOST_ROUTES:
            self._close_surplus()

    def _address(self, url: str) -> Address:
        where = self._addresses.get(url)
        if where is None:
            where = _called(url)
            if len(self._addresses) >= _MOST_ADDRESSES:
                self._addresses.clear()
            self._addresses[url] = where
        return where

    def _way(self, where: Address, proxy_url: str | None) -> Route:
        if proxy_url == "" or (proxy_url is None and self._through is self._direct):
            return self._direct
        if bypasses_proxy(where.host, where.connects_to, self._no_proxy):
            return self._direct
        if proxy_url is None:
            return self._through
        route = self._own.pop(proxy_url, None) or self._route(parse_proxy(proxy_url, ACCOUNTS_OWN))
        self._own[proxy_url] = route
        return route

    def _route(self, proxy: Proxy | None) -> Route:
        return Route.to(proxy, self._tls, self._connections, self._readiness)

    def _close_surplus(self) -> None:
        """Those used longest ago go first, and none that is in use."""
        idle = [address for address, route in self._own.items() if not route.busy]
        for address in idle[: len(self._own) - _MOST_ROUTES]:
            self._own.pop(address).close()


@define(eq=False)
class Route:
    """The connections that go one way: straight, or through one proxy. `busy` counts the calls under way.

    A plain call through an HTTP proxy names its target in the request itself, since proxies refuse a tunnel to it
    more often than not; all others go through a tunnel.
    """

    proxy: Proxy | None
    _pool: Pool
    _forwarding: Pool | None = None
    busy: int = 0

    @classmethod
    def to(cls, proxy: Proxy | None, tls: Roots, connections: int, readiness: Readiness) -> Self:
        if proxy is None:
            return cls(proxy, Pool(Direct(), tls, connections, readiness))
        pool = Pool(Tunnel(proxy, tls), tls, connections, readiness)
        if proxy.scheme == "socks5":
            return cls(proxy, pool)
        return cls(proxy, pool, Pool(Tunnel(proxy, tls, forwards=True), tls, connections, readiness))

    def pool_for(self, where: Address) -> Pool:
        return self._pool if self._forwarding is None or where.scheme == "https" else self._forwarding

    def close(self) -> None:
        self._pool.close()
        if self._forwarding is not None:
            self._forwarding.close()


class UpstreamStream:
    """One answer in flight: `async with` sends the request and receives the head, leaving closes the connection
    unless the body was read to its end.

    Raises UpstreamFailed where the network fails. Cancellation at any point closes the connection.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_early",
        "_fields",
        "_method",
        "_pool",
        "_proxy_url",
        "_route",
        "_transport",
        "_where",
        "headers",
        "status",
    )

    status: int
    headers: Mapping[str, str]
    """The head's fields, names in lower case; what comes several times is joined by commas."""

    def __init__(
        self,
        transport: Transport,
        where: Address,
        method: str,
        fields: list[tuple[str, str]],
        body: bytes,
        proxy_url: str | None,
    ) -> None:
        self._transport = transport
        self._where = where
        self._method = method
        self._fields = fields
        self._body = body
        self._proxy_url = proxy_url
        self._route: Route
        self._pool: Pool
        self._connection: Connection
        self._early = b""

    async def __aenter__(self) -> Self:
        self._route = route = self._transport.borrow(self._where, self._proxy_url)
        try:
            self._pool = route.pool_for(self._where)
            head = self._head(self._pool.way, route.proxy)
            self._connection = await self._asked(head, route.proxy)
        except BaseException as error:
            self._transport.give_back(route)
            ours = translated(error, self._where.host)
            if ours is None:
                raise
            raise ours from (None if isinstance(error, UnfitRequest) else error)
        self._body = b""
        response = self._connection.response
        self.status = response.status
        joined: dict[str, str] = {}
        for name, value in response.fields:
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        self.headers = joined
        return self

    async def _asked(self, head: bytes, proxy: Proxy | None) -> Connection:
        """The connection on which the response has begun. A request that met a kept one which the peer had closed is
        sent once more, at once: it is not an attempt, since nobody has seen it."""
        pool, where, transport = self._pool, self._where, self._transport
        connection = await pool.take(where, transport.connect_patience)
        while True:
            try:
                self._early = await connection.ask(self._method, head, self._body, transport.write_patience)
                if connection.response.status == 407 and proxy is not None and _forwards(pool.way):
                    raise not_admitted(proxy, connection.response.fields)
            except BaseException as error:
                # Before anything else: whoever is cancelled lets go at once.
                pool.give_back(connection)
                if not connection.was_stale(error):
                    raise
            else:
                return connection
            connection = await pool.take(where, transport.connect_patience, fresh=True)

    def _head(self, way: WayOut, proxy: Proxy | None) -> bytes:
        target, fields = self._where.target, self._fields
        if proxy is not None and _forwards(way):
            target = f"{self._where.scheme}://{self._where.netloc}{target}"
            if proxy.authorization:
                fields = [("Proxy-Authorization", proxy.authorization.decode("ascii")), *fields]
        return request_head(self._method, target, fields)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.give_back(self._connection)
        self._transport.give_back(self._route)

    async def receive(self, take_now: TakeNow | None = None) -> bytes:
        """The next bytes of the body, b"" at its end. Raises UpstreamFailed where the connection is cut.

        `take_now`: may be called with what comes meanwhile, by another task. It returns False for a piece that it has
        not touched, which is then received; what it raises, this raises.
        """
        if self._early:
            early, self._early = self._early, b""
            return early
        try:
            return await self._connection.receive(take_now)
        except BROKEN as error:
            raise broke(error, self._where.host) from error

    async def read(self, ceiling: int) -> bytes:
        """The whole rest of the body. Raises UpstreamFailed beyond `ceiling` bytes."""
        pieces: list[bytes] = []
        held = 0
        while piece := await self.receive():
            held += len(piece)
            if held > ceiling:
                raise UpstreamFailed(f"{self._where.host} sent an answer of more than {ceiling} bytes")
            pieces.append(piece)
        return b"".join(pieces)


def way_out(upstream: UpstreamSettings, where: Address) -> WayOut:
    """How a connection to `where` is to be made that is no call of the upstream: as the settings' proxy demands.

    Raises SettingsError for a proxy address that is none.
    """
    if not upstream.proxy_url or bypasses_proxy(where.host, where.connects_to, upstream.no_proxy):
        return Direct()
    return Tunnel(parse_proxy(upstream.proxy_url), functools.partial(tls_context, upstream.certificates))


def _forwards(way: WayOut) -> bool:
    return isinstance(way, Tunnel) and way.forwards


def _fields(netloc: str, method: str, headers: Mapping[str, str], body: bytes | None) -> list[tuple[str, str]]:
    """The head's fields: those that were given and those that HTTP demands, nothing that names the library.

    A compressed stream would arrive in lumps, so no encoding is asked for (KIRO_PROTOCOL 3).
    """
    names = {name.lower() for name in headers}
    fields = [] if "host" in names else [("Host", netloc)]
    if "accept" not in names:
        fields.append(("Accept", "*/*"))
    if "connection" not in names:
        fields.append(("Connection", "keep-alive"))
    fields += headers.items()
    if "content-length" not in names and (body is not None or method in _WITH_BODY):
        fields.append(("Content-Length", str(len(body or b""))))
    return fields


def tls_context(certificates: str) -> ssl.SSLContext:
    """The trusted roots: `system`, `bundled`, or `auto` (system where there are any)."""
    context: ssl.SSLContext
    if certificates == "system" or (certificates == "auto" and _system_has_roots()):
        import truststore

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        import certifi

        context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _system_has_roots() -> bool:
    if os.name == "nt" or os.uname().sysname == "Darwin":
        return True
    paths = ssl.get_default_verify_paths()
    if paths.cafile and os.path.isfile(paths.cafile) and os.path.getsize(paths.cafile):
        return True
    if not (paths.capath and os.path.isdir(paths.capath)):
        return False
    with os.scandir(paths.capath) as entries:
        return any(entry.is_file() for entry in entries)


def _called(url: str) -> Address:
    try:
        return parse_address(url)
    except NoAddress as error:
        raise SettingsError(f"{url}: not an address that can be called; it begins with http:// or https://") from error
