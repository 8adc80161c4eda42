"""Generation events in, Anthropic's SSE and JSON out. The transcripts read from left to right: event, bytes."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from anthropic.lib.streaming._beta_messages import accumulate_event
from check_sse import AB, SDK, check, check_json
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_anthropic import batches, content_events, cut, finishes, long_lists, usages

from kirotrio.conversation.events import (
    Event,
    Failed,
    Finish,
    KeepAlive,
    RedactedThinkingBlock,
    StopCause,
    TextDelta,
    ThinkingDelta,
    ThinkingSignature,
    TokensMeasured,
    ToolCall,
    Usage,
)
from kirotrio.dialects.anthropic import MessageBody, MessageStream
from kirotrio.dialects.anthropic.answer import TRANSITIONS, State
from kirotrio.dialects.anthropic.encode import ARGUMENT_PIECE
from kirotrio.errors import RateLimited, UpstreamFailed

HEAD = (
    '{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],'
    '"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":2,'
    '"cache_read_input_tokens":3,"output_tokens":0}}}'
)
STOP = '{"type":"message_stop"}'
PING = '{"type":"ping"}'
ESTIMATE = Usage(10, 0, 3, 2)
FINAL = Usage(11, 7, 3, 2, measured=True)


def sse(*payloads: str) -> str:
    return "".join(f"event: {json.loads(payload)['type']}\ndata: {payload}\n\n" for payload in payloads)


def end(reason: str, sequence: str = "null") -> str:
    return (
        f'{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":{sequence}}},"usage":'
        '{"input_tokens":11,"cache_creation_input_tokens":2,"cache_read_input_tokens":3,"output_tokens":7}}'
    )


def opened(index: int, block: str) -> str:
    return f'{{"type":"content_block_start","index":{index},"content_block":{block}}}'


def piece(index: int, delta: str) -> str:
    return f'{{"type":"content_block_delta","index":{index},"delta":{delta}}}'


def closed(index: int) -> str:
    return f'{{"type":"content_block_stop","index":{index}}}'


def play(*transcript: tuple[Event, str]) -> None:
    """Feeds the left side, event by event, and compares with the right side; then the same as one batch."""
    stream = MessageStream("claude", "msg_1")
    assert stream.start(ESTIMATE).decode() == sse(HEAD)
    for number, (event, expected) in enumerate(transcript):
        assert stream.encode([event]).decode() == expected, f"step {number}: {event}"
    at_once = MessageStream("claude", "msg_1")
    whole = at_once.start(ESTIMATE) + at_once.encode([event for event, _ in transcript])
    assert whole.decode() == sse(HEAD) + "".join(expected for _, expected in transcript)
    failed = any(isinstance(event, Failed) for event, _ in transcript)
    assert check("anthropic", whole, terminal_error=failed) == []


TEXT_BLOCK = '{"type":"text","text":""}'
THINKING_BLOCK = '{"type":"thinking","thinking":"","signature":""}'


def test_the_exact_bytes_of_a_short_answer() -> None:
    stream = MessageStream("claude", "msg_1")
    assert stream.start(ESTIMATE) == b"event: message_start\ndata: " + HEAD.encode() + b"\n\n"
    assert stream.encode([TextDelta('Grüße, "you"\n')]) == (
        b"event: content_block_start\n"
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
        b'"text":"Gr\xc3\xbc\xc3\x9fe, \\"you\\"\\n"}}\n\n'
    )
    assert stream.encode([Finish(StopCause.END_TURN, None, FINAL)]) == (
        b"event: content_block_stop\n"
        b'data: {"type":"content_block_stop","index":0}\n\n'
        b"event: message_delta\n"
        b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":'
        b'{"input_tokens":11,"cache_creation_input_tokens":2,"cache_read_input_tokens":3,"output_tokens":7}}\n\n'
        b"event: message_stop\n"
        b'data: {"type":"message_stop"}\n\n'
    )
    assert stream.finished


def test_thinking_text_and_a_tool_call() -> None:
    call = ToolCall("toolu_1", "Bash", '{"command": "ls"}')
    play(
        (ThinkingDelta(""), sse(opened(0, THINKING_BLOCK))),
        (ThinkingDelta("Hm."), sse(piece(0, '{"type":"thinking_delta","thinking":"Hm."}'))),
        (ThinkingSignature("kt1.s"), sse(piece(0, '{"type":"signature_delta","signature":"kt1.s"}'), closed(0))),
        (TextDelta("I "), sse(opened(1, TEXT_BLOCK), piece(1, '{"type":"text_delta","text":"I "}'))),
        (TextDelta("look"), sse(piece(1, '{"type":"text_delta","text":"look"}'))),
        (KeepAlive(), sse(PING)),
        (
            call,
            sse(
                closed(1),
                opened(2, '{"type":"tool_use","id":"toolu_1","name":"Bash","input":{}}'),
                piece(2, r'{"type":"input_json_delta","partial_json":"{\"command\": \"ls\"}"}'),
                closed(2),
            ),
        ),
        (TokensMeasured(1, 1), ""),
        (Finish(StopCause.TOOL_USE, None, FINAL), sse(end("tool_use"), STOP)),
    )


def test_a_thinking_block_without_signature_gets_none() -> None:
    play(
        (ThinkingDelta("a"), sse(opened(0, THINKING_BLOCK), piece(0, '{"type":"thinking_delta","thinking":"a"}'))),
        (ThinkingSignature(""), ""),
        (TextDelta("b"), sse(closed(0), opened(1, TEXT_BLOCK), piece(1, '{"type":"text_delta","text":"b"}'))),
        (Finish(StopCause.END_TURN, None, FINAL), sse(closed(1), end("end_turn"), STOP)),
    )


def test_a_signature_alone_is_an_empty_thinking_block() -> None:
    signed = piece(0, '{"type":"signature_delta","signature":"kt1.s"}')
    play(
        (ThinkingSignature("kt1.s"), sse(opened(0, THINKING_BLOCK), signed, closed(0))),
        (TextDelta("b"), sse(opened(1, TEXT_BLOCK), piece(1, '{"type":"text_delta","text":"b"}'))),
        (Finish(StopCause.MAX_TOKENS, None, FINAL), sse(closed(1), end("max_tokens"), STOP)),
    )


def test_redacted_thinking_stands_where_it_came() -> None:
    play(
        (TextDelta("a"), sse(opened(0, TEXT_BLOCK), piece(0, '{"type":"text_delta","text":"a"}'))),
        (
            RedactedThinkingBlock("EnC="),
            sse(closed(0), opened(1, '{"type":"redacted_thinking","data":"EnC="}'), closed(1)),
        ),
        (Finish(StopCause.REFUSAL, None, FINAL), sse(end("refusal"), STOP)),
    )


def test_a_stop_sequence_is_named() -> None:
    play(
        (TextDelta("a"), sse(opened(0, TEXT_BLOCK), piece(0, '{"type":"text_delta","text":"a"}'))),
        (Finish(StopCause.STOP_SEQUENCE, "\n\n", FINAL), sse(closed(0), end("stop_sequence", r'"\n\n"'), STOP)),
    )


def test_equal_deltas_and_equal_calls_are_all_kept() -> None:
    same = sse(piece(0, '{"type":"text_delta","text":"ha"}'))
    arguments = piece(1, '{"type":"input_json_delta","partial_json":"{}"}')
    play(
        (TextDelta("ha"), sse(opened(0, TEXT_BLOCK)) + same),
        (TextDelta("ha"), same),
        (TextDelta("ha"), same),
        (
            ToolCall("a", "Now", "{}"),
            sse(closed(0), opened(1, '{"type":"tool_use","id":"a","name":"Now","input":{}}'), arguments, closed(1)),
        ),
        (
            ToolCall("b", "Now", ""),
            sse(
                opened(2, '{"type":"tool_use","id":"b","name":"Now","input":{}}'),
                arguments.replace('"index":1', '"index":2'),
                closed(2),
            ),
        ),
        (Finish(StopCause.TOOL_USE, None, FINAL), sse(end("tool_use"), STOP)),
    )


def test_an_answer_without_content_ends_legally() -> None:
    play((Finish(StopCause.CONTEXT_FULL, None, FINAL), sse(end("model_context_window_exceeded"), STOP)))


def test_a_failure_in_the_middle_is_the_last_event() -> None:
    error = '{"type":"error","error":{"type":"rate_limit_error","message":"Slow down."}}'
    play(
        (TextDelta("a"), sse(opened(0, TEXT_BLOCK), piece(0, '{"type":"text_delta","text":"a"}'))),
        (Failed(RateLimited("Slow down.", retry_after=3)), sse(error)),
        (TextDelta("late"), ""),
        (Finish(StopCause.END_TURN, None, FINAL), ""),
        (KeepAlive(), ""),
    )


def test_buffered_pings_come_before_the_message() -> None:
    stream = MessageStream("claude", "msg_1")
    raw = stream.keep_alive() + stream.keep_alive()
    assert raw.decode() == sse(PING, PING)
    raw += stream.start(ESTIMATE) + stream.encode([TextDelta("a"), Finish(StopCause.END_TURN, None, FINAL)])
    assert check("anthropic", raw, early_ping=True) == []
    assert (stream.start(ESTIMATE), stream.keep_alive(), stream.failure(UpstreamFailed("x"))) == (b"", b"", b"")


def test_a_failure_before_the_message_is_one_error_event() -> None:
    stream = MessageStream("claude", "msg_1")
    error = '{"type":"error","error":{"type":"api_error","message":"It broke."}}'
    assert (stream.keep_alive() + stream.failure(UpstreamFailed("It broke."))).decode() == sse(PING, error)
    assert stream.finished


def test_content_without_a_start_begins_the_message_itself() -> None:
    stream = MessageStream("claude", "msg_1", ESTIMATE)
    raw = stream.encode([TextDelta("a")]).decode()
    assert raw == sse(HEAD, opened(0, TEXT_BLOCK), piece(0, '{"type":"text_delta","text":"a"}'))


def test_large_arguments_leave_in_pieces_that_join_to_what_was_generated() -> None:
    arguments = json.dumps({"content": "Ä𝄞\n" * 100_000}, ensure_ascii=False)
    stream = MessageStream("claude", "msg_1")
    raw = stream.start(ESTIMATE) + stream.encode([ToolCall("t", "Write", arguments), Finish(StopCause.TOOL_USE)])
    payloads = [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: ")]
    pieces = [payload["delta"]["partial_json"] for payload in payloads if payload["type"] == "content_block_delta"]
    assert "".join(pieces) == arguments
    assert {len(part) for part in pieces[:-1]} == {ARGUMENT_PIECE}
    assert check("anthropic", raw) == []


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    deltas = [TextDelta("a\ud83d"), TextDelta("\ude00b"), Finish(StopCause.END_TURN)]
    stream, body = MessageStream("claude", "msg_1"), MessageBody("claude", "msg_1")
    body.add(deltas)
    assert json.loads(body.body())["content"] == [{"type": "text", "text": "a\ufffd\ufffdb"}]
    assert '"text":"a\ufffd"' in (raw := stream.encode(deltas).decode())
    assert '"text":"\ufffdb"' in raw


@pytest.mark.parametrize("arguments", ['{"a": 1', "[]", "null", "no json", '{"a": NaN}'])
def test_a_call_whose_arguments_are_no_object_never_leaves(arguments: str) -> None:
    play(
        (TextDelta("a"), sse(opened(0, TEXT_BLOCK), piece(0, '{"type":"text_delta","text":"a"}'))),
        (ToolCall("t", "Write", arguments), ""),
        (Finish(StopCause.TOOL_USE, None, FINAL), sse(closed(0), end("max_tokens"), STOP)),
    )


def test_ids_that_clients_would_refuse_are_made_acceptable_and_kept_apart() -> None:
    body = MessageBody("claude", "msg_1")
    body.add([ToolCall(given, "Now", "{}") for given in ("call|x", "call_x", "", "call_x")])
    body.add([Finish(StopCause.TOOL_USE)])
    assert [block["id"] for block in json.loads(body.body())["content"]] == ["call_x", "call_x_2", "toolu", "call_x_3"]


@pytest.mark.parametrize(
    ("cause", "called", "reason"),
    [
        (StopCause.END_TURN, False, "end_turn"),
        (StopCause.END_TURN, True, "tool_use"),
        (StopCause.TOOL_USE, True, "tool_use"),
        (StopCause.TOOL_USE, False, "end_turn"),
        (StopCause.STOP_SEQUENCE, True, "tool_use"),
        (StopCause.MAX_TOKENS, True, "max_tokens"),
        (StopCause.CONTEXT_FULL, False, "model_context_window_exceeded"),
        (StopCause.REFUSAL, False, "refusal"),
    ],
)
def test_the_stop_reason_agrees_with_the_blocks(cause: StopCause, called: bool, reason: str) -> None:
    body = MessageBody("claude", "msg_1")
    body.add([TextDelta("a"), *([ToolCall("t", "Now", "{}")] if called else []), Finish(cause, "x")])
    assert json.loads(body.body())["stop_reason"] == reason


def test_the_body_carries_what_the_stream_would() -> None:
    body = MessageBody("claude", "msg_1")
    body.add([ThinkingDelta("Hm"), ThinkingDelta("."), ThinkingSignature("kt1.s"), KeepAlive(), TextDelta("I ")])
    body.add([TextDelta("look"), RedactedThinkingBlock("x"), ToolCall("t", "Bash", '{"n": 12345678901234567890123}')])
    body.add([Finish(StopCause.TOOL_USE, None, FINAL)])
    assert body.body() == (
        b'{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":['
        b'{"type":"thinking","thinking":"Hm.","signature":"kt1.s"},'
        b'{"type":"text","text":"I look"},'
        b'{"type":"redacted_thinking","data":"x"},'
        b'{"type":"tool_use","id":"t","name":"Bash","input":{"n": 12345678901234567890123}}],'
        b'"stop_reason":"tool_use","stop_sequence":null,'
        b'"usage":{"input_tokens":11,"cache_creation_input_tokens":2,"cache_read_input_tokens":3,"output_tokens":7}}'
    )


def test_a_failed_answer_has_no_body() -> None:
    body = MessageBody("claude", "msg_1")
    body.add([TextDelta("a"), Failed(RateLimited("Slow down."))])
    with pytest.raises(RateLimited, match="Slow down"):
        body.body()
    with pytest.raises(UpstreamFailed, match="before it was complete"):
        MessageBody("claude", "msg_1").body()


def test_every_state_but_the_last_has_a_row_for_every_event() -> None:
    kinds = {kind for _, kind, _, _ in TRANSITIONS}
    rows = {(state, kind) for state, kind, _, _ in TRANSITIONS}
    assert len(rows) == len(TRANSITIONS), "two rows for one event in one state"
    assert rows == {(state, kind) for state in State if state is not State.ENDED for kind in kinds}


# The validator with the SDK's own models must be at work, or the properties below would show less than they say.
assert SDK["anthropic"]
assert AB


def played(run: list[list[Event]], start_before: int = 0) -> tuple[MessageStream, bytes]:
    """Plays the batches; `start` is called before the one of that number, or not at all if there is none."""
    stream = MessageStream("claude", "msg_1", ESTIMATE)
    raw = b""
    for number, batch in enumerate(run):
        if number == start_before:
            raw += stream.start(ESTIMATE)
        raw += stream.encode(batch)
    if not stream.finished:
        raw += stream.failure(UpstreamFailed("The upstream went away."))
    return stream, raw


@settings(max_examples=300)
@given(batches, st.integers(0, 6))
def test_no_sequence_of_events_makes_an_illegal_stream(run: list[list[Event]], start_before: int) -> None:
    stream, raw = played(run, start_before)
    assert stream.finished
    assert check("anthropic", raw, early_ping=True, terminal_error=True) == [], raw.decode()
    assert raw.count(b"event: error\n") + raw.count(b"event: message_stop\n") == 1


@given(cut(long_lists(content_events, 16)), finishes)
def test_the_sdk_makes_of_the_stream_what_the_body_says(run: list[list[Event]], finish: Finish) -> None:
    run = [*run, [finish]]
    body = MessageBody("claude", "msg_1")
    for batch in run:
        body.add(batch)
    said = json.loads(body.body())
    assert check_json("anthropic", said) == []
    assert accumulated(played(run)[1]) == said


def accumulated(raw: bytes) -> Any:
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    headers: Any = {}
    for line in raw.decode().split("\n"):
        if line.startswith("data: ") and line != f"data: {PING}":
            payload = json.loads(line[6:])
            snapshot = accumulate_event(
                event=AB[payload["type"]].validate_python(payload),
                current_snapshot=snapshot,
                json_bufs=buffers,
                request_headers=headers,
            )
    message = orjson.loads(snapshot.to_json())
    assert message.pop("stop_details") is None  # the accumulator's own, where the stream names none
    return message


@given(st.lists(st.text(min_size=1).map(TextDelta), min_size=1), usages)
def test_every_delta_is_an_event_of_its_own_however_it_is_batched(deltas: list[TextDelta], usage: Usage) -> None:
    together, apart = MessageStream("claude", "msg_1"), MessageStream("claude", "msg_1")
    raw = together.start(usage) + together.encode(deltas)
    assert raw == apart.start(usage) + b"".join(apart.encode([delta]) for delta in deltas)
    texts = [json.loads(line[6:]) for line in raw.decode().split("\n") if line.startswith("data: ")]
    assert [payload["delta"]["text"] for payload in texts if "delta" in payload] == [delta.text for delta in deltas]
