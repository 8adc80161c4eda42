"""The shape of a round, and what all of them share."""

from __future__ import annotations

from typing import Protocol

from attrs import field

from kirotrio.classes import define
from kirotrio.conversation.events import Batch
from kirotrio.conversation.request import Conversation
from kirotrio.relay.attempts import Outlet


class Generate(Protocol):
    """Answers a conversation: hands every batch but the last to the outlet and returns the last, which ends with a
    `Finish`. Raises KirotrioError. Cancellation closes the upstream connection."""

    async def __call__(self, conversation: Conversation, outlet: Outlet) -> Batch: ...


@define
class Memory:
    """What earlier generations of a request have delivered into an outlet that can be restarted.

    A generation that fails voids what it delivered itself, not what the generations before it did: `outlet` sends
    that again after a restart. Where nothing can be restarted (`keeps` False: live) nothing is kept.
    """

    outer: Outlet
    keeps: bool
    _before: list[Batch] = field(factory=list)
    _present: list[Batch] = field(factory=list)
    """Of the generation that is running: void if it restarts."""

    @property
    def outlet(self) -> Outlet:
        """For the generations: what they send counts as theirs until something is sent in between."""
        return Outlet(self._pass, self._restart)

    async def send(self, batch: Batch) -> None:
        """Deliver a batch that follows a whole generation: later ones lose neither it nor what came before it."""
        await self._pass(batch)
        self._before += self._present
        self._present = []

    async def _pass(self, batch: Batch) -> None:
        if self.keeps:
            self._present.append(batch)
        await self.outer.send(batch)

    async def _restart(self) -> None:
        self._present = []
        await self.outer.restart()
        for batch in self._before:
            await self.outer.send(batch)
