"""HTTP/1.1 as a client speaks it (RFC 9112), without sockets: a request to bytes, bytes to a response.

In place of h11, which gives one event for every chunk: an answer whose 500 chunks came in one read cost 500 turns of
h11 and of all that lies above it, 11 µs a chunk and more. Here everything that a read brought comes out as one piece,
0.4 µs a chunk. Tests hold it against h11.

States of a response: head, then body by length, by chunks (and their trailer) or until the peer closes, then done.
Complexity: linear in the bytes whatever the reads were. Held at most: one head, or the line between two chunks.
It is strict: what two readers could understand differently is refused, since this connection may carry more answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

LARGEST_HEAD: Final = 100 * 1024
"""Bytes of a response's head, with the interim ones before it; also of a trailer."""
_LONGEST_CHUNK_LINE: Final = 4096
_HEX: Final = b"0123456789abcdefABCDEF"
_HEX_LINE: Final = len(b"\r\n") + 16
_KNOWN_SIZES: Final = 64
"""Lines between chunks that are read once a response; more are read as often as they come."""

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_WORDS: Final = rb"[\t\x20-\x7e\x80-\xff]*"
_FIELDS: Final = rb"(?:\r\n" + _TOKEN + rb":" + _WORDS + rb")*"
_RESPONSE: Final = re.compile(rb"HTTP/1\.([01]) ([0-9]{3})(?: " + _WORDS + rb")?(" + _FIELDS + rb")")
_TRAILER: Final = re.compile(_FIELDS)
_REQUEST: Final = re.compile(
    _TOKEN + rb" [\x21-\x7e]+ HTTP/1\.1(?:\r\n" + _TOKEN + rb":(?: [\x21-\x7e \t]*)?)*\r\n\r\n"
)
_CHUNK_LINE: Final = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})(?:;" + _WORDS + rb"|[ \t]*)")

_HEAD_STATE, _LENGTH, _CHUNKS, _TRAILER_STATE, _UNTIL_CLOSE, _DONE = range(6)


class ProtocolError(Exception):
    """The peer sent what is no proper HTTP/1.1, or closed in the middle of it. The message is a clause."""


class UnfitRequest(ValueError):
    """A request that cannot be written: a name or a value has characters that no field may have. It quotes nothing,
    since the token stands in such a value."""


def request_head(method: str, target: str, fields: Sequence[tuple[str, str]]) -> bytes:
    """The head of a request as bytes; the fields are sent in this order. Raises UnfitRequest."""
    lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in fields], "\r\n"]
    try:
        head = "\r\n".join(lines).encode("ascii")
    except UnicodeEncodeError:
        raise UnfitRequest from None
    # Counted as well, since a line break within a value would make a field of its own.
    if _REQUEST.fullmatch(head) is None or head.count(b"\n") != len(fields) + 2:
        raise UnfitRequest
    return head


class ResponseParser:
    """One response. `feed` it what was read, `close` it where the peer closed.

    `head`: the head is there, and with it `status` and `fields`, which are in order, their names in lower case.
    `done`: the response is whole. `keeps`: the connection may then carry another. `excess`: bytes came behind its end.
    `failure`: what came behind the bytes that `feed` returned last is no HTTP/1.1; there is nothing more to read.
    """

    __slots__ = (
        "_gathered",
        "_held",
        "_left",
        "_method",
        "_seen",
        "_sizes",
        "_state",
        "done",
        "excess",
        "failure",
        "fields",
        "head",
        "keeps",
        "status",
    )

    def __init__(self, method: str) -> None:
        self._method = method
        self._state = _HEAD_STATE
        self._gathered = bytearray()
        """What there is of a head, or of a trailer, that has no end yet."""
        self._sizes: dict[bytes, int] = {}
        self._held = b""
        """What there is of the line between two chunks, from the line break on that ends the first."""
        self._left = 0
        """Bytes of the body, or of the chunk, that are yet to come."""
        self._seen = 0
        self.head = False
        self.status = 0
        self.fields: list[tuple[str, str]] = []
        self.done = False
        self.keeps = True
        self.excess = False
        self.failure: ProtocolError | None = None

    @property
    def heard(self) -> bool:
        """Whether anything of the response has come."""
        return bool(self.head or self._gathered or self._seen)

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body that `data` brought, all in one piece. Raises ProtocolError where there are none but a
        `failure`."""
        state = self._state
        if state == _CHUNKS:
            pieces: list[bytes] = []
            try:
                self._dechunk(data, pieces)
            except ProtocolError as error:
                if not pieces:
                    raise
                self.failure = error
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if state == _HEAD_STATE:
            return self._read_head(data)
        return self._read_body(data)

    def close(self) -> None:
        """The peer has closed. Raises ProtocolError unless the response may end so, or has ended."""
        if self._state == _UNTIL_CLOSE:
            self._end()
        elif not self.heard:
            raise ProtocolError("the server disconnected without sending a response")
        elif self._state == _HEAD_STATE:
            raise ProtocolError("the server disconnected in the middle of a response's head")
        elif not self.done:
            raise ProtocolError("the server disconnected in the middle of a response's body")
        self.keeps = False

    def _read_head(self, data: bytes) -> bytes:
        held = self._gathered
        before = len(held)
        held += data
        while True:
            end = held.find(b"\r\n\r\n", max(0, before - 3))
            if not held.startswith(b"HTTP/1."[: len(held)]):
                raise ProtocolError("what the server sent is no HTTP/1.1")
            if (len(held) if end < 0 else end) + self._seen > LARGEST_HEAD:
                raise ProtocolError(f"the response's head has more than {LARGEST_HEAD} bytes")
            if end < 0:
                _refuse_bare_line_ends(held, before)
                return b""
            self._take_head(bytes(held[:end]))
            self._seen += end + 4
            del held[: end + 4]
            before = 0
            if self.head:
                break
        rest = bytes(held)
        held.clear()
        return self.feed(rest) if rest else b""

    def _take_head(self, head: bytes) -> None:
        match = _RESPONSE.fullmatch(head)
        if match is None:
            raise ProtocolError("what the server sent is no HTTP/1.1")
        minor, status, fields = match.groups()
        number = int(status)
        if number < 200:
            if number < 100 or number == 101:
                raise ProtocolError(f"the server answered {number}, which nothing was asked for")
            return
        self.head = True
        self.status = number
        self.fields = _read_fields(fields)
        self._frame(minor == b"0")

    def _frame(self, old: bool) -> None:
        """How long the body is (RFC 9112 6.3), and whether the connection is kept (9.3)."""
        lengths: set[str] = set()
        codings: list[str] = []
        for name, value in self.fields:
            if name == "content-length":
                lengths.update(part.strip(" \t") for part in value.split(","))
            elif name == "transfer-encoding":
                codings.append(value.lower())
            elif name == "connection" and "close" in [part.strip(" \t") for part in value.lower().split(",")]:
                self.keeps = False
        if old:
            self.keeps = False
        if any(not (length.isascii() and length.isdigit() and len(length) <= 18) for length in lengths):
            raise ProtocolError("the response's content-length is no number")
        if len(lengths) > 1:
            raise ProtocolError("the response has two lengths")
        if codings and codings != ["chunked"]:
            raise ProtocolError("the response has a transfer encoding that was not asked for")
        if self._method == "HEAD" or self.status in (204, 304) or (self._method == "CONNECT" and self.status < 300):
            self._end()
        elif codings:
            # With a length beside it somebody on the way may have read it otherwise (RFC 9112 6.1).
            self.keeps = self.keeps and not lengths
            self._state = _CHUNKS
            self._left = -1
        elif lengths:
            self._state = _LENGTH
            self._left = int(lengths.pop())
            if not self._left:
                self._end()
        else:
            self._state = _UNTIL_CLOSE

    def _read_body(self, data: bytes) -> bytes:
        state = self._state
        if state == _LENGTH:
            self._left -= len(data)
            if self._left > 0:
                return data
            body = data[: len(data) + self._left] if self._left else data
            if self._left:
                self._exceed()
            self._end()
            return body
        if state == _UNTIL_CLOSE:
            return data
        if state == _TRAILER_STATE:
            self._read_trailer(data)
        elif data:
            self._exceed()
        return b""

    def _dechunk(self, data: bytes, pieces: list[bytes]) -> None:
        """Every line between two chunks is read together with the line break that ends the chunk before it; the first
        chunk is given one."""
        end = self._left
        if end < 0:
            data = b"\r\n" + data
            end = 0
        elif self._held:
            data = self._held + data
            self._held = b""
        total = len(data)
        if end > total:
            self._left = end - total
            pieces.append(data)
            return
        find, take, sizes = data.find, pieces.append, self._sizes
        if end:
            take(data[:end])
        while True:
            line = find(b"\r\n", end + 2)
            if line < 0:
                self._left = 0
                self._held = held = data[end:]
                if held != b"\r\n":
                    self._check_line()
                break
            size_line = data[end:line]
            known = sizes.get(size_line)
            size = self._learn_size(size_line) if known is None else known
            start = line + 2
            if not size:
                self._state = _TRAILER_STATE
                self._read_trailer(data[line:])
                break
            end = start + size
            if end > total:
                take(data[start:])
                self._left = end - total
                break
            take(data[start:end])

    def _learn_size(self, line: bytes) -> int:
        """Of a line that was not seen yet in this response. Events have few different sizes."""
        if line.rstrip(_HEX) != b"\r\n" or not 2 < len(line) <= _HEX_LINE:
            return _read_size(line)
        size = int(line, 16)
        if len(self._sizes) < _KNOWN_SIZES:
            self._sizes[line] = size
        return size

    def _check_line(self) -> None:
        held = self._held
        if len(held) > _LONGEST_CHUNK_LINE or not held.startswith(b"\r\n"[: len(held)]):
            raise ProtocolError("the response's chunks are not what they should be")

    def _read_trailer(self, data: bytes) -> None:
        """What follows the last chunk, from the line break of its size on; the fields are of no use here."""
        held = self._gathered
        before = len(held)
        held += data
        end = held.find(b"\r\n\r\n", max(0, before - 3))
        if (len(held) if end < 0 else end) > LARGEST_HEAD:
            raise ProtocolError(f"the response's trailer has more than {LARGEST_HEAD} bytes")
        if end < 0:
            return
        if _TRAILER.fullmatch(bytes(held[:end])) is None:
            raise ProtocolError("the response's trailer is not what it should be")
        if len(held) > end + 4:
            self._exceed()
        held.clear()
        self._end()

    def _exceed(self) -> None:
        self.excess = True
        self.keeps = False

    def _end(self) -> None:
        self._state = _DONE
        self.done = True


def _refuse_bare_line_ends(held: bytearray, start: int) -> None:
    """Of a head that is not whole: one that ends its lines otherwise would be waited for in vain."""
    at = held.find(b"\n", start)
    while at >= 0:
        if at == 0 or held[at - 1] != 0x0D:
            raise ProtocolError("what the server sent is no HTTP/1.1")
        at = held.find(b"\n", at + 1)


def _read_fields(raw: bytes) -> list[tuple[str, str]]:
    fields = []
    for line in raw.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        fields.append((name.lower(), value.strip(" \t")))
    return fields


def _read_size(line: bytes) -> int:
    """The size in a line that is not the plain number: with an extension, or none at all."""
    match = _CHUNK_LINE.fullmatch(line) if len(line) <= _LONGEST_CHUNK_LINE else None
    if match is None:
        raise ProtocolError("the response's chunks are not what they should be")
    return int(match[1], 16)
