"""The tag parser against a reference that sees the whole text at once, and rule by rule."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kirotrio.conversation.thinking import KiroThinkingTagParser, SegmentType, TextSegment

THINKING, TEXT = SegmentType.THINKING, SegmentType.TEXT
QUOTES = "`\"'“”‘’「」『』«»"
OPEN, CLOSE = "<thinking>", "</thinking>"

Told = list[tuple[SegmentType, str]]


def merged(segments: list[TextSegment]) -> Told:
    """Type and joined content of each run of segments of one type."""
    return [(kind, "".join(s.content for s in run)) for kind, run in itertools.groupby(segments, lambda s: s.type)]


def parse(*pieces: str) -> Told:
    parser = KiroThinkingTagParser()
    segments = [segment for piece in pieces for segment in parser.push_and_parse(piece)]
    return merged(segments + parser.flush())


def reference(text: str) -> tuple[Told, bool]:
    """The rules, read off the whole text. Gives what is told and whether the block stays unclosed."""
    body = text.lstrip()
    if not body.startswith(OPEN):
        return ([(TEXT, text)] if text else []), False
    inside = body[len(OPEN) :].removeprefix("\n")
    lost_answer = None
    for tag in re.finditer(CLOSE, inside):
        quote_before = inside[: tag.start()].endswith(tuple(QUOTES))
        quote_after = inside[tag.end() :].startswith(tuple(QUOTES))
        if not quote_before and not quote_after:
            answer = inside[tag.end() :].lstrip("\n")
            return [(THINKING, inside[: tag.start()])] + ([(TEXT, answer)] if answer else []), False
        blank_line = re.match(r"([^\S\n]*\n){2}", inside[tag.end() :])
        if quote_before and blank_line and lost_answer is None:
            lost_answer = inside[tag.end() + blank_line.end() :].lstrip("\n")
    return [(THINKING, inside)] + ([(TEXT, lost_answer)] if lost_answer else []), True


tags = [OPEN, CLOSE, CLOSE, CLOSE, "<", "</", "</think", "<thinking", "ing>", ">", "/", "<Thinking>", "</THINKING>"]
blanks = ["\n", "\n\n", "\n \n", " ", "\t", "\u3000", "\r\n"]
shards = st.sampled_from([*tags, *blanks, '"', "'", "“", "»", "`", "a", "Ünïcode 文字 🙂"])
near_ends = st.sampled_from(['"' + CLOSE, '"' + CLOSE, "\n", "\n", "a", " ", "<", '"'])
any_text = st.one_of(
    st.lists(near_ends, max_size=12).map(lambda found: OPEN + "".join(found)),
    st.lists(shards, max_size=25).map("".join),
    st.lists(shards, max_size=25).map(lambda found: OPEN + "".join(found)),
    st.tuples(st.text(" \n\t", max_size=3), st.lists(shards, max_size=25)).map(lambda t: t[0] + OPEN + "".join(t[1])),
    st.text(max_size=60),
)


@st.composite
def cut_text(draw: st.DrawFn, texts: st.SearchStrategy[str] = any_text) -> list[str]:
    """A text in pieces, some of which are empty."""
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]


@given(cut_text())
@settings(max_examples=400)
@example(['<thinking>x"</thinking>\n', "\nanswer '</thinking>\n\nmore"])
@example(["<thinking>a</thinking>", '"b</thinking>', "\n", "\n", "c"])
def test_no_cut_changes_the_result(pieces: list[str]) -> None:
    text = "".join(pieces)
    expected, unclosed = reference(text)
    assert parse(*pieces) == expected, f"{text!r} cut as {pieces!r}"
    assert parse(*text) == expected, f"{text!r} character by character"
    parser = KiroThinkingTagParser()
    for piece in pieces:
        parser.push_and_parse(piece)
    parser.flush()
    assert parser.unclosed is unclosed, f"{text!r} cut as {pieces!r}"


def test_every_cut_in_two_of_every_short_text() -> None:
    tokens = [CLOSE, '"', "\n", "a", "<", "</think", " "]
    for tail in itertools.product(tokens, repeat=4):
        text = OPEN + "".join(tail)
        expected, _ = reference(text)
        for cut in range(len(text) + 1):
            assert parse(text[:cut], text[cut:]) == expected, f"{text!r} cut at {cut}"


# Feature: merge-main-to-release, Property 1: Parser mode activation
@given(cut_text())
@settings(max_examples=200)
def test_thinking_is_given_exactly_where_the_answer_begins_with_the_tag(pieces: list[str]) -> None:
    parser = KiroThinkingTagParser()
    segments = [segment for piece in pieces for segment in parser.push_and_parse(piece)]
    segments += parser.flush()
    kinds = {segment.type for segment in segments}
    if "".join(pieces).lstrip().startswith(OPEN):
        assert THINKING in kinds
        assert parser.is_thinking_mode
        assert parser.has_extracted_thinking
    else:
        assert kinds <= {TEXT}
        assert "".join(segment.content for segment in segments) == "".join(pieces)
        assert not parser.is_thinking_mode
        assert not parser.has_extracted_thinking


@st.composite
def quoted_tag_inside(draw: st.DrawFn) -> list[str]:
    plain = st.text(st.characters(exclude_characters="<" + QUOTES), max_size=10)
    quote = draw(st.sampled_from(QUOTES))
    before, after = draw(st.sampled_from([(quote, ""), ("", quote), (quote, quote)]))
    text = OPEN + draw(plain) + before + CLOSE + after + draw(plain) + "x" + CLOSE + "\n\nanswer"
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]


# Feature: merge-main-to-release, Property 2: False closing tags
@given(quoted_tag_inside())
@settings(max_examples=200)
def test_a_closing_tag_that_a_quote_touches_does_not_close(pieces: list[str]) -> None:
    text = "".join(pieces)
    thought = text[len(OPEN) : text.rindex(CLOSE)].removeprefix("\n")
    assert parse(*pieces) == [(THINKING, thought), (TEXT, "answer")]
    assert CLOSE in thought


@pytest.mark.parametrize("quote", QUOTES)
def test_each_quote_on_either_side_makes_a_mention(quote: str) -> None:
    for mention in (quote + CLOSE, CLOSE + quote):
        assert parse(OPEN + "a" + mention + "b" + CLOSE + "c") == [(THINKING, "a" + mention + "b"), (TEXT, "c")]


def test_other_neighbours_do_not_make_a_mention() -> None:
    for neighbour in ("(", "*", "´", "-", "<", ">", "\\", "‹", "„", "\n", " "):
        assert parse(f"{OPEN}a{neighbour}{CLOSE}{neighbour}b")[0] == (THINKING, f"a{neighbour}")


def test_empty_input_gives_nothing() -> None:
    assert parse() == []
    assert parse("", "") == []
    assert KiroThinkingTagParser(active=False).push_and_parse("") == []


def test_the_opening_tag_alone_gives_an_empty_thinking_segment_at_once() -> None:
    parser = KiroThinkingTagParser()
    assert parser.push_and_parse("<think") == []
    assert parser.push_and_parse("ing>") == [TextSegment(THINKING, "")]
    assert parser.is_thinking_mode
    assert not parser.has_extracted_thinking
    assert parser.push_and_parse("\nhm") == [TextSegment(THINKING, "hm")], "the block is opened only once"


def test_an_empty_block_is_thinking_too() -> None:
    assert parse("<thinking></thinking>answer") == [(THINKING, ""), (TEXT, "answer")]
    assert parse("<thinking>\n</thinking>") == [(THINKING, "")]


def test_one_newline_behind_the_opening_tag_is_dropped() -> None:
    assert parse("<thinking>", "\n", "\na</thinking>b") == [(THINKING, "\na"), (TEXT, "b")]
    assert parse("<thinking> \na</thinking>b") == [(THINKING, " \na"), (TEXT, "b")]


def test_all_newlines_directly_behind_the_closing_tag_are_dropped() -> None:
    assert parse("<thinking>a</thinking>\n", "\n", "\n\n b\n", "\nc") == [(THINKING, "a"), (TEXT, " b\n\nc")]


def test_blanks_before_the_opening_tag_are_dropped() -> None:
    assert parse(" \n", "\t\u3000", "<thinking>a</thinking>b") == [(THINKING, "a"), (TEXT, "b")]


def test_blanks_alone_are_text_when_the_answer_ends() -> None:
    parser = KiroThinkingTagParser()
    assert parser.push_and_parse(" \n") == []
    assert parser.push_and_parse(" ") == []
    assert parser.flush() == [TextSegment(TEXT, " \n ")]


def test_blanks_before_other_text_are_kept() -> None:
    assert parse(" ", "\n", "hello") == [(TEXT, " \nhello")]


def test_another_spelling_or_place_of_the_tag_is_text() -> None:
    for text in ("<Thinking>a</Thinking>", "<think>a</think>", "<thinking >a</thinking>", "x<thinking>a</thinking>"):
        assert parse(*text) == [(TEXT, text)]
    assert parse(f"{OPEN}a</Thinking>b") == [(THINKING, "a</Thinking>b")]


def test_an_unfinished_opening_tag_is_text_when_the_answer_ends() -> None:
    assert parse(" <thin", "king") == [(TEXT, " <thinking")]


def test_only_the_first_block_is_thinking() -> None:
    rest = "<thinking>b</thinking> c</thinking>"
    assert parse(f"{OPEN}a{CLOSE}{rest}") == [(THINKING, "a"), (TEXT, rest)]


def test_plain_text_leaves_at_once() -> None:
    parser = KiroThinkingTagParser()
    assert parser.push_and_parse("<b>") == [TextSegment(TEXT, "<b>")]
    assert parser.push_and_parse("</thinking") == [TextSegment(TEXT, "</thinking")]


def test_thinking_leaves_but_for_what_may_be_the_closing_tag() -> None:
    parser = KiroThinkingTagParser()
    parser.push_and_parse(OPEN)
    assert parser.push_and_parse("a < b </thi") == [TextSegment(THINKING, "a < b ")]
    assert parser.push_and_parse("s>") == [TextSegment(THINKING, "</this>")]
    assert parser.push_and_parse(CLOSE) == [], "its right neighbour is not known yet"
    assert parser.push_and_parse("`") == [TextSegment(THINKING, CLOSE + "`")]


def test_a_closing_tag_at_the_very_end_is_decided_by_what_stands_before_it() -> None:
    parser = KiroThinkingTagParser()
    assert merged(parser.push_and_parse(OPEN + "a" + CLOSE)) == [(THINKING, "a")]
    assert (parser.has_extracted_thinking, parser.unclosed) == (False, False)
    assert parser.flush() == []
    assert (parser.has_extracted_thinking, parser.unclosed) == (True, False)
    assert parse(OPEN + 'a"' + CLOSE) == [(THINKING, 'a"' + CLOSE)]


def test_a_block_that_is_never_closed_stays_thinking_and_says_so() -> None:
    parser = KiroThinkingTagParser()
    assert merged(parser.push_and_parse("<thinking>\na\n\nb </think")) == [(THINKING, "a\n\nb ")]
    assert [parser.unclosed] == [False]
    assert parser.flush() == [TextSegment(THINKING, "</think")]
    assert [parser.unclosed] == [True]
    assert parser.flush() == []


def test_the_answer_behind_a_thought_that_ends_in_a_quotation_is_given_as_text() -> None:
    thought = 'the user said "hi"</thinking>\n\n\nHello </th'
    assert parse(OPEN, *thought) == [(THINKING, thought), (TEXT, "Hello </th")]
    assert parse(OPEN + "'</thinking> \r\n\t\n  Hello") == [
        (THINKING, "'</thinking> \r\n\t\n  Hello"),
        (TEXT, "  Hello"),
    ]


def test_of_several_the_first_such_tag_loses_no_answer() -> None:
    answer = 'Use "</thinking>\n\nto close.'
    thought = f'say "so"</thinking>\n\n{answer}'
    assert parse(OPEN + thought) == [(THINKING, thought), (TEXT, answer)]


@pytest.mark.parametrize(
    "thought",
    [
        '"</thinking>"\n\nno answer',
        'a</thinking>"\n\nno answer',
        '"</thinking>\nno answer',
        '"</thinking> x\n\nno answer',
        '"</thinking>\n\n',
        '"</thinking>',
    ],
    ids=["quote behind too", "quote behind only", "no blank line", "not directly", "nothing behind", "end"],
)
def test_nothing_is_given_again_without_reason(thought: str) -> None:
    assert parse(OPEN + thought) == parse(OPEN, *thought) == [(THINKING, thought)]


def test_nothing_is_given_again_once_the_block_is_closed() -> None:
    thought = 'write "</thinking>\n\nor so'
    assert parse(f"{OPEN}{thought}{CLOSE}\n\nanswer") == [(THINKING, thought), (TEXT, "answer")]


def test_an_inactive_parser_passes_everything_as_text() -> None:
    parser = KiroThinkingTagParser(active=False)
    text = "<thinking>a</thinking>b"
    assert merged([s for c in text for s in parser.push_and_parse(c)]) == [(TEXT, text)]
    assert parser.flush() == []
    assert not parser.is_thinking_mode
    assert not parser.unclosed


def test_native_reasoning_turns_parsing_off() -> None:
    parser = KiroThinkingTagParser()
    assert parser.push_and_parse("\n<thin") == []
    assert parser.turn_off() == [TextSegment(TEXT, "\n<thin")]
    assert parser.push_and_parse("<thinking>a</thinking>") == [TextSegment(TEXT, "<thinking>a</thinking>")]
    assert parser.flush() == []


def test_a_tool_call_closes_a_block_whose_tag_waits_for_its_neighbour() -> None:
    parser = KiroThinkingTagParser()
    parser.push_and_parse(OPEN + "a" + CLOSE)
    parser.settle()
    assert merged(parser.push_and_parse('"b"')) == [(TEXT, '"b"')]
    assert parser.flush() == []


def test_a_tool_call_does_not_break_an_unfinished_tag() -> None:
    parser = KiroThinkingTagParser()
    parser.push_and_parse(OPEN + "a</thin")
    parser.settle()
    assert merged(parser.push_and_parse("king>b")) == [(TEXT, "b")]


class Counted(str):
    """A text that counts the characters which were looked at in it."""

    looked = 0

    def __getitem__(self, key: Any) -> str:
        found = super().__getitem__(key)
        Counted.looked += len(found)
        return found

    def find(self, *args: Any) -> int:
        found = super().find(*args)
        Counted.looked += (found if found >= 0 else len(self)) - args[1] + 1
        return found

    def startswith(self, prefix: Any, *args: Any) -> bool:
        Counted.looked += len(prefix)
        return super().startswith(prefix, *args)

    def lstrip(self, *args: Any) -> str:
        Counted.looked += len(self)
        return super().lstrip(*args)


@pytest.mark.parametrize("size", [1, 3, 50, 100_000])
@pytest.mark.parametrize(
    "shard",
    ['"</thinking>', '</thinking>"', "</thinking", "<", "</", " \n", '"</thinking>\n\n', "a"],
)
def test_work_is_linear_in_the_text(shard: str, size: int) -> None:
    for text in (OPEN + shard * (6000 // len(shard)), " " * 6000):
        Counted.looked = 0
        parser = KiroThinkingTagParser()
        for at in range(0, len(text), size):
            parser.push_and_parse(Counted(text[at : at + size]))
        parser.flush()
        assert Counted.looked <= 12 * len(text), f"{Counted.looked} looks at {len(text)} characters"
