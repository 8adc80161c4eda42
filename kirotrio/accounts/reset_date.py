"""When a subscription that is used up can be used again: the upstream's own word on it (KIRO_PROTOCOL 6.3)."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from kirotrio.accounts.expiry import known_expiry
from kirotrio.config.settings import Settings
from kirotrio.errors import KirotrioError
from kirotrio.kiro.client import Transport
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.endpoints import endpoints, headers_for


async def next_reset(transport: Transport, settings: Settings, credentials: Credentials) -> float | None:
    """Epoch seconds of the next reset; None where it cannot be had. Cancellation changes nothing."""
    upstream = settings.upstream
    endpoint = endpoints(upstream.flavour, credentials.region, upstream.url).usage_limits(
        origin=upstream.origin, profile_arn=credentials.profile_arn
    )
    headers = headers_for(credentials, endpoint, user_agent=upstream.user_agent)
    try:
        answer = await transport.call(
            endpoint.method, endpoint.url, headers=headers, body=endpoint.body, deadline=settings.deadlines.lookup
        )
        limits = orjson.loads(answer.body) if answer.status == 200 else None
    except (KirotrioError, ValueError):
        return None
    return known_expiry(limits.get("nextDateReset")) if isinstance(limits, dict) else None


def told(reset: float) -> str:
    """The date as a person reads it: `2026-12-01 00:00 UTC`."""
    return datetime.fromtimestamp(reset, UTC).strftime("%Y-%m-%d %H:%M UTC")
