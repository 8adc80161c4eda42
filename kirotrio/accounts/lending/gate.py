"""One account's manners: how many requests it answers at one time, and how many generations it begins in a minute.

Kiro takes bursts for abuse and locks accounts for them (USER_DEMANDS 31, 32), so whoever comes too early waits here,
in the order of coming, and who could not come to his turn in time is told so at once.

The pace is `pacing`'s. The gates of one process are its own; workers of one gateway share theirs
(`web/workers/desk.py`), and so do gateways on one PostgreSQL (`ledger.py`).
"""

from __future__ import annotations

import math
from collections import deque
from types import TracebackType
from typing import final

import trio
from attrs import field

from kirotrio.accounts.lending import pacing
from kirotrio.accounts.lending.pacing import BURST as BURST
from kirotrio.accounts.lending.pacing import GateLimits as GateLimits
from kirotrio.classes import define
from kirotrio.errors import RateLimited

_UNTOLD = 5.0
"""Seconds after which to ask again, while nobody knows how long this account's answers take."""
_SHARE = 0.2
"""Of the latest answer in the mean of how long answers take."""


@define(eq=False)
class Place:
    """What a request holds. One that is given back without being `used` leaves its start to the next."""

    used: bool = True


@define(eq=False)
class _Waiter:
    """`latest`: when it gives up, in Trio's time. `scope` is what it sleeps in; its deadline is the next look."""

    number: int
    wants_place: bool
    latest: float
    granted: trio.Event = field(factory=trio.Event)
    started_at: float = math.inf
    scope: trio.CancelScope = field(factory=trio.CancelScope)


@final
class Visit:
    """One request at a gate: `async with` waits for a `Place` and gives it back. See `Gate.place`."""

    __slots__ = ("_deadline", "_entered", "_gate", "_place", "_started_at")

    def __init__(self, gate: Gate, deadline: float) -> None:
        self._gate = gate
        self._deadline = deadline

    async def __aenter__(self) -> Place:
        self._started_at = await self._gate._enter(self._deadline, wants_place=True)
        self._entered, self._place = trio.current_time(), Place()
        return self._place

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate._leave(self._entered, self._started_at, self._place)


class Gate:
    """`name` is the account's, for messages."""

    def __init__(self, limits: GateLimits, name: str = "") -> None:
        self._limits = limits
        self.rename(name)
        self._taken = 0
        self._number = 0
        self._places: deque[_Waiter] = deque()
        """Who waits for a place, and with it for the pace."""
        self._paces: deque[_Waiter] = deque()
        """Who has a place and waits for the pace alone. A queue of its own: behind someone who waits for a place, it
        might wait for itself."""
        self._starts: deque[float] = deque()
        self._mean: float | None = None
        """Seconds that a place is held."""

    def rename(self, name: str) -> None:
        self._who = f"the account {name!r}" if name else "the account"

    @property
    def busy(self) -> int:
        """How many places are taken."""
        return self._taken

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._places)

    @property
    def is_free(self) -> bool:
        """Whether a place would be had at once."""
        now = trio.current_time()
        return not self._places and self._has_place() and self._earliest(now) <= now

    @property
    def limits(self) -> GateLimits:
        return self._limits

    @limits.setter
    def limits(self, limits: GateLimits) -> None:
        """Holds at once: who waits is let in or refused anew, who is in stays in."""
        self._limits = limits
        self._settle()
        for waiter in (*self._places, *self._paces):
            waiter.scope.deadline = -math.inf

    def place(self, deadline: float) -> Visit:
        """Hold a place for one request, and begin its first generation at the account's pace.

        Waits at most `deadline` seconds. Raises RateLimited, with the time after which it is worth asking again, where
        the queue is full or the turn would come too late, if that is certain at once. Cancellation gives everything
        back that was waited for.
        """
        return Visit(self, deadline)

    async def pace(self, deadline: float) -> None:
        """Wait until one more generation may begin, for a request that holds a place. Otherwise as `place`."""
        await self._enter(deadline, wants_place=False)

    async def _enter(self, deadline: float, *, wants_place: bool) -> float:
        """When the start that is granted was noted."""
        await trio.lowlevel.checkpoint_if_cancelled()
        now = trio.current_time()
        nobody_is_ahead = not (self._places or self._paces)
        if nobody_is_ahead and (self._has_place() or not wants_place) and self._earliest(now) <= now:
            self._taken += wants_place
            self._note_start(now)
            return now
        self._number += 1
        waiter = _Waiter(self._number, wants_place, now + deadline)
        self._queue_of(waiter).append(waiter)
        self._settle()
        if waiter.granted.is_set():
            # Nothing was waited for: let others run, but do not lose what is granted.
            await trio.lowlevel.cancel_shielded_checkpoint()
            return waiter.started_at
        try:
            if wants_place and len(self._places) > self._limits.max_queue > 0:
                raise self._full()
            if wants_place and self._limits.max_queue <= 0:
                waiter.latest = trio.current_time()  # nobody waits
            await self._wait(waiter)
        except BaseException:
            if waiter.granted.is_set():  # and cancelled in the same moment
                self._give_back(waiter.started_at, wants_place=wants_place)
            else:
                self._queue_of(waiter).remove(waiter)
                self._settle()
            raise
        return waiter.started_at

    def _leave(self, entered: float, started_at: float, place: Place) -> None:
        if not place.used:
            self._give_back(started_at, wants_place=True)
            return
        held = trio.current_time() - entered
        self._mean = held if self._mean is None else self._mean + _SHARE * (held - self._mean)
        self._taken -= 1
        self._settle()

    async def _wait(self, waiter: _Waiter) -> None:
        while not waiter.granted.is_set():
            now = trio.current_time()
            turn = self._turn(waiter, now)
            if turn > waiter.latest or now >= waiter.latest:
                raise self._late(turn - now)
            waiter.scope = trio.CancelScope(deadline=waiter.latest)
            self._set_alarms(now)
            with waiter.scope:
                await waiter.granted.wait()
            self._settle()

    def _give_back(self, started_at: float, *, wants_place: bool) -> None:
        """As if it had never come."""
        self._taken -= wants_place
        if started_at in self._starts:
            self._starts.remove(started_at)
        self._settle()

    # Who is next

    def _settle(self) -> None:
        """Let in whoever may come in now; the first of those who stay then know when to look again."""
        if not (self._places or self._paces):
            return
        now = trio.current_time()
        while (waiter := self._next()) and self._earliest(now) <= now:
            self._queue_of(waiter).popleft()
            self._taken += waiter.wants_place
            self._note_start(now)
            waiter.started_at = now
            waiter.granted.set()
        self._set_alarms(now)

    def _next(self) -> _Waiter | None:
        """Whom the next start belongs to: the one who came first of those that need nothing else."""
        first = [queue[0] for queue in (self._paces, self._places) if queue]
        return min((w for w in first if not w.wants_place or self._has_place()), key=lambda w: w.number, default=None)

    def _set_alarms(self, now: float) -> None:
        """The next one looks again when the pace allows a start; all others are woken by what they wait for."""
        if waiter := self._next():
            waiter.scope.deadline = min(waiter.latest, self._earliest(now))

    def _queue_of(self, waiter: _Waiter) -> deque[_Waiter]:
        return self._places if waiter.wants_place else self._paces

    def _has_place(self) -> bool:
        return self._limits.max_concurrent <= 0 or self._taken < self._limits.max_concurrent

    # The pace

    def _note_start(self, now: float) -> None:
        limit = self._limits.per_minute
        if limit > 0:
            self._starts.append(now)
        while len(self._starts) > limit:
            self._starts.popleft()

    def _earliest(self, now: float) -> float:
        """When the next start may be."""
        return pacing.earliest(self._limits, self._starts, now)

    def _turn(self, waiter: _Waiter, now: float) -> float:
        """The earliest time at which this one could come in, if nobody ahead of it gives up."""
        if self._limits.per_minute <= 0:
            return now
        ahead = [other.wants_place for other in (*self._paces, *self._places) if other.number < waiter.number]
        return pacing.turn(self._limits, self._starts, self._taken, ahead, now, wants_place=waiter.wants_place)

    # Refusals

    def _full(self) -> RateLimited:
        return pacing.full(self._who, len(self._places) - 1, self._next_place(1))

    def _late(self, pace: float) -> RateLimited:
        if pace > 0:
            return pacing.too_fast(self._who, self._limits, pace)
        return pacing.too_many(self._who, self._limits, self._next_place(len(self._places)))

    def _next_place(self, position: int) -> float:
        """Seconds until somebody at this position of the queue may expect to be let in."""
        now = trio.current_time()
        pace = self._earliest(now) - now
        if self._limits.max_concurrent <= 0:
            return max(pace, 1.0)
        mean = _UNTOLD if self._mean is None else self._mean
        return max(pace, mean * position / self._limits.max_concurrent, 1.0)
