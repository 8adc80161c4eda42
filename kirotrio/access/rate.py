"""How many requests one key may make in a minute."""

from __future__ import annotations

from collections import deque

import trio
from attrs import field

from kirotrio.classes import define
from kirotrio.errors import LimitReached

_MINUTE = 60.0


@define
class RatePerMinute:
    """At most `limit` requests of one key within any 60 seconds; 0 means any number.

    Holds one time per request of the last minute, so at most `limit` numbers a key.
    """

    limit: int
    _times: dict[str, deque[float]] = field(factory=dict)

    def admit(self, key_id: str) -> None:
        """Count one request. Raises LimitReached, with the time until one more is allowed; then nothing is counted."""
        if self.limit <= 0:
            return
        count(self._times.setdefault(key_id, deque()), self.limit, trio.current_time())


def count(times: deque[float], limit: int, now: float) -> None:
    """One request more beside those of these times. Raises LimitReached, with the time until one more is allowed."""
    while times and now - times[0] >= _MINUTE:
        times.popleft()
    if len(times) >= limit:
        raise LimitReached(
            f"this key has made {limit} requests within a minute, which is its limit (server.rate_per_minute)",
            retry_after=times[0] + _MINUTE - now,
        )
    times.append(now)
