"""The spans of time that limits are counted in: a minute, a day, a month of the calendar, in UTC.

Spans that are fixed rather than sliding, so that the moment when a limit is whole again can be told in advance, and is
the same for everybody who counts.
"""

from __future__ import annotations

import enum
import math
from datetime import UTC, datetime

_MINUTE, _DAY = 60, 86_400


class Window(enum.Enum):
    """The value is the name that settings, tables and messages use."""

    MINUTE = "minute"
    DAY = "day"
    MONTH = "month"

    def begin(self, at: float) -> int:
        """When the span that `at` (epoch seconds) lies in began."""
        if self is Window.MONTH:
            now = datetime.fromtimestamp(math.floor(at), UTC)
            return round(datetime(now.year, now.month, 1, tzinfo=UTC).timestamp())
        length = _MINUTE if self is Window.MINUTE else _DAY
        return math.floor(at) // length * length

    def end(self, at: float) -> int:
        """When the next one begins."""
        begin = self.begin(at)
        if self is Window.MONTH:
            # The 1st and 32 days more lie in the next month, whichever it is.
            return self.begin(begin + 32 * _DAY)
        return begin + (_MINUTE if self is Window.MINUTE else _DAY)
