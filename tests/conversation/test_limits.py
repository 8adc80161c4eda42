"""Stop sequences and max_tokens against a reference that sees the whole text, and rule by rule."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kirotrio.conversation.events import (
    ContextMeasured,
    CreditsMetered,
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
from kirotrio.conversation.limits import OutputLimits
from kirotrio.errors import UpstreamFailed

FINISH = Finish(StopCause.END_TURN, usage=Usage(output_tokens=7))
CALL = ToolCall("t1", "Bash", '{"command":"echo STOP"}')


def words(text: str) -> int:
    return len(text.split())


def quarters(text: str) -> int:
    return -(-len(text) // 4)


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def run(
    pieces: list[str], stops: tuple[str, ...] = (), max_tokens: int | None = None, count: Callable[[str], int] = len
) -> tuple[str, StopCause, str | None]:
    """Text, cause and stop sequence of an answer that comes in these pieces, one batch each."""
    limits = OutputLimits(stops, max_tokens, count)
    events = [event for piece in pieces for event in limits.feed([TextDelta(piece)])]
    events += limits.feed([FINISH])
    finish = events[-1]
    assert isinstance(finish, Finish)
    assert finish.usage == FINISH.usage
    assert limits.met is (None if finish.cause is StopCause.END_TURN else finish.cause)
    assert limits.stop_sequence == finish.stop_sequence
    if stops or max_tokens is not None:
        assert TextDelta("") not in events, "no empty delta leaves"
    return text_of(events), finish.cause, finish.stop_sequence


def reference(
    text: str, stops: tuple[str, ...], max_tokens: int | None, count: Callable[[str], int]
) -> tuple[str, StopCause, str | None]:
    cut: tuple[str, StopCause, str | None] = (text, StopCause.END_TURN, None)
    for end in range(len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            stop = max(complete, key=len)
            cut = (text[: end - len(stop)], StopCause.STOP_SEQUENCE, stop)
            break
    if max_tokens is None:
        return cut
    left, at = max_tokens * 6 // 5, 0
    while left > 0:
        length = max(4, min(left, 256))
        if at + length >= len(cut[0]):
            return cut
        left -= count(cut[0][at : at + length])
        at += length
    return (cut[0][:at], StopCause.MAX_TOKENS, None) if at < len(cut[0]) else cut


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[str], tuple[str, ...]]:
    """Pieces of a text over few letters, and stop sequences over the same, so that near misses abound."""
    letters = draw(st.sampled_from(["ab", "abc", "a\n"]))
    stops = tuple(draw(st.lists(st.text(letters, min_size=1, max_size=8), max_size=4)))
    shards = st.one_of(st.text(letters + "x ", max_size=6), *([st.sampled_from(stops)] if stops else []))
    text = "".join(draw(st.lists(shards, max_size=12)))
    if stops:
        trimmed = draw(st.booleans())
        text = text.replace(stops[0], stops[0][:-1]) if trimmed else text
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=10)))
    return [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])], stops


@given(answers(), st.none() | st.integers(0, 60), st.sampled_from([len, words, quarters]))
@settings(max_examples=500)
@example((["aab", "aaab"], ("aabaaab", "aaaab")), None, len)
@example((["aabaa", "abaaaxb"], ("aabaaax",)), None, len)
@example((["xab"], ("b", "ab", "abc")), None, len)
@example((["abab", "a", "b", "abc"], ("ababc",)), 100, words)
def test_no_cut_changes_text_or_cause(
    answer: tuple[list[str], tuple[str, ...]], max_tokens: int | None, count: Callable[[str], int]
) -> None:
    pieces, stops = answer
    text = "".join(pieces)
    expected = reference(text, stops, max_tokens, count)
    assert run(pieces, stops, max_tokens, count) == expected, f"{text!r} cut as {pieces!r}, stops {stops!r}"
    assert run(list(text), stops, max_tokens, count) == expected, f"{text!r} by character, stops {stops!r}"


def test_without_limits_the_very_same_list_comes_back() -> None:
    limits = OutputLimits((), None, len)
    events: list[Event] = [TextDelta("a"), CALL, FINISH]
    assert limits.feed(events) is events
    assert limits.end() == []
    assert limits.met is None


def test_the_text_from_the_stop_sequence_on_is_cut_and_the_sequence_reported() -> None:
    assert run(["one ST", "O", "P two"], ("STOP",)) == ("one ", StopCause.STOP_SEQUENCE, "STOP")
    assert run(["STOP"], ("STOP",)) == ("", StopCause.STOP_SEQUENCE, "STOP")


def test_nothing_is_cut_where_the_sequence_stays_unfinished() -> None:
    assert run(["one STO"], ("STOP",)) == ("one STO", StopCause.END_TURN, None)


def test_the_sequence_that_is_complete_first_counts() -> None:
    assert run(["xabcde"], ("abcde", "cd")) == ("xab", StopCause.STOP_SEQUENCE, "cd")
    assert run(["xabcde"], ("abc", "ab")) == ("x", StopCause.STOP_SEQUENCE, "ab")


def test_of_those_complete_together_none_is_shown_in_part() -> None:
    for stops in (("b", "ab"), ("ab", "b")):
        assert run(["x", "a", "b"], stops) == ("x", StopCause.STOP_SEQUENCE, "ab")


def test_only_what_may_become_a_stop_sequence_is_held_back() -> None:
    limits = OutputLimits(("aab", "\n\nHuman:"), None, len)
    assert limits.feed([TextDelta("xaa")]) == [TextDelta("x")]
    assert limits.feed([TextDelta("a")]) == [TextDelta("a")]
    assert limits.feed([TextDelta("c\n")]) == [TextDelta("aac")]
    assert limits.feed([TextDelta("\n")]) == []
    assert limits.feed([TextDelta("\n")]) == [TextDelta("\n")]
    assert limits.end() == [TextDelta("\n\n")]
    assert limits.end() == []


@pytest.mark.parametrize(
    "content",
    [CALL, ThinkingDelta("OP"), ThinkingSignature("OP"), RedactedThinkingBlock("OP")],
    ids=lambda c: type(c).__name__,
)
def test_other_content_releases_what_is_held_and_no_sequence_reaches_over_it(content: Event) -> None:
    limits = OutputLimits(("STOP",), 1000, len)
    assert limits.feed([TextDelta("xST"), content, TextDelta("OP, Sir"), FINISH]) == [
        TextDelta("x"),
        TextDelta("ST"),
        content,
        TextDelta("OP, Sir"),
        FINISH,
    ]


def test_stop_sequences_are_not_looked_for_in_thinking_or_tool_input() -> None:
    limits = OutputLimits(("STOP",), None, len)
    events: list[Event] = [ThinkingDelta("a STOP b"), ThinkingSignature("STOP"), CALL, FINISH]
    assert limits.feed(events) == events


@pytest.mark.parametrize(
    "passing",
    [ContextMeasured(9), TokensMeasured(1, 2), CreditsMetered(0.1), KeepAlive()],
    ids=lambda event: type(event).__name__,
)
def test_what_is_no_content_neither_waits_nor_parts_the_text(passing: Event) -> None:
    limits = OutputLimits(("STOP",), None, len)
    assert limits.feed([TextDelta("xST"), passing]) == [TextDelta("x"), passing]
    assert limits.feed([TextDelta("OP"), passing]) == [passing]
    assert limits.met is StopCause.STOP_SEQUENCE


@pytest.mark.parametrize(
    ("stops", "max_tokens", "cause", "stop"),
    [(("STOP",), None, StopCause.STOP_SEQUENCE, "STOP"), ((), 5, StopCause.MAX_TOKENS, None)],
)
def test_once_a_limit_is_met_only_measurements_and_the_end_pass(
    stops: tuple[str, ...], max_tokens: int | None, cause: StopCause, stop: str | None
) -> None:
    limits = OutputLimits(stops, max_tokens, len)
    assert limits.feed([TextDelta("before"), TextDelta("STOP"), TextDelta("b")]) == [TextDelta("before")]
    assert (limits.met, limits.stop_sequence) == (cause, stop)
    tail: list[Event] = [
        TextDelta("c"),
        ThinkingDelta("t"),
        ThinkingSignature("s"),
        RedactedThinkingBlock("r"),
        CALL,
        ContextMeasured(9),
        TokensMeasured(1, 2),
        CreditsMetered(0.1),
        KeepAlive(),
        Finish(StopCause.TOOL_USE, usage=FINISH.usage),
    ]
    assert limits.feed(tail) == [*tail[5:9], Finish(cause, stop, FINISH.usage)]
    assert limits.end() == []


def test_a_failure_behind_a_met_limit_takes_nothing_from_the_answer() -> None:
    limits = OutputLimits(("STOP",), None, len)
    assert limits.feed([TextDelta("aSTOP"), Failed(UpstreamFailed("cut"))]) == [
        TextDelta("a"),
        Finish(StopCause.STOP_SEQUENCE, "STOP"),
    ]


def test_a_failure_before_any_limit_stays_one() -> None:
    limits = OutputLimits(("STOP",), 100, len)
    failed = Failed(UpstreamFailed("cut"))
    assert limits.feed([TextDelta("aST"), failed]) == [TextDelta("a"), TextDelta("ST"), failed]


def test_text_is_cut_at_1_2_times_the_estimate() -> None:
    assert run(["x" * 1000], max_tokens=100) == ("x" * 120, StopCause.MAX_TOKENS, None)
    assert run(["x" * 120], max_tokens=100) == ("x" * 120, StopCause.END_TURN, None)
    assert run(["x" * 121], max_tokens=100) == ("x" * 120, StopCause.MAX_TOKENS, None)
    text, cause, _ = run(["wort " * 5000], max_tokens=1000, count=quarters)
    assert cause is StopCause.MAX_TOKENS
    assert 1190 <= quarters(text) <= 1210


def test_pieces_of_one_character_are_not_counted_as_a_token_each() -> None:
    assert run(["x"] * 400, max_tokens=100, count=quarters) == ("x" * 400, StopCause.END_TURN, None)


def test_thinking_and_tool_calls_are_neither_counted_nor_cut() -> None:
    limits = OutputLimits((), 10, len)
    events: list[Event] = [
        ThinkingDelta("t" * 500),
        TextDelta("x" * 12),
        ToolCall("t1", "Write", '{"text":"' + "y" * 500 + '"}'),
        ThinkingDelta("t" * 500),
        ToolCall("t2", "Write", "{}"),
        FINISH,
    ]
    assert limits.feed(events) == events
    assert limits.met is None


def test_the_count_runs_on_over_tool_calls() -> None:
    limits = OutputLimits((), 10, len)
    events = limits.feed([TextDelta("x" * 10), CALL, TextDelta("yyy"), CALL, FINISH])
    assert events == [
        TextDelta("x" * 10),
        CALL,
        TextDelta("yy"),
        Finish(StopCause.MAX_TOKENS, usage=FINISH.usage),
    ]


def test_what_is_held_for_a_stop_sequence_is_capped_when_it_is_released() -> None:
    limits = OutputLimits(("aaaaaaaab",), 5, len)
    assert limits.feed([TextDelta("a" * 8)]) == []
    assert limits.feed([CALL, FINISH]) == [TextDelta("a" * 6), Finish(StopCause.MAX_TOKENS, usage=FINISH.usage)]


def test_whichever_limit_comes_first_in_the_text_is_reported() -> None:
    assert run(["x" * 20 + "STOP"], ("STOP",), 5) == ("x" * 6, StopCause.MAX_TOKENS, None)
    assert run(["xxSTOP" + "x" * 20], ("STOP",), 5) == ("xx", StopCause.STOP_SEQUENCE, "STOP")


def test_counting_is_rare() -> None:
    lengths: list[int] = []

    def count(text: str) -> int:
        lengths.append(len(text))
        return quarters(text)

    run(["wort "] * 4000, max_tokens=8000, count=count)
    assert sum(lengths) <= 20_000, "every character is counted once"
    assert len(lengths) <= 20_000 / 256 + 40, "slices are long while the limit is far"


class Counted(str):
    """A text that counts the characters which were looked at in it."""

    looked = 0

    def __getitem__(self, key: Any) -> str:
        found = super().__getitem__(key)
        Counted.looked += len(found)
        return found

    def find(self, *args: Any) -> int:
        found = super().find(*args)
        Counted.looked += (found if found >= 0 else args[2]) - args[1] + 1
        return found


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("stop", ["a" * 2000 + "b", "ab" * 1000 + "c", "b" + "a" * 2000, "aab"])
def test_work_is_linear_in_the_text(stop: str, size: int) -> None:
    text = "a" * 8000 + "ab" * 4000
    Counted.looked = 0
    limits = OutputLimits((Counted(stop),), None, len)
    left = "".join(text_of(limits.feed([TextDelta(Counted(text[at : at + size]))])) for at in range(0, len(text), size))
    left += text_of(limits.feed([FINISH]))
    assert left == (text[: text.find(stop)] if stop in text else text)
    assert Counted.looked <= 8 * (len(text) + len(stop)), f"{Counted.looked} looks at {len(text)} characters"


@given(
    pieces=st.lists(st.text(max_size=40), max_size=60),
    max_tokens=st.integers(0, 14_000),
    times=st.integers(1, 40),
)
def test_nothing_is_counted_before_the_limit_is_told_to_be_near(pieces, max_tokens, times):
    told = True

    def count(text: str) -> int:
        assert told, "nobody could have made the counting ready"
        return len(text.encode())

    limits = OutputLimits((), max_tokens, count)
    for piece in pieces * times:
        told = limits.near
        limits.feed([TextDelta(piece)])
    assert not OutputLimits((), None, count).near
