"""How much was done lately: what the live view takes its rates from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio
from attrs import field

from kirotrio.classes import define, frozen
from kirotrio.conversation.events import StopCause
from kirotrio.store.request_record import RequestRecord

WINDOW = 60.0
"""Seconds that are looked back on."""
_STEP = 5.0
_GOOD = frozenset(cause.value for cause in StopCause)
"""Outcomes of an answer that came to its own end."""


@frozen(kw_only=True)
class Lately:
    """Sums over the last minute. `unfinished`: clients that left, answers that were ended, and failures."""

    answers: int = 0
    unfinished: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    credits: float = 0.0


@define(eq=False)
class Tally:
    """Adds up what became of requests, in steps of five seconds; older ones are forgotten. A dozen are held."""

    now: Callable[[], float] = trio.current_time
    _steps: deque[tuple[float, list[float]]] = field(factory=deque)

    def put(self, record: RequestRecord) -> None:
        """One request is over."""
        now = self.now()
        if not self._steps or now >= self._steps[-1][0] + _STEP:
            self._forget(now)
            self._steps.append((now, [0.0] * 5))
        sums = self._steps[-1][1]
        sums[0] += 1
        sums[1] += record.outcome not in _GOOD
        sums[2] += record.input_tokens or 0
        sums[3] += record.output_tokens or 0
        sums[4] += record.credits or 0.0

    def lately(self) -> Lately:
        self._forget(self.now())
        answers, unfinished, given, put_out, spent = (sum(sums[at] for _, sums in self._steps) for at in range(5))
        return Lately(
            answers=int(answers),
            unfinished=int(unfinished),
            input_tokens=int(given),
            output_tokens=int(put_out),
            credits=spent,
        )

    def _forget(self, now: float) -> None:
        while self._steps and self._steps[0][0] + WINDOW < now:
            self._steps.popleft()
