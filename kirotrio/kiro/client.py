"""The only file that knows how bytes travel to the upstream, and that the library which carries them raises.

One `Transport` serves every call: generation, models, usage, profiles, sign-in, refresh. So proxy, certificates
and deadlines are the same everywhere. Above this file only `kirotrio.errors` exist.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import Final, Self, TypeAlias

import httpcore
import httpx
import trio
from attrs import define

from kirotrio.config.settings import DeadlineSettings, UpstreamSettings
from kirotrio.errors import DeadlineExceeded, Recovery, SettingsError, UpstreamFailed
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.kiro.proxies import ACCOUNTS_OWN, Proxy, bypasses_proxy, parse_proxy
from kirotrio.kiro.tunnels import Direct, Tunnel, not_admitted

_LARGEST_ANSWER: Final = 16 * 1024 * 1024
"""A plain answer (models, usage, an error) is far smaller; more than this is not ours to hold."""

_MOST_ROUTES: Final = 32
"""Proxies whose connections are kept for the next call. A person has a handful of accounts."""

_NETWORK: Final = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.ProxyError)

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})

_IDLE: Final = 60.0
"""Seconds that a connection is kept for the next call."""


class Transport:
    """Every connection to the upstream. Close it with `aclose()`, or use it as an async context manager."""

    def __init__(self, upstream: UpstreamSettings, deadlines: DeadlineSettings) -> None:
        self._no_proxy = upstream.no_proxy
        self._connections = upstream.connections
        self._tls = tls_context(upstream.certificates)
        # Reads have no timeout of their own: silence is watched from beside the read (TRIO_STACK, trap 13).
        self._timeout = {
            "connect": deadlines.connect,
            "read": None,
            "write": deadlines.client_write,
            "pool": deadlines.connect,
        }
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
            await route.aclose()

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
                f"{_host(url)} did not answer within {deadline:g} seconds", recovery=Recovery.RETRY
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
        with _translated(url):
            where = httpx.URL(url)
            if where.scheme not in ("http", "https") or not where.host:
                raise httpx.UnsupportedProtocol(url)
            request = httpcore.Request(
                method,
                httpcore.URL(scheme=where.raw_scheme, host=where.raw_host, port=where.port, target=where.raw_path),
                headers=_fields(where.netloc, method, headers, body),
                content=body,
                extensions={"timeout": self._timeout},
            )
        return UpstreamStream(self, request, where, proxy_url)

    def borrow(self, where: httpx.URL, proxy_url: str | None) -> Route:
        """The way to `where`, which stays open until it is given back. Raises SettingsError."""
        route = self._way(where, proxy_url)
        route.busy += 1
        return route

    async def give_back(self, route: Route) -> None:
        route.busy -= 1
        if len(self._own) > _MOST_ROUTES:
            await self._close_surplus()

    def _way(self, where: httpx.URL, proxy_url: str | None) -> Route:
        if proxy_url == "" or (proxy_url is None and self._through is self._direct):
            return self._direct
        if bypasses_proxy(where.host, _port(where), self._no_proxy):
            return self._direct
        if proxy_url is None:
            return self._through
        route = self._own.pop(proxy_url, None) or self._route(parse_proxy(proxy_url, ACCOUNTS_OWN))
        self._own[proxy_url] = route
        return route

    def _route(self, proxy: Proxy | None) -> Route:
        return Route.to(proxy, self._tls, self._connections)

    async def _close_surplus(self) -> None:
        """Those used longest ago go first, and none that is in use."""
        idle = [address for address, route in self._own.items() if not route.busy]
        # All are out of reach before the first wait: nobody borrows what is about to be closed.
        surplus = [self._own.pop(address) for address in idle[: len(self._own) - _MOST_ROUTES]]
        for route in surplus:
            await route.aclose()


@define
class Route:
    """The connections that go one way: straight, or through one proxy. `busy` counts the calls under way.

    A plain call through an HTTP proxy names its target in the request itself, since proxies refuse a tunnel to it
    more often than not; all others go through a tunnel.
    """

    proxy: Proxy | None
    _pool: httpcore.AsyncConnectionPool
    _forwarding: httpcore.AsyncConnectionPool | None = None
    busy: int = 0

    @classmethod
    def to(cls, proxy: Proxy | None, tls: ssl.SSLContext, connections: int) -> Self:
        kept = min(connections, 100)
        backend = Direct() if proxy is None else Tunnel(proxy, tls)
        pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=connections,
            max_keepalive_connections=kept,
            keepalive_expiry=_IDLE,
            network_backend=backend,
        )
        if proxy is None or proxy.scheme == "socks5":
            return cls(proxy, pool)
        forwarding = httpcore.AsyncHTTPProxy(
            httpcore.URL(scheme="http", host=proxy.host, port=proxy.port, target="/"),
            proxy_headers=[(b"Proxy-Authorization", proxy.authorization)] if proxy.authorization else [],
            max_connections=connections,
            max_keepalive_connections=kept,
            keepalive_expiry=_IDLE,
            network_backend=Tunnel(proxy, tls, forwards=True),
        )
        return cls(proxy, pool, forwarding)

    async def send(self, request: httpcore.Request) -> httpcore.Response:
        """The head of the answer. Raises UpstreamFailed where the proxy refuses, otherwise what the library raises."""
        if self._forwarding is None or request.url.scheme != b"http":
            return await self._pool.handle_async_request(request)
        response = await self._forwarding.handle_async_request(request)
        if response.status == 407 and self.proxy is not None:
            await response.aclose()
            raise not_admitted(self.proxy, response.headers)
        return response

    async def aclose(self) -> None:
        await self._pool.aclose()
        if self._forwarding is not None:
            await self._forwarding.aclose()


class UpstreamStream:
    """One answer in flight: `async with` sends the request and receives the head, leaving closes the connection
    unless the body was read to its end.

    Raises UpstreamFailed where the network fails. Cancellation at any point closes the connection.
    """

    def __init__(
        self, transport: Transport, request: httpcore.Request, where: httpx.URL, proxy_url: str | None
    ) -> None:
        self._transport = transport
        self._request = request
        self._where = where
        self._proxy_url = proxy_url
        self._route: Route
        self._response: httpcore.Response
        self._pieces: AsyncIterator[bytes]

    async def __aenter__(self) -> Self:
        self._route = self._transport.borrow(self._where, self._proxy_url)
        try:
            with _translated(self._where):
                self._response = await self._route.send(self._request)
        except BaseException:
            await self._transport.give_back(self._route)
            raise
        self._pieces = aiter(self._response.stream)  # type: ignore[arg-type]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(*_NETWORK, OSError):
                await self._response.aclose()
        finally:
            await self._transport.give_back(self._route)

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The head's fields, names in lower case; what comes several times is joined by commas."""
        joined: dict[str, str] = {}
        for raw_name, raw_value in self._response.headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        return joined

    async def receive(self) -> bytes:
        """The next bytes of the body, b"" at its end. Raises UpstreamFailed where the connection is cut."""
        with _translated(self._where):
            async for piece in self._pieces:
                if piece:
                    return piece
        return b""

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


WayOut: TypeAlias = Direct | Tunnel


def way_out(upstream: UpstreamSettings, where: httpx.URL) -> WayOut:
    """How a connection to `where` is to be made that is no call of the upstream: as the settings' proxy demands.

    Raises SettingsError for a proxy address that is none.
    """
    if not upstream.proxy_url or bypasses_proxy(where.host, _port(where), upstream.no_proxy):
        return Direct()
    return Tunnel(parse_proxy(upstream.proxy_url), tls_context(upstream.certificates))


def _port(where: httpx.URL) -> int:
    return where.port or (443 if where.scheme == "https" else 80)


def _fields(netloc: bytes, method: str, headers: Mapping[str, str], body: bytes | None) -> list[tuple[bytes, bytes]]:
    """The head's fields: those that were given and those that HTTP demands, nothing that names the library.

    A compressed stream would arrive in lumps, so no encoding is asked for (KIRO_PROTOCOL 3).
    """
    given = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
    names = {name.lower() for name, _ in given}
    fields = [] if b"host" in names else [(b"Host", netloc)]
    if b"accept" not in names:
        fields.append((b"Accept", b"*/*"))
    if b"connection" not in names:
        fields.append((b"Connection", b"keep-alive"))
    fields += given
    if b"content-length" not in names and (body is not None or method in _WITH_BODY):
        fields.append((b"Content-Length", b"%d" % len(body or b"")))
    return fields


def tls_context(certificates: str) -> ssl.SSLContext:
    """The trusted roots: `system`, `bundled`, or `auto` (system where there are any)."""
    if certificates == "system" or (certificates == "auto" and _system_has_roots()):
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


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


def _host(url: str | httpx.URL) -> str:
    return httpx.URL(url).host or str(url)


def _reason(error: BaseException) -> str:
    """What a person can act on: the library's own sentence, or that of what lies beneath it."""
    beneath: BaseException | None = error
    said = str(error)
    while beneath is not None:
        if isinstance(beneath, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {beneath.verify_message} (upstream.certificates says by whom)"
        said = said or str(beneath)
        beneath = beneath.__cause__ or beneath.__context__
    return said or type(error).__name__


@contextlib.contextmanager
def _translated(url: str | httpx.URL) -> Iterator[None]:
    """Turns what the HTTP library raises into our own errors, once, here."""
    try:
        yield
    except (httpcore.ConnectTimeout, httpcore.PoolTimeout) as error:
        raise UpstreamFailed(
            f"could not connect to {_host(url)} in time; check the network and the proxy", recovery=Recovery.RETRY
        ) from error
    except httpcore.ConnectError as error:
        raise UpstreamFailed(f"could not connect to {_host(url)}: {_reason(error)}", recovery=Recovery.RETRY) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise SettingsError(f"{url}: not an address that can be called; it begins with http:// or https://") from error
    except (httpcore.LocalProtocolError, UnicodeError):
        # Never with the library's words: they quote the header, and the token is in it.
        raise UpstreamFailed(
            f"a call to {_host(url)} could not be made: the sign-in's token, or a setting that goes into a header, "
            "has characters that no header may have; `kirotrio doctor` looks at it"
        ) from None
    except (*_NETWORK, OSError) as error:
        sentence = f"the connection to {_host(url)} broke: {_reason(error)}"
        raise UpstreamFailed(sentence, recovery=Recovery.RETRY) from error
