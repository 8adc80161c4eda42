"""A scenario as the events of one answer, in the order and shape of KIRO_PROTOCOL 3.2 to 3.4.

The controls decide: a scenario without thinking has none, whatever the request asked for, and `native-thinking`
thinks on any model. Only `thinking` looks at the request: native where its fields ask for it and the model has it,
tags where the prompt asks for tags, else none. Events are made as they are sent, so a long answer costs no memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import orjson

from kirotrio.classes import define, frozen
from kirotrio.kiro.eventstream import encode_error, encode_event, encode_exception
from kirotrio.simulator.arguments import fill, plausible_arguments, plausible_value
from kirotrio.simulator.catalogue import Model
from kirotrio.simulator.controls import Controls
from kirotrio.simulator.prompt import Prompt, Tool
from kirotrio.simulator.prose import PIECE, THOUGHT, gist, pieces, reply_text, search_query
from kirotrio.simulator.refusals import RefusalTable

Event: TypeAlias = tuple[str, bytes]
"""The event's type and its whole frame."""

_LONG = 600
_LONG_PIECE = 32
_FRAGMENT = 12
"""Characters of tool input in one event where `size` says nothing."""
_CHARS_PER_TOKEN = 4


class FrameBook:
    """Frames of text pieces that were sent before: the filler repeats, and its frames need not be made again.

    Bounded in number and, since only short pieces are kept, in bytes (4096 × about 700).
    """

    def __init__(self) -> None:
        self._frames: dict[str, bytes] = {}

    def text(self, text: str) -> bytes:
        frame = self._frames.get(text)
        if frame is None:
            frame = encode_event("assistantResponseEvent", orjson.dumps({"content": text}))
            if len(text) <= 512 and len(self._frames) < 4096:
                self._frames[text] = frame
        return frame


@frozen
class ToolUse:
    """One call as it is going to be sent."""

    id: str
    name: str
    input: dict[str, Any]


@define
class Generation:
    """One answer of the simulated model.

    `sign` issues a signature for the thinking of this account and model; `charge` is told the credits it cost.
    """

    prompt: Prompt
    controls: Controls
    model: Model
    sign: Callable[[], str]
    charge: Callable[[float], None]
    refusals: RefusalTable
    frames: FrameBook
    request_id: str = ""
    written: int = 0
    """Characters of output so far."""

    def events(self) -> Iterator[Event]:
        """Everything but the first frame, which only names the stream: content, then the exception or the tail."""
        mode = self._thinking_mode()
        if mode == "native" and self.model.reasoning != "opaque":
            yield from self._native_thinking()
        stop = "END_TURN"
        if self.controls.scenario != "empty":
            calls = self._calls()
            yield from self._text(self._said(calls), tagged=mode == "tag", short=bool(calls))
            if calls:
                stop = "TOOL_USE"
                yield from self._tool_events(calls)
        if mode == "native" and self.model.reasoning == "opaque":
            yield from self._opaque_reasoning()
        if self.controls.exception:
            yield self._exception(self.controls.exception)
            return
        yield from self._tail(self.controls.stop or stop)

    # -- thinking --------------------------------------------------------------------------------------------------

    def _thinking_mode(self) -> str:
        """tag, native or none."""
        by_scenario = {"thinking": "auto", "native-thinking": "native"}
        think = self.controls.think or by_scenario.get(self.controls.scenario, "none")
        if think != "auto":
            return think
        if self.prompt.native_thinking and self.model.reasoning in ("frames", "opaque"):
            return "native"
        return "tag" if self.prompt.thinking_tags else "none"

    def _native_thinking(self) -> Iterator[Event]:
        if self.controls.redacted:
            yield _event("reasoningContentEvent", redactedContent=self.sign())
            return
        if not self.prompt.omits_thinking:
            for piece in pieces(THOUGHT, self.controls.size):
                self.written += len(piece)
                yield _event("reasoningContentEvent", text=piece)
        yield _event("reasoningContentEvent", signature=self.sign())

    def _opaque_reasoning(self) -> Iterator[Event]:
        """GPT's reasoning comes last, as a placeholder and an opaque payload (8.2)."""
        if self.controls.redacted:
            yield _event("reasoningContentEvent", redactedContent=self.sign())
        else:
            yield _event("reasoningContentEvent", text="...", signature=self.sign())

    # -- text ------------------------------------------------------------------------------------------------------

    def _said(self, calls: list[ToolUse]) -> str:
        if self.controls.text is not None:
            return self.controls.text
        if calls:
            return f"I'll use {' and '.join(call.name for call in calls)}."
        if self._speaks_json:
            wanted = plausible_value(self.prompt.wanted_json, gist(self.prompt.message))
            return orjson.dumps(wanted).decode()
        text = reply_text(self.prompt.message, self.prompt.results)
        if self.controls.scenario in ("tools", "parallel-tools", "web-search") and not self.prompt.results:
            offered = ", ".join(tool.name for tool in self.prompt.tools) or "none"
            text += f" (No call was made: the tool is not among those offered, which are: {offered}.)"
        return text

    @property
    def _speaks_json(self) -> bool:
        return self.prompt.wanted_json is not None and self.controls.text is None and self.controls.scenario != "long"

    def _text(self, text: str, *, tagged: bool, short: bool) -> Iterator[Event]:
        size, count = self.controls.size, self.controls.events
        if self.controls.text is not None or (self._speaks_json and not short) or (short and count is None):
            count = None
        elif self.controls.scenario == "long":
            size, count = size or _LONG_PIECE, _LONG if count is None else count
        if tagged:
            thought = f"<thinking>\n{THOUGHT.strip()}</thinking>\n\n"
            yield from self._text_events(pieces(thought, size))
        yield from self._text_events(pieces(text, size or PIECE, count))

    def _text_events(self, parts: Iterator[str]) -> Iterator[Event]:
        for part in parts:
            self.written += len(part)
            yield "assistantResponseEvent", self.frames.text(part)

    # -- tools -----------------------------------------------------------------------------------------------------

    def _calls(self) -> list[ToolUse]:
        """The calls that the scenario makes: none for one without tools, none once `rounds` results have come back."""
        scenario = self.controls.scenario
        tools = self._chosen_tools()
        done = self.prompt.answered >= self.controls.rounds
        told = scenario == "text" and self.controls.text is None and self.prompt.wanted_tool is not None
        if done or not tools or not (told or scenario in ("tools", "parallel-tools", "web-search")):
            return []
        if scenario == "parallel-tools":
            pair = [tools[0], tools[1] if len(tools) > 1 else tools[0]]
            same = pair[0].name == pair[1].name
            return [self._call(tool, variant=index if same else 0) for index, tool in enumerate(pair)]
        return [self._call(tools[0])]

    def _chosen_tools(self) -> list[Tool]:
        wanted = self.controls.tool or ("web_search" if self.controls.scenario == "web-search" else "")
        wanted = wanted or self.prompt.wanted_tool or ""
        if not wanted:
            return self.prompt.tools
        return [tool for tool in self.prompt.tools if tool.name.lower() == wanted.lower()]

    def _call(self, tool: Tool, *, variant: int = 0) -> ToolUse:
        arguments = self.controls.input
        if arguments is None and tool.name == "web_search":
            arguments = {"query": search_query(self.prompt.spoken)}
        if arguments is None:
            arguments = plausible_arguments(tool.schema, gist(self.prompt.message), variant=variant)
        if self.controls.input_chars:
            arguments = fill(arguments, self.controls.input_chars)
        return ToolUse(f"tooluse_{secrets.token_urlsafe(16)}", tool.name, arguments)

    def _tool_events(self, calls: list[ToolUse]) -> Iterator[Event]:
        """All calls begin, then their fragments take turns, then all end: interleaved where there are several."""
        for call in calls:
            yield _event("toolUseEvent", toolUseId=call.id, name=call.name)
        turns = [self._inputs(call) for call in calls]
        while turns:
            for turn in list(turns):
                event = next(turn, None)
                if event is None:
                    turns.remove(turn)
                else:
                    yield event
        if self.controls.tool_form != "truncated":
            for call in calls:
                yield _event("toolUseEvent", toolUseId=call.id, name=call.name, stop=True)

    def _inputs(self, call: ToolUse) -> Iterator[Event]:
        form = self.controls.tool_form
        if form == "absent":
            return
        if form == "object":
            yield _event("toolUseEvent", toolUseId=call.id, name=call.name, input={})
            yield _event("toolUseEvent", toolUseId=call.id, name=call.name, input=call.input)
            return
        text = orjson.dumps(call.input).decode()
        if form in ("truncated", "invalid"):
            text = text[: max(1, len(text) // 2)]
        for fragment in pieces(text, self.controls.size or _FRAGMENT):
            self.written += len(fragment)
            yield _event("toolUseEvent", toolUseId=call.id, name=call.name, input=fragment)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _exception(self, name: str) -> Event:
        """An exception frame; `error` is the unmodelled kind, a name that ends in Event an event that reports one."""
        try:
            refusal = self.refusals.find(name)
        except KeyError:
            kind, message, reason = name, "An exception of the simulator.", None
        else:
            kind, message, reason = refusal.type, refusal.message, refusal.reason
        payload = orjson.dumps({"message": message, "reason": reason})
        if name == "error":
            return name, encode_error("InternalServerException", "An unmodelled error of the simulator.")
        if name.endswith("Event"):
            return name, encode_event(name, payload)
        if name == "ContentLengthExceededException":
            payload = orjson.dumps({"message": "The answer exceeds the length limit.", "reason": None})
        return kind, encode_exception(kind, payload)

    def _tail(self, stop: str) -> Iterator[Event]:
        kind = self.controls.tail
        if kind == "none":
            return
        output = self.written // _CHARS_PER_TOKEN
        total = self.prompt.input_tokens + output
        percentage = self.controls.context_pct
        if percentage is None:
            percentage = round(total * 100 / self.model.window, 6)
        if kind != "older":
            metadata: dict[str, Any] = {"stopReason": stop, "requestId": self.request_id}
            if kind == "usage":
                metadata["tokenUsage"] = {
                    "uncachedInputTokens": self.prompt.input_tokens,
                    "outputTokens": output,
                    "totalTokens": total,
                    "cacheReadInputTokens": 0,
                    "cacheWriteInputTokens": 0,
                    "contextUsagePercentage": percentage,
                }
            yield _event("metadataEvent", **metadata)
        yield _event("contextUsageEvent", contextUsagePercentage=percentage)
        credits_used = round(self.model.rate * (self.prompt.input_tokens * 2e-6 + output * 5e-5 + 0.004), 6)
        self.charge(credits_used)
        yield _event("meteringEvent", unit="credit", unitPlural="credits", usage=credits_used)


def _event(event_type: str, **payload: Any) -> Event:
    return event_type, encode_event(event_type, orjson.dumps(payload))
