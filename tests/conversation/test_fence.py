"""A fence around JSON against a reference that sees the whole text, and rule by rule."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kirotrio.conversation.events import (
    ContextMeasured,
    Event,
    Failed,
    Finish,
    KeepAlive,
    StopCause,
    TextDelta,
    ThinkingDelta,
    ToolCall,
)
from kirotrio.conversation.fence import FenceStripper
from kirotrio.errors import UpstreamFailed

FINISH = Finish(StopCause.END_TURN)
CALL = ToolCall("t1", "Bash", "{}")
BLANKS = " \t\r\n"

blanks = st.text(BLANKS, max_size=4) | st.text(BLANKS + "\u00a0\f", max_size=4)
ticks = st.integers(0, 5).map("`".__mul__)
fenced = st.builds(
    "{}{}{}{}{}{}{}".format,
    blanks,
    ticks,
    st.sampled_from(["json", "", " json ", "JSON5", "json x", "js`on", "a" * 70]),
    st.sampled_from(["\n", "\r\n", "\r", ""]),
    st.text("{}`\n\r a", max_size=8),
    ticks,
    blanks,
)
texts = st.one_of(fenced, st.text(BLANKS + "`{}a", max_size=20), st.text(max_size=10))


@st.composite
def splits(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A text, and the same text in pieces."""
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return text, [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def reference(text: str) -> str:
    """The text without its fence, seen as a whole."""
    said = text.lstrip(BLANKS)
    line, newline, body = said.partition("\n")
    info = line.removesuffix("\r").lstrip("`")
    count = len(line.removesuffix("\r")) - len(info)
    word = info.strip(" \t")
    opens = count >= 3 and newline and len(line) < 64 and all(c.isalnum() or c in "_+.-" for c in word)
    if not opens:
        return text
    end = body.rstrip(BLANKS)
    if not end.endswith("```"):
        return body
    end = end.rstrip("`").rstrip(" \t")
    return end.removesuffix("\n").removesuffix("\r") if end.endswith("\n") else end


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def run(pieces: list[str], end: Event = FINISH) -> tuple[str, bool]:
    """The text that leaves when it comes in these pieces, and whether a fence was seen."""
    stripper = FenceStripper()
    passed = [event for piece in pieces for event in stripper.feed([TextDelta(piece)])]
    passed += stripper.feed([end])
    assert passed[-1] is end, "the end comes last"
    return text_of(passed), stripper.removed


@given(splits())
@example(("```json\r\n{}\r\n```", ["```json\r", "\n{}\r", "\n```"]))
@example(("```\n```", ["```\n", "```"]))
@example((" " * 80 + "```json\n{}\n```", [" " * 80 + "``", "`json\n{}\n``", "`"]))
def test_any_split_of_any_text_gives_what_the_whole_text_gives(split: tuple[str, list[str]]) -> None:
    text, pieces = split
    left, removed = run(pieces)
    assert left == reference(text)
    assert removed or left == text, "without a fence every byte passes"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('```json\n{"a":1}\n```', '{"a":1}'),
        ('\n\n```\n{"a":1}\n```\n\n', '{"a":1}'),
        ('````JSON \r\n{"a":1}\r\n````', '{"a":1}'),
        ('```json\n{"a":1}```', '{"a":1}'),
        ('```json\n{"a":"```"}\n\n```', '{"a":"```"}\n'),
        ('```json\n{"a":1}', '{"a":1}'),
        ('{"a":1}\n```', '{"a":1}\n```'),
        ('Here:\n```json\n{"a":1}\n```', 'Here:\n```json\n{"a":1}\n```'),
        ('``json\n{"a":1}\n``', '``json\n{"a":1}\n``'),
        ('```not one word\n{"a":1}\n```', '```not one word\n{"a":1}\n```'),
        ("```" + "a" * 61 + "\n{}\n```", "```" + "a" * 61 + "\n{}\n```"),
        ("```" + "a" * 60 + "\n{}\n```", "{}"),
        ("```json\n{}\n``", "{}\n``"),
        # Blanks for JSON are four signs; anything else is the answer's own, and stands ahead of the fence.
        *((text := f"{sign}```json\n{{}}\n```", text) for sign in "\u00a0\f\v\x1c\u2028\ufeff"),
        ("```json\n{}\n```\nI hope this helps.", "{}\n```\nI hope this helps."),
    ],
)
def test_a_fence_is(text: str, left: str) -> None:
    assert run([text])[0] == run(list(text))[0] == left


def test_json_leaves_at_once() -> None:
    stripper = FenceStripper()
    assert text_of(stripper.feed([TextDelta("```json\n{")])) == "{"
    assert text_of(stripper.feed([TextDelta('"a":')])) == '"a":', "only what may be the fence's end is held back"
    plain = FenceStripper()
    plain.feed([TextDelta("{")])
    batch: list[Event] = [TextDelta("}\n```"), FINISH]
    assert plain.feed(batch) is batch, "an answer that does not begin with a fence costs nothing"


@pytest.mark.parametrize("other", [CALL, ThinkingDelta("hm")])
@pytest.mark.parametrize("begun", ["``", "\n ", "```js", "```json\n{}\n"])
def test_what_was_held_back_leaves_ahead_of_other_content(other: Event, begun: str) -> None:
    stripper = FenceStripper()
    passed = stripper.feed([TextDelta(begun), other])
    assert passed[-1] is other
    assert text_of(passed) == (begun if "\n{" not in begun else "{}\n")


def test_blanks_ahead_of_other_content_are_no_beginning_yet() -> None:
    stripper = FenceStripper()
    passed = stripper.feed([TextDelta("\n"), ThinkingDelta("hm"), TextDelta("```json\n{}\n```"), FINISH])
    assert passed == [TextDelta("\n"), ThinkingDelta("hm"), TextDelta("{}"), FINISH]


@pytest.mark.parametrize(
    ("begun", "rest"), [("``", "`json\n{}\n```"), ("``", "```json\n{}\n```"), ("a", "```\n{}\n```")]
)
def test_a_fence_begins_with_the_text_or_not_at_all(begun: str, rest: str) -> None:
    stripper = FenceStripper()
    assert text_of(stripper.feed([TextDelta(begun), CALL, TextDelta(rest), FINISH])) == begun + rest


@pytest.mark.parametrize("event", [KeepAlive(), ContextMeasured(7)])
def test_what_is_no_content_cuts_nothing(event: Event) -> None:
    stripper = FenceStripper()
    passed = stripper.feed([TextDelta("``"), event, TextDelta("`json\n{}\n``"), event, TextDelta("`"), FINISH])
    assert text_of(passed) == "{}"
    assert passed.count(event) == 2


def test_a_failed_answer_ends_like_any_other() -> None:
    assert run(["```json\n{}\n```"], Failed(UpstreamFailed("cut")))[0] == "{}"


def test_a_second_fence_behind_other_content_goes_too() -> None:
    stripper = FenceStripper()
    one = TextDelta("```json\n1\n```")
    assert stripper.feed([one, ThinkingDelta("hm"), one, FINISH]) == [
        TextDelta("1"),
        ThinkingDelta("hm"),
        TextDelta("1"),
        FINISH,
    ]


def test_a_flood_of_blanks_is_read_once() -> None:
    # Quadratic work on this many pieces would not end within the test's deadline.
    stripper = FenceStripper()
    pieces = 200_000
    for _ in range(pieces):
        stripper.feed([TextDelta("\n")])
    stripper.feed([TextDelta("```json\n1")])
    for _ in range(pieces):
        stripper.feed([TextDelta("\n")])
    assert stripper.feed([TextDelta("2"), FINISH])[0] == TextDelta("\n" * pieces + "2")
