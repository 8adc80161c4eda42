"""What the floor translates: a client's request to Kiro's, and Kiro's events to each API's. The least that is right.

No thinking, no limits, no repair, no accounts: what any gateway has to do for the benchmark's own requests.
"""

from __future__ import annotations

from collections.abc import Callable
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


@frozen
class Format:
    """One API's answer, of one piece of text: the same events as the gateway's, with fixed ids and counts.

    `before` and `after`: what stands around a text's JSON. `numbered`: each event has its number, which comes last.
    """

    begin: bytes
    before: bytes
    after: bytes
    finish: Callable[[bytes, int], bytes]
    """What ends a stream of this text (as JSON), whose next event has this number."""
    whole: Callable[[bytes], bytes]
    """The JSON answer of this text."""
    numbered: bool = False

    def deltas(self, texts: list[str], sent: int) -> bytes:
        """The events of the next texts, `sent` having gone before."""
        if self.numbered:
            first = sent + _BEFORE_THE_FIRST
            return b"".join(
                [
                    b'%b%b,"sequence_number":%d%b' % (self.before, orjson.dumps(text), number, self.after)
                    for number, text in enumerate(texts, first)
                ]
            )
        return b"".join([self.before + orjson.dumps(text) + self.after for text in texts])

    def end(self, texts: list[str]) -> bytes:
        return self.finish(orjson.dumps("".join(texts)), len(texts) + _BEFORE_THE_FIRST)

    def document(self, texts: list[str]) -> bytes:
        return self.whole(orjson.dumps("".join(texts)))


MODEL, IDENTIFIER, CREATED = "floor", "id_floor", 1
INPUT_TOKENS, OUTPUT_TOKENS = 1200, 1
_BEFORE_THE_FIRST = 4
"""Events that have a number before the first text."""


def _event(name: str, document: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **document}))


def _around(document: Any, mark: str = "@") -> tuple[bytes, bytes]:
    """JSON as what stands before and after the one string that is the mark."""
    before, _, after = orjson.dumps(document).partition(orjson.dumps(mark))
    return before, after


def _fill(template: tuple[bytes, bytes]) -> Callable[[bytes], bytes]:
    """Puts a text's JSON between the two halves."""
    before, after = template
    return lambda text: before + text + after


def _usage(output: int) -> dict[str, int]:
    caches = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    return {"input_tokens": INPUT_TOKENS, **caches, "output_tokens": output}


def _messages() -> Format:
    head = {"id": IDENTIFIER, "type": "message", "role": "assistant", "model": MODEL}
    stop = {"stop_reason": None, "stop_sequence": None}
    end = (
        _event("content_block_stop", {"index": 0})
        + _event("message_delta", {"delta": {**stop, "stop_reason": "end_turn"}, "usage": _usage(OUTPUT_TOKENS)})
        + _event("message_stop", {})
    )
    content = [{"type": "text", "text": "@"}]
    whole = {**head, "content": content, **stop, "stop_reason": "end_turn", "usage": _usage(OUTPUT_TOKENS)}
    return Format(
        begin=_event("message_start", {"message": {**head, "content": [], **stop, "usage": _usage(0)}})
        + _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        before=b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":',
        after=b"}}\n\n",
        finish=lambda *_: end,
        whole=_fill(_around(whole)),
    )


def _chat() -> Format:
    usage = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }

    def chunk(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        head = {"id": IDENTIFIER, "object": "chat.completion.chunk", "created": CREATED, "model": MODEL}
        return {**head, "choices": [choice]}

    def line(document: Any) -> bytes:
        return b"data: %b\n\n" % orjson.dumps(document)

    before, after = _around(chunk({"content": "@"}, None))
    message = {"role": "assistant", "content": "@", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": IDENTIFIER, "object": "chat.completion", "created": CREATED, "model": MODEL}
    end = line(chunk({}, "stop")) + b"data: [DONE]\n\n"
    return Format(
        begin=line(chunk({"role": "assistant", "content": "", "refusal": None}, None)),
        before=b"data: " + before,
        after=after + b"\n\n",
        finish=lambda *_: end,
        whole=_fill(_around({**head, "choices": [choice], "usage": usage})),
    )


def _responses() -> Format:
    head = {"id": IDENTIFIER, "object": "response", "created_at": CREATED, "model": MODEL}
    begun = {**head, "status": "in_progress", "output": [], "usage": None}
    part = {"type": "output_text", "text": "@", "annotations": [], "logprobs": []}
    place = {"item_id": IDENTIFIER, "output_index": 0, "content_index": 0}
    item = {"id": IDENTIFIER, "type": "message", "role": "assistant"}
    done = {**item, "status": "completed", "content": [part]}
    usage = {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS, "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS}
    whole = {**head, "status": "completed", "output": [done], "usage": usage}
    ends: dict[str, dict[str, Any]] = {
        "response.output_text.done": {**place, "logprobs": [], "text": "@"},
        "response.content_part.done": {**place, "part": part},
        "response.output_item.done": {"output_index": 0, "item": done},
        "response.completed": {"response": whole},
    }
    templates = [
        (name.encode(), *_around({"type": name, "sequence_number": "#", **document})) for name, document in ends.items()
    ]

    def finish(text: bytes, number: int) -> bytes:
        said = [
            b"event: %b\ndata: %b%b%b\n\n" % (name, before.replace(b'"#"', b"%d" % at), text, after)
            for at, (name, before, after) in enumerate(templates, number)
        ]
        return b"".join(said)

    delta, _ = _around({"type": "response.output_text.delta", **place, "logprobs": [], "delta": "@"})
    new = {**item, "status": "in_progress", "content": []}
    return Format(
        begin=_event("response.created", {"sequence_number": 0, "response": begun})
        + _event("response.in_progress", {"sequence_number": 1, "response": begun})
        + _event("response.output_item.added", {"sequence_number": 2, "output_index": 0, "item": new})
        + _event("response.content_part.added", {"sequence_number": 3, **place, "part": {**part, "text": ""}}),
        before=b"event: response.output_text.delta\ndata: " + delta,
        after=b"}\n\n",
        finish=finish,
        whole=_fill(_around(whole)),
        numbered=True,
    )


_MESSAGES, _CHAT, _RESPONSES = _messages(), _chat(), _responses()


def format_of(path: bytes) -> Format | None:
    """The format of what is served at a path, None for a path that the floor does not have."""
    if path in (b"/v1/messages", b"/cc/v1/messages"):
        return _MESSAGES
    return {b"/v1/chat/completions": _CHAT, b"/v1/responses": _RESPONSES}.get(path)
