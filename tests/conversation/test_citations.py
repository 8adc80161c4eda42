"""Where an answer names what a search has found."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation.citations import CITED, LONGEST, CitationFinder
from kirotrio.conversation.events import (
    Accepted,
    Batch,
    Citation,
    ContextMeasured,
    Event,
    Finish,
    KeepAlive,
    SearchFinished,
    SearchResult,
    ServerToolCall,
    StopCause,
    TextDelta,
    ThinkingDelta,
    ToolCall,
)

A = SearchResult("https://a.org/x", "A", "a" * 400)
LONGER = SearchResult("https://a.org/xy", "Longer", "")
WIKI = SearchResult("http://Wiki.example/Foo_(bar)/", "Wiki", "w")
HOST = SearchResult("https://host.example", "Host", "h")
KNOWN = (A, LONGER, WIKI, HOST)
END = Finish(StopCause.END_TURN)


def finder(*results: SearchResult) -> CitationFinder:
    made = CitationFinder()
    made.know(results or KNOWN)
    return made


def mentions(text: str, *results: SearchResult) -> list[tuple[str, str]]:
    """What is cited of a text that is an answer, as written there and as known."""
    cited = finder(*results).feed([TextDelta(text), END])
    return [(text[event.start : event.end], event.url) for event in cited if isinstance(event, Citation)]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("https://a.org/x", "https://a.org/x"),
        ("See https://a.org/x for more.", "https://a.org/x"),
        ("See https://a.org/x.", "https://a.org/x"),
        ("(https://a.org/x), and", "https://a.org/x"),
        ("[A](https://a.org/x).", "https://a.org/x"),
        ("[A](https://a.org/x)/[B](c)", "https://a.org/x"),
        ("**https://a.org/x**: yes", "https://a.org/x"),
        ("<https://a.org/x>", "https://a.org/x"),
        ("'https://a.org/x'", "https://a.org/x"),
        ("`https://a.org/x`", "https://a.org/x"),
        ("https://a.org/x............ 5", "https://a.org/x"),
        ("| https://a.org/x|", "https://a.org/x"),
        ("http://A.org/x/", "http://A.org/x/"),
        ("HTTPS://a.org/x!", "HTTPS://a.org/x"),
        ("\u898bhttps://a.org/x\u3002\u6b21", "https://a.org/x"),
        ("https://a.org/x\u3068\u3044\u3046", "https://a.org/x"),
        ("\u201chttps://a.org/x\u201d", "https://a.org/x"),
        ("hhttps://a.org/x", "https://a.org/x"),
        ("https:// https://a.org/x", "https://a.org/x"),
    ],
)
def test_an_address_ends_where_a_reader_would_end_it(text: str, written: str) -> None:
    assert mentions(text) == [(written, A.url)]


def test_brackets_that_belong_to_an_address_stay_in_it() -> None:
    assert mentions("(https://wiki.example/Foo_(bar)) [W](https://wiki.example/Foo_(bar)/)") == [
        ("https://wiki.example/Foo_(bar)", WIKI.url),
        ("https://wiki.example/Foo_(bar)/", WIKI.url),
    ]


@pytest.mark.parametrize("behind", [".,;:!?*"[:count] for count in range(8)])
def test_no_more_is_taken_off_an_address_than_stands_behind_it(behind: str) -> None:
    assert mentions(f"https://wiki.example/Foo_(bar){behind}") == [("https://wiki.example/Foo_(bar)", WIKI.url)]


def test_an_address_is_not_found_in_a_longer_one() -> None:
    assert mentions("https://a.org/xy") == [("https://a.org/xy", LONGER.url)]
    assert mentions("https://a.org/xyz https://a.org/x?q=1 https://a.org https://a.org/X ftp://a.org/x") == []


def test_scheme_case_of_the_host_and_a_slash_at_the_end_make_no_difference() -> None:
    for text in ("http://HOST.example", "https://host.example/", "http://host.example//"):
        assert mentions(text) == [(text, HOST.url)]


def test_every_mention_is_cited_and_the_first_source_of_an_address_counts() -> None:
    twice = SearchResult("http://a.org/x/", "Other", "")
    assert mentions("https://a.org/x https://a.org/x", A, twice) == [("https://a.org/x", A.url)] * 2


def test_a_citation_tells_the_title_and_the_beginning_of_the_source() -> None:
    (_, citation, _) = finder().feed([TextDelta("Oh, https://a.org/x"), END])
    assert citation == Citation(A.url, "A", "a" * CITED, 4, 19)


def test_a_citation_follows_the_text_in_which_it_became_certain() -> None:
    found = finder()
    deltas = [TextDelta(piece) for piece in ("See htt", "ps://a.org", "/x", "y", " there")]
    assert found.feed(deltas[:4]) == deltas[:4]
    (text, citation) = found.feed(deltas[4:])
    assert text == deltas[4]
    assert citation == Citation(LONGER.url, "Longer", "", 4, 20)


ENDS: list[Event] = [END, ThinkingDelta("x"), ToolCall("t", "n", "{}"), ServerToolCall("s", "web_search", {})]


@pytest.mark.parametrize("ending", ENDS, ids=lambda event: type(event).__name__)
def test_the_end_of_a_run_of_text_ends_an_address(ending: Event) -> None:
    found = finder()
    assert found.feed([TextDelta("https://a.org/x")]) == [TextDelta("https://a.org/x")]
    said = found.feed([KeepAlive(), ending, TextDelta("y")])
    assert said == [KeepAlive(), Citation(A.url, "A", "a" * CITED, 0, 15), ending, TextDelta("y")]


@pytest.mark.parametrize("between", [KeepAlive(), Accepted(), ContextMeasured(5), TextDelta("")])
def test_what_closes_no_text_does_not_end_an_address(between: Event) -> None:
    said = finder().feed([TextDelta("https://a.org/x"), between, TextDelta("y"), END])
    assert [event.url for event in said if isinstance(event, Citation)] == [LONGER.url]


def test_text_on_both_sides_of_a_call_is_not_joined_but_counted_through() -> None:
    call = ServerToolCall("s", "web_search", {})
    said = finder().feed([TextDelta("https://a.o"), call, TextDelta("rg/x https://a.org/x"), END])
    assert [(event.start, event.end) for event in said if isinstance(event, Citation)] == [(16, 31)]


def test_what_becomes_known_later_counts_from_then_on_with_all_the_text_before() -> None:
    found = CitationFinder()
    first: Batch = [TextDelta("https://a.org/x and "), SearchFinished("s", (A,))]
    assert found.feed(first) is first
    found.know((A,))
    said = found.feed([TextDelta("https://a.org/x"), END])
    assert said[1] == Citation(A.url, "A", "a" * CITED, 20, 35)


def test_a_batch_without_citations_is_given_back_as_it_is() -> None:
    quiet: Batch = [TextDelta("nothing here"), KeepAlive()]
    assert CitationFinder().feed(quiet) is quiet
    assert finder().feed(quiet) is quiet


def test_results_without_an_address_are_no_sources() -> None:
    none = [SearchResult(url, "T") for url in ("", "a.org/x", "https://", "https:///", "ftp://a.org/x")]
    assert mentions("a.org/x https:/// https:// ftp://a.org/x", *none) == []


@pytest.mark.parametrize("scheme", ["ftp", "javascript", "file", " https", "xhttps"])
def test_results_that_are_nothing_on_the_web_are_no_sources(scheme: str) -> None:
    assert mentions("https://a.org/x", SearchResult(f"{scheme}://a.org/x", "T")) == [], "a link that nobody may follow"


def test_an_address_that_goes_on_for_ever_is_not_held_for_ever() -> None:
    found = finder()
    endless = "https://" + "a" * (LONGEST + 5)
    assert found.feed([TextDelta(endless[:-3]), TextDelta(endless[-3:] + "http://a.org/x "), END])[2] == Citation(
        A.url, "A", "a" * CITED, len(endless), len(endless) + 14
    )
    assert len(found._held) == 0


ADDRESSES = ["https://a.org/x", "http://", "h", "tt", "ps:", "//", "a.org/", "x", "y", "Foo_(bar)", "wiki.example/"]
PUNCTUATION = ["/", ".", ",", ")", "(", "[", "](", " ", "\n", "\u3002", "\u898b", "*"]


@pytest.mark.parametrize("behind", range(6))
def test_the_end_of_an_endless_address_is_no_part_of_the_next(behind: int) -> None:
    endless = "https://" + "a" * (LONGEST - behind) + "https://a.org/x "
    whole = cited(finder().feed([TextDelta(endless), END]))
    assert len(whole) == (behind == 0)
    for cut in range(len(endless) - 20, len(endless)):
        found = finder()
        said = [*found.feed([TextDelta(endless[:cut])]), *found.feed([TextDelta(endless[cut:]), END])]
        assert cited(said) == whole, f"cut at {cut}"


pieces = st.sampled_from([*ADDRESSES, "https://host.example", "host", ".example", *PUNCTUATION])
texts = st.lists(pieces, max_size=30).map("".join) | st.text(max_size=20)
breaks: st.SearchStrategy[Event] = st.sampled_from([*ENDS[1:], KeepAlive(), ContextMeasured(1)])
runs = st.lists(texts.map(TextDelta) | breaks, max_size=6)


@st.composite
def split_anyhow(draw: st.DrawFn) -> tuple[list[Event], list[Batch]]:
    """An answer, and the same with its texts cut anywhere and its events in any batches."""
    whole: list[Event] = [*draw(runs), END]
    cut: list[Event] = []
    for event in whole:
        if isinstance(event, TextDelta):
            bounds = sorted(draw(st.lists(st.integers(0, len(event.text)), max_size=5)))
            cut += [TextDelta(event.text[a:b]) for a, b in pairwise([0, *bounds, len(event.text)])]
        else:
            cut.append(event)
    bounds = sorted(draw(st.lists(st.integers(0, len(cut)), max_size=4)))
    return whole, [cut[a:b] for a, b in pairwise([0, *bounds, len(cut)])]


def cited(events: list[Event]) -> list[Citation]:
    return [event for event in events if isinstance(event, Citation)]


@given(split_anyhow())
def test_however_the_text_is_split_the_citations_are_the_same(drawn: tuple[list[Event], list[Batch]]) -> None:
    whole, batches = drawn
    found = finder()
    said = [found.feed(batch) for batch in batches]
    assert cited([event for batch in said for event in batch]) == cited(finder().feed(whole))
    for batch, given_back in zip(batches, said, strict=True):
        assert [event for event in given_back if not isinstance(event, Citation)] == batch


@given(split_anyhow())
def test_a_citation_stands_in_the_text_it_is_about_and_slices_the_address_out_of_it(
    drawn: tuple[list[Event], list[Batch]],
) -> None:
    _, batches = drawn
    found = finder()
    text, run_began, open_run = "", 0, False
    for event in [event for batch in batches for event in found.feed(batch)]:
        if isinstance(event, TextDelta):
            if not open_run:
                run_began, open_run = len(text), True
            text += event.text
        elif isinstance(event, Citation):
            written = text[event.start : event.end]
            assert open_run, "a citation with no text to stand in"
            assert run_began <= event.start < event.end <= len(text), "not of the text before it"
            same = written.lower().rstrip("/").partition("://")[2]
            assert same == event.url.lower().rstrip("/").partition("://")[2]
        elif not isinstance(event, (KeepAlive, ContextMeasured)):
            open_run = False


@given(st.lists(st.sampled_from([A.url, WIKI.url, LONGER.url, HOST.url, "https://no.example/", "word"]), max_size=8))
def test_every_known_address_among_words_is_found_once(words: list[str]) -> None:
    known = [word for word in words if word.startswith("http") and word != "https://no.example/"]
    assert [url for _, url in mentions(" ".join(words))] == known
