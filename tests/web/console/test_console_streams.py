"""The page of running answers: who may see it, what it tells as it changes, ending one of them."""

from __future__ import annotations

from typing import Any

import httpx
import trio
from support.console import browser, notice
from support.stack import question

from kirotrio.access.audit import entries
from kirotrio.store.listing import Listing
from kirotrio.web.live import live_rows

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
