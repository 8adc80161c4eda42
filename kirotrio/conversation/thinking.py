"""Thinking out of text: `<thinking>…</thinking>` at the beginning of an answer (KIRO_PROTOCOL 8.1).

The rules, all of which hold whatever the pieces in which the text arrives:

* Only an answer whose first text that is not blank is `<thinking>`, spelled exactly so, holds a block; the blanks
  before it are dropped. Everything else, and everything after that first block, is text.
* One newline directly after the opening tag is dropped, and all newlines directly after the closing tag.
* A closing tag that a quote character touches, before or behind, is a mention of the tag and no end. At the end of the
  answer there is nothing behind it, so what stands before it decides.
* A block that is never closed is thinking to its end (`unclosed`). But a closing tag which was refused only for the
  quote *before* it, and which a blank line followed, was probably the true one (the thought ended in a quotation): what
  came after the **first** of these is given once more, as text. The first, since everything that stands behind a later
  one stands behind the first too: no choice of the last could lose less, and it could lose part of the answer.

States: OPENING (blanks and a beginning of the tag are held), OPENED (one newline may go), INSIDE (at most one closing
tag is held: until it is refuted, or its right neighbour is known), CLOSED (newlines are dropped), PLAIN. Every
character is looked at a bounded number of times. Held are: the leading blanks, at most one tag, and, after a refused
tag of the kind above, what may have to be given again.
"""

from __future__ import annotations

import enum
from typing import Final

from kirotrio.classes import define
from kirotrio.conversation.thinking_setting import (
    DEFAULT_BUDGET,
    get_thinking_budget,
    is_thinking_enabled,
    read_thinking,
    shows_thinking,
    thinking_withheld,
)

__all__ = [
    "DEFAULT_BUDGET",
    "QUOTES",
    "KiroThinkingTagParser",
    "SegmentType",
    "TextSegment",
    "get_thinking_budget",
    "is_thinking_enabled",
    "read_thinking",
    "shows_thinking",
    "thinking_withheld",
]

QUOTES: Final = frozenset("`\"'“”‘’「」『』«»")
"""Characters that make a closing tag beside them a mention."""

_OPEN: Final = "<thinking>"
_CLOSE: Final = "</thinking>"


class SegmentType(enum.Enum):
    THINKING = "thinking"
    TEXT = "text"


@define(unsafe_hash=True)  # not frozen: made once a piece of text, which a frozen class of attrs makes twice as dear
class TextSegment:
    """A piece of the answer. An empty one of type THINKING says that the block was opened."""

    type: SegmentType
    content: str


class _State(enum.Enum):
    OPENING = enum.auto()
    OPENED = enum.auto()
    INSIDE = enum.auto()
    CLOSED = enum.auto()
    PLAIN = enum.auto()


# Enum members are looked up once: `_State.PLAIN` costs more than the comparison.
_PLAIN, _INSIDE = _State.PLAIN, _State.INSIDE


class KiroThinkingTagParser:
    """Splits an answer's text into thinking and text while it arrives; the module's head has the rules.

    With `active=False` all is text. `unclosed` turns true where an opened block met its end without a closing tag;
    the caller logs that.
    """

    __slots__ = (
        "_answer",
        "_blanks",
        "_last",
        "_matched",
        "_newlines",
        "_opened",
        "_quoted",
        "_state",
        "_thought",
        "unclosed",
    )

    def __init__(self, active: bool = True) -> None:
        self.unclosed = False
        self._state = _State.OPENING if active else _State.PLAIN
        self._opened = False
        self._blanks: list[str] = []
        self._matched = 0
        """How many characters of the tag in question are held."""
        self._last = ""
        """The character of thinking before the present position."""
        self._quoted = False
        """Whether a quote stands before the closing tag that is held."""
        self._thought: list[str] = []
        """What this call found of thinking."""
        self._newlines = -1
        """Newlines in the blanks directly behind a tag refused for the quote before it; -1: not behind one."""
        self._answer: list[str] | None = None
        """What came after the first such tag that a blank line followed."""

    @property
    def is_thinking_mode(self) -> bool:
        """Whether this answer began with a thinking block; stays true behind the block."""
        return self._opened

    @property
    def has_extracted_thinking(self) -> bool:
        """Whether a thinking block has been given whole: it was closed, or the answer ended inside it."""
        return self._opened and self._state in (_State.CLOSED, _State.PLAIN)

    def push_and_parse(self, text: str) -> list[TextSegment]:
        """The segments that have become certain with this piece of text; at most one of each type, thinking first."""
        if not text:
            return []
        if self._state is _PLAIN:
            return [TextSegment(SegmentType.TEXT, text)]
        if self._passes(text):
            self._last = text[-1]
            return [TextSegment(SegmentType.THINKING, text)]
        opened = self._opened
        rest = self._advance(text)
        segments = []
        if self._thought or self._opened is not opened:
            segments.append(TextSegment(SegmentType.THINKING, "".join(self._thought)))
            self._thought.clear()
        if rest:
            segments.append(TextSegment(SegmentType.TEXT, rest))
        return segments

    def unchanged(self, texts: list[str], at: int) -> int:
        """Where the run ends that begins at `at` and goes through as it is: as text if `plain`, else as thinking.

        These have been pushed with it. `at` itself where the next text has to be parsed. No text is empty.
        """
        end = len(texts)
        if self._state is not _PLAIN:
            if not self._passes(texts[at]):
                return at
            end = next((later for later in range(at + 1, end) if "<" in texts[later]), end)
            self._last = texts[end - 1][-1]
        return end

    @property
    def plain(self) -> bool:
        """Whether all that may still come is text, and goes through as it is."""
        return self._state is _PLAIN

    def _passes(self, text: str) -> bool:
        """Whether this text, pushed now, is thinking from end to end, and nothing but its end need be remembered."""
        return (
            self._state is _INSIDE
            and not self._matched
            and self._newlines < 0
            and self._answer is None
            and "<" not in text
        )

    def flush(self) -> list[TextSegment]:
        """The end of the answer: what was held. A second call gives nothing, and text that comes later is text."""
        state, self._state = self._state, _State.PLAIN
        if state is _State.OPENING:
            held = self._give_up_opening()
            return [TextSegment(SegmentType.TEXT, held)] if held else []
        if state is _State.OPENED:
            self.unclosed = True
            return []
        if state is not _State.INSIDE or self._matched == len(_CLOSE):
            return []
        self.unclosed = True
        segments = []
        if self._matched:
            segments.append(TextSegment(SegmentType.THINKING, _CLOSE[: self._matched]))
        if self._answer is not None:
            answer = ("".join(self._answer) + _CLOSE[: self._matched]).lstrip("\n")
            self._answer = None
            if answer:
                segments.append(TextSegment(SegmentType.TEXT, answer))
        return segments

    def turn_off(self) -> list[TextSegment]:
        """The upstream reasons natively: gives what was held; whatever text follows is text (KIRO_PROTOCOL 8.2)."""
        return self.flush()

    def settle(self) -> None:
        """A tool call comes next: a closing tag that still waits for its right neighbour has none, so it closes.

        An unfinished tag stays held across the call, since the rest of it may follow.
        """
        if self._state is _State.INSIDE and self._matched == len(_CLOSE):
            self._close()

    def _advance(self, text: str) -> str:
        """Takes one piece through the states; thinking goes to `_thought`, the text at its end is returned."""
        at = 0
        if self._state is _State.OPENING:
            at = self._find_opening(text)
            if at < 0:
                return self._give_up_opening() + text
        if self._state is _State.OPENED and at < len(text):
            self._state = _State.INSIDE
            at += text[at] == "\n"
        if self._state is _State.INSIDE:
            at = self._take_thinking(text, at)
        if self._state is _State.CLOSED:
            rest = text[at:].lstrip("\n")
            if rest:
                self._state = _State.PLAIN
            return rest
        return ""

    def _find_opening(self, text: str) -> int:
        """Looks for the opening tag; returns how much of `text` is dealt with, -1 if no block begins here."""
        at = 0
        if not self._matched:
            at = len(text) - len(text.lstrip())
            if at == len(text):
                self._blanks.append(text)
                return at
        step = min(len(_OPEN) - self._matched, len(text) - at)
        if not text.startswith(_OPEN[self._matched : self._matched + step], at):
            return -1
        if at:
            self._blanks.append(text[:at])
        self._matched += step
        if self._matched == len(_OPEN):
            self._state = _State.OPENED
            self._opened = True
            self._matched = 0
            self._blanks.clear()
        return at + step

    def _give_up_opening(self) -> str:
        held = "".join(self._blanks) + _OPEN[: self._matched]
        self._blanks.clear()
        self._state = _State.PLAIN
        return held

    def _take_thinking(self, text: str, at: int) -> int:
        """Takes thinking from `at` up to the end of the piece or behind the closing tag, and returns where that is."""
        while at < len(text):
            if self._matched == len(_CLOSE):
                if text[at] not in QUOTES:
                    self._close()
                    return at
                self._give_held()
            elif self._matched:
                at = self._match(text, at)
            else:
                start = text.find("<", at)
                if start < 0:
                    start = len(text)
                if start > at:
                    self._give(text[at:start])
                if start < len(text):
                    self._quoted = self._last in QUOTES
                    self._matched = 1
                    start += 1
                at = start
        return at

    def _match(self, text: str, at: int) -> int:
        """Continues the closing tag that is held. Gives it up where it is refuted, without taking what refuted it."""
        step = min(len(_CLOSE) - self._matched, len(text) - at)
        if not text.startswith(_CLOSE[self._matched : self._matched + step], at):
            self._give_held()
            return at
        self._matched += step
        if self._matched == len(_CLOSE) and self._quoted:
            self._give_held()
            self._newlines = 0
        return at + step

    def _give_held(self) -> None:
        held = _CLOSE[: self._matched]
        self._matched = 0
        self._give(held)

    def _give(self, piece: str) -> None:
        self._thought.append(piece)
        self._last = piece[-1]
        if self._answer is not None:
            self._answer.append(piece)
        elif self._newlines >= 0:
            self._watch_for_blank_line(piece)

    def _watch_for_blank_line(self, piece: str) -> None:
        """Begins to remember thinking behind the second newline of the blanks that follow the refused tag."""
        for at, character in enumerate(piece):
            if not character.isspace():
                self._newlines = -1
                return
            if character == "\n":
                self._newlines += 1
                if self._newlines == 2:
                    self._newlines = -1
                    self._answer = [piece[at + 1 :]]
                    return

    def _close(self) -> None:
        self._state = _State.CLOSED
        self._matched = 0
        self._answer = None
        self._newlines = -1
