"""What Responses clients send, as a Conversation. Samples are real requests with their texts filled up."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
import typing_extensions
from check_sse import check_json
from hypothesis import given, settings
from openai.types.responses import ResponseInputItemParam, ToolParam
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from openai.types.responses.response_input_message_content_list_param import ResponseInputContentParam
from strategies_responses import TOOLS, valid_bodies
from support.files import IMAGES

from kirotrio.conversation.events import Finish, StopCause
from kirotrio.conversation.request import (
    ClientSession,
    Conversation,
    Document,
    Effort,
    Image,
    OutputSchema,
    RedactedThinking,
    RemoteFile,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolChoice,
    ToolResult,
    ToolUse,
    Turn,
    WebSearch,
)
from kirotrio.dialects.openai_responses import (
    DecodedResponses,
    References,
    ResponseBody,
    decode_responses,
    read_request,
    references,
)
from kirotrio.dialects.openai_responses.content import _FIELDS as PART_FIELDS
from kirotrio.dialects.openai_responses.content import _PARTS as PARTS
from kirotrio.dialects.openai_responses.decode import _KNOWN as KNOWN_PARAMETERS
from kirotrio.dialects.openai_responses.items import _FIELDS as ITEM_FIELDS
from kirotrio.dialects.openai_responses.items import _ITEMS as ITEMS
from kirotrio.kiro.lint import violations
from kirotrio.kiro.models import STATIC_CATALOGUE
from kirotrio.kiro.request import RequestOptions, build_request

DATA = Path(__file__).parents[2] / "data" / "clients"
SAMPLES = {
    path.stem: sent
    for path in sorted(DATA.glob("*.json"))
    if (sent := json.loads(path.read_bytes()))["path"] == "/v1/responses"
}
STORED = {
    "msg_c53429f5ab8241fdb0728f75": {
        "type": "message",
        "id": "msg_c53429f5ab8241fdb0728f75",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "I will run it.", "annotations": []}],
    }
}
PNG = "data:image/png;base64,aGk="
WEBP = base64.b64encode(IMAGES["image/webp"]).decode()


def decode_sample(name: str) -> DecodedResponses:
    sent = SAMPLES[name]
    decoded = decode_responses(
        read_request(orjson.dumps(sent["body"])), session_header=sent["headers"].get("session-id"), referenced=STORED
    )
    assert decoded.stream is sent["body"].get("stream", False)
    assert decoded.store is sent["body"].get("store", True)
    return decoded


def decode(*items: Any, earlier: Any = (), **more: Any) -> DecodedResponses:
    return decode_responses({"model": "m", "input": list(items) or "Hi", **more}, earlier=earlier)


def conversation(*items: Any, **more: Any) -> Conversation:
    return decode(*items, **more).conversation


def turns(*items: Any, **more: Any) -> list[tuple[str, tuple[Any, ...]]]:
    return [(turn.role, turn.parts) for turn in conversation(*items, **more).turns]


def parts(*content: Any) -> tuple[Any, ...]:
    return conversation({"role": "user", "content": list(content)}).turns[0].parts


def notes(subject: Conversation) -> dict[str, str]:
    return {note.path: note.message for note in subject.diagnostics}


def call(call_id: str, name: str = "Read", **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}", **more}


def output(call_id: str, text: Any = "done", **more: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text, **more}


# Real requests


def test_there_are_samples() -> None:
    assert len(SAMPLES) >= 6


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_decodes_and_nothing_in_it_is_unknown(name: str) -> None:
    decoded = decode_sample(name)
    unknown = [note for note in decoded.conversation.diagnostics if "known" in note.message]
    assert unknown == [], "something that a measured client sends is not known"
    given = SAMPLES[name]["body"]["input"]
    assert len(decoded.input_items) == (1 if isinstance(given, str) else len(given))
    assert all(isinstance(item["id"], str) for item in decoded.input_items)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "claude-opus-5.5", "gpt-5.6-sol", "auto"])
def test_every_sample_becomes_a_body_that_the_service_takes(name: str, model: str) -> None:
    profile = STATIC_CATALOGUE.resolve(model, aliases={})
    options = RequestOptions(conversation_id="c-1", continuation_id="t-1", account_hash="0a1b2c3d")
    request = build_request(decode_sample(name).conversation, profile, options)
    assert violations(request.body, profile) == []


def test_codexs_request() -> None:
    decoded = decode_sample("codex-003")
    subject = decoded.conversation
    assert len(subject.system) == 3, "its developer messages come first, one of them in two parts"
    assert [turn.role for turn in subject.turns] == ["user", "user", "assistant", "user"]
    answered = subject.turns[2].parts
    assert [type(part) for part in answered] == [Thinking, Text, ToolUse]
    assert answered[0].signature.startswith("c3R1Yi1"), "what another service signed stays as it is"
    assert subject.web_search == WebSearch(carried=False, path="tools.8")
    assert {"multi_agent_v1__spawn_agent", "exec_command"} <= {tool.name for tool in subject.tools}
    assert subject.session == ClientSession("01a1fbf3-efe2-7bf2-b2bd-fa3c5fac433b", "session-id")
    assert (subject.thinking.display, subject.thinking.accepted, subject.thinking.asked) == ("summarized", True, False)
    assert decoded.echo.encrypted
    assert not decoded.store


def test_the_ai_sdks_references_become_what_they_refer_to() -> None:
    decoded = decode_sample("ai_sdk-014")
    assert references(SAMPLES["ai_sdk-014"]["body"]) == References(None, tuple(STORED))
    assert decoded.input_items[1] == STORED["msg_c53429f5ab8241fdb0728f75"]
    assert [type(part) for part in decoded.conversation.turns[1].parts] == [Text, ToolUse]
    assert decoded.conversation.turns[2].parts == (ToolResult("call_9cafaa563a804ee38446402e", (Text("RESULT-88"),)),)


def test_a_schema_of_the_sdk() -> None:
    wanted = decode_sample("py_openai-014").conversation.output_schema
    assert wanted is not None
    assert (wanted.name, wanted.strict, wanted.path) == ("Out", True, "text.format")
    assert wanted.schema is not None
    assert wanted.schema["required"] == ["answer", "n"]


# Messages


def test_a_string_is_what_the_user_says() -> None:
    decoded = decode_responses({"model": "m", "input": "Hi"})
    assert decoded.conversation.turns == (Turn("user", (Text("Hi"),), "input.0"),)
    (item,) = decoded.input_items
    assert item["id"].startswith("msg_")
    assert item["content"] == [{"type": "input_text", "text": "Hi"}]


def test_instructions_and_leading_developer_messages_are_system_texts_later_ones_keep_their_place() -> None:
    subject = conversation(
        {"role": "developer", "content": "B"},
        {"role": "system", "content": [{"type": "input_text", "text": "C"}]},
        {"role": "user", "content": "Hi"},
        {"type": "message", "role": "developer", "content": "D"},
        instructions="A",
    )
    assert subject.system == ("A", "B", "C")
    assert [(turn.role, turn.parts) for turn in subject.turns] == [("user", (Text("Hi"),)), ("system", (Text("D"),))]


def test_images_and_files() -> None:
    assert parts(
        {"type": "input_image", "image_url": PNG, "detail": "low"},
        {"type": "input_image", "image_url": "https://example.com/a.png"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"},
        {"type": "input_file", "file_data": "aGk=", "filename": "notes.MD"},
        {"type": "input_file", "file_data": PNG},
        {"type": "input_image", "image_url": f"data:image/jpeg;base64,{WEBP}"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf", "filename": "a.pdf"},
    ) == (
        Image("image/png", "aGk="),
        RemoteFile("https://example.com/a.png", "image", path="input.0.content.1.image_url"),
        Document("application/pdf", "aGk=", "a.pdf"),
        Document("text/markdown", "hi", "notes.MD"),
        Image("image/png", "aGk="),
        Image("image/webp", WEBP),
        RemoteFile("https://example.com/a.pdf", "document", "a.pdf", path="input.0.content.6.file_url"),
    )


def test_two_messages_of_the_assistant_stay_two_texts() -> None:
    first, second = {"role": "assistant", "content": "A"}, {"role": "assistant", "content": "B"}
    assert turns(first, second) == [("assistant", (Text("A"),)), ("assistant", (Text("B"),))]


# Calls and outputs


def test_an_answer_is_one_turn_and_its_outputs_are_another() -> None:
    assert turns(
        {"role": "user", "content": "Go"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": "kts.kt1.s"},
        {"role": "assistant", "content": "I look"},
        call("a", arguments='{"path": "x"}'),
        call("b"),
        output("b", "B"),
        output("a", "A"),
        {"role": "user", "content": "Thanks"},
    ) == [
        ("user", (Text("Go"),)),
        (
            "assistant",
            (Thinking("Hm", "kt1.s"), Text("I look"), ToolUse("a", "Read", {"path": "x"}), ToolUse("b", "Read", {})),
        ),
        ("user", (ToolResult("b", (Text("B"),)), ToolResult("a", (Text("A"),)))),
        ("user", (Text("Thanks"),)),
    ]


def test_outputs_of_one_call_become_one_result() -> None:
    picture = [{"type": "input_image", "image_url": PNG}]
    assert turns(call("a"), output("a", "1"), {"role": "user", "content": "And?"}, output("a", picture)) == [
        ("assistant", (ToolUse("a", "Read", {}),)),
        ("user", (ToolResult("a", (Text("1"), Image("image/png", "aGk="))),)),
        ("user", (Text("And?"),)),
    ]
    again = turns(call("a"), output("a", "1"), call("a"), output("a", "2"))
    assert [parts for _, parts in again[1::2]] == [
        (ToolResult("a", (Text("1"),)),),
        (ToolResult("a", (Text("2"),)),),
    ], "an id that is used again is another call"


def test_arguments_that_are_no_object_are_carried_as_they_are() -> None:
    subject = conversation(call("a", arguments='{"a": 1'), call("b", arguments=""), call("c", arguments={"x": 1}))
    assert [part.input for part in subject.turns[0].parts] == [{"arguments": '{"a": 1'}, {}, {"x": 1}]
    assert notes(subject) == {"input.0.arguments": "not the text of a JSON object: carried as the text that it is"}


@pytest.mark.parametrize(
    ("items", "use", "result"),
    [
        (
            [
                {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "+a"},
                {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
            ],
            ToolUse("c", "patch", {"input": "+a"}),
            ToolResult("c", (Text("ok"),)),
        ),
        (
            [
                {
                    "type": "local_shell_call",
                    "id": "lsh_1",
                    "call_id": "c",
                    "action": {"type": "exec", "command": ["ls"], "env": {}, "timeout_ms": None},
                },
                {"type": "local_shell_call_output", "id": "lsh_1", "output": "ok"},
            ],
            ToolUse("c", "local_shell", {"command": ["ls"], "env": {}}),
            ToolResult("c", (Text("ok"),)),
        ),
        (
            [
                {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
                {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "ok"}]},
            ],
            ToolUse("c", "shell", {"commands": ["ls"]}),
            ToolResult("c", (Text('{"stdout":"ok"}'),)),
        ),
        (
            [
                {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "a"}},
                {"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": "no such file"},
            ],
            ToolUse("c", "apply_patch", {"type": "delete_file", "path": "a"}),
            ToolResult("c", (Text("no such file"),), is_error=True),
        ),
        (
            [
                {"type": "computer_call", "call_id": "c", "action": {"type": "screenshot"}},
                {
                    "type": "computer_call_output",
                    "call_id": "c",
                    "output": {"type": "computer_screenshot", "image_url": PNG},
                },
            ],
            ToolUse("c", "computer", {"action": {"type": "screenshot"}}),
            ToolResult("c", (Image("image/png", "aGk="),)),
        ),
        (
            [
                call("c", "spawn", namespace="agents"),
                output("c", {"content": "broken", "success": False}),
            ],
            ToolUse("c", "agents__spawn", {}),
            ToolResult("c", (Text("broken"),), is_error=True),
        ),
    ],
)
def test_calls_of_every_kind_and_their_outputs(items: list[Any], use: ToolUse, result: ToolResult) -> None:
    assert turns(*items, tools=TOOLS) == [("assistant", (use,)), ("user", (result,))]
    assert conversation(*items).turns[0].parts == (use,), "also where the tool is offered no more"


def test_a_name_without_its_namespace_is_that_of_the_only_tool_that_bears_it() -> None:
    assert turns(call("c", "spawn"), tools=TOOLS) == [("assistant", (ToolUse("c", "agents__spawn", {}),))]


def test_what_a_service_ran_by_itself_is_kept_apart_from_the_clients_calls() -> None:
    subject = turns(
        {"type": "web_search_call", "id": "ws", "action": {"type": "search", "query": "q", "sources": [{"url": "u"}]}},
        {"type": "file_search_call", "id": "fs", "queries": ["q"], "results": None},
        {"type": "mcp_call", "id": "m", "server_label": "s", "name": "n", "arguments": '{"a": 1}', "output": "o"},
        {"type": "code_interpreter_call", "id": "ci", "code": "1", "outputs": []},
    )
    assert subject == [
        (
            "assistant",
            (
                ServerToolUse("ws", "web_search", {"query": "q"}),
                ServerToolResult("ws", "web_search_call", [{"url": "u"}]),
                ServerToolUse("fs", "file_search", {"queries": ["q"]}),
                ServerToolUse("m", "s.n", {"a": 1}),
                ServerToolResult("m", "mcp_call", "o"),
                ServerToolUse("ci", "code_interpreter", {"code": "1"}),
            ),
        )
    ]


# Reasoning


@pytest.mark.parametrize(
    ("item", "part"),
    [
        ({"summary": [{"type": "summary_text", "text": "Hm"}]}, Thinking("Hm")),
        ({"summary": [], "encrypted_content": "kts.kt1.s"}, Thinking("", "kt1.s")),
        ({"summary": [], "encrypted_content": "ktr.kt1.d"}, RedactedThinking("kt1.d")),
        ({"summary": [], "encrypted_content": "gAAAA"}, Thinking("", "gAAAA")),
        (
            {
                "summary": [{"text": "short", "type": "summary_text"}],
                "content": [{"type": "reasoning_text", "text": "L"}],
            },
            Thinking("L"),
        ),
    ],
)
def test_reasoning_items(item: dict[str, Any], part: Any) -> None:
    assert turns({"type": "reasoning", "id": "rs_1", **item}) == [("assistant", (part,))]


def test_reasoning_without_anything_in_it_is_nothing() -> None:
    assert turns({"type": "reasoning", "summary": []}, {"role": "user", "content": "Hi"}) == [("user", (Text("Hi"),))]


# Continuing


def test_a_stored_response_goes_on_without_its_instructions() -> None:
    earlier = [{"type": "message", "role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    decoded = decode_responses(
        {"model": "m", "input": "And now?", "previous_response_id": "resp_1", "instructions": "B"}, earlier=earlier
    )
    assert [(turn.role, turn.path) for turn in decoded.conversation.turns] == [
        ("user", "previous_response_id.0"),
        ("assistant", "previous_response_id.1"),
        ("user", "input.0"),
    ]
    assert decoded.conversation.system == ("B",)
    assert len(decoded.input_items) == 1, "what came before is stored already"
    assert decoded.echo.fields["previous_response_id"] == "resp_1"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, References()),
        ({"previous_response_id": 5, "input": 5}, References()),
        (
            {
                "previous_response_id": "resp_1",
                "input": [
                    {"type": "item_reference", "id": "a"},
                    {"id": "b"},
                    {"id": "a"},
                    {"id": 5},
                    7,
                    {"role": "user"},
                ],
            },
            References("resp_1", ("a", "b")),
        ),
    ],
)
def test_what_has_to_be_looked_up(body: dict[str, Any], named: References) -> None:
    assert references(body) == named


# Tools


def test_tools_of_every_kind_are_offered_as_functions() -> None:
    subject = conversation(tools=TOOLS)
    assert {tool.name: bool(tool.input_schema) for tool in subject.tools} == {
        "Read": True,
        "patch": True,
        "agents__spawn": False,
        "local_shell": True,
        "shell": True,
        "apply_patch": True,
        "tool_search": True,
    }
    patch = subject.tools[1]
    assert "a+" in patch.description, "the model is told the grammar"
    assert patch.input_schema is not None
    assert patch.input_schema["required"] == ["input"]
    assert subject.web_search == WebSearch(carried=False, path="tools.7")
    assert "Agents." in subject.tools[2].description


def test_names_of_namespaces_never_meet() -> None:
    inner = [{"type": "function", "name": "b__c"}]
    decoded = decode(
        tools=[
            {"type": "function", "name": "a__b__c"},
            {"type": "namespace", "name": "a", "description": "", "tools": inner},
            {"type": "namespace", "name": "a__b", "description": "", "tools": [{"type": "function", "name": "c"}]},
        ]
    )
    assert [tool.name for tool in decoded.conversation.tools] == ["a__b__c", "a__b__c_2", "a__b__c_3"]
    bridges = decoded.echo.bridges
    assert (bridges["a__b__c_2"].namespace, bridges["a__b__c_2"].name) == ("a", "b__c")
    assert (bridges["a__b__c_3"].namespace, bridges["a__b__c_3"].name) == ("a__b", "c")


def test_what_cannot_be_offered_is_left_out_with_a_note() -> None:
    tools = [
        {"type": "file_search"},
        {"type": "mcp", "server_label": "a", "authorization": "secret"},
        {"type": "shell", "environment": {"type": "container_auto"}},
        {"type": "tool_search"},
        {"type": "web_search", "external_web_access": False},
    ]
    decoded = decode(tools=tools)
    assert decoded.conversation.tools == ()
    assert decoded.conversation.web_search is None
    assert sorted(notes(decoded.conversation)) == [f"tools.{index}" for index in range(5)]
    assert decoded.echo.fields["tools"] == [], "what is not offered is not repeated, nor are the secrets in it"


def test_the_web_search_and_its_settings() -> None:
    tool = {
        "type": "web_search",
        "filters": {"allowed_domains": ["example.com"]},
        "user_location": {"type": "approximate", "city": "Graz", "country": "AT", "timezone": "Europe/Vienna"},
        "search_context_size": "low",
    }
    decoded = decode(tools=[tool], max_tool_calls=3)
    assert decoded.conversation.web_search == WebSearch(
        max_uses=3,
        allowed_domains=("example.com",),
        location="Graz, AT (time zone Europe/Vienna)",
        carried=False,
        path="tools.0",
    )
    assert decoded.echo.fields["tools"] == [tool]
    own = conversation(tools=[{"type": "function", "name": "web_search"}, tool], tool_choice={"type": "web_search"})
    assert own.web_search is not None
    assert own.web_search.name == "web_search_2", "a function of that name is the client's own"
    assert own.tool_choice == ToolChoice("tool", "web_search_2")


def test_items_can_bring_further_tools() -> None:
    found = {"type": "function", "name": "mail", "parameters": {"type": "object"}}
    subject = conversation(
        {"type": "additional_tools", "role": "developer", "tools": [found]},
        {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {"query": "mail"}},
        {"type": "tool_search_output", "call_id": "c", "tools": [found, {**found, "name": "send"}]},
    )
    assert [tool.name for tool in subject.tools] == ["mail", "send"]
    assert subject.turns[1].parts == (ToolResult("c", (Text("Tools that are available now: mail, send"),)),)


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (None, ToolChoice()),
        ("auto", ToolChoice()),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("any")),
        ({"type": "function", "name": "Read"}, ToolChoice("tool", "Read")),
        ({"type": "function", "name": "spawn"}, ToolChoice("tool", "agents__spawn")),
        ({"type": "custom", "name": "patch"}, ToolChoice("tool", "patch")),
        ({"type": "web_search_preview"}, ToolChoice("tool", "web_search")),
        ({"type": "apply_patch"}, ToolChoice("tool", "apply_patch")),
    ],
)
def test_tool_choices(choice: Any, wanted: ToolChoice) -> None:
    assert conversation(tools=TOOLS, tool_choice=choice).tool_choice == wanted


def test_allowed_tools_take_the_others_away() -> None:
    allowed = [{"type": "function", "name": "Read"}, {"type": "image_generation"}]
    choice = {"type": "allowed_tools", "mode": "required", "tools": allowed}
    subject = conversation(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False)
    assert [tool.name for tool in subject.tools] == ["Read"]
    assert subject.web_search is None
    assert subject.tool_choice == ToolChoice("any", parallel=False)


# Settings


@pytest.mark.parametrize(
    ("reasoning", "asked", "enabled", "effort", "display"),
    [
        (None, False, True, None, "omitted"),
        ({"effort": "high"}, True, True, Effort.HIGH, "omitted"),
        ({"effort": "none"}, False, False, Effort.NONE, "omitted"),
        ({"effort": "odd", "summary": "odd"}, False, True, None, "omitted"),
        ({"summary": "detailed"}, False, True, None, "summarized"),
        ({"generate_summary": "concise", "effort": "low"}, True, True, Effort.LOW, "summarized"),
    ],
)
def test_reasoning_settings(reasoning: Any, asked: bool, enabled: bool, effort: Any, display: str) -> None:
    setting = conversation(reasoning=reasoning).thinking
    assert (setting.asked, setting.enabled, setting.effort, setting.display) == (asked, enabled, effort, display)
    assert setting.accepted, "every client of this API takes reasoning items"


def test_settings_that_items_change() -> None:
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    subject = conversation(
        {"role": "user", "content": "Hi"},
        {"type": "configuration_update", "reasoning": {"effort": "high"}, "text": {"format": schema}},
        {"type": "configuration_update", "reasoning": {"effort": "low"}},
        reasoning={"effort": "max"},
    )
    assert subject.thinking.effort is Effort.LOW
    assert subject.output_schema == OutputSchema({"type": "object"}, "n", path="input.1.text.format")


def test_the_session_is_the_headers_then_the_cache_keys_then_the_metadatas() -> None:
    body = {"model": "m", "input": "Hi", "prompt_cache_key": "key", "metadata": {"session_id": "meta"}}
    assert decode_responses(body, session_header="head").conversation.session == ClientSession("head", "session-id")
    assert decode_responses(body).conversation.session == ClientSession("key", "prompt_cache_key")
    del body["prompt_cache_key"]
    assert decode_responses(body).conversation.session == ClientSession("meta", "metadata.session_id")


def test_the_response_repeats_its_request() -> None:
    decoded = decode(
        instructions="I",
        max_output_tokens=9,
        metadata={"a": "b"},
        reasoning={"effort": "low", "summary": "auto"},
        store=False,
        temperature=0.5,
        text={"format": {"type": "json_object"}, "verbosity": "low"},
        tool_choice="none",
        tools=[{"type": "function", "name": "f"}],
        truncation="auto",
        user="u",
    )
    told = decoded.echo.fields
    assert decoded.conversation.limits.max_tokens == 9
    assert told["instructions"] == "I"
    assert (told["max_output_tokens"], told["store"], told["temperature"], told["truncation"]) == (
        9,
        False,
        0.5,
        "auto",
    )
    assert (told["metadata"], told["user"], told["tool_choice"]) == ({"a": "b"}, "u", "none")
    assert told["reasoning"] == {"effort": "low", "summary": "auto"}
    assert told["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}
    assert told["tools"] == [
        {"type": "function", "name": "f", "description": None, "parameters": None, "strict": False}
    ]


@settings(max_examples=150)
@given(valid_bodies)
def test_valid_bodies_decode_and_their_response_is_one_of_the_sdks(body: dict[str, Any]) -> None:
    decoded = decode_responses(body)
    sent = body["input"]
    assert len(decoded.input_items) == (1 if isinstance(sent, str) else len(sent))
    answer = ResponseBody(decoded.echo, "resp_1", 5)
    answer.add([Finish(StopCause.END_TURN)])
    assert check_json("responses", json.loads(answer.body())) == []
    again = decode_responses({"model": "m", "input": "Go on", "tools": body.get("tools")}, earlier=decoded.input_items)
    assert [said(turn) for turn in again.conversation.turns[:-1]] == [
        said(turn) for turn in decoded.conversation.turns
    ], "what is stored says the same as what was sent"


def said(turn: Turn) -> tuple[str, list[Any]]:
    """A turn without the places in the body that its parts remember."""

    def placeless(part: Any) -> Any:
        if isinstance(part, ToolResult):
            return attrs.evolve(part, content=tuple(map(placeless, part.content)))
        return attrs.evolve(part, path="") if isinstance(part, RemoteFile) else part

    return turn.role, [placeless(part) for part in turn.parts]


# The newest SDK's types


def typed_dicts(union: Any) -> list[Any]:
    found: list[Any] = []
    for member in typing_extensions.get_args(union):
        if typing_extensions.is_typeddict(member):
            found.append(member)
        else:
            found += typed_dicts(member)
    return found


def kinds(param: Any) -> list[str]:
    hint = typing_extensions.get_type_hints(param)["type"]

    def literals(of: Any) -> list[str]:
        arguments = typing_extensions.get_args(of)
        return [value for value in arguments if isinstance(value, str)] + [
            value for inner in arguments if not isinstance(inner, str) for value in literals(inner)
        ]

    return literals(hint)


def fields(param: Any) -> set[str]:
    return set(typing_extensions.get_type_hints(param))


def test_every_input_item_of_the_sdk_is_known_with_its_fields() -> None:
    members = typed_dicts(ResponseInputItemParam)
    assert len(members) > 30
    unknown = {kind for param in members for kind in kinds(param)} - ITEMS.keys() - {"item_reference"}
    assert unknown == set(), "an input item of the SDK has no reader"
    pictures = {"action", "background", "moderation", "image"}
    missing = {name for param in members for name in fields(param)} - ITEM_FIELDS - pictures
    assert missing == set(), "a field of an input item would be noted as unknown"


def test_every_content_part_of_the_sdk_is_known_with_its_fields() -> None:
    for param in typed_dicts(ResponseInputContentParam):
        assert set(kinds(param)) <= PARTS.keys()
        assert fields(param) <= PART_FIELDS


def test_every_parameter_of_the_sdk_is_known() -> None:
    assert fields(ResponseCreateParamsBase) - KNOWN_PARAMETERS == set()


@pytest.mark.parametrize("kind", sorted({kind for param in typed_dicts(ToolParam) for kind in kinds(param)}))
def test_every_tool_of_the_sdk_is_known(kind: str) -> None:
    tool = {"type": kind, "name": "n", "tools": [], "execution": "client"}
    assert not any("not known" in text for text in notes(conversation(tools=[tool])).values())
