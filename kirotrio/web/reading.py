"""What every surface does first: see who asks, then read what is asked."""

from __future__ import annotations

from typing import Any, cast

from quart import request

from kirotrio.access.grant import Grant
from kirotrio.web.connection import SCOPE_INTAKE
from kirotrio.web.gateway import Gateway
from kirotrio.web.intake import BodyIntake


def admit(gateway: Gateway) -> Grant:
    """The caller's grant. Raises AuthenticationFailed, RateLimited."""
    grant = gateway.keyring.admit({name.lower(): value for name, value in request.headers.items()})
    gateway.rate.admit(grant.key_id)
    return grant


async def read_body(gateway: Gateway) -> bytes:
    """The whole body. Raises TooLarge or Overloaded (CONTRACT, Our errors)."""
    intake = cast(BodyIntake, cast(Any, request.scope)[SCOPE_INTAKE])
    return await intake.whole(gateway.settings.deadlines.prepare)
