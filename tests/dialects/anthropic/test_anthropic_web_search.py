"""The request that is nothing but a web search."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kirotrio.dialects.anthropic import (
    AnthropicMessagesRequest,
    decode_request,
    extract_search_query,
    has_web_search_tool,
)
from kirotrio.dialects.structure import structure

PREFIX = "Perform a web search for the query:"
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
OWN = {"name": "web_search", "input_schema": {"type": "object"}}

queries = st.text(min_size=1, max_size=60).filter(lambda text: bool(text.strip()))
contents = st.text(max_size=20) | st.lists(st.text(max_size=20).map(lambda text: {"type": "text", "text": text}))
others = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": contents})
    | queries.map(lambda query: {"role": "user", "content": f"{PREFIX} {query}"}),
    max_size=4,
)


def body(*messages: Any, tools: Any = (SEARCH,), **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": list(messages), "tools": list(tools), **more}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


def request(sent: dict[str, Any]) -> AnthropicMessagesRequest:
    return structure(sent, AnthropicMessagesRequest)


def direct(sent: dict[str, Any]) -> str | None:
    search = decode_request(sent).conversation.web_search
    return search.direct_query if search is not None else None


# Feature: merge-main-to-release, Property 5: WebSearch query extraction
@settings(max_examples=200)
@given(queries, others, st.booleans(), st.lists(st.text(max_size=10).map(text), max_size=2))
@example("a", [], False, [])
@example(PREFIX, [user(f"{PREFIX} other")], True, [])
def test_the_query_is_that_of_the_first_message(query: str, later: list[Any], blocks: bool, behind: list[Any]) -> None:
    asked = f"{PREFIX} {query}"
    first = {"role": "user", "content": [text(asked), *behind] if blocks else asked}
    sent = body(first, *later)
    assert extract_search_query(request(sent)) == query
    assert has_web_search_tool(request(sent))
    assert direct(sent) == query.strip()


@given(queries.filter(lambda query: not query.startswith(PREFIX)), others)
def test_a_text_without_the_prefix_is_the_query_itself_and_left_to_the_model(query: str, later: list[Any]) -> None:
    sent = body(user(query), *later)
    assert extract_search_query(request(sent)) == query
    assert direct(sent) is None


@pytest.mark.parametrize(
    "first",
    [
        user({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}),
        {"role": "user", "content": []},
        user(""),
        user(PREFIX),
        user(text(f"{PREFIX} ")),
    ],
)
def test_a_first_message_without_a_query_has_none(first: Any) -> None:
    sent = body(first, user(f"{PREFIX} later"))
    assert extract_search_query(request(sent)) is None
    assert direct(sent) is None


def test_the_prefix_needs_no_blank_behind_it_and_the_first_text_counts() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
    assert direct(body(user(image, text(f"{PREFIX}abc"), text(f"{PREFIX} def")))) == "abc"
    assert direct(body(user(text("Well."), text(f"{PREFIX} def")))) is None


@pytest.mark.parametrize(
    ("tools", "only"),
    [
        ([SEARCH], True),
        ([{**SEARCH, "type": "web_search_20260209"}], True),
        ([{**SEARCH, "name": "look_up"}], True),
        ([OWN], False),
        ([{**SEARCH, "type": "web_search_2025030"}], False),
        ([{**SEARCH, "type": "web_search_20250305x"}], False),
        ([SEARCH, {"name": "Bash"}], False),
        ([{"type": "web_fetch_20250910", "name": "web_fetch"}], False),
        ([], False),
    ],
)
def test_only_a_request_whose_one_tool_is_web_search_is_answered_directly(tools: list[Any], only: bool) -> None:
    sent = body(user(f"{PREFIX} abc"), tools=tools)
    assert has_web_search_tool(request(sent)) is only
    assert direct(sent) == ("abc" if only else None)


def test_without_tools_there_is_no_web_search_tool() -> None:
    assert not has_web_search_tool(request({"model": "m", "messages": []}))
    assert not has_web_search_tool(request({"model": "m", "messages": [], "tools": [{"name": "a"}]}))
    assert extract_search_query(request({"model": "m", "messages": []})) is None


def test_what_the_assistant_said_first_is_no_request() -> None:
    assert direct(body({"role": "assistant", "content": f"{PREFIX} abc"}, user("Hi"))) is None


def test_a_tool_that_is_withheld_or_joined_by_another_is_not_used_directly() -> None:
    asked = user(f"{PREFIX} abc")
    assert direct(body(asked, tool_choice={"type": "none"})) is None
    assert direct(body(asked, tool_choice={"type": "tool", "name": "web_search"})) == "abc"
    addition = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": {"name": "Bash"}}}
    assert direct(body(asked, user(addition, text("Go on")))) is None
    swapped = [
        {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "web_search"}},
        {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": OWN}},
    ]
    assert decode_request(body(asked, user(*swapped, text("Go on")))).conversation.web_search is None
