"""What Chat clients send, as a Conversation. Samples are real requests with their texts filled up."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
import typing_extensions
from hypothesis import given, settings
from openai.types.chat import ChatCompletionAssistantMessageParam, ChatCompletionToolMessageParam
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from strategies_chat import valid_bodies
from support.files import IMAGES

from kirotrio.conversation.request import (
    ClientSession,
    Conversation,
    Document,
    Effort,
    Image,
    Limits,
    OutputSchema,
    RemoteFile,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
)
from kirotrio.conversation.thinking import shows_thinking
from kirotrio.dialects.openai_chat import DecodedChat, decode_chat
from kirotrio.kiro.lint import violations
from kirotrio.kiro.models import STATIC_CATALOGUE
from kirotrio.kiro.request import RequestOptions, build_request

SAMPLES = [
    path
    for path in sorted((Path(__file__).parents[2] / "data" / "clients").glob("*.json"))
    if json.loads(path.read_bytes())["path"].endswith("/chat/completions")
]
HI = {"role": "user", "content": "Hi"}


def body(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages) or [HI], **more}


def conversation(*messages: Any, **more: Any) -> Conversation:
    return decode_chat(body(*messages, **more)).conversation


def parts(*content: Any, role: str = "user") -> tuple[Any, ...]:
    return conversation({"role": role, "content": list(content)}).turns[0].parts


def call(identifier: str, name: str, arguments: Any) -> dict[str, Any]:
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(identifier: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identifier, "content": content}


def notes(subject: Conversation) -> dict[str, str]:
    return {note.path: note.message for note in subject.diagnostics}


def assert_taken_upstream(subject: Conversation) -> None:
    model = STATIC_CATALOGUE.resolve("claude-sonnet-4.5", aliases={})
    options = RequestOptions(conversation_id="c-1", continuation_id="t-1", account_hash="0123abcd")
    assert violations(build_request(subject, model, options).body, model) == []


def test_there_are_samples() -> None:
    assert {path.stem for path in SAMPLES} >= {"py_openai-005", "py_openai-007"}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_decodes_into_a_body_that_the_service_takes(path: Path) -> None:
    sent = json.loads(path.read_bytes())["body"]
    decoded = decode_chat(orjson.dumps(sent)).conversation
    assert decoded.model == sent["model"]
    unknown = [note for note in decoded.diagnostics if "unknown" in note.message or "not known" in note.message]
    assert unknown == [], "a field that a measured client sends is not known"
    assert_taken_upstream(decoded)


@settings(max_examples=60)
@given(valid_bodies)
def test_every_valid_body_decodes_into_one_that_the_service_takes(sent: Any) -> None:
    decoded = decode_chat(orjson.dumps(sent))
    assert decoded == decode_chat(sent)
    assert_taken_upstream(decoded.conversation)


def test_the_detail_of_an_image_is_noted() -> None:
    url = "data:image/png;base64,aGk="
    sent = [{"type": "image_url", "image_url": {"url": url, "detail": detail}} for detail in ("auto", "low")]
    assert list(notes(conversation({"role": "user", "content": sent}))) == ["messages.0.content.1.image_url.detail"]


def test_a_tool_round_trip_with_reasoning() -> None:
    decoded = conversation(
        HI,
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "Hm.",
            "tool_calls": [call("a", "look", '{"at": 1}'), call("b", "look", "")],
        },
        result("a", "seen"),
        result("b", [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": "data:image/png;base64,aGk="}]),
        {"role": "user", "content": "And?"},
    )
    assert decoded.turns == (
        Turn("user", (Text("Hi"),), "messages.0"),
        Turn(
            "assistant",
            (Thinking("Hm."), Text("I look."), ToolUse("a", "look", {"at": 1}), ToolUse("b", "look", {})),
            "messages.1",
        ),
        Turn(
            "user",
            (ToolResult("a", (Text("seen"),)), ToolResult("b", (Text("x"), Image("image/png", "aGk=")))),
            "messages.2",
        ),
        Turn("user", (Text("And?"),), "messages.4"),
    )


def test_results_of_two_answers_stay_apart() -> None:
    first = {"role": "assistant", "content": None, "tool_calls": [call("a", "look", "{}")]}
    second = {"role": "assistant", "content": None, "tool_calls": [call("b", "look", "{}")]}
    decoded = conversation(HI, first, result("a", "1"), second, result("b", "2"))
    assert [turn.role for turn in decoded.turns] == ["user", "assistant", "user", "assistant", "user"]


def test_leading_instructions_are_the_system_text_and_later_ones_keep_their_place() -> None:
    decoded = conversation(
        {"role": "system", "content": "One."},
        {"role": "developer", "content": [{"type": "text", "text": "Two."}, {"type": "text", "text": "Three."}]},
        HI,
        {"role": "developer", "content": "Four."},
    )
    assert decoded.system == ("One.", "Two.", "Three.")
    assert decoded.turns[1] == Turn("system", (Text("Four."),), "messages.3")


def test_instructions_alone_are_what_is_to_be_answered() -> None:
    decoded = conversation({"role": "system", "content": "Be brief."}, {"role": "system", "content": "Say hi."})
    assert decoded.system == ("Be brief.",)
    assert decoded.turns == (Turn("system", (Text("Say hi."),), "messages.1"),)
    assert_taken_upstream(decoded)


def test_an_assistant_message_may_be_empty() -> None:
    assert conversation(HI, {"role": "assistant", "content": None}, HI).turns[1].parts == ()


def test_a_refusal_is_text_of_the_assistant() -> None:
    refused = {"role": "assistant", "content": None, "refusal": "I cannot."}
    assert conversation(HI, refused).turns[1].parts == (Text("I cannot."),)


def test_older_function_calls_find_their_results_by_name() -> None:
    called = {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": '{"at": 1}'}}
    told = {"role": "function", "name": "look", "content": "seen"}
    decoded = conversation(HI, called, told, called, told, {"role": "function", "name": "hear", "content": "what"})
    uses = [part for turn in decoded.turns for part in turn.parts if isinstance(part, ToolUse)]
    results = [part for turn in decoded.turns for part in turn.parts if isinstance(part, ToolResult)]
    assert [use.input for use in uses] == [{"at": 1}, {"at": 1}]
    assert len({use.id for use in uses}) == 2
    assert [result.tool_use_id for result in results[:2]] == [use.id for use in uses]
    assert results[2].tool_use_id not in {use.id for use in uses}
    assert_taken_upstream(decoded)


def test_an_older_call_takes_one_result() -> None:
    called = {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": ""}}
    told = {"role": "function", "name": "look", "content": "seen"}
    results = [part for part in conversation(HI, called, told, told).turns[2].parts if isinstance(part, ToolResult)]
    assert len({result.tool_use_id for result in results}) == len(results) == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("", {}), (None, {}), ("null", {}), (" {} ", {}), ('{"a": [1]}', {"a": [1]}), ({"a": 1}, {"a": 1})],
)
def test_arguments_are_read_as_the_object_that_they_are(arguments: Any, expected: Any) -> None:
    decoded = conversation(HI, {"role": "assistant", "tool_calls": [call("a", "look", arguments)]})
    assert decoded.turns[1].parts == (ToolUse("a", "look", expected),)


@pytest.mark.parametrize("arguments", ['{"a": 1', "[1]", "ls -la", '"x"'])
def test_arguments_that_hold_no_object_are_carried_as_the_text_that_they_are(arguments: str) -> None:
    decoded = conversation(HI, {"role": "assistant", "tool_calls": [call("a", "look", arguments)]})
    assert decoded.turns[1].parts == (ToolUse("a", "look", {"arguments": arguments}),), "a broken call ends no history"
    assert "messages.1.tool_calls.0.function.arguments" in notes(decoded)


def test_a_function_that_is_not_wrapped_is_one_all_the_same() -> None:
    flat = {"type": "function", "name": "look", "description": "d", "parameters": {"type": "object"}, "strict": False}
    assert conversation(HI, tools=[flat]).tools == (Tool("look", "d", {"type": "object"}, path="tools.0"),)


def test_half_a_surrogate_pair_in_arguments_is_replaced_and_noted() -> None:
    sent = body(HI, {"role": "assistant", "tool_calls": [call("a", "look", r'{"t": "\ud83d cut"}')]})
    decoded = decode_chat(orjson.dumps(sent)).conversation
    assert decoded.turns[1].parts == (ToolUse("a", "look", {"t": "\ufffd cut"}),)
    assert "messages.1.tool_calls.0.function.arguments" in notes(decoded)


def test_a_free_form_call_comes_back_as_the_call_that_was_made() -> None:
    made = {"id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    decoded = conversation(HI, {"role": "assistant", "tool_calls": [made]}, result("a", "done"))
    assert decoded.turns[1].parts == (ToolUse("a", "patch", {"input": "*** Begin"}),)


PDF = base64.b64encode(b"%PDF-\xff").decode()
NOTE = base64.b64encode(b"hello").decode()
GIF = base64.b64encode(IMAGES["image/gif"]).decode()


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": ""}, Text("")),
        ({"type": "refusal", "refusal": "No."}, Text("No.")),
        ({"type": "image_url", "image_url": {"url": "data:image/jpg;base64,aGk="}}, Image("image/jpeg", "aGk=")),
        ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{GIF}"}}, Image("image/gif", GIF)),
        ({"type": "file", "file": {"file_data": f"data:image/png;base64,{GIF}"}}, Image("image/gif", GIF)),
        ({"type": "file", "file": {"file_data": GIF, "filename": "a.png"}}, Image("image/gif", GIF)),
        (
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            RemoteFile("https://example.com/a.png", "image", path="messages.0.content.0.image_url.url"),
        ),
        (
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}},
            Document("application/pdf", PDF, "a.pdf"),
        ),
        ({"type": "file", "file": {"file_data": PDF, "filename": "a.PDF"}}, Document("application/pdf", PDF, "a.PDF")),
        (
            {"type": "file", "file": {"file_data": f"data:;base64,{PDF}", "filename": "a.pdf"}},
            Document("application/pdf", PDF, "a.pdf"),
        ),
        ({"type": "file", "file": {"file_data": f"data:;base64,{NOTE}"}}, Document("text/plain", "hello")),
        ({"type": "file", "file": {"file_data": "data:,hello"}}, Document("text/plain", "hello")),
        ({"type": "file", "file": {"file_data": NOTE, "filename": "a.py"}}, Document("text/plain", "hello", "a.py")),
        (
            {"type": "file", "file": {"file_data": f"data:text/csv;base64,{NOTE}"}},
            Document("text/csv", "hello"),
        ),
        (
            {"type": "file", "file": {"file_data": "https://example.com/a.pdf"}},
            RemoteFile("https://example.com/a.pdf", "document", path="messages.0.content.0.file.file_data"),
        ),
    ],
    ids=str,
)
def test_a_content_part_becomes_its_part(part: dict[str, Any], expected: Any) -> None:
    assert parts(part) == (expected,)


def test_a_part_type_that_nobody_knows_is_noted_and_left_out() -> None:
    decoded = conversation({"role": "user", "content": [{"type": "hologram"}, {"type": "text", "text": "Hi"}]})
    assert decoded.turns[0].parts == (Text("Hi"),)
    assert notes(decoded) == {"messages.0.content.0": "content part type 'hologram' is not known here: left out"}


@pytest.mark.parametrize(
    ("more", "limits"),
    [
        ({}, Limits()),
        ({"max_tokens": 5}, Limits(5)),
        ({"max_tokens": 5, "max_completion_tokens": 7}, Limits(7)),
        ({"stop": "a"}, Limits(None, ("a",))),
        ({"stop": ["a", "", "b", "a", "c", "d", "e"]}, Limits(None, ("a", "b", "c", "d", "e"))),
        ({"stop": None, "max_tokens": None}, Limits()),
    ],
)
def test_limits(more: dict[str, Any], limits: Limits) -> None:
    assert conversation(**more).limits == limits


@pytest.mark.parametrize(
    ("more", "default", "enabled", "asked", "effort"),
    [
        ({}, True, True, False, None),
        ({}, False, False, False, None),
        ({"reasoning_effort": "none"}, True, False, False, Effort.NONE),
        ({"reasoning_effort": "minimal"}, False, True, True, Effort.MINIMAL),
        ({"reasoning_effort": "MAX"}, False, True, True, Effort.MAX),
        ({"reasoning_effort": "odd"}, False, False, False, None),
        ({"reasoning": {"effort": "low"}}, False, True, True, Effort.LOW),
        ({"thinking": {"type": "disabled"}}, True, False, False, None),
        ({"thinking": {"type": "disabled"}, "reasoning_effort": "high"}, True, False, False, Effort.HIGH),
    ],
)
def test_thinking(more: dict[str, Any], default: bool, enabled: bool, asked: bool, effort: Effort | None) -> None:
    setting = decode_chat(body(**more), default_thinking=default).conversation.thinking
    assert (setting.enabled, setting.asked, setting.effort) == (enabled, asked, effort)
    assert shows_thinking(setting, "auto"), "thinking leaves as reasoning_content"


@pytest.mark.parametrize(
    ("more", "header", "session"),
    [
        ({"user": "u", "prompt_cache_key": "k"}, " s ", ClientSession("s", "header")),
        ({"user": "u", "prompt_cache_key": "k"}, None, ClientSession("k", "prompt_cache_key")),
        ({"user": "u"}, "", ClientSession("u", "user")),
        ({"user": 5}, None, None),
        ({}, None, None),
    ],
)
def test_the_session_is_the_most_telling_name(
    more: dict[str, Any], header: str | None, session: ClientSession | None
) -> None:
    assert decode_chat(body(**more), session_header=header).conversation.session == session


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, OutputSchema(None, path="response_format")),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
            OutputSchema(SCHEMA, "n", True, "response_format"),
        ),
    ],
)
def test_the_response_format(wanted: Any, expected: OutputSchema | None) -> None:
    assert conversation(response_format=wanted).output_schema == expected


@pytest.mark.parametrize(
    ("more", "stream", "include_usage"),
    [
        ({}, False, False),
        ({"stream": True, "stream_options": {}}, True, False),
        ({"stream": True, "stream_options": None}, True, False),
        ({"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}}, True, True),
        ({"stream": None}, False, False),
    ],
)
def test_stream_options(more: dict[str, Any], stream: bool, include_usage: bool) -> None:
    decoded = decode_chat(body(**more))
    assert isinstance(decoded, DecodedChat)
    assert (decoded.stream, decoded.include_usage) == (stream, include_usage)


def test_unknown_fields_are_noted_once_and_harm_nobody() -> None:
    said = {"role": "user", "content": [{"type": "text", "text": "Hi", "sparkle": 1}] * 2, "mood": "good"}
    decoded = conversation(said, wobble=[1])
    assert notes(decoded) == {
        "wobble": "unknown field 'wobble' of the request: ignored",
        "messages.0.mood": "unknown field 'mood' of a message: ignored",
        "messages.0.content.0.sparkle": "unknown field 'sparkle' of a text part: ignored",
    }


def test_what_has_no_channel_upstream_is_noted() -> None:
    decoded = conversation(temperature=0.5, seed=5, store=True, logprobs=True, metadata={}, modalities=["text"], n=1)
    assert set(notes(decoded)) == {"temperature", "seed", "store", "logprobs", "metadata"}


def known(subject: Conversation) -> bool:
    return not any("known" in note.message for note in subject.diagnostics)


FILLER: dict[str, Any] = {"messages": [HI], "model": "m", "stream": False}


@pytest.mark.parametrize("name", sorted(typing_extensions.get_type_hints(CompletionCreateParamsBase)))
def test_every_parameter_of_the_newest_types_is_known(name: str) -> None:
    assert known(decode_chat({**body(), name: FILLER.get(name)}).conversation)


@pytest.mark.parametrize(
    ("role", "param"),
    [("assistant", ChatCompletionAssistantMessageParam), ("tool", ChatCompletionToolMessageParam)],
)
def test_every_field_of_a_message_of_the_newest_types_is_known(role: str, param: Any) -> None:
    filled: dict[str, Any] = dict.fromkeys(typing_extensions.get_type_hints(param))
    filled |= {"role": role, "tool_call_id": "a"} if role == "tool" else {"role": role}
    assert known(conversation(HI, filled))
