"""The page of running answers: who may see it, what it tells as it changes, ending one of them."""

from __future__ import annotations

import io
from typing import Any

import attrs
import httpx
import trio
from rich.console import Console
from support.console import PASSWORD, browser, notice
from support.gateways import until
from support.stack import KEY, question

from kirotrio.access.audit import COMMAND_LINE, entries
from kirotrio.cli.live_view import page
from kirotrio.errors import StoreUnavailable
from kirotrio.store.listing import Listing
from kirotrio.store.user_record import Role
from kirotrio.web.live import live_rows, snapshot

SCRIPT = "<script>alert(1)</script>"


async def held(s: Any, got: list[httpx.Response]) -> None:
    async with s.client() as http:
        got.append(await http.post("/v1/messages", json=question("[[stall_after=1]]", model="claude-sonnet-4-5")))


async def test_an_operator_watches_an_answer_and_ends_it(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up("anna")
        assert "No answer is running." in (await anna.open("/console/streams")).text
        got: list[httpx.Response] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(held, s, got)
            await s.wait_for_stream()
            (row,) = await live_rows(s.gateway)
            text = (await anna.open("/console/streams")).text
            assert "claude-sonnet-4-5" in text
            assert f"/console/streams/{row.id}/cancel" in text
            ended = await anna.send(f"/console/streams/{row.id}/cancel")
            assert ended.headers["location"] == "/console/streams"
        assert got[0].status_code == 403
        assert notice(await anna.open("/console/streams")) == "The answer was ended."
        await anna.send(f"/console/streams/{row.id}/cancel")
        assert notice(await anna.open("/console/streams")) == "This answer had come to its end already."
        noted = await entries(s.gateway.accounts.shared.database, Listing())
        assert [one.action for one in noted.rows if one.subject == row.id] == ["answer.cancel"]


async def test_nobody_else_sees_or_ends_answers(stack):
    async with stack() as s:
        stranger = browser(s)
        await browser(s).set_up("anna")
        for path in ("/console/streams", "/console/streams/events"):
            answer = await stranger.open(path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/console/sign-in")
        answer = await stranger.request("POST", "/console/streams/req_1/cancel")
        assert answer.status_code in (303, 403)


async def ask_with(s: Any, key: str, got: list[httpx.Response]) -> None:
    async with s.client(headers={"x-api-key": key}) as http:
        got.append(await http.post("/v1/messages", json=question("[[stall_after=1]]")))


async def test_a_member_sees_and_ends_the_answers_of_their_own_keys_alone(stack):
    async with stack() as s:
        people, anna, mia, vera = s.gateway.people, browser(s), browser(s), browser(s)
        await anna.set_up("anna")
        keys = {}
        for name, role in (("mia", Role.MEMBER), ("mo", Role.MEMBER), ("vera", Role.VIEWER)):
            user = await people.create_user(COMMAND_LINE, name, PASSWORD, role)
            made = await s.gateway.keys.create(COMMAND_LINE, f"key of {name} {SCRIPT}", owner_id=user.id)
            keys[name] = made.secret
        await mia.sign_in("mia")
        await vera.sign_in("vera")
        assert "No answer to your keys is running." in (await mia.open("/console/streams")).text
        got: dict[str, list[httpx.Response]] = {"mia": [], "mo": [], "anna": []}
        async with trio.open_nursery() as nursery:
            for name, key in (("mia", keys["mia"]), ("mo", keys["mo"]), ("anna", KEY)):
                nursery.start_soon(ask_with, s, key, got[name])
            await until(lambda: len(s.gateway.relay.streams) == 3)
            rows = await live_rows(s.gateway)
            of = {row.key_name.split(" ")[2] if row.key_name else "anna": row.id for row in rows}
            seen = (await mia.open("/console/streams")).text
            assert [name for name, answer in of.items() if answer in seen] == ["mia"]
            assert "key of mia &lt;script&gt;" in seen
            assert SCRIPT not in seen
            everything = (await anna.open("/console/streams")).text
            assert all(answer in everything for answer in of.values())
            for others in ("mo", "anna"):
                await mia.send(f"/console/streams/{of[others]}/cancel")
                assert notice(await mia.open("/console/streams")) == "This answer had come to its end already."
            assert {row.id for row in await live_rows(s.gateway)} == set(of.values()), "nobody else's was ended"
            for path in ("/console/streams", "/console/streams/events"):
                assert (await vera.open(path)).status_code == 403
            await vera.open("/console/me")
            assert (await vera.send(f"/console/streams/{of['mia']}/cancel")).status_code == 403
            await mia.send(f"/console/streams/{of['mia']}/cancel")
            assert notice(await mia.open("/console/streams")) == "The answer was ended."
            await until(lambda: got["mia"])
            assert got["mia"][0].status_code == 403
            assert (got["mo"], got["anna"]) == ([], [])
            noted = await entries(s.gateway.accounts.shared.database, Listing())
            assert [(one.actor, one.subject) for one in noted.rows if one.action == "answer.cancel"] == [
                ("mia", of["mia"])
            ]
            nursery.cancel_scope.cancel()


async def test_what_is_sent_as_it_changes_has_a_members_own_answers_alone(stack):
    async with stack() as s:
        mia = browser(s)
        await browser(s).set_up("anna")
        user = await s.gateway.people.create_user(COMMAND_LINE, "mia", PASSWORD, Role.MEMBER)
        made = await s.gateway.keys.create(COMMAND_LINE, "mine", owner_id=user.id)
        await mia.sign_in("mia")
        async with trio.open_nursery() as nursery:
            for key in (KEY, made.secret):
                nursery.start_soon(ask_with, s, key, [])
            await until(lambda: len(s.gateway.relay.streams) == 2)
            rows = await live_rows(s.gateway)
            own = {row.key_name: row.id for row in rows}
            told = ""
            async with httpx.AsyncClient(trust_env=False, timeout=20, cookies=mia.cookies) as http:
                async with http.stream("GET", f"{s.url}/console/streams/events") as events:
                    async for piece in events.aiter_text():
                        told += piece
                        if "event: answers" in told and told.endswith("\n\n"):
                            break
            assert own["mine"] in told
            assert own[""] not in told
            nursery.cancel_scope.cancel()


class Cut:
    """What one of several gateways shares with the others, while the database is away."""

    async def others(self):
        raise StoreUnavailable("it is away")


async def test_one_of_several_gateways_says_whose_answers_it_shows_where_it_knows_no_others(stack, monkeypatch):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up("anna")
        assert "answers of the gateway" not in (await anna.open("/console/streams")).text
        assert (await snapshot(s.gateway)).gateway == ""
        monkeypatch.setattr(s.gateway, "several", Cut())
        monkeypatch.setattr(s.gateway, "name", f"left{SCRIPT}")
        text = (await anna.open("/console/streams")).text
        assert "the gateway left&lt;script&gt;alert(1)&lt;/script&gt; alone" in text
        told = attrs.asdict(await snapshot(s.gateway))
        console = Console(width=300, record=True, file=io.StringIO())
        console.print(page({**told, "version": "1", "at": 0.0}))
        assert f"of the gateway left{SCRIPT} alone" in console.export_text()
