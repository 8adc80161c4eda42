"""One question in each of the three dialects, and what an answer says, read the same way from all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from attrs import define, field, frozen
from check_sse import check, check_json

TOOL = {
    "name": "write_file",
    "description": "Writes a file",
    "schema": {"type": "object", "properties": {"path": {"type": "string"}, "content": {"type": "string"}}},
}


@define
class Said:
    """One answer: texts joined, tool calls as (id, name, input), `stop` in OpenAI's finish reasons, `usage` as
    (input, output)."""

    text: str = ""
    thinking: str = ""
    calls: list[tuple[str, str, Any]] = field(factory=list)
    stop: str = ""
    usage: tuple[int, int] = (0, 0)
    error: Any = None


@frozen
class Spoken:
    """`kind` is the validator's name of the dialect."""

    kind: str
    path: str

    @property
    def buffered(self) -> str:
        return f"/cc{self.path}"

    def question(self, text: str = "Say hi", *, stream: bool = False, tools: bool = False, **more: Any) -> Any:
        body: dict[str, Any] = {"model": "claude-sonnet-4-5", "stream": stream}
        if self.kind == "responses":
            body["input"] = text
            if tools:
                body["tools"] = [{"type": "function", "parameters": TOOL["schema"], **_named()}]
        else:
            body["messages"] = [{"role": "user", "content": text}]
            body["max_tokens"] = 8000
            if tools and self.kind == "chat":
                body["tools"] = [{"type": "function", "function": {"parameters": TOOL["schema"], **_named()}}]
            elif tools:
                body["tools"] = [{"input_schema": TOOL["schema"], **_named()}]
            if self.kind == "chat" and stream:
                body["stream_options"] = {"include_usage": True}
        return {**body, **more}

    def thinking(self) -> dict[str, Any]:
        """What asks for thinking, and for being shown it."""
        return {
            "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 4000}},
            "chat": {"reasoning_effort": "high"},
            "responses": {"reasoning": {"effort": "high", "summary": "auto"}},
        }[self.kind]

    def problems(self, raw: bytes, **options: Any) -> list[str]:
        """What the validator has against a stream; one that ends in a legal error is legal."""
        return list(check(self.kind, raw, terminal_error=True, early_ping=True, **options))

    def body_problems(self, body: Any) -> list[str]:
        return list(check_json(self.kind, body))

    def read(self, raw: bytes) -> Said:
        """A stream."""
        events = _events(raw)
        return {"anthropic": _anthropic, "chat": _chat, "responses": _responses}[self.kind](events)

    def read_body(self, body: Any) -> Said:
        return {"anthropic": _anthropic_body, "chat": _chat_body, "responses": _response}[self.kind](body)

    def error_of(self, body: Any) -> Mapping[str, Any]:
        """What stands under `error` in the dialect's own envelope; fails on another's."""
        if self.kind == "anthropic":
            assert body["type"] == "error", body
            assert set(body["error"]) >= {"type", "message"}, body
        else:
            assert set(body) == {"error"}, body
            assert set(body["error"]) == {"message", "type", "param", "code"}, body
        return dict(body["error"])


ANTHROPIC = Spoken("anthropic", "/v1/messages")
CHAT = Spoken("chat", "/v1/chat/completions")
RESPONSES = Spoken("responses", "/v1/responses")
ALL = (ANTHROPIC, CHAT, RESPONSES)


def _named() -> dict[str, Any]:
    return {"name": TOOL["name"], "description": TOOL["description"]}


def _events(raw: bytes) -> list[Any]:
    data = [line[6:] for line in raw.decode().split("\n") if line.startswith("data: ")]
    return [orjson.loads(piece) for piece in data if piece != "[DONE]"]


_STOPS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


def _anthropic(events: list[Any]) -> Said:
    said = Said()
    arguments: list[str] = []
    for event in events:
        match event["type"]:
            case "content_block_start" if event["content_block"]["type"] == "tool_use":
                said.calls.append((event["content_block"]["id"], event["content_block"]["name"], ""))
                arguments.append("")
            case "content_block_delta":
                delta = event["delta"]
                said.text += delta.get("text", "")
                said.thinking += delta.get("thinking", "")
                if delta["type"] == "input_json_delta":
                    arguments[-1] += delta["partial_json"]
            case "message_delta":
                said.stop = _STOPS[event["delta"]["stop_reason"]]
                said.usage = _anthropic_usage(event["usage"])
            case "error":
                said.error = event["error"]
            case _:
                pass
    said.calls = [
        (call_id, name, orjson.loads(text or "{}"))
        for (call_id, name, _), text in zip(said.calls, arguments, strict=True)
    ]
    return said


def _anthropic_body(body: Any) -> Said:
    said = Said(stop=_STOPS[body["stop_reason"]], usage=_anthropic_usage(body["usage"]))
    for block in body["content"]:
        said.text += block.get("text", "")
        said.thinking += block.get("thinking", "")
        if block["type"] == "tool_use":
            said.calls.append((block["id"], block["name"], block["input"]))
    return said


def _anthropic_usage(usage: Any) -> tuple[int, int]:
    cached = (usage.get("cache_read_input_tokens") or 0) + (usage.get("cache_creation_input_tokens") or 0)
    return usage["input_tokens"] + cached, usage["output_tokens"]


def _chat(events: list[Any]) -> Said:
    said = Said()
    calls: dict[int, list[Any]] = {}
    for chunk in events:
        if "error" in chunk:
            said.error = chunk["error"]
            break
        if chunk.get("usage"):
            said.usage = (chunk["usage"]["prompt_tokens"], chunk["usage"]["completion_tokens"])
        for choice in chunk["choices"]:
            delta = choice["delta"]
            said.text += delta.get("content") or ""
            said.thinking += delta.get("reasoning_content") or ""
            said.stop = choice["finish_reason"] or said.stop
            for piece in delta.get("tool_calls") or ():
                call = calls.setdefault(piece["index"], [piece.get("id"), piece["function"].get("name"), ""])
                call[2] += piece["function"].get("arguments") or ""
    said.calls = [(call_id, name, orjson.loads(arguments)) for call_id, name, arguments in calls.values()]
    return said


def _chat_body(body: Any) -> Said:
    (choice,) = body["choices"]
    message = choice["message"]
    return Said(
        message["content"] or "",
        message.get("reasoning_content") or "",
        [
            (call["id"], call["function"]["name"], orjson.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls") or ()
        ],
        choice["finish_reason"],
        (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]),
    )


def _responses(events: list[Any]) -> Said:
    last = events[-1]
    if last["type"] == "error":
        return Said(error=last)
    return _response(last["response"])


def _response(body: Any) -> Said:
    said = Said(error=body.get("error"))
    if body["status"] == "failed":
        return said
    said.usage = (body["usage"]["input_tokens"], body["usage"]["output_tokens"])
    for item in body["output"]:
        match item["type"]:
            case "message":
                said.text += "".join(part["text"] for part in item["content"])
            case "reasoning":
                said.thinking += "".join(part["text"] for part in [*item["summary"], *(item.get("content") or ())])
            case "function_call":
                said.calls.append((item["call_id"], item["name"], orjson.loads(item["arguments"])))
            case _:
                pass
    if body["status"] == "incomplete":
        reason = body["incomplete_details"]["reason"]
        said.stop = {"max_output_tokens": "length", "content_filter": "content_filter"}[reason]
    else:
        said.stop = "tool_calls" if said.calls else "stop"
    return said
