"""A run of deltas is its deltas: through limits, ledger, fence and visibility, and in the bytes of every dialect."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation.citations import CitationFinder
from kirotrio.conversation.demands import Answered
from kirotrio.conversation.events import (
    Batch,
    Citation,
    ContextMeasured,
    Event,
    Finish,
    KeepAlive,
    RedactedThinkingBlock,
    StopCause,
    TextDelta,
    TextDeltas,
    ThinkingDelta,
    ThinkingDeltas,
    ThinkingSignature,
    ToolCall,
    Usage,
    singly,
)
from kirotrio.conversation.fence import FenceStripper
from kirotrio.conversation.limits import OutputLimits
from kirotrio.conversation.transcript import Transcript
from kirotrio.conversation.usage import UsageLedger
from kirotrio.conversation.visibility import ThinkingVisibility
from kirotrio.dialects.anthropic.encode import MessageBody, MessageStream
from kirotrio.dialects.openai_chat.encode import ChatBody, ChatStream
from kirotrio.dialects.openai_responses.echo import ResponseEcho
from kirotrio.dialects.openai_responses.encode import ResponseBody, ResponseStream
from kirotrio.relay.spools import _size

pieces = (
    st.text(min_size=1, max_size=5)
    | st.sampled_from(["STOP", "ST", "OP", "```", "json\n", "\n", '"', '",', ",", '","', "\\", "],\n  [", "\u2028"])
    | st.sampled_from(["\ud83d", "\ude00", "a" * 300, "é" * 100, "\x00", "\ufeff"])
)
others = st.sampled_from(
    [
        ThinkingDelta(""),
        ThinkingSignature("sig"),
        RedactedThinkingBlock("data"),
        ToolCall("t", "Bash", '{"a":1}'),
        ToolCall("t", "Bash", "{"),
        Citation("https://example.com", "title", "cited", 0, 3),
        ContextMeasured(7),
        KeepAlive(),
    ]
)
answers = st.lists(pieces.map(TextDelta) | pieces.map(TextDelta) | pieces.map(ThinkingDelta) | others, max_size=30)
ENDS: list[Event] = [Finish(StopCause.END_TURN, None, Usage(3, 4))]


def in_runs(batch: Batch) -> Batch:
    """The same events, deltas that follow one another as one run."""
    out: Batch = []
    for kind, group in groupby(batch, type):
        events = list(group)
        texts = [event.text for event in events if isinstance(event, TextDelta | ThinkingDelta)]
        if kind is TextDelta:
            out.append(TextDeltas(texts))
        elif kind is ThinkingDelta and all(texts):
            out.append(ThinkingDeltas(texts))
        else:
            out += events
    return out


class Stage(Protocol):
    def feed(self, batch: Batch, /) -> Batch: ...


STAGES: dict[str, Callable[[], Stage]] = {
    "no limit": lambda: OutputLimits((), None, len),
    "stop": lambda: OutputLimits(("STOP", '","'), None, len),
    "max_tokens": lambda: OutputLimits((), 300, lambda text: -(-len(text) // 3)),
    "few tokens": lambda: OutputLimits((), 5, len),
    "both": lambda: OutputLimits(("STOP",), 400, lambda text: -(-len(text) // 2)),
    "ledger": lambda: UsageLedger(5, count_output=len),
    "fence": FenceStripper,
    "shown": ThinkingVisibility,
    "signature alone": lambda: ThinkingVisibility(text=False),
    "hidden": lambda: ThinkingVisibility(shown=False),
    "citations": CitationFinder,
}


@pytest.mark.parametrize("stage", STAGES)
@given(st.lists(answers, max_size=4))
def test_a_stage_makes_of_a_run_what_it_makes_of_its_deltas(stage: str, batches: list[Batch]) -> None:
    one, other = STAGES[stage](), STAGES[stage]()
    whole, apart = [*map(in_runs, batches), ENDS], [*batches, ENDS]
    joined = [event for batch in whole for event in singly(one.feed(batch))]
    single = [event for batch in apart for event in singly(other.feed(batch))]
    if stage == "signature alone":
        # One empty delta opens the block as well as many do.
        joined, single = ([event for event, _ in groupby(events)] for events in (joined, single))
    assert joined == single


ECHO = ResponseEcho({"model": "m", "tools": [], "instructions": None, "temperature": 1.0})
STREAMS: dict[str, Callable[[], MessageStream | ChatStream | ResponseStream]] = {
    "anthropic": lambda: MessageStream("m", "msg_1"),
    "chat": lambda: ChatStream("m", "c1", 1, True),
    "responses": lambda: ResponseStream(ECHO, "resp_1", 1, clock=lambda: 1),
}
BODIES: dict[str, Callable[[], MessageBody | ChatBody | ResponseBody]] = {
    "anthropic": lambda: MessageBody("m", "msg_1"),
    "chat": lambda: ChatBody("m", "c1", 1),
    "responses": lambda: ResponseBody(ECHO, "resp_1", 1, clock=lambda: 1),
}


@pytest.mark.parametrize("dialect", STREAMS)
@given(answers)
def test_the_stream_of_a_run_is_byte_for_byte_that_of_its_deltas(dialect: str, answer: Batch) -> None:
    whole, apart = STREAMS[dialect](), STREAMS[dialect]()
    events = [*answer, *ENDS]
    assert whole.encode(in_runs(events)) == b"".join([apart.encode([event]) for event in events])


@pytest.mark.parametrize("dialect", BODIES)
@given(answers)
def test_the_body_of_a_run_is_byte_for_byte_that_of_its_deltas(dialect: str, answer: Batch) -> None:
    whole, apart = BODIES[dialect](), BODIES[dialect]()
    whole.add(in_runs([*answer, *ENDS]))
    apart.add([*answer, *ENDS])
    assert whole.body() == apart.body()


@given(answers)
def test_whoever_collects_an_answer_collects_the_same(answer: Batch) -> None:
    runs = in_runs(answer)
    assert list(singly(runs)) == answer
    assert _size(runs) == _size(answer)
    one, other = Transcript(), Transcript()
    one.feed(runs)
    other.feed(answer)
    assert one.turn() == other.turn()
    said, single = Answered(), Answered()
    said.feed(runs)
    single.feed(answer)
    assert said == single
