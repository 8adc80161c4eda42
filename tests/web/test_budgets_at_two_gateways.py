"""Limits that two gateways count and charge at one moment: nobody waits for who waits for him."""

from __future__ import annotations

import httpx
import trio
from sqlalchemy import Connection, insert, text
from support.engines import Place
from support.keys import client_of, give_out, used
from support.stack import question, running

from kirotrio.store.schema import users

REQUESTS, AT_ONCE = 40, 8
OWNERS = ("ann", "bert")
LIMITS = [f"{window}:{limit}" for window in ("minute", "day", "month") for limit in ("requests=1000", "tokens=1000000")]
SLOW = """
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.005); RETURN NULL; END';
CREATE TRIGGER slow AFTER INSERT OR UPDATE ON key_usage FOR EACH ROW EXECUTE FUNCTION take_time();
"""


def prepare(connection: Connection) -> None:
    """Owners; and each row of what a key has used takes as long as on a busy disk, so that who writes them meets."""
    connection.execute(text(SLOW))
    common = {"role": "member", "state": "active", "created_at": 0.0, "updated_at": 0.0}
    connection.execute(insert(users), [{"id": owner, "name": owner, **common} for owner in OWNERS])


async def test_requests_that_meet_in_the_windows_of_a_key_are_all_counted_and_charged(shared: Place) -> None:
    """Who stands in a deadlock is refused, or charges his answer later: the log tells of both."""
    accounts = {"max_concurrent": 0, "per_minute": 0, "max_queue": 1000}
    patient = {"store": {"url": shared.url}, "deadlines": {"store": 60.0}}
    async with running(shared.data_dir, accounts=accounts, **patient) as one:
        other = await one.another()
        await one.gateway.accounts.shared.database.write(prepare)
        made = [await give_out(one, owner, *LIMITS, owner_id=owner, max_concurrent=AT_ONCE) for owner in OWNERS]
        clients = [client_of(stack, key) for stack in (one, other) for key in made]
        turns = list(range(REQUESTS))
        said: list[tuple[int, str]] = []

        async def ask(client: httpx.AsyncClient, *, stream: bool) -> None:
            answer = await client.post("/v1/messages", json=question(stream=stream))
            said.append((answer.status_code, answer.text if answer.status_code != 200 else ""))

        async def ask_in_turn() -> None:
            while turns:
                turn = turns.pop()
                await ask(clients[turn % len(clients)], stream=turn // len(clients) % 2 == 0)

        with trio.fail_after(300):
            async with trio.open_nursery() as nursery:
                for _ in range(AT_ONCE):
                    nursery.start_soon(ask_in_turn)
            for stack in (one, other):
                await stack.gateway.relay.streams.wait_empty()
        for client in clients:
            await client.aclose()
        assert said == [(200, "")] * REQUESTS
        assert [line for line in one.log.lines if line[0] in ("warning", "error")] == []
        for key in made:
            requests, tokens, _ = (await used(one, key))["month"]
            assert requests == REQUESTS // len(made)
            assert tokens > 0
