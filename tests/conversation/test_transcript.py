"""What an answer said, as a turn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation.events import (
    CreditsMetered,
    Event,
    Finish,
    KeepAlive,
    RedactedThinkingBlock,
    StopCause,
    TextDelta,
    ThinkingDelta,
    ThinkingSignature,
    ToolCall,
)
from kirotrio.conversation.request import RedactedThinking, Text, Thinking, ToolUse, Turn
from kirotrio.conversation.transcript import Transcript


def turn_of(*events: Event) -> Turn:
    transcript = Transcript()
    transcript.feed(events)
    return transcript.turn()


def test_parts_stand_in_order_of_arrival() -> None:
    said = turn_of(
        ThinkingDelta("so "),
        ThinkingDelta("so"),
        ThinkingSignature("signed"),
        RedactedThinkingBlock("sealed"),
        TextDelta("one "),
        KeepAlive(),
        TextDelta("two"),
        ToolCall("id", "run", '{"a": 1}'),
        TextDelta("three"),
        CreditsMetered(1.0),
        Finish(StopCause.TOOL_USE),
    )
    assert said == Turn(
        "assistant",
        (
            Thinking("so so", "signed"),
            RedactedThinking("sealed"),
            Text("one two"),
            ToolUse("id", "run", {"a": 1}),
            Text("three"),
        ),
    )


def test_a_signature_alone_is_a_block() -> None:
    assert turn_of(ThinkingSignature("signed")).parts == (Thinking("", "signed"),)


def test_thinking_that_was_never_signed_is_kept_unsigned() -> None:
    assert turn_of(ThinkingDelta("so"), TextDelta("x")).parts == (Thinking("so"), Text("x"))
    assert turn_of(ThinkingDelta("so")).parts == (Thinking("so"),)


def test_two_blocks_of_thinking_stay_two() -> None:
    said = turn_of(ThinkingDelta("a"), ThinkingSignature("1"), ThinkingDelta("b"), ThinkingSignature("2"))
    assert said.parts == (Thinking("a", "1"), Thinking("b", "2"))


def test_a_call_without_arguments_has_an_empty_object() -> None:
    assert turn_of(ToolCall("id", "run", "")).parts == (ToolUse("id", "run", {}),)


def test_an_answer_that_said_nothing_has_no_parts() -> None:
    assert turn_of(TextDelta(""), Finish(StopCause.END_TURN)).parts == ()


content: st.SearchStrategy[Event] = st.one_of(
    st.text(max_size=4).map(TextDelta),
    st.text(max_size=4).map(ThinkingDelta),
    st.text(max_size=4).map(ThinkingSignature),
    st.builds(ToolCall, st.text(max_size=3), st.text(max_size=3), st.sampled_from(["{}", '{"a":1}', "[]", "no"])),
    st.just(KeepAlive()),
)


@given(st.lists(content, max_size=12), st.data())
def test_batches_make_no_difference_and_no_word_is_lost(events: list[Event], data: st.DataObject) -> None:
    whole = turn_of(*events)
    batched, rest = Transcript(), list(events)
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        batched.feed(rest[:size])
        rest = rest[size:]
    assert batched.turn() == whole
    texts = "".join(part.text for part in whole.parts if isinstance(part, Text))
    assert texts == "".join(event.text for event in events if isinstance(event, TextDelta))
    thoughts = "".join(part.text for part in whole.parts if isinstance(part, Thinking))
    assert thoughts == "".join(event.text for event in events if isinstance(event, ThinkingDelta))
    assert sum(isinstance(part, ToolUse) for part in whole.parts) == sum(isinstance(e, ToolCall) for e in events)
