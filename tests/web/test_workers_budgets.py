"""Limits of keys where several processes are the gateway: as many requests as may, whichever of them answers."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import trio
from support.engines import Place
from support.forks import Nest
from support.gateways import ready, world
from support.keys import ACTOR
from support.several import kept
from support.stack import question

from kirotrio.access.key_admin import Keys, MadeKey
from kirotrio.access.key_terms import budget_from, read_limit

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="workers need fork")

AT_ONCE = 50


async def test_a_budget_is_exact_over_all_workers(place: Place, nest: Nest) -> None:
    async with world(place.data_dir, kept("work"), url=place.url) as w:
        await w.keep(kept("work"))
        database = await trio.to_thread.run_sync(place.open)
        try:
            keys = Keys(database)
            limit = budget_from([read_limit("month:requests=17")])
            made = await keys.create(ACTOR, "ci", budget=limit)
            url = await ready(w.start(nest, options=["--workers", "2"]))
            assert await _together(url, made) == [200] * 17 + [429] * (AT_ONCE - 17)
            (use,) = await keys.usage(made.record.id)
            assert use.used.requests == 17
        finally:
            database.close()


async def _together(url: str, made: MadeKey) -> list[int]:
    statuses: list[int] = []

    async def ask() -> None:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            headers = {"x-api-key": made.secret}
            statuses.append((await http.post(f"{url}/v1/messages", json=question(), headers=headers)).status_code)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(ask)
    return sorted(statuses)
