"""Signs of life, as a status and JSON. Whoever watches a gateway asks for them often, and from its first moment on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from kirotrio.accounts.lending.pool import Readiness
from kirotrio.web.gateway import Gateway

Shown: TypeAlias = tuple[int, dict[str, Any]]

_READINESS: dict[Readiness, Shown] = {
    Readiness.READY: (200, {"status": "ready"}),
    Readiness.NO_ACCOUNT: (503, {"status": "no account"}),
    Readiness.UNAVAILABLE: (503, {"status": "account unavailable"}),
}


async def _health(_: Gateway) -> Shown:
    return 200, {"status": "ok"}


async def _ready(gateway: Gateway) -> Shown:
    """Nobody is asked and nothing is refreshed for this; and whoever may ask it need not hold a key, so that the reason
    stays in the log."""
    if gateway.draining.is_set():
        return 503, {"status": "draining"}
    return _READINESS[await gateway.accounts.readiness()]


SIGNS: dict[str, Callable[[Gateway], Awaitable[Shown]]] = {"/health": _health, "/ready": _ready}
"""By path, for GET and HEAD."""
