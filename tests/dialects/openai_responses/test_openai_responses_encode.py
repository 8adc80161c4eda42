"""Generation events in, Responses events and JSON out. The transcripts read from left to right: event, events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from check_sse import RS, SDK, check, check_json
from hypothesis import given, settings
from hypothesis import strategies as st
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from strategies_responses import TOOLS, batches, content_events, finishes
from support.arbitrary import cut, long_lists, texts

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
    ToolCall,
    Usage,
)
from kirotrio.conversation.request import RedactedThinking, Text, Thinking, ToolUse
from kirotrio.dialects.openai_responses import ResponseBody, ResponseEcho, ResponseStream, decode_responses
from kirotrio.dialects.openai_responses.encode import ARGUMENT_PIECE
from kirotrio.errors import RateLimited, UpstreamFailed

INCLUDE = ["reasoning.encrypted_content", "web_search_call.action.sources"]
FINAL = Usage(11, 7, 3, 2, 5, measured=True)
COUNTS = {
    "input_tokens": 16,
    "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 23,
}


def echo(**changes: Any) -> ResponseEcho:
    return decode_responses({"model": "claude", "input": "Hi", "tools": TOOLS, **changes}).echo


ECHO, PLAIN = echo(include=INCLUDE), echo(tools=[])
CODEX_ONLY = ("context_length_exceeded", "insufficient_quota")


def problems(raw: bytes, *, failed: bool = True) -> list[str]:
    """What the validator has against a stream, but for two codes that Codex knows and the SDK's types do not list."""
    return [
        problem
        for problem in check("responses", raw, terminal_error=failed)
        if not (
            ": schema: response.error.code: " in problem and any(f"(got {code!r})" in problem for code in CODEX_ONLY)
        )
    ]


def parsed(raw: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in raw.decode().split("\n") if line.startswith("data: ")]


def said(batch: list[Event], given: ResponseEcho = PLAIN) -> dict[str, Any]:
    body = ResponseBody(given, "resp_1", 5)
    body.add(batch)
    answer: dict[str, Any] = json.loads(body.body())
    assert check_json("responses", answer) == []
    return answer


def steps(*events: Event, given: ResponseEcho = PLAIN) -> list[dict[str, Any]]:
    """The events of a stream after its head and before its end, without what all of them have."""
    stream = ResponseStream(given, "resp_1", 5)
    raw = stream.start(Usage()) + stream.encode([*events, Finish(StopCause.END_TURN, None, FINAL)])
    assert problems(raw, failed=False) == []
    told = parsed(raw)[2:-1]
    for event in told:
        del event["sequence_number"]
        event["type"] = event["type"].removeprefix("response.")
    return told


def test_the_exact_bytes_of_a_short_answer() -> None:
    given = ResponseEcho({"model": "claude", "tools": []})
    stream = ResponseStream(given, "resp_1", 5)
    begun = (
        b'{"id":"resp_1","object":"response","created_at":5,"status":"in_progress","completed_at":null,"error":null,'
        b'"incomplete_details":null,"model":"claude","tools":[],"output":[],"usage":null}'
    )
    assert stream.start(Usage(9)) == (
        b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":%b}\n\n'
        b'event: response.in_progress\ndata: {"type":"response.in_progress","sequence_number":1,"response":%b}\n\n'
        % (begun, begun)
    )
    assert stream.start(Usage(9)) == b"", "a head stands once"
    assert stream.encode([TextDelta('Grüße, "you"\n')]) == (
        b'event: response.output_item.added\ndata: {"type":"response.output_item.added","sequence_number":2,'
        b'"output_index":0,"item":{"id":"msg_100","type":"message","status":"in_progress","role":"assistant",'
        b'"content":[]}}\n\n'
        b'event: response.content_part.added\ndata: {"type":"response.content_part.added","sequence_number":3,'
        b'"item_id":"msg_100","output_index":0,"content_index":0,"part":{"type":"output_text","text":"",'
        b'"annotations":[],"logprobs":[]}}\n\n'
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"msg_100",'
        b'"output_index":0,"content_index":0,"logprobs":[],"delta":"Gr\xc3\xbc\xc3\x9fe, \\"you\\"\\n",'
        b'"sequence_number":4}\n\n'
    )
    assert stream.keep_alive().startswith(b"event: response.in_progress\ndata: ")
    end = stream.encode([Finish(StopCause.END_TURN, None, FINAL)])
    assert [event["sequence_number"] for event in parsed(end)] == [6, 7, 8, 9]
    assert [event["type"] for event in parsed(end)] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    response = parsed(end)[-1]["response"]
    assert response["usage"] == COUNTS
    assert response["output"][0]["content"][0]["text"] == 'Grüße, "you"\n'
    assert stream.finished
    assert stream.keep_alive() == stream.failure(UpstreamFailed("late")) == stream.start(Usage()) == b""


def test_thinking_is_a_reasoning_item_with_its_summary_and_what_the_client_included() -> None:
    item = {"id": "rs_100", "type": "reasoning", "summary": []}
    place = {"item_id": "rs_100", "output_index": 0, "summary_index": 0}
    part = {"type": "summary_text", "text": "Hm."}
    assert steps(
        ThinkingDelta(""), ThinkingDelta("H"), ThinkingDelta("m."), ThinkingSignature("kt1.s"), given=ECHO
    ) == [
        {"type": "output_item.added", "output_index": 0, "item": item},
        {"type": "reasoning_summary_part.added", **place, "part": {"type": "summary_text", "text": ""}},
        {"type": "reasoning_summary_text.delta", **place, "delta": "H"},
        {"type": "reasoning_summary_text.delta", **place, "delta": "m."},
        {"type": "reasoning_summary_text.done", **place, "text": "Hm."},
        {"type": "reasoning_summary_part.done", **place, "part": part},
        {
            "type": "output_item.done",
            "output_index": 0,
            "item": {**item, "summary": [part], "encrypted_content": "kts.kt1.s"},
        },
    ]
    assert steps(ThinkingDelta(""), ThinkingSignature("kt1.s")) == [
        {"type": "output_item.added", "output_index": 0, "item": item},
        {"type": "output_item.done", "output_index": 0, "item": item},
    ], "what is hidden has neither summary nor, unless it is included, a signature"


def test_a_function_call_is_streamed_in_pieces() -> None:
    arguments = json.dumps({"text": "x" * ARGUMENT_PIECE})
    item = {"id": "fc_100", "type": "function_call", "status": "in_progress", "call_id": "t", "name": "Read"}
    assert steps(ToolCall("t", "Read", arguments), given=ECHO) == [
        {"type": "output_item.added", "output_index": 0, "item": {**item, "arguments": ""}},
        *(
            {"type": "function_call_arguments.delta", "item_id": "fc_100", "output_index": 0, "delta": piece}
            for piece in (arguments[:ARGUMENT_PIECE], arguments[ARGUMENT_PIECE:])
        ),
        {"type": "function_call_arguments.done", "item_id": "fc_100", "output_index": 0, "arguments": arguments},
        {
            "type": "output_item.done",
            "output_index": 0,
            "item": {**item, "status": "completed", "arguments": arguments},
        },
    ]


def test_a_free_form_call_leaves_as_its_text() -> None:
    item = {"id": "ctc_100", "type": "custom_tool_call", "call_id": "t", "name": "patch", "status": "in_progress"}
    place = {"item_id": "ctc_100", "output_index": 0}
    assert steps(ToolCall("t", "patch", '{"input": "a\\nb"}'), given=ECHO) == [
        {"type": "output_item.added", "output_index": 0, "item": {**item, "input": ""}},
        {"type": "custom_tool_call_input.delta", **place, "delta": "a\nb"},
        {"type": "custom_tool_call_input.done", **place, "input": "a\nb"},
        {"type": "output_item.done", "output_index": 0, "item": {**item, "input": "a\nb", "status": "completed"}},
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "item"),
    [
        ("agents__spawn", '{"a": 1}', {"type": "function_call", "name": "spawn", "namespace": "agents"}),
        ("patch", '{"patch": "a"}', {"type": "custom_tool_call", "input": '{"patch": "a"}'}),
        ("patch", "{}", {"type": "custom_tool_call", "input": ""}),
        (
            "local_shell",
            '{"command": ["ls"], "timeout_ms": 9}',
            {
                "type": "local_shell_call",
                "action": {
                    "type": "exec",
                    "command": ["ls"],
                    "working_directory": None,
                    "timeout_ms": 9,
                    "env": {},
                    "user": None,
                },
            },
        ),
        (
            "shell",
            '{"commands": ["ls"]}',
            {
                "type": "shell_call",
                "action": {"commands": ["ls"], "timeout_ms": None, "max_output_length": None},
                "environment": {"type": "local"},
            },
        ),
        (
            "apply_patch",
            '{"type": "update_file", "path": "a", "diff": "+b"}',
            {"type": "apply_patch_call", "operation": {"type": "update_file", "path": "a", "diff": "+b"}},
        ),
        (
            "tool_search",
            '{"query": "mail"}',
            {"type": "tool_search_call", "execution": "client", "arguments": {"query": "mail"}},
        ),
        ("nobody_knows", "", {"type": "function_call", "name": "nobody_knows", "arguments": "{}"}),
    ],
)
def test_a_call_leaves_as_the_item_that_its_tools_client_waits_for(name: str, arguments: str, item: Any) -> None:
    answer = said([ToolCall("t", name, arguments), Finish(StopCause.TOOL_USE)], ECHO)
    (told,) = answer["output"]
    assert answer["status"] == "completed"
    assert {key: told[key] for key in item} == item
    assert told["call_id"] == "t"
    assert told["status"] == "completed"


@pytest.mark.parametrize(("name", "arguments"), [("Read", '{"a": 1'), ("Read", "[]"), ("patch", "no json")])
def test_a_call_whose_arguments_are_no_object_never_leaves(name: str, arguments: str) -> None:
    answer = said([TextDelta("a"), ToolCall("t", name, arguments), Finish(StopCause.TOOL_USE)], ECHO)
    assert [item["type"] for item in answer["output"]] == ["message"]
    assert answer["status"] == "incomplete"
    assert answer["incomplete_details"] == {"reason": "max_output_tokens"}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("local_shell", '{"command": "ls"}'),
        ("local_shell", '{"command": ["ls"], "env": {"A": 1}}'),
        ("shell", "{}"),
        ("apply_patch", '{"type": "update_file", "path": "a"}'),
        ("apply_patch", '{"type": "move_file", "path": "a"}'),
    ],
)
def test_a_call_that_its_own_item_has_no_place_for_leaves_as_it_was_generated(name: str, arguments: str) -> None:
    answer = said([TextDelta("a"), ToolCall("t", name, arguments), Finish(StopCause.TOOL_USE)], ECHO)
    call = answer["output"][-1]
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", name, arguments)
    assert answer["status"] == "completed"


def test_a_search_and_a_fetch_of_the_server() -> None:
    searching = ServerToolCall("s", "web_search", {"query": "news"})
    found = SearchFinished("s", (SearchResult("https://example.com", "News"),))
    action = {"type": "search", "query": "news", "queries": ["news"]}
    item = {"id": "ws_100", "type": "web_search_call"}
    place = {"item_id": "ws_100", "output_index": 0}
    told = steps(searching, found, given=ECHO)
    assert told == [
        {"type": "output_item.added", "output_index": 0, "item": {**item, "status": "in_progress", "action": action}},
        {"type": "web_search_call.in_progress", **place},
        {"type": "web_search_call.searching", **place},
        {"type": "web_search_call.completed", **place},
        {
            "type": "output_item.done",
            "output_index": 0,
            "item": {
                **item,
                "status": "completed",
                "action": {**action, "sources": [{"type": "url", "url": "https://example.com"}]},
            },
        },
    ]
    assert steps(searching, found)[-1]["item"]["action"] == action, "sources are for who includes them"
    fetched = steps(
        ServerToolCall("f", "web_fetch", {"url": "https://a.example"}), FetchFinished("f", "https://a.example")
    )
    assert fetched[-1]["item"]["action"] == {"type": "open_page", "url": "https://a.example"}
    failed = steps(searching, SearchFinished("s", error="unavailable"))
    assert [event["type"] for event in failed[-2:]] == ["web_search_call.searching", "output_item.done"]
    assert failed[-1]["item"]["status"] == "failed"
    assert steps(searching)[-1]["item"]["status"] == "incomplete", "an answer can end before its search does"


def test_citations_count_from_the_beginning_of_their_text() -> None:
    (first, _, second) = said(
        [
            TextDelta("One. "),
            Citation("https://a.example", "A", "…", 0, 4),
            ToolCall("t", "Read", "{}"),
            TextDelta("Two."),
            Citation("https://b.example", "B", "…", 5, 9),
            Finish(StopCause.END_TURN),
        ]
    )["output"]
    cited = {"type": "url_citation", "start_index": 0, "end_index": 4}
    assert first["content"][0]["annotations"] == [{**cited, "url": "https://a.example", "title": "A"}]
    assert second["content"][0]["annotations"] == [{**cited, "url": "https://b.example", "title": "B"}]
    added = steps(TextDelta("One."), Citation("https://a.example", "A", "…", 0, 4))[3]
    assert added == {
        "type": "output_text.annotation.added",
        "item_id": "msg_100",
        "output_index": 0,
        "content_index": 0,
        "annotation_index": 0,
        "annotation": {**cited, "url": "https://a.example", "title": "A"},
    }


@pytest.mark.parametrize(
    ("cause", "called", "status", "reason"),
    [
        (StopCause.END_TURN, False, "completed", None),
        (StopCause.TOOL_USE, True, "completed", None),
        (StopCause.STOP_SEQUENCE, False, "completed", None),
        (StopCause.MAX_TOKENS, True, "incomplete", "max_output_tokens"),
        (StopCause.CONTEXT_FULL, False, "incomplete", "max_output_tokens"),
        (StopCause.REFUSAL, False, "incomplete", "content_filter"),
    ],
)
def test_how_a_response_ends(cause: StopCause, called: bool, status: str, reason: str | None) -> None:
    answer = said([TextDelta("a"), *([ToolCall("t", "Now", "{}")] if called else []), Finish(cause, "x", FINAL)])
    assert answer["status"] == status
    assert answer["incomplete_details"] == (None if reason is None else {"reason": reason})
    assert answer["usage"] == COUNTS
    assert answer["output"][0]["status"] == ("completed" if called else status), "the item that was cut says so too"


def test_a_failure_ends_the_stream_with_what_was_finished() -> None:
    stream = ResponseStream(PLAIN, "resp_1", 5)
    raw = stream.encode([ThinkingDelta("Hm."), TextDelta("a")]) + stream.failure(RateLimited("Slow.", retry_after=2.5))
    assert problems(raw) == []
    response = parsed(raw)[-1]["response"]
    assert response["status"] == "failed"
    assert response["error"]["code"] == "rate_limit_exceeded"
    assert "try again in 3s" in response["error"]["message"]
    assert [item["type"] for item in response["output"]] == ["reasoning"]


def test_a_failed_answer_has_no_body() -> None:
    body = ResponseBody(PLAIN, "resp_1", 5)
    body.add([TextDelta("a"), Failed(RateLimited("Slow down."))])
    with pytest.raises(RateLimited, match="Slow down"):
        body.body()
    with pytest.raises(UpstreamFailed, match="before it was complete"):
        ResponseBody(PLAIN, "resp_1", 5).body()


def test_what_is_kept_has_all_that_is_needed_to_go_on() -> None:
    kept: list[dict[str, Any]] = []
    batch: list[Event] = [
        ThinkingDelta("Hm."),
        ThinkingSignature("kt1.s"),
        RedactedThinkingBlock("kt1.r"),
        ServerToolCall("s", "web_search", {"query": "q"}),
        SearchFinished("s", (SearchResult("https://example.com", "T"),)),
        Finish(StopCause.END_TURN, None, FINAL),
    ]
    stream, body = ResponseStream(PLAIN, "resp_1", 5, kept.append), ResponseBody(PLAIN, "resp_1", 5, kept.append)
    raw = stream.encode(batch)
    assert len(kept) == 1, "kept before the client has it"
    body.add(batch)
    assert body.body() == body.body()
    assert len(kept) == 2, "and once"
    assert kept[0] == kept[1]
    assert [item.get("encrypted_content") for item in kept[0]["output"]] == ["kts.kt1.s", "ktr.kt1.r", None]
    assert kept[0]["output"][2]["action"]["sources"] == [{"type": "url", "url": "https://example.com"}]
    assert b"encrypted_content" not in raw + body.body(), "the client did not include it"
    assert b"sources" not in raw + body.body()


def test_only_what_has_ended_is_kept() -> None:
    kept: list[dict[str, Any]] = []
    stream = ResponseStream(PLAIN, "resp_1", 5, kept.append)
    stream.encode([TextDelta("a"), Failed(UpstreamFailed("cut"))])
    stream.encode([Finish(StopCause.END_TURN)])
    assert kept == []


# The validator with the SDK's own models must be at work, or the properties below would show less than they say.
assert SDK["responses"]
assert RS


def played(run: list[list[Event]], start_before: int = 0, given: ResponseEcho = ECHO) -> bytes:
    """Plays the batches; `start` is called before the one of that number, or not at all if there is none."""
    stream = ResponseStream(given, "resp_1", 5)
    raw = b""
    for number, batch in enumerate(run):
        if number == start_before:
            raw += stream.start(Usage())
        raw += stream.encode(batch)
    if not stream.finished:
        raw += stream.failure(UpstreamFailed("The upstream went away."))
    assert stream.finished
    return raw


@settings(max_examples=200)
@given(batches, st.integers(0, 6), st.sampled_from([ECHO, PLAIN]))
def test_no_sequence_of_events_makes_an_illegal_stream(
    run: list[list[Event]], start_before: int, given: ResponseEcho
) -> None:
    raw = played(run, start_before, given)
    assert problems(raw) == [], raw.decode()
    ends = ("response.completed", "response.incomplete", "response.failed")
    assert sum(event["type"] in ends for event in parsed(raw)) == 1


@settings(max_examples=60)
@given(cut(long_lists(content_events, 16)), finishes, st.sampled_from([ECHO, PLAIN]))
def test_the_sdk_makes_of_the_stream_what_the_body_says(
    run: list[list[Event]], finish: Finish, given: ResponseEcho
) -> None:
    run = [*run, [finish]]
    body = ResponseBody(given, "resp_1", 5)
    for batch in run:
        body.add(batch)
    answer = json.loads(body.body())
    assert check_json("responses", answer) == []
    told = parsed(played(run, given=given))
    assert told[-1]["response"] == answer
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    spoken = ""
    for event in told:
        for seen in state.handle_event(RS[event["type"]].validate_python(event)):
            if seen.type == "response.output_text.delta":
                spoken += seen.delta
    parts = [part["text"] for item in answer["output"] for part in item.get("content", [])]
    assert spoken == "".join(parts)


@given(st.lists(texts.filter(lambda delta: delta.text), min_size=1))
def test_every_delta_is_an_event_of_its_own_however_it_is_batched(deltas: list[Any]) -> None:
    together, apart = ResponseStream(PLAIN, "resp_1", 5), ResponseStream(PLAIN, "resp_1", 5)
    raw = together.encode(deltas)
    assert raw == b"".join(apart.encode([delta]) for delta in deltas)
    assert sum(event["type"] == "response.output_text.delta" for event in parsed(raw)) == len(deltas)


@settings(max_examples=100)
@given(cut(long_lists(content_events, 16)))
def test_an_answers_items_come_back_as_what_was_said(run: list[list[Event]]) -> None:
    kept: list[dict[str, Any]] = []
    body = ResponseBody(PLAIN if not run else ECHO, "resp_1", 5, kept.append)
    for batch in [*run, [Finish(StopCause.END_TURN)]]:
        body.add(batch)
    body.body()
    (response,) = kept
    again = decode_responses({"model": "m", "input": "Go on", "tools": TOOLS}, earlier=response["output"]).conversation
    parts = [part for turn in again.turns[:-1] for part in turn.parts]
    expected: list[Any] = []
    for item in response["output"]:
        match item["type"]:
            case "message":
                expected += [Text(part["text"]) for part in item["content"]]
            case "reasoning":
                sealed = item.get("encrypted_content", "")
                text = "".join(part["text"] for part in item["summary"])
                if sealed.startswith("ktr."):
                    expected.append(RedactedThinking(sealed[4:]))
                elif text or sealed:
                    expected.append(Thinking(text, sealed[4:]))
    assert [part for part in parts if isinstance(part, (Text, Thinking, RedactedThinking))] == expected
    used = [part for part in parts if isinstance(part, ToolUse)]
    left = [item for item in response["output"] if "call_id" in item]
    assert [use.id for use in used] == [item["call_id"] for item in left]
    by_id = {event.id: event for batch in run for event in batch if isinstance(event, ToolCall)}
    for use, item in zip(used, left, strict=True):
        event = by_id.get(use.id)
        if event is not None and [item["call_id"] for item in left].count(use.id) == 1:
            same_id = [other for batch in run for other in batch if isinstance(other, ToolCall) and other.id == use.id]
            if len(same_id) == 1:
                assert use.name == event.name
                if item["type"] == "function_call":
                    assert use.input == json.loads(event.arguments or "{}")


def test_a_keep_alive_before_the_head_brings_it_along() -> None:
    stream = ResponseStream(PLAIN, "resp_1", 5)
    raw = stream.encode([KeepAlive()])
    assert [event["type"] for event in parsed(raw)] == ["response.created", "response.in_progress"]
    raw += stream.start(Usage()) + stream.encode([TextDelta("a"), KeepAlive(), Finish(StopCause.END_TURN)])
    assert problems(raw, failed=False) == []
