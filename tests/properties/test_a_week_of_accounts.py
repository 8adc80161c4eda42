"""A week of four accounts on a mock clock: expiries, limits, a suspension, outages; nothing that was promised breaks."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import pytest
import trio
from support.week import (
    DAY,
    HOUR,
    LIVES,
    MINUTE,
    NAMES,
    Week,
    kept_records,
    mocked_time,  # noqa: F401 - a fixture
    run_week,
)
from trio.testing import MockClock

from kirotrio.conversation.tokens import TokenEstimator


async def limits(week: Week) -> None:
    """Day 1: burn rate, then a rate limit that says how long."""
    await trio.sleep_until(1.2 * DAY)
    week.simulator.refuse("builder", "CREDIT_CONSUMPTION_RATE_EXCEEDED")
    await trio.sleep(4 * MINUTE)
    week.simulator.refuse("builder", "")
    await trio.sleep_until(1.5 * DAY)
    week.simulator.refuse("key", "TOO_MANY_REQUESTS")
    await week.burst("session-0", 20)
    week.simulator.refuse("key", "")


async def a_used_up_plan(week: Week) -> None:
    """From day 2 to its reset on day 5."""
    await trio.sleep_until(2 * DAY)
    week.used_up("social", 3 * DAY)


async def outages(week: Week) -> None:
    """The sign-in service for 20 minutes in which a token ends, capacity for an hour, the database for an hour."""
    await trio.sleep_until(0.5 * DAY)
    while (week.member("social").account.expires_at or 0.0) - week.pool.now() > 8 * MINUTE:
        await trio.sleep(MINUTE)
    with week.failing("/refreshToken", "UNAVAILABLE"), week.failing("/token", "UNAVAILABLE"):
        await trio.sleep(20 * MINUTE)
    await trio.sleep_until(3.5 * DAY)
    with week.failing("GenerateAssistantResponse", "INSUFFICIENT_MODEL_CAPACITY"):
        await trio.sleep(HOUR)
    await trio.sleep_until(4.5 * DAY)
    week.away = True
    await trio.sleep(HOUR)
    week.away = False


async def a_suspension(week: Week) -> None:
    """From day 4 until a person ends it on day 6."""
    await trio.sleep_until(4 * DAY)
    week.simulator.refuse("builder", "TEMPORARILY_SUSPENDED")
    await trio.sleep_until(6 * DAY)
    week.simulator.refuse("builder", "")
    week.enable("builder")


async def an_expired_registration(week: Week) -> None:
    await trio.sleep_until(5.9 * DAY)
    week.simulator.expire_client("company-client")
    await trio.sleep_until(6.5 * DAY)
    week.sign_in_again("company")


async def bursts(week: Week) -> None:
    for _ in range(20):
        await trio.sleep(8 * HOUR)
        await week.burst(f"session-{week.chance.randrange(6)}", week.chance.randrange(4, 25))


async def a_restart(week: Week) -> None:
    await trio.sleep_until(3 * DAY)
    await week.restart()


@pytest.mark.usefixtures("mocked_time")
async def test_a_week(autojump_clock: MockClock, tmp_path: Path, estimator: TokenEstimator) -> None:
    week = Week(tmp_path, estimator, random.Random(1))
    await run_week(
        week,
        7 * DAY,
        limits,
        a_used_up_plan,
        outages,
        a_suspension,
        an_expired_registration,
        bursts,
        a_restart,
        every=40 * MINUTE,
    )
    print(len(week.traces), {n: len(t) for n, t in week.refreshes.items()}, week.refusals, week.failed_calls, week.gateways)
    import collections
    print(collections.Counter((t.record.outcome, t.record.account) for t in week.traces if t.record))
    for t in week.traces:
        if t.record and t.record.error: print(round(t.began_at/DAY,3), t.record.seconds, t.record.attempts, t.asked, t.record.error[:600])
    assert not week.wrong, "\n".join(week.wrong)
