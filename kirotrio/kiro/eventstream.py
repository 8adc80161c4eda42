"""The AWS event stream: bytes to frames and back (KIRO_PROTOCOL 3.1).

A frame is `total length, headers length, CRC of these two, headers, payload, CRC of all before it`; integers are
big-endian, a CRC is CRC-32 as in zlib. Payloads are bytes here: nothing is decoded as text before its frame is
complete and its CRC has been compared, so neither a JSON document nor a character is ever read in halves.

Goals: one read that brings whole frames (the common case) is sliced in place, without a buffer; whatever the
chunking, the work is linear in the bytes fed.
Plan: what stands ahead of a payload (prelude and header block) is the same bytes in frame after frame of a kind and a
length. What it was found to mean is remembered under these bytes, with its CRC: such a frame costs one look-up and
one CRC over its payload. Bytes wait in the buffer only while a frame is incomplete, and are not looked at again
before there are as many as that frame is known to need. What remains after the last complete frame came with this
very feed, so putting it back costs no more than the feed itself. Every byte is thus appended, sliced, compared and
put back a fixed number of times (the tests count it). Memory: at most one frame (16 MiB, known and refused from its
first 12 bytes) and one feed, twice while a frame leaves the buffer.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Generic, Literal, NamedTuple, TypeAlias, TypeVar
from zlib import crc32

from kirotrio.classes import frozen
from kirotrio.errors import Recovery, UpstreamFailed

MAX_FRAME = 16 * 1024 * 1024
"""Bytes of a whole frame, both CRCs included."""
MAX_HEADERS = 128 * 1024
"""Bytes of a header block; the limit of AWS's own decoders."""

_PRELUDE = struct.Struct("!III")
_UINT16 = struct.Struct("!H")
_UINT32 = struct.Struct("!I")
_INT64 = struct.Struct("!q")
_INTS = {2: struct.Struct("!b"), 3: struct.Struct("!h"), 4: struct.Struct("!i"), 5: _INT64}
_BITS: dict[int, Literal[8, 16, 32, 64]] = {2: 8, 3: 16, 4: 32, 5: 64}
_INT_TYPES = {bits: kind for kind, bits in _BITS.items()}
_OVERHEAD = 16
"""A frame without headers and payload: prelude of 12 bytes, message CRC of 4."""

# Kiro repeats the same few header blocks in every answer: each is parsed once per stream, and each beginning (with the
# lengths in it) is checked once. The bounds keep a stream of ever new ones from filling the memory.
_KNOWN_BLOCKS = 64
_KNOWN_BLOCK_BYTES = 256
_KNOWN_BEGINNINGS = 32

Kind = TypeVar("Kind")


@frozen
class Int:
    """An integer header, with the width that it had on the wire."""

    value: int
    bits: Literal[8, 16, 32, 64] = 64


@frozen
class Timestamp:
    """Milliseconds since the epoch."""

    milliseconds: int


HeaderValue: TypeAlias = str | bool | bytes | Int | Timestamp | uuid.UUID
"""All ten wire types; each value knows its own, so that encoding what was decoded gives the same bytes."""


@frozen
class Frame:
    """One intact frame. `headers` keep their order on the wire; frames may share one mapping, so nobody changes it."""

    headers: Mapping[str, HeaderValue]
    payload: bytes


class DamagedStream(UpstreamFailed):
    """A frame that is not what was sent: a CRC, a length or the header block is wrong."""

    recovery = Recovery.RETRY


class CutStream(UpstreamFailed):
    """The stream ended in the middle of a frame."""

    recovery = Recovery.RETRY


class _Beginning(NamedTuple, Generic[Kind]):
    """What the bytes of a frame ahead of its payload have been found to mean."""

    kind: Kind
    total: int
    crc: int
    """Of these bytes: that of the whole frame runs on from it."""


class FrameSlicer(Generic[Kind]):
    """Bytes in, payloads out, each with the kind of its frame; a damaged or cut stream is a typed error, never a
    clean end.

    `kind_of` says what headers mean; these are shared by all frames that have them, so nobody changes them. `expected`
    holds what that is for header blocks that are known before any came.

    `failure` is the damage found so far. A `take` that brought intact frames *and* damage returns the frames and
    leaves the damage in `failure`; from then on every `take` and `close` raises it. So the reader delivers what
    was intact, then looks at `failure` (or waits for the next call to raise it).
    """

    failure: UpstreamFailed | None

    def __init__(
        self, kind_of: Callable[[dict[str, HeaderValue]], Kind], expected: Mapping[bytes, Kind] = MappingProxyType({})
    ) -> None:
        self.failure = None
        self._kind_of = kind_of
        self._expected = expected
        self._buffer = bytearray()
        self._need = _PRELUDE.size
        self._blocks: dict[bytes, Kind] = {}
        self._beginnings: dict[bytes, _Beginning[Kind]] = {}
        self._ahead = 0
        """How many bytes stood ahead of the last frame's payload."""

    @property
    def pending(self) -> int:
        """How many bytes of an incomplete frame are held."""
        return len(self._buffer)

    def take(self, data: bytes | bytearray | memoryview) -> list[tuple[Kind, bytes]]:
        """Kind and payload of every frame that `data` completes, in order.

        Raises `DamagedStream` if the stream is damaged and there is no frame left to return before the damage.
        """
        if self.failure is not None:
            raise self.failure
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:
                return []
            source = bytes(self._buffer)
            self._buffer.clear()
        else:
            source = bytes(data)
        taken: list[tuple[Kind, bytes]] = []
        try:
            rest = self._take_frames(source, taken)
        except DamagedStream as damage:
            self.failure = damage
            if not taken:
                raise
        else:
            if rest < len(source):
                self._buffer += memoryview(source)[rest:]
        return taken

    def close(self) -> None:
        """The byte stream has ended. Raises `CutStream` inside a frame, and again whatever had failed before."""
        if self.failure is None and self._buffer:
            expected = self._need if len(self._buffer) >= _PRELUDE.size else None
            of = f" of {expected}" if expected is not None else ""
            self.failure = CutStream(
                f"The upstream's answer was cut in the middle of a frame: it ended after {len(self._buffer)}{of} bytes."
            )
            self._buffer.clear()
        if self.failure is not None:
            raise self.failure

    def _take_frames(self, source: bytes, taken: list[tuple[Kind, bytes]]) -> int:
        """Append the complete frames of `source`; the offset where the incomplete one begins."""
        beginnings, ahead, crc_at = self._beginnings, self._ahead, _UINT32.unpack_from
        size = len(source)
        start = 0
        while start < size:
            body = start + ahead
            known = beginnings.get(source[start:body])
            if known is None:
                known = self._begin_frame(source, start)
                if known is None:
                    return start
                ahead = self._ahead
                body = start + ahead
            kind, total, crc = known
            end = start + total
            if end > size:
                self._need = total
                return start
            payload = source[body : end - 4]
            # CRC-32 runs on from that of the beginning.
            if crc32(payload, crc) != crc_at(source, end - 4)[0]:
                raise DamagedStream("A frame of the upstream's answer is damaged: its content does not match its CRC.")
            taken.append((kind, payload))
            start = end
        self._need = _PRELUDE.size
        return start

    def _begin_frame(self, source: bytes, start: int) -> _Beginning[Kind] | None:
        """What the frame at `start` begins with, checked; None, with what it needs, where it is not all there."""
        size = len(source)
        if size - start < _PRELUDE.size:
            self._need = _PRELUDE.size
            return None
        total, headers_length, prelude_crc = _PRELUDE.unpack_from(source, start)
        if crc32(source[start : start + 8]) != prelude_crc:
            raise DamagedStream("A frame of the upstream's answer is damaged: its prelude does not match its CRC.")
        if total > MAX_FRAME or headers_length > MAX_HEADERS or headers_length + _OVERHEAD > total:
            raise DamagedStream(
                f"A frame of the upstream's answer has impossible lengths: {total} bytes in all, of these "
                f"{headers_length} for headers; {_OVERHEAD} to {MAX_FRAME} can be."
            )
        end = start + total
        if end > size:
            self._need = total
            return None
        body = start + _PRELUDE.size + headers_length
        ahead = source[start:body]
        crc = crc32(ahead)
        block = ahead[_PRELUDE.size :]
        kind = self._expected.get(block) or self._blocks.get(block)
        if kind is None:
            # Ahead of reading the headers; where they are known, it is left to the one who takes the payload.
            if crc32(memoryview(source)[body : end - 4], crc) != _UINT32.unpack_from(source, end - 4)[0]:
                raise DamagedStream("A frame of the upstream's answer is damaged: its content does not match its CRC.")
            kind = self._learn_headers(block)
        begun = _Beginning(kind, total, crc)
        self._ahead = len(ahead)
        if headers_length <= _KNOWN_BLOCK_BYTES and len(self._beginnings) < _KNOWN_BEGINNINGS:
            self._beginnings[ahead] = begun
        return begun

    def _learn_headers(self, block: bytes) -> Kind:
        try:
            headers = _decode_headers(block)
        except (struct.error, IndexError, ValueError) as wrong:
            raise DamagedStream(f"A frame of the upstream's answer has unreadable headers: {wrong}.") from wrong
        kind = self._kind_of(headers)
        if len(block) <= _KNOWN_BLOCK_BYTES and len(self._blocks) < _KNOWN_BLOCKS:
            self._blocks[block] = kind
        return kind


class EventStreamDecoder(FrameSlicer[dict[str, HeaderValue]]):
    """Bytes in, frames out; `FrameSlicer` says how it fails."""

    def __init__(self) -> None:
        super().__init__(dict)

    def feed(self, data: bytes | bytearray | memoryview) -> list[Frame]:
        """Every frame that `data` completes, in order.

        Raises `DamagedStream` if the stream is damaged and there is no frame left to return before the damage.
        """
        return [Frame(headers, payload) for headers, payload in self.take(data)]


def _decode_headers(block: bytes) -> dict[str, HeaderValue]:
    """The headers of a block. Raises `struct.error`, `IndexError` or `ValueError` where it is not one."""
    headers: dict[str, HeaderValue] = {}
    at = 0
    while at < len(block):
        name_end = at + 1 + block[at]
        name = block[at + 1 : name_end].decode()
        kind = block[name_end]  # an IndexError if the name ran over the end
        at = name_end + 1
        value: HeaderValue
        if kind == 7 or kind == 6:
            begin = at + 2
            at = begin + _UINT16.unpack_from(block, at)[0]
            raw = block[begin:at]
            value = raw.decode() if kind == 7 else raw
        elif kind < 2:
            value = kind == 0
        elif kind < 6:
            number = _INTS[kind]
            value = Int(number.unpack_from(block, at)[0], _BITS[kind])
            at += number.size
        elif kind == 8:
            value = Timestamp(_INT64.unpack_from(block, at)[0])
            at += 8
        elif kind == 9:
            value = uuid.UUID(bytes=block[at : at + 16])  # a ValueError if there are fewer
            at += 16
        else:
            raise ValueError(f"header type {kind} is unknown")
        if at > len(block):
            raise ValueError("a header runs over the end of the block")
        if name in headers:
            raise ValueError(f"header {name!r} stands twice")
        headers[name] = value
    return headers


def _encode_value(value: HeaderValue) -> bytes:
    if isinstance(value, str):
        raw = value.encode()
        return b"\x07" + _UINT16.pack(len(raw)) + raw
    if isinstance(value, bool):
        return b"\x00" if value else b"\x01"
    if isinstance(value, bytes):
        return b"\x06" + _UINT16.pack(len(value)) + value
    if isinstance(value, Int):
        kind = _INT_TYPES[value.bits]
        return bytes((kind,)) + _INTS[kind].pack(value.value)
    if isinstance(value, Timestamp):
        return b"\x08" + _INT64.pack(value.milliseconds)
    return b"\x09" + value.bytes


def encode_headers(headers: Mapping[str, HeaderValue]) -> bytes:
    """A header block. Raises `ValueError` and `struct.error` as `encode_frame` does."""
    block = bytearray()
    for name, value in headers.items():
        raw = name.encode()
        block += bytes((len(raw),)) + raw + _encode_value(value)
    return bytes(block)


def encode_frame(headers: Mapping[str, HeaderValue], payload: bytes) -> bytes:
    """One frame, as the decoder takes it.

    Raises `ValueError` if a name exceeds 255 bytes, the header block 128 KiB or the frame 16 MiB, and `struct.error`
    if a string, byte sequence or integer does not fit its field.
    """
    block = encode_headers(headers)
    total = len(block) + len(payload) + _OVERHEAD
    if len(block) > MAX_HEADERS or total > MAX_FRAME:
        raise ValueError(f"a frame of {total} bytes with {len(block)} bytes of headers exceeds what a frame can hold")
    lengths = struct.pack("!II", total, len(block))
    message = lengths + _UINT32.pack(crc32(lengths)) + block + payload
    return message + _UINT32.pack(crc32(message))


def event_headers(event_type: str) -> dict[str, HeaderValue]:
    """The three headers that Kiro sends with an event, in its order."""
    return {":event-type": event_type, ":content-type": "application/json", ":message-type": "event"}


def encode_event(event_type: str, payload: bytes) -> bytes:
    """An event frame with the three headers that Kiro sends."""
    return encode_frame(event_headers(event_type), payload)


def encode_exception(exception_type: str, payload: bytes) -> bytes:
    """A modelled exception (KIRO_PROTOCOL 3.5); the payload is `{"message": …, "reason": …}`."""
    return encode_frame(
        {":exception-type": exception_type, ":content-type": "application/json", ":message-type": "exception"}, payload
    )


def encode_error(code: str, message: str) -> bytes:
    """An unmodelled error: everything stands in the headers, the payload is empty."""
    return encode_frame({":message-type": "error", ":error-code": code, ":error-message": message}, b"")
