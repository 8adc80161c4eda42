"""Transcripts: Kiro's events on one side, generation events on the other."""

from __future__ import annotations

import pytest
from kiro.translating import MEASURED, TAG, TAIL, call, end_of, failure, finish, run, texts, translator

from kirotrio.conversation.events import (
    ContextMeasured,
    CreditsMetered,
    Failed,
    Finish,
    RedactedThinkingBlock,
    StopCause,
    TextDelta,
    ThinkingDelta,
    ThinkingSignature,
    TokensMeasured,
    ToolCall,
)
from kirotrio.errors import Cause, EmptyAnswer, Recovery, UpstreamFailed
from kirotrio.kiro.events import (
    AssistantText,
    BrokenPayload,
    Citation,
    Code,
    CodeReferences,
    ContextUsage,
    InitialResponse,
    InvalidState,
    KiroEvent,
    MessageMetadata,
    Metadata,
    Metering,
    ModelUnavailable,
    Reasoning,
    StreamException,
    TokenUsage,
    ToolUseFragment,
)

# Text


def test_every_text_event_is_one_delta_and_repeated_ones_stay() -> None:
    assert run([*texts("ha", "ha", "", "\n", "\n"), *TAIL]) == [
        TextDelta("ha"),
        TextDelta("ha"),
        TextDelta("\n"),
        TextDelta("\n"),
        *end_of(StopCause.END_TURN),
    ]


@pytest.mark.parametrize(
    "prose",
    [
        '[Called ls with args: {"p":1}]',
        '<function_calls><invoke name="ls">',
        "<｜DSML｜function_calls>",
        "<thinking>x</thinking>",
    ],
)
def test_prose_that_looks_like_something_else_stays_prose(prose: str) -> None:
    assert run([*texts(prose), *TAIL]) == [TextDelta(prose), *end_of(StopCause.END_TURN)]


# Thinking in tags


def test_a_tag_block_is_signed_before_the_text_behind_it() -> None:
    assert run([*texts("<thin", "king>", "\nhm", "m</think", "ing>\n\nyes", "!"), *TAIL], tags=True) == [
        ThinkingDelta(""),
        ThinkingDelta("hm"),
        ThinkingDelta("m"),
        TAG,
        TextDelta("yes"),
        TextDelta("!"),
        *end_of(StopCause.END_TURN),
    ]


def test_a_closed_tag_block_is_signed_before_a_tool_call() -> None:
    assert run([*texts("<thinking>hm</thinking>"), *call(), *TAIL], tags=True) == [
        ThinkingDelta("hm"),
        TAG,
        ToolCall("t", "ls", '{"p":1}'),
        *end_of(StopCause.TOOL_USE),
    ]


def test_a_quote_behind_a_tool_call_does_not_reopen_the_block_before_it() -> None:
    assert run([*texts("<thinking>hm</thinking>"), *call(), *texts('"yes"'), *TAIL], tags=True) == [
        ThinkingDelta("hm"),
        TAG,
        ToolCall("t", "ls", '{"p":1}'),
        TextDelta('"yes"'),
        *end_of(StopCause.TOOL_USE),
    ]


def test_an_unclosed_tag_block_is_signed_before_a_tool_call_and_goes_on_as_a_second_one() -> None:
    answer = translator(tags=True)
    assert answer.feed([*texts("<thinking>hm"), *call(), *texts("mm</thinking>\n\nyes"), *TAIL]) + answer.end() == [
        ThinkingDelta("hm"),
        TAG,
        ToolCall("t", "ls", '{"p":1}'),
        ThinkingDelta("mm"),
        TAG,
        TextDelta("yes"),
        *end_of(StopCause.TOOL_USE),
    ]
    assert answer.notes == []


def test_text_that_the_parser_holds_leaves_before_the_tool_call() -> None:
    assert run([*texts("<thin"), *call(), *texts("king>hm"), *TAIL], tags=True) == [
        TextDelta("<thin"),
        ToolCall("t", "ls", '{"p":1}'),
        TextDelta("king>hm"),
        *end_of(StopCause.TOOL_USE),
    ]


def test_after_blanks_and_a_tool_call_the_first_text_may_still_be_the_tag() -> None:
    assert run([*texts("\n"), *call("a"), *call("b"), *texts("<thinking>hm</thinking>yes"), *TAIL], tags=True) == [
        TextDelta("\n"),
        ToolCall("a", "ls", '{"p":1}'),
        ToolCall("b", "ls", '{"p":1}'),
        ThinkingDelta("hm"),
        TAG,
        TextDelta("yes"),
        *end_of(StopCause.TOOL_USE),
    ]


def test_after_text_and_a_tool_call_a_tag_is_text() -> None:
    assert run([*texts("I see."), *call(), *texts("<thinking>hm</thinking>"), *TAIL], tags=True) == [
        TextDelta("I see."),
        ToolCall("t", "ls", '{"p":1}'),
        TextDelta("<thinking>hm</thinking>"),
        *end_of(StopCause.TOOL_USE),
    ]


def test_a_block_that_is_never_closed_stays_thinking_and_is_noted() -> None:
    answer = translator(tags=True)
    assert answer.feed([*texts("<thinking>hm"), *TAIL]) == [ThinkingDelta("hm"), *MEASURED]
    assert answer.end() == [TAG, TextDelta(" "), Finish(StopCause.MAX_TOKENS)]
    assert answer.notes == ["a thinking block was never closed; it stays thinking to its end"]


def test_a_native_reasoning_event_turns_tag_parsing_off() -> None:
    assert run([*texts("<thi"), Reasoning("hm"), *texts("<thinking>x</thinking>"), *TAIL], tags=True) == [
        TextDelta("<thi"),
        ThinkingDelta("hm"),
        TextDelta("<thinking>x</thinking>"),
        *end_of(StopCause.END_TURN),
    ]
    answer = translator(tags=True)
    assert answer.feed([*texts("<thinking>a"), Reasoning("b"), *texts("c"), *TAIL]) + answer.end() == [
        ThinkingDelta("a"),
        TAG,
        ThinkingDelta("b"),
        TextDelta("c"),
        *end_of(StopCause.END_TURN),
    ]
    assert answer.notes == ["a thinking block was never closed; it stays thinking to its end"]


# Native thinking


def test_native_thinking_carries_the_upstreams_signature_wrapped() -> None:
    events: list[KiroEvent] = [Reasoning("h"), Reasoning("m"), Reasoning(signature="sig"), *texts("yes"), *TAIL]
    assert run(events) == [
        ThinkingDelta("h"),
        ThinkingDelta("m"),
        ThinkingSignature("kt1.m.h.sig"),
        TextDelta("yes"),
        *end_of(StopCause.END_TURN),
    ]


def test_native_thinking_without_a_signature_gets_none() -> None:
    assert run([Reasoning("hm"), Reasoning("", ""), *texts("yes"), *TAIL]) == [
        ThinkingDelta("hm"),
        TextDelta("yes"),
        *end_of(StopCause.END_TURN),
    ]


def test_signatures_may_stand_alone_and_reasoning_may_follow_tool_calls() -> None:
    assert run([Reasoning(signature="a"), *call(), Reasoning("...", "b"), Reasoning(redacted="cmVk"), *TAIL]) == [
        ThinkingSignature("kt1.m.h.a"),
        ToolCall("t", "ls", '{"p":1}'),
        ThinkingDelta("..."),
        ThinkingSignature("kt1.m.h.b"),
        RedactedThinkingBlock("kt1.m.h.cmVk"),
        *end_of(StopCause.TOOL_USE),
    ]


@pytest.mark.parametrize("event", [Reasoning("hm"), Reasoning(signature="s"), Reasoning(redacted="r")])
def test_thinking_alone_gets_one_blank_of_text_and_counts_as_cut_off(event: Reasoning) -> None:
    got = run([event, *TAIL])
    assert got[1:] == [*MEASURED, TextDelta(" "), Finish(StopCause.MAX_TOKENS)]


# Tool calls


def test_interleaved_calls_leave_in_order_of_completion_under_the_clients_names() -> None:
    first, second = call("a", "short"), call("b", "short")
    mixed = [first[0], second[0], first[1], second[1], second[2], second[3], first[2], first[3]]
    answer = translator(names={"short": "a name that the upstream does not take"})
    assert answer.feed([*texts("x"), *mixed, *TAIL]) + answer.end() == [
        TextDelta("x"),
        ToolCall("b", "a name that the upstream does not take", '{"p":1}'),
        ToolCall("a", "a name that the upstream does not take", '{"p":1}'),
        *end_of(StopCause.TOOL_USE),
    ]


@pytest.mark.parametrize("broken", [call(arguments='{"p":')[:3], call(arguments='{"p":'), call()[:3]])
def test_a_broken_call_never_leaves_and_the_answer_counts_as_cut_off(broken: list[KiroEvent]) -> None:
    answer = translator()
    assert answer.feed([*texts("x"), *call("good"), *broken, *TAIL]) + answer.end() == [
        TextDelta("x"),
        ToolCall("good", "ls", '{"p":1}'),
        *end_of(StopCause.MAX_TOKENS),
    ]
    assert answer.broken_tools == 1
    assert len(answer.notes) == 1


def test_nothing_but_a_broken_call_is_not_an_empty_answer() -> None:
    assert run([*call()[:2], *TAIL]) == end_of(StopCause.MAX_TOKENS)


@pytest.mark.parametrize("wrong", [ToolUseFragment("t", "ls"), ToolUseFragment("t", None, stop=True)])
def test_using_an_id_again_fails_the_answer(wrong: ToolUseFragment) -> None:
    answer = translator()
    got = answer.feed([*call(), wrong, *texts("never")])
    assert got[0] == ToolCall("t", "ls", '{"p":1}')
    assert isinstance(failure(got), UpstreamFailed)
    assert len(got) == 2
    assert answer.feed(TAIL) == answer.end() == []


def test_renaming_a_call_fails_the_answer() -> None:
    assert "renamed" in failure(run([ToolUseFragment("t", "ls"), ToolUseFragment("t", "rm"), *TAIL])).message


# Payloads that could not be read


@pytest.mark.parametrize("kind", ["assistantResponseEvent", "reasoningContentEvent", "reasoningEvent"])
def test_text_that_could_not_be_read_ends_the_answer_as_an_error(kind: str) -> None:
    answer = translator()
    got = answer.feed([*texts("be"), BrokenPayload(kind), *texts("end"), *TAIL])
    assert got[0] == TextDelta("be")
    assert failure(got).cause is Cause.UPSTREAM_FAILED
    assert failure(got).recovery is Recovery.RETRY
    assert len(got) == 2
    assert answer.end() == []


def test_tool_input_that_could_not_be_read_breaks_the_calls_that_are_open() -> None:
    answer = translator()
    pieces = call("open")
    got = answer.feed([*call("done"), *pieces[:2], BrokenPayload("toolUseEvent"), *pieces[2:], *call("later"), *TAIL])
    assert got + answer.end() == [
        ToolCall("done", "ls", '{"p":1}'),
        ToolCall("later", "ls", '{"p":1}'),
        *end_of(StopCause.MAX_TOKENS),
    ]
    assert answer.broken_tools == 1


def test_tool_input_of_no_open_call_that_could_not_be_read_is_one_broken_call() -> None:
    answer = translator()
    assert (
        finish(answer.feed([*texts("x"), BrokenPayload("toolUseEvent"), *TAIL]) + answer.end()) is StopCause.MAX_TOKENS
    )
    assert answer.broken_tools == 1


def test_other_payloads_that_could_not_be_read_are_noted_and_passed_over() -> None:
    answer = translator()
    got = answer.feed([*texts("x"), BrokenPayload("meteringEvent"), BrokenPayload("intentsEvent")]) + answer.end()
    assert got == [TextDelta("x"), Finish(StopCause.END_TURN)], "the tail was there, only illegible"
    assert answer.notes == [
        "a payload could not be read: meteringEvent",
        "a payload could not be read: intentsEvent",
    ]


def test_notes_are_bounded_and_each_stands_once() -> None:
    answer = translator()
    answer.feed([Citation("l", None, 1)] * 500 + [BrokenPayload(f"kind{number}") for number in range(500)])
    assert len(answer.notes) == len(set(answer.notes)) == 20


# Measurements and ids


def test_measurements_and_ids_are_read_off() -> None:
    answer = translator()
    usage = TokenUsage(100, 20, 150, cache_read=25, cache_write=5)
    got = answer.feed(
        [
            InitialResponse("r1"),
            MessageMetadata("c1"),
            *texts("x"),
            Metadata("END_TURN", usage, "r2", None),
            ContextUsage(3.4),
            Metering(0.0386, "credit"),
            Metering(7, "elephant"),
        ]
    )
    assert got == [TextDelta("x"), TokensMeasured(100, 20, 25, 5), ContextMeasured(6800), CreditsMetered(0.0386)]
    assert (answer.conversation_id, answer.request_id, answer.upstream_stop_reason) == ("c1", "r2", "END_TURN")
    assert answer.notes == ["the upstream metered in elephant, not in credits; passed over"]


def test_began_and_empty_tell_how_far_the_answer_came() -> None:
    answer = translator(tags=True)
    answer.feed([InitialResponse("r"), MessageMetadata("c")])
    assert (answer.began, answer.empty) == (False, True)
    answer.feed([AssistantText("")])
    assert (answer.began, answer.empty) == (True, True)
    answer.feed([AssistantText("x")])
    assert (answer.began, answer.empty) == (True, False)


@pytest.mark.parametrize(
    "event",
    [Reasoning("hm"), ToolUseFragment("t", "ls"), BrokenPayload("toolUseEvent"), BrokenPayload("reasoningEvent")],
)
def test_every_event_with_content_means_that_the_upstream_is_generating(event: KiroEvent) -> None:
    answer = translator()
    answer.feed([event])
    assert answer.began


# How an answer ends


@pytest.mark.parametrize(
    ("events", "cause"),
    [
        ([*texts("x"), *TAIL], StopCause.END_TURN),
        ([*texts("x"), Metering(0.1)], StopCause.END_TURN),
        ([*texts("x"), ContextUsage(5)], StopCause.END_TURN),
        ([*texts("x"), Metadata()], StopCause.END_TURN),
        ([*texts("x"), MessageMetadata("c")], StopCause.MAX_TOKENS),
        ([*texts("x")], StopCause.MAX_TOKENS),
        ([*call()], StopCause.MAX_TOKENS),
        ([*texts("x"), *call(), Metadata("END_TURN")], StopCause.TOOL_USE),
        ([*call(), Metadata("MAX_TOKENS")], StopCause.TOOL_USE),
        ([*texts("x"), Metadata("TOOL_USE")], StopCause.END_TURN),
        ([*texts("x"), Metadata("MAX_TOKENS")], StopCause.MAX_TOKENS),
        ([*texts("x"), Metadata("length")], StopCause.MAX_TOKENS),
        ([AssistantText("x", stop_reason="LENGTH"), ContextUsage(5)], StopCause.MAX_TOKENS),
        ([*texts("x"), ContextUsage(100)], StopCause.CONTEXT_FULL),
        ([*call(), ContextUsage(103.2)], StopCause.CONTEXT_FULL),
        ([*texts("x"), Metadata(token_usage=TokenUsage(1, 1, 2, context_percentage=100))], StopCause.CONTEXT_FULL),
        ([ContextUsage(100)], StopCause.CONTEXT_FULL),
        ([Metadata("CONTENT_FILTERED")], StopCause.REFUSAL),
        ([*texts("x"), Metadata("content_filtered")], StopCause.REFUSAL),
        ([*texts("x"), StreamException("ContentLengthExceededException", "")], StopCause.MAX_TOKENS),
        ([*call(), StreamException("ContentLengthExceededException", "")], StopCause.MAX_TOKENS),
        ([StreamException("ContentLengthExceededException", "")], StopCause.MAX_TOKENS),
    ],
)
def test_the_stop_cause_is_derived(events: list[KiroEvent], cause: StopCause) -> None:
    assert finish(run(events)) is cause


def test_an_exceeded_length_ends_the_answer_at_once_with_what_was_held() -> None:
    answer = translator(tags=True)
    got = answer.feed([*texts("<thinking>hm</thinking>"), StreamException("ContentLengthExceededException", ""), *TAIL])
    assert got == [ThinkingDelta("hm"), TAG, TextDelta(" "), Finish(StopCause.MAX_TOKENS)]
    assert answer.end() == []


@pytest.mark.parametrize("events", [[], [InitialResponse("r")], [AssistantText("")], TAIL, [Reasoning("")]])
def test_an_empty_answer_is_a_failure_that_may_be_tried_again(events: list[KiroEvent]) -> None:
    answer = translator()
    error = failure(answer.feed(events) + answer.end())
    assert isinstance(error, EmptyAnswer)
    assert error.recovery is Recovery.RETRY
    assert answer.empty


@pytest.mark.parametrize("before", [[], texts("x")])
def test_an_exception_in_the_stream_fails_the_answer_by_its_meaning(before: list[KiroEvent]) -> None:
    got = run([*before, StreamException("ThrottlingException", "slow", "INSUFFICIENT_MODEL_CAPACITY"), *TAIL])
    assert failure(got).cause is Cause.UPSTREAM_OVERLOADED
    assert failure(got).upstream_reason == "INSUFFICIENT_MODEL_CAPACITY"
    assert len(got) == len(before) + 1


def test_a_failure_gives_out_nothing_that_was_only_held() -> None:
    got = run([*texts("\n<thi"), StreamException("InternalServerException", "")], tags=True)
    assert [type(event) for event in got] == [Failed]


def test_an_invalid_state_fails_the_answer() -> None:
    error = failure(run([*texts("x"), InvalidState("INVALID_TASK_ASSIST_PLAN", "no plan"), *TAIL]))
    assert isinstance(error, UpstreamFailed)
    assert error.upstream_reason == "INVALID_TASK_ASSIST_PLAN"
    assert "no plan" in error.message


def test_an_unavailable_model_fails_an_empty_answer_and_no_other() -> None:
    notice = ModelUnavailable("busy", "auto")
    error = failure(run([notice, *TAIL]))
    assert error.cause is Cause.UPSTREAM_OVERLOADED
    assert "auto" in error.message
    assert run([notice, *texts("x"), *TAIL]) == [TextDelta("x"), *end_of(StopCause.END_TURN)]


# What is noted and remembered


@pytest.mark.parametrize(
    ("event", "part"),
    [
        (ModelUnavailable("busy"), "not available for now: busy"),
        (Citation("https://a.example", "a", 0), "Citation events"),
        (Code("x"), "Code events"),
        (BrokenPayload("metadataEvent"), "could not be read: metadataEvent"),
    ],
    ids=["model unavailable", "citation", "code", "broken payload"],
)
def test_what_the_client_is_not_shown_is_noted_once(event: KiroEvent, part: str) -> None:
    answer = translator()
    answer.feed([*texts("x"), event, event, *TAIL])
    assert isinstance(answer.end()[-1], Finish)
    (note,) = answer.notes
    assert part in note


def test_events_that_only_accompany_an_answer_are_not_worth_a_note() -> None:
    answer = translator()
    answer.feed([InitialResponse("r", "c"), CodeReferences(()), *texts("x"), *TAIL])
    answer.end()
    assert answer.notes == []


@pytest.mark.parametrize("kind", ["metadataEvent", "contextUsageEvent", "meteringEvent"])
def test_a_tail_that_cannot_be_read_is_a_tail_all_the_same(kind: str) -> None:
    assert run([*texts("x"), BrokenPayload(kind)])[-1] == Finish(StopCause.END_TURN)


@pytest.mark.parametrize("kind", ["initial-response", "codeEvent"])
def test_another_event_that_cannot_be_read_is_no_tail(kind: str) -> None:
    answer = translator()
    answer.feed([*texts("x"), BrokenPayload(kind)])
    assert answer.end()[-1] == Finish(StopCause.MAX_TOKENS)
    assert "without the upstream's usual tail" in answer.notes[-1]


def test_a_conversation_id_beside_text_is_remembered() -> None:
    answer = translator()
    answer.feed([AssistantText("x", conversation_id="c-1")])
    assert answer.conversation_id == "c-1"
