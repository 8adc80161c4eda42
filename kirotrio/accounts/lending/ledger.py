"""A gate that several gateways share, as a value that lies in their database: who has a place, who waits, which starts
there were. Pure; the rules are those of `gate.Gate`, and times are those of one clock, in epoch seconds.

Whoever works on it has it to itself (a row that is locked), settles it for its own requests and writes it back. Nobody
lets in another gateway's requests: the place and the start that are theirs by order of coming are left to them, until
their gateway looks, which it does every `LOOK` as long as any of its requests waits. So a start counts from the moment
when its gateway knows of it, and one that nobody fetches is never spent. Who was not looked after for `STALE` is passed
by, and what a gateway held that is gone is free.

It is as large as its limits are: places, the starts of a minute, and those who wait.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any

import orjson
from attrs import field

from kirotrio.accounts.lending.pacing import MINUTE, GateLimits, earliest, turn
from kirotrio.classes import define, frozen

LOOK = 0.05
"""Seconds between two looks of a gateway whose requests wait."""
STALE = 2.0
_SEEN = 0.5
"""Seconds after which it is noted again that somebody was looked after."""
_AHEAD = 1.0
"""Seconds by which a start may lie in the future: more, and the clock was set back since."""


@frozen
class Waits:
    """Not yet. `waiting`: how many wait for a place, this one among them if it does; `turn`: when it could come in at
    the earliest, as far as the pace goes."""

    waiting: int
    turn: float


@define
class _Waiter:
    number: int
    hold: str
    holder: str
    wants_place: bool
    seen_at: float


@define(eq=False)
class Ledger:
    """`hold` names one request's place or start, `holder` the gateway that it is at."""

    places: dict[str, str] = field(factory=dict)
    """Holder by hold."""
    _starts: list[tuple[float, str]] = field(factory=list)
    _queue: list[_Waiter] = field(factory=list)
    """In the order of coming."""
    _number: int = 0

    def tidy(self, now: float, alive: Container[str]) -> None:
        """Forget those whose gateway is gone, and starts that do not count any more."""
        self.places = {hold: holder for hold, holder in self.places.items() if holder in alive}
        self._queue = [waiter for waiter in self._queue if waiter.holder in alive]
        self._starts = [start for start in self._starts if now - MINUTE < start[0] <= now + _AHEAD]

    def enter(self, hold: str, holder: str, now: float, *, wants_place: bool) -> None:
        """Take one's place in line; `settle` lets in. Nothing happens where it is there already."""
        if hold not in self.places and all(waiter.hold != hold for waiter in self._queue):
            self._number += 1
            self._queue.append(_Waiter(self._number, hold, holder, wants_place, now))

    def leave(self, hold: str, *, used: bool) -> None:
        """Give back what it holds or stands in line for. One that was not `used` leaves its start to the next."""
        self.places.pop(hold, None)
        self._queue = [waiter for waiter in self._queue if waiter.hold != hold]
        if not used:
            self._starts = [start for start in self._starts if start[1] != hold]

    def settle(self, limits: GateLimits, holder: str, now: float) -> set[str]:
        """Let in whoever of `holder` may come in now; their holds."""
        taken, starts = len(self.places), [at for at, _ in self._starts]
        granted: set[str] = set()
        for waiter in self._queue:
            if waiter.holder == holder and now - waiter.seen_at > _SEEN:
                waiter.seen_at = now
            if now - waiter.seen_at > STALE:
                continue
            if waiter.wants_place and 0 < limits.max_concurrent <= taken:
                continue
            if earliest(limits, starts, now) > now:
                continue  # nor may any that follows; but they are looked after
            taken += waiter.wants_place
            starts.append(now)
            if waiter.holder == holder:
                granted.add(waiter.hold)
                self._let_in(waiter, limits, now)
        self._queue = [waiter for waiter in self._queue if waiter.hold not in granted]
        return granted

    def _let_in(self, waiter: _Waiter, limits: GateLimits, now: float) -> None:
        if waiter.wants_place:
            self.places[waiter.hold] = waiter.holder
        if limits.per_minute > 0:
            self._starts.append((now, waiter.hold))

    def prospect(self, hold: str, limits: GateLimits, now: float) -> Waits:
        """Of one that stands in line."""
        mine = next(waiter for waiter in self._queue if waiter.hold == hold)
        fresh = [waiter for waiter in self._queue if now - waiter.seen_at <= STALE and waiter.number <= mine.number]
        ahead = [waiter.wants_place for waiter in fresh if waiter is not mine]
        starts = [at for at, _ in self._starts]
        when = turn(limits, starts, len(self.places), ahead, now, wants_place=mine.wants_place)
        return Waits(sum(waiter.wants_place for waiter in fresh), when)

    def belongs_to(self, holder: str) -> bool:
        """Whether anybody of `holder` is in it."""
        return holder in self.places.values() or any(waiter.holder == holder for waiter in self._queue)

    def waits(self, holder: str) -> Iterator[str]:
        """The holds of those who wait there."""
        return (waiter.hold for waiter in self._queue if waiter.holder == holder)

    def only(self, holder: str) -> Ledger:
        """What is `holder`'s, and all starts: what it goes on with where it cannot reach the others."""
        mine = [waiter for waiter in self._queue if waiter.holder == holder]
        places = {hold: whose for hold, whose in self.places.items() if whose == holder}
        return Ledger(places, list(self._starts), mine, self._number)

    def rejoin(self, mine: Ledger, holder: str, now: float) -> None:
        """Put in what `holder` holds by now, in place of what stands here of it: its requests run, whatever the limits
        say. Those of it that wait come after those who wait here."""
        self.places = {hold: whose for hold, whose in self.places.items() if whose != holder} | mine.places
        known = {hold for _, hold in self._starts}
        self._starts = sorted([*self._starts, *(start for start in mine._starts if start[1] not in known)])
        self._queue = [waiter for waiter in self._queue if waiter.holder != holder]
        for hold in mine.waits(holder):
            wants_place = next(waiter.wants_place for waiter in mine._queue if waiter.hold == hold)
            self.enter(hold, holder, now, wants_place=wants_place)

    # As JSON

    def to_json(self) -> bytes:
        queue = [[one.number, one.hold, one.holder, one.wants_place, one.seen_at] for one in self._queue]
        return orjson.dumps([self.places, self._starts, queue, self._number])

    @classmethod
    def from_json(cls, content: str | bytes) -> Ledger:
        """ "" is one that nobody has written to."""
        if not content:
            return cls()
        places, starts, queue, number = orjson.loads(content)
        return cls(places, _starts_of(starts), [_Waiter(*waiter) for waiter in queue], number)


def _starts_of(told: Iterable[list[Any]]) -> list[tuple[float, str]]:
    return [(at, hold) for at, hold in told]
