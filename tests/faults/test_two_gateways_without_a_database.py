"""The PostgreSQL of two gateways is stopped under their answers, and comes back (docs/several.md, docs/store.md)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
from support.engines import PostgresServer
from support.gateways import until
from support.keys import ACTOR, client_of, give_out
from support.several import kept
from support.stack import Stack, question, running
from web.test_budgets_over_sockets import ask_together

from kirotrio.errors import StoreUnavailable
from kirotrio.simulator import State
from kirotrio.store import audit_rows
from kirotrio.store.listing import Listing
from kirotrio.store.request_rows import recent
from kirotrio.store.user_record import Role

SLOW = "[[events=20 gap_ms=250]] Say hi"


async def test_answers_go_on_and_all_of_it_is_written_when_it_is_back(
    tmp_path: Path, postgresql: PostgresServer
) -> None:
    sections = {
        "store": {"url": postgresql.migrated_database(), "look_every": 0.1},
        "accounts": {"max_concurrent": 8},
        "deadlines": {"store": 1.0},
    }
    async with running(tmp_path, kept=[kept("work")], **sections) as one:
        gateways = [one, await one.another()]
        people = one.gateway.people
        bert = await people.create_user(ACTOR, "bert", "a long pass phrase", Role.MEMBER)
        limited = await give_out(one, "limited", "month:requests=100")
        whole: list[bool] = []
        ids: list[str] = []

        async def listen(gateway: Stack) -> None:
            async with gateway.client() as client:
                answer = await client.post("/v1/messages", json=question(SLOW, stream=True))
            ids.append(answer.headers["request-id"])
            whole.append("event: message_stop" in answer.text)

        async def ask(gateway: Stack) -> int:
            async with gateway.client() as client:
                answer = await client.post("/v1/messages", json=question())
            ids.append(answer.headers["request-id"])
            return answer.status_code

        async with trio.open_nursery() as before:
            for gateway in gateways:
                before.start_soon(listen, gateway)
            await until(lambda: open_streams(one) == 2)
            await trio.to_thread.run_sync(postgresql.stop)
            try:
                assert open_streams(one) == 2, "what ran had ended before the database was away"
                for gateway in gateways:
                    assert await ask(gateway) == 200, "the gateway's own key needs nothing of the database"
                    async with client_of(gateway, limited) as client:
                        refused = await client.post("/v1/messages", json=question())
                    assert refused.status_code == 503, "what is left of a budget is known to the database alone"
                    assert "does not answer" in refused.json()["error"]["message"]
                    assert "retry-after" in refused.headers
                    assert gateway.gateway.several.is_alone
                with pytest.raises(StoreUnavailable):
                    await people.set_role(ACTOR, bert.id, Role.VIEWER)
                await until(lambda: len(whole) == 2)
                async with trio.open_nursery() as across:
                    for gateway in gateways:
                        across.start_soon(listen, gateway)
                    await until(lambda: open_streams(one) == 2)
                    await trio.to_thread.run_sync(postgresql.start)
            finally:
                await trio.to_thread.run_sync(postgresql.start)
        assert whole == [True] * 4, "an answer is whole, whether the database goes or comes under it"

        await until(lambda: not any(gateway.gateway.several.is_alone for gateway in gateways))
        for gateway in gateways:
            async with client_of(gateway, limited) as client:
                assert await ask_together(client, 3) == [200] * 3
        (use,) = await one.gateway.keys.usage(limited.record.id)
        assert use.used.requests == 6, "what was refused has cost nothing"
        await people.set_role(ACTOR, bert.id, Role.VIEWER)
        database = one.gateway.accounts.shared.database
        lines = await database.read(partial(audit_rows.entries, listing=Listing(filters={"action": "user.set-role"})))
        assert len(lines.rows) == 1, "what was refused is not noted, and what was done is, once"
        with trio.fail_after(15):
            while not set(ids) <= {record.id for record in await database.read(recent)}:  # noqa: ASYNC110 - rows tell no event
                await trio.sleep(0.05)
        found = [record.id for record in await database.read(recent)]
        assert len(found) == len(set(found)), "each is written once"
        assert [line for line in one.log.lines if line[2].get("exc_info")] == [], "an outage is no fault of ours"
        assert one.log.events().count("limits hold for this gateway alone for now") == 2, "each says it once"


def open_streams(stack: Stack) -> int:
    return sum(stream.state is State.OPEN for stream in stack.simulator.streams)
