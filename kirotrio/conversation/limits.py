"""Where an answer has to stop: the client's stop sequences and its `max_tokens`.

Both look at text alone. Stop sequences are found across deltas; thinking, a tool call or any other content ends a
stretch of text, and no sequence reaches over it. Of several, the one that is complete first counts, as it does for a
model that stops generating there; of those complete at the same character, the longest, so that no part of a stop
sequence is shown. The text before it is kept, itself and all that follows is cut.

`max_tokens` is cut at 1.2 times the estimate, since the count is one: text is counted in slices, and their ends do not
depend on how the text arrived, nor on when they are counted: as long as all that came cannot have used the limit up,
were every byte of it a token, nothing is. A slice is as many characters as tokens are left (at least 4, at most 256),
so that the counting costs little and closes in on the limit. What passes is at most one slice of the last few tokens
too long. Tool calls and thinking are neither cut nor counted. The limit is met when more text comes than fits.

Held back is only the longest end of the text that may yet grow into a stop sequence. Work is linear in the text, for
every stop sequence that has begun; what a stop sequence needs in memory is its own length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from attrs import evolve

from kirotrio.conversation.events import (
    Event,
    Failed,
    Finish,
    RedactedThinkingBlock,
    StopCause,
    TextDelta,
    TextDeltas,
    ThinkingDelta,
    ThinkingDeltas,
    ThinkingSignature,
    ToolCall,
)

_SMALLEST_SLICE = 4
"""Characters; about one token of prose. Slices of fewer would each count as a token."""
_LARGEST_SLICE = 256
_AHEAD = 16 * 1024
"""Bytes: more than events that come together bring, unless somebody is far behind."""

_OTHER_CONTENT = (ThinkingDelta, ThinkingDeltas, ThinkingSignature, RedactedThinkingBlock, ToolCall)


class OutputLimits:
    """Passes generation events on until a limit is met, then only what is no content.

    `stop_sequences` are not empty; `max_tokens` None sets no limit; `count` estimates the tokens of a piece of text,
    and never finds more than it has bytes in UTF-8.
    Once `met` says why, nothing more of the answer is wanted: content is swallowed, measurements pass for the count's
    sake, and the end, be it `Finish` or `Failed`, becomes a `Finish` of that cause - the answer is whole by then.
    """

    __slots__ = ("_active", "_cap", "_stops", "met", "stop_sequence")

    def __init__(self, stop_sequences: Sequence[str], max_tokens: int | None, count: Callable[[str], int]) -> None:
        self.met: StopCause | None = None
        self.stop_sequence: str | None = None
        self._stops = _StopSequences(stop_sequences) if stop_sequences else None
        self._cap = _TokenCap(max_tokens, count) if max_tokens is not None else None
        self._active = self._stops is not None or self._cap is not None

    @property
    def near(self) -> bool:
        """Whether `count` may be asked for with the next events: the limit is some kilobytes away or less."""
        return self._cap is not None and self._cap.near

    def feed(self, events: list[Event]) -> list[Event]:
        """What of these events may leave; the very same list where no limit is set."""
        if not self._active:
            return events
        if len(events) == 1 and self._stops is None and self._cap is not None and self.met is None:
            # A piece of text by itself, as most come.
            only = events[0]
            if type(only) is TextDelta and only.text and self._cap.has_room(only.text):
                return events
        passed: list[Event] = []
        for event in events:
            if isinstance(event, TextDelta):
                if self.met is None:
                    self._take(event, passed)
            elif isinstance(event, TextDeltas):
                self._take_run(event, passed)
            elif isinstance(event, (Finish, Failed)):
                passed += self.end()
                passed.append(event if self.met is None else self._finish(event, self.met))
            elif isinstance(event, _OTHER_CONTENT):
                passed += self.end()
                if self.met is None:
                    passed.append(event)
            else:
                passed.append(event)
        return passed

    def end(self) -> list[Event]:
        """The text ends here: gives what was held back, as far as `max_tokens` allows."""
        if self._stops is None or self.met is not None:
            return []
        return self._capped(TextDelta(self._stops.release()))

    def _take(self, event: TextDelta, passed: list[Event]) -> None:
        if self._lets_through(event.text):
            if event.text:
                passed.append(event)
            return
        stop: str | None = None
        if self._stops is not None:
            text, stop = self._stops.push(event.text)
            if text != event.text:
                event = TextDelta(text)
        passed += self._capped(event)
        if stop is not None and self.met is None:
            self.met = StopCause.STOP_SEQUENCE
            self.stop_sequence = stop

    def _take_run(self, run: TextDeltas, passed: list[Event]) -> None:
        if self.met is None and self._lets_through("".join(run.texts)):
            passed.append(run)
            return
        for piece in run.texts:
            if self.met is None:
                self._take(TextDelta(piece), passed)

    def _lets_through(self, text: str) -> bool:
        """Whether no limit has anything to do with this text; if so, it has been taken."""
        return (self._stops is None or self._stops.spares(text)) and (self._cap is None or self._cap.has_room(text))

    def _capped(self, event: TextDelta) -> list[Event]:
        if self._cap is None:
            return [event] if event.text else []
        fits = self._cap.push(event.text)
        if fits == len(event.text):
            return [event] if fits else []
        self.met = StopCause.MAX_TOKENS
        return [TextDelta(event.text[:fits])] if fits else []

    def _finish(self, event: Finish | Failed, cause: StopCause) -> Finish:
        if isinstance(event, Finish):
            return evolve(event, cause=cause, stop_sequence=self.stop_sequence)
        return Finish(cause, self.stop_sequence)


class _TokenCap:
    """Says how much of the text still fits into 1.2 times `max_tokens`.

    Text is counted in slices whose ends depend on the text alone. While all the text that was not counted yet cannot
    bring `_left` below the largest slice, it is only collected: counting it later comes to the same.
    """

    __slots__ = ("_count", "_left", "_length", "_spare", "_waiting")

    def __init__(self, max_tokens: int, count: Callable[[str], int]) -> None:
        self._count = count
        self._left = max_tokens * 6 // 5
        """Tokens."""
        self._length = self._slice_length()
        """Characters of the present slice; 0: nothing more fits."""
        self._waiting: list[str] = []
        """Text that fits and is not counted yet: it begins with the present slice."""
        self._spare = self._left - _LARGEST_SLICE
        """Bytes that may come before anything need be counted; negative: every slice is."""

    @property
    def near(self) -> bool:
        return self._spare < _AHEAD

    def has_room(self, text: str) -> bool:
        """Whether all of this text fits, without counting anything; if so, it has been taken."""
        size = len(text) if text.isascii() else _bytes(text)
        if size > self._spare:
            return False
        self._spare -= size
        self._waiting.append(text)
        return True

    def push(self, text: str) -> int:
        """How many of these characters fit."""
        if self.has_room(text):
            return len(text)
        held = "".join(self._waiting)
        text = held + text
        at = 0
        while self._length and len(text) - at >= self._length:
            self._left -= self._count(text[at : at + self._length])
            at += self._length
            self._length = self._slice_length()
        rest = text[at:] if self._length else ""
        self._waiting = [rest]
        self._spare = self._left - _LARGEST_SLICE - _bytes(rest)
        return at + len(rest) - len(held)

    def _slice_length(self) -> int:
        return max(_SMALLEST_SLICE, min(self._left, _LARGEST_SLICE)) if self._left > 0 else 0


def _bytes(text: str) -> int:
    """In UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class _StopSequences:
    """Finds the first complete stop sequence in a text that comes in pieces.

    What is held back is by its nature the beginning of a sequence, so only whose and how long is remembered. With the
    first find it has done its work.
    """

    __slots__ = ("_begin", "_held", "_holder", "_needles")

    def __init__(self, sequences: Sequence[str]) -> None:
        self._needles = [_Needle(sequence) for sequence in dict.fromkeys(sequences)]
        self._begin = re.compile("|".join(sorted({re.escape(sequence[0]) for sequence in sequences})))
        self._holder = ""
        self._held = 0

    def spares(self, text: str) -> bool:
        """Whether all of this text may leave, now that it comes; if so, that is all it needs."""
        return not self._held and not self._begin.search(text)

    def push(self, text: str) -> tuple[str, str | None]:
        """The text that may leave, and the stop sequence that cut it or None."""
        if self.spares(text):
            return text, None
        found: _Needle | None = None
        end = len(text)
        for needle in self._needles:
            # Never read past what ends first, so a later find ends there or before.
            at = needle.advance(text, end)
            if at >= 0 and (found is None or at < end or len(needle.sequence) > len(found.sequence)):
                found, end = needle, at
        holder = found or max(self._needles, key=lambda needle: needle.matched)
        leave = self._held + end - holder.matched
        past = leave - self._held
        leaving = self._holder[: self._held] + text[:past] if past > 0 else self._holder[:leave]
        self._holder, self._held = holder.sequence, holder.matched
        return leaving, found.sequence if found else None

    def release(self) -> str:
        """What was held back; the stretch of text ends here."""
        held, self._held = self._holder[: self._held], 0
        for needle in self._needles:
            needle.matched = 0
        return held


class _Needle:
    """One sequence and how much of it the text ends with (Knuth, Morris, Pratt; the table grows as it is needed)."""

    __slots__ = ("_border", "matched", "sequence")

    def __init__(self, sequence: str) -> None:
        self.sequence = sequence
        self.matched = 0
        self._border = [0, 0]
        """For each length of a beginning: its longest shorter beginning that is also its end."""

    def advance(self, text: str, stop: int) -> int:
        """Reads `text` up to `stop`; the position behind the sequence if it is complete, else -1."""
        sequence, matched, at = self.sequence, self.matched, 0
        while at < stop:
            if not matched:
                at = text.find(sequence[0], at, stop)
                if at < 0:
                    break
                matched = 1
            elif text[at] == sequence[matched]:
                matched += 1
                if matched == len(self._border):
                    self._grow()
            else:
                matched = self._border[matched]
                continue
            at += 1
            if matched == len(sequence):
                break
        self.matched = matched
        return at if matched == len(sequence) else -1

    def _grow(self) -> None:
        """One more length in the table: that of the longest beginning seen so far."""
        sequence, length = self.sequence, len(self._border)
        border = self._border[length - 1]
        while border and sequence[border] != sequence[length - 1]:
            border = self._border[border]
        self._border.append(border + (sequence[border] == sequence[length - 1]))
