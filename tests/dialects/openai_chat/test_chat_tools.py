"""Tools, free-form tools, older functions, web search and the choice among them."""

from __future__ import annotations

from typing import Any

import pytest

from kirotrio.conversation.request import Tool, ToolChoice, WebSearch
from kirotrio.dialects.openai_chat import DecodedChat, decode_chat

EMPTY = {"type": "object", "properties": {}}
QUERY = {"type": "object", "properties": {"query": {"type": "string"}}}


def decoded(**more: Any) -> DecodedChat:
    return decode_chat({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **more})


def function(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


def custom(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "custom", "custom": {"name": name, **more}}


def test_functions_become_tools() -> None:
    given = decoded(tools=[function("a", description="A.", parameters=QUERY, strict=True), function("b")])
    assert given.conversation.tools == (
        Tool("a", "A.", QUERY, path="tools.0.function"),
        Tool("b", path="tools.1.function"),
    )
    assert not given.legacy_functions
    assert given.custom_tools == frozenset()


@pytest.mark.parametrize(
    "form",
    [
        {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: WORD"}},
        {"type": "grammar", "syntax": "lark", "definition": "start: WORD"},
    ],
)
def test_a_free_form_tool_becomes_one_with_a_string(form: dict[str, Any]) -> None:
    given = decoded(tools=[custom("patch", description="Patches.", format=form), custom("note"), function("a")])
    patch, note, _ = given.conversation.tools
    assert patch.input_schema is not None
    assert list(patch.input_schema["properties"]) == patch.input_schema["required"] == ["input"]
    assert patch.description == "Patches.\n\nThe input has to match this Lark grammar:\nstart: WORD"
    assert note.description == ""
    assert given.custom_tools == {"patch", "note"}


def test_older_functions_ask_for_one_call_in_the_older_form() -> None:
    given = decoded(functions=[{"name": "a", "parameters": QUERY}], function_call={"name": "a"})
    assert given.legacy_functions
    assert given.conversation.tools == (Tool("a", "", QUERY, path="functions.0"),)
    assert given.conversation.tool_choice == ToolChoice("tool", "a", parallel=False)
    assert any("one call" in note.message for note in given.conversation.diagnostics)


def test_functions_beside_tools_are_tools() -> None:
    given = decoded(functions=[{"name": "a"}], tools=[function("b")])
    assert not given.legacy_functions
    assert [tool.name for tool in given.conversation.tools] == ["b", "a"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolChoice()),
        ("auto", ToolChoice()),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("any")),
        ({"type": "auto"}, ToolChoice()),
        ({"type": "function", "function": {"name": "a"}}, ToolChoice("tool", "a")),
        ({"type": "custom", "custom": {"name": "c"}}, ToolChoice("tool", "c")),
    ],
    ids=str,
)
def test_the_choice(choice: Any, expected: ToolChoice) -> None:
    given = decoded(tools=[function("a"), function("b"), custom("c")], tool_choice=choice)
    assert given.conversation.tool_choice == expected
    assert len(given.conversation.tools) == 3


def test_parallel_calls_can_be_turned_off() -> None:
    assert not decoded(tools=[function("a")], parallel_tool_calls=False).conversation.tool_choice.parallel


@pytest.mark.parametrize(("mode", "expected"), [("auto", "auto"), ("required", "any")])
def test_allowed_tools_take_the_others_away(mode: str, expected: str) -> None:
    allowed = {"mode": mode, "tools": [function("b"), custom("c")]}
    given = decoded(
        tools=[function("a"), function("b"), custom("c"), function("web_search")],
        tool_choice={"type": "allowed_tools", "allowed_tools": allowed},
    )
    assert [tool.name for tool in given.conversation.tools] == ["b", "c"]
    assert given.conversation.tool_choice.mode == expected
    assert given.conversation.web_search is None


@pytest.mark.parametrize(
    "parameters", [None, {}, {"type": "object"}, EMPTY, {**EMPTY, "additionalProperties": False, "required": []}]
)
def test_a_web_search_without_parameters_is_ours(parameters: Any) -> None:
    given = decoded(tools=[function("web_search", parameters=parameters), function("a")]).conversation
    assert given.web_search == WebSearch(carried=False, path="tools.0.function")
    assert [tool.name for tool in given.tools] == ["a"]


@pytest.mark.parametrize("parameters", [QUERY, {"$ref": "#/$defs/q"}])
def test_a_web_search_with_parameters_is_the_clients(parameters: Any) -> None:
    given = decoded(tools=[function("web_search", parameters=parameters)]).conversation
    assert given.web_search is None
    assert [tool.name for tool in given.tools] == ["web_search"]


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (None, ""),
        ({"type": "approximate", "approximate": {}}, ""),
        ({"type": "approximate", "approximate": {"city": "Berlin", "country": "DE"}}, "Berlin, DE"),
        (
            {"type": "approximate", "approximate": {"region": "Bavaria", "timezone": "Europe/Berlin"}},
            "Bavaria (time zone Europe/Berlin)",
        ),
        ({"type": "approximate", "approximate": {"timezone": "Europe/Berlin"}}, "time zone Europe/Berlin"),
    ],
)
def test_web_search_options_with_a_location(location: Any, words: str) -> None:
    given = decoded(web_search_options={"user_location": location, "search_context_size": "high"}).conversation
    assert given.web_search == WebSearch(location=words, carried=False, path="web_search_options")
    assert [note.path for note in given.diagnostics] == ["web_search_options.search_context_size"]


def test_options_and_the_tool_ask_for_one_search() -> None:
    options = {"user_location": {"type": "approximate", "approximate": {"city": "Berlin"}}}
    given = decoded(tools=[function("web_search")], web_search_options=options).conversation
    assert given.web_search == WebSearch(location="Berlin", carried=False, path="tools.0.function")


def test_the_search_that_options_ask_for_makes_way_for_a_tool_of_its_name() -> None:
    given = decoded(tools=[function("web_search", parameters=QUERY)], web_search_options={}).conversation
    assert given.web_search is not None
    assert given.web_search.name == "web_search_2"
    assert [tool.name for tool in given.tools] == ["web_search"]


def test_the_search_can_be_demanded_by_name() -> None:
    given = decoded(tools=[function("web_search")], tool_choice=function("web_search")).conversation
    assert given.tool_choice == ToolChoice("tool", "web_search")


def test_a_tool_type_that_nobody_knows_is_noted_and_left_out() -> None:
    given = decoded(tools=[{"type": "teleport"}]).conversation
    assert given.tools == ()
    assert [note.path for note in given.diagnostics] == ["tools.0"]


PLACE = {"city": "Graz", "country": "AT", "timezone": "Europe/Vienna"}
IN_WORDS = "Graz, AT (time zone Europe/Vienna)"


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 1, "allowed_domains": ["Example.COM"]},
            {"max_uses": 1, "allowed_domains": ("example.com",)},
        ),
        ({"type": "web_search_20250305", "blocked_domains": ["a.b"]}, {"blocked_domains": ("a.b",)}),
        ({"type": "web_search", "filters": {"allowed_domains": ["a.b", "c.d"]}}, {"allowed_domains": ("a.b", "c.d")}),
        ({"type": "web_search", "filters": None, "allowed_domains": []}, {}),
        (
            {"type": "web_search_preview", "user_location": {"type": "approximate", **PLACE}},
            {"location": IN_WORDS},
        ),
        (
            {"type": "web_search", "user_location": {"type": "approximate", "approximate": PLACE}},
            {"location": IN_WORDS},
        ),
    ],
    ids=str,
)
def test_what_a_search_tool_says_holds(tool: dict[str, Any], expected: dict[str, Any]) -> None:
    given = decoded(tools=[tool]).conversation
    assert given.web_search == WebSearch(**expected, carried=False, path="tools.0")
    assert given.diagnostics == ()


def test_a_field_of_a_search_tool_that_changes_nothing_here_is_noted() -> None:
    given = decoded(tools=[{"type": "web_search", "search_context_size": "high", "colour": 1}]).conversation
    assert {note.path for note in given.diagnostics} == {"tools.0.search_context_size", "tools.0.colour"}


def test_a_search_that_may_use_no_external_access_is_left_out() -> None:
    given = decoded(tools=[{"type": "web_search", "external_web_access": False}]).conversation
    assert given.web_search is None
    assert [note.path for note in given.diagnostics] == ["tools.0"]


def test_options_add_to_what_the_search_tool_says() -> None:
    tool = {"type": "web_search", "max_uses": 2, "user_location": PLACE}
    kept = decoded(tools=[tool], web_search_options={}).conversation.web_search
    assert kept == WebSearch(max_uses=2, location=IN_WORDS, carried=False, path="tools.0")
    elsewhere = {"user_location": {"type": "approximate", "approximate": {"city": "Bern"}}}
    moved = decoded(tools=[tool], web_search_options=elsewhere).conversation.web_search
    assert moved is not None
    assert moved.location == "Bern"


OWN = function("web_search", parameters=QUERY)
HOSTED = {"type": "web_search", "max_uses": 3}


@pytest.mark.parametrize("tools", [[OWN, HOSTED], [HOSTED, OWN]], ids=["own first", "own last"])
def test_a_search_tool_makes_way_for_a_function_of_its_name(tools: list[dict[str, Any]]) -> None:
    given = decoded(tools=tools).conversation
    assert given.web_search is not None
    assert (given.web_search.name, given.web_search.max_uses) == ("web_search_2", 3)
    assert [tool.name for tool in given.tools] == ["web_search"]


@pytest.mark.parametrize(
    ("choice", "name"),
    [(function("web_search"), "web_search"), ({"type": "web_search"}, "web_search_2")],
    ids=["own", "hosted"],
)
def test_each_of_two_searches_can_be_demanded(choice: dict[str, Any], name: str) -> None:
    given = decoded(tools=[OWN, HOSTED], tool_choice=choice).conversation
    assert given.tool_choice == ToolChoice("tool", name)


@pytest.mark.parametrize(
    ("named", "tools", "search"),
    [(OWN, ["web_search"], None), (HOSTED, [], "web_search_2")],
    ids=["own", "hosted"],
)
def test_each_of_two_searches_can_be_allowed_alone(named: dict[str, Any], tools: list[str], search: Any) -> None:
    allowed = {"type": "allowed_tools", "allowed_tools": {"tools": [named]}}
    given = decoded(tools=[OWN, HOSTED], tool_choice=allowed).conversation
    assert [tool.name for tool in given.tools] == tools
    assert (given.web_search and given.web_search.name) == search
