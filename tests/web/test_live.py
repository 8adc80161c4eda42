"""What is told of running answers, and ending one of them, over real sockets."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from support.keys import ACTOR
from support.stack import Stack, question, running

from kirotrio.access.audit import entries
from kirotrio.relay.streams import LiveRow, LiveState
from kirotrio.store.listing import Listing
from kirotrio.web.live import cancel, live_rows


async def rows_where(stack: Stack, wanted: Callable[[list[LiveRow]], bool]) -> list[LiveRow]:
    """The running answers, once they are as wanted."""
    with trio.fail_after(10):
        while True:
            rows = await live_rows(stack.gateway)
            if wanted(rows):
                return rows
            await trio.sleep(0.01)  # what happens behind a socket has no event here


async def row_where(stack: Stack, state: LiveState) -> LiveRow:
    """The only running answer, once it is in this state."""
    (row,) = await rows_where(stack, lambda rows: [row.state for row in rows] == [state.value])
    return row


async def ask(stack: Stack, got: list[httpx.Response], text: str, path: str = "/v1/messages", **changes: Any) -> None:
    async with stack.client() as http:
        got.append(await http.post(path, json=question(text, **changes)))


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_told_of_from_its_first_moment_to_its_end(tmp_path: Path, stream: bool) -> None:
    async with running(tmp_path) as stack:
        assert await live_rows(stack.gateway) == []
        got: list[httpx.Response] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(ask, stack, got, "[[events=40 size=40 stall_after=30]]", stream=stream))
            first = await row_where(stack, LiveState.ANSWERING)
            assert (first.model, first.surface, first.key_id) == ("claude-sonnet-4-5", "messages", "test")
            assert first.account
            assert first.attempts == 1
            assert first.first_event_seconds is not None
            (then,) = await rows_where(stack, lambda rows: rows[0].output_tokens >= 200)
            assert then.id == first.id
            assert then.began == first.began == pytest.approx(time.time() - then.age, abs=60)
            assert then.age >= first.age >= first.first_event_seconds
            assert await cancel(stack.gateway, ACTOR, then.id)
        assert await live_rows(stack.gateway) == []
        assert got[0].headers["request-id"] == then.id


async def test_an_upstream_that_keeps_silent_is_told_as_asked(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, trio.open_nursery() as nursery:
        nursery.start_soon(ask, stack, [], "[[first_ms=60000]]")
        row = await row_where(stack, LiveState.ACCEPTED)
        assert (row.first_event_seconds, row.output_tokens) == (None, 0)
        nursery.cancel_scope.cancel()


async def test_one_without_a_place_is_queued(tmp_path: Path) -> None:
    async with running(tmp_path, accounts={"max_concurrent": 1}) as stack, trio.open_nursery() as nursery:
        nursery.start_soon(ask, stack, [], "[[stall_after=1]]")
        await row_where(stack, LiveState.ANSWERING)
        nursery.start_soon(ask, stack, [], "second")
        rows = await rows_where(stack, lambda rows: len(rows) == 2)
        assert [row.state for row in rows] == ["answering", "queued"], "the oldest comes first"
        assert rows[1].account == ""
        nursery.cancel_scope.cancel()


async def test_a_stream_that_is_ended_ends_legally_and_its_upstream_connection_closes(tmp_path: Path) -> None:
    async with running(tmp_path) as stack:
        got: list[httpx.Response] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(ask, stack, got, "[[events=9 stall_after=3]]", stream=True))
            row = await row_where(stack, LiveState.ANSWERING)
            assert not await cancel(stack.gateway, ACTOR, "req_of_nobody")
            assert await cancel(stack.gateway, ACTOR, row.id)
            await stack.wait_for_closed_stream()
        last = got[0].text.split("\n\n")[-2]
        assert last.startswith("event: error\n")
        assert "permission_error" in last
        assert "a person has ended this answer" in last
        (line,) = [fields for _, event, fields in stack.log.lines if event == "request finished"]
        assert line["outcome"] == "cancelled"
        assert not await cancel(stack.gateway, ACTOR, row.id), "it is over"


async def test_who_ends_one_over_the_api_is_in_the_audit_log(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, stack.client() as http:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, stack, [], "[[first_ms=60000]]")
            row = await row_where(stack, LiveState.ACCEPTED)
            assert (await http.post(f"/live/{row.id}/cancel")).status_code == 200
        noted = (await entries(stack.gateway.accounts.shared.database, Listing())).rows
    (line,) = [entry for entry in noted if entry.action == "answer.cancel"]
    assert (line.actor, line.subject, line.address) == ("the gateway's own key", row.id, "127.0.0.1")


async def test_before_its_first_byte_it_is_a_status_that_no_client_retries(tmp_path: Path) -> None:
    async with running(tmp_path) as stack:
        got: list[httpx.Response] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, stack, got, "[[first_ms=60000]]")
            row = await row_where(stack, LiveState.ACCEPTED)
            assert await cancel(stack.gateway, ACTOR, row.id)
        assert (got[0].status_code, got[0].headers["x-should-retry"]) == (403, "false")


async def test_the_snapshot_names_answers_accounts_and_what_was_done_lately(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, trio.open_nursery() as nursery:
        await ask(stack, [], "first")
        nursery.start_soon(ask, stack, [], "[[stall_after=1]]")
        row = await row_where(stack, LiveState.ANSWERING)
        async with stack.client() as http:
            told = (await http.get("/live")).json()
        assert [one["id"] for one in told["answers"]] == [row.id]
        assert [(one["state"], one["busy"]) for one in told["accounts"]] == [("ready", 1)]
        assert told["lately"]["answers"] == 1
        assert told["lately"]["output_tokens"] > 0
        async with stack.client() as http:
            assert (await http.post(f"/live/{row.id}/cancel")).json() == {"cancelled": row.id}
            with trio.fail_after(10):
                while (await http.get("/live")).json()["answers"]:
                    pass
            assert (await http.post(f"/live/{row.id}/cancel")).status_code == 404
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("way", ["GET /live", "POST /live/req_1/cancel"])
async def test_nobody_without_the_gateways_own_key_is_told(tmp_path: Path, way: str) -> None:
    method, path = way.split()
    async with running(tmp_path) as stack:
        for headers, status in (
            ({"x-api-key": ""}, 401),
            ({"x-api-key": "sk-kt-somebody-elses-key"}, 401),
            ({"x-forwarded-for": "192.0.2.7"}, 403),
            ({"forwarded": "for=192.0.2.7"}, 403),
        ):
            async with stack.client(headers=headers) as http:
                assert (await http.request(method, path)).status_code == status, headers


async def test_another_machine_is_told_nothing_even_with_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kirotrio.web.wire._address_of", lambda _: "192.0.2.7")
    async with running(tmp_path) as stack, stack.client() as http:
        assert (await http.get("/live")).status_code == 403
        assert (await http.get("/health")).status_code == 200
