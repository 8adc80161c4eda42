"""The requests that the load sends: a short question, or a long conversation with tools, in each of the APIs."""

from __future__ import annotations

from typing import Any

import orjson

MODEL = "claude-sonnet-4.5"
NONCE = b"@nonce00000@"
"""Stands wherever a request has to differ from the one before; the load puts a number of the same length there."""
PATHS = {
    "messages": "/v1/messages",
    "cc": "/cc/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
}
_FULL_BYTES, _FULL_MESSAGES, _FULL_TOOLS = 1_500_000, 200, 60
_PROSE = (
    'The function reads one line at a time, keeps what is not yet complete and hands on the rest; "quoted" words,\n'
    "    indented lines and a tab\tare in it, as in the files that such a conversation is full of. "
)


def question(api: str, order: str, *, stream: bool) -> bytes:
    """One short message; `order` is what the upstream is to answer."""
    return _document(api, [{"role": "user", "content": f"[[bench {order}]] Tell me about the weather."}], stream=stream)


def simulated(api: str, controls: str, *, stream: bool) -> bytes:
    """The same for the project's simulator."""
    return _document(api, [{"role": "user", "content": f"[[{controls}]] Tell me about the weather."}], stream=stream)


def conversation(size: int, order: str, *, fresh: bool, stream: bool = True) -> bytes:
    """A conversation of about `size` bytes: 200 messages and 60 tools at 1.5 MB, and in proportion.

    `fresh`: every message and tool differs from request to request; otherwise the last message alone does.
    """
    share = size / _FULL_BYTES
    turns = max(1, round(_FULL_MESSAGES * share / 2))
    tools = [_tool(number, fresh=fresh) for number in range(max(1, round(_FULL_TOOLS * share)))]
    each = max(200, (size - len(orjson.dumps(tools))) // (2 * turns) - 250)
    messages: list[dict[str, Any]] = []
    for turn in range(turns):
        mark = NONCE.decode() if fresh else "@always0000@"
        text = f"{mark} {turn} " + (_PROSE * (each // len(_PROSE) + 1))[:each]
        user: Any = text
        if turn:
            user = [{"type": "tool_result", "tool_use_id": f"toolu_{turn - 1:06d}", "content": text}]
        messages.append({"role": "user", "content": user})
        use = {"type": "tool_use", "id": f"toolu_{turn:06d}", "name": tools[turn % len(tools)]["name"]}
        answer = [{"type": "text", "text": text}, {**use, "input": {"path": f"src/file_{turn}.py", "limit": turn}}]
        messages.append({"role": "assistant", "content": answer})
    last = {"type": "tool_result", "tool_use_id": f"toolu_{turns - 1:06d}", "content": "done"}
    asked = {"type": "text", "text": f"{NONCE.decode()} [[bench {order}]] And now?"}
    messages.append({"role": "user", "content": [last, asked]})
    return _document("messages", messages, stream=stream, tools=tools)


def _tool(number: int, *, fresh: bool) -> dict[str, Any]:
    mark = NONCE.decode() if fresh else ""
    properties = {
        "path": {"type": "string", "description": f"Path of the file {mark}"},
        "limit": {"type": "integer", "minimum": 0, "description": "How many lines to read at most"},
        "flags": {"type": "array", "items": {"type": "string", "enum": ["a", "b", "c"]}},
    }
    schema = {"type": "object", "properties": properties, "required": ["path"]}
    return {"name": f"tool_number_{number}", "description": f"Tool {number} {mark}. {_PROSE}", "input_schema": schema}


def _document(
    api: str, messages: list[dict[str, Any]], *, stream: bool, tools: list[dict[str, Any]] | None = None
) -> bytes:
    document: dict[str, Any] = {"model": MODEL, "stream": stream}
    if api == "responses":
        document |= {"input": messages, "max_output_tokens": 32_000, "store": False}
    elif api == "chat":
        document |= {"messages": messages, "max_completion_tokens": 32_000}
    else:
        document |= {"messages": messages, "max_tokens": 32_000, "system": "You are brief."}
    if tools:
        document["tools"] = tools
    return orjson.dumps(document)
