"""One client's connection: HTTP/1.1 on a socket, in place of hypercorn's classes for it.

Those cost ten times as much: 3.9 to 0.37 ms for a request of twelve fields and an answer of twenty pieces, measured
side by side on a busy machine. They take a lock, a cancel scope and an h11 event for each send, and four tasks for each
answer; here a request is the reading of its head and one task beside the reader, and a send is a `send`.
What is not plain HTTP/1.1 is still hypercorn's (web/upgraded.py).

    [reader]  socket -> bytes -> RequestReader -> head: starts [request]; body -> its intake; the end: cancels it
    [request] answers one Exchange to its end; the next head that waits begins the next one

Both are tasks of the connection's nursery, whose deadline is the patience with a connection that asks nothing. The
reader reads on while an answer runs, which is how a client that leaves is noticed at once; only one that sends the
next requests ahead is not read beyond `MOST_HEAD`.
"""

from __future__ import annotations

import socket
from math import inf
from typing import TYPE_CHECKING, Any, Final

import trio
from trio.lowlevel import notify_closing, wait_readable, wait_writable

from kirotrio.web.exchange import Exchange
from kirotrio.web.hosting import KEEP_ALIVE, Host
from kirotrio.web.http1 import MOST_HEAD, Malformed, OtherProtocol, RequestHead, RequestReader, response_head

if TYPE_CHECKING:
    from kirotrio.web.upgraded import Upgraded

_PIECE: Final = 64 * 1024
"""Most bytes of one read."""
_SENDS: Final = 16
"""Sends that the system took at once, after which others get their turn."""
_LINGER: Final = 1.0
"""Seconds that a client whose request is not read to its end has to read what it was told of that."""


class Connection:
    """One client connection. Call `run` once; cancelling it closes the connection at once."""

    __slots__ = (
        "_exchange",
        "_foreign",
        "_nursery",
        "_reader",
        "_refused",
        "_room",
        "_sends",
        "_server",
        "_socket",
        "_unread",
        "_upgraded",
        "_writing",
        "peer",
    )

    def __init__(self, server: Host, connected: socket.socket) -> None:
        self._server = server
        # A plain socket: its `send` and `recv` cost a fifth of those that wait for their turn each time.
        self._socket = connected
        self._socket.setblocking(False)
        self.peer = ""
        """The address of the other end, "" where it has none."""
        self._reader = RequestReader()
        self._exchange: Exchange | None = None
        self._nursery: trio.Nursery = None  # type: ignore[assignment]  # none but while `run` is reading
        self._room: trio.Event | None = None
        self._writing: trio.CancelScope | None = None
        self._refused: Malformed | None = None
        self._foreign = False
        self._upgraded: Upgraded | None = None
        self._unread = False
        self._sends = 0

    async def run(self) -> None:
        try:
            self.peer = _address_of(self._socket.getpeername())
        except OSError:  # it has left already, and what it may have sent is nobody's
            self._socket.close()
            await trio.lowlevel.checkpoint()
            return
        connections = self._server.connections
        connections.add(self)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.cancel_scope.deadline = trio.current_time() + KEEP_ALIVE
                await self._read()
                nursery.cancel_scope.cancel()
            self._nursery = None  # type: ignore[assignment]  # as in the beginning
            if self._foreign:
                await self._speak_otherwise()
            elif self._refused is not None and (self._exchange is None or not self._exchange.begun):
                await self._refuse(self._refused)
            elif self._unread:
                await self._linger()
        except Exception as error:
            self._server.log.error("connection failed", exc_info=error)
        finally:
            # Nothing that points back is left behind: the memory is free at once.
            self._nursery = None  # type: ignore[assignment]  # as in the beginning
            self._exchange = self._upgraded = None
            connections.remove(self)
            self._close()

    # What comes in.

    async def _read(self) -> None:
        """Until the client leaves, or says what ends the connection."""
        sock = self._socket
        while True:
            await wait_readable(sock)
            try:
                data = sock.recv(_PIECE)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                return
            if not data:
                return
            self._reader.feed(data)
            if not self._go_on():
                return
            while len(self._reader.held) > MOST_HEAD:
                self._room = trio.Event()
                await self._room.wait()

    def _go_on(self) -> bool:
        """Do what the bytes that are here allow. False: nothing more can come of this connection's bytes."""
        try:
            exchange = self._exchange
            if exchange is None:
                head = self._reader.head()
                if head is None:
                    return True
                exchange = self._begin(head)
            intake = exchange.intake
            if not intake.complete:
                piece, last = self._reader.body()
                intake.add(piece, last=last)
        except OtherProtocol:
            self._foreign = True
            return False
        except Malformed as malformed:
            self._refused = malformed.with_traceback(None)  # its frames hold the connection
            return False
        return True

    def _begin(self, head: RequestHead) -> Exchange:
        intake = self._server.front.intake(head)
        if head.length == 0:
            intake.add(b"", last=True)
        exchange = self._exchange = Exchange(self, head, intake)
        self._nursery.cancel_scope.deadline = inf
        self._nursery.start_soon(self._answer, exchange)
        return exchange

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._server.front.answer(exchange)
        except Exception as error:
            self._server.log.error("request failed", exc_info=error)
        self._end(exchange)

    def _end(self, exchange: Exchange) -> None:
        """The answer is out: make ready for the next request, or close."""
        scope = self._nursery.cancel_scope
        self._exchange = None
        if not exchange.begun:
            self._refused = Malformed(500, "an error inside the gateway; its log has the details", exchange.head)
        self._unread = not exchange.intake.complete
        if not exchange.finished or exchange.closes or self._unread or not self.stays:
            scope.cancel()
            return
        scope.deadline = trio.current_time() + KEEP_ALIVE
        if self._reader.held and not self._go_on():
            scope.cancel()
        elif self._room is not None:
            self._room.set()
            self._room = None

    # What goes out.

    @property
    def stays(self) -> bool:
        return not self._server.closing

    def date(self) -> str:
        return self._server.date()

    async def send(self, data: bytes) -> None:
        """Returns once the system has taken all of it; a client that does not read has the server's write deadline.

        Where the client has left, everything of this connection is cancelled. Cancelling a send that has to wait
        leaves the connection without use; then all of it is cancelled too.
        """
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            await self._lost()
            return
        if sent < len(data):
            await self._send_slowly(memoryview(data)[sent:])
            return
        self._sends += 1
        if self._sends >= _SENDS:
            self._sends = 0
            await trio.lowlevel.checkpoint()

    def send_now(self, data: bytes) -> int:
        """How many bytes the system takes at once; all of them where the client has left, which cancels everything of
        this connection."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._lose()
            return len(data)

    async def _send_slowly(self, rest: memoryview) -> None:
        sock = self._socket
        with trio.CancelScope(deadline=trio.current_time() + self._server.write_deadline) as writing:
            self._writing = writing
            try:
                while rest:
                    await wait_writable(sock)
                    try:
                        rest = rest[sock.send(rest) :]
                    except (BlockingIOError, InterruptedError):
                        continue
                    except OSError:
                        break
            finally:
                self._writing = None
                if rest:
                    self._lose()
        if rest:
            # The client has left, or has not read for that long: what it has not got, it will not get.
            await trio.lowlevel.checkpoint()

    async def _lost(self) -> None:
        self._lose()
        await trio.lowlevel.checkpoint()

    def _lose(self) -> None:
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def hurry(self, seconds: float) -> None:
        """Let a write that is waiting now wait no longer than this."""
        if self._upgraded is not None:
            self._upgraded.hurry(seconds)
        if self._writing is not None:
            self._writing.deadline = min(self._writing.deadline, trio.current_time() + seconds)

    async def close_idle(self) -> None:
        """Close it if it has nothing to answer."""
        if self._upgraded is not None:
            await self._upgraded.close_idle()
        elif self._exchange is None:
            self._lose()

    # How it ends.

    async def _refuse(self, malformed: Malformed) -> None:
        if malformed.head is None and self._exchange is not None:
            malformed.head = self._exchange.head
        reply = self._server.front.malformed(malformed)
        more = f"content-length: {len(reply.body)}\r\n{self.date()}connection: close\r\n"
        told = b"" if malformed.head is not None and malformed.head.method == "HEAD" else reply.body
        await self.send(response_head(reply.status, reply.headers.items(), more) + told)
        await self._linger()

    async def _linger(self) -> None:
        """Read on for a moment: what is closed with bytes unread is reset, and the client would not see its answer."""
        sock = self._socket
        with trio.move_on_after(_LINGER):
            try:
                sock.shutdown(socket.SHUT_WR)
                while True:
                    await wait_readable(sock)
                    if not sock.recv(_PIECE):
                        return
            except OSError:
                return

    async def _speak_otherwise(self) -> None:
        from kirotrio.web.upgraded import Upgraded

        stream = trio.SocketStream(trio.socket.from_stdlib_socket(self._socket))
        self._upgraded = Upgraded(self._server, await self._server.front.application(), stream, self._reader.held)
        await self._upgraded.run()

    def _close(self) -> None:
        if self._socket.fileno() != -1:
            notify_closing(self._socket)
            self._socket.close()


def _address_of(name: Any) -> str:
    """Of a socket's name: those of the internet have it first, any other family none."""
    return str(name[0]) if isinstance(name, tuple) else ""
