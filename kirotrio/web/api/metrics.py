"""What Prometheus scrapes: the counts of this gateway, of all its processes together.

For whoever is on this machine, or has a key of the gateway's, no user's. A proxy on this machine calls from here for
anybody, and a page in a browser may have a name of its own lead here: neither is let in without a key.
"""

from __future__ import annotations

from functools import partial
from typing import Final
from urllib.parse import urlsplit

import trio

from kirotrio import __version__
from kirotrio.config.networks import read_address, within
from kirotrio.errors import PermissionDenied
from kirotrio.telemetry.exposition import Worth, exposed
from kirotrio.telemetry.metrics import Snapshot
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming, Reply, Route

_FORWARDED: Final = ("x-forwarded-for", "forwarded", "x-real-ip", "via")


async def metrics(gateway: Gateway, incoming: Incoming) -> Reply:
    """Raises AuthenticationFailed, PermissionDenied; Overloaded where its processes do not find each other."""
    if not is_local(gateway, incoming):
        from kirotrio.web.reading import admit

        grant = await admit(gateway, incoming, counted=False)
        if grant.key is not None and grant.key.surfaces:
            raise PermissionDenied(f"this key may use {', '.join(grant.key.surfaces)} alone")
        if grant.owner:
            # It tells of everybody's accounts and use, which a member's key does not open anywhere else.
            raise PermissionDenied(
                "the metrics are of the whole team: ask with a key that belongs to no user, as `kirotrio keys create` "
                "makes one"
            )
    told = partial(
        exposed, await _counted(gateway), _worth(gateway), __version__, incoming.headers.get("accept", "")[:1000]
    )
    body, content_type = await trio.to_thread.run_sync(told)
    return Reply(body, headers={"content-type": content_type, "cache-control": "no-store"})


def is_local(gateway: Gateway, incoming: Incoming) -> bool:
    """Whether it is asked on this machine, by somebody who is here."""
    headers = incoming.headers
    client, peer = read_address(gateway.client_address(incoming)), read_address(incoming.peer)
    if client is None or not client.is_loopback:
        return False
    if not within(peer, gateway.addresses.proxies) and any(name in headers for name in _FORWARDED):
        return False  # somebody says that it comes from elsewhere, whom nobody trusts to say that
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    named = read_address(host)
    return host == "localhost" or (named is not None and named.is_loopback)


async def _counted(gateway: Gateway) -> list[Snapshot]:
    """A snapshot of each process, those that have ended among them."""
    seat = gateway.seat
    return [gateway.relay.metrics.snapshot()] if seat is None else await seat.everyone("metrics")


def _worth(gateway: Gateway) -> list[Worth]:
    """Of the accounts of which it is known; those that came with requests are not told of."""
    pool, label = gateway.accounts, gateway.relay.metrics.account
    left = [(member.name, pool.usage.left(member.name)) for member in pool.present()]
    return [Worth(label(name), amount) for name, amount in left if amount is not None]


ROUTES = (Route("GET", "/metrics", metrics),)
