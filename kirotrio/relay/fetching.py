"""Fetches what a client, or a model, names by its address: images, documents, pages.

Whoever names an address makes this machine call it, so four things are limited: where it may lie (`addresses`), its
type, its size and the time. The name is resolved here and the connection made to the very address that was judged: a
name that resolves to something else a moment later changes nothing. Every redirect is judged as the first address was.
Nothing of the user's goes along: no cookies, no credentials.

Where `upstream.proxy_url` is set, this machine may get out through it alone, so what is fetched goes through it too,
to the address that was judged. A name that is not known here, as on a network whose names only the proxy resolves, is
left to the proxy: what it reaches then lies in its network and not in this one. Names that stand for no public site
are refused even so.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable
from email.message import Message
from http import HTTPStatus
from ipaddress import ip_address
from socket import SOCK_STREAM, gaierror
from typing import Final

import trio
from attrs import field

from kirotrio import __version__
from kirotrio.classes import frozen
from kirotrio.config.networks import Network, read_networks
from kirotrio.config.settings import Settings
from kirotrio.errors import UpstreamFailed
from kirotrio.kiro.address import Address, NoAddress, OtherScheme, parse_address
from kirotrio.kiro.client import tls_context, way_out
from kirotrio.kiro.connections import ConnectFailed, Connection, ConnectTimedOut, WayOut, secured
from kirotrio.kiro.http1 import ProtocolError, UnfitRequest, request_head
from kirotrio.kiro.lines import AnyLine
from kirotrio.relay.addresses import may_call, names_public_site

_LONGEST_URL: Final = 8192
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_ANSWERED: Final = frozenset({200, 203})
UNNAMED_TYPE: Final = "application/octet-stream"
"""The type of what a server names no type for (RFC 9110 8.3)."""


@frozen
class Fetched:
    """`url` is where it was found, after redirects; `media_type` is in lower case and without its parameters, of which
    `charset` is one ("" where the server names none)."""

    url: str
    media_type: str
    charset: str
    content: bytes = field(repr=lambda content: f"<{len(content)} bytes>")


class FetchRefused(Exception):
    """Nothing was fetched. The message is a clause for a person, which names the host and never the query.

    `code`: url_too_long, url_not_allowed, url_not_accessible, unsupported_content_type or too_large.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


async def fetch(
    url: str,
    *,
    ceiling: int,
    settings: Settings,
    accepts: Callable[[str], bool] | None = None,
    admits: Callable[[str], bool] | None = None,
) -> Fetched:
    """GET `url`, follow at most `fetch.redirects` redirects, and hold at most `ceiling` bytes.

    `accepts` is asked for the media type before the body is read, `admits` for the address at every hop. Raises
    FetchRefused, also where it takes longer than `deadlines.fetch`. Cancellation closes the connection.
    """
    if len(url) > _LONGEST_URL:
        raise FetchRefused("url_too_long", f"the address has more than {_LONGEST_URL} characters")
    where = _parsed(url)
    patience = settings.deadlines.fetch
    with trio.move_on_after(patience):
        for _ in range(settings.fetch.redirects + 1):
            if admits is not None and not admits(str(where)):
                raise FetchRefused("url_not_allowed", f"{where.host} is not among the sites that may be fetched from")
            found = await _hop(where, ceiling, settings, accepts)
            if isinstance(found, Fetched):
                return found
            where = found
        raise FetchRefused(
            "url_not_accessible", f"{where.host}: redirected more than {settings.fetch.redirects} times in a row"
        )
    raise FetchRefused("url_not_accessible", f"{where.host} did not send it within {patience:g} seconds")


def _parsed(url: str, base: Address | None = None) -> Address:
    """An address that may be called, as far as can be told from its text. Raises FetchRefused."""
    try:
        where = parse_address(url, base)
    except OtherScheme:
        raise FetchRefused(
            "url_not_allowed", "only addresses that begin with http:// or https:// are fetched"
        ) from None
    except NoAddress:
        raise FetchRefused("url_not_accessible", "the address is not a valid URL") from None
    if where.has_user:
        raise FetchRefused("url_not_allowed", f"{where.host}: an address with a user name or password is not fetched")
    if where.port is not None and not 0 < where.port < 65536:
        raise FetchRefused("url_not_accessible", f"{where.host}: {where.port} is not a port")
    if len(str(where)) > _LONGEST_URL:
        raise FetchRefused("url_too_long", f"{where.host}: the address has more than {_LONGEST_URL} characters")
    return where


async def _hop(
    where: Address, ceiling: int, settings: Settings, accepts: Callable[[str], bool] | None
) -> Fetched | Address:
    """What is found at `where`, or the address that it redirects to."""
    head = [
        ("host", where.netloc),
        ("user-agent", settings.upstream.user_agent or f"kirotrio/{__version__}"),
        ("accept", "*/*"),
        # A compressed body has no size until it is unpacked.
        ("accept-encoding", "identity"),
        ("connection", "close"),
    ]
    way = _CheckedWay(
        read_networks(settings.fetch.allow_networks), settings.deadlines.connect, way_out(settings.upstream, where)
    )
    connection: Connection | None = None
    try:
        stream = await way.connect(where)
        if where.scheme == "https":
            stream = await secured(stream, tls_context(settings.upstream.certificates), where.host)
        connection = Connection(stream)
        request = request_head("GET", where.target, head)
        begun = await connection.ask("GET", request, b"", settings.deadlines.fetch)
        return await _read(where, connection, begun, ceiling, accepts)
    except (ConnectFailed, trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise FetchRefused("url_not_accessible", f"{where.host}: {_reason(error)}") from error
    except (ProtocolError, UnfitRequest, UnicodeError) as error:
        raise FetchRefused("url_not_accessible", f"{where.host} did not answer in proper HTTP") from error
    finally:
        if connection is not None:
            connection.close()


async def _read(
    where: Address, connection: Connection, begun: bytes, ceiling: int, accepts: Callable[[str], bool] | None
) -> Fetched | Address:
    response = connection.response
    head = dict(reversed(response.fields))
    if response.status in _REDIRECTS and "location" in head:
        return _parsed(head["location"], where)
    if response.status not in _ANSWERED:
        raise FetchRefused("url_not_accessible", f"{where.host} answered {_spelled(response.status)}")
    # A list, which may come in several lines (RFC 9110 5.3).
    encodings = [value.strip().lower() for name, value in response.fields if name == "content-encoding"]
    if any(encoding not in ("", "identity") for encoding in encodings):
        raise FetchRefused(
            "unsupported_content_type", f"{where.host} sends it compressed, though it was asked for as it is"
        )
    media_type, charset = _content_type(head.get("content-type", ""))
    if accepts is not None and not accepts(media_type):
        raise FetchRefused("unsupported_content_type", f"{where.host} sends {media_type[:100]}, which cannot be used")
    length = head.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > ceiling:
        raise _too_large(where, ceiling)
    content = bytearray(begun)
    while len(content) <= ceiling and (piece := await connection.receive()):
        content += piece
    if len(content) > ceiling:
        raise _too_large(where, ceiling)
    return Fetched(str(where), media_type, charset, bytes(content))


def _too_large(where: Address, ceiling: int) -> FetchRefused:
    return FetchRefused("too_large", f"{where.host} sends more than {ceiling} bytes, the most that is fetched")


def _spelled(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _content_type(value: str) -> tuple[str, str]:
    """Media type and charset. What is no media type is as good as none (RFC 9110 8.3)."""
    main, _, rest = value.partition(";")[0].strip().partition("/")
    if not main or not rest or "/" in rest:
        return UNNAMED_TYPE, ""
    message = Message()
    message["content-type"] = value
    return message.get_content_type(), message.get_content_charset("")


def _reason(error: BaseException) -> str:
    """What a person can act on: the sentence of what lies beneath the library's error."""
    beneath: BaseException | None = error
    while beneath is not None:
        if isinstance(beneath, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {beneath.verify_message}"
        beneath = beneath.__cause__ or beneath.__context__
    return f"the connection broke ({error})" if str(error) else "the connection broke"


@frozen
class _CheckedWay:
    """Connects to addresses that may be called, and to no other. `patience` is for all addresses of a name
    together."""

    allowed: tuple[Network, ...]
    patience: float
    way: WayOut

    async def connect(self, where: Address) -> AnyLine:
        host, port = where.host, where.connects_to
        addresses = await self._resolve(host, port)
        for address in addresses[:-1]:
            try:
                return await self.way.connect_tcp(address, port, self.patience / len(addresses))
            except ConnectFailed:
                continue
            except UpstreamFailed as error:
                if not error.retryable:
                    raise FetchRefused("url_not_accessible", f"{host}: {error.message}") from error
        try:
            return await self.way.connect_tcp(addresses[-1], port, self.patience / len(addresses))
        except ConnectTimedOut:
            raise FetchRefused("url_not_accessible", f"{host}: could not be connected to in time") from None
        except ConnectFailed as error:
            raise FetchRefused("url_not_accessible", f"{host}: could not be connected to ({error})") from error
        except UpstreamFailed as error:
            raise FetchRefused("url_not_accessible", f"{host}: {error.message}") from error

    async def _resolve(self, host: str, port: int) -> list[str]:
        """The addresses of `host` that may be called, or its name where the proxy is to resolve it. Raises
        FetchRefused where there is none."""
        try:
            # Where only the proxy gets out, nobody may answer questions about names.
            with trio.fail_after(self.patience / 2 if self.way.resolves else math.inf):
                found = await trio.socket.getaddrinfo(host, port, type=SOCK_STREAM)
        except (gaierror, UnicodeError, trio.TooSlowError):
            if self.way.resolves and names_public_site(host):
                return [host]
            raise FetchRefused("url_not_accessible", f"{host}: there is no host of this name") from None
        except OSError as error:
            raise FetchRefused("url_not_accessible", f"{host}: its address could not be looked up ({error})") from error
        addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
        usable = [address for address in addresses if self._may_call(address)]
        if not usable:
            raise FetchRefused(
                "url_not_allowed",
                f"{host} is not an address of the public internet, from which alone is fetched "
                "(fetch.allow_networks names exceptions)",
            )
        return usable

    def _may_call(self, address: str) -> bool:
        try:
            return may_call(ip_address(address), self.allowed)
        except ValueError:
            return False
