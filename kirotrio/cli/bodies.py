"""Which API a request body is for, and how it is decoded away from a gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from kirotrio.classes import frozen

if TYPE_CHECKING:
    from kirotrio.conversation.request import Conversation

Decode = Callable[[bytes, bool], "tuple[Conversation, tuple[str, ...]]"]


@frozen
class Api:
    """One API. `decode` takes the body's bytes and the default for thinking; it gives the conversation and notes on
    what only a running gateway has. It raises BodyInvalid."""

    title: str
    decode: Decode


def recognised(body: object) -> Api:
    """The API that a body is for, by its shape; where it fits both that have `messages`, Messages if it says how many
    tokens there may be, which that one demands."""
    if not isinstance(body, dict):
        return APIS["messages"]
    if body.get("messages") is None:
        return APIS["responses" if any(body.get(name) is not None for name in _OF_RESPONSES) else "messages"]
    marks = [*_marks(body)]
    balance = marks.count("chat") - marks.count("messages")
    return APIS["chat" if balance > 0 or (balance == 0 and body.get("max_tokens") is None) else "messages"]


_OF_RESPONSES: Final = ("input", "previous_response_id", "instructions", "max_output_tokens", "text")

_FIELDS: Final = {
    "chat": frozenset(
        {
            *("frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens"),
            *("modalities", "n", "parallel_tool_calls", "presence_penalty", "prompt_cache_key", "reasoning_effort"),
            *("response_format", "seed", "stop", "store", "stream_options", "top_logprobs", "user"),
            "web_search_options",
        }
    ),
    "messages": frozenset(
        {
            *("cache_control", "container", "context_management", "mcp_servers", "output_config", "output_format"),
            *("stop_sequences", "system", "thread"),
        }
    ),
}
_ROLES: Final = {"developer": "chat", "tool": "chat", "function": "chat"}
_ENTRIES: Final = {
    "chat": frozenset({"image_url", "input_audio", "file", "refusal"}),
    "messages": frozenset(
        {"image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking", "server_tool_use"}
    ),
}
"""Types of entries in `content`."""


def _marks(body: Mapping[str, Any]) -> Iterator[str]:
    """The name of an API for everything that only this one has."""
    for api, fields in _FIELDS.items():
        yield from (api for name in fields if body.get(name) is not None)
    if isinstance(body.get("tool_choice"), str):
        yield "chat"
    for tool in _objects(body.get("tools")):
        if "input_schema" in tool:
            yield "messages"
        elif isinstance(tool.get("function"), dict) or isinstance(tool.get("custom"), dict):
            yield "chat"
    messages = [*_objects(body.get("messages"))]
    if messages and messages[0].get("role") == "system":
        yield "chat"  # Messages has them too, but only further on
    for message in messages:
        role = message.get("role")
        if isinstance(role, str) and role in _ROLES:
            yield _ROLES[role]
        if message.get("tool_calls") is not None or message.get("function_call") is not None:
            yield "chat"
        for entry in _objects(message.get("content")):
            kind = entry.get("type")
            yield from (api for api, kinds in _ENTRIES.items() if isinstance(kind, str) and kind in kinds)
            if "cache_control" in entry:
                yield "messages"


def _objects(value: object) -> Iterator[dict[str, Any]]:
    return (entry for entry in (value if isinstance(value, list) else ()) if isinstance(entry, dict))


def _decode_messages(raw: bytes, thinking: bool) -> tuple[Conversation, tuple[str, ...]]:
    from kirotrio.dialects.anthropic import decode_request

    return decode_request(raw, default_thinking=thinking).conversation, ()


def _decode_chat(raw: bytes, thinking: bool) -> tuple[Conversation, tuple[str, ...]]:
    from kirotrio.web.api.chat import decode

    return decode(raw, None, thinking).conversation, ()


def _decode_responses(raw: bytes, thinking: bool) -> tuple[Conversation, tuple[str, ...]]:
    from kirotrio.dialects.openai_responses import decode_responses, read_request, references

    body = read_request(raw)
    named = references(body)
    stored = [f"input: item {name[:80]!r}" for name in named.item_ids]
    if named.previous_response_id is not None:
        stored.append(f"previous_response_id: {named.previous_response_id[:80]!r}")
    decoded = decode_responses(
        body,
        default_thinking=thinking,
        earlier=(_NOTHING,) if named.previous_response_id is not None else (),
        referenced=dict.fromkeys(named.item_ids, _NOTHING),
    )
    return decoded.conversation, tuple(f"{what} is known to a running gateway only; not looked at" for what in stored)


_NOTHING: Final = {"type": "reasoning", "summary": []}
"""An item of the Responses API that says nothing."""

APIS: Final[Mapping[str, Api]] = {
    "messages": Api("Messages", _decode_messages),
    "chat": Api("Chat Completions", _decode_chat),
    "responses": Api("Responses", _decode_responses),
}
