"""Generation events in, Anthropic's SSE and JSON out. The transcripts read from left to right: event, bytes."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from anthropic.lib.streaming._beta_messages import accumulate_event
from attrs import evolve
from check_sse import AB, SDK, check, check_json
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_anthropic import batches, content_events, finishes, usages
from support.arbitrary import cut, long_lists

from kirotrio.conversation.events import (
    Citation,
    Event,
    Failed,
    FetchFinished,
    Finish,
    KeepAlive,
    RedactedThinkingBlock,
    SearchFinished,
    SearchResult,
    ServerToolCall,
    StopCause,
    TextDelta,
    ThinkingDelta,
    ThinkingSignature,
    TokensMeasured,
    ToolCall,
    Usage,
)
from kirotrio.conversation.snippets import seal, unseal
from kirotrio.dialects.anthropic import MessageBody, MessageStream
from kirotrio.dialects.anthropic.encode import ARGUMENT_PIECE
from kirotrio.dialects.blocks import TRANSITIONS, State
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


CALLER = '"caller":{"type":"direct"}'
FOUND = SearchResult("https://x.org/a", "Aé", "What was found.", "January 2, 2006")
SEALED = seal("What was found.")
SOURCE = (
    f'{{"type":"web_search_result_location","url":"https://x.org/a","title":"Aé",'
    f'"encrypted_index":"{seal("https://x.org/a")}","cited_text":"What was"}}'
)
HITS = (
    '{"type":"web_search_tool_result","tool_use_id":"srvtoolu_a1","content":[{"type":"web_search_result",'
    f'"url":"https://x.org/a","title":"Aé","encrypted_content":"{SEALED}","page_age":"January 2, 2006"}}],{CALLER}}}'
)
PAGE = (
    '{"type":"web_fetch_tool_result","tool_use_id":"srvtoolu_b2","content":{"type":"web_fetch_result",'
    '"url":"https://x.org/a","retrieved_at":"2026-01-02T03:04:05Z","content":{"type":"document","source":'
    f'{{"type":"text","media_type":"text/plain","data":"All of it."}},"title":"A","citations":null}}}},{CALLER}}}'
)


def test_a_search_and_a_fetch_with_citations() -> None:
    served = end("end_turn").replace(
        '"output_tokens":7', '"output_tokens":7,"server_tool_use":{"web_search_requests":1,"web_fetch_requests":2}'
    )
    called = f'{{"type":"server_tool_use","id":"srvtoolu_a1","name":"web_search","input":{{}},{CALLER}}}'
    fetched = f'{{"type":"server_tool_use","id":"srvtoolu_b2","name":"web_fetch","input":{{}},{CALLER}}}'
    play(
        (
            ServerToolCall("a1", "web_search", {"query": "é?"}),
            sse(
                opened(0, called),
                piece(0, r'{"type":"input_json_delta","partial_json":"{\"query\":\"é?\"}"}'),
                closed(0),
            ),
        ),
        (SearchFinished("a1", (FOUND,)), sse(opened(1, HITS), closed(1))),
        (
            ServerToolCall("b2", "web_fetch", {"url": "u"}),
            sse(
                opened(2, fetched), piece(2, r'{"type":"input_json_delta","partial_json":"{\"url\":\"u\"}"}'), closed(2)
            ),
        ),
        (
            FetchFinished("b2", "https://x.org/a", "A", "All of it.", retrieved_at="2026-01-02T03:04:05Z"),
            sse(opened(3, PAGE), closed(3)),
        ),
        (Citation("https://x.org/a", "Aé", "What was", 0, 1), ""),
        (TextDelta("See"), sse(opened(4, TEXT_BLOCK), piece(4, '{"type":"text_delta","text":"See"}'))),
        (
            Citation("https://x.org/a", "Aé", "What was", 0, 3),
            sse(piece(4, f'{{"type":"citations_delta","citation":{SOURCE}}}')),
        ),
        (TextDelta("."), sse(piece(4, '{"type":"text_delta","text":"."}'))),
        (
            Finish(StopCause.END_TURN, None, evolve(FINAL, web_searches=1, web_fetches=2)),
            sse(closed(4), served, STOP),
        ),
    )


def test_the_body_of_a_search_has_the_same_blocks() -> None:
    body = MessageBody("claude", "msg_1")
    cited = Citation("https://x.org/a", "Aé", "What was", 0, 3)
    body.add([ServerToolCall("a1", "web_search", {"query": "é?"}), SearchFinished("a1", (FOUND,)), TextDelta("See")])
    body.add([cited, TextDelta("."), cited, KeepAlive(), Finish(StopCause.END_TURN, None, Usage(web_searches=1))])
    said = json.loads(body.body())
    called = {"type": "server_tool_use", "id": "srvtoolu_a1", "name": "web_search", "input": {"query": "é?"}}
    assert said["content"] == [
        {**called, "caller": {"type": "direct"}},
        json.loads(HITS),
        {"type": "text", "text": "See.", "citations": [json.loads(SOURCE)] * 2},
    ]
    assert said["usage"]["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}
    assert check_json("anthropic", said) == []


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (SearchFinished("a1", error="max_uses_exceeded"), "max_uses_exceeded"),
        (SearchFinished("a1", error="query_too_long"), "query_too_long"),
        (SearchFinished("a1", error="something_new"), "unavailable"),
        (FetchFinished("a1", "u", error="url_not_allowed"), "url_not_allowed"),
        (FetchFinished("a1", "u", error="unsupported_content_type"), "unsupported_content_type"),
        (FetchFinished("a1", "u", error="query_too_long"), "unavailable"),
    ],
)
def test_a_failure_of_the_servers_tool_is_a_code_that_clients_know(
    event: SearchFinished | FetchFinished, code: str
) -> None:
    what = "web_search" if isinstance(event, SearchFinished) else "web_fetch"
    error = f'{{"type":"{what}_tool_result_error","error_code":"{code}"}}'
    block = f'{{"type":"{what}_tool_result","tool_use_id":"srvtoolu_a1","content":{error},{CALLER}}}'
    play(
        (event, sse(opened(0, block), closed(0))),
        (Finish(StopCause.END_TURN, None, FINAL), sse(end("end_turn"), STOP)),
    )


def test_what_is_not_known_of_a_page_is_null_and_a_fetch_alone_is_counted() -> None:
    body = MessageBody("claude", "msg_1")
    body.add([FetchFinished("b", "u", text="x"), Finish(StopCause.END_TURN, None, Usage(web_fetches=1))])
    said = json.loads(body.body())
    page = said["content"][0]["content"]
    assert (page["retrieved_at"], page["content"]["title"]) == (None, None)
    assert said["usage"]["server_tool_use"] == {"web_search_requests": 0, "web_fetch_requests": 1}


def test_every_call_of_the_server_has_an_id_of_its_own_and_its_result_the_same() -> None:
    body = MessageBody("claude", "msg_1")
    for call in ("a1", "a1", "a|1", "a_1"):
        body.add([ServerToolCall(call, "web_search", {}), SearchFinished(call)])
    body.add([Finish(StopCause.END_TURN)])
    said = json.loads(body.body())["content"]
    calls = ["srvtoolu_a1", "srvtoolu_a1_2", "srvtoolu_a_1", "srvtoolu_a_1_2"]
    assert [block["id"] for block in said if "id" in block] == calls
    assert [block["tool_use_id"] for block in said if "tool_use_id" in block] == calls


def test_what_a_search_found_can_be_read_from_the_block_again() -> None:
    body = MessageBody("claude", "msg_1")
    found = [SearchResult("u", "t", text) for text in ("Grüße 𝄞", "", "half \ud83d", "x" * 9000)]
    body.add([SearchFinished("a", tuple(found)), Finish(StopCause.END_TURN)])
    (block,) = json.loads(body.body())["content"]
    assert [unseal(hit["encrypted_content"]) for hit in block["content"]] == [
        "Grüße 𝄞",
        "",
        "half \ufffd",
        "x" * 4000,
    ]


def test_an_input_that_json_cannot_hold_as_it_is_still_leaves() -> None:
    odd = ServerToolCall("a", "web_search", {"query": "\ud83d", "n": 2**70, "deep": [{"k\udc00": ("x",)}]})
    body = MessageBody("claude", "msg_1")
    body.add([odd, Finish(StopCause.END_TURN)])
    (block,) = json.loads(body.body())["content"]
    assert block["input"] == {"query": "\ufffd", "n": 2**70, "deep": [{"k\ufffd": ["x"]}]}
    stream = MessageStream("claude", "msg_1")
    assert check("anthropic", stream.start(ESTIMATE) + stream.encode([odd, Finish(StopCause.END_TURN)])) == []


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
    everywhere = {(state, kind) for state in State if state is not State.ENDED for kind in kinds - {Citation}}
    assert rows == everywhere | {(State.TEXT, Citation)}, "a citation has nothing to stand in outside a text"


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
