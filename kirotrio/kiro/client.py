"""The only file that knows how bytes travel to the upstream, and that the library which carries them raises.

One `Transport` serves every call: generation, models, usage, profiles, sign-in, refresh. So proxy, certificates
and deadlines are the same everywhere. Above this file only `kirotrio.errors` exist.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import Self

import httpx
import trio
from socksio.exceptions import SOCKSError

from kirotrio.config.settings import DeadlineSettings, UpstreamSettings
from kirotrio.errors import DeadlineExceeded, Recovery, SettingsError, UpstreamFailed
from kirotrio.kiro.http_answer import HttpAnswer

_LARGEST_ANSWER = 16 * 1024 * 1024
"""A plain answer (models, usage, an error) is far smaller; more than this is not ours to hold."""


class Transport:
    """Every connection to the upstream. Close it with `aclose()`, or use it as an async context manager."""

    def __init__(self, upstream: UpstreamSettings, deadlines: DeadlineSettings) -> None:
        self._connect_deadline = deadlines.connect
        tls = tls_context(upstream.certificates)
        limits = httpx.Limits(
            max_connections=upstream.connections,
            max_keepalive_connections=min(upstream.connections, 100),
            keepalive_expiry=60.0,
        )
        direct = httpx.AsyncHTTPTransport(verify=tls, trust_env=False, limits=limits, retries=0)
        route: httpx.AsyncBaseTransport = direct
        if upstream.proxy_url:
            try:
                proxy = httpx.Proxy(upstream.proxy_url)
                through = httpx.AsyncHTTPTransport(verify=tls, trust_env=False, limits=limits, proxy=proxy)
            except (ValueError, httpx.InvalidURL) as error:
                raise SettingsError(
                    "upstream.proxy_url: not a usable proxy address; it has the form "
                    "http://host:port, https://host:port or socks5://user:password@host:port "
                    "(user and password percent-encoded)"
                ) from error
            route = _ProxyRoute(direct, through, upstream.no_proxy)
        # Reads have no timeout of their own: silence is watched from beside the read (TRIO_STACK, trap 13).
        timeout = httpx.Timeout(
            connect=deadlines.connect, read=None, write=deadlines.client_write, pool=deadlines.connect
        )
        self._http = httpx.AsyncClient(
            transport=route, timeout=timeout, trust_env=False, follow_redirects=False, headers={"accept": "*/*"}
        )
        # A compressed stream would arrive in lumps; the upstream's own agent asks for none (KIRO_PROTOCOL 3).
        for name in ("accept-encoding", "user-agent"):
            self._http.headers.pop(name, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float,
    ) -> HttpAnswer:
        """Make one plain call and read its whole answer, whatever its status.

        Raises UpstreamFailed (retryable) where the network fails, DeadlineExceeded after `deadline` seconds.
        Cancellation closes the connection.
        """
        try:
            with trio.fail_after(deadline):
                async with self.stream(method, url, headers=headers or {}, body=body) as stream:
                    return HttpAnswer(stream.status, stream.headers, await stream.read(_LARGEST_ANSWER))
        except trio.TooSlowError:
            raise DeadlineExceeded(
                f"{_host(url)} did not answer within {deadline:g} seconds", recovery=Recovery.RETRY
            ) from None

    def stream(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None) -> UpstreamStream:
        """A call whose answer is read piece by piece; it is made on entering the returned context."""
        with _translated(url):
            request = self._http.build_request(method, url, headers=dict(headers), content=body)
        return UpstreamStream(self._http, request)


class UpstreamStream:
    """One answer in flight: `async with` sends the request and receives the head, leaving closes the connection
    unless the body was read to its end.

    Raises UpstreamFailed where the network fails. Cancellation at any point closes the connection.
    """

    def __init__(self, http: httpx.AsyncClient, request: httpx.Request) -> None:
        self._http = http
        self._request = request
        self._url = str(request.url)
        self._response: httpx.Response
        self._pieces: AsyncIterator[bytes]

    async def __aenter__(self) -> Self:
        with _translated(self._url):
            self._response = await self._http.send(self._request, stream=True)
        self._pieces = self._response.aiter_raw()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(httpx.HTTPError, OSError):
            await self._response.aclose()

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """The head's fields, names in lower case."""
        return {name.lower(): value for name, value in self._response.headers.items()}

    async def receive(self) -> bytes:
        """The next bytes of the body, b"" at its end. Raises UpstreamFailed where the connection is cut."""
        with _translated(self._url):
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
                raise UpstreamFailed(f"{_host(self._url)} sent an answer of more than {ceiling} bytes")
            pieces.append(piece)
        return b"".join(pieces)


class _ProxyRoute(httpx.AsyncBaseTransport):
    """Sends through the proxy what `no_proxy` does not except."""

    def __init__(self, direct: httpx.AsyncBaseTransport, through: httpx.AsyncBaseTransport, no_proxy: str) -> None:
        self._direct = direct
        self._through = through
        self._no_proxy = no_proxy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        bypass = bypasses_proxy(request.url.host, request.url.port, self._no_proxy)
        return await (self._direct if bypass else self._through).handle_async_request(request)

    async def aclose(self) -> None:
        await self._through.aclose()
        await self._direct.aclose()


def bypasses_proxy(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether `no_proxy` excepts this host: `*`, names with their subdomains, `host:port`, addresses, networks.

    Our own reading of the variable, since the library's is off together with its other looks at the environment
    (TRIO_STACK, trap 14).
    """
    host = host.lower().strip("[]").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        if not entry:
            continue
        if entry == "*":
            return True
        name, _, wanted_port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
        if wanted_port and wanted_port != str(port or ""):
            continue
        if address is not None:
            with contextlib.suppress(ValueError):
                if address in ipaddress.ip_network(name.strip("[]"), strict=False):
                    return True
            continue
        name = name.removeprefix("*").strip(".")
        if name and (host == name or host.endswith("." + name)):
            return True
    return False


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


def _host(url: str) -> str:
    return httpx.URL(url).host or url


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
def _translated(url: str) -> Iterator[None]:
    """Turns what the HTTP library raises into our own errors, once, here."""
    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise UpstreamFailed(
            f"could not connect to {_host(url)} in time; check the network and the proxy", recovery=Recovery.RETRY
        ) from error
    except httpx.ProxyError as error:
        raise UpstreamFailed(f"the proxy refused to reach {_host(url)}: {error}", recovery=Recovery.RETRY) from error
    except httpx.ConnectError as error:
        raise UpstreamFailed(f"could not connect to {_host(url)}: {_reason(error)}", recovery=Recovery.RETRY) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise SettingsError(f"{url}: not an address that can be called; it begins with http:// or https://") from error
    except (httpx.LocalProtocolError, UnicodeError):
        # Never with the library's words: they quote the header, and the token is in it.
        raise UpstreamFailed(
            f"a call to {_host(url)} could not be made: the sign-in's token, or a setting that goes into a header, "
            "has characters that no header may have; `kirotrio doctor` looks at it"
        ) from None
    except SOCKSError as error:
        raise UpstreamFailed(
            "the proxy does not answer as a SOCKS5 proxy does; check upstream.proxy_url", recovery=Recovery.RETRY
        ) from error
    except (httpx.HTTPError, httpx.StreamError, OSError) as error:
        sentence = f"the connection to {_host(url)} broke: {_reason(error)}"
        raise UpstreamFailed(sentence, recovery=Recovery.RETRY) from error
