"""Accounts that are changed, removed or come free while something is under way on them; on a mock clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from support.pooled import Scene, Told, pooled
from support.several import kept
from support.sign_in_service import EPOCH
from trio.testing import MockClock

from kirotrio.accounts.lending import pool as pools
from kirotrio.accounts.lending import upkeep
from kirotrio.accounts.lending.lender import Lending
from kirotrio.accounts.lending.wish import Wish
from kirotrio.accounts.sources.places import Places
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.errors import Blame, StoreUnavailable
from kirotrio.store import accounts as rows

Pooled = Callable[..., AbstractAsyncContextManager[Scene]]

A, B = (kept(name, row={"priority": place}) for place, name in enumerate("ab"))


@pytest.fixture
def pool(tmp_path: Path, estimator: TokenEstimator) -> Pooled:
    return partial(pooled, tmp_path, estimator)


@pytest.mark.parametrize("change", ["rename", "kind"])
async def test_an_account_that_is_changed_during_a_refresh_is_not_refreshed_twice(
    pool: Pooled, autojump_clock: MockClock, change: str
) -> None:
    told: list[Told] = []
    async with pool(kept("a", row={"expires_at": EPOCH - 1})) as scene:
        scene.slow["/refreshToken"] = 5.0

        async def ask() -> None:
            told.append(await scene.ask())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(1)
            if change == "rename":
                await scene.change("a", lambda connection, account: rows.rename(connection, account, "z"))
            else:
                await scene.update("a", kind="builder-id")
            nursery.start_soon(ask)
        assert [one.status for one in told] == [200, 200]
        assert scene.refreshes() == 1
        await scene.pool.look()
        (member,) = scene.pool.present()
        assert member.record is not None
        assert member.record.kind == ("social" if change == "rename" else "builder-id"), "the change was lost"
        assert scene.pool.cooldowns.of(member.key, scene.pool.now()) == []


async def test_a_rotated_token_that_is_not_yet_written_outlasts_a_rename(
    pool: Pooled, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pool(kept("a", row={"expires_at": EPOCH + 100})) as scene:

        def away(*_: Any, **__: Any) -> bool:
            raise StoreUnavailable("the database is away")

        with monkeypatch.context() as patch:
            patch.setattr(rows, "rotate", away)
            await scene.member("a").account.keep_fresh()
            assert scene.member("a").account.busy, "nothing was to be written"
        await scene.change("a", lambda connection, account: rows.rename(connection, account, "z"))
        await upkeep.finish(scene.pool)
        assert not scene.member("z").account.busy, "it was not written"
        scene.simulator.expire_access_tokens()
        assert (await scene.ask()).status == 200


async def test_a_sign_in_that_was_found_is_left_alone_once_accounts_are_kept(
    tmp_path: Path, pool: Pooled, autojump_clock: MockClock
) -> None:
    path = Places(tmp_path / "home").ide_token
    path.parent.mkdir(parents=True)
    theirs = B.account
    entry = {
        "accessToken": theirs.access_token,
        "refreshToken": theirs.refresh_token,
        "expiresAt": datetime.fromtimestamp(EPOCH + 3600, UTC).isoformat(),
        "authMethod": "social",
        "provider": "Google",
        "profileArn": theirs.profile_arn,
    }
    path.write_text(json.dumps(entry))
    async with pool(later=(A, B)) as scene:
        assert ((await scene.ask()).status, scene.names) == (200, "b")
        await scene.put(A)
        assert ((await scene.ask()).status, scene.names) == (200, "a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(upkeep.refresh_ahead, scene.pool)
            await trio.sleep(6 * 3600)
            nursery.cancel_scope.cancel()
        refreshed = {whose for path, whose in scene.calls if path == "/refreshToken"}
        assert scene.refreshes(), "nothing was refreshed at all"
        assert json.loads(path.read_text()) == entry, f"another program's sign-in is rotated, by {refreshed}"


async def test_whoever_waits_for_an_account_that_is_removed_is_told_so(pool: Pooled, autojump_clock: MockClock) -> None:
    told: list[Told] = []
    async with pool(A, accounts={"max_concurrent": 1}) as scene:

        async def wait() -> None:
            told.append(await scene.ask(session="another"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(scene.ask, "[[head_ms=20000]] hi"))
            await trio.sleep(1)
            nursery.start_soon(wait)
            await trio.sleep(1)
            await scene.change("a", rows.remove)
        assert (told[0].status, scene.names) == (503, "a")


async def test_of_two_places_that_come_free_at_once_the_start_on_the_other_is_given_back(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    async with pool(A, B, accounts={"max_concurrent": 1, "per_minute": 30}) as scene:
        async with trio.open_nursery() as nursery:
            for session in ("one", "two"):
                nursery.start_soon(partial(scene.ask, "[[first_ms=3000]] hi", session=session))
            await trio.sleep(0.5)  # on the mock clock: both have their places by then
            nursery.start_soon(partial(scene.ask, session="three"))
        assert len(scene.asked) == 3
        assert sum(len(member.gate._starts) for member in scene.pool.present()) == 3


async def test_what_is_known_of_tokens_that_requests_brought_is_bounded(
    pool: Pooled, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "PERSONAL_ACCOUNTS", 10)
    async with pool(A, accounts={"strategy": "round-robin"}) as scene:
        for number in range(40):
            wish = Wish(credential=f"aorTok{number}" + "x" * 120, session="s", model="claude-sonnet-4.5")
            async with Lending(scene.pool).borrow(wish):
                pass
            await scene.pool.models_of(wish)
        lists = scene.pool.models._lists
        kept_of = [scene.pool._personal, scene.pool.choice._turns, lists._due, lists._troubles, lists._locks]
        assert max(map(len, kept_of)) <= 11, [len(memory) for memory in kept_of]


async def test_a_client_that_leaves_while_the_reset_is_asked_for_leaves_the_pause(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    async with pool(A, B) as scene:
        scene.slow["/getUsageLimits"] = 8.0
        for name in "ab":
            scene.simulator.refuse(name, "MONTHLY_REQUEST_COUNT")
        with trio.move_on_after(3):
            await scene.ask()
        assert [scene.blames(name) for name in scene.names] == [[Blame.QUOTA]]
