"""What a rule of the gateway turns away has not failed: it is told, counted and kept as refused, however late it is."""

from __future__ import annotations

from pathlib import Path

import trio
from support.keys import ACTOR, client_of, give_out
from support.stack import Stack, question, running

from kirotrio.access.modes import ServiceMode
from kirotrio.store.request_endings import Ending
from kirotrio.store.request_record import RequestRecord

ENOUGH = 60
"""Refused requests that are recorded at once."""


def told(stack: Stack) -> list[tuple[str, str]]:
    """Level and outcome of each line about a request."""
    return [(level, str(fields["outcome"])) for level, event, fields in stack.log.lines if event == "request finished"]


def outcomes(stack: Stack) -> dict[str, int]:
    counts: dict[str, int] = {}
    for (_, _, outcome, _), number in stack.gateway.relay.metrics.requests.items():
        counts[outcome] = counts.get(outcome, 0) + number
    return counts


async def test_a_limit_that_is_reached_while_requests_run_is_no_failure(tmp_path: Path) -> None:
    records: list[RequestRecord] = []
    async with running(tmp_path, accounts={"max_concurrent": 100}, recorder={"requests": 200}) as stack:
        object.__setattr__(stack.gateway.relay, "record", records.append)
        made = await give_out(stack, "ci", "month:requests=2")
        statuses: list[int] = []
        async with client_of(stack, made) as client:

            async def ask() -> None:
                statuses.append((await client.post("/v1/messages", json=question())).status_code)

            async with trio.open_nursery() as nursery:
                for _ in range(ENOUGH + 20):
                    nursery.start_soon(ask)
        with trio.fail_after(10):
            while len(told(stack)) < ENOUGH + 20:  # noqa: ASYNC110 - the end of a connection has no event here
                await trio.sleep(0.01)
    assert sorted(statuses) == [200, 200] + [429] * (ENOUGH + 18)
    assert outcomes(stack) == {"finished": 2, "refused": ENOUGH + 18}
    assert {level for level, outcome in told(stack) if outcome == "rate_limited"} == {"info"}
    refused = [record for record in records if record.ending is Ending.REFUSED]
    assert {record.outcome for record in refused} == {"limit_reached"}
    assert ENOUGH <= len(refused) <= ENOUGH + 12, "refusals fill the table of requests"
    kept = list((tmp_path / "recorder").glob("*.json*"))
    assert len(kept) <= 2, f"refusals push answers out of the recorder: {len(kept)} are kept"


async def test_maintenance_is_no_failure(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, stack.client() as http:
        await stack.gateway.modes.change(ACTOR, ServiceMode.MAINTENANCE)
        assert (await http.post("/v1/messages", json=question())).status_code == 503
        with trio.fail_after(10):
            while not told(stack):  # noqa: ASYNC110 - the end of a connection has no event here
                await trio.sleep(0.01)
    assert told(stack) == [("info", "overloaded")]
    assert outcomes(stack) == {"refused": 1}


async def test_a_surface_that_there_is_not_is_no_word_of_a_strangers(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, stack.client() as http:
        assert (await http.get("/v1/anything-at-all")).status_code == 404
        with trio.fail_after(10):
            while not told(stack):  # noqa: ASYNC110 - the end of a connection has no event here
                await trio.sleep(0.01)
    (line,) = [fields for _, event, fields in stack.log.lines if event == "request finished"]
    assert line["surface"] == "other"
