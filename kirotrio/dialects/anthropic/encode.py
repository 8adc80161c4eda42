"""Generation events as an Anthropic answer: the SSE stream, live or buffered, and the JSON body.

Both are `Blocks`: the order is decided there, here it is only written down. The stream's events are put together
from bytes, so that a piece of text costs one JSON string and one concatenation.
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
from kirotrio.dialects.anthropic.errors import error_event
from kirotrio.dialects.anthropic.server_blocks import (
    ServerToolIds,
    call_block,
    call_input,
    citation_object,
    fetch_block,
    search_block,
)
from kirotrio.dialects.blocks import Blocks, State
from kirotrio.dialects.stream import EventStream
from kirotrio.dialects.text_json import mended, mended_all, quoted, quoted_between
from kirotrio.errors import KirotrioError, UpstreamFailed

STOP_REASONS = {
    StopCause.END_TURN: "end_turn",
    StopCause.TOOL_USE: "tool_use",
    StopCause.MAX_TOKENS: "max_tokens",
    StopCause.STOP_SEQUENCE: "stop_sequence",
    StopCause.CONTEXT_FULL: "model_context_window_exceeded",
    StopCause.REFUSAL: "refusal",
}

ARGUMENT_PIECE = 4096
"""Characters of a tool call's arguments in one `input_json_delta`."""

PING = b'event: ping\ndata: {"type":"ping"}\n\n'


def _counts(usage: Usage) -> bytes:
    served = b""
    if usage.web_searches or usage.web_fetches:
        served = b',"server_tool_use":{"web_search_requests":%d,"web_fetch_requests":%d}' % (
            usage.web_searches,
            usage.web_fetches,
        )
    return b'{"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,"output_tokens":%d%b}' % (
        usage.input_tokens,
        usage.cache_write_tokens,
        usage.cache_read_tokens,
        usage.output_tokens,
        served,
    )


class MessageStream(EventStream):
    """One answer as server-sent events.

    `start` writes `message_start` with what is known of the usage; if content comes without it, `message_start`
    goes ahead of that content with `usage`. Whatever is fed in whatever order, the bytes of all calls together
    are a legal stream, or the beginning of one until `finished`; before `message_start` only pings or one error.
    """

    def __init__(self, model: str, message_id: str, usage: Usage = Usage()) -> None:  # noqa: B008 - immutable
        super().__init__(usage)
        self._model = model
        self._message_id = message_id
        self._index = -1
        self._server_ids = ServerToolIds()
        self._delta = b""
        """The beginning of every delta of the open block, up to its text."""

    def encode(self, batch: Iterable[Event]) -> bytes:
        # One piece more of an open text, as most come: the row (TEXT, TextDelta), which is this one operation.
        if type(batch) is list and len(batch) == 1 and self._state is State.TEXT:
            event = batch[0]
            if type(event) is TextDelta and event.text:
                return self._delta + quoted(event.text) + b"}}\n\n"
        return super().encode(batch)

    def start(self, usage: Usage) -> bytes:
        """`message_start`, once; b"" if the message has begun or ended already."""
        if self._state is not State.WAITING:
            return b""
        self.usage = usage
        self._begin(KeepAlive())
        self._state = State.BETWEEN
        return self._taken()

    def _open(self, block: bytes, delta: bytes) -> None:
        self._index += 1
        self._out.append(
            b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
            % (self._index, block)
        )
        self._delta = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":%b'
            % (self._index, delta)
        )

    def _begin(self, event: Event) -> None:
        if isinstance(event, Finish):
            self.usage = event.usage
        self._out.append(
            b'event: message_start\ndata: {"type":"message_start","message":{"id":%b,"type":"message",'
            b'"role":"assistant","model":%b,"content":[],"stop_reason":null,"stop_sequence":null,"usage":%b}}\n\n'
            % (quoted(self._message_id), quoted(self._model), _counts(self.usage))
        )

    def _open_text(self, event: TextDelta | TextDeltas) -> None:
        self._open(b'{"type":"text","text":""}', b'"text_delta","text":')

    def _text(self, event: TextDelta) -> None:
        self._out.append(self._delta + quoted(event.text) + b"}}\n\n")

    def _texts(self, event: TextDeltas | ThinkingDeltas) -> None:
        self._out.append(quoted_between(self._delta, event.texts, b"}}\n\n"))

    def _open_thinking(self, event: ThinkingDelta | ThinkingDeltas | ThinkingSignature) -> None:
        self._open(b'{"type":"thinking","thinking":"","signature":""}', b'"thinking_delta","thinking":')

    def _thinking(self, event: ThinkingDelta) -> None:
        if event.text:
            self._out.append(self._delta + quoted(event.text) + b"}}\n\n")

    _thinkings = _texts

    def _sign(self, event: ThinkingSignature) -> None:
        self._out.append(
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"signature_delta","signature":%b}}\n\n' % (self._index, quoted(event.signature))
        )

    def _close(self, event: Event) -> None:
        self._out.append(b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % self._index)

    def _redacted(self, event: RedactedThinkingBlock) -> None:
        self._open(b'{"type":"redacted_thinking","data":%b}' % quoted(event.data), b"")
        self._close(event)

    def _tool(self, event: ToolCall) -> None:
        self._open(
            b'{"type":"tool_use","id":%b,"name":%b,"input":{}}' % (quoted(self._tool_id(event)), quoted(event.name)),
            b'"input_json_delta","partial_json":',
        )
        arguments = event.arguments or "{}"
        for begin in range(0, len(arguments), ARGUMENT_PIECE):
            self._out.append(self._delta + quoted(arguments[begin : begin + ARGUMENT_PIECE]) + b"}}\n\n")
        self._close(event)

    def _server_call(self, event: ServerToolCall) -> None:
        given = self._server_ids.new(event.id)
        self._open(call_block(event, given, b"{}"), b'"input_json_delta","partial_json":')
        self._out.append(self._delta + quoted(call_input(event).decode()) + b"}}\n\n")
        self._close(event)

    def _search_result(self, event: SearchFinished) -> None:
        self._open(search_block(event, self._server_ids.of(event.id)), b"")
        self._close(event)

    def _fetch_result(self, event: FetchFinished) -> None:
        self._open(fetch_block(event, self._server_ids.of(event.id)), b"")
        self._close(event)

    def _cite(self, event: Citation) -> None:
        self._out.append(
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"citations_delta","citation":%b}}\n\n' % (self._index, citation_object(event))
        )

    def _finish(self, event: Finish) -> None:
        self.usage = event.usage
        cause = self._stop(event)
        sequence = event.stop_sequence if cause is StopCause.STOP_SEQUENCE else None
        self._out.append(
            b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"%b","stop_sequence":%b},'
            b'"usage":%b}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
            % (STOP_REASONS[cause].encode(), b"null" if sequence is None else quoted(sequence), _counts(event.usage))
        )

    def _fail(self, event: Failed) -> None:
        self._out.append(error_event(event.error))

    def _ping(self, event: KeepAlive) -> None:
        self._out.append(PING)


class MessageBody(Blocks):
    """One answer as one JSON object: what a client makes of the stream of the same events."""

    def __init__(self, model: str, message_id: str) -> None:
        super().__init__(Usage())
        self._model = model
        self._message_id = message_id
        self._server_ids = ServerToolIds()
        self._content: list[Any] = []
        self._pieces: list[str] = []
        self._stopped: tuple[StopCause, str | None] | None = None
        self.error: KirotrioError | None = None
        """Set where the answer failed; there is no body then."""

    def add(self, batch: Iterable[Event]) -> None:
        self.feed(batch)

    def body(self) -> bytes:
        """The complete Message. Raises the answer's own error, or UpstreamFailed where no end was said."""
        if self.error is not None:
            raise self.error
        if self._stopped is None:
            raise UpstreamFailed("The upstream's answer ended before it was complete.")
        cause, sequence = self._stopped
        return orjson.dumps(
            {
                "id": self._message_id,
                "type": "message",
                "role": "assistant",
                "model": mended(self._model),
                "content": self._content,
                "stop_reason": STOP_REASONS[cause],
                "stop_sequence": None if sequence is None else mended(sequence),
                "usage": orjson.Fragment(_counts(self.usage)),
            }
        )

    def _begin(self, event: Event) -> None:
        pass

    def _open_text(self, event: TextDelta | TextDeltas) -> None:
        self._content.append({"type": "text", "text": ""})

    def _text(self, event: TextDelta) -> None:
        self._pieces.append(event.text)

    def _texts(self, event: TextDeltas | ThinkingDeltas) -> None:
        self._pieces += event.texts

    def _open_thinking(self, event: ThinkingDelta | ThinkingDeltas | ThinkingSignature) -> None:
        self._content.append({"type": "thinking", "thinking": "", "signature": ""})

    def _thinking(self, event: ThinkingDelta) -> None:
        self._pieces.append(event.text)

    _thinkings = _texts

    def _sign(self, event: ThinkingSignature) -> None:
        self._content[-1]["signature"] = mended(event.signature)

    def _close(self, event: Event) -> None:
        block = self._content[-1]
        block[block["type"]] = mended_all(self._pieces)  # piece by piece, as the stream does
        self._pieces.clear()

    def _redacted(self, event: RedactedThinkingBlock) -> None:
        self._content.append({"type": "redacted_thinking", "data": mended(event.data)})

    def _tool(self, event: ToolCall) -> None:
        # The arguments stand as they were generated: reading and writing them again could change a number.
        arguments = orjson.Fragment(event.arguments or "{}")
        self._content.append(
            {"type": "tool_use", "id": self._tool_id(event), "name": mended(event.name), "input": arguments}
        )

    def _server_call(self, event: ServerToolCall) -> None:
        given = self._server_ids.new(event.id)
        self._content.append(orjson.Fragment(call_block(event, given, call_input(event))))

    def _search_result(self, event: SearchFinished) -> None:
        self._content.append(orjson.Fragment(search_block(event, self._server_ids.of(event.id))))

    def _fetch_result(self, event: FetchFinished) -> None:
        self._content.append(orjson.Fragment(fetch_block(event, self._server_ids.of(event.id))))

    def _cite(self, event: Citation) -> None:
        self._content[-1].setdefault("citations", []).append(orjson.Fragment(citation_object(event)))

    def _finish(self, event: Finish) -> None:
        self.usage = event.usage
        cause = self._stop(event)
        self._stopped = (cause, event.stop_sequence if cause is StopCause.STOP_SEQUENCE else None)

    def _fail(self, event: Failed) -> None:
        self.error = event.error

    def _ping(self, event: KeepAlive) -> None:
        pass
