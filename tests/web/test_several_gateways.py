"""Several gateways on one database: limits, pauses, sessions and counts hold for all of them together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from support.engines import Place, PlainSealer, PostgresServer
from support.gateways import until

from kirotrio.accounts.cooldowns import Cooldown, News
from kirotrio.accounts.lending.pacing import GateLimits
from kirotrio.accounts.shared import Shared
from kirotrio.config.settings import ServerSettings, Settings, StoreSettings
from kirotrio.errors import Blame, RateLimited, StoreUnavailable
from kirotrio.store.database import Database
from kirotrio.store.holders import same_machine
from kirotrio.store.responses import ResponseMissing, StoredResponse
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.several.several import Several

SETTINGS = Settings(store=StoreSettings(look_every=0.1, gateway_lapse=3.0), server=ServerSettings(rate_per_minute=3))
ONE, TWO = (f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2))
LIMITS = GateLimits(2, 0, 3)


@attrs.define
class Member:
    """A gateway's share of the state, for as long as it runs. `heard`: of pauses."""

    several: Several
    database: Database
    log: RecordingLog
    scope: trio.CancelScope
    heard: list[News] = attrs.field(factory=list)


@attrs.define
class House:
    place: Place
    nursery: trio.Nursery
    settings: Settings = SETTINGS
    members: list[Member] = attrs.field(factory=list)

    async def open(self, holder: str = "") -> Member:
        database, log = self.place.open(deadline=2.0), RecordingLog()
        shared = Shared(database, PlainSealer(), 10.0, self.place.data_dir)
        shared.holder = holder or f"{same_machine()}:1:{len(self.members)}"  # that process runs
        several = Several(self.settings, shared, log)

        async def several_runs(
            scope: trio.CancelScope, several: Several, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
        ) -> None:
            with scope:
                await several.run(task_status=task_status)

        scope = trio.CancelScope()
        await self.nursery.start(several_runs, scope, several)
        member = Member(several, database, log, scope)
        several.listen(member.heard.append)
        self.members.append(member)
        return member


@asynccontextmanager
async def house(place: Place, settings: Settings = SETTINGS) -> AsyncIterator[House]:
    async with trio.open_nursery() as nursery:
        here = House(place, nursery, settings)
        try:
            yield here
            nursery.cancel_scope.cancel()
        finally:
            here.nursery.cancel_scope.cancel()
    for member in here.members:
        member.database.close()


async def test_places_are_shared_and_never_more_than_there_are(place: Place) -> None:
    async with house(place) as here:
        gates = [(await here.open()).several.gate(ONE, GateLimits(2, 0, 100), "a") for _ in range(2)]
        inside, most, served = 0, 0, 0

        async def ask(number: int) -> None:
            nonlocal inside, most, served
            async with gates[number % 2].place(30.0):
                inside += 1
                most = max(most, inside)
                await trio.sleep(0.02)
                inside -= 1
                served += 1

        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(ask, number)
        assert (most, served) == (2, 20)
        assert [(gate.busy, gate.waiting) for gate in gates] == [(0, 0)] * 2


async def test_the_queue_is_one_and_whoever_finds_it_full_is_refused(place: Place) -> None:
    async with house(place) as here:
        one, other = [(await here.open()).several.gate(ONE, GateLimits(1, 0, 1), "a") for _ in range(2)]
        async with one.place(0.0):
            with pytest.raises(RateLimited, match="at one time"):
                async with other.place(0.0):
                    raise AssertionError("there was no place")
            async with trio.open_nursery() as nursery:

                async def wait() -> None:
                    async with one.place(30.0):
                        pass

                nursery.start_soon(wait)
                await until(lambda: one.waiting)
                await here.members[0].several.home("s")
                with pytest.raises(RateLimited, match="1 requests wait for the account 'a' already"):
                    async with other.place(30.0):
                        raise AssertionError("the queue was full")
                nursery.cancel_scope.cancel()
        await here.members[0].several.home("s")  # by then it has been told who left
        async with other.place(5.0):
            pass


async def test_a_pace_is_kept_by_all_together(place: Place) -> None:
    async with house(place) as here:
        one, other = [(await here.open()).several.gate(ONE, GateLimits(0, 6, 10), "a") for _ in range(2)]
        for gate in (one, other, one, other, one):
            async with gate.place(5.0):
                pass
        with pytest.raises(RateLimited, match="6 answers a minute") as caught:
            async with other.place(5.0):
                pass
        assert caught.value.retry_after == pytest.approx(50.0, abs=5.0)
        with pytest.raises(RateLimited):
            await one.pace(5.0)


async def test_a_start_that_was_not_used_is_the_others(place: Place) -> None:
    async with house(place) as here:
        one, other = [(await here.open()).several.gate(ONE, GateLimits(0, 1, 10), "a") for _ in range(2)]
        async with one.place(5.0) as taken:
            taken.used = False
        await here.members[0].several.home("s")
        async with other.place(5.0):
            pass


@pytest.mark.parametrize("ends", ["properly", "killed", "unheard"])
async def test_what_a_gateway_held_is_free_when_it_is_gone(place: Place, ends: str) -> None:
    async with house(place) as here:
        gone = {"killed": f"{same_machine()}:999999999:x", "unheard": "elsewhere:1:x"}.get(ends, "")
        other = await here.open()
        one = await here.open("elsewhere:1:first")
        async with trio.open_nursery() as nursery:

            async def hold() -> None:
                async with one.several.gate(ONE, GateLimits(1, 0, 10), "a").place(5.0):
                    await trio.sleep_forever()

            nursery.start_soon(hold)
            await trio.sleep(0.3)
            if ends == "properly":
                one.scope.cancel()
            else:
                one.scope.cancel()
                await trio.sleep(0.3)
                _as_if_it_had_not_ended(other.database, gone)
            with trio.fail_after(15):
                async with other.several.gate(ONE, GateLimits(1, 0, 10), "a").place(15.0):
                    pass
            nursery.cancel_scope.cancel()


def _as_if_it_had_not_ended(database: Database, holder: str) -> None:
    import time

    from sqlalchemy import Connection, update

    from kirotrio.accounts.lending.ledger import Ledger
    from kirotrio.store.columns import upsert
    from kirotrio.store.schema import gateways, ledgers

    def put(connection: Connection) -> None:
        upsert(connection, gateways, {"holder": holder, "until": time.time() + 3}, ["holder"])
        content = Ledger({"hold": holder}).to_json().decode()
        connection.execute(update(ledgers).values(content=content))

    database.writing(put)


async def test_a_gateway_that_was_taken_for_gone_joins_again_with_what_it_holds(place: Place) -> None:
    async with house(place) as here:
        one, other = await here.open(), await here.open()
        async with one.several.gate(ONE, GateLimits(1, 0, 10), "a").place(5.0):
            from kirotrio.store import gateway_rows as rows

            other.database.writing(lambda connection: rows.leave(connection, f"{same_machine()}:1:0"))
            await until(lambda: one.log.lines)
            assert "took this gateway for gone" in one.log.lines[0][1]
            await one.several.home("s")  # by then it has joined
            with pytest.raises(RateLimited):
                async with other.several.gate(ONE, GateLimits(1, 0, 10), "a").place(0.2):
                    pass


async def test_sessions_are_on_the_account_where_any_of_them_put_them(place: Place) -> None:
    async with house(place) as here:
        one, other = await here.open(), await here.open()
        assert await other.several.home("s") == ""
        one.several.bind("s", ONE)
        one.several.bind("t", "personal-0")
        await one.several.home("s")
        assert await other.several.home("s") == ONE
        assert await other.several.home("t") == "personal-0"
        other.several.bind("s", TWO)
        await other.several.home("t")
        assert await one.several.home("s") == TWO


async def test_whoever_is_let_in_has_heard_of_every_pause_before(place: Place) -> None:
    async with house(place) as here:
        one, other = await here.open(), await here.open()
        news = News(ONE, "", Cooldown(Blame.RATE, "so", 1.0, 1e12), strikes=2)
        one.several.tell(news)
        await one.several.home("s")
        async with other.several.gate(TWO, LIMITS, "b").place(5.0):
            assert other.heard == [news]
        assert one.heard == [], "it knows itself"
        late = await here.open()
        await late.several.home("s")
        assert late.heard == [news], "it may not lie with the accounts yet"


async def test_an_account_that_is_not_kept_is_this_machines_alone(place: Place) -> None:
    async with house(place) as here:
        one, other = await here.open(), await here.open()
        other.several._machine = "another machine/"
        one.several.tell(News("kiro-ide", "", Cooldown(Blame.RATE, "so", 1.0, 1e12)))
        one.several.bind("s", "kiro-ide")
        await one.several.home("s")
        assert await one.several.home("s") == "kiro-ide"
        assert await other.several.home("s") == ""
        assert other.heard == []


async def test_requests_of_a_key_are_counted_together(place: Place) -> None:
    async with house(place) as here:
        one, other = await here.open(), await here.open()
        refused: list[RateLimited] = []

        async def ask(number: int) -> None:
            try:
                await (one, other)[number % 2].several.admit("k")
            except RateLimited as error:
                refused.append(error)

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(ask, number)
        assert len(refused) == 7
        assert "3 requests within a minute" in refused[0].message
        assert 50 < (refused[0].retry_after or 0) <= 60
        await one.several.admit("another")


async def test_a_question_is_answered_by_those_who_are_asked_alone(place: Place) -> None:
    async with house(place) as here:
        members = [await here.open() for _ in range(3)]
        asker, *others = (member.several for member in members)
        await until(lambda: len(asker._clerk.others) == 2)
        heard: list[tuple[int, Any]] = []
        for number, several in enumerate(others):

            async def answer(argument: Any, number: int = number) -> Any:
                heard.append((number, argument))
                return argument[number]

            several.questions.answers["which"] = answer
        second = others[1]._clerk.state.holder
        assert await asker.questions.ask("which", ["a", "b"], of=[second]) == "b"
        assert heard == [(1, ["a", "b"])]
        assert await asker.ask("which", ["a", None]) == "a", "the first that knows something"
        assert await asker.ask("which", [None, None]) is None
        assert await asker.ask("what nobody answers", 1) is None
        asker._clerk.away = True
        with pytest.raises(StoreUnavailable):
            await asker.ask("which", ["a", "b"])
        with pytest.raises(StoreUnavailable, match="the other gateways' answers are not known here"):
            await asker.others()


async def test_responses_are_continued_wherever_the_client_comes(place: Place) -> None:
    def stored(name: str, previous: str | None = None) -> StoredResponse:
        output = [{"id": f"out_{name}", "type": "message"}]
        return StoredResponse({"id": name, "output": output}, ({"id": f"in_{name}"},), previous)

    async with house(place) as here:
        one, other = (await here.open()).several, (await here.open()).several
        assert one.put("k", stored("r1"))
        assert await one.get("k", "r1") == stored("r1"), "it is there at once"
        assert await other.get("k", "r1") == stored("r1")
        assert other.put("k", stored("r2", "r1"))
        assert [item["id"] for item in await one.chain("k", "r2")] == ["in_r1", "out_r1", "in_r2", "out_r2"]
        assert set(await one.items("k", ["out_r2", "in_r1", "none"])) == {"out_r2", "in_r1"}
        assert await other.get("another", "r1") is None, "an owner never sees another's"
        assert await other.delete("k", "r1")
        assert await one.get("k", "r1") is None
        with pytest.raises(ResponseMissing) as caught:
            await one.chain("k", "r2")
        assert caught.value.missing == "r1"


async def test_without_the_database_limits_hold_in_each_and_for_all_once_it_is_back(
    tmp_path: Path, postgresql: PostgresServer
) -> None:
    async with house(Place("postgresql", postgresql.migrated_database(), tmp_path)) as here:
        one, other = await here.open(), await here.open()
        limits = GateLimits(2, 0, 10)
        async with one.several.gate(ONE, limits, "a").place(5.0):
            await trio.to_thread.run_sync(postgresql.stop)
            try:
                mine, theirs = (member.several.gate(ONE, limits, "a") for member in (one, other))
                async with mine.place(5.0), theirs.place(5.0):
                    assert one.several.is_alone
                    assert other.several.is_alone
                    with pytest.raises(RateLimited):
                        async with mine.place(0.1):
                            raise AssertionError("its own limit holds")
                    assert await one.several.home("s") == "", "nobody can say"
                    one.several.tell(News(ONE, "", Cooldown(Blame.RATE, "so", 1.0, 1e12)))
                    one.several.put("k", StoredResponse({"id": "r1", "output": []}))
                    assert await one.several.get("k", "r1") is not None
                    with pytest.raises(StoreUnavailable):
                        await other.several.get("k", "r1")
                    await trio.to_thread.run_sync(postgresql.start)
                    await until(lambda: not one.several.is_alone and not other.several.is_alone)
                    # Three run by now, and two may.
                    with pytest.raises(RateLimited):
                        async with theirs.place(0.5):
                            raise AssertionError("the limits hold for all again")
                    await until(lambda: other.heard)
            finally:
                await trio.to_thread.run_sync(postgresql.start)
            told = [line[1] for line in one.log.lines]
            assert told.count("limits hold for this gateway alone for now") == 1, "it is said once"
            assert "limits hold for all gateways again" in told
            with trio.fail_after(10):
                while await other.several.get("k", "r1") is None:
                    pass
