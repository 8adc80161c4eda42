"""What runs right now, for `kirotrio top`: with the gateway's own key, and from this machine alone.

It names every caller and account, which is nobody's business who merely may ask.
"""

from __future__ import annotations

import time

import attrs

from kirotrio import __version__
from kirotrio.access.audit import Actor
from kirotrio.config.networks import read_address
from kirotrio.errors import NotFound, PermissionDenied
from kirotrio.web import live
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming, Reply, Route, json_reply

_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip", "via")


async def running(gateway: Gateway, incoming: Incoming) -> Reply:
    await _admit(gateway, incoming)
    snapshot = await live.snapshot(gateway)
    told = {"version": __version__, "at": time.time(), "draining": gateway.draining.is_set(), **attrs.asdict(snapshot)}
    return json_reply(told, headers={"cache-control": "no-store"})


async def cancel(gateway: Gateway, incoming: Incoming, request_id: str) -> Reply:
    await _admit(gateway, incoming)
    actor = Actor("", "the gateway's own key", gateway.client_address(incoming))
    if not await live.cancel(gateway, actor, request_id):
        raise NotFound("no answer of this id is running (any more)")
    return json_reply({"cancelled": request_id})


async def _admit(gateway: Gateway, incoming: Incoming) -> None:
    """Raises AuthenticationFailed, PermissionDenied."""
    grant = await gateway.keyring.admit(incoming.headers)
    if not gateway.keyring.is_own(grant):
        raise PermissionDenied("the live view is for the gateway's own key, which `kirotrio keys show` prints")
    address = read_address(incoming.peer)
    # A proxy on this machine calls from here for anybody.
    if address is None or not address.is_loopback or any(name in incoming.headers for name in _FORWARDED):
        raise PermissionDenied("the live view is told on the gateway's own machine alone: run `kirotrio top` there")


ROUTES = (
    Route("GET", "/live", running),
    Route("POST", "/live/<request_id>/cancel", cancel),
)
