"""The pure middle of one generation: kiro events in, the generation events that may leave out.

    translator -> limits -> ledger -> visibility

In this order because a limit counts what the model says, the ledger counts what is kept of it, hidden thinking
included, and what a client is not shown is taken out last.
"""

from __future__ import annotations

from attrs import define

from kirotrio.conversation.events import Batch, Finish, StopCause
from kirotrio.conversation.limits import OutputLimits
from kirotrio.conversation.usage import UsageLedger
from kirotrio.conversation.visibility import ThinkingVisibility
from kirotrio.kiro.event_types import KiroEvent
from kirotrio.kiro.translate import AnswerTranslator


@define
class Pipeline:
    """Fresh for each generation, but for the ledger, which adds up over all generations of one request."""

    translator: AnswerTranslator
    limits: OutputLimits
    visibility: ThinkingVisibility
    ledger: UsageLedger

    @property
    def began(self) -> bool:
        """Whether the upstream has begun to generate."""
        return self.translator.began

    @property
    def met(self) -> StopCause | None:
        """The limit that the answer has met: nothing more of it is to be shown."""
        return self.limits.met

    def feed(self, events: list[KiroEvent]) -> Batch:
        return self.visibility.feed(self.ledger.feed(self.limits.feed(self.translator.feed(events))))

    def end(self) -> Batch:
        """The byte stream ended cleanly; the last event is a `Finish` or a `Failed`."""
        return self.visibility.feed(self.ledger.feed(self.limits.feed(self.translator.end())))

    def stop(self, cause: StopCause) -> Batch:
        """The end of an answer that met a limit."""
        return self.ledger.feed(self.limits.feed([Finish(cause)]))
