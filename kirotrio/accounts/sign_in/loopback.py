"""The address on this machine to which a browser comes back from a sign-in (RFC 8252, 7.3).

It listens on loopback addresses alone, for one sign-in, and is closed right after. Whoever calls it without the
state of this sign-in gets a plain page and changes nothing. One call may take `CALL_BYTES` of head; more callers
than `MOST_CALLERS` at a time wait.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import h11
import trio
from attrs import field

from kirotrio.accounts.sign_in.addresses import CALLBACK_PATH
from kirotrio.accounts.sign_in.polling import denied
from kirotrio.accounts.sign_in.proof import Proof
from kirotrio.accounts.sign_in.values import SignInFailed
from kirotrio.classes import define, frozen

CALL_BYTES = 16 * 1024
MOST_CALLERS = 16
_IPV4, _IPV6 = "127.0.0.1", "::1"
_BROKEN = (trio.BrokenResourceError, h11.ProtocolError)
_NO_IPV6 = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
_PAGE = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>kirotrio</title></head>'
    "<body><h1>{title}</h1><p>{text}</p></body></html>\n"
)
_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "connection": "close",
}


@frozen
class _Page:
    status: int
    title: str
    text: str


_DONE = _Page(200, "Signed in", "kirotrio goes on where you began. You can close this window.")
_NOT_DONE = _Page(200, "Not signed in", "Where you began, it says why. You can close this window.")
_FOREIGN = _Page(
    400,
    "Not this sign-in",
    "This address belongs to another sign-in, or to one that is over. Open the address that kirotrio shows.",
)
_NOTHING = _Page(404, "Nothing here", "kirotrio waits here for a sign-in. Open the address that it shows.")
_WRONG_METHOD = _Page(405, "Not this way", "This address is for a browser that comes back from a sign-in.")


@define
class Loopback:
    """An address that is being listened on. `base` is its origin (`http://localhost:3128`).

    Callers are answered while `code` waits; until then they wait themselves.
    """

    base: str
    _proof: Proof
    _listeners: list[trio.SocketListener]
    _call_deadline: float
    _callers: trio.CapacityLimiter = field(factory=partial(trio.CapacityLimiter, MOST_CALLERS))
    _came: trio.Event = field(factory=trio.Event)
    _code: str = field(default="", repr=False)
    _error: str = ""

    @property
    def callback(self) -> str:
        """The redirect address with the path at which the browser is to come back."""
        return self.base + CALLBACK_PATH

    async def code(self, seconds: float) -> str:
        """The code that the browser brings. Cancellation ends the waiting and closes what callers have open.

        Raises SignInFailed where it brings a refusal, or does not come within `seconds`.
        """
        async with trio.open_nursery() as nursery:
            nursery.cancel_scope.deadline = trio.current_time() + seconds
            nursery.start_soon(trio.serve_listeners, self._serve, self._listeners)
            await self._came.wait()
            nursery.cancel_scope.cancel()
        if not self._came.is_set():
            raise SignInFailed(
                "Nobody finished the sign-in in the browser in time. Run `kirotrio login` once more; --device is the "
                "way where the browser runs on another machine.",
                "expired",
            )
        if self._code:
            return self._code
        if self._error == "access_denied":
            raise denied()
        raise SignInFailed(
            f"The browser came back without a sign-in ({self._error or 'no code'}). Run `kirotrio login` once more.",
            "refused",
        )

    async def _serve(self, stream: trio.SocketStream) -> None:
        """Answer one call and close. Whatever the caller does, the sign-in goes on."""
        async with stream, self._callers:
            members: dict[str, str] = {}
            with trio.move_on_after(self._call_deadline), contextlib.suppress(*_BROKEN):
                http = h11.Connection(h11.SERVER, max_incomplete_event_size=CALL_BYTES)
                request = await _request(http, stream)
                if request is not None:
                    page, members = self.take(request.method.decode(), request.target.decode("latin-1"))
                    # Written before it counts: what follows closes this connection.
                    await stream.send_all(_written(http, page))
            self.settle(members)

    def take(self, method: str, target: str) -> tuple[_Page, dict[str, str]]:
        """The page for one call, and what of the call is to be kept: nothing, unless it belongs to this sign-in."""
        try:
            parts = urlsplit(target)
            members = dict(parse_qsl(parts.query, max_num_fields=64))
        except ValueError:
            return _NOTHING, {}
        if parts.path not in (CALLBACK_PATH, "/"):
            return _NOTHING, {}
        if method != "GET":
            return _WRONG_METHOD, {}
        if parts.path == "/" and not members:
            return _NOTHING, {}
        if self._came.is_set() or not self._proof.fits(members.get("state", "")):
            return _FOREIGN, {}
        return (_DONE if members.get("code") else _NOT_DONE), members

    def came_to(self, address: str) -> bool:
        """End the waiting with the address that a browser on another machine ended at; False, with nothing changed, if
        it is none of this sign-in."""
        try:
            parts = urlsplit(address.strip())
        except ValueError:
            return False
        _, members = self.take("GET", urlunsplit(("", "", parts.path or "/", parts.query, "")))
        self.settle(members)
        return bool(members)

    def settle(self, members: dict[str, str]) -> None:
        """End the waiting with what a call brought."""
        if members and not self._came.is_set():
            self._code = members.get("code", "")
            error = members.get("error", "")
            self._error = error if error.isascii() and error.replace("_", "").isalnum() and len(error) < 64 else ""
            self._came.set()


@asynccontextmanager
async def listening(
    proof: Proof, *, host: str, ports: Sequence[int] = (0,), call_deadline: float
) -> AsyncIterator[Loopback]:
    """Listen for the browser of this sign-in, at the first free one of `ports` (0: any). `host` is what stands in the
    redirect address: 127.0.0.1, or localhost, which is both families. One call may take `call_deadline` seconds.

    Raises SignInFailed where no port is free. Leaving, also by cancellation, closes what listens.
    """
    listeners = await _open(host, ports)
    try:
        port = listeners[0].socket.getsockname()[1]
        yield Loopback(f"http://{host}:{port}", proof, listeners, call_deadline)
    finally:
        _close(listeners)


async def _open(host: str, ports: Sequence[int]) -> list[trio.SocketListener]:
    for port in ports:
        listeners: list[trio.SocketListener] = []
        try:
            listeners += await trio.open_tcp_listeners(port, host=_IPV4, backlog=MOST_CALLERS)
            if host == "localhost":
                listeners += await _open_ipv6(listeners[0].socket.getsockname()[1])
            return listeners
        except OSError as error:
            _close(listeners)
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise SignInFailed(
                    f"kirotrio cannot listen on {_IPV4} for the browser ({error.strerror or error}). Use --device.",
                    "unusable",
                ) from error
    named = ", ".join(map(str, ports))
    raise SignInFailed(
        f"All ports to which the browser may come back are taken by other programs ({named}). End one of them, or "
        "use --device.",
        "unusable",
    )


def _close(listeners: Sequence[trio.SocketListener]) -> None:
    """At once and without a checkpoint, so that a cancellation cannot leave one open."""
    for listener in listeners:
        listener.socket.close()


async def _open_ipv6(port: int) -> list[trio.SocketListener]:
    """The same port of the other family: a browser may take `localhost` for either. None where there is no IPv6."""
    try:
        return await trio.open_tcp_listeners(port, host=_IPV6, backlog=MOST_CALLERS)
    except OSError as error:
        # Taken there means that the browser might go to the other program: another port then.
        if error.errno in _NO_IPV6:
            return []
        raise


async def _request(http: h11.Connection, stream: trio.SocketStream) -> h11.Request | None:
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data(await stream.receive_some(CALL_BYTES))
    return event if isinstance(event, h11.Request) else None


def _written(http: h11.Connection, page: _Page) -> bytes:
    body = _PAGE.format(title=page.title, text=page.text).encode()
    headers = [*_HEADERS.items(), ("content-length", str(len(body)))]
    data = http.send(h11.Response(status_code=page.status, headers=headers)) or b""
    return data + (http.send(h11.Data(data=body)) or b"") + (http.send(h11.EndOfMessage()) or b"")
