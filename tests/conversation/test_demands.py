"""What an answer is held to, and what the model is told when it falls short."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation.demands import Answered, Unmet, asked_again, demanding, unmet
from kirotrio.conversation.events import (
    ContextMeasured,
    Event,
    Finish,
    ServerToolCall,
    StopCause,
    TextDelta,
    ThinkingDelta,
    ToolCall,
)
from kirotrio.conversation.request import (
    Conversation,
    OutputSchema,
    Text,
    Tool,
    ToolChoice,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
    WebFetch,
    WebSearch,
)

HELLO = Turn("user", (Text("Say hi"),), "messages.0")
READ = Tool("Read", "", {"type": "object"})
BASH = Tool("Bash", "", {"type": "object"})
ANY_OBJECT = OutputSchema(None, path="response_format")
ANY, NAMED = ToolChoice("any"), ToolChoice("tool", "Read")


def asking(**changes: Any) -> Conversation:
    return Conversation(**{"model": "m", "turns": (HELLO,), **changes})


def call(name: str, identifier: str = "t1") -> ToolCall:
    return ToolCall(identifier, name, "{}")


def answered(*events: Event, cause: StopCause = StopCause.END_TURN) -> Answered:
    answer = Answered()
    answer.feed([*events, Finish(cause)])
    return answer


def kind_of(missing: Unmet | None) -> str | None:
    return missing.kind if missing else None


# Tool choice


@pytest.mark.parametrize(
    ("choice", "calls", "kind"),
    [
        (ANY, [], "tool_choice"),
        (ANY, ["Bash"], None),
        (ANY, ["Unheard"], "tool_choice"),
        (NAMED, [], "tool_choice"),
        (NAMED, ["Bash"], "tool_choice"),
        (NAMED, ["Bash", "Read"], None),
        (ToolChoice("tool", "Unheard"), ["Bash"], None),
        (ToolChoice("auto"), [], None),
        (ToolChoice("none"), ["Read"], None),
        (ToolChoice("auto", parallel=False), ["Read"], None),
        (ToolChoice("auto", parallel=False), ["Read", "Bash"], "several_calls"),
        (ToolChoice("tool", "Read", parallel=False), ["Bash", "Bash"], "tool_choice"),
    ],
)
def test_a_tool_choice_is_verified_on_the_calls(choice: ToolChoice, calls: list[str], kind: str | None) -> None:
    conversation = asking(tools=(READ, BASH), tool_choice=choice)
    cause = StopCause.TOOL_USE if calls else StopCause.END_TURN
    assert kind_of(unmet(conversation, answered(TextDelta("Hi"), *map(call, calls), cause=cause))) == kind


@pytest.mark.parametrize(
    "tools",
    [(), (Tool("Read", kind="code_execution_20250825"),), (Tool("Read", "", {}, deferred=True),)],
    ids=["none", "a server's", "not loaded"],
)
def test_nobody_is_held_to_tools_that_were_not_offered(tools: tuple[Tool, ...]) -> None:
    assert unmet(asking(tools=tools, tool_choice=ANY), answered(TextDelta("Hi"))) is None


def test_a_tool_that_was_loaded_is_offered() -> None:
    found = Turn("user", (ToolResult("t0", (ToolReference("Read"),)),))
    conversation = asking(turns=(HELLO, found), tools=(Tool("Read", "", {}, deferred=True),), tool_choice=ANY)
    assert kind_of(unmet(conversation, answered(TextDelta("Hi")))) == "tool_choice"


def test_a_clients_tool_of_a_known_kind_is_offered() -> None:
    typed = Tool("Read", kind="text_editor_20250728", input_schema={"type": "object"})
    assert kind_of(unmet(asking(tools=(typed,), tool_choice=ANY), answered(TextDelta("Hi")))) == "tool_choice"


@pytest.mark.parametrize("choice", [ANY, ToolChoice("tool", "look_up")])
@pytest.mark.parametrize(
    ("offer", "ran", "other"),
    [
        ({"web_search": WebSearch("look_up")}, "web_search", "web_fetch"),
        ({"web_fetch": WebFetch("look_up")}, "web_fetch", "web_search"),
    ],
)
def test_a_tool_that_the_server_ran_counts_by_the_clients_name(
    choice: ToolChoice, offer: dict[str, Any], ran: Any, other: Any
) -> None:
    conversation = asking(tool_choice=choice, **offer)
    assert unmet(conversation, answered(ServerToolCall("a", ran, {}), TextDelta("Hi"))) is None
    assert unmet(conversation, answered(ServerToolCall("a", ran, {}), call("Unheard"))) is None
    assert kind_of(unmet(conversation, answered(ServerToolCall("a", other, {})))) == "tool_choice"
    assert kind_of(unmet(conversation, answered(TextDelta("Hi")))) == "tool_choice"


# Output


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([TextDelta('{"a"'), ThinkingDelta("hm"), ContextMeasured(3), TextDelta(":1}")], None),
        ([TextDelta("Hi")], "output"),
        ([TextDelta("[]")], "output"),
        ([TextDelta("Let me see."), call("Read")], None),
        ([TextDelta("Let me see."), ServerToolCall("a", "web_search", {}), TextDelta("{}")], "output"),
        ([ServerToolCall("a", "web_search", {}), TextDelta("{}")], None),
    ],
    ids=["met", "prose", "no object", "a call", "prose ahead of a search", "a search"],
)
def test_the_whole_text_has_to_be_json_unless_a_tool_is_called(events: list[Event], kind: str | None) -> None:
    assert kind_of(unmet(asking(output_schema=ANY_OBJECT, tools=(READ,)), answered(*events))) == kind


def test_the_schema_is_what_counts_and_is_told() -> None:
    conversation = asking(output_schema=OutputSchema({"properties": {"a": {"type": "string"}}}))
    assert unmet(conversation, answered(TextDelta('{"a":"x"}'))) is None
    missing = unmet(conversation, answered(TextDelta('{"a":1}')))
    assert missing is not None
    assert "$.a: must be of type string" in missing.message


def test_a_tool_that_had_to_be_called_comes_first() -> None:
    conversation = asking(output_schema=ANY_OBJECT, tools=(READ,), tool_choice=ANY)
    assert kind_of(unmet(conversation, answered(TextDelta("Hi")))) == "tool_choice"
    assert kind_of(unmet(asking(output_schema=ANY_OBJECT, tool_choice=ANY), answered(TextDelta("Hi")))) == "output"


@pytest.mark.parametrize(("text", "kind"), [('"a":1}', None), ('{"a":1}', None), ('"a"', "output")])
def test_an_answer_that_the_client_began_may_go_on_or_begin_anew(text: str, kind: str | None) -> None:
    begun = Turn("assistant", (Text("{"), Text(" ")), "messages.1")
    conversation = asking(turns=(HELLO, begun), output_schema=ANY_OBJECT)
    assert kind_of(unmet(conversation, answered(TextDelta(text)))) == kind


@pytest.mark.parametrize("cause", [cause for cause in StopCause if cause.value not in ("end_turn", "tool_use")])
def test_an_answer_that_did_not_come_to_its_end_is_held_to_nothing(cause: StopCause) -> None:
    conversation = asking(output_schema=ANY_OBJECT, tools=(READ,), tool_choice=NAMED)
    assert unmet(conversation, answered(TextDelta('{"a":'), cause=cause)) is None


def test_the_clock_is_handed_on() -> None:
    ticks: list[None] = []
    unmet(asking(output_schema=OutputSchema({"type": "object"})), answered(TextDelta("{}")), lambda: ticks.append(None))
    assert ticks, "a schema at work could not be ended"


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, False),
        ({"tools": (READ,)}, False),
        ({"tool_choice": ToolChoice("none")}, False),
        ({"output_schema": ANY_OBJECT}, True),
        ({"tool_choice": ANY}, True),
        ({"tool_choice": NAMED}, True),
        ({"tools": (READ,), "tool_choice": ToolChoice(parallel=False)}, True),
        ({"tool_choice": ToolChoice(parallel=False)}, False),
    ],
)
def test_only_answers_that_something_is_demanded_of_are_looked_at(changes: dict[str, Any], wanted: bool) -> None:
    assert demanding(asking(**changes)) is wanted


def test_an_answer_that_is_void_is_forgotten() -> None:
    answer = answered(TextDelta("Hi"), call("Read"), ServerToolCall("a", "web_search", {}))
    answer.clear()
    assert answer == Answered()


# Asking again


@given(st.text(max_size=5), st.lists(st.dictionaries(st.text("ab", max_size=2), st.integers(), max_size=2), max_size=3))
def test_what_was_said_and_what_is_missing_become_two_more_turns(text: str, inputs: list[dict[str, Any]]) -> None:
    calls = [ToolCall(f"t{at}", "Bash", json.dumps(given)) for at, given in enumerate(inputs)]
    conversation = asking(tools=(READ,), tool_choice=NAMED)
    again = asked_again(conversation, answered(TextDelta(text), *calls), Unmet("tool_choice", "it is not good"))
    first, said, demand = again.turns
    assert first is HELLO
    assert (said.role, demand.role) == ("assistant", "user")
    uses = tuple(ToolUse(f"t{at}", "Bash", given) for at, given in enumerate(inputs))
    assert said.parts == ((Text(text),) if text.strip() else ()) + uses
    *results, words = demand.parts
    assert [result.tool_use_id for result in results if isinstance(result, ToolResult) and result.is_error] == [
        use.id for use in uses
    ], "upstream wants a result for each call"
    assert isinstance(words, Text)
    assert "it is not good" in words.text
    assert again.tool_choice is conversation.tool_choice
