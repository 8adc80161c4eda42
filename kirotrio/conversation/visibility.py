"""Who gets to see thinking: a filter over generation events."""

from __future__ import annotations

from kirotrio.classes import frozen
from kirotrio.conversation.events import (
    Event,
    RedactedThinkingBlock,
    TextDelta,
    ThinkingDelta,
    ThinkingDeltas,
    ThinkingSignature,
)

_THINKING = (ThinkingDelta, ThinkingDeltas, ThinkingSignature, RedactedThinkingBlock)


@frozen
class ThinkingVisibility:
    """`shown`: thinking blocks leave at all. `text`: with their text, not only with their signature."""

    shown: bool = True
    text: bool = True

    def feed(self, events: list[Event]) -> list[Event]:
        """The events that may leave; the same list where nothing is to be hidden."""
        if (self.shown and self.text) or (len(events) == 1 and type(events[0]) is TextDelta):
            return events
        if not self.shown:
            return [event for event in events if not isinstance(event, _THINKING)]
        # An empty piece still opens the block that the signature closes.
        return [ThinkingDelta("") if isinstance(event, ThinkingDelta | ThinkingDeltas) else event for event in events]
