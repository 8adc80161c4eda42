"""Whoever is cancelled and whenever: a rotated token is never lost, and the next caller is served."""

from __future__ import annotations

import pytest
import trio
from support.sign_in_service import DirectSource, MemoryStore, SignInService, answer, refresh_token, wall_clock
from trio.testing import MockClock

from kirotrio.accounts.account import Account
from kirotrio.accounts.credential import Social
from kirotrio.accounts.terms import Terms
from kirotrio.config.settings import Settings
from kirotrio.errors import KirotrioError
from kirotrio.telemetry.log import SilentLog

FIRST = refresh_token("first")
MOMENTS = range(60)
"""More scheduler ticks than one refresh takes with the steps below; each is cancelled at."""


def account_in(nursery: trio.Nursery, store: MemoryStore, service: SignInService) -> Account:
    source = DirectSource(store, steps=3)
    return Account(source, service, nursery, Terms.of(Settings()), SilentLog(), now=wall_clock)


async def ticks(count: int) -> None:
    for _ in range(count):
        await trio.lowlevel.checkpoint()


async def test_a_caller_who_leaves_at_any_moment_leaves_at_once_and_costs_nobody_anything(
    autojump_clock: MockClock,
) -> None:
    left_early = 0
    for moment in MOMENTS:
        store, service = MemoryStore(Social(refresh_token=FIRST)), SignInService(FIRST, steps=4)
        async with trio.open_nursery() as application:
            account = account_in(application, store, service)
            gone_after: list[int] = []

            async def ask(scope: trio.CancelScope, account: Account = account, gone: list[int] = gone_after) -> None:
                with scope:
                    await account.credentials()
                gone.append(1)

            scope = trio.CancelScope()
            async with trio.open_nursery() as callers:
                callers.start_soon(ask, scope)
                await ticks(moment)
                scope.cancel()
                await ticks(3)
                assert gone_after, f"cancelled at tick {moment}, the caller still waits for the refresh"
            left_early += scope.cancelled_caught
            # The next one joins the refresh under way, or finds its result.
            assert (await account.credentials()).access_token == "access-1", f"cancelled at tick {moment}"
            assert service.refreshes == 1, f"cancelled at tick {moment}: refreshed twice"
            assert store.kept == service.valid
            application.cancel_scope.cancel()
    assert 20 < left_early < len(MOMENTS), "the moments do not cover the whole refresh"


async def test_an_application_that_ends_at_any_moment_keeps_what_was_rotated(autojump_clock: MockClock) -> None:
    outcomes: set[str] = set()
    for moment in MOMENTS:
        store, service = MemoryStore(Social(refresh_token=FIRST)), SignInService(FIRST, steps=4)
        async with trio.open_nursery() as application:
            account = account_in(application, store, service)
            application.start_soon(account.credentials)
            await ticks(moment)
            application.cancel_scope.cancel()
        assert store.kept == service.valid, f"ended at tick {moment}: the rotated token is lost"
        outcomes.add(store.kept)
        # The next start, with what was kept.
        async with trio.open_nursery() as application:
            lent = await account_in(application, store, service).credentials()
            assert lent.access_token == service.access_token
            application.cancel_scope.cancel()
    assert outcomes == {FIRST, refresh_token("rotated-1")}, "the moments do not cover both sides of the rotation"


async def test_an_application_that_ends_during_a_pause_does_not_wait_for_it(autojump_clock: MockClock) -> None:
    store, service = MemoryStore(Social(refresh_token=FIRST)), SignInService(FIRST)
    service.script = [answer(429, b"", retry_after="9")]
    async with trio.open_nursery() as application:
        application.start_soon(account_in(application, store, service).credentials)
        await trio.sleep(1)
        began = trio.current_time()
        application.cancel_scope.cancel()
    assert trio.current_time() == began
    assert store.kept == service.valid == FIRST


async def test_an_application_that_ends_during_a_call_waits_for_it_no_longer_than_its_deadline(
    autojump_clock: MockClock,
) -> None:
    store, service = MemoryStore(Social(refresh_token=FIRST)), SignInService(FIRST)
    service.script = [None]
    async with trio.open_nursery() as application:
        application.start_soon(account_in(application, store, service).credentials)
        await trio.sleep(1)
        application.cancel_scope.cancel()
    assert trio.current_time() == Settings().deadlines.sign_in
    assert service.refreshes == 1


async def test_an_application_that_ends_while_a_failed_writing_is_repeated_lets_it_finish(
    autojump_clock: MockClock,
) -> None:
    store, service = MemoryStore(Social(refresh_token=FIRST)), SignInService(FIRST)
    store.trouble = [OSError(28, "No space left on device")]
    async with trio.open_nursery() as application:
        account = account_in(application, store, service)
        with pytest.raises(KirotrioError):
            await account.credentials()
        application.start_soon(account.credentials)
        await ticks(2)
        application.cancel_scope.cancel()
    assert store.kept == service.valid != FIRST


async def test_callers_come_and_go_while_one_refresh_serves_all(autojump_clock: MockClock) -> None:
    store, service = MemoryStore(Social(refresh_token=FIRST)), SignInService(FIRST, steps=30)
    async with trio.open_nursery() as application:
        account = account_in(application, store, service)
        served: list[str] = []

        async def ask(stays: bool, after: int) -> None:
            with trio.CancelScope() as scope:
                if not stays:
                    scope.deadline = trio.current_time()  # cancelled at the first wait
                await ticks(after)
                served.append((await account.credentials()).access_token)

        async with trio.open_nursery() as callers:
            for number in range(40):
                callers.start_soon(ask, number % 2 == 0, number)
        assert served == ["access-1"] * 20
        assert service.refreshes == 1
        application.cancel_scope.cancel()


async def test_a_failed_flight_with_nobody_waiting_harms_nobody(autojump_clock: MockClock) -> None:
    store, service = MemoryStore(Social(refresh_token=FIRST)), SignInService("another", steps=10)
    async with trio.open_nursery() as application:
        account = account_in(application, store, service)
        with trio.move_on_after(0):
            await account.credentials()
        await ticks(100)
        assert service.refreshes == 1
        with pytest.raises(KirotrioError):
            await account.credentials()
        application.cancel_scope.cancel()
