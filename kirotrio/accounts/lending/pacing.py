"""When one more generation may begin on an account, and what one is told that came too early. Pure.

The pace is kept by two windows that slide: no more than `per_minute` starts within any 60 seconds, which is what the
setting promises, and no more than `BURST` within their share of a minute, so that the whole minute is never spent in
its first second. A token bucket would need one window less, but lets through a burst more than the limit in its first
minute, or, made smaller, never reaches the limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kirotrio.classes import frozen
from kirotrio.errors import RateLimited, Recovery

BURST = 5
"""Starts that may follow each other without a pause: as many requests as a coding agent sends off together."""
MINUTE = 60.0


@frozen
class GateLimits:
    """`max_concurrent` requests at one time and `per_minute` generations begun a minute, 0 for any number;
    `max_queue` requests may wait for a place."""

    max_concurrent: int = 0
    per_minute: int = 0
    max_queue: int = 64

    @property
    def is_none(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.max_concurrent <= 0 and self.per_minute <= 0


def earliest(limits: GateLimits, starts: Sequence[float], now: float) -> float:
    """When a start may follow on these, which are in order."""
    limit = limits.per_minute
    if limit <= 0:
        return now
    burst = min(BURST, limit)
    windows = ((limit, MINUTE), (burst, MINUTE * burst / limit))
    return max([now, *(starts[-most] + seconds for most, seconds in windows if len(starts) >= most)])


def turn(
    limits: GateLimits, starts: Sequence[float], taken: int, ahead: Sequence[bool], now: float, *, wants_place: bool
) -> float:
    """The earliest time at which one more could come in, if nobody ahead of it gives up. `ahead`: who came before and
    waits, True for one that wants a place. When a place comes free nobody knows, so places are taken to be free."""
    if limits.per_minute <= 0:
        return now
    if not wants_place:
        free = limits.max_concurrent - taken if limits.max_concurrent > 0 else len(ahead)
        places = [other for other in ahead if other][: max(free, 0)]
        ahead = [*(other for other in ahead if not other), *places]
    starts = list(starts)
    for _ in ahead:
        starts.append(earliest(limits, starts, now))
    return earliest(limits, starts, now)


def full(who: str, waiting: int, wait: float) -> RateLimited:
    return _refusal(f"{waiting} requests wait for {who} already (accounts.max_queue)", wait)


def too_fast(who: str, limits: GateLimits, wait: float) -> RateLimited:
    return _refusal(f"{who} begins {limits.per_minute} answers a minute at most (accounts.per_minute)", wait)


def too_many(who: str, limits: GateLimits, wait: float) -> RateLimited:
    at_once = f"{who} answers {limits.max_concurrent} requests at one time (accounts.max_concurrent)"
    return _refusal(f"{at_once}, and none of them ended in time", wait)


def _refusal(what: str, wait: float) -> RateLimited:
    return RateLimited(
        f"{what[:1].upper()}{what[1:]}. Ask again in {math.ceil(wait)} s.",
        recovery=Recovery.SWITCH_ACCOUNT,
        retry_after=wait,
    )
