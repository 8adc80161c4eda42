"""Whether anything can serve."""

from __future__ import annotations

import enum


class Readiness(enum.Enum):
    READY = "ready"
    NO_ACCOUNT = "no account"
    UNAVAILABLE = "unavailable"
