"""What carries bytes to a peer and back: a socket, and TLS on top of one.

In place of trio's own streams. Its socket stream tries to read before it waits, which is in vain for all but the first
read of an answer that comes event by event, and costs an exception each time. Its TLS stream gives one record at a
time, with a turn of the loop for each, and an upstream that writes event by event makes a record of every event: the
events that one read of the socket brought came as so many receives (85 -> 8 µs an event).

Closing takes no turn of the loop, so that whoever is cancelled can do it. One task uses a line at a time.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from typing import Final, TypeAlias

import trio

READ: Final = 64 * 1024
_RECORD: Final = 16 * 1024
"""The most that a record of TLS holds (RFC 8446 5.1)."""
_ENCRYPTED_AT_ONCE: Final = 256 * 1024
_UNSENT: Final = 16 * 1024
"""Bytes that a socket holds unsent before it counts as full."""


class Line:
    """A socket that is connected. Whatever waits raises trio.BrokenResourceError where the connection is cut, and
    trio.ClosedResourceError where it is closed meanwhile."""

    __slots__ = ("socket",)

    withholds: Final = False
    """Whether there may be more to receive, or to be sent, although nothing comes from the socket."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected

    @classmethod
    async def open(cls, host: str, port: int) -> Line:
        """Raises OSError."""
        family = _family_of(host)
        if family is not None:
            return cls(await _connected(family, host, port))
        stream = await trio.open_tcp_stream(host, port)
        # Its options are those that the library sets; from here on it is the plain socket.
        connected = socket.socket(fileno=stream.socket.detach())
        connected.setblocking(False)
        return cls(connected)

    async def receive_some(self, max_bytes: int = READ) -> bytes:
        try:
            while True:
                await trio.lowlevel.wait_readable(self.socket)
                try:
                    return self.socket.recv(max_bytes)
                except BlockingIOError:
                    continue
        except (OSError, ValueError) as error:  # the latter where it is closed
            raise trio.BrokenResourceError(str(error)) from error

    def receive_now(self) -> bytes | None:
        """What is there already; None where nothing is, b"" at the end."""
        try:
            return self.socket.recv(READ)
        except BlockingIOError:
            return None
        except (OSError, ValueError) as error:  # the latter where it is closed
            raise trio.BrokenResourceError(str(error)) from error

    def send_now(self, data: bytes) -> int:
        """As many of the bytes as the socket takes at once; their count."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with memoryview(data) as rest:
            sent = 0
            while sent < len(rest):
                try:
                    await trio.lowlevel.wait_writable(self.socket)
                    with rest[sent:] as piece:
                        sent += self.socket.send(piece)
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise trio.BrokenResourceError(str(error)) from error

    def close(self) -> None:
        if self.socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()

    def is_stale(self) -> bool:
        """Whether the peer has closed, or has sent what nobody asked for."""
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True


async def _connected(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    """A connection to a numeric address: there is nothing to look up, and nothing to choose from. The library's way
    takes a nursery, a task and an event all the same, three times what this takes. Raises OSError."""
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        tune(made)
        try:
            made.connect((host, port))
        except BlockingIOError:
            await trio.lowlevel.wait_writable(made)
            if error := made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, os.strerror(error)) from None
    except BaseException:
        made.close()
        raise
    return made


def tune(sock: socket.socket) -> None:
    """Set what trio sets on the sockets of its streams: small pieces leave at once, and no more waits than is read."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)


def _family_of(host: str) -> socket.AddressFamily | None:
    """Of a numeric address; None for a name, or an address with more to it (a zone)."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return family
    return None


class SecureLine:
    """TLS as a client on top of a line; `agree` comes first.

    A peer that closes without saying so is at its end, as HTTPS is used: whether the answer was whole, HTTP can tell.
    """

    __slots__ = ("_ended", "_incoming", "_outgoing", "_tls", "beneath")

    def __init__(self, beneath: AnyLine, tls: ssl.SSLContext, host: str) -> None:
        self.beneath = beneath
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ended = False
        """Nothing more can be read."""
        self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def agree(self) -> None:
        """The handshake. Raises trio.BrokenResourceError, whose cause is TLS's own error."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except ssl.SSLError as error:
                # The peer is told why, if it listens.
                with contextlib.suppress(trio.BrokenResourceError):
                    await self._flush()
                raise trio.BrokenResourceError(str(error)) from error
            else:
                await self._flush()
                return

    @property
    def socket(self) -> socket.socket:
        return self.beneath.socket

    @property
    def withholds(self) -> bool:
        """As of a line: an end that nobody has heard of, or what TLS itself has to say."""
        return self._ended or self._outgoing.pending > 0 or self.beneath.withholds

    def receive_now(self) -> bytes | None:
        """Everything that has come, as `receive_some`, where nothing need be sent for it; None where nothing has."""
        data = self.beneath.receive_now()
        if data is None:
            return None
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return self._decrypted()

    async def receive_some(self, max_bytes: int = READ) -> bytes:
        """Everything that has come, at least one byte; b"" at the end. `max_bytes` is of what the socket is read."""
        while True:
            piece = self._decrypted()
            # A new key is agreed on in between, for example.
            await self._flush()
            if piece is not None:
                return piece
            await self._fill(max_bytes)

    def _decrypted(self) -> bytes | None:
        """Everything that the socket brought, b"" at the end; None where that is no whole record yet."""
        pieces: list[bytes] = []
        try:
            while piece := self._tls.read(_RECORD):
                pieces.append(piece)
            self._ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            if not pieces and not _is_end(error):
                raise trio.BrokenResourceError(str(error)) from error
            self._ended = True
        if pieces or self._ended:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return None

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with memoryview(data) as rest:
            for begin in range(0, len(rest), _ENCRYPTED_AT_ONCE):
                with rest[begin : begin + _ENCRYPTED_AT_ONCE] as piece:
                    await self._write(piece)

    async def _write(self, piece: memoryview) -> None:
        while True:
            try:
                self._tls.write(piece)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except ssl.SSLError as error:
                raise trio.BrokenResourceError(str(error)) from error
            else:
                await self._flush()
                return

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self.beneath.send_all(self._outgoing.read())

    async def _fill(self, max_bytes: int = READ) -> None:
        if data := await self.beneath.receive_some(max_bytes):
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def close(self) -> None:
        self.beneath.close()

    def is_stale(self) -> bool:
        return self.beneath.is_stale()


AnyLine: TypeAlias = Line | SecureLine


def _is_end(error: ssl.SSLError) -> bool:
    """Whether the peer has closed, without saying so in TLS."""
    return isinstance(error, ssl.SSLEOFError) or "UNEXPECTED_EOF_WHILEREADING" in (error.strerror or "")
