"""The pure middle of one generation: kiro events in, the generation events that may leave out.

    translator -> limits -> ledger -> fence -> visibility

In this order because a limit counts what the model says, the ledger counts what is kept of it, hidden thinking
and a fence around JSON included, and what a client is not shown is taken out last.
"""

from __future__ import annotations

from kirotrio.classes import define
from kirotrio.conversation.events import Batch, Event, Finish, StopCause
from kirotrio.conversation.fence import FenceStripper
from kirotrio.conversation.limits import OutputLimits
from kirotrio.conversation.usage import UsageLedger
from kirotrio.conversation.visibility import ThinkingVisibility
from kirotrio.kiro.event_types import KiroEvent
from kirotrio.kiro.translate import AnswerTranslator


@define
class Pipeline:
    """Fresh for each generation, but for the ledger, which adds up over all generations of one request.

    `fence` is there only where the answer has to be JSON.
    """

    translator: AnswerTranslator
    limits: OutputLimits
    visibility: ThinkingVisibility
    ledger: UsageLedger
    fence: FenceStripper | None = None

    @property
    def began(self) -> bool:
        """Whether the upstream has begun to generate."""
        return self.translator.began

    @property
    def met(self) -> StopCause | None:
        """The limit that the answer has met: nothing more of it is to be shown."""
        return self.limits.met

    @property
    def notes(self) -> list[str]:
        """Sentences for the log, each once."""
        fenced = self.fence is not None and self.fence.removed
        return [*self.translator.notes, *(["a Markdown fence around the JSON was taken away"] if fenced else [])]

    def feed(self, events: list[KiroEvent]) -> Batch:
        batch = self.ledger.feed(self.limits.feed(self.translator.feed(events)))
        return self.visibility.feed(batch if self.fence is None else self._unfenced(self.fence, batch))

    def end(self) -> Batch:
        """The byte stream ended cleanly; the last event is a `Finish` or a `Failed`."""
        return self._shown(self.translator.end())

    def stop(self, cause: StopCause) -> Batch:
        """The end of an answer that met a limit."""
        return self._shown([Finish(cause)])

    def _shown(self, events: list[Event]) -> Batch:
        batch = self.ledger.feed(self.limits.feed(events))
        return self.visibility.feed(batch if self.fence is None else self._unfenced(self.fence, batch))

    def _unfenced(self, fence: FenceStripper, batch: Batch) -> Batch:
        batch = fence.feed(batch)
        if self.limits.met is not None:
            # Nothing of what is fed from here on is shown (`_run_out`), so nothing may be left behind.
            batch = [*batch, *fence.end()]
        return batch
