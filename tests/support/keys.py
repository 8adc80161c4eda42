"""Keys given out by a running gateway, and what they have used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
from support.stack import Stack

from kirotrio.access.audit import Actor
from kirotrio.access.key_admin import MadeKey
from kirotrio.access.key_terms import budget_from, read_limit

if TYPE_CHECKING:
    from sqlalchemy import Connection

ACTOR = Actor("", "a test")
OWNER = "11111111-2222-3333-4444-555555555555"


async def give_out(stack: Stack, name: str = "ci", *limits: str, **terms: Any) -> MadeKey:
    """A key with these limits (`day:requests=5`)."""
    return await stack.gateway.keys.create(ACTOR, name, budget=budget_from(map(read_limit, limits)), **terms)


def client_of(stack: Stack, made: MadeKey) -> httpx.AsyncClient:
    return stack.client(headers={"x-api-key": made.secret}, limits=httpx.Limits(max_connections=200))


async def used(stack: Stack, made: MadeKey) -> dict[str, tuple[int, int, float]]:
    """Requests, tokens and credits by window, of those that something is limited in."""
    uses = await stack.gateway.keys.usage(made.record.id)
    return {use.window.value: (use.used.requests, use.used.tokens, use.used.credits) for use in uses}


def add_owner(connection: Connection) -> None:
    """A member whom keys can belong to."""
    from sqlalchemy import insert

    from kirotrio.store.schema import users

    row = {"id": OWNER, "name": "ann", "role": "member", "state": "active", "created_at": 0.0, "updated_at": 0.0}
    connection.execute(insert(users).values(**row))
