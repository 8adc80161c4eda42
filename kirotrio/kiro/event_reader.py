"""An answer's bytes to Kiro's events, a read at a time: what `eventstream` and `events` do together, and runs.

Goals: a read that brought hundreds of pieces of text costs little more than their frames. So pieces that follow one
another and hold nothing but text are put into one value, a *run*, in which each stays what it was; what comes after
(translator, limits, ledger, encoders) then does its work once a run. Fragments of one tool call become one fragment,
since they are joined anyway.

A run never reaches over a read, so nothing waits for it; what comes alone is the event that it always was.
"""

from __future__ import annotations

from typing import TypeAlias

import orjson

from kirotrio.errors import UpstreamFailed
from kirotrio.kiro.event_types import (
    AssistantText,
    AssistantTexts,
    KiroEvent,
    Reasoning,
    ReasoningTexts,
    ToolUseFragment,
)
from kirotrio.kiro.events import EXPECTED_KINDS, EventKind, decode_payload, kind_of
from kirotrio.kiro.eventstream import FrameSlicer

_Frames: TypeAlias = list[tuple[EventKind, bytes]]


class EventReader:
    """Bytes in, events out. Damage is told as `FrameSlicer` tells it: after what was intact."""

    def __init__(self) -> None:
        self._frames: FrameSlicer[EventKind] = FrameSlicer(kind_of, EXPECTED_KINDS)

    @property
    def failure(self) -> UpstreamFailed | None:
        """The damage found so far; every later `feed` and `close` raises it."""
        return self._frames.failure

    def feed(self, data: bytes | bytearray | memoryview) -> list[KiroEvent]:
        """The events of every frame that `data` completes, in order; frames of unknown types are passed over.

        Raises `DamagedStream` if the stream is damaged and there is no frame left to read before the damage.
        """
        frames = self._frames.take(data)
        if len(frames) == 1:
            kind, payload = frames[0]
            event = _plain_text(payload) if kind.run == "content" else None
            if event is None:
                event = decode_payload(kind, payload)
            return [] if event is None else [event]
        events: list[KiroEvent] = []
        at = 0
        while at < len(frames):
            at = _take(frames, at, events)
        return events

    def close(self) -> None:
        """The byte stream has ended. Raises `CutStream` inside a frame, and again whatever had failed before."""
        self._frames.close()


def _plain_text(payload: bytes) -> KiroEvent | None:
    """The event of a payload that holds nothing but text, and perhaps its model's name: the short way for most."""
    try:
        document = orjson.loads(payload)
        content = document["content"]
        model = document["modelId"] if len(document) == 2 else None
    except (ValueError, KeyError, TypeError):
        return None
    if type(content) is str and (type(model) is str or len(document) == 1):
        return AssistantText(content, model)
    return None


def _take(frames: _Frames, at: int, events: list[KiroEvent]) -> int:
    """Append the event, or the run of events, that begins at `at`; where the next one begins."""
    kind, payload = frames[at]
    event: KiroEvent | None = None
    match kind.run:
        case "content":
            pieces = _pieces(frames, at, "content", "modelId")
            if pieces:
                event = AssistantTexts(pieces) if len(pieces) > 1 else AssistantText(pieces[0])
        case "text":
            pieces = _pieces(frames, at, "text", None)
            if pieces:
                event = ReasoningTexts(pieces) if len(pieces) > 1 else Reasoning(pieces[0])
        case "input":
            pieces, event = _fragments(frames, at)
        case _:
            pieces = []
    if event is None:
        event = decode_payload(kind, payload)
        if event is None:
            return at + 1
    events.append(event)
    return at + (len(pieces) or 1)


def _pieces(frames: _Frames, at: int, member: str, beside: str | None) -> list[str]:
    """The texts from `at` on of payloads of one kind that hold only `member`, and perhaps `beside`."""
    kind = frames[at][0]
    pieces: list[str] = []
    for index in range(at, len(frames)):
        here, payload = frames[index]
        if here is not kind:
            break
        try:
            document = orjson.loads(payload)
            piece = document[member]
        except (ValueError, KeyError, TypeError):
            break
        members = len(document)
        if type(piece) is not str or (members > 1 and (members > 2 or beside not in document)):
            break
        pieces.append(piece)
    return pieces


def _fragments(frames: _Frames, at: int) -> tuple[list[str], ToolUseFragment | None]:
    """The pieces of arguments from `at` on that belong to one call and do not end it, and what they are together."""
    kind = frames[at][0]
    pieces: list[str] = []
    call_id = name = None
    for index in range(at, len(frames)):
        here, payload = frames[index]
        if here is not kind:
            break
        try:
            document = orjson.loads(payload)
            piece, owner, called = document["input"], document["toolUseId"], document["name"]
        except (ValueError, KeyError, TypeError):
            break
        if type(piece) is not str or len(document) > 3:
            break
        if not pieces:
            if type(owner) is not str or type(called) is not str or not owner or not called:
                break
            call_id, name = owner, called
        elif owner != call_id or called != name:
            break
        pieces.append(piece)
    return pieces, ToolUseFragment(call_id, name, "".join(pieces)) if call_id is not None else None
