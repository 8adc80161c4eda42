"""Two gateways on one PostgreSQL behind Caddy, by the block of docs/several.md: one stands still, and one dies."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import httpx
import pytest
import trio
from support.engines import PostgresServer
from support.forks import SUPPORTED, Forked, Nest
from support.fronts import caddy, needs_caddy
from support.gateways import World, ready, until, world
from support.several import kept
from support.stack import KEY, question

from kirotrio.simulator import State

DOCUMENT = "docs/several.md"

pytestmark = [needs_caddy, pytest.mark.skipif(not SUPPORTED, reason="this system does not fork")]


@attrs.frozen
class House:
    """`front` is Caddy's address; `urls` are those of the gateways, whose `processes` stand in the same order."""

    world: World
    front: str
    urls: list[str]
    processes: list[Forked]
    folder: Path

    def said(self) -> str:
        """By Caddy."""
        return (self.folder / "error.log").read_text()

    async def ask(self, text: str = "Say hi", *, base: str = "", stream: bool = False) -> httpx.Response:
        async with httpx.AsyncClient(base_url=base or self.front, timeout=60, trust_env=False) as http:
            return await http.post("/v1/messages", json=question(text, stream=stream), headers={"x-api-key": KEY})

    def open_streams(self) -> int:
        return sum(stream.state is State.OPEN for stream in self.world.simulator.streams)


@asynccontextmanager
async def house(folder: Path, url: str, nest: Nest) -> AsyncIterator[House]:
    people = [kept("ada"), kept("bob")]
    async with world(folder / "data", *people, url=url) as w:
        await w.keep(*people)
        processes = [w.start(nest) for _ in range(2)]
        urls = [await ready(process) for process in processes]
        ports = [int(url.rsplit(":", 1)[1]) for url in urls]
        addresses = dict(zip(("10.0.0.1:8000", "10.0.0.2:8000"), ports, strict=True))
        async with caddy(folder / "caddy", DOCUMENT, addresses) as front:
            yield House(w, front, urls, processes, folder / "caddy")


async def test_requests_go_to_the_gateway_that_is_left(tmp_path: Path, postgresql: PostgresServer, nest: Nest) -> None:
    async with house(tmp_path, postgresql.migrated_database(), nest) as here:
        whole: list[bool] = []

        async def talk() -> None:
            try:
                answer = await here.ask("[[events=60 gap_ms=50]] x", stream=True)
            except httpx.HTTPError:
                whole.append(False)
            else:
                whole.append(answer.status_code == 200 and "event: message_stop" in answer.text)

        async with trio.open_nursery() as nursery:
            for _ in range(16):
                nursery.start_soon(talk)
            await until(lambda: here.open_streams() == 16)
            os.kill(here.processes[0].pid, signal.SIGKILL)
        assert whole.count(True) == 8, "half of them were at each, and what ran at the other one is whole"
        # The first one that comes there tells Caddy, if its look has not; the one that is well never counts as gone.
        after = [(await here.ask()).status_code for _ in range(12)]
        assert after.count(200) >= 11, after


async def test_a_gateway_that_stands_still_is_passed_by(tmp_path: Path, postgresql: PostgresServer, nest: Nest) -> None:
    async with house(tmp_path, postgresql.migrated_database(), nest) as here:
        os.kill(here.processes[0].pid, signal.SIGSTOP)
        statuses: list[int] = []

        async def ask() -> None:
            statuses.append((await here.ask()).status_code)

        try:
            async with trio.open_nursery() as nursery:
                # Those of these that meet the one that stands still wait, and are not lost.
                for _ in range(4):
                    nursery.start_soon(ask)
                await until(lambda: "HTTP request failed" in here.said())
                later = [(await here.ask()).status_code for _ in range(4)]
                assert later == [200] * 4, "Caddy asks for /health, and sends nothing to one that does not answer"
                os.kill(here.processes[0].pid, signal.SIGCONT)
        finally:
            os.kill(here.processes[0].pid, signal.SIGCONT)
        assert statuses == [200] * 4


async def test_a_client_that_leaves_caddy_leaves_the_upstream(
    tmp_path: Path, postgresql: PostgresServer, nest: Nest
) -> None:
    async with house(tmp_path, postgresql.migrated_database(), nest) as here:
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                await here.ask("[[stall_after=2]] x", stream=True)

            nursery.start_soon(ask)
            await until(lambda: here.open_streams() == 1)
            nursery.cancel_scope.cancel()
        await until(lambda: here.open_streams() == 0)
