"""Stored responses in the database of several gateways: bounded in bytes and time for all together, sealed, and ended
by a new key to the secrets."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio
from attrs import define, field
from sqlalchemy import Connection, func, select, update
from store.keyrings import vault_in
from support.engines import Place
from support.gateways import until

from kirotrio.store import response_rows as rows
from kirotrio.store.database import Database
from kirotrio.store.rekeying import forget_secrets, rotate_key
from kirotrio.store.responses import ResponseMissing, StoredResponse
from kirotrio.store.schema import response_items, responses
from kirotrio.store.shared_responses import SharedResponses
from kirotrio.telemetry.log import RecordingLog


def stored(name: str, previous: str | None = None, *, padding: int = 0, also: tuple[str, ...] = ()) -> StoredResponse:
    """`also`: ids of items of others that its input holds, too."""
    return StoredResponse(
        {"id": name, "output": [{"id": f"out_{name}", "type": "message", "text": "x" * padding}]},
        ({"id": f"in_{name}", "type": "message"}, *({"id": item, "type": "message"} for item in also)),
        previous,
    )


def size_of(response: StoredResponse) -> int:
    return len(orjson.dumps([response.response, response.input_items, response.previous]))


@define
class Gateways:
    """Some on one database, each with a vault and a connection of its own."""

    place: Place
    nursery: trio.Nursery
    max_bytes: int
    keep: float
    opened: list[Database] = field(factory=list)
    logs: list[RecordingLog] = field(factory=list)

    def one(self) -> SharedResponses:
        database, log = self.place.open(deadline=60.0), RecordingLog()  # a busy machine is no trouble
        self.opened.append(database)
        self.logs.append(log)
        gateway = SharedResponses(database, vault_in(self.place.data_dir), self.max_bytes, self.keep, log)
        self.nursery.start_soon(gateway.run)
        return gateway

    def read(self, statement: Any) -> Any:
        return self.opened[0].reading(lambda connection: connection.execute(statement).scalar())

    def change(self, work: Callable[[Connection], object]) -> None:
        self.opened[0].writing(work)

    @property
    def size(self) -> int:
        return int(self.read(select(func.sum(responses.c.size))) or 0)

    @property
    def troubles(self) -> list[Any]:
        return [line for log in self.logs for line in log.lines]

    def age(self, owner: str, name: str, seconds: float) -> None:
        """As if it had been used for the last time that much earlier."""
        digest = rows.digest_of(owner, name)
        older = update(responses).where(responses.c.digest == digest).values(used_at=responses.c.used_at - seconds)
        self.change(lambda connection: connection.execute(older))


@asynccontextmanager
async def gateways(place: Place, max_bytes: int = 1_000_000, keep: float = 1000.0) -> AsyncIterator[Gateways]:
    async with trio.open_nursery() as nursery:
        here = Gateways(place, nursery, max_bytes, keep)
        yield here
        nursery.cancel_scope.cancel()
    for database in here.opened:
        database.close()


async def written(*all_: SharedResponses) -> None:
    for one in all_:
        await until(lambda one=one: not one._pending)


async def test_the_ceiling_is_one_for_all_and_the_least_recently_used_go(place: Place) -> None:
    size = size_of(stored("r0", padding=1000))
    async with gateways(place, max_bytes=3 * size) as here:
        one, other = here.one(), here.one()
        for number in range(3):
            assert (one, other)[number % 2].put("a", stored(f"r{number}", padding=1000))
            await written(one, other)
            here.age("a", f"r{number}", 600.0 - number)
        assert await other.get("a", "r0") is not None  # which is a use of it
        assert one.put("a", stored("r3", padding=1000))
        await written(one)
        there = {name for name in ("r0", "r1", "r2", "r3") if await other.get("a", name) is not None}
        assert there == {"r0", "r2", "r3"}, "r1 was not used for longest"
        assert here.size == 3 * size
        assert here.read(select(func.count()).select_from(response_items)) == 6, "items go with their response"


async def test_what_is_larger_than_all_there_may_be_drives_nothing_out(place: Place) -> None:
    size = size_of(stored("r0", padding=1000))
    async with gateways(place, max_bytes=size) as here:
        one = here.one()
        assert one.put("a", stored("r0", padding=1000))
        assert not one.put("a", stored("r1", padding=1001))
        await written(one)
        assert await here.one().get("a", "r0") is not None


async def test_what_waits_for_the_database_is_bounded_as_well(place: Place) -> None:
    size = size_of(stored("r0", padding=1000))
    async with gateways(place, max_bytes=2 * size) as here:
        one = here.one()
        for number in range(5):  # before anything could be written
            assert one.put("a", stored(f"r{number}", padding=1000))
        assert one._size == 2 * size
        assert [name for _, name in one._pending] == ["r3", "r4"]
        await written(one)
        assert one._size == 0


async def test_a_response_expires_when_nobody_used_it_for_so_long(place: Place) -> None:
    async with gateways(place, keep=1000.0) as here:
        one, other = here.one(), here.one()
        one.put("a", stored("r0"))
        one.put("a", stored("r1", "r0"))
        await written(one)
        here.age("a", "r0", 990.0)
        here.age("a", "r1", 900.0)
        assert [item["id"] for item in await other.chain("a", "r1")] == ["in_r0", "out_r0", "in_r1", "out_r1"]
        here.age("a", "r0", 500.0)
        assert await other.get("a", "r0") is not None, "to continue it was a use of the whole chain"
        here.age("a", "r0", 1000.0)
        assert await other.get("a", "r0") is None
        assert await other.items("a", ["out_r0"]) == {}
        with pytest.raises(ResponseMissing) as caught:
            await other.chain("a", "r1")
        assert caught.value.missing == "r0"
        other.put("a", stored("r2"))
        await written(other)
        assert here.read(select(func.count()).select_from(responses)) == 2, "the next one to be stored clears it away"


async def test_they_are_sealed_and_a_new_key_ends_them(place: Place) -> None:
    async with gateways(place) as here:
        one, other = here.one(), here.one()
        one.put("anna", stored("r0", padding=50))
        await written(one)
        row = here.opened[0].reading(lambda c: c.execute(select(responses)).one())
        assert b"xxxx" not in bytes(row.sealed), "what people say lies sealed"
        assert "anna" not in f"{row.digest}{row.previous}"
        assert await other.get("anna", "r0") is not None
        rotate_key(here.opened[0], vault_in(place.data_dir))
        for gateway in (one, other):
            assert await gateway.get("anna", "r0") is None
            with pytest.raises(ResponseMissing):
                await gateway.chain("anna", "r0")
            assert await gateway.items("anna", ["out_r0"]) == {}
        assert here.size == 0, "what nobody can open takes nobody's room"
        one.put("anna", stored("r1"))
        await written(one)
        assert await other.get("anna", "r1") == stored("r1"), "gateways that run go on with the new key"
        forget_secrets(here.opened[0])
        assert here.size == 0
        assert not here.troubles


async def test_a_gateway_without_the_new_key_says_so_and_goes_on(place: Place, tmp_path: Any) -> None:
    async with gateways(place) as here:
        one = here.one()
        one.put("a", stored("r0"))
        await written(one)
        elsewhere = here.one()
        elsewhere.sealer = vault_in(tmp_path / "another machine")
        assert await elsewhere.get("a", "r0") is None
        assert not await elsewhere.delete("b", "r0")
        assert await elsewhere.delete("a", "r0"), "to delete takes no key"
        assert await one.get("a", "r0") is None


async def test_gateways_that_store_and_clear_away_at_one_time_do_not_stop_each_other(place: Place) -> None:
    """Clients send items of earlier responses again, so that the same rows are in many hands."""
    dice = random.Random(7)
    size = size_of(stored("r00", padding=300))
    async with gateways(place, max_bytes=8 * size) as here:
        members = [here.one() for _ in range(4)]

        async def keep_on(member: SharedResponses, number: int) -> None:
            for turn in range(30):
                also = tuple(f"out_r{dice.randrange(4)}{dice.randrange(30)}" for _ in range(6))
                assert member.put("a", stored(f"r{number}{turn}", padding=300, also=also))
                await written(member)

        with trio.fail_after(110):
            async with trio.open_nursery() as nursery:
                for number, member in enumerate(members):
                    nursery.start_soon(keep_on, member, number)
        assert not here.troubles
        assert 0 < here.size <= 8 * size
