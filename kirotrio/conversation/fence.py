"""A Markdown fence around an answer that has to be JSON: framing, and taken away.

Models put one there whatever they are told. JSON neither begins nor ends with a backtick, so nothing that could be
meant is lost: whitespace, three or more backticks, a word such as `json` and a line end go from the beginning of the
text; if they did, whitespace and the backticks at its end go too. Every other text passes unchanged. A tool call,
thinking or any other content is an end too; only behind a fence that was whole may another one begin.

Held back is what may yet be the fence: whitespace and then at most one line of 64 characters at the beginning, and
inside a fence the end of the text that is nothing but whitespace and backticks. Work is linear in the text.
"""

from __future__ import annotations

import re

from kirotrio.conversation.events import (
    Accepted,
    Batch,
    ContextMeasured,
    CreditsMetered,
    KeepAlive,
    TextDelta,
    TokensMeasured,
    singly,
)

_LONGEST_OPENING = 64
"""Characters of the line that opens a fence."""

_OPENING = re.compile(r"`{3,}[ \t]*[\w+.-]*[ \t]*\r?\n")
_OPENING_BEGUN = re.compile(r"`{1,2}|`{3,}[ \t]*[\w+.-]*[ \t]*\r?")
_CLOSING = re.compile(r"(?:\r?\n)?[ \t]*`{3,}\s*\Z")
_BLANKS = " \t\r\n"

_NO_CONTENT = (ContextMeasured, TokensMeasured, CreditsMetered, KeepAlive, Accepted)


class FenceStripper:
    """Passes generation events on without the fence. `removed`: whether there was one.

    How the text is split into pieces makes no difference.
    """

    __slots__ = ("_blanks", "_held", "_inside", "_line", "_looking", "removed")

    def __init__(self) -> None:
        self.removed = False
        self._looking = True
        """The text may yet begin with a fence: `_blanks` and then `_line` are all that has come."""
        self._blanks: list[str] = []
        self._line = ""
        self._inside = False
        """A fence is open: `_held` is what may be its end."""
        self._held: list[str] = []

    def feed(self, batch: Batch) -> Batch:
        """What of these events may leave; the very same list once it is clear that there is no fence."""
        if not (self._looking or self._inside):
            return batch
        passed: Batch = []
        for event in singly(batch):
            if isinstance(event, TextDelta):
                text = self._push(event.text)
                if text:
                    passed.append(event if text == event.text else TextDelta(text))
            else:
                if not isinstance(event, _NO_CONTENT):
                    passed += self.end()
                passed.append(event)
        return passed

    def end(self) -> Batch:
        """The text ends here: gives what was held back and is no fence."""
        if self._inside:
            left = "".join(self._held)
            self._held.clear()
            closing = _CLOSING.search(left)
            if closing is not None:
                left = left[: closing.start()]
                self._inside, self._looking = False, True
        else:
            self._looking = self._looking and not self._line
            left = self._let_go()
        return [TextDelta(left)] if left else []

    def _push(self, text: str) -> str:
        """The text that may leave now."""
        if self._looking:
            return self._look(text)
        return self._within(text) if self._inside else text

    def _look(self, text: str) -> str:
        if not self._line:
            rest = text.lstrip(_BLANKS)
            self._blanks.append(text[: len(text) - len(rest)])
            text = rest
        self._line += text
        line = self._line[:_LONGEST_OPENING]
        opening = _OPENING.match(line)
        if opening is not None:
            body = self._line[opening.end() :]
            self._let_go()
            self._looking, self._inside, self.removed = False, True, True
            return self._within(body)
        if not line or (len(line) < _LONGEST_OPENING and _OPENING_BEGUN.fullmatch(line)):
            return ""
        self._looking = False
        return self._let_go()

    def _let_go(self) -> str:
        """All that was held back at the beginning."""
        text = "".join(self._blanks) + self._line
        self._blanks.clear()
        self._line = ""
        return text

    def _within(self, text: str) -> str:
        kept = text.rstrip(_BLANKS + "`")
        if not kept:
            self._held.append(text)
            return ""
        leaving = "".join(self._held) + kept
        self._held = [text[len(kept) :]]
        return leaving
