"""Generation events as a Chat answer: the SSE stream, live or buffered, and the JSON body.

Both are `Blocks`: the order is decided there, here it is only written down. A Chat answer is one text, one thought
and a list of calls; where a block ends does not show in it, and signatures and redacted thinking have no place. All
chunks of a stream have the same beginning and end, so that a piece of text costs one JSON string and one
concatenation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from kirotrio.conversation.events import (
    Citation,
    Event,
    Failed,
    FetchFinished,
    Finish,
    KeepAlive,
    RedactedThinkingBlock,
    SearchFinished,
    ServerToolCall,
    StopCause,
    TextDelta,
    TextDeltas,
    ThinkingDelta,
    ThinkingDeltas,
    ThinkingSignature,
    ToolCall,
    Usage,
)
from kirotrio.dialects.blocks import Blocks, State
from kirotrio.dialects.openai_chat.tools import CUSTOM_INPUT
from kirotrio.dialects.openai_errors import error_object
from kirotrio.dialects.stream import EventStream
from kirotrio.dialects.text_json import mended, mended_all, quoted, quoted_between
from kirotrio.errors import KirotrioError, UpstreamFailed

FINISH_REASONS = {
    StopCause.END_TURN: "stop",
    StopCause.TOOL_USE: "tool_calls",
    StopCause.MAX_TOKENS: "length",
    StopCause.STOP_SEQUENCE: "stop",
    StopCause.CONTEXT_FULL: "length",
    StopCause.REFUSAL: "content_filter",
}

ARGUMENT_PIECE = 4096
"""Characters of a tool call's arguments in one chunk."""

PING = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"


def _counts(usage: Usage) -> dict[str, Any]:
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.thinking_tokens},
    }


class _Choice(Blocks):
    """What the stream and the body have in common: which calls leave, in which form, and why the answer ended."""

    def __init__(self, custom_tools: frozenset[str], legacy_functions: bool) -> None:
        super().__init__(Usage())
        self._custom_tools = custom_tools
        self._legacy = legacy_functions
        self._annotations: list[dict[str, Any]] = []

    def _is_void(self, event: ThinkingSignature | ToolCall) -> bool:
        if super()._is_void(event):
            return True
        if not isinstance(event, ToolCall):
            return False
        return self._legacy and bool(self._tool_ids)  # the older form holds one call

    def _reason(self, event: Finish) -> str:
        reason = FINISH_REASONS[self._stop(event)]
        return "function_call" if self._legacy and reason == "tool_calls" else reason

    def _cite(self, event: Citation) -> None:
        cited = {
            "start_index": event.start,
            "end_index": event.end,
            "title": mended(event.title),
            "url": mended(event.url),
        }
        self._annotations.append({"type": "url_citation", "url_citation": cited})

    def _open_text(self, event: TextDelta | TextDeltas) -> None:
        pass

    def _open_thinking(self, event: ThinkingDelta | ThinkingDeltas | ThinkingSignature) -> None:
        pass

    def _sign(self, event: ThinkingSignature) -> None:
        pass

    def _close(self, event: Event) -> None:
        pass

    def _redacted(self, event: RedactedThinkingBlock) -> None:
        pass

    def _server_call(self, event: ServerToolCall) -> None:
        pass

    def _search_result(self, event: SearchFinished) -> None:
        pass

    def _fetch_result(self, event: FetchFinished) -> None:
        pass


def _free_text(event: ToolCall) -> str:
    """What the model gave to a custom tool. `arguments` are known to be an object.

    Where that object is not the one asked for, it is given as the text that it is: the tool itself says best what it
    does not understand.
    """
    given = orjson.loads(event.arguments or "{}")
    text = given.get(CUSTOM_INPUT, event.arguments if given else "")
    return text if isinstance(text, str) else event.arguments


class ChatStream(_Choice, EventStream):
    """One answer as server-sent events.

    `start` writes the chunk with the role; if content comes without it, that chunk goes ahead of the content. Whatever
    is fed in whatever order, the bytes of all calls together are a legal stream, or the beginning of one until
    `finished`. `created` is in epoch seconds. Citations leave in one piece at the end: the SDK's accumulator fails on
    a list that goes on in a second chunk without an index. An error is the last thing said, without `[DONE]`.
    """

    def __init__(
        self,
        model: str,
        completion_id: str,
        created: int,
        include_usage: bool,
        custom_tools: frozenset[str] = frozenset(),
        legacy_functions: bool = False,
    ) -> None:
        super().__init__(custom_tools, legacy_functions)
        self._include_usage = include_usage
        self._head = b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":[' % (
            quoted(completion_id),
            created,
            quoted(model),
        )
        self._delta = self._head + b'{"index":0,"delta":{'
        """The beginning of every chunk with a delta, up to its first member."""
        self._content = self._delta + b'"content":'
        self._reasoning = self._delta + b'"reasoning_content":'
        self._end = b"]%b}\n\n" % (b',"usage":null' if include_usage else b"")
        self._tail = b'},"logprobs":null,"finish_reason":null}' + self._end
        """The end of every chunk with a delta but the last."""

    def start(self, usage: Usage) -> bytes:
        """The first chunk, once; b"" if the answer has begun or ended already. It carries no usage."""
        if self._state is not State.WAITING:
            return b""
        self._begin(KeepAlive())
        self._state = State.BETWEEN
        return self._taken()

    def _begin(self, event: Event) -> None:
        self._out.append(self._delta + b'"role":"assistant","content":"","refusal":null' + self._tail)

    def _text(self, event: TextDelta) -> None:
        self._out.append(self._content + quoted(event.text) + self._tail)

    def _texts(self, event: TextDeltas) -> None:
        self._out.append(quoted_between(self._content, event.texts, self._tail))

    def _thinking(self, event: ThinkingDelta) -> None:
        if event.text:
            self._out.append(self._reasoning + quoted(event.text) + self._tail)

    def _thinkings(self, event: ThinkingDeltas) -> None:
        self._out.append(quoted_between(self._reasoning, event.texts, self._tail))

    def _tool(self, event: ToolCall) -> None:
        identifier, name, text = self._tool_id(event), quoted(event.name), event.arguments or "{}"
        index = len(self._tool_ids) - 1
        if self._legacy:
            first = b'"function_call":{"name":%b,"arguments":""}' % name
            begin, end = b'"function_call":{"arguments":', b"}"
        elif event.name in self._custom_tools:
            first = b'"tool_calls":[{"index":%d,"id":%b,"type":"custom","custom":{"name":%b,"input":""}}]' % (
                index,
                quoted(identifier),
                name,
            )
            begin, end = b'"tool_calls":[{"index":%d,"custom":{"input":' % index, b"}}]"
            text = _free_text(event)
        else:
            first = b'"tool_calls":[{"index":%d,"id":%b,"type":"function","function":{"name":%b,"arguments":""}}]' % (
                index,
                quoted(identifier),
                name,
            )
            begin, end = b'"tool_calls":[{"index":%d,"function":{"arguments":' % index, b"}}]"
        self._out.append(self._delta + first + self._tail)
        begin, end = self._delta + begin, end + self._tail
        for at in range(0, len(text), ARGUMENT_PIECE):
            self._out.append(begin + quoted(text[at : at + ARGUMENT_PIECE]) + end)

    def _finish(self, event: Finish) -> None:
        self.usage = event.usage
        if self._annotations:
            self._out.append(self._delta + b'"annotations":' + orjson.dumps(self._annotations) + self._tail)
        reason = self._reason(event).encode()
        self._out.append(self._delta + b'},"logprobs":null,"finish_reason":"%b"}' % reason + self._end)
        if self._include_usage:
            self._out.append(self._head + b'],"usage":' + orjson.dumps(_counts(event.usage)) + b"}\n\n")
        self._out.append(DONE)

    def _fail(self, event: Failed) -> None:
        self._out.append(b"data: " + orjson.dumps({"error": error_object(event.error)}) + b"\n\n")

    def _ping(self, event: KeepAlive) -> None:
        self._out.append(PING)


class ChatBody(_Choice):
    """One answer as one JSON object: what a client makes of the stream of the same events."""

    def __init__(
        self,
        model: str,
        completion_id: str,
        created: int,
        custom_tools: frozenset[str] = frozenset(),
        legacy_functions: bool = False,
    ) -> None:
        super().__init__(custom_tools, legacy_functions)
        self._model = model
        self._completion_id = completion_id
        self._created = created
        self._said: list[str] = []
        self._thoughts: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._finished: str | None = None
        self.error: KirotrioError | None = None
        """Set where the answer failed; there is no body then."""

    def add(self, batch: Iterable[Event]) -> None:
        self.feed(batch)

    def body(self) -> bytes:
        """The complete ChatCompletion. Raises the answer's own error, or UpstreamFailed where no end was said."""
        if self.error is not None:
            raise self.error
        if self._finished is None:
            raise UpstreamFailed("The upstream's answer ended before it was complete.")
        choice = {"index": 0, "message": self._message(), "logprobs": None, "finish_reason": self._finished}
        return orjson.dumps(
            {
                "id": self._completion_id,
                "object": "chat.completion",
                "created": self._created,
                "model": mended(self._model),
                "choices": [choice],
                "usage": _counts(self.usage),
            }
        )

    def _message(self) -> dict[str, Any]:
        content = mended_all(self._said)  # piece by piece, as the stream does
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if self._calls and not content else content,
            "refusal": None,
        }
        if self._thoughts:
            message["reasoning_content"] = mended_all(self._thoughts)
        if self._annotations:
            message["annotations"] = self._annotations
        if self._calls and self._legacy:
            message["function_call"] = self._calls[0]["function"]
        elif self._calls:
            message["tool_calls"] = self._calls
        return message

    def _begin(self, event: Event) -> None:
        pass

    def _text(self, event: TextDelta) -> None:
        self._said.append(event.text)

    def _texts(self, event: TextDeltas) -> None:
        self._said += event.texts

    def _thinking(self, event: ThinkingDelta) -> None:
        if event.text:
            self._thoughts.append(event.text)

    def _thinkings(self, event: ThinkingDeltas) -> None:
        self._thoughts += event.texts

    def _tool(self, event: ToolCall) -> None:
        identifier, name = self._tool_id(event), mended(event.name)
        if event.name in self._custom_tools and not self._legacy:
            custom = {"name": name, "input": _free_text(event)}
            self._calls.append({"id": identifier, "type": "custom", "custom": custom})
        else:
            function = {"name": name, "arguments": event.arguments or "{}"}
            self._calls.append({"id": identifier, "type": "function", "function": function})

    def _finish(self, event: Finish) -> None:
        self.usage = event.usage
        self._finished = self._reason(event)

    def _fail(self, event: Failed) -> None:
        self.error = event.error

    def _ping(self, event: KeepAlive) -> None:
        pass
