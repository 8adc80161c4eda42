"""The playground's page and its keys over real sockets: who gets one, what it may do, when it ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from support.console import PASSWORD, Browser, browser
from support.engines import Place
from support.forks import Forked, Nest
from support.gateways import ready, world
from support.several import kept
from support.stack import Stack, question, running

from kirotrio.access.audit import COMMAND_LINE, entries
from kirotrio.access.modes import ServiceMode
from kirotrio.access.short_keys import LASTS, SHORT
from kirotrio.store.listing import Listing
from kirotrio.store.user_record import Role

PAGE, KEY = "/console/playground", "/console/playground/key"
OWN_KEYS = {"own_keys": True}
"""Where members make keys for any account they have a playground."""
APIS = ("/v1/messages", "/cc/v1/messages", "/v1/chat/completions", "/v1/responses")


def body_for(path: str) -> dict[str, Any]:
    asked = question()
    return {"model": asked["model"], "input": "Say hi"} if path.endswith("responses") else asked


async def key_of(person: Browser) -> str:
    """A key, asked for as the page's script does."""
    await person.open(PAGE)
    given = await person.send(KEY)
    assert given.status_code == 200, given.text
    told = given.json()
    assert 0 < told["seconds"] <= LASTS
    assert given.headers["cache-control"] == "no-store"
    return str(told["key"])


async def signed_in(s: Stack, name: str, role: Role) -> Browser:
    if await s.gateway.people.user_named(name) is None:
        await s.gateway.people.create_user(COMMAND_LINE, name, PASSWORD, role)
    person = browser(s)
    assert (await person.sign_in(name)).status_code == 303
    return person


@asynccontextmanager
async def holding(url: str, key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=60, trust_env=False
    ) as http:
        yield http


async def test_the_page_offers_every_api_and_the_gateways_models_and_holds_no_key(stack):
    async with stack(models={"alias": {"<b>mine": "claude-sonnet-4.5"}}) as s:
        anna = browser(s)
        await anna.set_up()
        text = (await anna.open(PAGE)).text
        for path in APIS:
            assert f'data-path="{path}"' in text
        async with s.client() as http:
            listed = {model["id"] for model in (await http.get("/v1/models")).json()["data"]}
        assert 'value="claude-sonnet-4.5" selected' in text
        assert "claude-sonnet-4.5" in listed
        assert 'value="&lt;b&gt;mine"' in text
        assert "<b>mine" not in text
        assert SHORT not in text
        assert "<noscript>" in text
        assert "needs a script" in text.partition("<noscript>")[2].partition("</noscript>")[0]


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.MEMBER])
async def test_its_key_asks_every_api_and_lists_the_models(stack, role):
    async with stack(users=OWN_KEYS) as s:
        await browser(s).set_up("anna")
        key = await key_of(await signed_in(s, "ben", role))
        async with holding(s.url, key) as http:
            for path in APIS:
                answer = await http.post(path, json=body_for(path))
                assert answer.status_code == 200, answer.text
            assert (await http.get("/v1/models")).status_code == 200
            assert (await http.get("/live")).status_code == 403, "it is not the gateway's own"
        assert key not in repr(s.log.lines)


async def test_a_viewer_and_a_stranger_get_none(stack):
    async with stack() as s:
        await browser(s).set_up("anna")
        ben = await signed_in(s, "ben", Role.VIEWER)
        assert (await ben.open(PAGE)).status_code == 403
        await ben.open("/console/me")
        assert (await ben.send(KEY)).status_code == 403
        assert PAGE not in (await ben.open("/console")).text
        stranger = browser(s)
        assert (await stranger.open(PAGE)).headers["location"].startswith("/console/sign-in")
        await stranger.open("/console/sign-in")
        assert (await stranger.send(KEY)).headers["location"] == "/console/sign-in"


async def test_another_site_cannot_have_one_made(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open(PAGE)
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            assert (await anna.send(KEY, **headers)).status_code == 403
        assert (await anna.send(KEY, {"csrf": "wrong"})).status_code == 403
        assert (await anna.request("GET", KEY)).status_code in (404, 405)
        log = await entries(s.gateway.accounts.shared.database, Listing())
        assert "playground.key" not in [one.action for one in log.rows]
        await key_of(anna)
        log = await entries(s.gateway.accounts.shared.database, Listing())
        (noted,) = [one for one in log.rows if one.action == "playground.key"]
        assert (noted.actor, noted.subject, noted.address) == ("anna", "anna", "127.0.0.1")


async def test_it_ends_with_the_sign_in_and_what_runs_goes_on(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        key = await key_of(anna)
        async with holding(s.url, key) as http:
            body = question("[[scenario=long events=30 gap_ms=20]] x", stream=True)
            async with http.stream("POST", "/v1/messages", json=body) as answer:
                lines = answer.aiter_lines()
                await anext(lines)
                await anna.send("/console/sign-out")
                refused = await http.post("/v1/messages", json=question())
                assert refused.status_code == 401
                assert "has ended; sign in again" in refused.json()["error"]["message"]
                rest = [line async for line in lines]
        assert "event: message_stop" in rest


async def test_it_is_a_key_of_its_users(tmp_path: Path) -> None:
    """What is theirs, the gateway's, and what is lent; never what another keeps private."""
    async with running(tmp_path) as s:
        await browser(s).set_up("anna")
        await signed_in(s, "ben", Role.MEMBER)
        ben, anna = [await s.gateway.people.user_named(name) for name in ("ben", "anna")]
        assert ben is not None
        assert anna is not None
    accounts = (
        kept("gateways"),
        kept("mine", row={"owner_id": ben.id, "lent": False}),
        kept("lent", row={"owner_id": anna.id, "lent": True}),
        kept("private", row={"owner_id": anna.id, "lent": False}),
    )
    async with running(tmp_path, accounts, users=OWN_KEYS) as s:
        keys = {name: await key_of(await signed_in(s, name, Role.MEMBER)) for name in ("ben", "anna")}
        for name, closed in (("ben", "private"), ("anna", "mine")):
            async with holding(s.url, keys[name]) as http:
                for account in ("gateways", "mine", "lent", "private"):
                    answer = await http.post(f"/a/{account}/v1/messages", json=question())
                    assert (answer.status_code == 200) is (account != closed), f"{name} at {account}: {answer.text}"


async def test_its_requests_are_its_users_and_say_what_they_came_with(stack):
    async with stack(users=OWN_KEYS) as s:
        anna = browser(s)
        await anna.set_up("anna")
        people = {name: await signed_in(s, name, Role.MEMBER) for name in ("ben", "carla")}
        async with holding(s.url, await key_of(people["ben"])) as http:
            asked = (await http.post("/v1/messages", json=question())).headers["request-id"]
        page = f"/console/requests/{asked}"
        with trio.fail_after(20):
            while (await anna.open(page)).status_code == 404:  # noqa: ASYNC110 - the other side of a socket has no event
                await trio.sleep(0.1)
        for person in (anna, people["ben"]):
            assert "playground (ben)" in (await person.open(page)).text
            for asks in ("", "?search=playground", "?key=playground+(ben)"):
                assert asked in (await person.open(f"/console/requests{asks}")).text
            assert asked not in (await person.open("/console/requests?key=playground+(carla)")).text
        assert (await people["carla"].open(page)).status_code == 404
        assert asked not in (await people["carla"].open("/console/requests")).text
        ben = await s.gateway.people.user_named("ben")
        finished = [fields for _, said, fields in s.log.lines if said == "request finished"]
        (line,) = [one for one in finished if one["key"].startswith("playground")]
        assert line["key"] == f"playground:{ben.id}"


async def test_maintenance_and_self_use_hold_for_it(stack):
    async with stack(users=OWN_KEYS) as s:
        anna = browser(s)
        await anna.set_up("anna")
        keys = {"anna": await key_of(anna), "ben": await key_of(await signed_in(s, "ben", Role.MEMBER))}

        async def status(name: str) -> int:
            async with holding(s.url, keys[name]) as http:
                return (await http.post("/v1/messages", json=question())).status_code

        await s.gateway.modes.change(COMMAND_LINE, ServiceMode.SELF_USE)
        assert (await status("anna"), await status("ben")) == (200, 403)
        await s.gateway.modes.change(COMMAND_LINE, ServiceMode.MAINTENANCE)
        assert (await status("anna"), await status("ben")) == (503, 503)
        await s.gateway.modes.change(COMMAND_LINE, ServiceMode.OPEN)
        assert (await status("anna"), await status("ben")) == (200, 200)


async def test_all_keys_of_one_user_are_counted_together(stack):
    async with stack(server={"rate_per_minute": 3}, users=OWN_KEYS) as s:
        anna = browser(s)
        await anna.set_up("anna")
        statuses = []
        for key in (await key_of(anna), await key_of(anna)):
            async with holding(s.url, key) as http:
                statuses += [(await http.post("/v1/messages", json=question())).status_code for _ in range(2)]
        assert statuses == [200, 200, 200, 429]
        async with holding(s.url, await key_of(await signed_in(s, "ben", Role.MEMBER))) as http:
            assert (await http.post("/v1/messages", json=question())).status_code == 200


async def test_what_one_gateway_made_another_takes_until_the_sign_in_ends(place: Place) -> None:
    async with running(place.data_dir, store={"url": place.url}) as s:
        other = await s.another()
        anna = browser(s)
        await anna.set_up("anna")
        key = await key_of(anna)
        async with holding(other.url, key) as http:
            assert (await http.post("/v1/messages", json=question())).status_code == 200
            await anna.send("/console/sign-out")
            assert (await http.post("/v1/messages", json=question())).status_code == 401


async def test_a_key_of_another_store_is_refused(stack, tmp_path):
    async with stack() as s, running(tmp_path / "other") as stranger:
        theirs = browser(stranger)
        await theirs.set_up("anna")
        await browser(s).set_up("anna")
        async with holding(s.url, await key_of(theirs)) as http:
            assert (await http.post("/v1/messages", json=question())).status_code == 401


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="workers need fork")
async def test_with_workers_it_matters_not_which_of_them_made_it(place: Place, nest: Nest) -> None:
    async with world(place.data_dir, kept("work"), url=place.url) as w:
        await w.keep(kept("work"))
        process = w.start(nest, options=["--workers", "2"])
        url = await ready(process)
        anna = Browser(url, {})
        await anna.set_up("anna")
        keys = [await key_of(anna) for _ in range(4)]
        answers: list[httpx.Response] = []

        async def ask(key: str) -> None:
            async with holding(url, key) as http:
                answers.append(await http.post("/v1/messages", json=question()))

        with trio.fail_after(60):
            while workers_of(process) != {1, 2}:
                async with trio.open_nursery() as nursery:
                    for key in keys:
                        nursery.start_soon(ask, key)
        assert {answer.status_code for answer in answers} == {200}
        await anna.open(PAGE)
        await anna.send("/console/sign-out")
        answers.clear()
        async with trio.open_nursery() as nursery:
            for key in keys * 3:
                nursery.start_soon(partial(ask, key))
        assert {answer.status_code for answer in answers} == {401}


def workers_of(process: Forked) -> set[int]:
    """Those that have answered with a playground's key."""
    said = [json.loads(line) for line in process.said.splitlines() if line.startswith("{")]
    return {one["worker"] for one in said if one["event"] == "request finished" and "playground:" in one.get("key", "")}
