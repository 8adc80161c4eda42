"""Moments, in all the ways in which the upstream and the programs around it write them (KIRO_PROTOCOL 5.5 c, 6.3)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

FIRST_MILLISECONDS = 1e11
"""A number beyond this counts milliseconds: as seconds it would be the year 5138, as milliseconds 1973."""
_LAST = 253_402_300_799.0
"""The end of the year 9999, in seconds."""


def epoch_seconds(value: Any) -> float:
    """Epoch seconds of an RFC 3339 time (Z, an offset, or none, which means UTC; any number of decimals), or of
    epoch seconds or milliseconds as a number or as text. Raises ValueError for anything else.
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            value = float(text)
        except ValueError:
            return _from_text(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("neither a time nor a number")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("no number that can be a time") from None
    seconds = number / 1000 if number > FIRST_MILLISECONDS else number
    if not (math.isfinite(number) and 0 < seconds <= _LAST):
        raise ValueError("no number that can be a time")
    return seconds


def known_moment(value: Any) -> float | None:
    """The same, None where there is no readable time."""
    try:
        return epoch_seconds(value)
    except ValueError:
        return None


def _from_text(text: str) -> float:
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = moment.timestamp()
    if seconds <= 0:
        raise ValueError("before 1970")
    return seconds
