"""Signing in and out."""

from __future__ import annotations

from kirotrio.web.console.guarding import ANYBODY, SIGN_IN, reads
from kirotrio.web.console.pages import local, page
from kirotrio.web.console.visit import Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs


async def sign_in(gateway: Gateway, visit: Visit) -> Runs:
    return page(gateway, visit, "sign_in.html", next=next_of(visit), name="", problem="")


def next_of(visit: Visit) -> str:
    """Where to go once signed in."""
    return local(visit.incoming.arguments.get("next", [""])[-1])


ROUTES = (reads(SIGN_IN, sign_in, ANYBODY),)
