"""Malformed bodies: each is a 400 whose message begins with the path and says what would be right."""

from __future__ import annotations

import re
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_chat import broken_bodies
from support.arbitrary import json_values

from kirotrio.conversation.request import Conversation
from kirotrio.dialects.openai_chat import decode_chat
from kirotrio.dialects.openai_chat.schema import ChatCompletionRequest
from kirotrio.errors import BodyInvalid

HI = {"role": "user", "content": "Hi"}
HERE = "messages.1.content.0"
CALL = "messages.1.tool_calls.0"


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [HI], **changes}


def searching(**fields: Any) -> dict[str, Any]:
    return body(tools=[{"type": "web_search", **fields}])


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in body().items() if key != name}


def message(**members: Any) -> dict[str, Any]:
    return body(messages=[HI, members])


def says(*parts: Any) -> dict[str, Any]:
    return message(role="user", content=list(parts))


def calls(*calls: Any) -> dict[str, Any]:
    return message(role="assistant", tool_calls=list(calls))


def arguments(text: Any) -> dict[str, Any]:
    return calls({"id": "a", "type": "function", "function": {"name": "n", "arguments": text}})


def file(**members: Any) -> dict[str, Any]:
    return says({"type": "file", "file": members})


def function(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


def schema(value: Any) -> dict[str, Any]:
    return body(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": value}})


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (without("model"), "model: field required: a model's name"),
        (body(model=""), "model: must not be empty"),
        (without("messages"), "messages: field required: a list of messages"),
        ({"model": "m", "input": "Hi"}, "messages: field required: a list of messages"),
        (body(messages=[]), "messages: at least one message is required"),
        (body(messages=["Hi"]), "messages.0: must be an object, not a string"),
        (body(messages=[{"content": "Hi"}]), "messages.0.role: must be one of system, developer, user, assistant"),
        (message(role="robot", content="Hi"), "messages.1.role: must be one of system, developer, user, assistant"),
        (message(role="user"), "messages.1.content: field required: a string or a list of content parts"),
        (message(role="system", content=None), "messages.1.content: field required"),
        (message(role="user", content=5), "messages.1.content: must be a string or a list of content parts"),
        (message(role="tool", content="x"), "messages.1.tool_call_id: field required: a string"),
        (message(role="function", content="x"), "messages.1.name: field required: a string"),
        (message(role="assistant", audio={"id": "a"}), "messages.1.audio: no audio is kept here"),
        (message(role="assistant", tool_calls={}), "messages.1.tool_calls: must be a list, not an object"),
        (message(role="assistant", function_call="x"), "messages.1.function_call: must be an object, not a string"),
        (
            message(role="developer", content=[{"type": "image_url", "image_url": "https://x/y.png"}]),
            f'{HERE}.type: must be "text" in a system or developer message',
        ),
        (says("Hi"), f"{HERE}: must be a content part (an object with a type), not a string"),
        (says({"text": "Hi"}), f'{HERE}.type: must be a string that names the part type, such as "text"'),
        (says({"type": "text"}), f"{HERE}.text: field required: a string"),
        (says({"type": "image_url"}), f"{HERE}.image_url: field required: an object"),
        (says({"type": "image_url", "image_url": "ftp://x"}), f"{HERE}.image_url: must be an address that begins"),
        (says({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,aGk="}}), f"{HERE}.image_url.url: "),
        (says({"type": "input_audio", "input_audio": {}}), f"{HERE}: audio cannot be sent"),
        (file(file_id="file_1"), f"{HERE}.file.file_id: there is no store of files here"),
        (file(filename="a.pdf"), f"{HERE}.file.file_data: field required: a string"),
        (file(file_data="!", filename="a.pdf"), f"{HERE}.file.file_data: must be valid base64"),
        (file(file_data="/w==", filename="a.blob"), f"{HERE}.file.file_data: must be a data URL that names"),
        (calls("x"), f"{CALL}: must be a tool call (an object), not a string"),
        (calls({"function": {"name": "n"}}), f"{CALL}.id: field required: a string"),
        (calls({"id": "a", "type": "odd"}), f'{CALL}.type: must be "function" or "custom"'),
        (calls({"id": "a"}), f"{CALL}.function: field required: an object"),
        (calls({"id": "a", "function": {"name": ""}}), f"{CALL}.function.name: must not be empty"),
        (calls({"id": "a", "type": "custom", "custom": {"name": "n"}}), f"{CALL}.custom.input: field required"),
        (arguments(5), f"{CALL}.function.arguments: must be a string that holds a JSON object, not a number"),
        (body(n=2), "n: must be 1"),
        (body(n=0), "n: must be 1"),
        (body(modalities=["text", "audio"]), 'modalities.1: must be "text"'),
        (body(max_tokens=0), "max_tokens: must be at least 1"),
        (body(max_completion_tokens=-1), "max_completion_tokens: must be at least 1"),
        (body(stop=5), "stop: must be a string or a list of strings, not a number"),
        (body(stop=["a", 5]), "stop.1: must be a string, not a number"),
        (body(stream="yes"), "stream: must be true or false, not a string"),
        (body(stream_options={"include_usage": 1}), "stream_options.include_usage: must be true or false"),
        (body(tools={}), "tools: must be a list, not an object"),
        (body(tools=[{"type": "function"}]), "tools.0.function: field required: an object with the function's name"),
        (body(tools=[{"type": "custom"}]), "tools.0.custom: field required: an object with the tool's name"),
        (body(tools=[function("")]), "tools.0.function.name: field required: the tool's name"),
        (body(tools=[function("a", parameters="{}")]), "tools.0.function.parameters: must be an object"),
        (body(tools=[function("a"), function("a")]), "tools.1.function.name: tool names must be unique: 'a' is also"),
        (
            body(tools=[{"type": "custom", "custom": {"name": "c", "format": {"type": "xml"}}}]),
            'tools.0.custom.format.type: must be "text" or "grammar"',
        ),
        (body(tool_choice="must"), "tool_choice: must be one of none, auto, required"),
        (body(tool_choice=5), "tool_choice: must be an object that names a tool, not a number"),
        (body(tool_choice="required"), 'tool_choice: "required" may only be given while providing tools'),
        (body(tool_choice=function("a")), "tool_choice: tool 'a' is not among the tools of this request"),
        (body(tool_choice={"type": "function"}), "tool_choice.function: field required: an object"),
        (body(tool_choice={"type": {}}), "tool_choice.type: must be"),
        (
            body(tool_choice={"type": "allowed_tools", "allowed_tools": {"tools": [function("a")]}}),
            "tool_choice.allowed_tools.tools: tool 'a' is not among",
        ),
        (
            body(tool_choice={"type": "allowed_tools", "allowed_tools": {"tools": [], "mode": {}}}),
            "tool_choice.allowed_tools.mode: must be",
        ),
        (body(web_search_options={"user_location": 5}), "web_search_options.user_location: must be an object"),
        (
            body(web_search_options={"user_location": {"approximate": {"city": 5}}}),
            "web_search_options.user_location.city: must be a string",
        ),
        (
            body(tools=[function("web_search"), function("web_search", parameters={"required": ["q"], "x": 1})]),
            "tools.1.function.name: tool names must be unique: 'web_search' is also the name of tools.0.function",
        ),
        (
            body(tools=[function("web_search", parameters={"required": ["q"], "x": 1}), function("web_search")]),
            "tools.1.function.name: tool names must be unique: 'web_search' is also the name of tools.0.function",
        ),
        (searching(max_uses=0), "tools.0.max_uses: must be at least 1"),
        (searching(max_uses="1"), "tools.0.max_uses: must be an integer, not a string"),
        (searching(allowed_domains="a.b"), "tools.0.allowed_domains: must be a list, not a string"),
        (searching(allowed_domains=["https://a.b"]), "tools.0.allowed_domains.0: must be a domain without https://"),
        (
            searching(allowed_domains=["a.b"], blocked_domains=["c.d"]),
            "tools.0.blocked_domains: only one of allowed_domains and blocked_domains may be given",
        ),
        (
            searching(filters={"allowed_domains": ["a.b"]}, blocked_domains=["c.d"]),
            "tools.0.blocked_domains: only one of allowed_domains and blocked_domains may be given",
        ),
        (
            searching(filters={"allowed_domains": ["a.b"]}, allowed_domains=["c.d"]),
            "tools.0.filters.allowed_domains: must not be given beside",
        ),
        (searching(filters={"allowed_domains": [""]}), "tools.0.filters.allowed_domains: must be a list of domain"),
        (searching(filters=5), "tools.0.filters: must be an object"),
        (searching(user_location={"city": 5}), "tools.0.user_location.city: must be a string"),
        (
            body(tools=[{"type": "web_search"}, {"type": "web_search_preview"}]),
            "tools.1.name: tool names must be unique: 'web_search' is also the name of tools.0",
        ),
        (body(tool_choice={"type": "web_search"}), "tool_choice.type: the web search is not among the tools"),
        (body(response_format={"type": "xml"}), "response_format.type: must be"),
        (body(response_format={"type": "json_schema"}), "response_format.json_schema: field required"),
        (schema(None), "response_format.json_schema.schema: field required: a JSON schema"),
        (schema("{}"), "response_format.json_schema.schema: must be an object, not a string"),
    ],
)
def test_the_message_begins_with_the_path(sent: dict[str, Any], message: str) -> None:
    with pytest.raises(BodyInvalid) as caught:
        decode_chat(orjson.dumps(sent))
    assert caught.value.message.startswith(message)
    assert caught.value.path == message.split(": ")[0]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"", "The request body is not valid JSON: line 1, column 1"),
        (b"[]", "The request body must be a JSON object, not a list"),
    ],
)
def test_what_is_no_json_object_says_so(sent: bytes, message: str) -> None:
    with pytest.raises(BodyInvalid, match=re.escape(message)):
        decode_chat(sent)


def decoded_or_refused(sent: Any) -> None:
    refusal: BodyInvalid | None = None
    try:
        assert isinstance(decode_chat(sent).conversation, Conversation)
    except BodyInvalid as error:
        refusal = error
    if refusal is not None:
        assert refusal.message.startswith(f"{refusal.path}: " if refusal.path else "The request body ")


@given(json_values)
def test_any_json_value_is_decoded_or_refused(value: Any) -> None:
    decoded_or_refused(value)


@settings(max_examples=200)
@given(broken_bodies)
def test_a_body_broken_anywhere_is_decoded_or_refused_with_its_path(sent: Any) -> None:
    decoded_or_refused(sent)


ROOTS = sorted(field.name for field in attrs.fields(ChatCompletionRequest))


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(ROOTS), json_values, max_size=4), st.sampled_from([5, None, (1, 2)]))
def test_any_value_of_any_field_is_decoded_or_refused(fields: dict[str, Any], key: Any) -> None:
    decoded_or_refused({**body(), **fields, key: 1})


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    decoded_or_refused(raw)
