"""What the client demands of an answer beyond its words: a tool called, JSON of a certain form.

The upstream enforces neither (KIRO_PROTOCOL 2.1); both are asked for in text. Whether they were met is seen here, on
the whole answer. An answer that was cut or refused says so by its cause and is held to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from attrs import evolve, field

from kirotrio.classes import define, frozen
from kirotrio.conversation.events import Batch, Finish, ServerToolCall, StopCause, TextDelta, TextDeltas, ToolCall
from kirotrio.conversation.request import Conversation, Part, Text, ToolResult, ToolUse, Turn, WebFetch, WebSearch
from kirotrio.conversation.tool_loading import loaded_tools

_WHOLE: Final = (StopCause.END_TURN, StopCause.TOOL_USE)
_NOT_RUN: Final = "This call was not run."

Tick: TypeAlias = Callable[[], object]


@define
class Answered:
    """What an answer says and calls, gathered from its events.

    `served`: the tools that the server ran for it. `cause` is None while its end has not come.
    """

    cause: StopCause | None = None
    calls: list[ToolCall] = field(factory=list)
    served: set[str] = field(factory=set)
    _pieces: list[str] = field(factory=list)

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def clear(self) -> None:
        """What came so far is void."""
        self.cause = None
        self.calls.clear()
        self.served.clear()
        self._pieces.clear()

    def feed(self, batch: Batch) -> None:
        for event in batch:
            if isinstance(event, TextDelta):
                self._pieces.append(event.text)
            elif isinstance(event, TextDeltas):
                self._pieces += event.texts
            elif isinstance(event, ToolCall):
                self.calls.append(event)
            elif isinstance(event, ServerToolCall):
                self.served.add(event.tool)
            elif isinstance(event, Finish):
                self.cause = event.cause


@frozen
class Unmet:
    """A demand that an answer does not meet. `message` is a clause, for people and for the model.

    `several_calls` is only told: which of the calls was meant, nobody knows.
    """

    kind: Literal["tool_choice", "output", "several_calls"]
    message: str


def demanding(conversation: Conversation) -> bool:
    """Whether an answer has to be looked at once it is there."""
    choice = conversation.tool_choice
    return conversation.output_schema is not None or choice.forced or (bool(conversation.tools) and not choice.parallel)


def unmet(conversation: Conversation, answered: Answered, tick: Tick = lambda: None) -> Unmet | None:
    """The first demand that a finished answer does not meet.

    An answer that calls a tool is not the last word, so its text need not be the JSON asked for. `tick` is called
    again and again while a schema is at work, and ends that by raising.
    """
    if answered.cause not in _WHOLE:
        return None
    return (
        _tool_choice(conversation, answered)
        or _output(conversation, answered, tick)
        or _several(conversation, answered)
    )


def asked_again(conversation: Conversation, answered: Answered, missing: Unmet) -> Conversation:
    """The conversation after an answer that missed something, with the request to answer anew."""
    said: list[Part] = [Text(answered.text)] if answered.text.strip() else []
    said += [ToolUse(call.id, call.name, json.loads(call.arguments)) for call in answered.calls]
    results = [ToolResult(call.id, (Text(_NOT_RUN),), is_error=True) for call in answered.calls]
    again = Text(f"That answer was not used: {missing.message}. Answer my last message again.")
    turns = (Turn("assistant", tuple(said), "repair"), Turn("user", (*results, again), "repair"))
    return evolve(conversation, turns=(*conversation.turns, *turns))


def _tool_choice(conversation: Conversation, answered: Answered) -> Unmet | None:
    choice = conversation.tool_choice
    if not choice.forced:
        return None
    offered = _offered(conversation)
    called = {call.name for call in answered.calls}
    called |= {tool.name for kind, tool in _served(conversation).items() if kind in answered.served}
    if choice.mode == "tool":
        if choice.name not in offered or choice.name in called:
            return None
        return Unmet("tool_choice", "it does not call the tool that had to be called")
    return Unmet("tool_choice", "it calls no tool, and had to") if offered and not called & offered else None


def _output(conversation: Conversation, answered: Answered, tick: Tick) -> Unmet | None:
    schema = conversation.output_schema
    if schema is None or answered.calls:
        return None
    # A tenth of a second of imports that only such answers need.
    from kirotrio.conversation.output_schema import flaw

    wrong = flaw(answered.text, schema.schema, tick)
    if wrong is None:
        return None
    begun = _prefill(conversation)
    if begun and flaw(begun + answered.text, schema.schema, tick) is None:
        return None
    return Unmet("output", f"its text is not the JSON that was asked for ({wrong})")


def _several(conversation: Conversation, answered: Answered) -> Unmet | None:
    if conversation.tool_choice.parallel or len(answered.calls) < 2:
        return None
    return Unmet("several_calls", f"it makes {len(answered.calls)} calls, and one at most was asked for")


def _offered(conversation: Conversation) -> set[str]:
    """The names that the model may call; what was demanded beyond these, it was not even told."""
    loaded = loaded_tools(conversation)
    names = {
        tool.name
        for tool in conversation.tools
        if (tool.input_schema is not None or not tool.kind) and (not tool.deferred or tool.name in loaded)
    }
    return names | {tool.name for tool in _served(conversation).values()}


def _served(conversation: Conversation) -> dict[str, WebSearch | WebFetch]:
    tools = {"web_search": conversation.web_search, "web_fetch": conversation.web_fetch}
    return {kind: tool for kind, tool in tools.items() if tool is not None}


def _prefill(conversation: Conversation) -> str:
    """What the client itself put at the beginning of the answer."""
    if not conversation.has_prefill:
        return ""
    return "".join(part.text for part in conversation.turns[-1].parts if isinstance(part, Text))
