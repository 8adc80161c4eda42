"""/metrics of a running gateway: who may scrape, and what is told after real requests."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from support.keys import OWNER, add_owner, give_out
from support.stack import KEY, Stack, question, running

from kirotrio.access.audit import COMMAND_LINE
from kirotrio.access.budget import Amount, Budget
from kirotrio.access.windows import Window

CANARY = "canary-5e0c"


async def scrape(stack: Stack, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=stack.url, timeout=30, trust_env=False) as http:
        return await http.get("/metrics", headers=headers)


def samples(text: str) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, *sorted(sample.labels.values())] = sample.value
    return found


async def test_what_a_gateway_did_is_scraped(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, stack.client() as http:
        await http.post("/v1/messages", json=question("[[events=5 gap_ms=30]]", stream=True))
        await http.post("/v1/messages", json={"model": CANARY, "messages": CANARY}, headers={"user-agent": CANARY})
        await http.post("/v1/messages", json=question(), headers={"x-api-key": f"sk-kt-{CANARY}-0123456789"})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: http.post("/v1/messages", json=question("[[stall_after=1]]", stream=True)))
            with trio.fail_after(10):
                while len(stack.simulator.streams) < 2:  # noqa: ASYNC110 - the other side of a socket has no event
                    await trio.sleep(0.01)
            answer = await scrape(stack)
            nursery.cancel_scope.cancel()
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = samples(answer.text)
    assert found["kirotrio_requests_total", "claude-sonnet", "end_turn", "finished", "messages"] == 1
    assert found["kirotrio_requests_total", "", "body_invalid", "messages", "refused"] == 1
    assert found["kirotrio_requests_total", "", "authentication", "messages", "refused"] == 1
    assert found["kirotrio_time_to_first_token_seconds_count", "claude-sonnet"] == 1
    assert found["kirotrio_event_gap_seconds_count",] >= 4
    assert found["kirotrio_live_streams",] == 1
    assert found["process_open_fds",] > 0
    assert CANARY not in answer.text
    assert KEY not in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8000"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "rebound.example"}, 401),
        ({"x-forwarded-for": "192.0.2.7"}, 401),
        ({"x-forwarded-for": "127.0.0.1"}, 401),
        ({"forwarded": "for=192.0.2.7"}, 401),
        ({"x-api-key": "sk-kt-not-the-right-one"}, 200),
        ({"host": "rebound.example", "x-api-key": "sk-kt-not-the-right-one"}, 401),
        ({"host": "gateway.example", "x-api-key": KEY}, 200),
        ({"host": "gateway.example", "authorization": f"Bearer {KEY}"}, 200),
        ({"x-forwarded-for": "192.0.2.7", "x-api-key": KEY}, 200),
    ],
)
async def test_who_is_not_on_this_machine_needs_a_key(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    async with running(tmp_path) as stack:
        assert (await scrape(stack, **headers)).status_code == status


async def test_a_key_for_certain_apis_does_not_open_it(tmp_path: Path) -> None:
    async with running(tmp_path) as stack:
        bound = await give_out(stack, "bound", surfaces=("chat",))
        whole = await give_out(stack, "whole")
        for made, status in ((bound, 403), (whole, 200)):
            key = {"x-api-key": made.secret, "host": "gateway.example"}
            assert (await scrape(stack, **key)).status_code == status, made.record.name


async def test_a_users_key_does_not_open_it_since_it_tells_of_everybody(tmp_path: Path) -> None:
    async with running(tmp_path) as stack:
        await stack.gateway.accounts.shared.database.write(add_owner)
        made = await give_out(stack, "anna's", owner_id=OWNER)
        answer = await scrape(stack, **{"x-api-key": made.secret, "host": "gateway.example"})
        assert answer.status_code == 403
        assert "kirotrio_" not in answer.text
        assert "belongs to no user" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("client", "status"), [("192.0.2.7", 401), ("127.0.0.1", 200)])
async def test_behind_a_trusted_proxy_the_client_counts(tmp_path: Path, client: str, status: int) -> None:
    async with running(tmp_path, access={"trusted_proxies": "127.0.0.1"}) as stack:
        assert (await scrape(stack, **{"x-forwarded-for": client})).status_code == status


async def test_a_scrape_is_none_of_the_requests_that_a_key_may_make(tmp_path: Path) -> None:
    async with running(tmp_path, server={"rate_per_minute": 3}) as stack:
        budget = Budget({Window.DAY: Amount(1, None, None)})
        made = await stack.gateway.keys.create(COMMAND_LINE, "prometheus", budget=budget)
        asking = {"x-api-key": made.secret, "host": "gateway.example"}
        for _ in range(5):
            assert (await scrape(stack, **asking)).status_code == 200, "scraping alone uses nothing up"
        async with stack.client(headers=asking) as http:
            assert (await http.post("/v1/messages", json=question())).status_code == 200
            assert (await http.post("/v1/messages", json=question())).status_code == 429
        assert (await scrape(stack, **asking)).status_code == 200, "what is used up keeps nobody from looking"
