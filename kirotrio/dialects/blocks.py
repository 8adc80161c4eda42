"""Which blocks an answer has: the one state machine behind the stream and the JSON body of every dialect.

Everything that decides about order lives here. States: WAITING (nothing was said yet), BETWEEN (no block is open),
TEXT and THINKING (a block of that kind is open), ENDED (nothing may follow). A row says which operations an event
causes in a state, in this order, and which state comes next; what has no row causes nothing: measurements, whatever
comes after the end, and a citation with no text to stand in. Blocks stand in order of arrival, at most one is open,
and only a block that is open is written to or closed, since there is no row in which it could be otherwise.

Events without content (an empty text, an empty signature) cause nothing, except that an empty piece of thinking
opens the block. A tool call that could not be understood by a client (arguments that are no JSON object, no name)
never leaves; the stop reason then is `max_tokens`. A run of deltas has the rows of its deltas: whatever opens or
closes does so once, and `texts` or `thinkings` writes all of them. Work per event is constant, but for a tool call's
arguments, which are parsed once.
"""

from __future__ import annotations

import enum
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

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


class State(enum.Enum):
    WAITING = enum.auto()
    BETWEEN = enum.auto()
    TEXT = enum.auto()
    THINKING = enum.auto()
    ENDED = enum.auto()

    # Of the identity, in C: an enum's own is a call in Python, and a state is looked up with every batch.
    __hash__ = object.__hash__


W, B, X, T, E = State.WAITING, State.BETWEEN, State.TEXT, State.THINKING, State.ENDED

# fmt: off
TRANSITIONS: tuple[tuple[State, type, str, State], ...] = (
    (W, TextDelta,             "begin open_text text",                X),
    (W, ThinkingDelta,         "begin open_thinking thinking",        T),
    (W, ThinkingSignature,     "begin open_thinking sign close",      B),
    (W, RedactedThinkingBlock, "begin redacted",                      B),
    (W, ToolCall,              "begin tool",                          B),
    (W, ServerToolCall,        "begin server_call",                 B),
    (W, SearchFinished,        "begin search_result",               B),
    (W, FetchFinished,         "begin fetch_result",                B),
    (W, Finish,                "begin finish",                        E),
    (W, Failed,                "fail",                                E),
    (W, KeepAlive,             "ping",                                W),

    (B, TextDelta,             "open_text text",                      X),
    (B, ThinkingDelta,         "open_thinking thinking",              T),
    (B, ThinkingSignature,     "open_thinking sign close",            B),
    (B, RedactedThinkingBlock, "redacted",                            B),
    (B, ToolCall,              "tool",                                B),
    (B, ServerToolCall,        "server_call",                       B),
    (B, SearchFinished,        "search_result",                     B),
    (B, FetchFinished,         "fetch_result",                      B),
    (B, Finish,                "finish",                              E),
    (B, Failed,                "fail",                                E),
    (B, KeepAlive,             "ping",                                B),

    (X, TextDelta,             "text",                                X),
    (X, ThinkingDelta,         "close open_thinking thinking",        T),
    (X, ThinkingSignature,     "close open_thinking sign close",      B),
    (X, RedactedThinkingBlock, "close redacted",                      B),
    (X, ToolCall,              "close tool",                          B),
    (X, Citation,              "cite",                                X),
    (X, ServerToolCall,        "close server_call",                 B),
    (X, SearchFinished,        "close search_result",               B),
    (X, FetchFinished,         "close fetch_result",                B),
    (X, Finish,                "close finish",                        E),
    (X, Failed,                "fail",                                E),
    (X, KeepAlive,             "ping",                                X),

    (T, TextDelta,             "close open_text text",                X),
    (T, ThinkingDelta,         "thinking",                            T),
    (T, ThinkingSignature,     "sign close",                          B),
    (T, RedactedThinkingBlock, "close redacted",                      B),
    (T, ToolCall,              "close tool",                          B),
    (T, ServerToolCall,        "close server_call",                 B),
    (T, SearchFinished,        "close search_result",               B),
    (T, FetchFinished,         "close fetch_result",                B),
    (T, Finish,                "close finish",                        E),
    (T, Failed,                "fail",                                E),
    (T, KeepAlive,             "ping",                                T),
)
# fmt: on

_RUNS: dict[type, tuple[type, str]] = {TextDelta: (TextDeltas, "texts"), ThinkingDelta: (ThinkingDeltas, "thinkings")}
"""The run that has the rows of a delta, and what stands in the place of that row's last operation."""

_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")


class Blocks(ABC):
    """Takes generation events and calls the operations of TRANSITIONS (with an underscore) on itself.

    The order of these calls is legal whatever comes; a subclass only has to write down what they mean.
    """

    _rows: ClassVar[dict[State, dict[type, tuple[tuple[Callable[[Any, Any], None], ...], State]]]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._rows = {state: {} for state in State}
        for state, kind, operations, following in TRANSITIONS:
            names = operations.split()
            cls._rows[state][kind] = (tuple(getattr(cls, f"_{name}") for name in names), following)
            if kind in _RUNS:
                run, names[-1] = _RUNS[kind]
                cls._rows[state][run] = (tuple(getattr(cls, f"_{name}") for name in names), following)

    def __init__(self, usage: Usage) -> None:
        self.usage = usage
        """What is known at the beginning; `Finish` replaces it."""
        self._state = State.WAITING
        self._tool_ids: set[str] = set()
        self._broken_call = False

    @property
    def finished(self) -> bool:
        """Whether the end has been said; everything after it is ignored."""
        return self._state is State.ENDED

    def feed(self, batch: Iterable[Event]) -> None:
        rows, state = self._rows, self._state
        row = rows[state]
        event: Any
        try:
            for event in batch:
                kind = type(event)
                step = row.get(kind)
                if step is None:
                    continue
                if kind is TextDelta:
                    if not event.text:
                        continue
                elif kind in _MAY_BE_VOID and self._is_void(event):
                    continue
                operations, following = step
                for operation in operations:
                    operation(self, event)
                if following is not state:
                    state = following
                    row = rows[state]
        finally:
            self._state = state

    def _is_void(self, event: ThinkingSignature | ToolCall) -> bool:
        if isinstance(event, ThinkingSignature):
            return not event.signature
        if event.name:
            try:
                if isinstance(orjson.loads(event.arguments or "{}"), dict):
                    return False
            except orjson.JSONDecodeError:
                pass
        self._broken_call = True
        return True

    def _tool_id(self, event: ToolCall) -> str:
        """The call's id as clients accept it: of their alphabet, and not given twice in one answer.

        The client sends back what it was given, in the call as in the result, so that the two still meet.
        """
        wanted = _FOREIGN.sub("_", event.id) or "toolu"
        given, count = wanted, 1
        while given in self._tool_ids:
            count += 1
            given = f"{wanted}_{count}"
        self._tool_ids.add(given)
        return given

    def _stop(self, finish: Finish) -> StopCause:
        """The cause, as far as the blocks that left bear it out."""
        cause = finish.cause
        if self._broken_call and cause in (StopCause.END_TURN, StopCause.TOOL_USE):
            cause = StopCause.MAX_TOKENS
        elif self._tool_ids and cause in (StopCause.END_TURN, StopCause.STOP_SEQUENCE):
            cause = StopCause.TOOL_USE  # or the client would not run the call
        elif cause is StopCause.TOOL_USE and not self._tool_ids:
            cause = StopCause.END_TURN
        return cause

    @abstractmethod
    def _begin(self, event: Event) -> None: ...
    @abstractmethod
    def _open_text(self, event: TextDelta | TextDeltas) -> None: ...
    @abstractmethod
    def _text(self, event: TextDelta) -> None: ...
    @abstractmethod
    def _texts(self, event: TextDeltas) -> None: ...
    @abstractmethod
    def _open_thinking(self, event: ThinkingDelta | ThinkingDeltas | ThinkingSignature) -> None: ...
    @abstractmethod
    def _thinking(self, event: ThinkingDelta) -> None: ...
    @abstractmethod
    def _thinkings(self, event: ThinkingDeltas) -> None: ...
    @abstractmethod
    def _sign(self, event: ThinkingSignature) -> None: ...
    @abstractmethod
    def _close(self, event: Event) -> None: ...
    @abstractmethod
    def _redacted(self, event: RedactedThinkingBlock) -> None: ...
    @abstractmethod
    def _tool(self, event: ToolCall) -> None: ...
    @abstractmethod
    def _server_call(self, event: ServerToolCall) -> None: ...
    @abstractmethod
    def _search_result(self, event: SearchFinished) -> None: ...
    @abstractmethod
    def _fetch_result(self, event: FetchFinished) -> None: ...
    @abstractmethod
    def _cite(self, event: Citation) -> None: ...
    @abstractmethod
    def _finish(self, event: Finish) -> None: ...
    @abstractmethod
    def _fail(self, event: Failed) -> None: ...
    @abstractmethod
    def _ping(self, event: KeepAlive) -> None: ...


_MAY_BE_VOID = frozenset({ThinkingSignature, ToolCall})
