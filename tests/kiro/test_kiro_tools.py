"""Tools of a request: names, descriptions, what the history needs, what is withheld, what is asked for in text."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import tool_names, tool_use_ids

from kirotrio.conversation.request import (
    Conversation,
    ServerToolResult,
    Text,
    ThinkingSetting,
    Tool,
    ToolChoice,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
)
from kirotrio.kiro.lint import violations
from kirotrio.kiro.models import STATIC_CATALOGUE
from kirotrio.kiro.names import TOOL_NAME, TOOL_USE_ID, upstream_tool_names, upstream_tool_use_id
from kirotrio.kiro.request import RequestOptions, UpstreamRequest, build_request

ASK = Turn("user", (Text("go"),), "messages.0")


def used(name: str, *content: Any) -> tuple[Turn, ...]:
    """A round trip with one tool."""
    return (
        Turn("assistant", (ToolUse("t", name, {}),), "messages.1"),
        Turn("user", (ToolResult("t", content or (Text("ok"),)),), "messages.2"),
    )


@frozen
class Sent:
    request: UpstreamRequest
    content: str
    first: str
    tools: dict[str, dict[str, Any]]
    has_context: bool

    def noted(self, path: str) -> bool:
        return path in [diagnostic.path for diagnostic in self.request.diagnostics]


def send(*tools: Tool, turns: tuple[Turn, ...] = (), choice: ToolChoice | None = None, limit: int = 10_000) -> Sent:
    conversation = Conversation(
        "m",
        (ASK, *turns),
        ("Be brief.",),
        tools,
        choice or ToolChoice(),
        thinking=ThinkingSetting(enabled=False),
    )
    model = STATIC_CATALOGUE.resolve("claude-sonnet-4.5", aliases={})
    request = build_request(conversation, model, RequestOptions(conversation_id="c", description_max_length=limit))
    assert violations(request.body, model) == []
    state = request.body["conversationState"]
    current = state["currentMessage"]["userInputMessage"]
    first = state["history"][0]["userInputMessage"] if "history" in state else current
    specifications = [t["toolSpecification"] for t in current.get("userInputMessageContext", {}).get("tools", [])]
    return Sent(
        request,
        current["content"],
        first["content"],
        {specification["name"]: specification for specification in specifications},
        "userInputMessageContext" in current,
    )


# -- names -----------------------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(st.lists(tool_names, max_size=6), st.lists(tool_names, max_size=4))
def test_every_name_is_taken_and_no_two_tools_share_one(declared: list[str], historic: list[str]) -> None:
    sent = upstream_tool_names(declared, historic)
    assert set(sent) == {*declared, *historic}
    assert all(TOOL_NAME.fullmatch(name) and len(name) <= 63 for name in sent.values())
    lowered = [sent[name].lower() for name in dict.fromkeys(declared)]
    assert len(set(lowered)) == len(lowered), "upstream compares names without regard to case"


@given(tool_use_ids, st.integers(0, 3))
def test_every_tool_use_id_is_taken(identifier: str, occurrence: int) -> None:
    assert TOOL_USE_ID.fullmatch(upstream_tool_use_id(identifier, occurrence))
    assert upstream_tool_use_id(identifier, occurrence) != upstream_tool_use_id(identifier, occurrence + 1)


def test_fit_names_stay() -> None:
    assert upstream_tool_names(["Read", "mcp__a-b_c", "x" * 63], []) == {
        "Read": "Read",
        "mcp__a-b_c": "mcp__a-b_c",
        "x" * 63: "x" * 63,
    }


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.b c", "a_b_c_"), ("1st", "t1st_"), ("y" * 200, "y" * 54 + "_"), ("x" * 64, "x" * 54 + "_"), ("", "t_")],
)
def test_unfit_names_keep_what_they_can_and_come_back(name: str, start: str) -> None:
    sent = send(Tool(name, "d"), turns=used(name))
    (short,) = sent.tools
    assert short.startswith(start)
    assert len(short) <= 63
    assert sent.request.tool_names == {short: name}
    history = sent.request.body["conversationState"]["history"]
    assert history[1]["assistantResponseMessage"]["toolUses"][0]["name"] == short


def test_a_name_that_looks_like_a_shortened_one_is_not_confused_with_it() -> None:
    short = upstream_tool_names(["a.b"], [])["a.b"]
    names = upstream_tool_names(["a.b", short], [])
    assert names[short] == short
    assert names["a.b"] != short


def test_names_that_differ_only_in_case_are_told_apart() -> None:
    sent = send(Tool("Read", "d"), Tool("read", "d"))
    assert len(sent.tools) == 2
    assert sorted(sent.request.tool_names.values()) == ["Read", "read"]


# -- specifications --------------------------------------------------------------------------------------------------


def test_a_tool_as_it_is_sent() -> None:
    sent = send(Tool("Read", "reads", {"type": "object", "properties": {"p": {"type": "string"}}}))
    assert sent.tools["Read"] == {
        "name": "Read",
        "description": "reads",
        "inputSchema": {"json": {"type": "object", "properties": {"p": {"type": "string"}}}},
    }


def test_without_tools_there_is_neither_list_nor_context() -> None:
    assert not send().has_context


@pytest.mark.parametrize("description", ["", " \n"])
def test_a_description_is_never_empty(description: str) -> None:
    assert send(Tool("Read", description)).tools["Read"]["description"] == "Tool Read"


def test_a_long_description_moves_to_the_system_text_whole() -> None:
    long = "Reads a file.\n\n" + "detail " * 100
    sent = send(Tool("Read", long, path="tools.0"), limit=300)
    assert sent.first == f'Be brief.\n\n<tool_description name="Read">\n{long}\n</tool_description>\n\ngo'
    left = sent.tools["Read"]["description"]
    assert left.startswith("Reads a file.\n\n")
    assert '<tool_description name="Read">' in left
    assert len(left) <= 300
    assert sent.noted("tools.0.description")


def test_a_description_of_the_greatest_length_stays() -> None:
    assert send(Tool("Read", "d" * 300), limit=300).tools["Read"]["description"] == "d" * 300


def test_a_second_tool_of_a_name_is_left_out() -> None:
    sent = send(Tool("Read", "first"), Tool("Read", "second"))
    assert sent.tools["Read"]["description"] == "first"
    assert sent.noted("tools.1")


# -- what the history needs ------------------------------------------------------------------------------------------


def test_a_tool_of_the_history_that_is_no_longer_offered_is_specified_all_the_same() -> None:
    sent = send(Tool("Read", "reads"), turns=used("Bash"))
    assert set(sent.tools) == {"Read", "Bash"}
    assert sent.tools["Bash"]["inputSchema"] == {"json": {"type": "object", "properties": {}}}
    assert sent.request.tool_names["Bash"] == "Bash"
    assert sent.noted("messages.1.content.0")


def test_a_request_without_tools_gets_those_of_its_history() -> None:
    assert set(send(turns=used("Bash")).tools) == {"Bash"}


def test_the_history_may_spell_a_tool_in_another_case() -> None:
    sent = send(Tool("Bash", "runs"), turns=used("bash"))
    assert set(sent.tools) == {"Bash"}
    assert sent.request.tool_names == {"Bash": "Bash"}


# -- deferred and server tools ---------------------------------------------------------------------------------------

SEARCH = Tool("ToolSearch", "finds")
DEFERRED = Tool("WebFetch", "fetches", deferred=True, path="tools.1")


def test_a_deferred_tool_is_sent_once_it_was_loaded() -> None:
    before = send(SEARCH, DEFERRED)
    assert set(before.tools) == {"ToolSearch"}
    assert before.noted("tools.1")
    assert set(send(SEARCH, DEFERRED, turns=used("ToolSearch", ToolReference("WebFetch"))).tools) == {
        "ToolSearch",
        "WebFetch",
    }


def test_a_search_by_the_server_loads_tools_too() -> None:
    content = {
        "type": "tool_search_tool_search_result",
        "tool_references": [{"type": "tool_reference", "tool_name": "WebFetch"}],
    }
    found = Turn("assistant", (ServerToolResult("s", "tool_search_tool_result", content),))
    assert "WebFetch" in send(SEARCH, DEFERRED, turns=(found, ASK)).tools


def test_a_deferred_tool_that_was_called_before_keeps_its_own_specification() -> None:
    assert send(DEFERRED, turns=used("WebFetch")).tools["WebFetch"]["description"] == "fetches"


def test_a_servers_tool_is_left_out_with_a_note() -> None:
    sent = send(Tool("web_search", kind="web_search_20250305"))
    assert not sent.has_context
    assert sent.noted("tools.0")


def test_a_typed_tool_with_a_schema_is_the_clients() -> None:
    assert set(send(Tool("f", "d", {"type": "object"}, kind="function")).tools) == {"f"}


# -- tool choice -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "line"),
    [
        (ToolChoice("any"), "Call one of the tools."),
        (ToolChoice("tool", "Read"), "Call the tool Read."),
        (ToolChoice("auto", parallel=False), "Call at most one tool."),
        (ToolChoice("any", parallel=False), "Call one of the tools. Call at most one tool."),
    ],
)
def test_a_choice_is_one_line_at_the_end_of_the_message(choice: ToolChoice, line: str) -> None:
    sent = send(Tool("Read", "reads"), choice=choice)
    assert sent.content.endswith(f"go\n\n{line}")
    assert sent.noted("tool_choice")
    assert send(Tool("Read", "reads"), turns=used("Read"), choice=choice).content == line


def test_no_choice_adds_no_text() -> None:
    sent = send(Tool("Read", "reads"))
    assert sent.content == "Be brief.\n\ngo"
    assert not sent.noted("tool_choice")


@pytest.mark.parametrize("choice", [ToolChoice("tool", "Bash"), ToolChoice("tool")])
def test_a_choice_of_a_tool_that_is_not_there_is_only_noted(choice: ToolChoice) -> None:
    sent = send(Tool("Read", "reads"), choice=choice)
    assert sent.content == "Be brief.\n\ngo"
    assert sent.noted("tool_choice")


def test_the_choice_of_none_withholds_the_tools() -> None:
    sent = send(Tool("Read", "reads"), choice=ToolChoice("none"))
    assert not sent.has_context
    assert sent.content == "Be brief.\n\ngo"
    assert sent.noted("tool_choice")


def test_the_choice_of_none_leaves_the_history_its_names() -> None:
    sent = send(Tool("Read", "reads"), Tool("Bash", "runs"), turns=used("Read"), choice=ToolChoice("none"))
    assert set(sent.tools) == {"Read"}
    assert "not available now" in sent.tools["Read"]["description"]
    assert sent.content == "Answer without calling a tool."


def test_a_choice_loads_a_deferred_tool() -> None:
    assert "WebFetch" in send(evolve(DEFERRED), choice=ToolChoice("tool", "WebFetch")).tools


# -- a conversation that goes on ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from([4, 300, 10_000]), st.booleans()), min_size=2, max_size=5))
def test_a_tool_that_comes_again_is_sent_and_noted_as_one_that_is_new(asked: list[tuple[int, bool]]) -> None:
    schemas = ({"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "object", "oneOf": [{}]})
    tools = [Tool("Read", "reads files " * 9, schema) for schema in schemas]
    tools = [evolve(tool, path=f"tools.{number}") for number, tool in enumerate(tools)]
    for limit, crowded in asked:
        # In front of it a tool whose name is the same but for its case: the second is sent under another name.
        before = [Tool("READ", "shouts", path="tools.9")] if crowded else []
        for tool in tools:
            sent, new = send(*before, tool, limit=limit), send(*before, evolve(tool), limit=limit)
            assert sent.request == new.request
            assert sent.content == new.content
