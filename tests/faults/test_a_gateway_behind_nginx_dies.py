"""Two gateways on one PostgreSQL behind nginx, and one of them is killed under load (docs/several.md)."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import httpx
import orjson
import pytest
import trio
from sqlalchemy import Connection, select
from support.engines import PostgresServer
from support.forks import SUPPORTED, Nest
from support.fronts import needs_nginx, nginx
from support.gateways import ready, until, world
from support.several import kept
from support.stack import KEY, question

from kirotrio.simulator import Phase, State
from kirotrio.store import gateway_rows as rows
from kirotrio.store import leases
from kirotrio.store.database import Database, database_url
from kirotrio.store.schema import accounts, ledgers

LIMIT = 4
CLIENTS = 40

DOCUMENT = "docs/several.md"

pytestmark = [needs_nginx, pytest.mark.skipif(not SUPPORTED, reason="this system does not fork")]


async def test_the_others_go_on_and_every_limit_holds(tmp_path: Path, postgresql: PostgresServer, nest: Nest) -> None:
    people = [kept(name) for name in ("ada", "bob", "cyd")]
    url = postgresql.migrated_database()
    sections = {"accounts": {"max_concurrent": LIMIT, "max_queue": 100}, "store": {"look_every": 0.5}}
    async with world(tmp_path / "data", *people, url=url, **sections) as w:
        await w.keep(*people)
        options = ["--set", "store.gateway_lapse=5", "--set", "deadlines.queue=60"]
        processes = [w.start(nest, options=options) for _ in range(2)]
        urls = [await ready(process) for process in processes]
        ports = [int(url.rsplit(":", 1)[1]) for url in urls]
        addresses = {"10.0.0.1:8000": ports[0], "10.0.0.2:8000": ports[1]}
        ledger = w.simulator.ledger
        most: Counter[str] = Counter()
        homes: dict[str, set[str]] = {}
        killed = trio.Event()
        results: list[tuple[str, bool]] = []
        """When each began, before or after the kill, and whether it was answered to its end."""

        async def watch() -> None:
            while True:
                running: Counter[str] = Counter()
                for stream in w.simulator.streams:
                    if stream.state is State.OPEN and stream.phase is not Phase.ENDING:
                        running[stream.account] += 1
                for name, count in running.items():
                    most[name] = max(most[name], count)
                await trio.sleep(0.005)

        async def talk(base: str, number: int, turns: int) -> None:
            """A conversation that comes back, one session."""
            async with httpx.AsyncClient(base_url=base, timeout=90, trust_env=False) as http:
                for _ in range(turns):
                    when = "after" if killed.is_set() else "before"
                    body = question(
                        f"[[events=8 gap_ms=40]] conversation {number}",
                        stream=True,
                        metadata={"user_id": f"user_a_account__session_{number:08d}-0000-4000-8000-000000000000"},
                    )
                    text = b""
                    try:
                        async with http.stream("POST", "/v1/messages", json=body, headers={"x-api-key": KEY}) as answer:
                            async for piece in answer.aiter_bytes():
                                text += piece
                    except httpx.HTTPError:
                        results.append((when, False))
                        continue
                    results.append((when, answer.status_code == 200 and b"event: message_stop" in text))

        created = w.run(nest, "keys", "create", "few", "--limit", "day:requests=7")
        assert await created.ended() == 0, created.said
        key, spent = created.out.strip(), []

        async def spend(number: int) -> None:
            async with httpx.AsyncClient(base_url=urls[number % 2], timeout=60, trust_env=False) as http:
                answer = await http.post("/v1/messages", json=question(f"spend {number}"), headers={"x-api-key": key})
                spent.append(answer.status_code)

        async with trio.open_nursery() as spenders:
            for number in range(16):
                spenders.start_soon(spend, number)
        assert Counter(spent) == {200: 7, 429: 9}, "a budget is one for both gateways"

        async with nginx(tmp_path / "nginx", DOCUMENT, addresses) as front, trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.to_thread.run_sync(partial(hold_a_turn, url, processes[0].pid))
            for turn in range(4):  # in peace a session stays, whichever gateway it comes to
                for number in range(2000, 2006):
                    await talk(urls[turn % 2], number, 1)
            with trio.fail_after(150):
                async with trio.open_nursery() as clients:
                    for number in range(CLIENTS):
                        clients.start_soon(talk, front, number, 3)
                    await until(lambda: len(ledger.streams) >= CLIENTS // 2)
                    os.kill(processes[0].pid, signal.SIGKILL)
                    killed.set()
                    # The other one answers, asked directly.
                    clients.start_soon(partial(talk, urls[1], 1000, 1))
            await until(lambda: turn_of(url) is None)
            # Its turn to refresh is another's.
            w.simulator.revoke(people[0].account.access_token)
            async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
                fresh = await http.post(f"{front}/a/ada/v1/messages", json=question(), headers={"x-api-key": KEY})
            assert fresh.status_code == 200, fresh.text
            assert w.refreshes == ["rotated"]
            for number in range(2000, 2006):
                await talk(front, number, 1)
            nursery.cancel_scope.cancel()

        assert await processes[0].ended() == -signal.SIGKILL
        before, after = ([fine for when, fine in results if when == then] for then in ("before", "after"))
        assert len(before) + len(after) == 3 * CLIENTS + 1 + 5 * 6
        assert before.count(True) > 0
        assert after.count(True) == len(after), "what came after the kill was answered, whatever it met first"
        assert set(most) <= {"ada", "bob", "cyd"}
        assert max(most.values()) == LIMIT, f"a limit was passed, or never reached: {most}"

        for request in ledger.requests:
            if request.operation == "GenerateAssistantResponse":
                said = request.call.body.decode()
                if match := re.search(r"conversation (\d+)", said):
                    homes.setdefault(match[1], set()).add(request.account)
        assert len(homes) == CLIENTS + 1 + 6
        assert all(len(homes[str(number)]) == 1 for number in range(2000, 2006)), homes

        await until(lambda: "a gateway is gone; what it held is free" in processes[1].said)
        database = opened(url)
        try:
            await until(lambda: not any(places(database)))
            assert len(database.reading(lambda c: rows.alive(c, rows.clock(c)))) == 1
        finally:
            database.close()


def places(database: Database) -> list[dict[str, str]]:
    """Of each account: holder by hold."""

    def read(connection: Connection) -> list[str]:
        accounts = ledgers.c.name.like("account/%")
        return list(connection.execute(select(ledgers.c.content).where(accounts)).scalars())

    return [orjson.loads(content)[0] for content in database.reading(read) if content]


def hold_a_turn(url: str, pid: int) -> None:
    """As if this process were refreshing ada's token at the moment."""
    database = opened(url)

    def take(connection: Connection) -> None:
        (holder,) = [one for one in rows.alive(connection, rows.clock(connection)) if f":{pid}:" in one]
        assert leases.take(connection, ada(connection), holder, 600.0)

    database.writing(take)
    database.close()


def turn_of(url: str) -> str | None:
    database = opened(url)
    try:
        return database.reading(lambda connection: leases.holder_of(connection, ada(connection)))
    finally:
        database.close()


def ada(connection: Connection) -> str:
    return f"refresh:{connection.execute(select(accounts.c.id).where(accounts.c.name == 'ada')).scalar_one()}"


def opened(url: str) -> Database:
    return Database(database_url(url, Path()), deadline=5.0)


async def test_workers_on_a_postgresql_share_what_gateways_share(
    tmp_path: Path, postgresql: PostgresServer, nest: Nest
) -> None:
    ada = kept("ada")
    async with world(tmp_path / "data", ada, url=postgresql.migrated_database(), accounts={"max_concurrent": 1}) as w:
        await w.keep(ada)
        base = await ready(w.start(nest, options=["--workers", "2"]))
        most, statuses = 0, list[int]()

        async def ask() -> None:
            async with httpx.AsyncClient(base_url=base, timeout=60, trust_env=False) as http:
                body = question("[[events=3 gap_ms=30]] x")
                statuses.append((await http.post("/v1/messages", json=body, headers={"x-api-key": KEY})).status_code)

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(
                    most,
                    sum(
                        stream.state is State.OPEN and stream.phase is not Phase.ENDING
                        for stream in w.simulator.streams
                    ),
                )
                await trio.sleep(0.005)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            async with trio.open_nursery() as clients:
                for _ in range(8):
                    clients.start_soon(ask)
            nursery.cancel_scope.cancel()
        assert statuses == [200] * 8
        assert most == 1
