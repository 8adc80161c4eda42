"""What a request needs beside its generation, done while the upstream is already at work."""

from __future__ import annotations

from functools import partial

import trio
from attrs import define, field

from kirotrio.conversation.request import Conversation
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.conversation.usage import UsageLedger
from kirotrio.relay.request import LARGE
from kirotrio.telemetry.log import Log


@define
class Estimate:
    """The input count of one request, as soon as it is known. One task sets it, any number waits."""

    tokens: int = 0
    _ready: trio.Event = field(factory=trio.Event)

    def set(self, tokens: int) -> None:
        self.tokens = tokens
        self._ready.set()

    def settle_for(self, tokens: int) -> None:
        """Set `tokens` unless the count is known: nobody shall wait for one that will not come."""
        if not self._ready.is_set():
            self.set(tokens)

    async def get(self) -> int:
        """Wait for the count. Cancelling the wait changes nothing."""
        if not self._ready.is_set():
            await self._ready.wait()
        return self.tokens

    async def settle(self, ledger: UsageLedger) -> None:
        """Give the count to the ledger that reports it where nothing is measured."""
        ledger.estimated_input = await self.get()


async def estimate_input(
    conversation: Conversation,
    size: int,
    family: str,
    estimator: TokenEstimator,
    estimate: Estimate,
    patience: float,
    log: Log,
) -> None:
    """Count the prompt and set `estimate`, whatever happens: an answer never waits for a count in vain.

    A large body is counted in a thread, which cancellation abandons. After `patience` seconds, or a failure, a quarter
    of the body's bytes has to do.
    """
    try:
        if size <= LARGE:
            estimate.set(estimator.estimate(conversation, family))
            return
        with trio.move_on_after(patience):
            count = partial(estimator.estimate, conversation, family)
            estimate.set(await trio.to_thread.run_sync(count, abandon_on_cancel=True))
    except Exception as error:
        log.error("token estimate failed", exc_info=error)
    estimate.settle_for(size // 4)
