"""Recorded answers, from bytes to generation events."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest
from kiro.translating import translator

from kirotrio.conversation.events import (
    ContextMeasured,
    CreditsMetered,
    Event,
    Finish,
    StopCause,
    TextDelta,
    ThinkingDelta,
    ThinkingSignature,
    ToolCall,
)
from kirotrio.kiro.events import (
    decode_event,
)
from kirotrio.kiro.eventstream import EventStreamDecoder, encode_event

CAPTURES = Path(__file__).parents[1] / "data" / "kiro"

RECORDED: dict[str, list[Event]] = {
    "text_modern": [TextDelta("ok"), ContextMeasured(6800), CreditsMetered(0.0386), Finish(StopCause.END_TURN)],
    "thinking_text_tool": [
        ThinkingDelta("thinking"),
        ThinkingSignature("kt1.m.h.sig-1"),
        TextDelta("before tool"),
        ToolCall("tooluse_A", "lookup", '{"path":"README.md"}'),
        ContextMeasured(25_000),
        CreditsMetered(0.25),
        Finish(StopCause.TOOL_USE),
    ],
    # This recording has no tail, so the answer counts as cut off behind its calls.
    "interleaved_tools": [
        ToolCall("tool-a", "first", '{"x":1}'),
        ToolCall("tool-b", "second", '{"value":2}'),
        ToolCall("tool-c", "third", "{}"),
        Finish(StopCause.MAX_TOKENS),
    ],
}


def through(raw: bytes, size: int, *, tags: bool = False) -> list[Event]:
    decoder, answer = EventStreamDecoder(), translator(tags=tags)
    got: list[Event] = []
    for at in range(0, len(raw), size):
        frames = decoder.feed(raw[at : at + size])
        got += answer.feed([event for frame in frames if (event := decode_event(frame)) is not None])
    decoder.close()
    return got + answer.end()


@pytest.mark.parametrize("name", sorted(RECORDED))
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_recorded_answers(name: str, size: int) -> None:
    assert through((CAPTURES / f"rebuilt_{name}.bin").read_bytes(), size, tags=True) == RECORDED[name]


def test_text_survives_reads_that_end_inside_every_character() -> None:
    text = "naïve 思考 🧠 «fin»"
    raw = b"".join(encode_event("assistantResponseEvent", orjson.dumps({"content": char})) for char in text)
    raw += encode_event("meteringEvent", b'{"usage":1}')
    for size in range(1, 12):
        got = through(raw, size)
        assert [event.text for event in got if isinstance(event, TextDelta)] == list(text)


def test_long_arguments_arrive_whole_through_small_reads() -> None:
    arguments = json.dumps({"content": "äx\n" * 130_000}, ensure_ascii=False)
    pieces = [arguments[at : at + 1000] for at in range(0, len(arguments), 1000)]
    payloads: list[dict[str, object]] = [{"toolUseId": "t", "name": "write", "input": piece} for piece in pieces]
    payloads.append({"toolUseId": "t", "name": "write", "stop": True})
    raw = b"".join(encode_event("toolUseEvent", orjson.dumps(payload)) for payload in payloads)
    assert through(raw, 1024) == [ToolCall("t", "write", arguments), Finish(StopCause.MAX_TOKENS)]
