"""Generation events as output items: what the stream and the JSON body have in common.

Every block of `Blocks` is one item: a text is a message, thinking a reasoning item, a call the item that its tool's
client waits for (`bridges`), a search or fetch of the server a `web_search_call`. An item has its place from the moment
it begins; server calls end when their result comes, all others before the next one begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

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
from kirotrio.dialects.blocks import Blocks
from kirotrio.dialects.openai_responses.bridges import Bridge, call_item
from kirotrio.dialects.openai_responses.echo import ResponseEcho, plain, response_object
from kirotrio.dialects.openai_responses.reasoning import seal_redacted, seal_signature
from kirotrio.dialects.structure import JsonObject
from kirotrio.dialects.text_json import mended, mended_all

Clock: TypeAlias = Callable[[], float]
"""Seconds since 1970."""

INCOMPLETE: dict[StopCause, str] = {
    StopCause.MAX_TOKENS: "max_output_tokens",
    StopCause.CONTEXT_FULL: "max_output_tokens",
    StopCause.REFUSAL: "content_filter",
}
"""Why a response is incomplete; with any other cause it is complete."""

_PREFIXES = {
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "local_shell_call": "lsh",
    "shell_call": "sh",
    "apply_patch_call": "apc",
    "tool_search_call": "tsc",
}


class OutputItems(Blocks):
    """Builds the items; a subclass writes down how they come about.

    `output` are the items as sent, `kept` the same with all that is needed to go on from them: the sealed thinking and
    the sources, which a client is given only if it asks.
    """

    def __init__(self, echo: ResponseEcho, response_id: str, created_at: int, clock: Clock | None) -> None:
        super().__init__(Usage())
        self._clock = clock
        self._echo = echo
        self._response_id = response_id
        self._created_at = created_at
        self._suffix = response_id.removeprefix("resp_")
        self._output: list[JsonObject] = []
        self._kept: list[JsonObject] = []
        self._done: list[bool] = []
        self._pieces: list[str] = []
        self._annotations: list[JsonObject] = []
        self._sealed = ""
        self._said = 0
        """Characters of all texts before the open one: citations count over the whole answer."""
        self._searching: dict[str, list[int]] = {}
        """The server's calls that have no result yet, by id."""
        self._call: JsonObject = {}

    # What a subclass may add to

    def _added(self, index: int, item: JsonObject) -> None:
        """An item begins; it stands at the end of `_output`."""

    def _finished(self, index: int, item: JsonObject, kept: JsonObject | None = None) -> None:
        """An item is complete."""
        self._output[index] = item
        self._kept[index] = item if kept is None else kept
        self._done[index] = True

    def _new(self, prefix: str, item: JsonObject) -> int:
        index = len(self._output)
        item["id"] = f"{prefix}_{self._suffix}{index:02x}"
        self._output.append(item)
        self._kept.append(item)
        self._done.append(False)
        self._added(index, item)
        return index

    # The operations of Blocks

    def _begin(self, event: Event) -> None:
        pass

    def _open_text(self, event: TextDelta | TextDeltas) -> None:
        self._new("msg", {"id": "", "type": "message", "status": "in_progress", "role": "assistant", "content": []})

    def _text(self, event: TextDelta) -> None:
        self._pieces.append(event.text)

    def _texts(self, event: TextDeltas) -> None:
        self._pieces += event.texts

    def _cite(self, event: Citation) -> None:
        self._annotations.append(
            {
                "type": "url_citation",
                "start_index": max(0, event.start - self._said),
                "end_index": max(0, event.end - self._said),
                "url": mended(event.url),
                "title": mended(event.title),
            }
        )

    def _open_thinking(self, event: ThinkingDelta | ThinkingDeltas | ThinkingSignature) -> None:
        self._new("rs", {"id": "", "type": "reasoning", "summary": []})

    def _thinking(self, event: ThinkingDelta) -> None:
        if event.text:
            self._pieces.append(event.text)

    def _thinkings(self, event: ThinkingDeltas) -> None:
        self._pieces += event.texts

    def _sign(self, event: ThinkingSignature) -> None:
        self._sealed = seal_signature(mended(event.signature))

    def _close(self, event: Event) -> None:
        index = self._open_index()
        item = self._output[index]
        text = mended_all(self._pieces)  # piece by piece, as the stream does
        if item["type"] == "message":
            self._said += sum(map(len, self._pieces))
            cut = isinstance(event, Finish) and self._stop(event) in INCOMPLETE
            part = {"type": "output_text", "text": text, "annotations": self._annotations, "logprobs": []}
            done = {**item, "status": "incomplete" if cut else "completed", "content": [part]}
            self._finished(index, done)
        else:
            summary = [{"type": "summary_text", "text": text}] if self._pieces else []
            self._finish_reasoning(index, {**item, "summary": summary})
        self._pieces = []
        self._annotations = []

    def _open_index(self) -> int:
        """The block that is open is the last item: nothing begins before it is closed."""
        return len(self._output) - 1

    def _finish_reasoning(self, index: int, item: JsonObject) -> None:
        kept = {**item, "encrypted_content": self._sealed} if self._sealed else item
        self._sealed = ""
        self._finished(index, kept if self._echo.encrypted else item, kept)

    def _redacted(self, event: RedactedThinkingBlock) -> None:
        index = self._new("rs", {"id": "", "type": "reasoning", "summary": []})
        self._sealed = seal_redacted(mended(event.data))
        self._finish_reasoning(index, self._output[index])

    def _is_void(self, event: ThinkingSignature | ToolCall) -> bool:
        if super()._is_void(event):
            return True
        if isinstance(event, ToolCall):
            bridge = self._echo.bridges.get(event.name) or Bridge("function", event.name)
            self._call = call_item(bridge, "", event.arguments)
        return False

    def _tool(self, event: ToolCall) -> None:
        item = plain({**self._call, "call_id": self._tool_id(event)})
        begun = {"id": "", **item, "status": "in_progress"}
        for empty in ("arguments", "input"):
            if isinstance(item.get(empty), str):
                begun[empty] = ""
        index = self._new(_PREFIXES[item["type"]], begun)
        self._finished(index, {**begun, **item, "status": "completed"})

    def _server_call(self, event: ServerToolCall) -> None:
        action: JsonObject
        if event.tool == "web_search":
            query = _string(event.input.get("query"))
            action = {"type": "search", "query": query, "queries": [query]}
        else:
            action = {"type": "open_page", "url": _string(event.input.get("url"))}
        index = self._new("ws", {"id": "", "type": "web_search_call", "status": "in_progress", "action": action})
        self._searching.setdefault(event.id, []).append(index)

    def _search_result(self, event: SearchFinished) -> None:
        self._finish_search(event.id, bool(event.error), [result.url for result in event.results])

    def _fetch_result(self, event: FetchFinished) -> None:
        self._finish_search(event.id, bool(event.error))

    def _finish_search(self, call_id: str, failed: bool, urls: list[str] | None = None) -> None:
        waiting = self._searching.get(call_id)
        if not waiting:
            return
        index = waiting.pop(0)
        done = {**self._output[index], "status": "failed" if failed else "completed"}
        kept = done
        if urls:
            sources = [{"type": "url", "url": mended(url)} for url in urls]
            kept = {**done, "action": {**done["action"], "sources": sources}}
        self._finished(index, kept if self._echo.sources else done, kept)

    def _finish(self, event: Finish) -> None:
        self.usage = event.usage
        for index in sorted(index for waiting in self._searching.values() for index in waiting):
            self._finished(index, {**self._output[index], "status": "incomplete"})
        self._searching = {}

    def _final(self, event: Finish) -> tuple[str, str | None]:
        """The response's status, and why it is incomplete."""
        reason = INCOMPLETE.get(self._stop(event))
        return ("completed", None) if reason is None else ("incomplete", reason)

    def _response(self, status: str, output: list[JsonObject], **more: Any) -> dict[str, Any]:
        if status == "completed" and self._clock is not None:
            more["completed_at"] = max(self._created_at, int(self._clock()))
        return response_object(self._echo, self._response_id, self._created_at, status, output, **more)

    def _fail(self, event: Failed) -> None:
        pass

    def _ping(self, event: KeepAlive) -> None:
        pass


def _string(value: Any) -> str:
    return mended(value) if isinstance(value, str) else ""
