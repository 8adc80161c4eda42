"""Keys with limits over real sockets: exact where fifty ask at once, on both engines, in every dialect."""

from __future__ import annotations

import math
import time
from typing import Any

import httpx
import pytest
import trio
from support.engines import Place
from support.keys import client_of, give_out, used
from support.stack import Stack, question, running

from kirotrio.access.windows import Window
from kirotrio.kiro.models import ModelProfile
from kirotrio.store.database import Database

AT_ONCE = 50
PROFILE = ModelProfile("claude-sonnet-4.5", "")
UNLIMITED = {"max_concurrent": 0, "per_minute": 0, "max_queue": 1000}
ASKED: dict[str, dict[str, Any]] = {
    "/v1/messages": question(),
    "/v1/chat/completions": {"model": "claude-sonnet-4.5", "messages": [{"role": "user", "content": "Say hi"}]},
    "/v1/responses": {"model": "claude-sonnet-4.5", "input": "Say hi"},
}


def started(place: Place) -> Any:
    return running(place.data_dir, store={"url": place.url}, accounts=UNLIMITED)


async def ask_together(client: httpx.AsyncClient, number: int = AT_ONCE, text: str = "Say hi") -> list[int]:
    statuses: list[int] = []

    async def ask() -> None:
        answer = await client.post("/v1/messages", json=question(text))
        statuses.append(answer.status_code)

    async with trio.open_nursery() as nursery:
        for _ in range(number):
            nursery.start_soon(ask)
    return sorted(statuses)


def most_at_once(stack: Stack) -> int:
    """How many streams the upstream had open at one moment."""
    turns = [(one.opened.monotonic, 1) for one in stack.simulator.streams]
    turns += [(one.closed.monotonic, -1) for one in stack.simulator.streams if one.closed is not None]
    most = now = 0
    for _, turn in sorted(turns):
        now += turn
        most = max(most, now)
    return most


async def in_one_window(window: Window, needed: float = 8.0) -> None:
    """Wait for the next window where this one ends too soon."""
    left = window.end(time.time()) - time.time()
    if left < needed:
        await trio.sleep(left + 0.1)


async def test_of_fifty_requests_at_once_as_many_are_answered_as_may(place: Place) -> None:
    async with started(place) as stack:
        made = await give_out(stack, "ci", "month:requests=17")
        async with client_of(stack, made) as client:
            assert await ask_together(client) == [200] * 17 + [429] * 33
        assert (await used(stack, made))["month"][0] == 17
        assert len(stack.asked()) == 17


async def test_two_gateways_on_one_store_count_together(place: Place) -> None:
    async with started(place) as stack:
        other = await stack.another()
        made = await give_out(stack, "ci", "month:requests=17")
        statuses: list[int] = []

        async def ask(one: Stack) -> None:
            async with client_of(one, made) as client:
                statuses.extend(await ask_together(client, AT_ONCE // 2))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, stack)
            nursery.start_soon(ask, other)
        assert sorted(statuses) == [200] * 17 + [429] * 33
        assert (await used(stack, made))["month"][0] == 17


@pytest.mark.parametrize("limit", ["month:tokens=1", "month:credits=0.000001"])
async def test_tokens_and_credits_run_out_with_the_first_answer(place: Place, limit: str) -> None:
    async with started(place) as stack:
        made = await give_out(stack, "ci", limit)
        async with client_of(stack, made) as client:
            # What runs already may go beyond; whoever asks after the first end may not.
            answer = await client.post("/v1/messages", json=question())
            assert answer.status_code == 200
            assert await ask_together(client, 10) == [429] * 10
            usage = answer.json()["usage"]
        requests, tokens, worth = (await used(stack, made))["month"]
        assert requests == 1
        assert tokens == usage["input_tokens"] + usage["output_tokens"] + usage["cache_read_input_tokens"] + usage.get(
            "cache_creation_input_tokens", 0
        )
        assert worth > 0


async def test_fifty_answers_at_once_are_charged_in_full(place: Place) -> None:
    async with started(place) as stack:
        made = await give_out(stack, "ci", "month:tokens=1000000", "month:credits=1000")
        async with client_of(stack, made) as client:
            answers: list[dict[str, int]] = []

            async def ask() -> None:
                answers.append((await client.post("/v1/messages", json=question())).json()["usage"])

            async with trio.open_nursery() as nursery:
                for _ in range(AT_ONCE):
                    nursery.start_soon(ask)
        requests, tokens, _ = (await used(stack, made))["month"]
        assert requests == AT_ONCE
        assert tokens == sum(one["input_tokens"] + one["output_tokens"] for one in answers)


async def test_as_many_run_at_one_time_as_may(place: Place) -> None:
    async with started(place) as stack:
        made = await give_out(stack, "ci", max_concurrent=3)
        async with client_of(stack, made) as client:
            slow = "[[gap_ms=100 events=20]] Say hi"
            statuses = await ask_together(client, AT_ONCE, slow)
            assert statuses.count(200) >= 3
            assert set(statuses) <= {200, 429}
            assert most_at_once(stack) <= 3
            assert await ask_together(client, 3) == [200] * 3


@pytest.mark.parametrize("window", list(Window))
@pytest.mark.parametrize("path", list(ASKED))
async def test_the_refusal_tells_in_each_dialect_when_the_window_ends(tmp_path, path: str, window: Window) -> None:
    await in_one_window(window)
    async with running(tmp_path, accounts=UNLIMITED) as stack:
        made = await give_out(stack, "ci", f"{window.value}:requests=1")
        async with client_of(stack, made) as client:
            assert (await client.post(path, json=ASKED[path])).status_code == 200
            for _ in range(2):  # from the store, then from what is remembered of it
                refused = await client.post(path, json=ASKED[path])
                assert refused.status_code == 429
                left = window.end(time.time()) - time.time()
                assert 0 <= int(refused.headers["retry-after"]) - left < 2
                error = refused.json()["error"]
                assert f"its 1 requests of this {window.value}; the next one begins at 2" in error["message"]
                if path == "/v1/messages":
                    assert error["type"] == "rate_limit_error"
                else:
                    assert error["type"] == "rate_limit_exceeded" or error["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize("path", list(ASKED))
async def test_a_stream_over_its_budget_is_refused_before_it_begins(tmp_path, path: str) -> None:
    async with running(tmp_path, accounts=UNLIMITED) as stack:
        made = await give_out(stack, "ci", "month:requests=0")
        async with client_of(stack, made) as client:
            for prefix in ("", "/cc"):
                answer = await client.post(prefix + path, json={**ASKED[path], "stream": True})
                assert answer.status_code == 429
                assert answer.headers["content-type"].startswith("application/json")
        assert stack.asked() == []


async def test_what_asks_for_no_answer_is_free_where_a_limit_is_used_up(tmp_path) -> None:
    async with running(tmp_path, accounts=UNLIMITED) as stack:
        made = await give_out(stack, "ci", "month:requests=1")
        async with client_of(stack, made) as client:
            answered = await client.post("/v1/responses", json=ASKED["/v1/responses"])
            stored = f"/v1/responses/{answered.json()['id']}"
            refused = [(await client.post(path, json=body)).status_code for path, body in ASKED.items()]
            assert refused == [429, 429, 429], "from here on it is remembered that nothing is left"
            counted = await client.post("/v1/messages/count_tokens", json=ASKED["/v1/messages"])
            free = [await client.get(path) for path in ("/v1/models", stored, f"{stored}/input_items")]
            free += [counted, await client.delete(stored)]
            assert [(str(one.url), one.status_code) for one in free if one.status_code != 200] == []
        assert (await used(stack, made))["month"][0] == 1


async def test_a_client_that_leaves_pays_for_what_it_was_given_once(tmp_path) -> None:
    async with running(tmp_path, accounts=UNLIMITED) as stack:
        made = await give_out(stack, "ci", "month:tokens=1000000", max_concurrent=1)
        body = question("[[gap_ms=50 events=2000]] Say hi", stream=True)
        async with client_of(stack, made) as client:
            async with client.stream("POST", "/v1/messages", json=body) as answer:
                seen = b""
                async for piece in answer.aiter_raw():
                    seen += piece
                    if seen.count(b"content_block_delta") > 5:
                        break
            await stack.wait_for_closed_stream()
            with trio.fail_after(10):
                await stack.gateway.relay.streams.wait_empty()
            requests, tokens, _ = (await used(stack, made))["month"]
            assert requests == 1
            assert tokens > 0
            # Its place is free again, and nothing is charged twice.
            second = await client.post("/v1/messages", json=question())
            assert second.status_code == 200
            usage = second.json()["usage"]
        assert (await used(stack, made))["month"][:2] == (2, tokens + usage["input_tokens"] + usage["output_tokens"])


async def test_what_the_upstream_refuses_costs_its_request_and_nothing_else(tmp_path) -> None:
    async with running(tmp_path, accounts=UNLIMITED) as stack:
        made = await give_out(stack, "ci", "month:tokens=1000000", max_concurrent=1)
        async with client_of(stack, made) as client:
            for _ in range(2):
                failed = await client.post("/v1/messages", json=question("[[status=400]] Say hi"))
                assert failed.status_code >= 400
        assert await used(stack, made) == {"month": (2, 0, 0.0)}


async def test_a_key_without_limits_costs_no_step_of_the_database(tmp_path, monkeypatch) -> None:
    async with running(tmp_path, accounts=UNLIMITED, store={"look_every": 1000.0}) as stack:
        made = await give_out(stack)
        steps: list[str] = []
        for name in ("read", "write"):
            step = getattr(Database, name)

            async def counted(self: Database, work: Any, name: str = name, step: Any = step) -> Any:
                # Records of requests are written beside them, whatever key they came with.
                if "RecordWriter" not in work.__qualname__:
                    steps.append(f"{name} {work.__qualname__}")
                return await step(self, work)

            monkeypatch.setattr(Database, name, counted)
        async with client_of(stack, made) as client:
            assert await ask_together(client, 5) == [200] * 5
        own = [step for step in steps if "Counting" in step or "Book" in step]
        assert own == []


async def test_clients_that_hang_up_ahead_of_the_end_come_to_the_end_of_their_credits(tmp_path) -> None:
    """The upstream tells what an answer costs in its last event, which they do not wait for."""
    async with running(tmp_path, accounts=UNLIMITED) as stack:
        made = await give_out(stack, "ci", "month:credits=0.01")
        statuses = []
        async with client_of(stack, made) as client:
            for _ in range(40):
                body = question("[[gap_ms=1 events=2000]] Say hi", stream=True)
                async with client.stream("POST", "/v1/messages", json=body) as answer:
                    statuses.append(answer.status_code)
                    seen = b""
                    async for piece in answer.aiter_raw():
                        seen += piece
                        if seen.count(b"content_block_delta") > 15:
                            break
                with trio.fail_after(20):
                    await stack.gateway.relay.streams.wait_empty()
                if answer.status_code != 200:
                    break
        assert statuses[-1] == 429, "credits of answers that were cut are never used up"
        assert (await used(stack, made))["month"][2] >= 0.01


async def test_what_a_cut_answer_is_charged_is_learned_from_finished_ones(tmp_path) -> None:
    async with running(tmp_path, accounts=UNLIMITED) as stack:
        made = await give_out(stack, "ci", "month:credits=1000")
        async with client_of(stack, made) as client:
            first = stack.gateway.relay.prices.estimate(PROFILE, 100, 100)
            await client.post("/v1/messages", json=question("[[events=50]] Say hi"))
            told = (await used(stack, made))["month"][2]
            assert told > 0
            assert stack.gateway.relay.prices.estimate(PROFILE, 100, 100) != first


@pytest.mark.parametrize("limit", ["month:tokens=300", "month:credits=0.02"])
async def test_of_many_that_wait_for_a_place_none_goes_beyond_what_those_that_ran_have_used(
    tmp_path, limit: str
) -> None:
    accounts = {**UNLIMITED, "max_concurrent": 4}
    async with running(tmp_path, accounts=accounts) as stack:
        made = await give_out(stack, "ci", limit)
        async with client_of(stack, made) as client:
            statuses = await ask_together(client, 30, "[[events=20 gap_ms=2]] Say hi")
            answered = statuses.count(200)
            assert set(statuses) == {200, 429}
            _, tokens, worth = (await used(stack, made))["month"]
            of_each = (tokens if "tokens" in limit else worth) / answered
            most = float(limit.partition("=")[2])
            assert answered <= math.ceil(most / of_each) - 1 + 4, "one that had not begun went on"
            assert len(stack.asked()) == answered, "the upstream was asked in vain"
