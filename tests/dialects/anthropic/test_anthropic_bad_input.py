"""Malformed bodies: each is a 400 whose message begins with the path and says what would be right."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_anthropic import broken_bodies
from support.arbitrary import json_values

from kirotrio.conversation.request import Conversation, Text
from kirotrio.dialects.anthropic import decode_count_tokens, decode_request
from kirotrio.errors import BodyInvalid, ThreadsUnsupported

PNG = {"type": "base64", "media_type": "image/png", "data": "aGk="}


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], **changes}


def says(*blocks: Any) -> dict[str, Any]:
    return body(messages=[{"role": "user", "content": "Hi"}, {"role": "user", "content": list(blocks)}])


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in body().items() if key != name}


def image(**source: Any) -> dict[str, Any]:
    return says({"type": "text", "text": "See"}, {"type": "image", "source": source})


def document(source: Any, **more: Any) -> dict[str, Any]:
    return says({"type": "document", "source": source, **more})


HERE = "messages.1.content.0"
ADDRESS = "must be an address that begins with http:// or https://, or a data URL"
BY_FILE = "sources by file id are not supported: there is no store of files here; send the"


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (without("model"), "model: field required: a model's name"),
        (body(model=5), "model: must be a string, not a number"),
        (body(model=""), "model: must not be empty"),
        (without("max_tokens"), "max_tokens: field required: an integer, the most tokens to generate"),
        (body(max_tokens="9"), "max_tokens: must be an integer, not a string"),
        (body(max_tokens=True), "max_tokens: must be an integer, not a boolean"),
        (body(max_tokens=-1), "max_tokens: must be at least 0"),
        (without("messages"), "messages: field required: a list of messages"),
        (body(messages={}), "messages: must be a list, not an object"),
        (body(messages=[]), "messages: at least one message is required"),
        (body(messages=["Hi"]), "messages.0: must be an object, not a string"),
        (body(messages=[{"content": "Hi"}]), 'messages.0.role: field required: "user", "assistant" or "system"'),
        (body(messages=[{"role": "tool", "content": "Hi"}]), "messages.0.role: must be one of user, assistant, system"),
        (body(messages=[{"role": "user"}]), "messages.0.content: field required: a string or a list of content blocks"),
        (
            body(messages=[{"role": "system", "output_config": {}}]),
            "messages.0.content: field required: a string or a list of content blocks",
        ),
        (
            body(messages=[{"role": "user", "content": {}}]),
            "messages.0.content: must be a string or a list of content blocks, not an object",
        ),
        (says("Hi"), f"{HERE}: must be a content block (an object with a type), not a string"),
        (says({"text": "Hi"}), f'{HERE}.type: must be a string that names the block type, such as "text"'),
        (says({"type": "text"}), f"{HERE}.text: field required: a string"),
        (says({"type": "text", "text": ["Hi"]}), f"{HERE}.text: must be a string, not a list"),
        (says({"type": "tool_use", "id": "", "name": "n", "input": {}}), f"{HERE}.id: must not be empty"),
        (
            says({"type": "tool_use", "id": "i", "name": "n", "input": "{}"}),
            f"{HERE}.input: must be an object, not a string",
        ),
        (says({"type": "tool_result", "content": "x"}), f"{HERE}.tool_use_id: field required: a string"),
        (
            says({"type": "tool_result", "tool_use_id": "i", "is_error": "yes"}),
            f"{HERE}.is_error: must be true or false, not a string",
        ),
        (
            says({"type": "tool_result", "tool_use_id": "i", "content": [{"type": "text", "text": None}]}),
            f"{HERE}.content.0.text: field required: a string",
        ),
        (image(type="url", url="ftp://x/y.png"), f"messages.1.content.1.source.url: {ADDRESS}"),
        (image(type="url", url="https://x:port/"), f"messages.1.content.1.source.url: {ADDRESS}"),
        (image(type="url", url="https:///y.png"), f"messages.1.content.1.source.url: {ADDRESS}"),
        (image(type="url", url=5), "messages.1.content.1.source.url: must be a string, not a number"),
        (image(type="file", file_id="file_1"), f"messages.1.content.1.source: image {BY_FILE} image itself"),
        (image(**{**PNG, "type": "hex"}), 'messages.1.content.1.source.type: must be "base64" or "url"'),
        (
            image(**{**PNG, "media_type": "image/tiff"}),
            "messages.1.content.1.source.media_type: must be one of image/jpeg, image/png, image/gif, image/webp",
        ),
        (
            image(**{**PNG, "data": "data:image/png;base64,aGk="}),
            "messages.1.content.1.source.data: must be the bare base64 text, without a `data:…;base64,` prefix",
        ),
        (image(**{**PNG, "data": "a=b!"}), "messages.1.content.1.source.data: must be valid base64"),
        (image(**{**PNG, "data": ""}), "messages.1.content.1.source.data: must not be empty"),
        (says({"type": "image"}), f"{HERE}.source: field required: an object"),
        (document({"type": "url", "url": "file:///etc/passwd"}), f"{HERE}.source.url: {ADDRESS}"),
        (document({"type": "file", "file_id": "file_1"}), f"{HERE}.source: document {BY_FILE} document itself"),
        (document("x"), f"{HERE}.source: must be an object, not a string"),
        (document({"type": "odd"}), f'{HERE}.source.type: must be "base64", "text", "content" or "url"'),
        (document({"type": "text", "data": "x"}, title=5), f"{HERE}.title: must be a string, not a number"),
        (
            document({"type": "base64", "media_type": "text/plain", "data": "/w=="}),
            f"{HERE}.source.data: must be UTF-8 for media type text/plain",
        ),
        (
            says(
                {"type": "tool_result", "tool_use_id": "i", "content": [{"type": "image", "source": {"type": "url"}}]}
            ),
            f"{HERE}.content.0.source.url: field required: a string",
        ),
        (body(system=5), "system: must be a string or a list of content blocks, not a number"),
        (body(system=[{"type": "text"}]), "system.0.text: field required: a string"),
        (body(tools={}), "tools: must be a list, not an object"),
        (body(tools=[{"name": "a"}, {"description": "b"}]), "tools.1.name: field required: the tool's name"),
        (body(tools=[{"name": "a", "input_schema": "{}"}]), "tools.0.input_schema: must be an object, not a string"),
        (
            body(tools=[{"name": "a"}, {"name": "b"}, {"name": "a"}]),
            "tools.2.name: Tool names must be unique: 'a' is also the name of tools.0",
        ),
        (body(tool_choice="auto"), "tool_choice: must be an object, not a string"),
        (body(tool_choice={}), "tool_choice.type: field required: a string that names the type"),
        (body(tool_choice={"type": "must"}), "tool_choice.type: must be one of auto, any, tool, none"),
        (body(tool_choice={"type": "tool"}), "tool_choice.name: field required: the name of the tool to call"),
        (
            body(tool_choice={"type": "tool", "name": "b"}, tools=[{"name": "a"}]),
            "tool_choice.name: Tool 'b' not found in provided tools",
        ),
        (body(tool_choice={"type": "any"}), 'tool_choice: type "any" may only be specified while providing tools'),
        (body(stream="yes"), "stream: must be true or false, not a string"),
        (body(stop_sequences=["a", 5]), "stop_sequences.1: must be a string, not a number"),
        (body(temperature="hot"), "temperature: must be a number, not a string"),
        (body(output_config=[]), "output_config: must be an object, not a list"),
        (body(output_config={"format": {"type": "xml"}}), 'output_config.format.type: must be "json_schema"'),
        (body(output_format={"type": "json_schema"}), "output_format.schema: field required: a JSON schema"),
        (
            says({"type": "tool_addition", "tool": "a"}),
            f"{HERE}.tool: field required: an object that names or defines a tool",
        ),
        (
            says({"type": "tool_addition", "tool": {"type": "tool_definition", "definition": 5}}),
            f"{HERE}.tool.definition: must be an object, not a number",
        ),
        (
            says({"type": "tool_addition", "tool": {"type": "tool_definition", "definition": {"name": 5}}}),
            f"{HERE}.tool.definition.name: must be a string, not a number",
        ),
    ],
)
def test_the_message_begins_with_the_path(sent: dict[str, Any], message: str) -> None:
    with pytest.raises(BodyInvalid) as caught:
        decode_request(orjson.dumps(sent))
    assert caught.value.message.startswith(message)
    assert caught.value.path == message.split(": ")[0]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"", "The request body is not valid JSON: line 1, column 1"),
        (b'{"model":\n  nope}', "The request body is not valid JSON: line 2, column 3"),
        (b'{"model": NaN}', "The request body is not valid JSON: line 1, column 11"),
        (b'{"model": 1e999}', "The request body is not valid JSON: line 1"),
        (b"\xff\xfe{}", "The request body is not valid JSON: line 1, column 1"),
        (b"[" * 5000 + b"]" * 5000, "The request body is not valid JSON: line 1"),
        (rb'{"a": "\ud83d", "b": nope}', "The request body is not valid JSON: line 1, column 22"),
        (b"[]", "The request body must be a JSON object, not a list"),
        (b'"Hi"', "The request body must be a JSON object, not a string"),
        (b"null", "The request body must be a JSON object, not null"),
    ],
)
def test_what_is_no_json_object_says_so(sent: bytes, message: str) -> None:
    with pytest.raises(BodyInvalid, match=re.escape(message)) as caught:
        decode_request(sent)
    assert caught.value.path == ""


def test_halves_of_surrogate_pairs_are_replaced_and_noted() -> None:
    text = rb"\ud83d cut, \ud83d\ude00 whole, \\ud83d written out, \ude00"
    sent = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"' + text + b'"}]}'
    decoded = decode_request(sent).conversation
    assert decoded.turns[0].parts == (Text("\ufffd cut, \U0001f600 whole, \\ud83d written out, \ufffd"),)
    assert [note.message for note in decoded.diagnostics] == [
        "halves of surrogate pairs in the body's texts were replaced by U+FFFD"
    ]


def test_a_value_that_is_no_json_is_refused_where_it_would_have_to_be_written() -> None:
    sent = says({"type": "tool_result", "tool_use_id": "i", "content": [{"type": "browser_state", "tabs": [{1: 2}]}]})
    with pytest.raises(BodyInvalid, match=r"^messages\.1\.content\.0\.content\.0: must be plain JSON"):
        decode_request(sent)


@pytest.mark.parametrize("kind", ["create", "continue"])
def test_threads_are_refused_before_anything_else_is_looked_at(kind: str) -> None:
    with pytest.raises(ThreadsUnsupported):
        decode_request({"thread": {"type": kind}, "messages": 5})


def test_deeply_nested_input_is_carried_as_it_is() -> None:
    sent = says({"type": "tool_use", "id": "i", "name": "n", "input": {"a": "@"}})
    raw = orjson.dumps(sent).replace(b'"@"', b"[" * 900 + b"]" * 900)
    assert decode_request(raw).conversation.turns[1].parts


ROOTS = {
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "stream",
    "stop_sequences",
    "temperature",
    "top_p",
    "top_k",
    "output_config",
    "output_format",
}


def decoded_or_refused(sent: Any) -> None:
    for decode in (decode_request, decode_count_tokens):
        refusal: BodyInvalid | None = None
        try:
            assert isinstance(decode(sent).conversation, Conversation)
        except BodyInvalid as error:
            refusal = error
        except ThreadsUnsupported:
            assert sent.get("thread") is not None
        if refusal is not None and refusal.path:
            assert refusal.path.split(".")[0] in ROOTS
            assert refusal.message.startswith(f"{refusal.path}: ")
        elif refusal is not None:
            assert refusal.message.startswith("The request body ")


@given(json_values)
def test_any_json_value_is_decoded_or_refused(value: Any) -> None:
    decoded_or_refused(value)


@given(broken_bodies)
def test_a_body_broken_anywhere_is_decoded_or_refused_with_its_path(sent: Any) -> None:
    decoded_or_refused(sent)


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    with pytest.raises(BodyInvalid):
        decode_request(raw)


@given(
    st.dictionaries(st.sampled_from(sorted(ROOTS)), json_values),
    st.sampled_from([5, None, (1, 2), 1.5]),
)
def test_keys_that_are_no_strings_do_no_harm(fields: dict[Any, Any], key: Any) -> None:
    decoded_or_refused({**body(), **fields, key: 1})
