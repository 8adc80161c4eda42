"""Web search's JSON-RPC: what is asked, and what every answer is read as (KIRO_PROTOCOL 6.5, 9)."""

from __future__ import annotations

import datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation.events import SearchResult
from kirotrio.errors import KirotrioError, UpstreamFailed
from kirotrio.kiro.mcp import page_age, read_search, search_body

RESULT = {"title": "T", "url": "https://x.example", "snippet": "S", "publishedDate": 1136160000000, "id": "1"}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["url", "title", "x"]), inner),
    max_leaves=8,
)


def answer(inner: Any = None, **result: Any) -> bytes:
    text = inner if isinstance(inner, str) else orjson.dumps(inner).decode()
    whole = {"content": [{"type": "text", "text": text}], "isError": False, **result}
    return orjson.dumps({"jsonrpc": "2.0", "id": "1", "result": whole})


def test_a_search_is_a_call_of_the_tool() -> None:
    assert search_body("cats", "id-1") == {
        "jsonrpc": "2.0",
        "id": "id-1",
        "method": "tools/call",
        "params": {"name": "web_search", "arguments": {"query": "cats"}},
    }


def test_results_are_read_in_order() -> None:
    second = {"url": "https://y.example", "publishedDate": None}
    assert read_search(answer({"results": [RESULT, second], "error": None})) == (
        SearchResult("https://x.example", "T", "S", "January 2, 2006"),
        SearchResult("https://y.example", ""),
    )


def test_nothing_found_is_no_error() -> None:
    assert read_search(answer({"results": [], "totalResults": 0})) == ()


@pytest.mark.parametrize("entry", [{"title": "no address"}, {"url": ""}, {"url": 7}, "text", None])
def test_what_has_no_address_is_left_out(entry: Any) -> None:
    assert read_search(answer({"results": [entry, RESULT]})) == (
        SearchResult("https://x.example", "T", "S", "January 2, 2006"),
    )


@pytest.mark.parametrize(
    ("raw", "words", "reason"),
    [
        (
            orjson.dumps({"error": {"code": -32602, "message": "query is too long"}}),
            "query is too long",
            "-32602",
        ),
        (orjson.dumps({"error": "no"}), "no", None),
        (answer("the tool broke", isError=True), "the tool broke", None),
        (answer({"results": [], "error": "no index"}), "no index", None),
        (answer("not JSON"), "could not be read", None),
        (answer([]), "could not be read", None),
        (answer({}, content=[]), "could not be read", None),
        (b"<html>", "could not be read", None),
        (b"[]", "could not be read", None),
        (b"{}", "could not be read", None),
    ],
)
def test_an_answer_that_reports_a_failure_or_makes_no_sense_is_an_error(raw: bytes, words: str, reason: Any) -> None:
    with pytest.raises(UpstreamFailed, match=words) as caught:
        read_search(raw)
    assert caught.value.upstream_reason == reason


@given(
    st.one_of(st.binary(max_size=20), json_values.map(orjson.dumps), json_values.map(lambda v: answer({"results": v})))
)
def test_no_answer_breaks_the_reader(raw: bytes) -> None:
    try:
        results = read_search(raw)
    except KirotrioError:
        return
    assert all(result.url for result in results)


@given(st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2200, 1, 1)))
def test_a_date_is_told_in_words(moment: datetime.datetime) -> None:
    told = page_age(int(moment.replace(tzinfo=datetime.UTC).timestamp() * 1000))
    assert told is not None
    read = datetime.datetime.strptime(told, "%B %d, %Y")
    assert read.date() == moment.date()
    assert " 0" not in told


@pytest.mark.parametrize("published", [None, True, "2006-01-02", 1e300, -1e300, [], {}])
def test_what_is_no_date_is_unknown(published: Any) -> None:
    assert page_age(published) is None
