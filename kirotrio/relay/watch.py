"""The one task that keeps a request's deadlines: signs of life, the silence of the upstream, the end of all patience.

What has a deadline is a `Look`: called with the time, it does what is due and says when it is to be called again. The
watch sleeps until the soonest of these moments and is never woken by events, which only leave behind when they were:
one task and one sleep a request instead of one each (a task is 10 µs and 5 to 10 kB, a deadline that is set and taken
back around each event 10 µs).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import trio
from attrs import field

from kirotrio.classes import define, frozen
from kirotrio.telemetry.log import Log

Look: TypeAlias = Callable[[float], float]
"""Trio's time, to the time of the next look; inf for no more. Moments are compared as they were added up: taken apart
again, rounding could make one that never comes."""


async def watch(looks: Sequence[Look]) -> None:
    """Look whenever it is time, until no look is wanted any more. Cancelling it changes nothing."""
    while True:
        now = trio.current_time()
        wake = min([look(now) for look in looks])
        if wake == math.inf:
            return
        await trio.sleep_until(wake)


@frozen
class Patience:
    """Deadlines of one generation, in seconds.

    `tail`: how long to read on once a limit is met; 0: not at all. `error_body`: for the body of an error whose status
    is known. `notes`: silences that are logged.
    """

    first_event: float
    silence: float
    tail: float
    error_body: float = 5.0
    notes: tuple[float, ...] = (100.0, 200.0)

    @property
    def shortest(self) -> float:
        """Nothing that is watched is due sooner than this after it began."""
        return min([self.first_event, self.silence, *self.notes])


@define(eq=False)
class Progress:
    """How far one generation came; written by its tasks, read by whoever decides about another one."""

    head: bool = False
    """The upstream's response head has arrived."""
    began: bool = False
    """The upstream has begun to generate: from here on it is paid for."""
    emitted: bool = False
    """A generation event has left."""
    over: bool = False
    """Nobody wants more of it."""
    status: int = 0
    upstream_request_id: str = ""
    started_at: float = field(factory=trio.current_time)
    head_at: float | None = None
    first_event_at: float | None = None
    reading_since: float | None = None
    """When the read that is waiting now began; None while nobody reads."""
    reading: trio.CancelScope = field(factory=trio.CancelScope, repr=False)
    """What the reader runs in. It is cancelled once the upstream has been silent for too long, or nobody wants more."""


class Silence:
    """Ends the reading of a generation whose first event, or next one, is overdue; notes long silences before that.

    A request's generations follow each other, and the latest is looked at. `shortest`: no generation is any less
    patient than this, so that one that begins between two looks is seen in time.
    """

    def __init__(self, shortest: float, log: Log) -> None:
        self._shortest = shortest
        self._log = log
        self._progress: Progress | None = None
        self._patience: Patience | None = None
        self._noted = 0

    def follow(self, progress: Progress, patience: Patience) -> None:
        """This generation begins."""
        self._progress, self._patience, self._noted = progress, patience, 0

    def look(self, now: float) -> float:
        latest = now + self._shortest
        progress, patience = self._progress, self._patience
        if progress is None or patience is None or progress.over:
            return latest
        if progress.first_event_at is None:
            due = progress.started_at + patience.first_event
        elif progress.reading_since is None:
            self._noted = 0
            return latest
        else:
            due = progress.reading_since + patience.silence
            if now < due:
                latest = min(latest, self._note(now, progress.reading_since, patience.notes))
        if now < due:
            return min(due, latest)
        progress.reading.cancel()
        return latest

    def _note(self, now: float, since: float, notes: Sequence[float]) -> float:
        """Log a silence that has become long, once for each length; when the next would be."""
        following = [since + note for note in notes if since + note > now]
        passed = len(notes) - len(following)
        if passed > self._noted and self._progress is not None:
            told = self._progress.upstream_request_id
            self._log.warning("upstream is silent", seconds=round(now - since), upstream_request_id=told)
        self._noted = passed
        return min(following, default=math.inf)
