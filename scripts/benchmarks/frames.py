"""Kiro's event stream as ready bytes: frames, their chunked transfer coding, and the pieces of text in them.

Deliberately not the gateway's own encoder: a mistake in that one must not cancel itself out here.
"""

from __future__ import annotations

import re
import struct
import time
import zlib

PIECE = re.compile(rb"~([0-9a-f]{10})~")
"""A piece of text that carries the moment it was sent, wherever it turns up: its stamp is between the signs."""
DELTA = re.compile(rb'"(?:text|content|delta)":"([^"\\]{12})"')
"""An event of the answer with exactly one piece, in any of the three APIs; its text."""
_WRAP = 1 << 40

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\n"
    b"x-amzn-requestid: 00000000-0000-4000-8000-000000000000\r\ntransfer-encoding: chunked\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"


def _header(name: str, value: str) -> bytes:
    raw_name, raw_value = name.encode(), value.encode()
    return bytes((len(raw_name),)) + raw_name + b"\x07" + struct.pack("!H", len(raw_value)) + raw_value


def _block(event_type: str) -> bytes:
    pairs = ((":event-type", event_type), (":content-type", "application/json"), (":message-type", "event"))
    return b"".join(_header(name, value) for name, value in pairs)


def frame(block: bytes, payload: bytes) -> bytes:
    """One frame of the event stream: lengths, their CRC, headers, payload, CRC of all of it."""
    prelude = struct.pack("!II", len(block) + len(payload) + 16, len(block))
    crc = zlib.crc32(prelude)
    message = b"%b%b%b%b" % (prelude, struct.pack("!I", crc), block, payload)
    return message + struct.pack("!I", zlib.crc32(message))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_TEXT = _block("assistantResponseEvent")


def stamp() -> int:
    """The moment, in microseconds of the clock that all processes of one machine share, as a piece can carry it."""
    return time.monotonic_ns() // 1000 % _WRAP


def since(stamped: bytes, now: int) -> float:
    """Milliseconds from a piece's stamp to `now`, which is a `stamp()`."""
    return ((now - int(stamped, 16)) % _WRAP) / 1000


def stamped_text(moment: int) -> str:
    """Twelve characters that carry a stamp."""
    return f"~{moment:010x}~"


def text_chunk(text: str) -> bytes:
    """A text event of these characters, which JSON takes as they are."""
    return chunk(frame(_TEXT, b'{"content":"%b"}' % text.encode()))


TAIL = (
    chunk(frame(_block("metadataEvent"), b'{"stopReason":"END_TURN"}'))
    + chunk(frame(_block("contextUsageEvent"), b'{"contextUsagePercentage":1.25}'))
    + chunk(frame(_block("meteringEvent"), b'{"unit":"credit","unitPlural":"credits","usage":0.01}'))
    + LAST_CHUNK
)
"""What ends every answer: why it stopped, how full the context is, what it cost."""
