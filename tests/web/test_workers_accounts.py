"""Two workers and their accounts: what one of them meets or moves holds for the other, on a mock clock."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from support.pooled import Scene, pooled
from support.several import kept
from support.workers import office
from trio.testing import MockClock

from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.errors import Blame

pytestmark = pytest.mark.skipif(os.name != "posix", reason="workers share a Unix socket")

Two = Callable[..., AbstractAsyncContextManager[tuple[Scene, Scene]]]

A, B, C = (kept(name) for name in "abc")


@asynccontextmanager
async def _two(folder: Path, estimator: TokenEstimator, **sections: Any) -> AsyncIterator[tuple[Scene, Scene]]:
    async with office() as o:
        seats = [await o.seat(1), await o.seat(2)]
        async with pooled(folder, estimator, A, B, C, colleagues=seats[0], **sections) as one:
            async with pooled(folder, estimator, simulator=one.simulator, colleagues=seats[1], **sections) as other:
                yield one, other


@pytest.fixture
def two(tmp_path: Path, estimator: TokenEstimator) -> Two:
    return partial(_two, tmp_path, estimator)


async def test_a_session_that_one_worker_moved_stays_there_for_the_other(two: Two, autojump_clock: MockClock) -> None:
    async with two() as (one, other):
        await one.ask(session="s")
        await other.ask(session="s")
        home = one.names
        assert other.names == home
        one.simulator.refuse(home, "TOO_MANY_REQUESTS")
        await one.ask(session="s")
        _, moved = one.names
        one.simulator.refuse(home, "")
        await trio.sleep(3000)
        assert other.pauses(home) == []
        await other.ask(session="s")
        assert other.names == moved, "it went back to where it began"


async def test_a_pause_is_met_once(two: Two, autojump_clock: MockClock) -> None:
    async with two() as (one, other):
        await one.ask(session="s")
        home = one.names
        one.simulator.refuse(home, "TOO_MANY_REQUESTS")
        await one.ask(session="s")
        await trio.testing.wait_all_tasks_blocked()
        assert other.blames(home) == [Blame.RATE]
        await other.ask(session="s")
        assert home not in other.names, "an account that pauses was asked"


async def test_a_suspicion_keeps_its_sessions_from_both(two: Two, autojump_clock: MockClock) -> None:
    async with two() as (one, other):
        await one.ask(session="s")
        home = one.names
        one.simulator.refuse(home, "SUSPICIOUS_ACTIVITY")
        await one.ask(session="s")
        one.simulator.refuse(home, "")
        await trio.testing.wait_all_tasks_blocked()
        assert other.blames(home) == [Blame.SUSPICIOUS]
        told = await other.ask(session="s")
        assert other.names == ""
        assert "this conversation is on" in str(told.body)


async def test_places_are_shared_by_the_requests_of_both(two: Two, autojump_clock: MockClock) -> None:
    async with two(accounts={"max_concurrent": 1}) as (one, other):
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(6):
                scene = (one, other)[number % 2]
                nursery.start_soon(partial(scene.ask, "[[head_ms=4000]] hi", session=f"session {number}"))
        asked = sorted((request.at, request.account) for scene in (one, other) for request in scene.asked)
        assert sorted(account for _, account in asked) == ["a", "a", "b", "b", "c", "c"]
        assert [round(at - began) for at, _ in asked] == [0, 0, 0, 4, 4, 4]


async def test_a_pause_that_a_person_lifted_does_not_come_back_with_a_worker_that_starts_again(
    tmp_path: Path, estimator: TokenEstimator, autojump_clock: MockClock
) -> None:
    from kirotrio.store import accounts, cooldowns

    async with office() as o:
        seats = [await o.seat(1), await o.seat(2)]
        async with pooled(tmp_path, estimator, A, B, C, colleagues=seats[0]) as one:
            await one.ask(session="s")
            home = one.names
            one.simulator.refuse(home, "TOO_MANY_REQUESTS")
            await one.ask(session="s")
            await one.pool.write()
            await one.pool.look()
            (key,) = [member.key for member in one.pool.present() if member.name == home]

            def enable(connection: Any) -> None:  # as `kirotrio accounts enable` does, beside the gateway
                accounts.set_enabled(connection, key, True)
                cooldowns.remove_of(connection, key)

            await one.pool.shared.database.write(enable)
            await one.pool.look()
            assert one.pauses(home) == []
            await trio.testing.wait_all_tasks_blocked()
            async with pooled(tmp_path, estimator, simulator=one.simulator, colleagues=seats[1]) as other:
                await trio.testing.wait_all_tasks_blocked()
                assert other.pauses(home) == [], "the desk told it again"
