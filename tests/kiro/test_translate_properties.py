"""What holds for every sequence of Kiro's events, whole or broken."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from kiro.translating import TAIL, call, run, texts, translator

from kirotrio.conversation.events import (
    Event,
    Failed,
    Finish,
    TextDelta,
    ThinkingDelta,
    ThinkingSignature,
    ToolCall,
)
from kirotrio.kiro.events import (
    AssistantText,
    BrokenPayload,
    ContextUsage,
    InitialResponse,
    InvalidState,
    KiroEvent,
    Metadata,
    Reasoning,
    StreamException,
    ToolUseFragment,
)

kiro_events: st.SearchStrategy[KiroEvent] = st.one_of(
    st.builds(
        AssistantText,
        st.text(max_size=6)
        | st.sampled_from(["<thinking>", "</thinking>", "<think", "ing>", "</", "`", "\n", "\n\n", " ", "ha"]),
    ),
    st.builds(
        ToolUseFragment,
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([None, "ls", "ls", "ls"]),
        st.sampled_from([None, "", "{", "}", '{"p":1}', '"p":', {"p": 2}]),
        st.booleans(),
    ),
    st.builds(Reasoning, st.sampled_from([None, "hm"]), st.sampled_from([None, "s"]), st.sampled_from([None, "r"])),
    st.sampled_from(
        [
            *TAIL,
            ContextUsage(100.0),
            Metadata("CONTENT_FILTERED"),
            InitialResponse("r"),
            BrokenPayload("toolUseEvent"),
            BrokenPayload("meteringEvent"),
        ]
    ),
)
enders: list[KiroEvent] = [
    BrokenPayload("assistantResponseEvent"),
    StreamException("ThrottlingException", "slow"),
    StreamException("ContentLengthExceededException", ""),
    InvalidState("r", "m"),
]
answers = st.builds(
    lambda body, ender, rest: body + ender + rest,
    st.lists(kiro_events, max_size=14),
    st.lists(st.sampled_from(enders), max_size=1),
    st.lists(kiro_events, max_size=3),
)


def comparable(events: list[Event]) -> list[object]:
    return [(type(event.error), event.error.message) if isinstance(event, Failed) else event for event in events]


@settings(max_examples=100, deadline=None)
@given(answers, st.booleans(), st.lists(st.integers(0, 20), max_size=5))
def test_batches_do_not_matter(events: list[KiroEvent], tags: bool, borders: list[int]) -> None:
    answer = translator(tags=tags)
    got: list[Event] = []
    at = 0
    for border in sorted(borders):
        got += answer.feed(events[at:border])
        at = max(at, border)
    got += answer.feed(events[at:])
    got += answer.end()
    assert comparable(got) == comparable(run(events, tags=tags))


@settings(max_examples=100, deadline=None)
@given(answers, st.booleans())
def test_every_answer_has_one_end_and_nothing_follows_it(events: list[KiroEvent], tags: bool) -> None:
    answer = translator(tags=tags)
    got = answer.feed(events) + answer.end()
    assert [type(event) for event in got if isinstance(event, Finish | Failed)] == [type(got[-1])]
    assert answer.feed(events) == answer.end() == []


@settings(max_examples=100, deadline=None)
@given(answers, st.booleans())
def test_every_call_that_leaves_has_an_object_for_arguments_and_its_own_id(events: list[KiroEvent], tags: bool) -> None:
    calls = [event for event in run(events, tags=tags) if isinstance(event, ToolCall)]
    assert all(isinstance(json.loads(each.arguments), dict) for each in calls)
    assert len({each.id for each in calls}) == len(calls)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=5) | st.sampled_from(["ha", "\n", "<thinking>"]), max_size=12), st.integers(0, 12))
def test_no_text_is_lost_doubled_or_joined(pieces: list[str], place: int) -> None:
    events = [*texts(*pieces[:place]), *call(), *texts(*pieces[place:]), *TAIL]
    assert [event.text for event in run(events) if isinstance(event, TextDelta)] == [piece for piece in pieces if piece]


@settings(max_examples=100, deadline=None)
@given(answers)
def test_a_tag_block_is_signed_before_anything_else_follows_it(events: list[KiroEvent]) -> None:
    got = run([event for event in events if not isinstance(event, Reasoning)], tags=True)
    open_block = False
    for event in got:
        if isinstance(event, ThinkingDelta):
            open_block = True
        elif isinstance(event, ThinkingSignature):
            assert open_block, "a signature of ours closes a block of ours"
            open_block = False
        elif isinstance(event, TextDelta | ToolCall | Finish):
            assert not open_block, got
