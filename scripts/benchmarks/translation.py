"""What the floor translates: a client's request to Kiro's, and Kiro's events to each API's. The least that is right.

No thinking, no limits, no repair, no accounts: what any gateway has to do for the benchmark's own requests.
"""

from __future__ import annotations

from typing import Any

import orjson
from attrs import frozen


def kiro_request(document: dict[str, Any]) -> bytes:
    """The body of GenerateAssistantResponse for a request of any of the three APIs."""
    messages = document.get("messages") or document["input"]
    model = document["model"]
    tools = [
        {
            "toolSpecification": {
                "name": tool["name"],
                "description": tool["description"],
                "inputSchema": {"json": tool["input_schema"]},
            }
        }
        for tool in document.get("tools", ())
    ]
    turns = [_turn(message, model) for message in messages]
    current = turns.pop()
    if tools:
        current["userInputMessage"].setdefault("userInputMessageContext", {})["tools"] = tools
    if "system" in document:
        first = (turns[0] if turns else current)["userInputMessage"]
        first["content"] = document["system"] + "\n\n" + first["content"]
    state = {"conversationId": "floor", "chatTriggerType": "MANUAL", "currentMessage": current, "history": turns}
    return orjson.dumps({"conversationState": state})


def _turn(message: dict[str, Any], model: str) -> dict[str, Any]:
    content = message["content"]
    text, results, uses = "", [], []
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if part["type"] == "text":
            text += part["text"]
        elif part["type"] == "tool_use":
            uses.append({"toolUseId": part["id"], "name": part["name"], "input": part["input"]})
        else:
            said = [{"text": part["content"]}]
            results.append({"toolUseId": part["tool_use_id"], "content": said, "status": "success"})
    if message["role"] == "assistant":
        return {"assistantResponseMessage": {"content": text, **({"toolUses": uses} if uses else {})}}
    said_now: dict[str, Any] = {"content": text or "-", "modelId": model, "origin": "AI_EDITOR"}
    if results:
        said_now["userInputMessageContext"] = {"toolResults": results}
    return {"userInputMessage": said_now}


def _event(name: str, document: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **document}))


@frozen
class Format:
    """One API's answer: `begin`, per text `before` + JSON string + `after`, `end`; `whole` around a JSON answer."""

    begin: bytes
    before: bytes
    after: bytes
    end: bytes
    whole_before: bytes
    whole_after: bytes

    def deltas(self, texts: list[str]) -> bytes:
        return b"".join([self.before + orjson.dumps(text) + self.after for text in texts])

    def document(self, texts: list[str]) -> bytes:
        return self.whole_before + orjson.dumps("".join(texts)) + self.whole_after


_MESSAGE = {"id": "msg_floor", "type": "message", "role": "assistant", "model": "floor", "content": []}
_USAGE = {"input_tokens": 1, "output_tokens": 1}
_MESSAGES = Format(
    begin=_event("message_start", {"message": {**_MESSAGE, "stop_reason": None, "usage": _USAGE}})
    + _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
    before=b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":',
    after=b"}}\n\n",
    end=_event("content_block_stop", {"index": 0})
    + _event("message_delta", {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": _USAGE})
    + _event("message_stop", {}),
    whole_before=b'{"id":"msg_floor","type":"message","role":"assistant","model":"floor","stop_reason":"end_turn",'
    b'"usage":{"input_tokens":1,"output_tokens":1},"content":[{"type":"text","text":',
    whole_after=b"}]}",
)
_CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"floor","choices":[{"index":0,'
_CHAT = Format(
    begin=_CHUNK + b'"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n',
    before=_CHUNK + b'"delta":{"content":',
    after=b'},"finish_reason":null}]}\n\n',
    end=_CHUNK + b'"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    whole_before=b'{"id":"c","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":',
    whole_after=b"}}]}",
)
_ITEM = {"id": "msg_floor", "type": "message", "role": "assistant", "content": []}
_RESPONSES = Format(
    begin=_event("response.created", {"response": {"id": "resp_floor", "status": "in_progress", "output": []}})
    + _event("response.output_item.added", {"output_index": 0, "item": _ITEM}),
    before=b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"msg_floor",'
    b'"output_index":0,"content_index":0,"delta":',
    after=b"}\n\n",
    end=_event("response.completed", {"response": {"id": "resp_floor", "status": "completed", "output": [_ITEM]}}),
    whole_before=b'{"id":"resp_floor","status":"completed","output":[{"type":"message","role":"assistant",'
    b'"content":[{"type":"output_text","text":',
    whole_after=b"}]}]}",
)


def format_of(path: bytes) -> Format | None:
    """The format of what is served at a path, None for a path that the floor does not have."""
    if path in (b"/v1/messages", b"/cc/v1/messages"):
        return _MESSAGES
    return {b"/v1/chat/completions": _CHAT, b"/v1/responses": _RESPONSES}.get(path)
