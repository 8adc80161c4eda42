"""Answers that one gateway gives, as another one of the same database shows and ends them."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import pytest
import trio
from rich.console import Console
from sqlalchemy import Connection, select, update
from support.console import PASSWORD, browser, notice
from support.engines import Place, PostgresServer
from support.gateways import until
from support.keys import ACTOR
from support.stack import KEY, Stack, question, running

from kirotrio.access.audit import COMMAND_LINE, entries
from kirotrio.cli.live_view import page
from kirotrio.errors import Overloaded, StoreUnavailable
from kirotrio.store import gateway_rows
from kirotrio.store.columns import upsert
from kirotrio.store.holders import are_family, mark_of, new_holder, same_machine
from kirotrio.store.listing import Listing
from kirotrio.store.posted_rows import LIVE
from kirotrio.store.schema import gateways, ledgers
from kirotrio.store.user_record import Role
from kirotrio.web.console.streams import late, seen
from kirotrio.web.live import LiveGateway, Snapshot, busy, cancel, snapshot

SILENT = "[[first_ms=600000]]"
STORE = {"look_every": 0.1, "gateway_lapse": 60.0}


@asynccontextmanager
async def two(place: Place, **store: Any) -> AsyncIterator[tuple[Stack, Stack]]:
    async with running(place.data_dir, store={"url": place.url, **STORE, **store}) as one:
        yield one, await one.another()


async def ask(stack: Stack, got: list[httpx.Response], key: str = KEY) -> None:
    async with stack.client(headers={"x-api-key": key}) as http:
        got.append(await http.post("/v1/messages", json=question(SILENT), timeout=120))


async def cut_off(stack: Stack) -> None:
    with contextlib.suppress(httpx.RemoteProtocolError):
        await ask(stack, [])


async def seen_where(stack: Stack, wanted: Callable[[Snapshot], bool]) -> Snapshot:
    """What a gateway shows, once it is as wanted."""
    with trio.fail_after(60):
        while not wanted(found := await snapshot(stack.gateway)):  # noqa: ASYNC110 - it has no event here
            await trio.sleep(0.01)
    return found


async def told_here(stack: Stack, wanted: Callable[[Any], bool]) -> None:
    await seen_where(stack, lambda found: wanted([row for row in found.answers if not row.told]))


async def posted(stack: Stack) -> list[str]:
    """The holders whose answers can be seen by others."""

    def read(connection: Connection) -> list[str]:
        found = connection.execute(select(ledgers.c.name).where(ledgers.c.name.startswith(LIVE)))
        return sorted(name.removeprefix(LIVE) for name in found.scalars())

    return await stack.gateway.accounts.shared.database.read(read)


async def until_posted(stack: Stack, *whose: Stack) -> None:
    """Until what runs in these, and in no others, can be seen."""
    with trio.fail_after(60):
        while await posted(stack) != sorted(map(holder, whose)):  # noqa: ASYNC110 - the database has no event here
            await trio.sleep(0.01)


def holder(stack: Stack) -> str:
    return stack.gateway.accounts.shared.holder


async def test_what_one_gives_is_listed_by_the_other_with_where_it_runs_and_how_old_that_is(shared: Place) -> None:
    async with two(shared) as (one, other), trio.open_nursery() as nursery:
        nursery.start_soon(ask, one, [])
        found = await seen_where(other, lambda seen: len(seen.answers) == 1 and seen.answers[0].state == "accepted")
        (row,) = found.answers
        here = (await snapshot(one.gateway)).answers[0]
        assert (row.id, row.key_id, row.model) == (here.id, "test", "claude-sonnet-4-5")
        assert row.gateway == one.gateway.name != other.gateway.name
        assert row.gateway.endswith(f":{one.port}")
        assert row.told > 0 == here.told
        assert row.began == here.began, "when it began is not told anew"
        assert 0 < row.age <= here.age
        assert [(told.name, told.told > 0) for told in found.gateways] == [
            (other.gateway.name, False),
            (one.gateway.name, True),
        ]
        assert (found.gateway, found.processes) == ("", 2)
        (account,) = found.accounts
        assert account.busy == 1
        assert list((await busy(other.gateway)).values()) == [1]
        later = await seen_where(other, lambda seen: seen.answers[0].age > row.age + 0.2)
        assert later.answers[0].id == row.id
        nursery.cancel_scope.cancel()


async def test_it_is_ended_from_the_other_one_and_whose_doing_that_was_is_noted_once(shared: Place) -> None:
    async with two(shared) as (one, other):
        got: list[httpx.Response] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, one, got)
            (row,) = (await seen_where(other, lambda seen: bool(seen.answers))).answers
            assert not await cancel(other.gateway, ACTOR, "req_of_nobody")
            assert not await cancel(other.gateway, ACTOR, row.id, owner="somebody else")
            assert await cancel(other.gateway, ACTOR, row.id)
        assert (got[0].status_code, got[0].headers["x-should-retry"]) == (403, "false")
        assert not await cancel(other.gateway, ACTOR, row.id), "it is over"
        await seen_where(other, lambda seen: not seen.answers)
        noted = (await entries(other.gateway.accounts.shared.database, Listing())).rows
        lines = [entry for entry in noted if entry.action == "answer.cancel"]
        assert [(line.actor_id, line.actor, line.address) for line in lines] == [(ACTOR.id, ACTOR.name, ACTOR.address)]
        assert lines[0].subject == row.id


async def test_whoever_waits_for_an_answer_hears_it_as_soon_as_it_is_told(shared: Place) -> None:
    async with two(shared) as (one, other):
        await seen_where(other, lambda seen: len(seen.gateways) == 2)
        settings = attrs.evolve(
            one.settings, store=attrs.evolve(one.settings.store, look_every=600.0, gateway_lapse=3600.0)
        )
        slow = await attrs.evolve(one, settings=settings).another()
        await until(lambda: slow.gateway.several.has_others)
        with trio.fail_after(60):  # by itself it looks every ten minutes
            assert not await cancel(slow.gateway, ACTOR, "req_of_nobody")


async def test_a_gateway_that_is_asked_and_keeps_silent_is_told_of(shared: Place) -> None:
    async with two(shared) as (one, other):
        await seen_where(other, lambda seen: len(seen.gateways) == 2)

        async def hang(_: Any) -> None:
            await trio.sleep_forever()

        one.gateway.several.questions.answers["cancel"] = hang
        other.gateway.several.questions._patience = 0.5
        with pytest.raises(Overloaded, match="another gateway does not answer"):
            await cancel(other.gateway, ACTOR, "req_of_nobody")
        anna = browser(other)
        await anna.set_up()
        await anna.open("/console/streams")
        refused = await anna.send("/console/streams/req_of_nobody/cancel", **{"accept-language": "zh-CN"})
        assert refused.status_code == 503
        assert "另一个网关目前没有响应，请稍后再看" in refused.text


async def test_of_more_answers_than_others_are_shown_it_is_said_how_many(
    shared: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kirotrio.web.live._MOST_POSTED", 1)
    async with two(shared) as (one, other), trio.open_nursery() as nursery:
        nursery.start_soon(ask, one, [])
        oldest = (await seen_where(other, lambda seen: len(seen.answers) == 1)).answers[0].id
        nursery.start_soon(ask, one, [])
        found = await seen_where(other, lambda seen: seen.untold == 1)
        assert [row.id for row in found.answers] == [oldest]
        anna = browser(other)
        await anna.set_up()
        assert "and 1 more" in (await anna.open("/console/streams")).text
        assert len((await snapshot(one.gateway)).answers) == 2, "where they run all are told"
        nursery.cancel_scope.cancel()


async def test_of_a_gateway_that_is_gone_nothing_is_shown(shared: Place) -> None:
    async with two(shared) as (one, other), trio.open_nursery() as nursery:
        nursery.start_soon(cut_off, one)
        await seen_where(other, lambda seen: bool(seen.answers))
        one.stop.ask()
        one.stop.ask()
        await seen_where(other, lambda seen: not seen.answers and not seen.gateways)
        await until(lambda: not other.gateway.several.has_others)
        nursery.cancel_scope.cancel()
        await until_posted(other)


@pytest.mark.parametrize(
    "ended", [f"{same_machine()}:999999999:x", "elsewhere:1:x"], ids=["its process ended", "it is not heard of"]
)
async def test_what_a_killed_one_has_left_goes_with_it(shared: Place, ended: str) -> None:
    lasts = 1.0 if ended.startswith("elsewhere") else 600.0

    async with two(shared) as (one, other), trio.open_nursery() as nursery:
        nursery.start_soon(ask, one, [])
        (row,) = (await seen_where(other, lambda seen: bool(seen.answers))).answers

        def leave_it(connection: Connection) -> None:
            """As a gateway that was killed."""
            left = select(ledgers.c.content).where(ledgers.c.name == LIVE + holder(one))
            content = connection.execute(left).scalar_one()
            now = gateway_rows.clock(connection)
            upsert(connection, gateways, {"holder": ended, "until": now + lasts}, ["holder"])
            content = content.replace(row.id, "req_left_behind")
            upsert(connection, ledgers, {"name": LIVE + ended, "content": content, "at": now}, ["name"])

        await other.gateway.accounts.shared.database.write(leave_it)
        await until_posted(other, one, other)
        found = await seen_where(other, lambda seen: "req_left_behind" not in {row.id for row in seen.answers})
        assert [row.id for row in found.answers] == [row.id]
        nursery.cancel_scope.cancel()


async def test_what_is_told_of_one_that_stands_still_grows_old(shared: Place) -> None:
    async with two(shared) as (one, other), trio.open_nursery() as nursery:
        nursery.start_soon(ask, one, [])
        await seen_where(other, lambda seen: bool(seen.answers))

        def still(connection: Connection) -> None:
            before = gateway_rows.clock(connection) - 9.0
            connection.execute(update(ledgers).where(ledgers.c.name == LIVE + holder(one)).values(at=before))
            until = {"until": before + STORE["gateway_lapse"]}
            connection.execute(update(gateways).where(gateways.c.holder == holder(one)).values(**until))

        clerk = one.gateway.several._clerk
        clerk.look_every, clerk.state = 3600.0, attrs.evolve(clerk.state, lapse=3600.0)
        await until(lambda: clerk._beat_at > trio.current_time() + 600.0)  # what was under way is done
        anna = browser(other)
        await anna.set_up()
        await other.gateway.accounts.shared.database.write(still)
        found = await seen_where(other, lambda seen: seen.gateways[-1].told > 8.9)
        assert found.answers[0].told > 8.9
        assert found.answers[0].age > 8.9, "it goes on, as far as anybody knows"
        text = (await anna.open("/console/streams")).text
        assert "seen 9 s ago" not in text, "it is older than that"
        assert f"The gateway {one.gateway.name} has not been heard of for" in text
        nursery.cancel_scope.cancel()


def test_a_gateway_is_late_after_some_of_its_usual_waits() -> None:
    gateways = [LiveGateway("here"), LiveGateway("right", 4.9), LiveGateway("left", 5.1)]
    assert [one.name for one in late(gateways, 2.0)] == ["left"]
    assert [seen(told) for told in (0.0, 0.2, 1.0, 1.01, 14.2)] == [1, 1, 1, 2, 15]


async def test_one_gateway_writes_nothing_for_what_runs_until_there_is_another(shared: Place) -> None:
    async with running(shared.data_dir, store={"url": shared.url, **STORE}) as one, trio.open_nursery() as nursery:
        nursery.start_soon(ask, one, [])
        await told_here(one, lambda rows: len(rows) == 1)
        beats = []
        turn = type(one.gateway.several._clerk.state).turn

        def counted(self: Any, batch: Any, seen: int, *, renew: bool) -> Any:
            beats.append((renew, batch.live))
            return turn(self, batch, seen, renew=renew)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(one.gateway.several._clerk.state), "turn", counted)
            await until(lambda: sum(renew for renew, _ in beats) >= 3)
            assert {live for _, live in beats} == {None}
            assert await posted(one) == []
            found = await snapshot(one.gateway)
            assert (found.gateway, found.gateways, found.answers[0].gateway) == ("", (), "")
        other = await one.another()
        await seen_where(other, lambda seen: len(seen.answers) == 1)
        other.stop.ask()
        await seen_where(one, lambda seen: not seen.gateways)
        await until_posted(one)
        nursery.cancel_scope.cancel()


async def test_processes_of_one_gateway_post_nothing_for_each_other(shared: Place) -> None:
    one, other, third = new_holder("desk"), new_holder("desk"), new_holder("another desk")
    assert are_family(one, other)
    assert not are_family(one, third)
    assert not are_family(new_holder(), new_holder())
    async with two(shared) as (first, second):
        await seen_where(second, lambda seen: len(seen.gateways) == 2)
        clerk = first.gateway.several._clerk
        clerk.state = attrs.evolve(clerk.state, holder=one)
        clerk._meet(frozenset({one, other, third}))
        assert clerk.others == {third}


async def test_while_the_database_is_away_the_page_says_whose_answers_it_shows(
    shared: Place, postgresql: PostgresServer
) -> None:
    async with two(shared) as (one, other):
        await seen_where(other, lambda seen: len(seen.gateways) == 2)
        await trio.to_thread.run_sync(postgresql.stop)
        try:
            found = await seen_where(other, lambda seen: bool(seen.gateway))
            assert (found.gateway, found.gateways) == (other.gateway.name, ())
            with pytest.raises(StoreUnavailable):
                await cancel(other.gateway, ACTOR, "req_of_nobody")
        finally:
            await trio.to_thread.run_sync(postgresql.start)
        await seen_where(other, lambda seen: len(seen.gateways) == 2)
        assert one.gateway.name


async def test_a_member_sees_and_ends_their_own_at_any_gateway_and_nobody_elses(shared: Place) -> None:
    async with two(shared) as (one, other):
        anna, mia = browser(other), browser(other)
        await anna.set_up()
        keys = {}
        for name in ("mia", "mo"):
            user = await one.gateway.people.create_user(COMMAND_LINE, name, PASSWORD, Role.MEMBER)
            made = await one.gateway.keys.create(COMMAND_LINE, f"key of {name}", owner_id=user.id)
            keys[name] = made.secret
        await mia.sign_in("mia")
        got: dict[str, list[httpx.Response]] = {"mia": [], "mo": []}
        async with trio.open_nursery() as nursery:
            for name, key in keys.items():
                nursery.start_soon(ask, one, got[name], key)
            rows = (await seen_where(other, lambda seen: len(seen.answers) == 2)).answers
            of = {row.key_name.removeprefix("key of "): row.id for row in rows}
            text = (await mia.open("/console/streams")).text
            assert of["mia"] in text
            assert of["mo"] not in text
            assert one.gateway.name in text
            assert re.search(r"seen \d+ s ago", text)
            everything = (await anna.open("/console/streams")).text
            assert all(answer in everything for answer in of.values())
            await mia.send(f"/console/streams/{of['mo']}/cancel")
            assert notice(await mia.open("/console/streams")) == "This answer had come to its end already."
            await mia.send(f"/console/streams/{of['mia']}/cancel")
            assert notice(await mia.open("/console/streams")) == "The answer was ended."
            await until(lambda: got["mia"])
            assert got["mia"][0].status_code == 403
            assert got["mo"] == []
            noted = (await entries(one.gateway.accounts.shared.database, Listing())).rows
            assert [(line.actor, line.subject) for line in noted if line.action == "answer.cancel"] == [
                ("mia", of["mia"])
            ]
            nursery.cancel_scope.cancel()


async def test_top_shows_both(shared: Place) -> None:
    async with two(shared) as (one, other), trio.open_nursery() as nursery:
        for stack in (one, other):
            nursery.start_soon(ask, stack, [])
        await seen_where(other, lambda seen: len(seen.answers) == 2)
        async with other.client() as http:
            told = (await http.get("/live")).json()
        assert {row["gateway"] for row in told["answers"]} == {one.gateway.name, other.gateway.name}
        console = Console(width=300, record=True, file=io.StringIO())
        console.print(page(told))
        shown = console.export_text()
        assert "2 running" in shown
        assert f"of the gateways {other.gateway.name}, {one.gateway.name} (seen" in shown
        for row in told["answers"]:
            (line,) = [line for line in shown.splitlines() if row["id"] in line]
            assert row["gateway"] in line
        nursery.cancel_scope.cancel()


async def test_gateways_of_one_name_are_told_apart_wherever_their_names_are_shown(shared: Place) -> None:
    """As containers are, each of which is `kirotrio:8000`."""
    async with two(shared) as (one, other), trio.open_nursery() as nursery:
        for stack in (one, other):
            stack.gateway.name = "kirotrio:8000"
            nursery.start_soon(ask, stack, [])
        here, there = (f"kirotrio:8000#{mark_of(holder(stack))[:4]}" for stack in (one, other))
        told = {}
        for stack, own, others in ((one, here, there), (other, there, here)):
            found = await seen_where(
                stack, lambda seen: sorted(row.gateway for row in seen.answers) == sorted([here, there])
            )
            assert [gateway.name for gateway in found.gateways] == [own, others]
            told[own] = {row.id: row.gateway for row in found.answers}
        assert told[here] == told[there], "each has one name, whichever gateway tells it"
        async with other.client() as http:
            live = (await http.get("/live")).json()
        assert {row["id"]: row["gateway"] for row in live["answers"]} == told[here]
        console = Console(width=300, record=True, file=io.StringIO())
        console.print(page(live))
        shown = console.export_text()
        assert f"of the gateways {there}, {here} (seen" in shown
        anna = browser(other)
        await anna.set_up()
        text = (await anna.open("/console/streams")).text
        assert f"Of the gateways {there}, {here}<" in text
        for name in (here, there):
            assert shown.count(name) == 2, "in the first line, and beside its answer"
            assert text.count(f'data-label="Gateway">{name}') == 1
        nursery.cancel_scope.cancel()


async def test_what_a_gateway_of_another_version_tells_harms_nobody(shared: Place) -> None:
    async with two(shared) as (one, other):
        await seen_where(other, lambda seen: len(seen.gateways) == 2)
        for content in ("no JSON", '{"odd": 1}', "[1]", '"text"', '{"ask": "x"}'):
            one.gateway.several._clerk.tell(content)
        await until(lambda: [line for line in other.log.lines if "was not understood" in line[1]])
        assert not await cancel(other.gateway, ACTOR, "req_of_nobody"), "it goes on"
