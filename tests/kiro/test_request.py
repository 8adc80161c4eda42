"""The whole body: the service's invariants for any conversation, thinking, ids, and what real clients send."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ACCOUNT_HASH, MODEL_IDS, conversations

from kirotrio.conversation.request import (
    ClientSession,
    Conversation,
    Effort,
    Limits,
    OutputSchema,
    Text,
    ThinkingSetting,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    Turn,
)
from kirotrio.kiro.lint import violations
from kirotrio.kiro.models import STATIC_CATALOGUE, ModelProfile
from kirotrio.kiro.request import RequestOptions, UpstreamRequest, build_request, session_ids, with_profile

OPTIONS = RequestOptions(conversation_id="c-1", continuation_id="t-1", account_hash=ACCOUNT_HASH)
HI = Conversation("m", (Turn("user", (Text("Say hi"),)),), thinking=ThinkingSetting(enabled=False))
ARN = "arn:aws:codewhisperer:eu-central-1:123456789012:profile/ABCDEF"


def profile(name: str) -> ModelProfile:
    return STATIC_CATALOGUE.resolve(name, aliases={})


def build(conversation: Conversation, model: str = "claude-sonnet-4.5", **options: Any) -> UpstreamRequest:
    return build_request(conversation, profile(model), evolve(OPTIONS, **options))


def current(request: UpstreamRequest) -> dict[str, Any]:
    message: dict[str, Any] = request.body["conversationState"]["currentMessage"]["userInputMessage"]
    return message


def broken_invariants(body: dict[str, Any]) -> list[str]:
    """The seven rules that Kiro's own agent checks before it sends (KIRO_PROTOCOL 2.8), in its names."""
    state = body["conversationState"]
    messages = [*state.get("history", []), state["currentMessage"]]
    users = [message.get("userInputMessage") for message in messages]
    assistants = [message.get("assistantResponseMessage") for message in messages]
    broken: list[str] = []
    if users[0] is None:
        broken.append("STARTS_WITH_USER_MESSAGE")
    if users[-1] is None:
        broken.append("ENDS_WITH_USER_MESSAGE")
    if any((users[i] is None) == (users[i + 1] is None) for i in range(len(messages) - 1)):
        broken.append("ALTERNATING_MESSAGES")

    def results(index: int) -> list[str]:
        user = users[index] if 0 <= index < len(messages) else None
        context = (user or {}).get("userInputMessageContext", {})
        return [result["toolUseId"] for result in context.get("toolResults", [])]

    def uses(index: int) -> list[str]:
        assistant = assistants[index] if 0 <= index < len(messages) else None
        return [use["toolUseId"] for use in (assistant or {}).get("toolUses", [])]

    for index in range(len(messages)):
        if assistants[index] is not None and any(results(index + 1).count(use) != 1 for use in uses(index)):
            broken.append(f"TOOL_USES_AND_RESULTS at {index}")
        if results(index) and not uses(index - 1):
            broken.append(f"TOOL_RESULTS_AND_NO_USES at {index}")
        if set(results(index)) - set(uses(index - 1)):
            broken.append(f"TOOL_RESULTS_ORPHAN_IDS at {index}")
        user = users[index]
        if user is not None and not user["content"].strip() and not results(index):
            broken.append(f"NON_EMPTY_USER_MESSAGE at {index}")
    return broken


@settings(max_examples=100, deadline=None)
@given(conversations, st.sampled_from(MODEL_IDS), st.booleans(), st.integers(0, 400))
def test_any_conversation_becomes_a_body_that_the_service_takes(
    conversation: Conversation, model_id: str, strip: bool, description_length: int
) -> None:
    model = profile(model_id)
    options = evolve(OPTIONS, strip_signatures=strip, description_max_length=description_length)
    request = build_request(conversation, model, options)
    assert broken_invariants(request.body) == []
    assert violations(request.body, model) == []
    assert orjson.loads(orjson.dumps(request.body)) == request.body, "the body is plain JSON"
    tools = current(request).get("userInputMessageContext", {}).get("tools", [])
    assert {tool["toolSpecification"]["name"] for tool in tools} == set(request.tool_names)
    assert all(diagnostic.path and diagnostic.message for diagnostic in request.diagnostics)


@settings(max_examples=50, deadline=None)
@given(conversations)
def test_a_body_is_the_same_every_time_it_is_built(conversation: Conversation) -> None:
    assert build(conversation) == build(conversation)
    assert session_ids(conversation, ACCOUNT_HASH) == session_ids(conversation, ACCOUNT_HASH)


@settings(max_examples=50, deadline=None)
@given(conversations)
def test_what_every_turn_says_reaches_the_body_in_order(conversation: Conversation) -> None:
    marked = evolve(
        conversation,
        turns=tuple(
            evolve(turn, parts=(*turn.parts, Text(f"mark-{index}-end")))
            for index, turn in enumerate(conversation.turns)
        ),
        system=(*conversation.system, "mark-system-end"),
    )
    state = build(marked).body["conversationState"]
    messages = [*state.get("history", []), state["currentMessage"]]
    said = "\n".join(member["content"] for message in messages for member in message.values())
    places = [said.index(f"mark-{index}-end") for index in range(len(marked.turns))]
    assert said.index("mark-system-end") <= min(places, default=len(said))
    assert places == sorted(places), "turns stay in order"


def test_the_minimal_body() -> None:
    assert build(HI).body == {
        "conversationState": {
            "agentTaskType": "vibe",
            "chatTriggerType": "MANUAL",
            "conversationId": "c-1",
            "agentContinuationId": "t-1",
            "currentMessage": {
                "userInputMessage": {"content": "Say hi", "modelId": "claude-sonnet-4.5", "origin": "AI_EDITOR"}
            },
        }
    }


def test_origin_continuation_and_profile_are_the_callers() -> None:
    body = build(HI, origin="KIRO_CLI", continuation_id=None, profile_arn=ARN).body
    assert body["profileArn"] == ARN
    assert body["conversationState"]["currentMessage"]["userInputMessage"]["origin"] == "KIRO_CLI"
    assert "agentContinuationId" not in body["conversationState"]


def test_a_profile_is_replaced_without_touching_the_first_request() -> None:
    first = build(HI, profile_arn=ARN)
    other = ARN.replace("ABCDEF", "GHIJKL")
    assert with_profile(first, other).body["profileArn"] == other
    assert "profileArn" not in with_profile(first, "").body
    assert first.body["profileArn"] == ARN


# -- thinking --------------------------------------------------------------------------------------------------------


def test_a_tags_model_is_asked_to_think_ahead_of_the_system_text() -> None:
    asked = evolve(HI, system=("Be brief.",), thinking=ThinkingSetting(asked=True, budget=4000))
    request = build(asked)
    assert current(request)["content"] == (
        "<thinking_mode>enabled</thinking_mode>\n<max_thinking_length>4000</max_thinking_length>\n\nBe brief.\n\nSay hi"
    )
    assert request.tag_thinking
    assert not request.native_thinking
    assert "additionalModelRequestFields" not in request.body


def test_the_tags_stand_alone_without_a_system_text() -> None:
    request = build(evolve(HI, thinking=ThinkingSetting(asked=True, budget=9)))
    assert current(request)["content"].endswith("</max_thinking_length>\n\nSay hi")


def test_a_native_model_is_asked_in_its_fields() -> None:
    setting = ThinkingSetting(asked=True, effort=Effort.LOW, display="omitted")
    request = build(evolve(HI, thinking=setting, limits=Limits(32_000)), "claude-opus-4.8")
    assert request.body["additionalModelRequestFields"] == {
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "low"},
    }
    assert current(request)["content"] == "Say hi", "tags would end up in a native model's text"
    assert (request.tag_thinking, request.native_thinking) == (False, True)


def test_max_tokens_travels_only_where_there_is_a_field_and_no_thinking() -> None:
    off = evolve(HI, limits=Limits(500))
    assert build(off, "claude-opus-4.8").body["additionalModelRequestFields"]["max_tokens"] == 500
    assert "max_tokens" not in build(off, "claude-opus-5.5").body["additionalModelRequestFields"]
    assert "max_tokens" not in orjson.dumps(build(off, "gpt-5.6-sol").body).decode()
    assert "additionalModelRequestFields" not in build(off, "claude-sonnet-4.5").body


def test_a_model_that_cannot_be_turned_off_is_known_to_think() -> None:
    assert build(HI, "claude-opus-5.5").native_thinking
    assert not build(HI, "claude-opus-4.8").native_thinking


@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "claude-opus-4.8"])
def test_thinking_that_nobody_asked_for_is_withheld_where_it_would_cost_the_answer(model: str) -> None:
    request = build(evolve(HI, thinking=ThinkingSetting(enabled=True), limits=Limits(100)), model)
    assert (request.tag_thinking, request.native_thinking) == (False, False)
    assert "thinking" in [diagnostic.path for diagnostic in request.diagnostics]


def test_a_model_without_thinking_gets_neither() -> None:
    request = build(evolve(HI, thinking=ThinkingSetting(asked=True)), "glm-5")
    assert current(request)["content"] == "Say hi"
    assert "additionalModelRequestFields" not in request.body
    assert not request.tag_thinking
    assert not request.native_thinking


def test_a_schema_for_the_answer_ends_the_system_text() -> None:
    request = build(evolve(HI, system=("Be brief.",), output_schema=OutputSchema({"type": "object"})))
    assert current(request)["content"] == (
        "Be brief.\n\nAnswer with one JSON value that is valid against this JSON schema, and with nothing else: no "
        "Markdown fence, no words around it.\n"
        '{"type":"object"}\n\nSay hi'
    )
    assert "output_schema" in [diagnostic.path for diagnostic in request.diagnostics]


def test_a_tool_choice_is_asked_for_at_the_end_of_the_message() -> None:
    tool = Tool("a.b", "does it", {"type": "object"})
    request = build(evolve(HI, tools=(tool,), tool_choice=ToolChoice("tool", "a.b")))
    (sent,) = request.tool_names
    assert current(request)["content"] == f"Say hi\n\nCall the tool {sent}."


# -- ids (2.9, trap 31) ----------------------------------------------------------------------------------------------


def _grown(*more: Turn) -> Conversation:
    return evolve(HI, turns=(*HI.turns, *more))


CALLS = Turn("assistant", (ToolUse("t1", "Read", {}),))
RESULTS = Turn("user", (ToolResult("t1", (Text("ok"),)),))


def test_ids_stay_over_the_tool_round_trips_of_one_turn() -> None:
    assert session_ids(_grown(CALLS, RESULTS), "a") == session_ids(HI, "a")


def test_a_new_user_turn_changes_the_continuation_only() -> None:
    first = session_ids(HI, "a")
    again = session_ids(_grown(Turn("assistant", (Text("hi"),)), Turn("user", (Text("Say hi"),))), "a")
    assert again[0] == first[0]
    assert again[1] != first[1], "even a turn of the same words is another turn"


def test_the_conversation_id_is_the_sessions_on_one_account() -> None:
    session = evolve(HI, session=ClientSession("s-1", "metadata"))
    elsewhere = evolve(_grown(), turns=(Turn("user", (Text("other"),)),), session=ClientSession("s-1", "header"))
    assert session_ids(session, "a")[0] == session_ids(elsewhere, "a")[0]
    assert session_ids(session, "a")[0] != session_ids(session, "b")[0]
    assert session_ids(session, "a")[0] != session_ids(HI, "a")[0]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", session_ids(session, "a")[1])


def test_without_a_session_the_first_turn_tells_conversations_apart() -> None:
    other = evolve(HI, turns=(Turn("user", (Text("Say ho"),)),))
    assert session_ids(HI, "a")[0] != session_ids(other, "a")[0]


# -- what real clients send ------------------------------------------------------------------------------------------

SAMPLES = sorted((Path(__file__).parents[1] / "data" / "clients").glob("*.json"))
SAMPLES = [path for path in SAMPLES if json.loads(path.read_text())["path"].startswith("/v1/messages")]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "claude-opus-5.5", "gpt-5.6-sol", "auto"])
def test_samples_of_real_clients_become_bodies_that_the_service_takes(sample: Path, model: str) -> None:
    request = build(_read_sample(sample), model)
    assert broken_invariants(request.body) == []
    assert violations(request.body, profile(model)) == []
    body = orjson.dumps(request.body).decode()
    assert "x-anthropic-billing-header" not in body
    assert "$schema" not in body


def test_the_tools_that_claude_code_has_loaded_are_sent_and_the_deferred_ones_are_not() -> None:
    (sample,) = [path for path in SAMPLES if path.stem == "claude_code-036"]
    request = build(_read_sample(sample), "claude-opus-5.5")
    assert {"WebFetch", "WebSearch", "ToolSearch"} <= set(request.tool_names)
    assert "DeferredToolPlaceholder" not in request.tool_names


def _read_sample(path: Path) -> Conversation:
    """As much of the Messages format as the samples use."""
    body = json.loads(path.read_text())["body"]
    turns = []
    for number, message in enumerate(body["messages"]):
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        turns.append(Turn(message["role"], tuple(map(_read_block, blocks)), f"messages.{number}"))
    tools = tuple(
        Tool(
            tool["name"],
            tool.get("description", ""),
            tool.get("input_schema"),
            kind=tool.get("type", ""),
            deferred=tool.get("defer_loading", False),
        )
        for tool in body.get("tools", [])
    )
    system = tuple(block["text"] for block in body.get("system", []))
    return Conversation(body["model"], tuple(turns), system, tools)


def _read_block(block: dict[str, Any]) -> Any:
    from kirotrio.conversation.request import Document, Image, Thinking, ToolReference

    match block["type"]:
        case "text":
            return Text(block["text"])
        case "thinking":
            return Thinking(block["thinking"], block["signature"])
        case "tool_use":
            return ToolUse(block["id"], block["name"], block["input"])
        case "tool_reference":
            return ToolReference(block["tool_name"])
        case "image":
            return Image(block["source"]["media_type"], block["source"]["data"])
        case "document":
            return Document(block["source"]["media_type"], block["source"]["data"], block.get("title"))
        case "tool_result":
            content = block["content"]
            inner = [{"type": "text", "text": content}] if isinstance(content, str) else content
            return ToolResult(block["tool_use_id"], tuple(map(_read_block, inner)), block.get("is_error", False))
        case kind:
            raise AssertionError(f"the samples grew a block of type {kind}")
