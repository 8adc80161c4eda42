"""HTTP/1.1 as a server reads and writes it. Pure: bytes in, requests out; a head in, its bytes out.

In place of h11 on the way of every request: reading a head of twelve fields and its body costs h11 six times as much
(490 to 84 µs, measured side by side on a busy machine). The grammar is h11's but for what it forgives: here a line
ends with CRLF and nothing else, a field is never folded, a body has one length, and a version is 1.0 or 1.1. What is
accepted here, h11 accepts with the same meaning (held by properties in tests/web/test_request_reader.py).

Complexity: linear in the bytes of a body however they are cut; a head is joined anew for every piece that it comes in,
and has `MOST_HEAD` bytes at most. Bounds: a head, a chunk's line, and all trailers are refused beyond theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from kirotrio.web.targets import is_host, origin_form

MOST_HEAD: Final = 64 * 1024
"""Bytes of a head beyond which nothing is read any more; the owner's own limit is lower and answers politely."""
_MOST_LINE: Final = 4 * 1024
"""Bytes of a chunk's line, with its extensions."""

_TOKEN = r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"  # noqa: S105 - the grammar's name of it
_REQUEST_LINE = re.compile(rf"({_TOKEN}) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])")
_FIELD = re.compile(rf"^({_TOKEN}):[ \t]*([^\x00\n\r\x0b\x0c]*)\r\n", re.MULTILINE)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[^\x00\r\n]*)?[ \t]*")
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Malformed(Exception):
    """What came is no request that is served here; `status` says so, and the connection is of no more use.

    `reason` has nothing of what was sent. `head`: as far as it could be read."""

    def __init__(self, status: int, reason: str, head: RequestHead | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.head = head


class OtherProtocol(Exception):
    """What came begins HTTP/2, or asks for it or for a WebSocket."""


class RequestHead:
    """Request line and fields. `path` is without its quoting, "" for a `target` that names none; `fields` have names in
    small letters."""

    __slots__ = (
        "expects",
        "fields",
        "headers",
        "keep_alive",
        "length",
        "method",
        "query",
        "raw_path",
        "size",
        "target",
        "version",
    )

    def __init__(self, method: str, target: str, version: str, fields: list[tuple[str, str]], size: int) -> None:
        """Raises Malformed where the fields contradict each other."""
        self.method = method
        self.target = target
        origin = target if target[0] == "/" else origin_form(method, target)
        self.raw_path, _, self.query = origin.partition("?")
        self.version = version
        self.fields = fields
        self.size = size
        """Bytes of the head as it came."""
        headers = self.headers = dict(fields)
        """By name; of a name that came more than once the last."""
        if len(headers) != len(fields):
            _refuse_contradictions([name for name, _ in fields])
        if version == "1.1" and "host" not in headers:
            raise Malformed(400, "no host is named", self)
        if "host" in headers and not is_host(headers["host"], target):
            raise Malformed(400, "illegal host", self)
        self.length = _body_length(headers, version)
        """Bytes of the body; None: it comes in chunks."""
        connection = self.tokens("connection")
        self.keep_alive = version == "1.1" and "close" not in connection
        self.expects = version == "1.1" and "100-continue" in self.tokens("expect")
        """Whether the client waits to be asked for the body."""

    @property
    def path(self) -> str:
        return unquote(self.raw_path) if "%" in self.raw_path else self.raw_path

    @property
    def has_body(self) -> bool:
        return self.length != 0

    def all(self, name: str) -> list[str]:
        return [value for named, value in self.fields if named == name]

    def tokens(self, name: str) -> tuple[str, ...]:
        """The words of a field that is a list, in small letters."""
        if name not in self.headers:
            return ()
        return tuple(word.strip() for word in ",".join(self.all(name)).lower().split(","))


def read_head(block: bytes) -> RequestHead:
    """A request line and its fields, each with its CRLF, without the empty line. Raises Malformed or OtherProtocol."""
    line, _, rest = block.decode("latin-1").partition("\r\n")
    matched = _REQUEST_LINE.fullmatch(line)
    if matched is None:
        raise Malformed(400, "illegal request line")
    method, target, version = matched.groups()
    if version not in ("1.1", "1.0"):
        if line == "PRI * HTTP/2.0" and not rest:
            raise OtherProtocol
        raise Malformed(505, "only HTTP/1.1 and HTTP/1.0 are spoken")
    pairs = _FIELD.findall(rest)
    # Each match is one whole line, so that every line has matched if there are as many; and no CR or LF stands alone.
    if not len(pairs) == rest.count("\n") == rest.count("\r"):
        raise Malformed(400, "illegal header line")
    fields = [(name.lower(), value.rstrip(" \t")) for name, value in pairs]
    head = RequestHead(method, target, version, fields, len(block))
    if "upgrade" in head.headers and _asks_for_another(head):
        raise OtherProtocol
    return head


def _asks_for_another(head: RequestHead) -> bool:
    """A request with a body is answered as it is: it would have to be read before the other protocol begins. So is
    one whose connection does not ask for it: a proxy in front may have passed the field on and nothing else."""
    if head.length != 0 or "upgrade" not in head.tokens("connection"):
        return False
    wish = head.headers["upgrade"].lower()
    if wish == "websocket":
        return head.method == "GET"
    return wish == "h2c" and "http2-settings" in head.headers and "content-length" not in head.headers


def _refuse_contradictions(names: list[str]) -> None:
    if names.count("host") > 1 or names.count("content-length") > 1:
        raise Malformed(400, "a field came twice that may come once")
    if names.count("transfer-encoding") > 1:
        raise Malformed(501, "only chunked is known as a transfer coding")


def _body_length(headers: dict[str, str], version: str) -> int | None:
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        if coding.lower() != "chunked":
            raise Malformed(501, "only chunked is known as a transfer coding")
        # Two lengths, or one that half of the world does not know: who stands in front may have read another one.
        if length is not None or version == "1.0":
            raise Malformed(400, "the body has more than one length")
        return None
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit() and len(length) <= 20):
        raise Malformed(400, "illegal content-length")
    return int(length)


class RequestReader:
    """The requests of one connection, one after the other: `feed`, then `head` until there is one, then `body` until
    its last piece, then `head` again."""

    __slots__ = ("_chunks", "_held", "_left", "_searched")

    def __init__(self) -> None:
        self._held = b""
        self._searched = 0
        self._left = 0
        self._chunks: _Chunks | None = None

    @property
    def held(self) -> bytes:
        """What came and was not read yet."""
        return self._held

    def feed(self, data: bytes) -> None:
        self._held = self._held + data if self._held else data

    def head(self) -> RequestHead | None:
        """The next head; None: it is not there yet. Raises Malformed, or OtherProtocol with all of it still `held`."""
        held = self._held
        end = held.find(b"\r\n\r\n", self._searched)
        if end < 0:
            self._searched = max(0, len(held) - 3)
            self._refuse_what_never_ends(held)
            return None
        if end > MOST_HEAD:
            raise Malformed(431, "the head is too large")
        self._searched = 0
        head = read_head(held[: end + 2])
        self._held = held[end + 4 :]
        self._left = head.length or 0
        self._chunks = _Chunks() if head.length is None else None
        return head

    def body(self) -> tuple[bytes, bool]:
        """More of the body, and whether that was its last piece. Raises Malformed."""
        held, left = self._held, self._left
        if self._chunks is not None:
            piece, last, self._held = self._chunks.read(held)
            if last:
                self._chunks = None
            return piece, last
        if len(held) <= left:
            self._held, self._left = b"", left - len(held)
            return held, self._left == 0
        self._held, self._left = held[left:], 0
        return held[:left], True

    @staticmethod
    def _refuse_what_never_ends(held: bytes) -> None:
        if len(held) > MOST_HEAD:
            raise Malformed(431, "the head is too large")
        if (held and held[0] < 0x21) or held.count(b"\n") != held.count(b"\r\n"):
            raise Malformed(400, "illegal request line")


class _Chunks:
    """A body in chunks. Extensions and trailers are checked and dropped."""

    __slots__ = ("_left", "_trailers")

    def __init__(self) -> None:
        self._left = -1
        """Of this chunk, with the CRLF behind it; -1: its line is what comes next."""
        self._trailers = -1
        """Bytes of trailers; -1: the last chunk was not seen yet."""

    def read(self, data: bytes) -> tuple[bytes, bool, bytes]:
        """What `data` brings of the body, whether it ends there, and what is left over."""
        pieces: list[bytes] = []
        at = 0
        while at < len(data):
            if self._left >= 0:
                at = self._data(data, at, pieces)
                if self._left > 0:
                    break
                self._left = -1
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                if len(data) - at > _MOST_LINE or b"\n" in data[at:]:
                    raise Malformed(400, "illegal chunk header")
                break
            line, at = data[at:end], end + 2
            if self._trailers >= 0:
                if not line:
                    return b"".join(pieces), True, data[at:]
                self._trailer(line)
                continue
            matched = _CHUNK.fullmatch(line)
            if matched is None or len(line) > _MOST_LINE:
                raise Malformed(400, "illegal chunk header")
            size = int(matched[1], 16)
            if size:
                self._left = size + 2
            else:
                self._trailers = 0
        return b"".join(pieces), False, data[at:]

    def _data(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        content = self._left - 2
        if content > 0:
            piece = data[at : at + content]
            pieces.append(piece)
            self._left -= len(piece)
            at += len(piece)
        while at < len(data) and 0 < self._left <= 2:
            if data[at] != b"\r\n"[2 - self._left]:
                raise Malformed(400, "malformed chunk footer")
            self._left -= 1
            at += 1
        return at

    def _trailer(self, line: bytes) -> None:
        self._trailers += len(line) + 2
        if self._trailers > MOST_HEAD:
            raise Malformed(431, "the trailers are too large")
        if _FIELD.fullmatch(line.decode("latin-1") + "\r\n") is None:
            raise Malformed(400, "illegal trailer")


def response_head(status: int, fields: Iterable[tuple[str, str]], more: str) -> bytes:
    """`more` are ready lines. Raises ValueError for a field that would be two."""
    lines = [f"{name}: {value}\r\n" for name, value in fields]
    text = "".join(lines)
    if not len(lines) == text.count("\n") == text.count("\r"):
        raise ValueError("a line break in a header field")
    line = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"
    return f"{line}{text}{more}\r\n".encode("latin-1", "replace")
