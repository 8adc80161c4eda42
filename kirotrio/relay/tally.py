"""How much was done lately: what the live view takes its rates from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio
from attrs import field, fields

from kirotrio.classes import define, frozen
from kirotrio.store.request_endings import Ending

WINDOW = 60.0
"""Seconds that are looked back on."""
_STEP = 5.0


@frozen(kw_only=True)
class Lately:
    """Sums over the last minute. `answers`: requests that were not refused; of these `failed`, and `unfinished`: those
    that failed, whose clients left, or that were ended. `refused`: the others."""

    answers: int = 0
    unfinished: int = 0
    failed: int = 0
    refused: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    credits: float = 0.0


@define(eq=False)
class Tally:
    """Adds up what became of requests, in steps of five seconds; older ones are forgotten. A dozen are held."""

    now: Callable[[], float] = trio.current_time
    _steps: deque[tuple[float, list[float]]] = field(factory=deque)

    def put(
        self, ending: Ending, given: int | None = None, put_out: int | None = None, spent: float | None = None
    ) -> None:
        """One request is over. `given` and `put_out`: tokens; `spent`: credits."""
        now = self.now()
        if not self._steps or now >= self._steps[-1][0] + _STEP:
            self._forget(now)
            self._steps.append((now, [0.0] * len(fields(Lately))))
        sums = self._steps[-1][1]
        sums[0] += ending is not Ending.REFUSED
        sums[1] += ending not in (Ending.FINISHED, Ending.REFUSED)
        sums[2] += ending is Ending.FAILED
        sums[3] += ending is Ending.REFUSED
        sums[4] += given or 0
        sums[5] += put_out or 0
        sums[6] += spent or 0.0

    def lately(self) -> Lately:
        self._forget(self.now())
        sums = [sum(of_step[at] for _, of_step in self._steps) for at in range(len(fields(Lately)))]
        answers, unfinished, failed, refused, given, put_out = map(int, sums[:-1])
        return Lately(
            answers=answers,
            unfinished=unfinished,
            failed=failed,
            refused=refused,
            input_tokens=given,
            output_tokens=put_out,
            credits=sums[-1],
        )

    def _forget(self, now: float) -> None:
        while self._steps and self._steps[0][0] + WINDOW < now:
            self._steps.popleft()
