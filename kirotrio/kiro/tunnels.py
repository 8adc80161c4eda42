"""How a connection is made: straight, or through a proxy.

The HTTP library brings its own ways through a proxy, but they read a proxy's answer without a deadline, take it to
come in one piece, and leave the socket to the collector when the handshake fails or is cancelled. So they are made
here, beneath the library, which sees a connection like any other: TLS and HTTP to the target run inside it.

One deadline covers the connection, the proxy's handshake and TLS. Whatever ends a handshake closes the socket.
"""

from __future__ import annotations

import ipaddress
import math
import ssl
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, ClassVar, Final

import h11
import httpcore
import trio
from attrs import frozen

from kirotrio.errors import ProxyFailed, Recovery
from kirotrio.kiro.proxies import ACCOUNTS_OWN, Proxy

_SOCKS_REFUSALS: Final = {
    1: ("it failed by itself", Recovery.RETRY),
    2: ("its rules do not allow it", Recovery.NONE),
    3: ("the network is out of its reach", Recovery.RETRY),
    4: ("the host is out of its reach, or it does not know the name", Recovery.RETRY),
    5: ("the connection was refused", Recovery.RETRY),
    6: ("the connection took too long", Recovery.RETRY),
    7: ("it makes no connections of this kind", Recovery.NONE),
    8: ("it does not take addresses of this kind", Recovery.NONE),
}
"""By the reply field of RFC 1928, section 6."""

_BROKEN: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class NetworkStream(httpcore.AsyncNetworkStream):
    """A connection. TLS on top of it has to be agreed by `until` (trio's clock)."""

    def __init__(self, stream: trio.abc.Stream, until: float) -> None:
        self._stream = stream
        self._until = until

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            if timeout is None:
                return bytes(await self._stream.receive_some(max_bytes))
            with trio.fail_after(timeout):
                return bytes(await self._stream.receive_some(max_bytes))
        except trio.TooSlowError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except _BROKEN as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        try:
            with trio.fail_after(math.inf if timeout is None else timeout):
                await self._stream.send_all(buffer)
        except trio.TooSlowError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except _BROKEN as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        tls = trio.SSLStream(self._stream, ssl_context, server_hostname=server_hostname, https_compatible=True)
        try:
            with trio.fail_at(self._until):
                await tls.do_handshake()
        except BaseException as error:
            await trio.aclose_forcefully(self._stream)
            if isinstance(error, trio.TooSlowError):
                raise httpcore.ConnectTimeout(str(error)) from error
            if isinstance(error, _BROKEN):
                raise httpcore.ConnectError(str(error)) from error
            raise
        return NetworkStream(tls, self._until)

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            # What is asked of it is the protocol that was agreed on, and only HTTP/1.1 is offered.
            return None
        if info == "is_readable":
            stream: Any = self._stream
            while isinstance(stream, trio.SSLStream):
                stream = stream.transport_stream
            return stream.socket.is_readable()
        return None


@frozen
class Direct(httpcore.AsyncNetworkBackend):
    """Connects straight to the target. Raises the library's ConnectTimeout and ConnectError."""

    resolves: ClassVar[bool] = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        until = _until(timeout)
        try:
            with trio.fail_at(until):
                return NetworkStream(await trio.open_tcp_stream(host, port), until)
        except trio.TooSlowError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except (OSError, trio.BrokenResourceError) as error:
            raise httpcore.ConnectError(str(error)) from error


@frozen
class Tunnel(httpcore.AsyncNetworkBackend):
    """Connects to the target through `proxy`, which resolves its name; with `forwards` to the proxy alone, which is
    then sent plain requests that name their target.

    Raises ProxyFailed with a sentence about it, retryable where the next attempt may fare better.
    """

    resolves: ClassVar[bool] = True
    """Whether names may be given that this machine does not know."""

    proxy: Proxy
    tls: ssl.SSLContext
    forwards: bool = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        until = _until(timeout)
        try:
            with trio.fail_at(until):
                return NetworkStream(await self._opened(host, port), until)
        except trio.TooSlowError:
            what = "take a connection" if self.forwards else f"connect to {host}"
            raise self._failed(f"did not {what} within {timeout:g} seconds") from None

    async def _opened(self, host: str, port: int) -> trio.abc.Stream:
        try:
            stream: trio.abc.Stream = await trio.open_tcp_stream(self.proxy.host, self.proxy.port)
        except (OSError, UnicodeError) as error:
            raise self._failed("could not be connected to", str(error)) from error
        try:
            if self.proxy.scheme == "https":
                stream = await self._secured(stream)
            if not self.forwards:
                await self._ask(stream, host, port)
        except _BROKEN as error:
            await trio.aclose_forcefully(stream)
            raise self._failed(f"broke the connection when it was asked for {host}") from error
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream

    async def _secured(self, stream: trio.abc.Stream) -> trio.abc.Stream:
        tls = trio.SSLStream(stream, self.tls, server_hostname=self.proxy.host, https_compatible=True)
        try:
            await tls.do_handshake()
        except BaseException as error:
            await trio.aclose_forcefully(stream)
            beneath = error.__cause__
            if isinstance(beneath, ssl.SSLCertVerificationError):
                raise self._failed(
                    "has a certificate that is not trusted",
                    f"{beneath.verify_message}; upstream.certificates says by whom",
                    Recovery.NONE,
                ) from error
            if isinstance(error, _BROKEN):
                raise self._failed("does not speak TLS as an HTTPS proxy does", str(beneath or error)) from error
            raise
        return tls

    async def _ask(self, stream: trio.abc.Stream, host: str, port: int) -> None:
        if self.proxy.scheme == "socks5":
            await self._ask_socks(stream, host, port)
        else:
            await self._ask_http(stream, host, port)

    async def _ask_http(self, stream: trio.abc.Stream, host: str, port: int) -> None:
        """CONNECT (RFC 9110, 9.3.6)."""
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        headers = [(b"Host", target.encode("ascii"))]
        if self.proxy.authorization:
            headers.append((b"Proxy-Authorization", self.proxy.authorization))
        talk = h11.Connection(h11.CLIENT)
        head = talk.send(h11.Request(method="CONNECT", target=target, headers=headers)) or b""
        await stream.send_all(head + (talk.send(h11.EndOfMessage()) or b""))
        try:
            while True:
                event = talk.next_event()
                if event is h11.NEED_DATA:
                    talk.receive_data(bytes(await stream.receive_some(4096)))
                elif isinstance(event, h11.Response):
                    break
                elif not isinstance(event, h11.InformationalResponse):
                    raise self._failed(f"broke the connection when it was asked for {host}")
        except h11.RemoteProtocolError as error:
            raise self._failed("does not answer as an HTTP proxy does") from error
        if event.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise not_admitted(self.proxy, event.headers)
        if not 200 <= event.status_code < 300:
            recovery = Recovery.RETRY if event.status_code >= 500 or event.status_code == 429 else Recovery.NONE
            raise self._failed(f"did not connect to {host}", f"it answered {_spelled(event.status_code)}", recovery)
        if talk.trailing_data[0]:
            raise self._failed("sent more than its own answer before anything was asked of the target")

    async def _ask_socks(self, stream: trio.abc.Stream, host: str, port: int) -> None:
        """SOCKS5 with or without a password (RFC 1928, RFC 1929)."""
        user = self.proxy.user
        await stream.send_all(b"\x05\x01\x00" if user is None else b"\x05\x02\x00\x02")
        version, method = await self._exactly(stream, 2)
        if version != 5:
            raise self._no_socks()
        if method == 2 and user is not None:
            password = self.proxy.password
            await stream.send_all(bytes([1, len(user)]) + user + bytes([len(password)]) + password)
            if (await self._exactly(stream, 2))[1]:
                raise not_admitted(self.proxy)
        elif method:
            raise not_admitted(self.proxy)
        await stream.send_all(b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2, "big"))
        version, reply, _, kind = await self._exactly(stream, 4)
        if version != 5:
            raise self._no_socks()
        if reply:
            reason, recovery = _SOCKS_REFUSALS.get(reply, (f"it gives the reason {reply}", Recovery.RETRY))
            raise self._failed(f"did not connect to {host}", reason, recovery)
        sizes = {1: 4, 4: 16}
        if kind not in sizes and kind != 3:
            raise self._no_socks()
        size = sizes[kind] if kind in sizes else (await self._exactly(stream, 1))[0]
        await self._exactly(stream, size + 2)

    async def _exactly(self, stream: trio.abc.Stream, count: int) -> bytes:
        """So many bytes and none beyond, however they are cut."""
        held = b""
        while len(held) < count:
            piece = await stream.receive_some(count - len(held))
            if not piece:
                raise self._failed("broke the connection in the middle of the SOCKS5 greeting")
            held += piece
        return held

    def _no_socks(self) -> ProxyFailed:
        return self._failed("does not answer as a SOCKS5 proxy does", f"check {self.proxy.setting}", Recovery.NONE)

    def _failed(self, what: str, why: str = "", recovery: Recovery = Recovery.RETRY) -> ProxyFailed:
        return _refusal(self.proxy, what, why, recovery)


def not_admitted(proxy: Proxy, headers: Iterable[tuple[bytes, bytes]] = ()) -> ProxyFailed:
    """The error where a proxy wants a sign-in, or another than it was given; `headers` are those of its 407."""
    offered = [value.decode("latin-1") for name, value in headers if name.lower() == b"proxy-authenticate"]
    kinds = [value.split(" ", 1)[0] for value in offered if value]
    if kinds and not any(kind.lower() == "basic" for kind in kinds):
        shown = "/".join(kind for kind in kinds if kind.isalnum())[:40] or "another kind"
        return _refusal(
            proxy,
            f"wants a sign-in of the kind {shown}",
            "only user and password (Basic) can be given; a local proxy that does the rest may stand between",
        )
    if proxy.user is None:
        return _refusal(proxy, "demands a sign-in", f"put user and password, percent-encoded, into {proxy.setting}")
    return _refusal(proxy, "refuses the user and password", f"correct them in {proxy.setting}")


def _refusal(proxy: Proxy, what: str, why: str = "", recovery: Recovery = Recovery.NONE) -> ProxyFailed:
    sentence = f"the proxy {proxy.place} {what}" + (f": {why}" if why else "")
    return ProxyFailed(sentence, own=proxy.setting == ACCOUNTS_OWN, recovery=recovery)


def _until(timeout: float | None) -> float:
    return trio.current_time() + (math.inf if timeout is None else timeout)


def _socks_address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("ascii")
        return bytes([3, len(name)]) + name
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


def _spelled(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
