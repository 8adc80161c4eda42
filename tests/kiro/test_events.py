"""Frames to typed events: all of the union, nothing read that is not known, damage named and not raised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirotrio.kiro.events import (
    AssistantText,
    BrokenPayload,
    Citation,
    Code,
    CodeReference,
    CodeReferences,
    ContextUsage,
    DryRunSucceeded,
    FollowupPrompt,
    InitialResponse,
    Intents,
    InteractionComponents,
    InvalidState,
    KiroEvent,
    MessageMetadata,
    Metadata,
    Metering,
    ModelUnavailable,
    Reasoning,
    StreamException,
    TokenUsage,
    ToolOutcome,
    ToolUseFragment,
    UnmodelledUsage,
    WebLink,
    WebLinks,
    decode_event,
)
from kirotrio.kiro.eventstream import (
    EventStreamDecoder,
    Frame,
    HeaderValue,
    encode_error,
    encode_event,
    encode_exception,
)

CAPTURES = Path(__file__).parents[1] / "data" / "kiro"

KNOWN: list[tuple[str, dict[str, Any], KiroEvent]] = [
    ("assistantResponseEvent", {"content": "ha"}, AssistantText("ha")),
    ("assistantResponseEvent", {"content": ""}, AssistantText("")),
    (
        "assistantResponseEvent",
        {"content": "ha", "modelId": "m", "conversationId": "c", "stopReason": "END_TURN"},
        AssistantText("ha", "m", "c", "END_TURN"),
    ),
    ("assistantResponseEvent", {"stopReason": "END_TURN"}, AssistantText("", stop_reason="END_TURN")),
    ("assistantResponseEvent", {"content": "ha", "modelId": 7}, AssistantText("ha")),
    ("reasoningContentEvent", {"text": "hm"}, Reasoning("hm")),
    ("reasoningContentEvent", {"signature": "c2ln"}, Reasoning(signature="c2ln")),
    ("reasoningContentEvent", {"redactedContent": "cmVk"}, Reasoning(redacted="cmVk")),
    ("reasoningEvent", {"text": "hm"}, Reasoning("hm")),
    ("toolUseEvent", {"toolUseId": "t", "name": "n"}, ToolUseFragment("t", "n")),
    ("toolUseEvent", {"toolUseId": "t", "input": '{"a'}, ToolUseFragment("t", None, '{"a')),
    ("toolUseEvent", {"toolUseId": "t", "name": "", "input": None, "stop": None}, ToolUseFragment("t")),
    ("toolUseEvent", {"toolUseId": "t", "input": {"a": 1}, "stop": True}, ToolUseFragment("t", None, {"a": 1}, True)),
    ("contextUsageEvent", {"contextUsagePercentage": 3.4}, ContextUsage(3.4)),
    ("contextUsageEvent", {"contextUsagePercentage": 101, "breakdown": {"mcpTools": 1}}, ContextUsage(101)),
    ("meteringEvent", {"usage": 0.0386, "unit": "credit", "unitPlural": "credits"}, Metering(0.0386, "credit")),
    ("metadataEvent", {}, Metadata()),
    (
        "metadataEvent",
        {"stopReason": "TOOL_USE", "requestId": "r", "conversationId": "c", "tokenUsage": None},
        Metadata("TOOL_USE", None, "r", "c"),
    ),
    (
        "metadataEvent",
        {
            "tokenUsage": {
                "uncachedInputTokens": 5,
                "outputTokens": 7,
                "totalTokens": 23,
                "cacheReadInputTokens": 11,
                "cacheWriteInputTokens": None,
                "contextUsagePercentage": 1.5,
            }
        },
        Metadata(token_usage=TokenUsage(5, 7, 23, 11, 0, 1.5)),
    ),
    ("messageMetadataEvent", {"conversationId": "c", "utteranceId": "u"}, MessageMetadata("c", "u")),
    ("initial-response", {}, InitialResponse()),
    ("initial-response", {"requestId": "r"}, InitialResponse("r")),
    (
        "supplementaryWebLinksEvent",
        {"supplementaryWebLinks": [{"url": "https://a.example", "title": "A", "snippet": "s"}, {"url": "u"}]},
        WebLinks((WebLink("https://a.example", "A", "s"), WebLink("u"))),
    ),
    ("citationEvent", {"target": {"location": 4}, "citationLink": "l", "citationText": "t"}, Citation("l", "t", 4)),
    ("citationEvent", {"target": {"range": {"start": 1, "end": 3}}, "citationLink": "l"}, Citation("l", None, 1, 3)),
    (
        "codeReferenceEvent",
        {"references": [{"licenseName": "MIT", "repository": "r", "url": "u"}]},
        CodeReferences((CodeReference("MIT", "r", "u"),)),
    ),
    ("codeEvent", {"content": "x = 1"}, Code("x = 1")),
    (
        "toolResultEvent",
        {"toolResult": {"toolUseId": "t", "status": "success", "content": [{"text": "x"}]}},
        ToolOutcome("t", "success", ({"text": "x"},)),
    ),
    ("followupPromptEvent", {"followupPrompt": {"content": "more?"}}, FollowupPrompt("more?")),
    ("intentsEvent", {"intents": {"SUPPORT": {}}}, Intents({"SUPPORT": {}})),
    ("interactionComponentsEvent", {"interactionComponentEntries": [{}]}, InteractionComponents(({},))),
    ("dryRunSucceedEvent", {}, DryRunSucceeded()),
    ("usageEvent", {"inputTokens": 3}, UnmodelledUsage({"inputTokens": 3})),
    ("metricsEvent", {"in": 3}, UnmodelledUsage({"in": 3})),
    (
        "modelTemporarilyUnavailableEvent",
        {"message": "busy", "recommendedModel": "auto"},
        ModelUnavailable("busy", "auto"),
    ),
    ("modelUnavailableEvent", {"message": "busy"}, ModelUnavailable("busy")),
    (
        "invalidStateEvent",
        {"reason": "INVALID_TASK_ASSIST_PLAN", "message": "no"},
        InvalidState("INVALID_TASK_ASSIST_PLAN", "no"),
    ),
    ("error", {"message": "oops", "reason": "R"}, StreamException("InternalServerException", "oops", "R")),
]


def one(raw: bytes) -> KiroEvent | None:
    (frame,) = EventStreamDecoder().feed(raw)
    return decode_event(frame)


@pytest.mark.parametrize(("kind", "payload", "expected"), KNOWN, ids=lambda value: value if type(value) is str else "")
def test_every_known_event_is_typed(kind: str, payload: dict[str, Any], expected: KiroEvent) -> None:
    assert one(encode_event(kind, orjson.dumps(payload))) == expected


@pytest.mark.parametrize("payload", [b"", b"\xff\xfe", b"{", b'"unfinished', b"[" * 5000])
def test_an_unknown_event_is_ignored_with_its_payload_unread(payload: bytes) -> None:
    assert one(encode_event("somethingNewEvent", payload)) is None
    assert one(encode_event("assistantResponseEvent", payload)) == BrokenPayload("assistantResponseEvent")


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("assistantResponseEvent", "[]"),
        ("assistantResponseEvent", '{"content": 1}'),
        ("assistantResponseEvent", '{"content": "\\ud800"}'),
        ("reasoningContentEvent", '{"text": {}}'),
        ("reasoningContentEvent", '{"signature": 5}'),
        ("toolUseEvent", "{}"),
        ("toolUseEvent", '{"toolUseId": ""}'),
        ("toolUseEvent", '{"toolUseId": 1}'),
        ("toolUseEvent", '{"toolUseId": "t", "input": []}'),
        ("toolUseEvent", '{"toolUseId": "t", "input": 1}'),
        ("toolUseEvent", '{"toolUseId": "t", "name": 1}'),
        ("toolUseEvent", '{"toolUseId": "t", "stop": "true"}'),
        ("contextUsageEvent", "{}"),
        ("contextUsageEvent", '{"contextUsagePercentage": "3"}'),
        ("contextUsageEvent", '{"contextUsagePercentage": true}'),
        ("contextUsageEvent", '{"contextUsagePercentage": -1}'),
        ("contextUsageEvent", '{"contextUsagePercentage": 1e999}'),
        ("meteringEvent", '{"usage": null}'),
        ("metadataEvent", '{"tokenUsage": 5}'),
        ("metadataEvent", '{"tokenUsage": {"uncachedInputTokens": 1}}'),
        ("metadataEvent", '{"tokenUsage": {"uncachedInputTokens": 1, "outputTokens": null}}'),
        ("metadataEvent", '{"tokenUsage": {"uncachedInputTokens": -1, "outputTokens": 1}}'),
        ("metadataEvent", '{"tokenUsage": {"uncachedInputTokens": 1.5, "outputTokens": 1}}'),
        ("citationEvent", '{"citationLink": "l", "target": {}}'),
        ("supplementaryWebLinksEvent", '{"supplementaryWebLinks": [5]}'),
    ],
)
def test_a_known_event_of_another_shape_is_broken_and_named(kind: str, payload: str) -> None:
    assert one(encode_event(kind, payload.encode())) == BrokenPayload(kind)


def test_message_type_may_be_missing_and_header_order_is_free() -> None:
    payload = b'{"content":"ha"}'
    assert decode_event(Frame({":event-type": "assistantResponseEvent"}, payload)) == AssistantText("ha")
    backwards: dict[str, HeaderValue] = {
        ":message-type": "event",
        ":content-type": "application/json",
        ":event-type": "assistantResponseEvent",
    }
    assert decode_event(Frame(backwards, payload)) == AssistantText("ha")


@pytest.mark.parametrize(
    "headers", [{}, {":event-type": b"assistantResponseEvent"}, {":event-type": True}, {":message-type": "greeting"}]
)
def test_frames_that_name_no_event_are_ignored(headers: dict[str, HeaderValue]) -> None:
    assert decode_event(Frame(headers, b"not json")) is None


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            encode_exception("ThrottlingException", b'{"message":"slow","reason":"INSUFFICIENT_MODEL_CAPACITY"}'),
            StreamException("ThrottlingException", "slow", "INSUFFICIENT_MODEL_CAPACITY"),
        ),
        (
            encode_exception("com.amazon.x#ValidationException", b'{"Message":"M"}'),
            StreamException("ValidationException", "M"),
        ),
        (encode_exception("Exception", b"killed \xff"), StreamException("Exception", "killed \ufffd")),
        (encode_exception("", b'{"__type":"a.b#AccessDeniedException"}'), StreamException("AccessDeniedException", "")),
        (encode_exception("", b""), StreamException("", "")),
        (encode_error("InternalFailure", "it broke"), StreamException("InternalFailure", "it broke")),
        (encode_event("error", b"not json"), StreamException("InternalServerException", "not json")),
    ],
)
def test_exception_and_error_frames_are_typed_whatever_their_payload(raw: bytes, expected: StreamException) -> None:
    assert one(raw) == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
members = sorted({name for _, payload, _ in KNOWN for name in payload} | {"target", "tokenUsage", "toolResult"})


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(sorted({kind for kind, _, _ in KNOWN})),
    st.dictionaries(st.sampled_from(members), json_values, max_size=5) | json_values,
)
def test_no_payload_makes_decoding_raise(kind: str, payload: object) -> None:
    event = one(encode_event(kind, orjson.dumps(payload)))
    assert event is not None
    if not isinstance(payload, dict):
        assert event == BrokenPayload(kind) or isinstance(event, StreamException)


def test_the_recorded_answers_decode_to_the_recorded_events() -> None:
    sequences = orjson.loads((CAPTURES / "event_sequences.json").read_bytes())
    for name, sequence in sequences.items():
        recorded = EventStreamDecoder().feed((CAPTURES / f"rebuilt_{name}.bin").read_bytes())
        assert [(f.headers[":event-type"], orjson.loads(f.payload)) for f in recorded] == [(k, p) for k, p in sequence]
        assert [decode_event(frame) for frame in recorded] == [
            one(encode_event(kind, orjson.dumps(payload))) for kind, payload in sequence
        ]
        assert not any(isinstance(decode_event(frame), BrokenPayload | None) for frame in recorded), name
