"""What a request needs beside its generation, done while the upstream is already at work."""

from __future__ import annotations

from functools import partial

import trio

from kirotrio.classes import define
from kirotrio.conversation.request import Conversation
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.conversation.usage import UsageLedger
from kirotrio.relay.request import LARGE
from kirotrio.telemetry.log import Log


@define
class Estimate:
    """The input count of one request, as soon as it is known. One task sets it, any number waits."""

    tokens: int = 0
    _known: bool = False
    _ready: trio.Event | None = None
    """Only where somebody waits."""

    def set(self, tokens: int) -> None:
        self.tokens = tokens
        self._known = True
        if self._ready is not None:
            self._ready.set()

    def settle_for(self, tokens: int) -> None:
        """Set `tokens` unless the count is known: nobody shall wait for one that will not come."""
        if not self._known:
            self.set(tokens)

    async def get(self) -> int:
        """Wait for the count. Cancelling the wait changes nothing."""
        if not self._known:
            if self._ready is None:
                self._ready = trio.Event()
            await self._ready.wait()
        return self.tokens

    async def settle(self, ledger: UsageLedger) -> None:
        """Give the count to the ledger that reports it where nothing is measured."""
        ledger.estimated_input = await self.get()


def estimate_at_once(
    conversation: Conversation, size: int, family: str, estimator: TokenEstimator, estimate: Estimate, log: Log
) -> bool:
    """Count the prompt of a `size` bytes body and set `estimate` where that needs no thread; whether it was done."""
    if size > LARGE:
        return False
    try:
        estimate.set(estimator.estimate(conversation, family))
    except Exception as error:
        log.error("token estimate failed", exc_info=error)
        estimate.set(size // 4)
    return True


async def made_ready(estimator: TokenEstimator) -> None:
    """Have what counts answers loaded, in a thread, which cancellation abandons."""
    if not estimator.ready:
        await trio.to_thread.run_sync(estimator.ensure_ready, abandon_on_cancel=True)


async def count_text(estimator: TokenEstimator, text: str) -> int:
    """The tokens of a text, in a thread where that takes time; cancellation abandons it."""
    if estimator.counts_at_once(text):
        return estimator.count_text(text)
    return await trio.to_thread.run_sync(estimator.count_text, text, abandon_on_cancel=True)


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

    For a large body: in a thread, which cancellation abandons. After `patience` seconds, or a failure, a quarter of the
    body's bytes has to do.
    """
    try:
        with trio.move_on_after(patience):
            count = partial(estimator.estimate, conversation, family)
            estimate.set(await trio.to_thread.run_sync(count, abandon_on_cancel=True))
    except Exception as error:
        log.error("token estimate failed", exc_info=error)
    estimate.settle_for(size // 4)
