"""What an answer said, as a turn of the conversation that goes on behind it."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from kirotrio.conversation.events import (
    Event,
    RedactedThinkingBlock,
    TextDelta,
    TextDeltas,
    ThinkingDelta,
    ThinkingDeltas,
    ThinkingSignature,
    ToolCall,
)
from kirotrio.conversation.request import Part, RedactedThinking, Text, Thinking, ToolUse, Turn


class Transcript:
    """Collects one generation's events. Work is linear in the text; what is no content is passed over."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._text: list[str] = []
        self._thinking: list[str] | None = None
        """The pieces of the thinking block that is open; None where none is."""

    def feed(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case TextDelta(text):
                    self._end_thinking()
                    self._text.append(text)
                case TextDeltas(texts):
                    self._end_thinking()
                    self._text += texts
                case ThinkingDeltas(texts):
                    self._end_text()
                    if self._thinking is None:
                        self._thinking = []
                    self._thinking += texts
                case ThinkingDelta(text):
                    self._end_text()
                    if self._thinking is None:
                        self._thinking = []
                    self._thinking.append(text)
                case ThinkingSignature(signature):
                    self._end_text()
                    self._thinking = self._thinking or []
                    self._end_thinking(signature)
                case RedactedThinkingBlock(data):
                    self._end()
                    self._parts.append(RedactedThinking(data))
                case ToolCall(call_id, name, arguments):
                    self._end()
                    self._parts.append(ToolUse(call_id, name, _object(arguments)))
                case _:
                    pass

    def turn(self) -> Turn:
        """The assistant's turn so far, its parts in order of arrival; runs of deltas are one part each."""
        self._end()
        return Turn("assistant", tuple(self._parts))

    def _end(self) -> None:
        self._end_text()
        self._end_thinking()

    def _end_text(self) -> None:
        text, self._text = "".join(self._text), []
        if text:
            self._parts.append(Text(text))

    def _end_thinking(self, signature: str = "") -> None:
        if self._thinking is not None:
            self._parts.append(Thinking("".join(self._thinking), signature))
            self._thinking = None


def _object(arguments: str) -> dict[str, object]:
    """The arguments of a call; what is no object, which no sound call has, counts as none."""
    try:
        given = orjson.loads(arguments or "{}")
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}
