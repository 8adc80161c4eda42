"""Generation events in, Chat's SSE and JSON out. The transcripts read from left to right: event, bytes."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from check_sse import CH, SDK, check, check_json
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk
from strategies_chat import batches, content_events, finishes
from support.arbitrary import cut, long_lists

from kirotrio.conversation.events import (
    Accepted,
    Citation,
    Event,
    Failed,
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
from kirotrio.dialects.openai_chat import ChatBody, ChatStream
from kirotrio.dialects.openai_chat.encode import ARGUMENT_PIECE
from kirotrio.errors import RateLimited, UpstreamFailed

FINAL = Usage(11, 7, 3, 2, thinking_tokens=4, measured=True)
COUNTS = (
    '"usage":{"prompt_tokens":16,"completion_tokens":7,"total_tokens":23,'
    '"prompt_tokens_details":{"cached_tokens":3,"cache_write_tokens":2},'
    '"completion_tokens_details":{"reasoning_tokens":4}}'
)
BEGINNING = '"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"claude"'
DONE = "data: [DONE]\n\n"


def chunk(delta: str, reason: str = "null") -> str:
    return (
        f'data: {{{BEGINNING},"choices":[{{"index":0,"delta":{{{delta}}},'
        f'"logprobs":null,"finish_reason":{reason}}}],"usage":null}}\n\n'
    )


HEAD = chunk('"role":"assistant","content":"","refusal":null')


def end(reason: str) -> str:
    return chunk("", f'"{reason}"') + f'data: {{{BEGINNING},"choices":[],{COUNTS}}}\n\n' + DONE


def stream_of(include_usage: bool = True, **more: Any) -> ChatStream:
    return ChatStream("claude", "chatcmpl-1", 1_700_000_000, include_usage, **more)


def body_of(*events: Event, **more: Any) -> dict[str, Any]:
    body = ChatBody("claude", "chatcmpl-1", 1_700_000_000, **more)
    body.add(events)
    decoded: dict[str, Any] = json.loads(body.body())
    return decoded


def message_of(*events: Event, **more: Any) -> dict[str, Any]:
    message: dict[str, Any] = body_of(*events, Finish(StopCause.END_TURN), **more)["choices"][0]["message"]
    return message


def play(*transcript: tuple[Event, str], checked: bool = True, **more: Any) -> None:
    """Feeds the left side, event by event, and compares with the right side; then the same as one batch."""
    stream = stream_of(**more)
    assert stream.start(Usage()).decode() == HEAD
    for number, (event, expected) in enumerate(transcript):
        assert stream.encode([event]).decode() == expected, f"step {number}: {event}"
    at_once = stream_of(**more)
    whole = at_once.start(Usage()) + at_once.encode([event for event, _ in transcript])
    assert whole.decode() == HEAD + "".join(expected for _, expected in transcript)
    failed = any(isinstance(event, Failed) for event, _ in transcript)
    if checked:
        assert check("chat", whole, terminal_error=failed, usage=None if failed else True) == []


def called(index: int, identifier: str, name: str) -> str:
    return chunk(
        f'"tool_calls":[{{"index":{index},"id":"{identifier}","type":"function",'
        f'"function":{{"name":"{name}","arguments":""}}}}]'
    )


def argued(index: int, piece: str) -> str:
    return chunk(f'"tool_calls":[{{"index":{index},"function":{{"arguments":{piece}}}}}]')


def test_thinking_text_and_tool_calls() -> None:
    play(
        (Accepted(), ""),
        (ThinkingDelta(""), ""),
        (ThinkingDelta("Hm."), chunk('"reasoning_content":"Hm."')),
        (ThinkingSignature("kt1.s"), ""),
        (RedactedThinkingBlock("EnC="), ""),
        (TextDelta('Grüße, "you"\n'), chunk(r'"content":"Grüße, \"you\"\n"')),
        (TextDelta(""), ""),
        (KeepAlive(), ": keep-alive\n\n"),
        (ToolCall("t1", "Bash", '{"n": 1}'), called(0, "t1", "Bash") + argued(0, r'"{\"n\": 1}"')),
        (ToolCall("t2", "Now", ""), called(1, "t2", "Now") + argued(1, '"{}"')),
        (TokensMeasured(1, 1), ""),
        (Finish(StopCause.TOOL_USE, None, FINAL), end("tool_calls")),
        (TextDelta("late"), ""),
        (KeepAlive(), ""),
    )


def test_without_include_usage_no_chunk_speaks_of_it() -> None:
    stream = stream_of(include_usage=False)
    raw = stream.start(Usage()) + stream.encode([TextDelta("a"), Finish(StopCause.END_TURN, None, FINAL)])
    assert b"usage" not in raw
    assert check("chat", raw, usage=False) == []


def test_an_answer_without_content_ends_legally() -> None:
    play((Finish(StopCause.CONTEXT_FULL, None, FINAL), end("length")))


def test_citations_leave_together_since_the_sdk_joins_lists_by_index_only() -> None:
    cited = (
        '{"type":"url_citation","url_citation":{"start_index":0,"end_index":1,"title":"A","url":"https://a"}},'
        '{"type":"url_citation","url_citation":{"start_index":1,"end_index":2,"title":"B","url":"https://b"}}'
    )
    play(
        (ServerToolCall("s", "web_search", {"query": "q"}), ""),
        (SearchFinished("s", (SearchResult("https://a", "A"),)), ""),
        (TextDelta("a"), chunk('"content":"a"')),
        (Citation("https://a", "A", "…", 0, 1), ""),
        (TextDelta("b"), chunk('"content":"b"')),
        (Citation("https://b", "B", "…", 1, 2), ""),
        (Finish(StopCause.END_TURN, None, FINAL), chunk(f'"annotations":[{cited}]') + end("stop")),
    )


def test_a_failure_in_the_middle_is_an_error_object_and_the_end() -> None:
    error = {
        "message": "Slow down. Please try again in 3s.",
        "type": "rate_limit_exceeded",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    play(
        (TextDelta("a"), chunk('"content":"a"')),
        (
            Failed(RateLimited("Slow down.", retry_after=3)),
            "data: " + json.dumps({"error": error}, separators=(",", ":")) + "\n\n",
        ),
        (TextDelta("late"), ""),
        (Finish(StopCause.END_TURN, None, FINAL), ""),
        (KeepAlive(), ""),
    )


def test_keep_alives_may_come_before_everything() -> None:
    stream = stream_of()
    raw = stream.keep_alive() + stream.keep_alive()
    assert raw == b": keep-alive\n\n" * 2
    raw += stream.start(Usage()) + stream.encode([TextDelta("a"), Finish(StopCause.END_TURN, None, FINAL)])
    assert check("chat", raw) == []
    assert (stream.start(Usage()), stream.keep_alive(), stream.failure(UpstreamFailed("x"))) == (b"", b"", b"")


def test_a_failure_before_the_first_chunk_is_one_error_object() -> None:
    stream = stream_of()
    raw = stream.failure(UpstreamFailed("It broke."))
    assert raw.count(b"data: ") == 1
    assert json.loads(raw[6:])["error"]["message"] == "It broke."
    assert stream.finished


def test_content_without_a_start_is_preceded_by_the_role() -> None:
    assert stream_of().encode([TextDelta("a")]).decode() == HEAD + chunk('"content":"a"')


def test_large_arguments_leave_in_pieces_that_join_to_what_was_generated() -> None:
    arguments = json.dumps({"content": "Ä𝄞\n" * 20_000}, ensure_ascii=False)
    stream = stream_of()
    raw = stream.start(Usage()) + stream.encode([ToolCall("t", "Write", arguments), Finish(StopCause.TOOL_USE)])
    pieces = [call["function"]["arguments"] for call in calls_of(raw) if "id" not in call]
    assert "".join(pieces) == arguments
    assert {len(part) for part in pieces[:-1]} == {ARGUMENT_PIECE}
    assert check("chat", raw) == []


def calls_of(raw: bytes) -> list[Any]:
    choices = [choice for payload in chunks(raw) for choice in payload["choices"]]
    return [call for choice in choices for call in choice["delta"].get("tool_calls", ())]


def chunks(raw: bytes) -> list[Any]:
    lines = [line[6:] for line in raw.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def test_a_free_form_call_leaves_as_text() -> None:
    patch = ToolCall("t1", "patch", json.dumps({"input": "*** Begin\n"}))
    first = '"tool_calls":[{"index":0,"id":"t1","type":"custom","custom":{"name":"patch","input":""}}]'
    play(
        (patch, chunk(first) + chunk(r'"tool_calls":[{"index":0,"custom":{"input":"*** Begin\n"}}]')),
        (ToolCall("t2", "Bash", "{}"), called(1, "t2", "Bash") + argued(1, '"{}"')),
        (Finish(StopCause.TOOL_USE, None, FINAL), end("tool_calls")),
        checked=False,  # the SDK's type of a delta knows no free-form call, its API sends them all the same
        custom_tools=frozenset({"patch"}),
    )
    message = message_of(patch, custom_tools=frozenset({"patch"}))
    assert message["tool_calls"] == [
        {"id": "t1", "type": "custom", "custom": {"name": "patch", "input": "*** Begin\n"}}
    ]


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("", ""),
        ("{}", ""),
        ('{"input": "a"}', "a"),
        ('{"input": 5}', '{"input": 5}'),
        ('{"diff": "a"}', '{"diff": "a"}'),
    ],
)
def test_a_free_form_call_in_another_wrapping_is_given_as_it_was_generated(arguments: str, given: str) -> None:
    message = message_of(ToolCall("t", "patch", arguments), custom_tools=frozenset({"patch"}))
    assert message["tool_calls"][0]["custom"]["input"] == given


def test_the_older_form_holds_the_first_call_only() -> None:
    first, second = ToolCall("t1", "look", '{"a": 1}'), ToolCall("t2", "look", '{"a": 2}')
    play(
        (
            first,
            chunk('"function_call":{"name":"look","arguments":""}')
            + chunk(r'"function_call":{"arguments":"{\"a\": 1}"}'),
        ),
        (second, ""),
        (Finish(StopCause.TOOL_USE, None, FINAL), end("function_call")),
        legacy_functions=True,
    )
    said = body_of(first, second, Finish(StopCause.TOOL_USE, None, FINAL), legacy_functions=True)
    (choice,) = said["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "look", "arguments": '{"a": 1}'}
    assert "tool_calls" not in choice["message"]
    assert check_json("chat", said) == []


@pytest.mark.parametrize("arguments", ['{"a": 1', "[]", "null", "no json"])
def test_a_call_whose_arguments_are_no_object_never_leaves(arguments: str) -> None:
    play(
        (TextDelta("a"), chunk('"content":"a"')),
        (ToolCall("t", "Write", arguments), ""),
        (Finish(StopCause.TOOL_USE, None, FINAL), end("length")),
    )


@pytest.mark.parametrize(
    ("cause", "called", "reason"),
    [
        (StopCause.END_TURN, False, "stop"),
        (StopCause.END_TURN, True, "tool_calls"),
        (StopCause.TOOL_USE, True, "tool_calls"),
        (StopCause.TOOL_USE, False, "stop"),
        (StopCause.STOP_SEQUENCE, False, "stop"),
        (StopCause.MAX_TOKENS, False, "length"),
        (StopCause.MAX_TOKENS, True, "length"),
        (StopCause.CONTEXT_FULL, False, "length"),
        (StopCause.REFUSAL, False, "content_filter"),
    ],
)
def test_the_finish_reason_agrees_with_the_calls(cause: StopCause, called: bool, reason: str) -> None:
    said = body_of(TextDelta("a"), *([ToolCall("t", "Now", "{}")] if called else []), Finish(cause, "x"))
    assert said["choices"][0]["finish_reason"] == reason


def test_the_exact_bytes_of_a_body() -> None:
    body = ChatBody("claude", "chatcmpl-1", 1_700_000_000)
    body.add([ThinkingDelta("Hm"), ThinkingDelta("."), ThinkingSignature("s"), KeepAlive(), TextDelta("I ")])
    body.add([TextDelta("look"), Citation("https://a", "A", "…", 0, 6)])
    body.add([ToolCall("t", "Bash", '{"n": 12345678901234567890123}'), Finish(StopCause.TOOL_USE, None, FINAL)])
    assert body.body().decode() == (
        '{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"claude","choices":[{"index":0,'
        '"message":{"role":"assistant","content":"I look","refusal":null,"reasoning_content":"Hm.","annotations":['
        '{"type":"url_citation","url_citation":{"start_index":0,"end_index":6,"title":"A","url":"https://a"}}],'
        '"tool_calls":[{"id":"t","type":"function","function":{"name":"Bash",'
        r'"arguments":"{\"n\": 12345678901234567890123}"}}]},'
        '"logprobs":null,"finish_reason":"tool_calls"}],' + COUNTS + "}"
    )


@pytest.mark.parametrize(("kind", "member"), [(TextDelta, "content"), (ThinkingDelta, "reasoning_content")])
def test_half_a_surrogate_pair_becomes_the_replacement_character(kind: Any, member: str) -> None:
    halves = [kind("a\ud83d"), kind("\ude00b")]
    assert message_of(*halves)[member] == "a\ufffd\ufffdb"
    raw = stream_of().encode(halves).decode()
    assert chunk(f'"{member}":"a\ufffd"') + chunk(f'"{member}":"\ufffdb"') in raw


def test_content_is_null_only_beside_calls() -> None:
    assert message_of(ToolCall("t", "Now", "{}"))["content"] is None
    assert message_of(ThinkingDelta("Hm"))["content"] == ""
    assert message_of()["content"] == ""


def test_a_failed_answer_has_no_body() -> None:
    body = ChatBody("claude", "chatcmpl-1", 0)
    body.add([TextDelta("a"), Failed(RateLimited("Slow down."))])
    with pytest.raises(RateLimited, match="Slow down"):
        body.body()
    with pytest.raises(UpstreamFailed, match="before it was complete"):
        ChatBody("claude", "chatcmpl-1", 0).body()


# The validator with the SDK's own models must be at work, or the properties below would show less than they say.
assert SDK["chat"]
assert CH


def played(
    run: list[list[Event]], *, usage: bool, start_before: int = 0, legacy: bool = False
) -> tuple[ChatStream, bytes]:
    """Plays the batches; `start` is called before the one of that number, or not at all if there is none."""
    stream = stream_of(usage, legacy_functions=legacy)
    raw = b""
    for number, batch in enumerate(run):
        if number == start_before:
            raw += stream.start(Usage())
        raw += stream.encode(batch)
    if not stream.finished:
        raw += stream.failure(UpstreamFailed("The upstream went away."))
    return stream, raw


@settings(max_examples=200)
@given(batches, st.integers(0, 6), st.booleans(), st.booleans())
def test_no_sequence_of_events_makes_an_illegal_stream(
    run: list[list[Event]], start_before: int, usage: bool, legacy: bool
) -> None:
    stream, raw = played(run, usage=usage, start_before=start_before, legacy=legacy)
    assert stream.finished
    failed = raw.count(b'data: {"error":')
    assert check("chat", raw, terminal_error=True, usage=None if failed else usage) == [], raw.decode()
    assert failed + raw.count(b"data: [DONE]\n\n") == 1
    assert raw.rstrip(b"\n").rpartition(b"\n")[2].startswith((b"data: [DONE]", b'data: {"error":'))


@settings(max_examples=150)
@given(cut(long_lists(content_events, 16)), finishes, st.booleans())
def test_the_sdk_makes_of_the_stream_what_the_body_says(run: list[list[Event]], finish: Finish, legacy: bool) -> None:
    run = [*run, [finish]]
    body = ChatBody("claude", "chatcmpl-1", 1_700_000_000, legacy_functions=legacy)
    for batch in run:
        body.add(batch)
    said = json.loads(body.body())
    if finish.cause is not StopCause.REFUSAL:  # a refusal after a call is told as such, which the validator dislikes
        assert check_json("chat", said) == []
    assert accumulated(played(run, usage=True, legacy=legacy)[1]) == said


def accumulated(raw: bytes) -> Any:
    state: Any = ChatCompletionStreamState()
    for payload in chunks(raw):
        state.handle_chunk(ChatCompletionChunk.model_validate(payload))
    completion = orjson.loads(state.current_completion_snapshot.to_json())
    completion["object"] = "chat.completion"
    completion.pop("system_fingerprint", None)
    for choice in completion["choices"]:
        message = choice["message"] = {
            key: value for key, value in choice["message"].items() if value is not None or key in ("content", "refusal")
        }
        for call in message.get("tool_calls") or []:
            call.pop("index")
            call["function"].pop("parsed_arguments", None)
        if message.get("content") == "" and (message.get("tool_calls") or message.get("function_call")):
            message["content"] = None  # a stream begins every answer with "", a body can tell
    return completion


@given(st.lists(st.text(min_size=1).map(TextDelta), min_size=1))
def test_every_delta_is_a_chunk_of_its_own_however_it_is_batched(deltas: list[TextDelta]) -> None:
    together, apart = stream_of(), stream_of()
    raw = together.encode(deltas)
    assert raw == b"".join(apart.encode([delta]) for delta in deltas)
    texts = [payload["choices"][0]["delta"]["content"] for payload in chunks(raw)]
    assert texts == ["", *(delta.text for delta in deltas)]
