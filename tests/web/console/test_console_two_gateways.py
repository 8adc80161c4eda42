"""A sign-in or an import that was begun at one gateway goes on at another one of the same database."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from html import unescape
from types import SimpleNamespace
from typing import Any

import httpx
import trio
from sqlalchemy import Connection, select
from support import gateways
from support.console import PASSWORD, Browser, browser, notice
from support.engines import Place
from support.several import Kept, kept
from support.stack import Stack, running
from test_console_bringing import LIST, SIGN_IN, begun, noted, quick, text, until
from test_console_importing import entry, known, previewed

from kirotrio.access.audit import COMMAND_LINE
from kirotrio.store.posted_rows import TASKS
from kirotrio.store.schema import ledgers, news
from kirotrio.store.user_record import Role
from kirotrio.web.bringing.tasks import MOST_OF_ONE

PROFILE = "arn:aws:codewhisperer:us-east-1:123456789012:profile/AAAABBBBCCCC"


@asynccontextmanager
async def one_of(place: Place, accounts: Sequence[Kept] = ()) -> AsyncIterator[Stack]:
    store = {"url": place.url, "look_every": 0.1, "gateway_lapse": 60.0}
    async with running(place.data_dir, accounts, store=store, accounts={"refresh_token": ""}) as stack:
        quick(stack, profiles=(PROFILE,))
        yield stack


@asynccontextmanager
async def two(place: Place, accounts: Sequence[Kept] = ()) -> AsyncIterator[tuple[Stack, Stack]]:
    async with one_of(place, accounts) as one:
        other = await one.another()
        await gateways.until(lambda: one.gateway.several.has_others and other.gateway.several.has_others)
        yield one, other


async def operator(stack: Stack) -> Browser:
    anna = browser(stack)
    await anna.set_up()
    return anna


def at(who: Browser, stack: Stack) -> Browser:
    """The same person, whose next requests come to this gateway."""
    return Browser(stack.url, who.headers, who.cookies, who.page)


async def rows(stack: Stack) -> list[str]:
    """All that gateways have posted, and told each other."""

    def read(connection: Connection) -> list[str]:
        posted = connection.execute(select(ledgers.c.name, ledgers.c.content).where(ledgers.c.name.startswith(TASKS)))
        told = connection.execute(select(news.c.content))
        return [*(" ".join(row) for row in posted), *told.scalars()]

    return await stack.gateway.accounts.shared.database.read(read)


async def test_a_code_is_shown_by_the_other_gateway_which_follows_it_to_its_end(shared: Place) -> None:
    async with two(shared) as (one, other):
        one.simulator.sign_ins.person.does = "never"
        anna = await operator(one)
        address = await begun(anna, way="google", name="work")
        there = at(anna, other)
        page = await until(there, address, "enter the code there")
        assert f'sse-connect="{address}/events"' in page.text
        (code,) = re.findall(r'id="user-code">([A-Z0-9-]+)<', page.text)
        (device,) = one.simulator.sign_ins._devices
        laid_open = " ".join(await rows(other))
        assert TASKS in laid_open
        for secret in (code, device, "anna", address.rsplit("/", 1)[1]):
            assert secret not in laid_open
        one.simulator.sign_ins.person.does = "agree"
        assert "person@example.com" in text(await until(there, address, "Signed in: work"))
        told = (await there.open(f"{address}/events", accept="text/event-stream")).text
        assert "Signed in: work" in told
        assert told.endswith("event: over\ndata: over\n\n")
        assert await noted(other) == [("account.add", "work", "anna")]


async def test_it_is_there_when_its_person_is_sent_to_it(shared: Place, monkeypatch: Any) -> None:
    async with two(shared) as (one, other):
        one.simulator.sign_ins.person.does = "never"
        anna = await operator(one)
        monkeypatch.setattr(one.gateway.several.tasks, "wake", lambda: None)  # nothing is posted in the background
        address = await begun(anna, way="google")
        assert (await at(anna, other).open(address)).status_code == 200


async def test_the_address_that_a_browser_ended_at_is_pasted_at_the_other_gateway(shared: Place) -> None:
    async with two(shared) as (one, other):
        anna = await operator(one)
        address = await begun(anna, name="far", way="google", address="yes")
        there = at(anna, other)
        page = await until(there, address, "The address that the browser ended at")
        link = re.search(r'<a class="button main" href="([^"]+)" target="_blank"', page.text)
        assert link
        async with httpx.AsyncClient(timeout=30, trust_env=False) as distant:
            ended = (await distant.get(unescape(link[1]))).headers["location"]
        refused = await there.send(f"{address}/answer", {"answer": "http://localhost:3128/"})
        assert refused.status_code == 400
        assert "not the address that this sign-in ends at" in notice(refused)
        assert (await there.send(f"{address}/answer", {"answer": ended})).status_code == 303
        assert "person@example.com" in text(await until(there, address, "Signed in: far"))
        code = ended.partition("code=")[2].partition("&")[0]
        told = " ".join(await rows(other))
        assert code
        assert code not in told
        assert "localhost" not in told


async def test_it_is_ended_at_the_other_gateway(shared: Place) -> None:
    async with two(shared) as (one, other):
        one.simulator.sign_ins.person.does = "never"
        anna = await operator(one)
        address = await begun(anna, way="builder-id")
        there = at(anna, other)
        await until(there, address, "enter the code there")
        assert (await there.send(f"{address}/cancel")).headers["location"] == address
        for who in (there, anna):
            await until(who, address, "cancelled")
        await there.send(f"{address}/cancel")
        assert notice(await there.open(address)) == "It was over already."


async def test_an_import_is_looked_at_and_taken_at_the_other_gateway(shared: Place) -> None:
    async with two(shared, [kept("main")]) as (one, other):
        fresh = known(one, "fresh")
        anna = await operator(one)
        address = await previewed(anna, json.dumps([entry(fresh)]))
        there = at(anna, other)
        assert "Would be imported: 1" in text(await until(there, address, "nothing has been changed yet"))
        assert (await there.send(f"{address}/answer", {"answer": "everything"})).status_code == 400
        assert (await there.send(f"{address}/answer", {"answer": "take"})).status_code == 303
        await until(there, address, "The import is done")
        told = " ".join(await rows(other))
        for secret in ("fresh", fresh.refresh_token):
            assert secret not in told


async def test_nobody_elses_is_found_at_the_other_gateway(shared: Place) -> None:
    async with two(shared) as (one, other):
        one.simulator.sign_ins.person.does = "never"
        anna = await operator(one)
        await one.gateway.people.create_user(COMMAND_LINE, "ben", PASSWORD, Role.MEMBER)
        ben = browser(one)
        await ben.sign_in("ben")
        address = await begun(ben, way="builder-id")
        await until(at(ben, other), address, "enter the code there")
        there = at(anna, other)
        await there.open("/console")
        for answer in (
            await there.open(address),
            await there.send(f"{address}/cancel"),
            await there.send(f"{address}/answer", {"answer": "x"}),
        ):
            assert answer.status_code == 404
        task_id, anna_id = address.rsplit("/", 1)[1], (await other.gateway.people.user_named("anna")).id
        assert await other.gateway.several.tasks.pass_on(anna_id, task_id, ["cancel", anna_id, task_id]) is None
        asked = other.gateway.several.questions
        seal = other.gateway.several.tasks._sealed

        def forged(connection: Connection) -> str:
            return seal(connection, json.dumps(["cancel", anna_id, task_id]).encode(), "news/bringing/sealed")

        sealed = await other.gateway.accounts.shared.database.write(forged)
        assert await asked.ask("bringing", sealed) is None, "whoever asks, the one that runs it looks whose it is"
        assert "enter the code there" in text(await ben.open(address))


async def test_what_a_person_may_run_is_counted_over_all_gateways(shared: Place) -> None:
    async with two(shared) as (one, other):
        one.simulator.sign_ins.person.does = "never"
        anna = await operator(one)
        there = at(anna, other)
        for number in range(MOST_OF_ONE):
            await begun((anna, there)[number % 2], way="builder-id")
        for who in (anna, there):
            await who.open(SIGN_IN)
            refused = await who.send(SIGN_IN, {"way": "builder-id"})
            assert refused.status_code == 429


async def test_what_ran_in_a_gateway_that_is_gone_is_over_and_what_came_of_others_stays(shared: Place) -> None:
    async with two(shared) as (one, other):
        anna = await operator(one)
        there = at(anna, other)
        done = await begun(anna, way="google", name="work")
        await until(there, done, "Signed in: work")
        one.simulator.sign_ins.person.does = "never"
        address = await begun(anna, way="builder-id")
        await until(there, address, "enter the code there")
        one.stop.ask()
        one.stop.ask()
        await gateways.until(lambda: not other.gateway.several.has_others)
        assert (await there.open(address)).status_code == 404
        assert (await there.send(f"{address}/cancel")).status_code == 404
        told = (await there.open(f"{address}/events", accept="text/event-stream")).text
        assert "ended with the gateway that ran it" in told
        assert told.endswith("event: over\ndata: over\n\n")
        assert "Signed in: work" in text(await there.open(done))
        assert (await there.send(f"{done}/cancel")).status_code == 303
        assert notice(await there.open(done)) == "It was over already.", "nobody who is gone is asked"
        assert (await there.open(LIST)).status_code == 200


async def test_a_gateway_that_is_alone_writes_nothing_of_it_until_another_one_comes(shared: Place) -> None:
    async with one_of(shared) as one:
        one.simulator.sign_ins.person.does = "never"
        anna = await operator(one)
        address = await begun(anna, way="builder-id")
        await until(anna, address, "enter the code there")
        assert await rows(one) == []
        other = await one.another()
        with trio.fail_after(60):
            while not await rows(one):  # noqa: ASYNC110 - the database has no event here
                await trio.sleep(0.01)
        assert "enter the code there" in text(await until(at(anna, other), address, "enter the code there"))


async def test_what_is_forgotten_here_is_taken_from_the_others(shared: Place, monkeypatch: Any) -> None:
    async with two(shared) as (one, other):
        anna = await operator(one)
        address = await begun(anna, way="google", name="work")
        await until(at(anna, other), address, "Signed in: work")
        monkeypatch.setattr("kirotrio.web.bringing.tasks.REMEMBERED", 0)
        one.simulator.sign_ins.person.does = "never"
        await begun(anna, way="builder-id")
        with trio.fail_after(60):
            while (await at(anna, other).open(address)).status_code != 404:  # noqa: ASYNC110 - as above
                await trio.sleep(0.01)


async def test_what_a_visitor_waited_to_be_posted_is_posted_although_they_left(shared: Place, monkeypatch: Any) -> None:
    async with two(shared) as (one, other):
        tasks = one.gateway.several.tasks
        with trio.CancelScope() as leaving, monkeypatch.context() as context:

            async def write(_: Any) -> None:
                leaving.cancel()
                await trio.lowlevel.checkpoint()

            context.setattr(tasks, "_database", SimpleNamespace(write=write))
            context.setattr(tasks, "wake", lambda: None)  # so that the visitor's own wait is the one that writes
            tasks.show("anna", "task", lambda: {"running": True, "step": "ask"})
            context.delattr(tasks, "wake")
            await tasks.written()
        assert leaving.cancelled_caught
        with trio.fail_after(30):
            while await other.gateway.several.tasks.look("anna", "task") is None:  # noqa: ASYNC110 - as above
                await trio.sleep(0.01)
