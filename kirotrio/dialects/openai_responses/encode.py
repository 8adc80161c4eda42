"""Generation events as a Responses answer: the stream of events, and the JSON body (CLIENTS A and B 5.2).

Both are `OutputItems`: what the items are is decided there, here their events are written down. A delta is put together
from bytes, so that a piece of text costs one JSON string and one concatenation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, count
from typing import Any

import orjson

from kirotrio.conversation.events import (
    Citation,
    Event,
    Failed,
    Finish,
    KeepAlive,
    ServerToolCall,
    TextDelta,
    TextDeltas,
    ThinkingDelta,
    ThinkingDeltas,
    Usage,
)
from kirotrio.dialects.blocks import State
from kirotrio.dialects.openai_responses.echo import ResponseEcho
from kirotrio.dialects.openai_responses.errors import failed_error
from kirotrio.dialects.openai_responses.output import Clock, OutputItems
from kirotrio.dialects.stream import EventStream
from kirotrio.dialects.structure import JsonObject
from kirotrio.dialects.text_json import quoted, quoted_each
from kirotrio.errors import KirotrioError, UpstreamFailed

ARGUMENT_PIECE = 4096
"""Characters of a call's arguments in one delta."""

OnEnd = Callable[[dict[str, Any]], None]
"""Takes the final response, its reasoning items and searches with all that is needed to continue it."""

_INPUTS = {
    "function_call": ("function_call_arguments", "arguments"),
    "custom_tool_call": ("custom_tool_call_input", "input"),
}
"""Calls whose arguments are streamed: what their events are called, and the member that holds them."""


class ResponseStream(OutputItems, EventStream):
    """One answer as server-sent events, numbered from 0.

    `start` writes `response.created` and `response.in_progress`, which hold nothing that is known only later; whatever
    comes without it brings them along. Whatever is fed in whatever order, the bytes of all calls together are a legal
    stream, or the beginning of one until `finished`. `on_end` is called in `encode`, before the bytes of the end are
    given back. A sign of life is `response.in_progress` once more: Codex counts silence by parsed events.
    """

    def __init__(
        self,
        echo: ResponseEcho,
        response_id: str,
        created_at: int,
        on_end: OnEnd | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(echo, response_id, created_at, clock)
        self._on_end = on_end
        self._number = 0
        self._delta = b""
        """The beginning of every delta of the open block, up to its text."""

    def start(self, usage: Usage) -> bytes:
        """The head, once; b"" if the response has begun or ended already. It shows no usage."""
        if self._state is not State.ENDED:
            self._begin(KeepAlive())
        return self._taken()

    def _event(self, kind: str, **members: Any) -> None:
        payload = orjson.dumps({"type": kind, "sequence_number": self._number, **members})
        self._number += 1
        self._out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), payload))

    def _open_deltas(self, kind: str, index: int, **members: Any) -> None:
        place = orjson.dumps({"type": kind, "item_id": self._output[index]["id"], "output_index": index, **members})
        self._delta = b'event: %b\ndata: %b,"delta":' % (kind.encode(), place[:-1])

    def _write_delta(self, text: str) -> None:
        self._out.append(b'%b%b,"sequence_number":%d}\n\n' % (self._delta, quoted(text), self._number))
        self._number += 1

    def _write_deltas(self, texts: list[str]) -> None:
        numbered = zip(quoted_each(texts), count(self._number), strict=False)
        self._number += len(texts)
        # One template for all of them: a fifth less than one each.
        each = self._delta.replace(b"%", b"%%") + b'%b,"sequence_number":%d}\n\n'
        self._out.append(each * len(texts) % tuple(chain.from_iterable(numbered)))

    def _begin(self, event: Event) -> None:
        if self._number == 0:
            begun = self._response("in_progress", [])
            self._event("response.created", response=begun)
            self._event("response.in_progress", response=begun)

    def _added(self, index: int, item: JsonObject) -> None:
        self._event("response.output_item.added", output_index=index, item=item)

    def _finished(self, index: int, item: JsonObject, kept: JsonObject | None = None) -> None:
        item_id = item["id"]
        if item["type"] == "message":
            place = {"item_id": item_id, "output_index": index, "content_index": 0}
            part = item["content"][0]
            self._event("response.output_text.done", **place, text=part["text"], logprobs=[])
            self._event("response.content_part.done", **place, part=part)
        elif item["type"] == "reasoning" and item["summary"]:
            place = {"item_id": item_id, "output_index": index, "summary_index": 0}
            part = item["summary"][0]
            self._event("response.reasoning_summary_text.done", **place, text=part["text"])
            self._event("response.reasoning_summary_part.done", **place, part=part)
        elif item["type"] in _INPUTS:
            name, member = _INPUTS[item["type"]]
            text = item[member]
            self._open_deltas(f"response.{name}.delta", index)
            for begin in range(0, len(text), ARGUMENT_PIECE):
                self._write_delta(text[begin : begin + ARGUMENT_PIECE])
            self._event(f"response.{name}.done", item_id=item_id, output_index=index, **{member: text})
        elif item["type"] == "web_search_call" and item["status"] == "completed":
            self._event("response.web_search_call.completed", item_id=item_id, output_index=index)
        self._event("response.output_item.done", output_index=index, item=item)
        super()._finished(index, item, kept)

    def _open_text(self, event: TextDelta | TextDeltas) -> None:
        super()._open_text(event)
        index = self._open_index()
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        item_id = self._output[index]["id"]
        self._event("response.content_part.added", item_id=item_id, output_index=index, content_index=0, part=part)
        self._open_deltas("response.output_text.delta", index, content_index=0, logprobs=[])

    def _text(self, event: TextDelta) -> None:
        self._pieces.append(event.text)
        self._write_delta(event.text)

    def _texts(self, event: TextDeltas) -> None:
        self._pieces += event.texts
        self._write_deltas(event.texts)

    def _cite(self, event: Citation) -> None:
        super()._cite(event)
        index = self._open_index()
        self._event(
            "response.output_text.annotation.added",
            item_id=self._output[index]["id"],
            output_index=index,
            content_index=0,
            annotation_index=len(self._annotations) - 1,
            annotation=self._annotations[-1],
        )

    def _thinking(self, event: ThinkingDelta) -> None:
        if not event.text:
            return
        self._open_summary()
        self._pieces.append(event.text)
        self._write_delta(event.text)

    def _thinkings(self, event: ThinkingDeltas) -> None:
        self._open_summary()
        self._pieces += event.texts
        self._write_deltas(event.texts)

    def _open_summary(self) -> None:
        if not self._pieces:
            index = self._open_index()
            place = {"item_id": self._output[index]["id"], "output_index": index, "summary_index": 0}
            self._event("response.reasoning_summary_part.added", **place, part={"type": "summary_text", "text": ""})
            self._open_deltas("response.reasoning_summary_text.delta", index, summary_index=0)

    def _server_call(self, event: ServerToolCall) -> None:
        super()._server_call(event)
        index = self._open_index()
        for step in ("in_progress", "searching"):
            self._event(f"response.web_search_call.{step}", item_id=self._output[index]["id"], output_index=index)

    def _finish(self, event: Finish) -> None:
        super()._finish(event)
        status, incomplete = self._final(event)
        usage = event.usage
        if self._on_end is not None:
            self._on_end(self._response(status, self._kept, usage=usage, incomplete=incomplete))
        response = self._response(status, self._output, usage=usage, incomplete=incomplete)
        self._event(f"response.{status}", response=response)

    def _fail(self, event: Failed) -> None:
        self._begin(event)
        output = [item for item, done in zip(self._output, self._done, strict=True) if done]
        self._event("response.failed", response=self._response("failed", output, error=failed_error(event.error)))

    def _ping(self, event: KeepAlive) -> None:
        if self._number == 0:
            self._begin(event)
        else:
            self._event("response.in_progress", response=self._response("in_progress", []))


class ResponseBody(OutputItems):
    """One answer as one JSON object: the final response of the stream of the same events."""

    def __init__(
        self,
        echo: ResponseEcho,
        response_id: str,
        created_at: int,
        on_end: OnEnd | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(echo, response_id, created_at, clock)
        self._on_end = on_end
        self._end: Finish | None = None
        self.error: KirotrioError | None = None
        """Set where the answer failed; there is no body then."""

    def add(self, batch: Iterable[Event]) -> None:
        self.feed(batch)

    def body(self) -> bytes:
        """The complete response; `on_end` is called before it is given back, the first time.

        Raises the answer's own error, or UpstreamFailed where no end was said.
        """
        if self.error is not None:
            raise self.error
        if self._end is None:
            raise UpstreamFailed("The upstream's answer ended before it was complete.")
        status, incomplete = self._final(self._end)
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(self._response(status, self._kept, usage=self.usage, incomplete=incomplete))
        return orjson.dumps(self._response(status, self._output, usage=self.usage, incomplete=incomplete))

    def _finish(self, event: Finish) -> None:
        super()._finish(event)
        self._end = event

    def _fail(self, event: Failed) -> None:
        self.error = event.error
