"""When a token expires, in all the ways that programs write it down (KIRO_PROTOCOL 5.5 c)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kirotrio.kiro.times import FIRST_MILLISECONDS, known_moment


def known_expiry(value: Any) -> float | None:
    """Epoch seconds, as `kiro.times.known_moment` reads a time; None where there is none to read: the token then
    counts as expired and is refreshed first."""
    return known_moment(value)


def format_expiry(at: float, like: Any = None) -> Any:
    """`at` (epoch seconds) in the form of `like`, which it shall replace; RFC 3339 with milliseconds and Z where
    `like` is no number."""
    if isinstance(like, int | float) and not isinstance(like, bool):
        return round(at * 1000) if like > FIRST_MILLISECONDS else round(at)
    if isinstance(like, str):
        try:
            return str(format_expiry(at, float(like)))
        except ValueError:
            pass  # not a number in quotes, so a date
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
