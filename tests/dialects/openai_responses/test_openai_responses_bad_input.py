"""Malformed bodies: each is a 400 whose message begins with the path and says what would be right."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_responses import broken_bodies
from support.arbitrary import json_objects, json_values

from kirotrio.dialects.openai_responses import decode_responses, read_request, references
from kirotrio.dialects.openai_responses.items import _ITEMS as ITEMS
from kirotrio.errors import BodyInvalid


def body(*items: Any, **changes: Any) -> dict[str, Any]:
    return {"model": "m", "input": list(items) or "Hi", **changes}


def says(*parts: Any) -> dict[str, Any]:
    return body({"role": "user", "content": list(parts)})


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in body().items() if key != name}


HERE = "input.0.content.0"
CALL = {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (without("model"), "model: field required: a model's name"),
        (body(model=""), "model: must not be empty"),
        (body(model=5), "model: must be a string, not a number"),
        (without("input"), "input: field required: a string or a list of input items"),
        (body(input=5), "input: must not be a number: a string or a list of input items"),
        (body(input=[]), "input: at least one item is required"),
        (body("Hi"), "input.0: must be an input item (an object with a type), not a string"),
        (body({"text": "Hi"}), 'input.0.type: must be a string that names the item type, such as "message"'),
        (body({"role": "critic", "content": ""}), "input.0.role: must be one of user, assistant, system, developer"),
        (body({"role": "user"}), "input.0.content: field required: a string or a list of content parts"),
        (says("Hi"), f"{HERE}: must be a content part (an object with a type), not a string"),
        (says({"type": "input_text"}), f"{HERE}.text: field required: a string"),
        (
            says({"type": "input_image", "file_id": "file_1"}),
            f"{HERE}.file_id: there is no store of files here; send the image itself as a data URL in image_url",
        ),
        (
            says({"type": "input_file", "file_id": "file_1"}),
            f"{HERE}.file_id: there is no store of files here; send the file itself as a data URL in file_data",
        ),
        (
            says({"type": "input_file", "file_data": "/w==", "filename": "a.odd"}),
            f"{HERE}.file_data: must be a data URL that names the media type, or come with a filename that ends in "
            ".pdf, .docx, …",
        ),
        (
            says({"type": "input_audio", "input_audio": {}}),
            f"{HERE}: sound cannot be sent: the upstream takes text, images and documents; send a transcript",
        ),
        (body({"type": "item_reference", "id": "x"}), "input.0.id: no item 'x' is stored here; send the item itself"),
        (body({**CALL, "call_id": ""}), "input.0.call_id: must not be empty"),
        (body({**CALL, "arguments": 5}), "input.0.arguments: must be a string that holds a JSON object, not a number"),
        (
            body({"type": "function_call_output", "call_id": "c"}),
            "input.0.output: field required: a string or a list of content parts",
        ),
        (
            body({"type": "compaction_trigger"}),
            "input.0: a conversation cannot be compacted here; ask for a summary in a message instead",
        ),
        (
            body(background=True),
            "background: answers in the background are not kept here; ask with stream or wait for the answer",
        ),
        (
            body(conversation="conv_1", previous_response_id="resp_1"),
            "conversation: conversations are not stored here; send the whole input, or continue with "
            "previous_response_id",
        ),
        (
            body(prompt={"id": "pmpt_1"}),
            "prompt: prompt templates are not stored here; send the prompt's text as instructions and input",
        ),
        (body(max_output_tokens=0), "max_output_tokens: must be at least 1"),
        (body(stream="yes"), "stream: must be true or false, not a string"),
        (body(tools=[5]), "tools.0: must be an object, not a number"),
        (body(tools=[{"type": "function"}]), "tools.0.name: field required: a string"),
        (
            body(tools=[{"type": "function", "name": "a"}, {"type": "custom", "name": "a"}]),
            "tools.1.name: Tool names must be unique: 'a' is also the name of tools.0",
        ),
        (
            body(
                tools=[{"type": "custom", "name": "a", "format": {"type": "grammar", "definition": "", "syntax": "x"}}]
            ),
            'tools.0.format.syntax: must be "lark" or "regex"',
        ),
        (
            body(tools=[{"type": "namespace", "name": "a", "tools": [{"type": "mcp"}]}]),
            'tools.0.tools.0.type: must be "function" or "custom" inside a namespace',
        ),
        (
            body(tool_choice="any"),
            "tool_choice: must be one of none, auto, required, or an object that names a tool",
        ),
        (
            body(tool_choice="required", tools=[{"type": "file_search"}]),
            'tool_choice: "required" can only be asked for with tools that can be offered here',
        ),
        (
            body(tool_choice={"type": "function", "name": "a"}),
            "tool_choice.name: Tool 'a' not found in provided tools",
        ),
        (
            body(tool_choice={"type": "file_search"}, tools=[{"type": "file_search"}]),
            "tool_choice.type: a tool of type 'file_search' is not among those that can be offered here",
        ),
        (
            body(tool_choice={"type": "web_search"}),
            "tool_choice.type: the web search is not among the tools of this request",
        ),
        (body(text={"format": {"type": "xml"}}), 'text.format.type: must be "text", "json_object" or "json_schema"'),
        (body(text={"format": {"type": "json_schema"}}), "text.format.schema: field required: a JSON schema"),
    ],
)
def test_what_is_wrong_and_what_would_be_right(sent: dict[str, Any], message: str) -> None:
    with pytest.raises(BodyInvalid) as refused:
        decode_responses(sent)
    assert str(refused.value) == message


def test_a_body_that_is_no_object() -> None:
    with pytest.raises(BodyInvalid, match="not valid JSON"):
        read_request(b"{")
    with pytest.raises(BodyInvalid, match="must be a JSON object"):
        read_request(b"[]")


def decoded_or_refused(sent: Any) -> None:
    """Decodes, or raises BodyInvalid with a path that leads somewhere into the body and a sentence."""
    references(sent)
    refused: BodyInvalid | None = None
    try:
        decode_responses(sent)
    except BodyInvalid as error:
        refused = error
    if refused is not None:
        assert refused.message.startswith(f"{refused.path}: ")
        assert refused.path.split(".")[0] in {*sent, "model", "input"}, refused.message


@settings(max_examples=300)
@given(broken_bodies)
def test_any_body_is_decoded_or_refused(sent: Any) -> None:
    decoded_or_refused(sent)


@settings(max_examples=200)
@given(st.lists(json_objects | json_values, min_size=1, max_size=3), st.sampled_from(sorted(ITEMS)), json_values)
def test_any_items_are_decoded_or_refused(items: list[Any], kind: str, tool: Any) -> None:
    typed = [{**item, "type": kind, "call_id": "c", "name": "n"} if isinstance(item, dict) else item for item in items]
    decoded_or_refused(body(*typed))
    decoded_or_refused(body(*items, tools=[tool], tool_choice=tool))
