"""The event-stream codec: chunk-invariant, equal to botocore's, and never silently wrong."""

from __future__ import annotations

import itertools
import struct
import uuid
import zlib
from pathlib import Path
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from kirotrio.errors import Recovery, UpstreamFailed
from kirotrio.kiro import eventstream
from kirotrio.kiro.eventstream import (
    CutStream,
    DamagedStream,
    EventStreamDecoder,
    Frame,
    HeaderValue,
    Int,
    Timestamp,
    encode_error,
    encode_event,
    encode_exception,
    encode_frame,
)

CAPTURES = Path(__file__).parents[1] / "data" / "kiro"

many = settings(max_examples=100, deadline=None)

ints = st.sampled_from([8, 16, 32, 64]).flatmap(
    lambda bits: st.builds(Int, st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), st.just(bits))
)
header_values: st.SearchStrategy[HeaderValue] = st.one_of(
    st.text(max_size=12),
    st.booleans(),
    st.binary(max_size=12),
    ints,
    st.builds(Timestamp, st.integers(-(2**63), 2**63 - 1)),
    st.uuids(),
)
frames = st.builds(
    Frame, st.dictionaries(st.text(max_size=8), header_values, max_size=4), st.one_of(st.binary(max_size=40))
)
kiro_frames = st.builds(
    lambda kind, payload: Frame(
        {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload
    ),
    st.sampled_from(["assistantResponseEvent", "toolUseEvent", "meteringEvent"]),
    st.binary(max_size=60),
)
streams = st.lists(st.one_of(frames, kiro_frames), max_size=6)


def encode(stream: list[Frame]) -> bytes:
    return b"".join(encode_frame(frame.headers, frame.payload) for frame in stream)


def decode(chunks: list[bytes]) -> list[Frame]:
    decoder = EventStreamDecoder()
    got = [frame for chunk in chunks for frame in decoder.feed(chunk)]
    decoder.close()
    return got


def decode_what_is_intact(raw: bytes) -> tuple[list[Frame], UpstreamFailed | None]:
    decoder = EventStreamDecoder()
    got: list[Frame] = []
    try:
        got = decoder.feed(raw)
        decoder.close()
    except UpstreamFailed as failure:
        return got, failure
    return got, None


def cut(raw: bytes, borders: list[int]) -> list[bytes]:
    places = sorted({0, len(raw), *(border % (len(raw) + 1) for border in borders)})
    return [raw[a:b] for a, b in itertools.pairwise(places)]


def raw_frame(block: bytes, payload: bytes = b"{}", total: int | None = None, headers: int | None = None) -> bytes:
    """A frame with right CRCs around whatever lengths and headers are asked for."""
    lengths = struct.pack(
        "!II", len(block) + len(payload) + 16 if total is None else total, len(block) if headers is None else headers
    )
    message = lengths + struct.pack("!I", zlib.crc32(lengths)) + block + payload
    return message + struct.pack("!I", zlib.crc32(message))


# Properties


@many
@given(streams, st.lists(st.integers(0, 10_000), max_size=12))
def test_any_chunking_gives_the_same_frames(stream: list[Frame], borders: list[int]) -> None:
    assert decode(cut(encode(stream), borders)) == stream


@many
@given(streams)
def test_byte_by_byte_gives_the_same_frames(stream: list[Frame]) -> None:
    raw = encode(stream)
    assert decode([raw[at : at + 1] for at in range(len(raw))]) == stream


@many
@given(streams)
def test_encoding_what_was_decoded_gives_the_same_bytes(stream: list[Frame]) -> None:
    raw = encode(stream)
    assert encode(decode([raw])) == raw


def as_botocore(value: HeaderValue) -> object:
    if isinstance(value, Int):
        return value.value
    if isinstance(value, Timestamp):
        return value.milliseconds
    return value.bytes if isinstance(value, uuid.UUID) else value


@many
@given(streams, st.lists(st.integers(0, 10_000), max_size=6))
def test_reads_valid_frames_as_botocore_does(stream: list[Frame], borders: list[int]) -> None:
    raw = encode(stream)
    theirs = EventStreamBuffer()
    expected = []
    for chunk in cut(raw, borders):
        theirs.add_data(chunk)
        expected += [(message.headers, message.payload) for message in theirs]
    ours = [
        ({name: as_botocore(value) for name, value in frame.headers.items()}, frame.payload)
        for frame in decode(cut(raw, borders))
    ]
    assert ours == expected


@many
@given(st.lists(kiro_frames, min_size=1, max_size=4), st.data())
def test_a_flipped_byte_is_refused_as_botocore_refuses_it(stream: list[Frame], data: st.DataObject) -> None:
    raw = bytearray(encode(stream))
    at = data.draw(st.integers(0, len(raw) - 1), label="offset")
    raw[at] ^= data.draw(st.integers(1, 255), label="mask")
    got, failure = decode_what_is_intact(bytes(raw))
    assert isinstance(failure, DamagedStream), f"byte {at} was changed and nobody noticed"
    assert got == stream[: len(got)], "frames before the damage are given as they were"
    assert len(got) < len(stream)

    theirs = EventStreamBuffer()
    theirs.add_data(bytes(raw))
    with pytest.raises(Exception, match=r"Checksum"):
        list(theirs)


@pytest.mark.parametrize("name", ["text_modern", "thinking_text_tool", "interleaved_tools"])
def test_every_single_flipped_byte_of_a_recorded_answer_is_detected(name: str) -> None:
    whole = (CAPTURES / f"rebuilt_{name}.bin").read_bytes()
    frames_of_it = decode([whole])
    assert encode(frames_of_it) == whole
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        got, failure = decode_what_is_intact(bytes(damaged))
        assert isinstance(failure, DamagedStream), f"byte {at}"
        assert got == frames_of_it[: len(got)], f"byte {at}"


# Damage


def test_frames_before_the_damage_are_returned_and_the_damage_is_raised_after_them() -> None:
    good = encode_event("assistantResponseEvent", b'{"content":"whole"}')
    bad = bytearray(good)
    bad[-1] ^= 1
    decoder = EventStreamDecoder()
    assert [frame.payload for frame in decoder.feed(good + bytes(bad) + good)] == [b'{"content":"whole"}']
    assert isinstance(decoder.failure, DamagedStream)
    with pytest.raises(DamagedStream, match="content does not match its CRC"):
        decoder.feed(good)
    with pytest.raises(DamagedStream):
        decoder.close()


def test_damage_without_a_frame_before_it_is_raised_at_once_and_stays() -> None:
    bad = bytearray(encode_event("assistantResponseEvent", b"{}"))
    bad[3] ^= 1
    decoder = EventStreamDecoder()
    with pytest.raises(DamagedStream, match="prelude does not match its CRC"):
        decoder.feed(bad)
    with pytest.raises(DamagedStream):
        decoder.feed(b"")
    assert decoder.failure is not None
    assert decoder.failure.recovery is Recovery.RETRY


def test_every_cut_inside_a_frame_is_an_error_and_every_cut_between_frames_is_none() -> None:
    pieces = [encode_event("assistantResponseEvent", b'{"content":"a"}'), encode_error("E", "m")]
    raw = b"".join(pieces)
    ends = {0, len(pieces[0]), len(raw)}
    for length in range(len(raw) + 1):
        decoder = EventStreamDecoder()
        decoder.feed(raw[:length])
        if length in ends:
            assert decoder.pending == 0
            decoder.close()
            continue
        assert decoder.pending == length - (len(pieces[0]) if length > len(pieces[0]) else 0)
        with pytest.raises(CutStream, match="cut in the middle of a frame"):
            decoder.close()
        with pytest.raises(CutStream):
            decoder.feed(raw[length:])


@pytest.mark.parametrize(
    ("total", "headers"),
    [(0, 0), (15, 0), (18, 3), (2**32 - 1, 0), (eventstream.MAX_FRAME + 1, 0), (2**20, 2**20), (2**20, 2**17 + 1)],
)
def test_impossible_lengths_are_refused_from_the_prelude_alone(total: int, headers: int) -> None:
    decoder = EventStreamDecoder()
    with pytest.raises(DamagedStream, match="impossible lengths"):
        decoder.feed(raw_frame(b"", total=total, headers=headers)[:12])
    assert decoder.pending == 0, "nothing of the frame is held"


def test_the_largest_frame_passes() -> None:
    payload = bytes(eventstream.MAX_FRAME - 16)
    raw = encode_frame({}, payload)
    assert len(raw) == eventstream.MAX_FRAME
    assert decode([raw[:13], raw[13:]]) == [Frame({}, payload)]
    with pytest.raises(ValueError, match="exceeds what a frame can hold"):
        encode_frame({}, payload + b"x")


@pytest.mark.parametrize(
    "block",
    [
        b"\x01a\x0a",  # unknown type
        b"\x01a\x01\x01a\x01",  # the same name twice
        b"\x05ab",  # name runs over the end
        b"\x01a",  # no type
        b"\x01a\x07\x00",  # half a length
        b"\x01a\x07\x00\x09abc",  # string runs over the end
        b"\x01a\x06\x00\x09abc",  # bytes run over the end
        b"\x01a\x04\x00\x00",  # half an integer
        b"\x01a\x08\x00\x00\x00\x00",  # half a timestamp
        b"\x01a\x09" + bytes(15),  # nearly a UUID
        b"\x01a\x07\x00\x01\xff",  # not UTF-8
        b"\x01\xff\x00",  # name not UTF-8
    ],
)
def test_a_header_block_that_is_none_is_damage(block: bytes) -> None:
    with pytest.raises(DamagedStream, match="unreadable headers"):
        EventStreamDecoder().feed(raw_frame(block))


def test_accepts_every_bytes_like_and_keeps_no_hold_on_it() -> None:
    raw = bytearray(encode_event("assistantResponseEvent", b'{"content":"a"}'))
    decoder = EventStreamDecoder()
    first = decoder.feed(memoryview(raw)[:20]) + decoder.feed(raw[20:])
    again = decoder.feed(raw)
    raw.clear()
    assert first == again
    assert first[0].payload == b'{"content":"a"}'


def test_kiros_three_headers_and_the_two_kinds_of_failure_frames() -> None:
    event, exception, error = decode(
        [
            encode_event("e", b"{}"),
            encode_exception("ThrottlingException", b'{"message":"slow"}'),
            encode_error("c", "m"),
        ]
    )
    assert dict(event.headers) == {
        ":event-type": "e",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert exception.headers[":message-type"] == "exception"
    assert exception.headers[":exception-type"] == "ThrottlingException"
    assert dict(error.headers) == {":message-type": "error", ":error-code": "c", ":error-message": "m"}


@pytest.mark.parametrize(
    "headers", [{"n" * 256: "v"}, {"n": "v" * 65536}, {"n": Int(128, 8)}, {str(n): "v" * 60_000 for n in range(3)}]
)
def test_encoder_refuses_what_no_frame_can_hold(headers: dict[str, HeaderValue]) -> None:
    with pytest.raises((ValueError, struct.error)):
        encode_frame(headers, b"")


# Work


class Tally:
    """Counts every byte that the decoder copies or runs a CRC over, by standing in for what does it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        tally = self

        class CountingBytes(bytes):
            def __new__(cls, source: bytes) -> CountingBytes:
                tally.bytes += len(source)
                return super().__new__(cls, source)

            def __getitem__(self, key: Any) -> Any:
                part = super().__getitem__(key)
                tally.bytes += len(part) if isinstance(part, bytes) else 1
                return part

        class CountingBuffer(bytearray):
            def __iadd__(self, more: bytes) -> CountingBuffer:
                tally.bytes += len(more)
                return super().__iadd__(more)

            def __getitem__(self, key: Any) -> Any:
                part = super().__getitem__(key)
                tally.bytes += len(part) if isinstance(part, bytearray) else 1
                return part

            def __delitem__(self, key: Any) -> None:
                before = len(self)
                super().__delitem__(key)
                tally.bytes += before

        def counting_crc32(part: bytes, start: int = 0) -> int:
            tally.bytes += len(part)
            return zlib.crc32(part, start)

        monkeypatch.setattr(eventstream, "bytes", CountingBytes, raising=False)
        monkeypatch.setattr(eventstream, "bytearray", CountingBuffer, raising=False)
        monkeypatch.setattr(eventstream, "crc32", counting_crc32)


COPIES_PER_BYTE = 6
"""Appended, taken out of the buffer, put back once behind a prelude, CRC, payload: five, and one for small change."""


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1000, 16_384])
def test_work_is_linear_in_the_bytes_whatever_the_chunk_size(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = [Frame({":event-type": "toolUseEvent"}, bytes(length)) for length in (0, 3, 900, 30_000, 1, 70_000, 12)]
    raw = encode(stream)
    tally = Tally(monkeypatch)
    assert decode([raw[at : at + size] for at in range(0, len(raw), size)]) == stream
    assert tally.bytes <= COPIES_PER_BYTE * len(raw)


def test_single_bytes_at_the_end_of_the_largest_frame_do_not_copy_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = encode_frame({}, bytes(eventstream.MAX_FRAME - 16))
    tally = Tally(monkeypatch)
    decoder = EventStreamDecoder()
    assert decoder.feed(raw[:-20_000]) == []
    moved_before = tally.bytes
    for at in range(len(raw) - 20_000, len(raw) - 1):
        decoder.feed(raw[at : at + 1])
    assert tally.bytes - moved_before == 19_999, "a byte that completes nothing is appended, and that is all"
    assert len(decoder.feed(raw[-1:])) == 1
    assert tally.bytes <= COPIES_PER_BYTE * len(raw)


def test_many_small_frames_in_one_feed_do_not_copy_the_rest_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = encode_event("assistantResponseEvent", b'{"content":"ha"}') * 5_000
    tally = Tally(monkeypatch)
    assert len(decode([raw[:1], raw[1:-1], raw[-1:]])) == 5_000
    assert tally.bytes <= COPIES_PER_BYTE * len(raw)


def test_ever_new_header_blocks_are_read_rightly_and_not_all_remembered() -> None:
    stream = [Frame({":event-type": f"kind-{number}"}, b"") for number in range(500)]
    decoder = EventStreamDecoder()
    assert decoder.feed(encode(stream)) == stream
    assert len(decoder._blocks) <= 64
