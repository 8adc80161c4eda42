"""Tools as the Anthropic dialect reads them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirotrio.conversation.request import Conversation, Tool, ToolChoice, WebFetch, WebSearch
from kirotrio.dialects.anthropic import AnthropicTool, decode_request
from kirotrio.dialects.structure import structure
from kirotrio.errors import BodyInvalid

tool_names = st.from_regex(r"[a-zA-Z0-9_-]{1,128}", fullmatch=True)
descriptions = st.none() | st.text(max_size=40)


def offer_of(*tools: Any, content: Any = "Hi", **more: Any) -> Conversation:
    sent = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}], "tools": list(tools)}
    return decode_request({**sent, **more}).conversation


def tools_of(*tools: Any) -> tuple[Tool, ...]:
    return offer_of(*tools).tools


def notes_of(*tools: Any) -> dict[str, str]:
    return {note.path: note.message for note in offer_of(*tools).diagnostics}


# Feature: merge-main-to-release, Property 6: AnthropicTool optional input_schema
@settings(max_examples=200)
@given(tool_names, descriptions, st.sampled_from([None, "custom", "web_search_20250305", "memory_20250818"]))
def test_a_tool_without_input_schema_is_a_tool(name: str, description: str | None, kind: str | None) -> None:
    sent = {"name": name, "description": description, "type": kind}
    tool = structure(sent, AnthropicTool)
    assert (tool.name, tool.description, tool.type) == (name, description, kind)
    assert tool.input_schema is None
    assert structure({"name": name}, AnthropicTool) == AnthropicTool(name=name, input_schema=None)
    if kind == "web_search_20250305":
        assert offer_of(sent).web_search == WebSearch(name, path="tools.0")
        return
    (offered,) = tools_of(sent)
    assert offered.name == name
    assert offered.input_schema is None


@given(tool_names, st.dictionaries(st.text(), st.integers()))
def test_a_schema_that_is_given_is_kept_as_it_is(name: str, schema: dict[str, int]) -> None:
    (offered,) = tools_of({"name": name, "input_schema": schema})
    assert offered == Tool(name, input_schema=schema, path="tools.0")


@pytest.mark.parametrize("kind", [None, "", "custom"])
def test_a_tool_that_the_client_runs_has_no_kind(kind: str | None) -> None:
    (offered,) = tools_of({"name": "a", "type": kind, "cache_control": {"type": "ephemeral"}, "strict": True})
    assert offered == Tool("a", path="tools.0")


def test_a_typed_tool_keeps_its_type_and_its_settings() -> None:
    sent = {"name": "computer", "type": "computer_20250124", "display_width_px": 800, "display_height_px": 600}
    (offered,) = tools_of(sent)
    assert offered.kind == "computer_20250124"
    assert offered.options == {"display_width_px": 800, "display_height_px": 600}


def test_null_in_optional_fields_is_as_good_as_nothing() -> None:
    sent = {"name": "a", "type": None, "description": None, "input_schema": None, "defer_loading": None}
    assert tools_of(sent) == (Tool("a", path="tools.0"),)


# Tools that the server runs

SEARCH = {"type": "web_search_20250305", "name": "web_search"}
FETCH = {"type": "web_fetch_20250910", "name": "web_fetch"}
OWN = {"name": "web_search", "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}}}


@pytest.mark.parametrize("kind", ["web_search_20250305", "web_search_20260209", "web_search_20991231"])
def test_web_search_of_any_version_with_all_it_says(kind: str) -> None:
    place = {"type": "approximate", "city": "Bern", "region": None, "country": "CH", "timezone": "Europe/Zurich"}
    sent = {**SEARCH, "type": kind, "max_uses": 3, "allowed_domains": ["Example.COM/Blog", "b.org"]}
    offer = offer_of({"name": "a"}, {**sent, "user_location": place, "cache_control": None})
    assert offer.tools == (Tool("a", path="tools.0"),)
    assert offer.web_search == WebSearch(
        max_uses=3,
        allowed_domains=("example.com/Blog", "b.org"),
        location="Bern, CH (time zone Europe/Zurich)",
        path="tools.1",
    )
    assert offer.diagnostics == ()


@pytest.mark.parametrize("kind", ["web_fetch_20250910", "web_fetch_20260318"])
def test_web_fetch_of_any_version_with_all_it_says(kind: str) -> None:
    sent = {**FETCH, "type": kind, "max_uses": 1, "blocked_domains": ["x.org"], "max_content_tokens": 5}
    offer = offer_of({**sent, "citations": {"enabled": True}, "use_cache": False})
    assert offer.web_fetch == WebFetch(
        max_uses=1, blocked_domains=("x.org",), max_tokens=5, citations=True, path="tools.0"
    )
    assert (offer.tools, offer.web_search, offer.diagnostics) == ((), None, ())
    for citations in (None, {}, {"enabled": False}):
        quiet = offer_of({**FETCH, "citations": citations}).web_fetch
        assert quiet is not None
        assert not quiet.citations


def test_an_empty_list_of_domains_is_none() -> None:
    assert offer_of({**SEARCH, "allowed_domains": [], "blocked_domains": ["a.b"]}).web_search == WebSearch(
        blocked_domains=("a.b",), path="tools.0"
    )


@pytest.mark.parametrize("kind", ["web_search", "web_search_2025", "web_search_202503050", "my_web_search_20250305"])
def test_a_type_that_only_looks_like_web_search_stays_what_it_is(kind: str) -> None:
    offer = offer_of({"name": "web_search", "type": kind})
    assert [tool.kind for tool in offer.tools] == [kind]
    assert offer.web_search is None


def test_a_function_of_the_clients_own_is_left_alone_whatever_its_name() -> None:
    offer = offer_of(OWN, FETCH)
    assert [tool.name for tool in offer.tools] == ["web_search"]
    assert offer.web_search is None
    assert offer.web_fetch == WebFetch(path="tools.1")


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        ({**SEARCH, "max_uses": 0}, "max_uses: must be at least 1"),
        ({**SEARCH, "max_uses": "8"}, "max_uses: must be an integer, not a string"),
        ({**SEARCH, "allowed_domains": "a.b"}, "allowed_domains: must be a list, not a string"),
        ({**SEARCH, "allowed_domains": ["a.b", 5]}, "allowed_domains.1: must be a string, not a number"),
        ({**SEARCH, "allowed_domains": ["a.b", ""]}, "allowed_domains.1: must be a domain without https://"),
        ({**SEARCH, "blocked_domains": ["https://a.b"]}, "blocked_domains.0: must be a domain without https://"),
        ({**SEARCH, "blocked_domains": ["/blog"]}, "blocked_domains.0: must be a domain without https://"),
        ({**SEARCH, "blocked_domains": ["a b"]}, "blocked_domains.0: must be a domain without https://"),
        (
            {**SEARCH, "allowed_domains": ["a.b"], "blocked_domains": ["c.d"]},
            "blocked_domains: only one of allowed_domains and blocked_domains may be given",
        ),
        ({**SEARCH, "user_location": "Bern"}, "user_location: must be an object, not a string"),
        ({**SEARCH, "user_location": {"city": "Bern"}}, "user_location.type: field required"),
        ({**SEARCH, "user_location": {"type": "exact"}}, 'user_location.type: must be "approximate"'),
        (
            {**SEARCH, "user_location": {"type": "approximate", "city": 5}},
            "user_location.city: must be a string, not a number",
        ),
        ({**FETCH, "max_content_tokens": -1}, "max_content_tokens: must be at least 1"),
        ({**FETCH, "citations": True}, "citations: must be an object, not a boolean"),
        ({**FETCH, "citations": {"enabled": 1}}, "citations.enabled: must be true or false, not a number"),
        (
            {**FETCH, "allowed_domains": ["a.b"], "blocked_domains": ["c.d"]},
            "blocked_domains: only one of allowed_domains and blocked_domains may be given",
        ),
        ({"type": "web_search_20250305"}, "name: field required: the tool's name"),
    ],
)
def test_what_is_wrong_with_a_tool_of_the_server_is_said_with_its_path(tool: Any, message: str) -> None:
    with pytest.raises(BodyInvalid) as caught:
        offer_of({"name": "a"}, tool)
    assert caught.value.message.startswith(f"tools.1.{message}")


def test_names_are_unique_over_both_sorts_of_tools() -> None:
    with pytest.raises(BodyInvalid, match=r"^tools\.1\.name: Tool names must be unique: 'web_search' .* tools\.0$"):
        offer_of(SEARCH, OWN)
    with pytest.raises(
        BodyInvalid, match=r"^tools\.1: only one web search tool may be given: tools\.0 is one already$"
    ):
        offer_of(SEARCH, {**SEARCH, "name": "again"})


def test_what_cannot_be_kept_of_a_tool_of_the_server_is_noted() -> None:
    noted = notes_of({**SEARCH, "allowed_callers": ["code_execution_20260120"], "defer_loading": True, "shiny": 1})
    assert set(noted) == {"tools.0.allowed_callers", "tools.0.defer_loading", "tools.0.shiny"}
    assert set(notes_of({**FETCH, "url_sources": {"user_input": {"type": "none"}}})) == {"tools.0.url_sources"}
    assert notes_of({**SEARCH, "allowed_callers": ["direct"], "strict": True, "response_inclusion": "full"}) == {}


@pytest.mark.parametrize("choice", [{"type": "tool", "name": "web_search"}, {"type": "any"}])
def test_a_tool_of_the_server_can_be_demanded(choice: dict[str, str]) -> None:
    wanted = ToolChoice("tool", "web_search") if "name" in choice else ToolChoice("any")
    assert offer_of(SEARCH, tool_choice=choice).tool_choice == wanted
    with pytest.raises(BodyInvalid, match=r"^tool_choice\.name: Tool 'web_fetch' not found"):
        offer_of(SEARCH, tool_choice={"type": "tool", "name": "web_fetch"})


def test_messages_add_and_remove_tools_of_the_server() -> None:
    added = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": FETCH}}
    loaded = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "web_search"}}
    removed = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "web_search"}}
    offer = offer_of(SEARCH, content=[added, loaded])
    assert offer.web_search == WebSearch(path="tools.0")
    assert offer.web_fetch == WebFetch(path="messages.0.content.0.tool.definition")
    assert offer_of(SEARCH, content=[removed]).web_search is None
