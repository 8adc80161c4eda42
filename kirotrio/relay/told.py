"""An upstream's answer as a person can read it, and back to bytes: what a recording holds of it. Pure.

A frame becomes its headers and its payload as JSON, with the number of the read that completed it. What is behind the
last intact frame (damage, a frame that was cut) stays as bytes, in base64.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from kirotrio.errors import UpstreamFailed
from kirotrio.kiro.eventstream import EventStreamDecoder, Frame, HeaderValue, encode_frame
from kirotrio.telemetry.cover import Cover, Piece

_PRELUDE: Final = 12
_HIDDEN: Final = (
    bytes(
        ord("x") if chr(code).isalpha() and code < 128 else ord("0") if chr(code).isdigit() and code < 128 else code
        for code in range(128)
    )
    + b"\xff" * 128
)


def tell(reads: Sequence[bytes], cover: Cover) -> dict[str, Any]:
    """`frames` and `rest`, covered. Bytes that are no event stream are all in `rest`."""
    frames, rest = _sliced(reads)
    payloads = [_payload(frame.payload) for _, frame in frames]
    kinds = [str(frame.headers.get(":event-type", "")) for _, frame in frames]
    told = [{"kind": kind, "payload": payload} for kind, payload in zip(kinds, payloads, strict=True)]
    covered = cover.events(told, _pieces)
    listed = [
        {"read": number, "headers": _headers(frame, cover), "payload": one["payload"]}
        for (number, frame), one in zip(frames, covered, strict=True)
    ]
    return {"frames": listed, "rest": base64.b64encode(_covered_rest(rest, cover)).decode()}


def reads_of(told: Mapping[str, Any]) -> list[bytes]:
    """The bytes again, as they were read. Raises KeyError, TypeError or ValueError for what `tell` did not make."""
    reads: dict[int, bytes] = {}
    for frame in told["frames"]:
        headers: dict[str, HeaderValue] = dict(frame["headers"])
        payload = frame["payload"]
        raw = payload.encode() if isinstance(payload, str) else orjson.dumps(payload)
        reads[frame["read"]] = reads.get(frame["read"], b"") + encode_frame(headers, raw)
    rest = base64.b64decode(told["rest"])
    return [*(reads[number] for number in sorted(reads)), *([rest] if rest else [])]


def _sliced(reads: Sequence[bytes]) -> tuple[list[tuple[int, Frame]], bytes]:
    decoder = EventStreamDecoder()
    frames: list[tuple[int, Frame]] = []
    for number, read in enumerate(reads):
        try:
            frames += [(number, frame) for frame in decoder.feed(read)]
        except UpstreamFailed:
            break
        if decoder.failure is not None:
            break
    taken = sum(len(encode_frame(frame.headers, frame.payload)) for _, frame in frames)
    return frames, b"".join(reads)[taken:]


def _headers(frame: Frame, cover: Cover) -> dict[str, str]:
    said = ":error-message"
    return {name: cover.sentence(str(value)) if name == said else str(value) for name, value in frame.headers.items()}


def _payload(raw: bytes) -> Any:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode("utf-8", "replace")
    return document if isinstance(document, dict | list) else raw.decode("utf-8", "replace")


def _pieces(told: Any) -> Iterator[Piece]:
    payload, kind = told["payload"], told["kind"]
    if isinstance(payload, str):
        yield ("payload",), (kind, id(told)), True
        return
    if not isinstance(payload, dict):
        return
    for member in ("content", "text", "input"):
        if isinstance(payload.get(member), str):
            of = payload.get("toolUseId") if member == "input" else ""
            yield ("payload", member), (kind, member, of), member == "input"


def _covered_rest(rest: bytes, cover: Cover) -> bytes:
    if cover.masks:
        return rest[:_PRELUDE] + rest[_PRELUDE:].translate(_HIDDEN)
    return cover.redactor.text(rest.decode("latin-1")).encode("latin-1")
