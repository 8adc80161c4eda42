"""The reader of a whole answer: its runs are the single events of the frames, however the bytes are cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kirotrio.conversation.events import Failed, singly
from kirotrio.kiro.event_reader import EventReader
from kirotrio.kiro.event_types import (
    AssistantText,
    AssistantTexts,
    KiroEvent,
    Reasoning,
    ReasoningTexts,
    ToolUseFragment,
)
from kirotrio.kiro.events import decode_event
from kirotrio.kiro.eventstream import CutStream, DamagedStream, EventStreamDecoder, encode_event, encode_exception
from kirotrio.kiro.translate import AnswerTranslator

texts = st.text(max_size=6) | st.sampled_from(["<think", "ing>", "<thinking>", "</thinking>", "a<b", "\n", "`", ""])
strays = st.sampled_from([None, 3, True, [], {}, "x"])


@st.composite
def payloads(draw: st.DrawFn) -> tuple[str, Any]:
    kind = draw(st.sampled_from(["assistantResponseEvent", "reasoningContentEvent", "toolUseEvent", "meteringEvent"]))
    if kind == "assistantResponseEvent":
        members = {"content": draw(texts)}
        optional = ("modelId", "stopReason", "conversationId", "other")
    elif kind == "reasoningContentEvent":
        members = {"text": draw(texts)}
        optional = ("signature", "redactedContent", "other")
    elif kind == "toolUseEvent":
        call = draw(st.sampled_from("ab"))
        members = {"toolUseId": call, "name": f"tool_{call}", "input": draw(texts)}
        optional = ("stop", "name", "input", "toolUseId")
    else:
        members, optional = {"usage": draw(st.integers(0, 3))}, ("unit",)
    if draw(st.integers(0, 3)) == 0:
        members[draw(st.sampled_from(optional))] = draw(strays)
    if draw(st.integers(0, 9)) == 0:
        del members[draw(st.sampled_from(sorted(members)))]
    return kind, draw(st.sampled_from([[], "content", 1])) if draw(st.integers(0, 30)) == 0 else members


answers = st.lists(payloads(), max_size=30)


def apart(events: Iterable[KiroEvent]) -> list[KiroEvent]:
    """Runs taken apart, and the fragments of one call that follow one another put together."""
    out: list[KiroEvent] = []
    for event in events:
        if isinstance(event, AssistantTexts):
            out += map(AssistantText, event.contents)
        elif isinstance(event, AssistantText):
            out.append(AssistantText(event.content, None, event.conversation_id, event.stop_reason))
        elif isinstance(event, ReasoningTexts):
            out += map(Reasoning, event.texts)
        elif isinstance(event, ToolUseFragment) and out and isinstance(before := out[-1], ToolUseFragment):
            same = before.id == event.id and before.name == event.name and not before.stop and not event.stop
            if same and isinstance(before.input, str) and isinstance(event.input, str):
                out[-1] = ToolUseFragment(event.id, event.name, before.input + event.input)
            else:
                out.append(event)
        else:
            out.append(event)
    return out


def bytes_of(answer: list[tuple[str, Any]]) -> bytes:
    return b"".join(encode_event(kind, orjson.dumps(payload)) for kind, payload in answer)


def one_by_one(raw: bytes) -> list[KiroEvent]:
    return [event for frame in EventStreamDecoder().feed(raw) if (event := decode_event(frame)) is not None]


def translated(reads: Iterable[list[KiroEvent]], *, tags: bool) -> object:
    translator = AnswerTranslator(
        window=1000, tag_thinking=tags, show_signature=str, tag_signature="tag", tool_names={"tool_a": "A"}
    )
    out = [event for events in reads for event in singly(translator.feed(events))] + list(singly(translator.end()))
    said = [type(event.error) if isinstance(event, Failed) else event for event in out]
    return said, translator.notes, translator.began, translator.conversation_id, translator.upstream_stop_reason


@given(answers, st.lists(st.integers(0, 4000), max_size=8))
def test_the_events_are_those_of_the_frames_one_by_one_whatever_the_reads(
    answer: list[tuple[str, Any]], cuts: list[int]
) -> None:
    raw = bytes_of(answer)
    ends = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    reader = EventReader()
    read = [event for at, end in itertools.pairwise(ends) for event in reader.feed(raw[at:end])]
    reader.close()
    assert apart(read) == apart(one_by_one(raw))


@given(answers, st.booleans())
@example([("assistantResponseEvent", {"content": text}) for text in ("<thinking>", "a", "b", "</thinking>", "c")], True)
@example([("assistantResponseEvent", {"content": text}) for text in ("<thinking>", "a", "`", "</thinking>c")], True)
def test_a_run_is_translated_as_its_events_one_by_one(answer: list[tuple[str, Any]], tags: bool) -> None:
    raw = bytes_of(answer)
    whole = EventReader().feed(raw)
    assert translated([whole], tags=tags) == translated([[event] for event in one_by_one(raw)], tags=tags)


def test_pieces_that_come_together_are_one_run() -> None:
    said = [("assistantResponseEvent", {"content": text, "modelId": "m"}) for text in "abc"]
    thought = [("reasoningContentEvent", {"text": text}) for text in "de"]
    call = [("toolUseEvent", {"toolUseId": "t", "name": "n", "input": text}) for text in ("{", "}")]
    end = [("toolUseEvent", {"toolUseId": "t", "name": "n", "stop": True})]
    assert EventReader().feed(bytes_of([*said, *thought, *call, *end])) == [
        AssistantTexts(["a", "b", "c"]),
        ReasoningTexts(["d", "e"]),
        ToolUseFragment("t", "n", "{}"),
        ToolUseFragment("t", "n", None, True),
    ]


def test_damage_is_told_after_what_was_intact() -> None:
    raw = bytes_of([("assistantResponseEvent", {"content": text}) for text in "abc"])
    reader = EventReader()
    assert reader.feed(raw[:-1] + bytes([raw[-1] ^ 1])) == [AssistantTexts(["a", "b"])]
    assert isinstance(reader.failure, DamagedStream)
    with pytest.raises(DamagedStream):
        reader.feed(b"")
    cut = EventReader()
    cut.feed(raw[:-1])
    with pytest.raises(CutStream):
        cut.close()


def test_a_beginning_that_is_known_does_not_excuse_damage_behind_it() -> None:
    raw = encode_event("assistantResponseEvent", b'{"content":"a"}')
    for at in range(len(raw)):
        reader = EventReader()
        assert reader.feed(raw) == [AssistantText("a")]
        damaged = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises((DamagedStream, CutStream)):
            raise_what_is_wrong(reader, damaged)


def raise_what_is_wrong(reader: EventReader, last: bytes) -> None:
    reader.feed(last)
    reader.close()


def test_a_failure_between_texts_stays_where_it_was() -> None:
    said = encode_event("assistantResponseEvent", b'{"content":"a"}')
    failed = encode_exception("ThrottlingException", b'{"message":"slow down"}')
    kinds = [type(event).__name__ for event in EventReader().feed(said + said + failed + said)]
    assert kinds == ["AssistantTexts", "StreamException", "AssistantText"]
