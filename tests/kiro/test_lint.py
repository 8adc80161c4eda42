"""Each rule of the linter: a body that is taken, one change, and what the service says of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import json_values

from kirotrio.kiro.lint import Violation, violations
from kirotrio.kiro.models import STATIC_CATALOGUE

ARN = "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK"
READ = {
    "toolSpecification": {
        "name": "Read",
        "description": "reads",
        "inputSchema": {"json": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}},
    }
}
BODY: dict[str, Any] = {
    "conversationState": {
        "agentTaskType": "vibe",
        "chatTriggerType": "MANUAL",
        "conversationId": "5f2a360b-65c1-401c-b581-5770e66ce739",
        "agentContinuationId": "d52cac92-49c3-459f-a5f0-074671032457",
        "history": [
            {
                "userInputMessage": {
                    "content": "look",
                    "modelId": "claude-opus-4.8",
                    "origin": "AI_EDITOR",
                    "images": [{"format": "png", "source": {"bytes": "AAAA"}}],
                }
            },
            {
                "assistantResponseMessage": {
                    "content": "",
                    "toolUses": [
                        {"toolUseId": "t1", "name": "Read", "input": {"path": "/a"}},
                        {"toolUseId": "t2", "name": "read", "input": {}},
                    ],
                    "reasoningContent": {"reasoningText": {"text": "plan", "signature": "c2ln"}},
                }
            },
        ],
        "currentMessage": {
            "userInputMessage": {
                "content": "",
                "modelId": "claude-opus-4.8",
                "origin": "AI_EDITOR",
                "userInputMessageContext": {
                    "toolResults": [
                        {"toolUseId": "t1", "content": [{"text": "ok"}], "status": "success"},
                        {"toolUseId": "t2", "content": [{"json": {}}]},
                    ],
                    "tools": [READ],
                },
            }
        },
    },
    "profileArn": ARN,
    "agentMode": "vibe",
    "additionalModelRequestFields": {
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high"},
        "max_tokens": 32000,
    },
}
MINIMAL: dict[str, Any] = {
    "conversationState": {
        "chatTriggerType": "MANUAL",
        "currentMessage": {"userInputMessage": {"content": "Say hi"}},
    }
}
STATE = "conversationState"
CURRENT = f"{STATE}.currentMessage.userInputMessage"
CONTEXT = f"{CURRENT}.userInputMessageContext"
FIRST = f"{STATE}.history.0.userInputMessage"
ANSWER = f"{STATE}.history.1.assistantResponseMessage"
SPECIFICATION = f"{CONTEXT}.tools.0.toolSpecification"
SCHEMA = f"{SPECIFICATION}.inputSchema.json"
FIELDS = "additionalModelRequestFields"

MALFORMED = "REQUEST_BODY_INVALID"
MISMATCH = "TOOL_USE_RESULT_MISMATCH"
BAD_SCHEMA = "TOOL_SCHEMA_INVALID"
GONE = object()


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the body with another value at `path`, or, for GONE, with nothing there."""
    out = copy.deepcopy(body)
    *steps, last = path.split(".")
    place: Any = out
    for step in steps:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if value is GONE:
        del place[int(last) if isinstance(place, list) else last]
    elif isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return out


def found(body: Any, **options: Any) -> list[tuple[str, str | None]]:
    return [(violation.path, violation.reason) for violation in violations(body, **options)]


def test_bodies_that_the_service_takes() -> None:
    assert violations(BODY) == []
    assert violations(BODY, STATIC_CATALOGUE.resolve("claude-opus-4.8", aliases={})) == []
    assert violations(MINIMAL) == []


RULES = [
    # root and conversationState
    ("systemPrompt", "S", "systemPrompt", MALFORMED),
    ("inferenceConfig", {}, "inferenceConfig", MALFORMED),
    (STATE, GONE, STATE, MALFORMED),
    (STATE, [], STATE, MALFORMED),
    ("profileArn", "arn:aws:iam::1:user/x", "profileArn", None),
    ("profileArn", "", "profileArn", None),
    ("agentMode", 1, "agentMode", MALFORMED),
    (f"{STATE}.chatTriggerType", "AUTO", f"{STATE}.chatTriggerType", MALFORMED),
    (f"{STATE}.chatTriggerType", GONE, f"{STATE}.chatTriggerType", MALFORMED),
    (f"{STATE}.agentTaskType", "chat", f"{STATE}.agentTaskType", MALFORMED),
    (f"{STATE}.conversationId", 7, f"{STATE}.conversationId", MALFORMED),
    (f"{STATE}.agentContinuationId", "", f"{STATE}.agentContinuationId", MALFORMED),
    (f"{STATE}.history", {}, f"{STATE}.history", MALFORMED),
    (f"{STATE}.currentMessage", GONE, f"{STATE}.currentMessage", MALFORMED),
    # user messages
    (f"{CURRENT}.content", GONE, f"{CURRENT}.content", MALFORMED),
    (f"{CURRENT}.content", None, f"{CURRENT}.content", MALFORMED),
    (f"{CURRENT}.origin", "KIRO_IDE", f"{CURRENT}.origin", MALFORMED),
    (f"{CURRENT}.modelId", "", f"{CURRENT}.modelId", "INVALID_MODEL_ID"),
    (f"{FIRST}.content", "", f"{FIRST}.content", MALFORMED),
    (f"{FIRST}.userInputMessageContext", {}, f"{FIRST}.userInputMessageContext", MALFORMED),
    (f"{FIRST}.images.0.format", "jpg", f"{FIRST}.images.0.format", MALFORMED),
    (f"{FIRST}.images.0.source.bytes", "data:image/png;base64,AA==", f"{FIRST}.images.0.source.bytes", MALFORMED),
    (f"{FIRST}.images.0.source.bytes", "", f"{FIRST}.images.0.source.bytes", MALFORMED),
    (f"{FIRST}.images.0.source", {"url": "http://x"}, f"{FIRST}.images.0.source.bytes", MALFORMED),
    (f"{FIRST}.images.0", "AAAA", f"{FIRST}.images.0", MALFORMED),
    (f"{FIRST}.content", "a\ud83d", f"{FIRST}.content", MALFORMED),
    # assistant messages
    (f"{ANSWER}.content", GONE, f"{ANSWER}.content", MALFORMED),
    (f"{ANSWER}.modelId", "claude-opus-4.8", f"{ANSWER}.modelId", MALFORMED),
    (f"{ANSWER}.toolUses.0.input", '{"path": "/a"}', f"{ANSWER}.toolUses.0.input", MALFORMED),
    (f"{ANSWER}.toolUses.0.name", "a.b", f"{ANSWER}.toolUses.0.name", MALFORMED),
    (f"{ANSWER}.reasoningContent", {}, f"{ANSWER}.reasoningContent", MALFORMED),
    (f"{ANSWER}.reasoningContent", {"redactedContent": ""}, f"{ANSWER}.reasoningContent.redactedContent", MALFORMED),
    (
        f"{ANSWER}.reasoningContent.reasoningText.signature",
        GONE,
        f"{ANSWER}.reasoningContent.reasoningText.signature",
        "THINKING_SIGNATURE_INVALID",
    ),
    # tool results
    (f"{CONTEXT}.toolResults.1", GONE, f"{CONTEXT}.toolResults", MISMATCH),
    (f"{CONTEXT}.toolResults.0.content", [], f"{CONTEXT}.toolResults.0.content", MALFORMED),
    (f"{CONTEXT}.toolResults.0.content", "ok", f"{CONTEXT}.toolResults.0.content", MALFORMED),
    (f"{CONTEXT}.toolResults.0.content.0.text", "", f"{CONTEXT}.toolResults.0.content.0.text", MALFORMED),
    (f"{CONTEXT}.toolResults.0.status", "ERROR", f"{CONTEXT}.toolResults.0.status", MALFORMED),
    # tools
    (f"{SPECIFICATION}.description", "", f"{SPECIFICATION}.description", MALFORMED),
    (f"{SPECIFICATION}.description", "d" * 10_241, f"{SPECIFICATION}.description", MALFORMED),
    (f"{SPECIFICATION}.inputSchema", GONE, f"{SPECIFICATION}.inputSchema", MALFORMED),
    (SCHEMA, GONE, SCHEMA, BAD_SCHEMA),
    (SCHEMA, "{}", SCHEMA, BAD_SCHEMA),
    (f"{SCHEMA}.type", GONE, f"{SCHEMA}.type", BAD_SCHEMA),
    (f"{SCHEMA}.type", "string", f"{SCHEMA}.type", BAD_SCHEMA),
    (f"{SCHEMA}.anyOf", [{}], f"{SCHEMA}.anyOf", BAD_SCHEMA),
    (f"{SCHEMA}.required", None, f"{SCHEMA}.required", BAD_SCHEMA),
    (f"{SCHEMA}.required", [], f"{SCHEMA}.required", BAD_SCHEMA),
    (f"{SCHEMA}.required", ["path", 7], f"{SCHEMA}.required", BAD_SCHEMA),
    (f"{SCHEMA}.properties", None, f"{SCHEMA}.properties", BAD_SCHEMA),
    (f"{SCHEMA}.properties", [], f"{SCHEMA}.properties", BAD_SCHEMA),
    (f"{SCHEMA}.additionalProperties", None, f"{SCHEMA}.additionalProperties", BAD_SCHEMA),
    (f"{SCHEMA}.$ref", "#/$defs/x", f"{SCHEMA}.$ref", BAD_SCHEMA),
    (f"{SCHEMA}.$defs", {}, f"{SCHEMA}.$defs", BAD_SCHEMA),
    (f"{SCHEMA}.$schema", "draft-99", f"{SCHEMA}.$schema", BAD_SCHEMA),
    (f"{SCHEMA}.properties.a b", {}, f"{SCHEMA}.properties.a b", BAD_SCHEMA),
    (f"{SCHEMA}.properties.path", None, f"{SCHEMA}.properties.path", BAD_SCHEMA),
    (f"{SCHEMA}.properties.path.type", "any", f"{SCHEMA}.properties.path.type", BAD_SCHEMA),
    (f"{SCHEMA}.properties.path.type", None, f"{SCHEMA}.properties.path.type", BAD_SCHEMA),
    (f"{SCHEMA}.properties.path.description", 7, f"{SCHEMA}.properties.path.description", BAD_SCHEMA),
    (f"{SCHEMA}.properties.path.oneOf", [], f"{SCHEMA}.properties.path.oneOf", BAD_SCHEMA),
    (f"{SCHEMA}.properties.path.oneOf", [{"required": []}], f"{SCHEMA}.properties.path.oneOf.0.required", BAD_SCHEMA),
    (f"{SCHEMA}.properties.path.items", {"$ref": "#"}, f"{SCHEMA}.properties.path.items.$ref", BAD_SCHEMA),
    # fields of the model
    (FIELDS, [], FIELDS, MALFORMED),
    (f"{FIELDS}.temperature", 1, f"{FIELDS}.temperature", None),
    (f"{FIELDS}.output_config.effort", "minimal", f"{FIELDS}.output_config.effort", MALFORMED),
    (f"{FIELDS}.thinking.type", "enabled", f"{FIELDS}.thinking.type", MALFORMED),
    (f"{FIELDS}.thinking.display", "full", f"{FIELDS}.thinking.display", MALFORMED),
    (f"{FIELDS}.max_tokens", 0, f"{FIELDS}.max_tokens", MALFORMED),
    (f"{FIELDS}.max_tokens", True, f"{FIELDS}.max_tokens", MALFORMED),
]


@pytest.mark.parametrize(("path", "value", "at", "reason"), RULES)
def test_one_change_is_one_violation_at_its_place(path: str, value: Any, at: str, reason: str | None) -> None:
    assert found(changed(BODY, path, value)) == [(at, reason)]


@pytest.mark.parametrize("path", [f"{ANSWER}.toolUses.0", f"{CONTEXT}.tools.0", f"{CONTEXT}.toolResults.0"])
@pytest.mark.parametrize("value", ["x", None, []])
def test_what_has_to_be_an_object_is_named_first(path: str, value: Any) -> None:
    assert (path, MALFORMED) in found(changed(BODY, path, value))


def test_a_tool_that_is_of_no_kind() -> None:
    assert (f"{CONTEXT}.tools.0", MALFORMED) in found(changed(BODY, f"{CONTEXT}.tools.0", {}))


@pytest.mark.parametrize("body", [None, [], "x", 7])
def test_a_body_that_is_no_object(body: Any) -> None:
    assert found(body) == [("", MALFORMED)]


# -- rules that touch more than one place ----------------------------------------------------------------------------


def _user(content: str = "u") -> dict[str, Any]:
    return {"userInputMessage": {"content": content}}


def _assistant(content: str = "a", *uses: str) -> dict[str, Any]:
    message: dict[str, Any] = {"content": content}
    if uses:
        message["toolUses"] = [{"toolUseId": use, "name": "Read", "input": {}} for use in uses]
    return {"assistantResponseMessage": message}


def with_history(*history: Any) -> dict[str, Any]:
    body = changed(MINIMAL, f"{STATE}.history", list(history))
    return changed(body, f"{CURRENT}.userInputMessageContext", {"tools": [READ]})


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([_assistant()], [("history.0", MALFORMED)]),
        ([_user(), _user(), _assistant()], [("history.1", MALFORMED)]),
        ([_user(), _assistant(), _assistant()], [("history.2", MALFORMED)]),
        ([_user()], [("history.0", MALFORMED)]),
        ([_user(), _assistant("")], [("history.1.assistantResponseMessage.content", MALFORMED)]),
        ([{"systemMessage": {}}], [("history.0", MALFORMED)]),
        ([{**_user(), **_assistant()}], [("history.0", MALFORMED)]),
        ([_user(), "x"], [("history.1", MALFORMED)]),
        (
            [_user(), _assistant("", "t"), _user(), _assistant()],
            [("history.2.userInputMessage.userInputMessageContext.toolResults", MISMATCH)],
        ),
        (
            [_user(), _assistant("", "t"), _assistant()],
            [("history.2", MALFORMED), ("history.2.assistantResponseMessage", MISMATCH)],
        ),
    ],
)
def test_how_messages_follow_each_other(history: list[Any], expected: list[tuple[str, str]]) -> None:
    assert found(with_history(*history)) == [(f"{STATE}.{path}", reason) for path, reason in expected]


def test_a_result_needs_a_tool_use_directly_before() -> None:
    path = f"{CONTEXT}.toolResults"
    orphan = [{"toolUseId": "t9", "content": [{"text": "ok"}]}]
    body = changed(with_history(_user(), _assistant()), path, orphan)
    assert found(body) == [(f"{path}.0.toolUseId", MISMATCH)]
    assert found(changed(with_history(), path, orphan)) == [(f"{path}.0.toolUseId", MISMATCH)]


def test_a_tool_use_has_one_result() -> None:
    results = BODY[STATE]["currentMessage"]["userInputMessage"]["userInputMessageContext"]["toolResults"]
    body = changed(BODY, f"{CONTEXT}.toolResults", [*results, results[0]])
    assert found(body) == [(f"{CONTEXT}.toolResults.2.toolUseId", MISMATCH)]


def test_ids_of_tool_uses_are_distinct_and_well_formed() -> None:
    twice = changed(BODY, f"{ANSWER}.toolUses.1.toolUseId", "t1")
    assert (f"{ANSWER}.toolUses.1.toolUseId", "TOOL_DUPLICATE") in found(twice)
    foreign = changed(BODY, f"{ANSWER}.toolUses.0.toolUseId", "call|x")
    assert (f"{ANSWER}.toolUses.0.toolUseId", MALFORMED) in found(foreign)


def test_the_tools_of_the_history_have_to_be_specified() -> None:
    without = changed(BODY, f"{CONTEXT}.tools", GONE)
    assert found(without) == [(f"{ANSWER}.toolUses.0.name", "TOOL_CONFIG_MISSING")]
    other = changed(BODY, f"{SPECIFICATION}.name", "Bash")
    assert found(other) == [(f"{ANSWER}.toolUses.0.name", "TOOL_CONFIG_MISSING")]


def test_an_empty_list_of_tools_is_rejected() -> None:
    body = changed(MINIMAL, f"{CURRENT}.userInputMessageContext", {"tools": []})
    assert found(body) == [(f"{CONTEXT}.tools", MALFORMED)]


@pytest.mark.parametrize("name", ["", "1st", "a.b", "a b", "x" * 65, "wörk", None])
def test_names_of_tools(name: Any) -> None:
    body = changed(MINIMAL, f"{CURRENT}.userInputMessageContext", {"tools": [READ]})
    assert found(body) == []
    assert found(changed(body, f"{SPECIFICATION}.name", name)) == [(f"{SPECIFICATION}.name", MALFORMED)]


def test_a_name_stands_once() -> None:
    body = changed(BODY, f"{CONTEXT}.tools", [READ, changed(READ, "toolSpecification.name", "READ")])
    assert found(body) == [(f"{CONTEXT}.tools.1.toolSpecification.name", "TOOL_DUPLICATE")]


def test_a_cache_point_among_the_tools_is_fine() -> None:
    assert found(changed(BODY, f"{CONTEXT}.tools", [READ, {"cachePoint": {"type": "default"}}])) == []


def test_an_empty_message_is_rejected_unless_it_brings_results() -> None:
    assert found(changed(MINIMAL, f"{CURRENT}.content", "")) == [(f"{CURRENT}.content", MALFORMED)]


def test_a_prefill_is_named_as_such() -> None:
    body = changed(MINIMAL, f"{STATE}.currentMessage", _assistant("{"))
    (violation,) = violations(body)
    assert violation.path == f"{STATE}.currentMessage"
    assert "prefill" in violation.message


@pytest.mark.parametrize(
    ("model", "fields", "at"),
    [
        ("claude-sonnet-4.5", {"thinking": {"type": "adaptive"}}, [FIELDS]),
        ("claude-opus-4.8", {"reasoning": {"effort": "low"}}, [f"{FIELDS}.reasoning"]),
        ("gpt-5.6-sol", {"thinking": {"type": "adaptive"}}, [f"{FIELDS}.thinking"]),
        ("gpt-5.6-sol", {"reasoning": {"effort": "none"}}, []),
        ("claude-opus-4.6", {"output_config": {"effort": "xhigh"}}, [f"{FIELDS}.output_config.effort"]),
        ("claude-opus-4.7", {"output_config": {"effort": "xhigh"}}, []),
        ("claude-opus-5.5", {"thinking": {"type": "disabled"}}, [f"{FIELDS}.thinking.type"]),
        ("claude-opus-5", {"thinking": {"type": "disabled"}}, []),
        (None, {"reasoning": {"effort": "low"}, "thinking": {"type": "adaptive"}}, [f"{FIELDS}.thinking"]),
    ],
)
def test_fields_belong_to_the_models_family(model: str | None, fields: dict[str, Any], at: list[str]) -> None:
    profile = STATIC_CATALOGUE.resolve(model, aliases={}) if model else None
    body = changed(MINIMAL, FIELDS, fields)
    assert [violation.path for violation in violations(body, profile)] == at


def test_every_violation_is_a_400_with_words_for_a_person() -> None:
    for path, value, _, _ in RULES:
        for violation in violations(changed(BODY, path, value)):
            assert violation.status == 400
            assert violation.message
            assert violation.rule


# -- never raises ----------------------------------------------------------------------------------------------------

_places = st.sampled_from([path for path, value, _, _ in RULES if value is not GONE])


@settings(max_examples=100, deadline=None)
@given(_places, json_values)
def test_any_value_anywhere_is_judged(path: str, value: Any) -> None:
    assert all(isinstance(violation, Violation) for violation in violations(changed(BODY, path, value)))


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"items": inner}])
def test_nesting_without_end_is_judged(wrap: Callable[[Any], Any]) -> None:
    value: Any = "x"
    for _ in range(1000):
        value = wrap(value)
    assert violations(changed(BODY, f"{SCHEMA}.properties.path", value))
