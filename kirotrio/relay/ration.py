"""How many refused requests are recorded."""

from __future__ import annotations

import math
from typing import Final

import trio

from kirotrio.classes import define

_BURST: Final = 60.0
_EACH: Final = 1.0
"""Records of refused requests: so many at once, and one more after so many seconds."""


@define(eq=False)
class Ration:
    """How many refused requests may be recorded: whoever has a key must not be able to fill the table with nothing."""

    _left: float = _BURST
    _at: float = -math.inf

    def take(self) -> bool:
        """Whether there may be one more."""
        now = trio.current_time()
        self._left = min(self._left + (now - self._at) / _EACH, _BURST)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
