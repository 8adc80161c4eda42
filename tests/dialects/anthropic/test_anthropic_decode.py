"""What Anthropic clients send, as a Conversation. Samples are real requests with their texts filled up."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
import typing_extensions
from anthropic.types.beta import BetaContentBlockParam, BetaToolUnionParam
from anthropic.types.beta.beta_tool_result_block_param import Content as ResultContentParam
from anthropic.types.beta.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.beta.message_create_params import MessageCreateParamsBase
from hypothesis import given
from strategies_anthropic import valid_bodies
from support.files import IMAGES

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
    Tool,
    ToolChoice,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
    WebFetch,
    WebSearch,
)
from kirotrio.dialects.anthropic import decode_count_tokens, decode_request
from kirotrio.errors import ThreadsUnsupported

SAMPLES = sorted((Path(__file__).parents[2] / "data" / "clients").glob("*.json"))
ANTHROPIC = [path for path in SAMPLES if path.name.startswith(("claude_code", "py_anthropic"))]
THREADS = {"py_anthropic-010", "py_anthropic-011"}


def sample(name: str) -> dict[str, Any]:
    path = next(path for path in ANTHROPIC if path.stem == name)
    loaded: dict[str, Any] = json.loads(path.read_bytes())
    return loaded


def decode_sample(name: str) -> Conversation:
    sent = sample(name)
    headers = {key.lower(): value for key, value in sent["headers"].items()}
    decoded = decode_request(
        orjson.dumps(sent["body"]),
        betas=(headers.get("anthropic-beta", ""),),
        session_header=headers.get("x-claude-code-session-id"),
    )
    assert decoded.stream is sent["body"].get("stream", False)
    return decoded.conversation


def body(*content: Any, role: str = "user", **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": role, "content": list(content) or "Hi"}], **more}


def conversation(*content: Any, role: str = "user", **more: Any) -> Conversation:
    return decode_request(body(*content, role=role, **more)).conversation


def parts(*content: Any, role: str = "user") -> tuple[Any, ...]:
    return conversation(*content, role=role).turns[0].parts


def notes(subject: Conversation) -> dict[str, str]:
    return {note.path: note.message for note in subject.diagnostics}


@pytest.mark.parametrize("name", [path.stem for path in ANTHROPIC if path.stem not in THREADS])
def test_every_sample_decodes_with_all_its_messages_and_tools(name: str) -> None:
    sent, decoded = sample(name)["body"], decode_sample(name)
    assert decoded.model == sent["model"]
    assert [turn.role for turn in decoded.turns] == [message["role"] for message in sent["messages"]]
    assert [turn.path for turn in decoded.turns] == [f"messages.{index}" for index in range(len(sent["messages"]))]
    served = [tool.name for tool in (decoded.web_search, decoded.web_fetch) if tool is not None]
    assert [tool.name for tool in decoded.tools] + served == [tool["name"] for tool in sent.get("tools", [])]
    assert decoded.limits.max_tokens == sent["max_tokens"]
    unknown = [note for note in decoded.diagnostics if "unknown" in note.message or "not known" in note.message]
    assert unknown == [], "a field or beta that a measured client sends is not known"


def test_there_are_samples() -> None:
    assert len(ANTHROPIC) >= 11


@pytest.mark.parametrize("name", sorted(THREADS))
def test_threads_are_refused_so_that_the_sdk_sends_the_whole_history(name: str) -> None:
    with pytest.raises(ThreadsUnsupported):
        decode_sample(name)


def test_claude_codes_first_request() -> None:
    decoded = decode_sample("claude_code-001")
    assert decoded.system[0].startswith("x-anthropic-billing-header:")
    assert len(decoded.system) == 3
    assert decoded.thinking.enabled
    assert decoded.thinking.asked
    assert (decoded.thinking.budget, decoded.thinking.display) == (31999, "omitted")
    assert decoded.session == ClientSession("5f2a360b-65c1-401c-b581-5770e66ce739", "x-claude-code-session-id")
    assert notes(decoded) == {"context_management": "ignored: the history is sent as it is"}


def test_a_system_message_keeps_its_place_and_sets_the_effort() -> None:
    decoded = decode_sample("claude_code-011")
    assert [turn.role for turn in decoded.turns] == ["user", "system"]
    assert isinstance(decoded.turns[1].parts[0], Text)
    assert decoded.thinking.effort is Effort.MEDIUM


def test_claude_codes_web_search_is_answered_directly() -> None:
    decoded = decode_sample("claude_code-033")
    assert decoded.tools == ()
    assert decoded.web_search == WebSearch(max_uses=8, direct_query="abc def", path="tools.0")
    assert notes(decoded) == {}


def test_deferred_tools_and_the_references_that_load_them() -> None:
    decoded = decode_sample("claude_code-036")
    assert [tool.name for tool in decoded.tools if tool.deferred] == [
        "WebFetch",
        "WebSearch",
        "DeferredToolPlaceholder",
    ]
    result = decoded.turns[3].parts[0]
    assert isinstance(result, ToolResult)
    assert result.content == (ToolReference("WebSearch"), ToolReference("WebFetch"))


def test_a_tool_round_trip_with_thinking() -> None:
    assistant, user = decode_sample("claude_code-041").turns[2:4]
    thinking, call = assistant.parts
    assert isinstance(thinking, Thinking)
    assert thinking.signature.startswith("c3R1Yi1")
    assert call == ToolUse(
        "toolu_a5615998a61243ffa34fbda2",
        "Agent",
        {"description": "x", "prompt": "hello sub", "subagent_type": "general-purpose"},
    )
    result = user.parts[0]
    assert isinstance(result, ToolResult)
    assert result.tool_use_id == call.id
    assert all(isinstance(part, Text) for part in result.content)


def test_image_and_text_document() -> None:
    image, document, text = decode_sample("py_anthropic-015").turns[0].parts
    assert isinstance(image, Image)
    assert image.media_type == "image/png"
    assert document == Document("text/plain", "doc", title="t")
    assert isinstance(text, Text)


# One block in, its part out.
PNG = {"type": "base64", "media_type": "image/png", "data": "aGk="}
JPEG = base64.b64encode(IMAGES["image/jpeg"]).decode()


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "text", "text": ""}, (Text(""),)),
        ({"type": "thinking", "thinking": "Hm"}, (Thinking("Hm"),)),
        ({"type": "thinking", "thinking": "", "signature": "s"}, (Thinking("", "s"),)),
        ({"type": "redacted_thinking", "data": "d"}, (RedactedThinking("d"),)),
        ({"type": "image", "source": PNG}, (Image("image/png", "aGk="),)),
        ({"type": "image", "source": {**PNG, "media_type": "image/jpg"}}, (Image("image/jpeg", "aGk="),)),
        ({"type": "image", "source": {**PNG, "data": JPEG}}, (Image("image/jpeg", JPEG),)),
        ({"type": "image", "source": {**PNG, "data": "aG\nk=\n"}}, (Image("image/png", "aGk="),)),
        (
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            (RemoteFile("https://x/y.png", "image", path="messages.0.content.0.source"),),
        ),
        (
            {"type": "document", "title": "T", "context": "C", "source": {"type": "url", "url": "http://x/y.pdf"}},
            (RemoteFile("http://x/y.pdf", "document", "T", "C", "messages.0.content.0.source"),),
        ),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}},
            (Document("application/pdf", "aGk="),),
        ),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "text/markdown", "data": "aGk="}},
            (Document("text/markdown", "hi"),),
        ),
        (
            {"type": "document", "title": "T", "context": "C", "source": {"type": "content", "content": "hi"}},
            (Document("text/plain", "hi", "T", "C"),),
        ),
        (
            {
                "type": "document",
                "title": "T",
                "source": {
                    "type": "content",
                    "content": [
                        {"type": "text", "text": "a"},
                        {"type": "image", "source": PNG},
                        {"type": "text", "text": "b"},
                    ],
                },
            },
            (Document("text/plain", "a", "T"), Image("image/png", "aGk="), Document("text/plain", "b")),
        ),
        (
            {
                "type": "search_result",
                "title": "T",
                "source": "https://x",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
            (Text("T\nSource: https://x\n\na\nb"),),
        ),
        ({"type": "tool_use", "id": "i", "name": "n", "input": {"a": 1}}, (ToolUse("i", "n", {"a": 1}),)),
        ({"type": "tool_use", "id": "i", "name": "n"}, (ToolUse("i", "n", {}),)),
        ({"type": "tool_result", "tool_use_id": "i"}, (ToolResult("i"),)),
        (
            {"type": "tool_result", "tool_use_id": "i", "content": "x", "is_error": True},
            (ToolResult("i", (Text("x"),), is_error=True),),
        ),
        (
            {
                "type": "tool_result",
                "tool_use_id": "i",
                "content": [{"type": "image", "source": PNG}, {"type": "browser_state", "tabs": [{"id": 1}]}],
            },
            (ToolResult("i", (Image("image/png", "aGk="), Text('{"tabs":[{"id":1}]}'))),),
        ),
        (
            {"type": "server_tool_use", "id": "i", "name": "web_search", "input": {"query": "q"}},
            (ServerToolUse("i", "web_search", {"query": "q"}),),
        ),
        (
            {"type": "web_search_tool_result", "tool_use_id": "i", "content": [{"url": "u"}]},
            (ServerToolResult("i", "web_search_tool_result", [{"url": "u"}]),),
        ),
        (
            {"type": "mcp_tool_use", "id": "i", "name": "n", "server_name": "s", "input": {}},
            (ServerToolUse("i", "n", {}),),
        ),
        (
            {"type": "mcp_tool_result", "tool_use_id": "i", "content": "x"},
            (ServerToolResult("i", "mcp_tool_result", "x"),),
        ),
        ({"type": "compaction", "content": "What was said."}, (Text("What was said."),)),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_a_block_becomes_its_part(block: dict[str, Any], expected: tuple[Any, ...]) -> None:
    assert parts(block) == expected


def test_a_block_type_that_nobody_knows_is_noted_and_left_out() -> None:
    decoded = conversation({"type": "hologram", "text": "boo"}, {"type": "text", "text": "Hi"})
    assert decoded.turns[0].parts == (Text("Hi"),)
    assert notes(decoded) == {"messages.0.content.0": "content block type 'hologram' is not known here: left out"}


def test_unknown_fields_and_betas_are_noted_once_and_harm_nobody() -> None:
    text = {"type": "text", "text": "Hi", "sparkle": 1}
    sent = body(text, text, wobble=[1], tools=[{"name": "a", "shiny": 1}, {"name": "b", "shiny": 2}])
    sent["messages"][0]["mood"] = "good"
    decoded = decode_request(sent, betas=("brand-new-2027-01-01, claude-code-20250219",)).conversation
    assert notes(decoded) == {
        "wobble": "unknown field 'wobble' of the request: ignored",
        "anthropic-beta": "beta 'brand-new-2027-01-01' is not known here",
        "messages.0.mood": "unknown field 'mood' of a message: ignored",
        "messages.0.content.0.sparkle": "unknown field 'sparkle' of a text block: ignored",
        "tools.0.shiny": "unknown field 'shiny' of a tool: ignored",
    }


def test_the_notes_about_a_hostile_body_are_bounded() -> None:
    fields = {f"x{number}": 1 for number in range(5000)}
    assert len(decode_request({**body(), **fields}).conversation.diagnostics) == 100


def test_what_has_no_channel_upstream_is_noted() -> None:
    decoded = conversation(
        temperature=0.5, top_k=5, service_tier="auto", mcp_servers=[], output_config={"task_budget": {}}
    )
    assert set(notes(decoded)) == {"temperature", "top_k", "service_tier", "mcp_servers", "output_config.task_budget"}


# Every block, field and tool of the newest SDK types is known here.


def typed_dicts(union: Any) -> list[Any]:
    found: list[Any] = []
    for member in typing_extensions.get_args(union):
        if typing_extensions.get_origin(member) is not None:
            found += typed_dicts(member)
        elif typing_extensions.is_typeddict(member):
            found.append(member)
    return found


def literals(param: Any, name: str = "type") -> tuple[str, ...]:
    hint = typing_extensions.get_type_hints(param)[name]
    inner = [
        literal
        for part in typing_extensions.get_args(hint)
        for literal in typing_extensions.get_args(part)
        if isinstance(literal, str)
    ]
    return tuple(inner) or tuple(value for value in typing_extensions.get_args(hint) if isinstance(value, str))


BLOCK_PARAMS = [(kind, param) for param in typed_dicts(BetaContentBlockParam) for kind in literals(param)]
RESULT_PARAMS = [(kind, param) for param in typed_dicts(ResultContentParam) for kind in literals(param)]
TOOL_PARAMS = [(kind, param) for param in typed_dicts(BetaToolUnionParam) for kind in literals(param)]

FILLER: dict[str, Any] = {
    "source": {"type": "text", "media_type": "text/plain", "data": "x"},
    "content": "x",
    "input": {},
    "tool": {"type": "tool_reference", "name": "n"},
    "tools": [],
    "tabs": [],
    "is_error": False,
    "tool_changes": [],
    "citations": None,
    "trigger": None,
    "from": {},
    "to": {},
    "state_changes": None,
}


def filled(kind: str, param: Any) -> dict[str, Any]:
    block = {name: FILLER.get(name, "x") for name in typing_extensions.get_type_hints(param)}
    block |= {"type": kind, "cache_control": None, "caller": {"type": "direct"}}
    if kind == "image":
        block["source"] = PNG
    if kind == "search_result":
        block |= {"content": [], "source": "x"}
    return {name: value for name, value in block.items() if name in typing_extensions.get_type_hints(param)}


@pytest.mark.parametrize(("kind", "param"), BLOCK_PARAMS, ids=[kind for kind, _ in BLOCK_PARAMS])
def test_every_block_of_the_newest_types_is_known_with_its_fields(kind: str, param: Any) -> None:
    decoded = conversation(filled(kind, param), role="assistant")
    assert not [note for note in decoded.diagnostics if "known" in note.message]


@pytest.mark.parametrize(("kind", "param"), RESULT_PARAMS, ids=[kind for kind, _ in RESULT_PARAMS])
def test_every_block_of_a_tool_result_is_known_with_its_fields(kind: str, param: Any) -> None:
    decoded = conversation({"type": "tool_result", "tool_use_id": "i", "content": [filled(kind, param)]})
    assert not [note for note in decoded.diagnostics if "known" in note.message]
    (result,) = decoded.turns[0].parts
    assert isinstance(result, ToolResult)
    assert len(result.content) == 1


@pytest.mark.parametrize(("kind", "param"), TOOL_PARAMS, ids=[kind for kind, _ in TOOL_PARAMS])
def test_every_tool_of_the_newest_types_decodes(kind: str, param: Any) -> None:
    hints = typing_extensions.get_type_hints(param)
    tool: dict[str, Any] = {"type": kind}
    if "name" in hints:
        tool["name"] = (literals(param, "name") or ("n",))[0]
    if "input_schema" in hints:
        tool["input_schema"] = {"type": "object"}
    tool |= {name: 1 for name in hints if name.endswith("_px")}
    if kind.startswith(("web_search_", "web_fetch_")):
        tool |= {name: None for name in hints if name not in tool}
    decoded = conversation(tools=[tool])
    assert not [note for note in decoded.diagnostics if "unknown" in note.message]
    if kind.startswith(("web_search_", "web_fetch_")):
        search, fetch = WebSearch(path="tools.0"), WebFetch(path="tools.0")
        wanted = (search, None) if kind.startswith("web_search_") else (None, fetch)
        assert (decoded.web_search, decoded.web_fetch, decoded.tools) == (*wanted, ())
    elif "name" in hints:
        assert [(read.name, read.kind) for read in decoded.tools] == [(tool["name"], "" if kind == "custom" else kind)]
    else:
        assert not decoded.tools
        assert "tools.0" in notes(decoded)


@pytest.mark.parametrize("param", [MessageCreateParamsBase, MessageCountTokensParams])
def test_every_field_of_the_newest_request_types_is_known(param: Any) -> None:
    header_fields = {"betas", "user_profile_id", "workspace_id", "thread"}
    objects = {"output_config", "tool_choice", "output_format"}
    fields = {name: None for name in typing_extensions.get_type_hints(param) if name not in header_fields | objects}
    decoded = decode_request({**fields, **body()}).conversation
    assert not [note for note in decoded.diagnostics if "unknown" in note.message]


# Settings


def test_thinking_is_accepted_by_those_whose_betas_or_history_show_it() -> None:
    def accepted(*content: Any, betas: tuple[str, ...] = (), **more: Any) -> bool:
        return decode_request(body(*content, role="assistant", **more), betas=betas).conversation.thinking.accepted

    assert not accepted()
    assert accepted(betas=("claude-code-20250219,interleaved-thinking-2025-05-14",))
    assert accepted(betas=("thinking-token-count-2026-05-13",))
    assert accepted({"type": "thinking", "thinking": "", "signature": "s"})
    assert accepted({"type": "redacted_thinking", "data": "d"})
    assert accepted(thinking={"type": "adaptive"})
    assert not accepted(thinking={"type": "disabled"})


def test_the_default_of_thinking_is_the_callers() -> None:
    assert decode_request(body()).conversation.thinking.enabled
    assert not decode_request(body(), default_thinking=False).conversation.thinking.enabled
    odd = decode_request(body(thinking={"type": "sometimes"}), default_thinking=False).conversation
    assert not odd.thinking.enabled
    assert "thinking" in notes(odd)


def test_effort_of_the_turn_beats_that_of_the_request() -> None:
    system = {"role": "system", "output_config": {"effort": "low"}}
    user = {"role": "user", "content": "Go on"}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "i"}]}

    def effort(*messages: Any) -> Effort | None:
        sent = {"model": "m", "max_tokens": 9, "messages": list(messages), "output_config": {"effort": "high"}}
        return decode_request(sent).conversation.thinking.effort

    assert effort(user) is Effort.HIGH
    assert effort(user, system) is Effort.LOW
    assert effort(user, system, result) is Effort.LOW
    assert effort(user, system, user) is Effort.HIGH


def test_a_system_message_that_is_to_be_cleared_goes_with_the_next_user_message() -> None:
    system = {"role": "system", "content": "Now only.", "clear_at": "next_user_message"}
    user = {"role": "user", "content": "Hi"}
    shown = decode_request({"model": "m", "max_tokens": 9, "messages": [user, system]}).conversation
    assert [turn.role for turn in shown.turns] == ["user", "system"]
    cleared = decode_request({"model": "m", "max_tokens": 9, "messages": [user, system, user]}).conversation
    assert [turn.path for turn in cleared.turns] == ["messages.0", "messages.2"]


@pytest.mark.parametrize(
    ("user_id", "header", "expected"),
    [
        ("somebody", None, ClientSession("somebody", "metadata.user_id")),
        ('{"device_id": "d", "session_id": "s"}', None, ClientSession("s", "metadata.user_id.session_id")),
        ("user_ab_account__session_s-1", None, ClientSession("s-1", "metadata.user_id.session_id")),
        ('{"session_id": 5}', None, ClientSession('{"session_id": 5}', "metadata.user_id")),
        ("{broken", " ", ClientSession("{broken", "metadata.user_id")),
        ("somebody", "h", ClientSession("h", "x-claude-code-session-id")),
        (None, None, None),
        ({"odd": 1}, None, None),
        ("", "", None),
    ],
)
def test_the_session(user_id: Any, header: str | None, expected: ClientSession | None) -> None:
    sent = body(metadata={"user_id": user_id})
    assert decode_request(sent, session_header=header).conversation.session == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolChoice()),
        ({"type": "auto"}, ToolChoice()),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
        ({"type": "any"}, ToolChoice("any")),
        ({"type": "none"}, ToolChoice("none")),
        ({"type": "tool", "name": "a"}, ToolChoice("tool", "a")),
    ],
)
def test_tool_choice(choice: Any, expected: ToolChoice) -> None:
    assert conversation(tools=[{"name": "a"}], tool_choice=choice).tool_choice == expected


@pytest.mark.parametrize("where", ["output_config", "output_format"])
def test_a_json_schema_for_the_answer(where: str) -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    more = {"output_config": {"format": wanted}} if where == "output_config" else {"output_format": wanted}
    path = "output_config.format" if where == "output_config" else where
    assert conversation(**more).output_schema == OutputSchema({"type": "object"}, strict=True, path=path)


def test_limits_leave_out_sequences_that_would_stop_every_answer() -> None:
    decoded = conversation(stop_sequences=["END", "", "END", "\n"])
    assert decoded.limits.stop_sequences == ("END", "\n")
    assert "stop_sequences" in notes(decoded)


def test_system_as_a_string_as_blocks_and_not_at_all() -> None:
    assert conversation(system="Be kind.").system == ("Be kind.",)
    blocks = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}]
    assert conversation(system=blocks).system == ("a", "b")
    assert conversation(system=None).system == ()


# Tools that change between messages


def test_tools_added_loaded_and_withdrawn_by_messages() -> None:
    def change(kind: str, tool: Any) -> dict[str, Any]:
        return {"role": "system", "content": [{"type": f"tool_{kind}", "tool": tool}]}

    sent = {
        "model": "m",
        "max_tokens": 9,
        "tools": [{"name": "a"}, {"name": "b", "defer_loading": True}],
        "messages": [
            {"role": "user", "content": "Hi"},
            change("addition", {"type": "tool_definition", "definition": {"name": "c", "description": "C"}}),
            change("addition", {"type": "tool_reference", "name": "b"}),
            change("removal", {"type": "tool_reference", "name": "a"}),
            change("addition", {"type": "mcp_tool_reference", "server_name": "s", "name": "x"}),
        ],
    }
    decoded = decode_request(sent).conversation
    where = "messages.1.content.0.tool.definition"
    assert decoded.tools == (Tool("b", path="tools.1"), Tool("c", "C", path=where))
    assert [turn.role for turn in decoded.turns] == ["user"], "a message that only changes tools says nothing"
    assert "messages.4.content.0.tool" in notes(decoded)


def test_a_compaction_carries_its_summary_and_its_changes_of_tools() -> None:
    removal = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "a"}}
    summary = {"type": "compaction", "content": "Said before.", "tool_changes": [removal]}
    decoded = conversation(summary, tools=[{"name": "a"}, {"name": "b"}])
    assert decoded.turns[0].parts == (Text("Said before."),)
    assert [tool.name for tool in decoded.tools] == ["b"]
    assert "messages.0.content.0" in notes(conversation({"type": "compaction", "encrypted_content": "x"}))


def test_a_tool_set_of_the_server_is_noted_where_it_is_defined_by_a_message() -> None:
    toolset = {"type": "tool_definition", "definition": {"type": "mcp_toolset", "mcp_server_name": "s"}}
    decoded = conversation({"type": "tool_addition", "tool": toolset}, {"type": "text", "text": "Hi"})
    assert decoded.tools == ()
    assert "messages.0.content.0.tool.definition" in notes(decoded)


def test_no_tokens_at_all_are_allowed_and_noted() -> None:
    decoded = decode_request({**body(), "max_tokens": 0}).conversation
    assert decoded.limits.max_tokens == 0
    assert "max_tokens" in notes(decoded)


# count_tokens


def test_count_tokens_needs_no_max_tokens() -> None:
    sent = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "system": "S", "tools": [{"name": "a"}]}
    decoded = decode_count_tokens(orjson.dumps(sent))
    assert not decoded.stream
    assert decoded.conversation.limits.max_tokens is None
    assert decoded.conversation.turns == (Turn("user", (Text("Hi"),), "messages.0"),)


def texts_of(block: dict[str, Any]) -> list[str]:
    """What a block says to the model in text, by the rules above."""
    if block["type"] == "search_result":
        return ["\n".join([block["title"], f"Source: {block['source']}", "", *map(texts_of_text, block["content"])])]
    if block["type"] == "compaction":
        return [block["content"]] if block.get("content") else []
    return [texts_of_text(block)] if block["type"] == "text" else []


def texts_of_text(block: dict[str, Any]) -> str:
    text: str = block["text"]
    return text


@given(valid_bodies)
def test_every_valid_body_decodes_with_its_texts_in_order(sent: dict[str, Any]) -> None:
    decoded = decode_request(orjson.dumps(sent))
    assert decoded.conversation == decode_request(sent).conversation
    assert decoded.stream is sent.get("stream", False)
    turns = iter(decoded.conversation.turns)
    for index, message in enumerate(sent["messages"]):
        cleared = message.get("clear_at") and any(later["role"] == "user" for later in sent["messages"][index:])
        if cleared or (message["role"] == "system" and message["content"] == []):
            continue
        turn = next(turns)
        assert (turn.role, turn.path) == (message["role"], f"messages.{index}")
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        said = [text for block in blocks for text in texts_of(block)]
        assert [part.text for part in turn.parts if isinstance(part, Text)] == said
    assert next(turns, None) is None


def test_decoded_values_are_immutable() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        conversation().model = "other"
