"""When a subscription that is used up can be used again: the upstream's own word on it (KIRO_PROTOCOL 6.3)."""

from __future__ import annotations

from datetime import UTC, datetime

from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.worth.usage import ask_limits
from kirotrio.config.settings import Settings
from kirotrio.errors import KirotrioError
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.usage import parse_usage


async def next_reset(http: HttpCalls, settings: Settings, credentials: Credentials) -> float | None:
    """Epoch seconds of the next reset, asked for now; None where it cannot be had. Cancellation changes nothing.

    Where there is a `UsageBook`, its `next_reset` knows it mostly without a call.
    """
    try:
        usage = parse_usage(await ask_limits(http, credentials, settings), fetched_at=0.0)
    except KirotrioError:
        return None
    return usage.resets_at if usage is not None else None


def told(reset: float) -> str:
    """The date as a person reads it: `2026-12-01 00:00 UTC`."""
    return datetime.fromtimestamp(reset, UTC).strftime("%Y-%m-%d %H:%M UTC")
