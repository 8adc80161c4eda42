"""Who gets to see thinking: a filter over generation events."""

from __future__ import annotations

from attrs import evolve, frozen

from kirotrio.conversation.events import Event, RedactedThinkingBlock, ThinkingDelta, ThinkingSignature


@frozen
class ThinkingVisibility:
    """`shown`: thinking blocks leave at all. `text`: with their text, not only with their signature."""

    shown: bool = True
    text: bool = True

    def feed(self, events: list[Event]) -> list[Event]:
        """The events that may leave; the same list where nothing is to be hidden."""
        if self.shown and self.text:
            return events
        if not self.shown:
            return [e for e in events if not isinstance(e, ThinkingDelta | ThinkingSignature | RedactedThinkingBlock)]
        # An empty piece still opens the block that the signature closes.
        return [evolve(e, text="") if isinstance(e, ThinkingDelta) else e for e in events]
