"""One request on a connection of our own, and the way back for its answer: the relay's `Sink` on a socket.

A head waits for the first piece of its body, so that both leave in one send; every piece leaves in one send with its
chunk's frame, the last one with the end of the body.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from kirotrio.web.http1 import CONTINUE, RequestHead, response_head
from kirotrio.web.intake import BodyIntake

_NO_BODY = (204, 304)
_END = b"0\r\n\r\n"


class Wire(Protocol):
    """What an exchange needs of its connection."""

    @property
    def peer(self) -> str:
        """The address of the connection's other end, "" where it has none."""

    @property
    def stays(self) -> bool:
        """Whether the connection may be used again after this exchange."""

    def date(self) -> str:
        """The line of a head that names the time."""

    async def send(self, data: bytes) -> None:
        """Returns once the system has taken all of it. Where the client has left, it is cancelled."""

    def send_now(self, data: bytes) -> int:
        """How much of it the system takes at once. Where the client has left, everything is cancelled."""


class Exchange:
    """One request and its answer: `start` once, `write` as often as needed, `finish` once."""

    __slots__ = ("_bodyless", "_chunked", "_head", "_left", "_wire", "begun", "closes", "finished", "head", "intake")

    def __init__(self, wire: Wire, head: RequestHead, intake: BodyIntake) -> None:
        self.head = head
        self.intake = intake
        if head.expects:
            intake.invite = self._invite
        self.begun = False
        """Whether anything of the answer may have left."""
        self.finished = False
        """Whether the answer has left as a whole."""
        self.closes = not head.keep_alive
        self._wire = wire
        self._head = b""
        self._chunked = False
        self._bodyless = False
        self._left: int | None = None

    @property
    def peer(self) -> str:
        """The address of the connection's other end, "" where it has none."""
        return self._wire.peer

    async def start(self, status: int, headers: Mapping[str, str], cookies: Sequence[str] = ()) -> None:
        fields: Iterable[tuple[str, str]] = headers.items()
        if cookies:
            fields = [*fields, *(("set-cookie", cookie) for cookie in cookies)]
        self.begin(status, fields, headers.get("content-length"))

    def begin(self, status: int, fields: Iterable[tuple[str, str]], length: str | None) -> None:
        """`start`, for fields that may come more than once. `length` is the content-length among them."""
        head = self.head
        self._bodyless = head.method == "HEAD" or status in _NO_BODY
        more = self._wire.date()
        if length is not None:
            self._left = int(length)
        elif not self._bodyless:
            if head.version == "1.1":
                self._chunked = True
                more += "transfer-encoding: chunked\r\n"
            else:
                self.closes = True
        if self.closes or not self._wire.stays:
            self.closes = True
            more += "connection: close\r\n"
        self._head = response_head(status, fields, more)

    async def write(self, piece: bytes) -> None:
        if self._bodyless:
            return
        if self._chunked:
            framed = b"%b%x\r\n%b\r\n" % (self._head, len(piece), piece) if piece else self._head
        else:
            self._count(piece)
            framed = self._head + piece
        self._head = b""
        if framed:
            self.begun = True
            await self._wire.send(framed)

    def write_now(self, piece: bytes) -> bytes:
        """`write`, but without waiting: what the system did not take at once is for `write_rest`."""
        if self._bodyless:
            return b""
        if self._chunked:
            framed = b"%b%x\r\n%b\r\n" % (self._head, len(piece), piece)
        else:
            self._count(piece)
            framed = self._head + piece
        self._head = b""
        self.begun = True
        return framed[self._wire.send_now(framed) :]

    async def write_rest(self, rest: bytes) -> None:
        await self._wire.send(rest)

    async def finish(self, piece: bytes) -> None:
        head = self._head
        self._head = b""
        if self._bodyless:
            framed = head
        elif self._chunked:
            framed = b"%b%x\r\n%b\r\n%b" % (head, len(piece), piece, _END) if piece else head + _END
        else:
            self._count(piece)
            framed = head + piece
        self.begun = True
        if framed:
            await self._wire.send(framed)
        if not self._left or self._bodyless:
            self.finished = True

    def _count(self, piece: bytes) -> None:
        """Bytes beyond the length that the head told would be read as another answer. Raises ValueError."""
        if self._left is not None:
            self._left -= len(piece)
            if self._left < 0:
                raise ValueError("the body is longer than its content-length")

    def _invite(self) -> Awaitable[None]:
        return self._wire.send(CONTINUE)


Answering = Callable[[Exchange], Awaitable[None]]
"""Answers one exchange to its end. Cancelled when the client leaves."""
