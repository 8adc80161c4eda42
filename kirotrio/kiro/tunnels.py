"""How a connection is made: straight, or through a proxy, with TLS on it where the target speaks that.

One deadline covers the connection, the proxy's handshake and TLS. Whatever ends a handshake closes the socket.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import ClassVar, Final, TypeAlias

import trio

from kirotrio.classes import frozen
from kirotrio.errors import ProxyFailed, Recovery
from kirotrio.kiro.http1 import ProtocolError, ResponseParser, request_head
from kirotrio.kiro.lines import AnyLine, Line, SecureLine
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

Roots: TypeAlias = Callable[[], ssl.SSLContext]
"""Whom TLS trusts; asked when it is first needed, since reading hundreds of roots takes its time."""

_BROKEN: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class ConnectFailed(Exception):
    """There is no connection to the target. The message is what the system said of it; its cause may say more."""


class ConnectTimedOut(ConnectFailed):
    """There is none yet, and the time for it is over."""


async def secured(stream: AnyLine, tls: ssl.SSLContext, host: str) -> AnyLine:
    """TLS with the target on it. Raises ConnectFailed; whatever ends it closes the connection."""
    agreed = SecureLine(stream, tls, host)
    try:
        await agreed.agree()
    except BaseException as error:
        agreed.close()
        if isinstance(error, _BROKEN):
            raise ConnectFailed(str(error)) from error
        raise
    return agreed


@frozen
class Direct:
    """Connects straight to the target. Raises ConnectFailed, and ConnectTimedOut after `timeout` seconds."""

    resolves: ClassVar[bool] = False

    async def connect_tcp(self, host: str, port: int, timeout: float) -> AnyLine:
        try:
            with trio.fail_after(timeout):
                return await Line.open(host, port)
        except trio.TooSlowError as error:
            raise ConnectTimedOut(str(error)) from error
        except (OSError, trio.BrokenResourceError) as error:
            raise ConnectFailed(str(error)) from error


@frozen
class Tunnel:
    """Connects to the target through `proxy`, which resolves its name; with `forwards` to the proxy alone, which is
    then sent plain requests that name their target.

    Raises ProxyFailed with a sentence about it, retryable where the next attempt may fare better.
    """

    resolves: ClassVar[bool] = True
    """Whether names may be given that this machine does not know."""

    proxy: Proxy
    tls: Roots
    forwards: bool = False

    async def connect_tcp(self, host: str, port: int, timeout: float) -> AnyLine:
        try:
            with trio.fail_after(timeout):
                return await self._opened(host, port)
        except trio.TooSlowError:
            what = "take a connection" if self.forwards else f"connect to {host}"
            raise self._failed(f"did not {what} within {timeout:g} seconds") from None

    async def _opened(self, host: str, port: int) -> AnyLine:
        try:
            line = await Line.open(self.proxy.host, self.proxy.port)
        except (OSError, UnicodeError) as error:
            raise self._failed("could not be connected to", str(error)) from error
        stream: AnyLine = line
        try:
            if self.proxy.scheme == "https":
                stream = await self._secured(stream)
            if not self.forwards:
                await self._ask(stream, host, port)
        except _BROKEN as error:
            line.close()
            raise self._failed(f"broke the connection when it was asked for {host}") from error
        except BaseException:
            line.close()
            raise
        return stream

    async def _secured(self, stream: AnyLine) -> AnyLine:
        tls = SecureLine(stream, self.tls(), self.proxy.host)
        try:
            await tls.agree()
        except BaseException as error:
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

    async def _ask(self, stream: AnyLine, host: str, port: int) -> None:
        if self.proxy.scheme == "socks5":
            await self._ask_socks(stream, host, port)
        else:
            await self._ask_http(stream, host, port)

    async def _ask_http(self, stream: AnyLine, host: str, port: int) -> None:
        """CONNECT (RFC 9110, 9.3.6)."""
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        headers = [("Host", target)]
        if self.proxy.authorization:
            headers.append(("Proxy-Authorization", self.proxy.authorization.decode("ascii")))
        await stream.send_all(request_head("CONNECT", target, headers))
        answer = ResponseParser("CONNECT")
        try:
            while not answer.head:
                piece = await stream.receive_some(4096)
                if not piece:
                    raise self._failed(f"broke the connection when it was asked for {host}")
                answer.feed(bytes(piece))
        except ProtocolError as error:
            raise self._failed("does not answer as an HTTP proxy does") from error
        status = answer.status
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise not_admitted(self.proxy, answer.fields)
        if not 200 <= status < 300:
            recovery = Recovery.RETRY if status >= 500 or status == 429 else Recovery.NONE
            raise self._failed(f"did not connect to {host}", f"it answered {_spelled(status)}", recovery)
        if answer.excess:
            raise self._failed("sent more than its own answer before anything was asked of the target")

    async def _ask_socks(self, stream: AnyLine, host: str, port: int) -> None:
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

    async def _exactly(self, stream: AnyLine, count: int) -> bytes:
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


def not_admitted(proxy: Proxy, headers: Iterable[tuple[str, str]] = ()) -> ProxyFailed:
    """The error where a proxy wants a sign-in, or another than it was given; `headers` are those of its 407."""
    offered = [value for name, value in headers if name == "proxy-authenticate"]
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
