"""Sign-ins and imports that run in one worker are seen, answered and ended through any of them; tasks end and are
forgotten."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from support.workers import office
from trio.testing import MockClock

from kirotrio.errors import Overloaded, RateLimited
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.bringing.tasks import FORGOTTEN_AFTER, MOST_OF_ONE, REMEMBERED, NotAnswered, Task, Tasks

posix = pytest.mark.skipif(os.name != "posix", reason="workers share a Unix socket")


async def never(task: Task) -> None:
    task.show("waits", takes=lambda answer: "" if answer == "right" else "wrong", secret="none")
    await trio.sleep(math.inf)


async def once(task: Task) -> None:
    task.end("done", name="work")


@asynccontextmanager
async def alone() -> AsyncIterator[tuple[Tasks, RecordingLog]]:
    log = RecordingLog()
    async with trio.open_nursery() as nursery:
        tasks = Tasks(log, None)
        await nursery.start(tasks.run)
        yield tasks, log
        nursery.cancel_scope.cancel()


@posix
async def test_any_worker_shows_answers_and_ends_what_another_one_runs() -> None:
    async with office() as o, trio.open_nursery() as nursery:
        one, other = [Tasks(RecordingLog(), await o.seat(number)) for number in (1, 2)]
        for tasks in (one, other):
            await nursery.start(tasks.run)
        task_id = await one.begin("ann", "sign-in", never, setup=True)
        await trio.testing.wait_all_tasks_blocked()
        for tasks in (one, other):
            view = await tasks.look(task_id, "ann")
            assert view is not None
            assert (view.step, view.running, view.setup, view.what) == ("waits", True, True, "sign-in")
            assert await tasks.look(task_id, "ben") is None, "it is nobody else's"
            assert await tasks.tell(task_id, "ann", "odd") == "wrong"
            assert await tasks.tell(task_id, "ben", "right") is None
            assert not await tasks.cancel(task_id, "ben")
            assert [view.id for view in await tasks.of("ann")] == [task_id]
        assert await other.tell(task_id, "ann", "right") == ""
        assert await other.cancel(task_id, "ann")
        with trio.fail_after(30):
            while (seen := await other.look(task_id, "ann")) is not None and seen.running:
                await trio.lowlevel.checkpoint()
        assert seen is not None
        assert seen.step == "cancelled"
        nursery.cancel_scope.cancel()


@posix
async def test_what_one_person_may_run_is_counted_over_all_workers() -> None:
    async with office() as o, trio.open_nursery() as nursery:
        two = [Tasks(RecordingLog(), await o.seat(number)) for number in (1, 2)]
        for tasks in two:
            await nursery.start(tasks.run)
        for number in range(MOST_OF_ONE):
            await two[number % 2].begin("ann", "import", never)
        for tasks in two:
            with pytest.raises(RateLimited):
                await tasks.begin("ann", "import", never)
        await two[0].begin("ben", "import", never)
        nursery.cancel_scope.cancel()


async def test_what_runs_ends_with_the_gateway() -> None:
    async with trio.open_nursery() as nursery:
        tasks, ended = Tasks(RecordingLog(), None), trio.Event()

        async def work(task: Task) -> None:
            try:
                await trio.sleep(math.inf)
            finally:
                ended.set()

        await nursery.start(tasks.run)
        await tasks.begin("ann", "sign-in", work)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert ended.is_set()
    with pytest.raises(Overloaded):
        await tasks.begin("ann", "sign-in", work)


async def test_a_fault_in_one_is_logged_told_and_ends_no_other() -> None:
    async def broken(task: Task) -> None:
        raise RuntimeError("a secret")

    async with alone() as (tasks, log):
        other = await tasks.begin("ann", "sign-in", never)
        task_id = await tasks.begin("ann", "sign-in", broken)
        await trio.testing.wait_all_tasks_blocked()
        view, beside = await tasks.look(task_id, "ann"), await tasks.look(other, "ann")
    assert view is not None
    assert (view.step, view.running) == ("failed", False)
    assert "secret" not in str(view.facts)
    assert [line[1] for line in log.lines] == ["bringing an account failed"]
    assert beside is not None
    assert beside.running


async def test_who_does_not_answer_in_time_has_nothing_kept(autojump_clock: MockClock) -> None:
    async def asks(task: Task) -> None:
        await task.ask("preview", ("take",), 600)

    async with alone() as (tasks, _):
        task_id = await tasks.begin("ann", "import", asks)
        await trio.sleep(599)
        view = await tasks.look(task_id, "ann")
        assert view is not None
        assert view.running
        await trio.sleep(2)
        view = await tasks.look(task_id, "ann")
    assert view is not None
    assert (view.step, view.facts["message"]) == ("failed", NotAnswered().message)


async def test_what_is_over_is_remembered_for_a_while(autojump_clock: MockClock) -> None:
    async with alone() as (tasks, _):
        first = await tasks.begin("ann", "sign-in", once)
        await trio.sleep(FORGOTTEN_AFTER - 1)
        await tasks.begin("ann", "sign-in", once)
        assert await tasks.look(first, "ann") is not None
        await trio.sleep(2)
        await tasks.begin("ann", "sign-in", once)
        assert await tasks.look(first, "ann") is None


async def test_only_so_many_that_are_over_are_remembered(autojump_clock: MockClock) -> None:
    async with alone() as (tasks, _):
        for _ in range(REMEMBERED + 20):
            await tasks.begin("ann", "sign-in", once)
            await trio.sleep(0.01)
        assert len(await tasks.of("ann")) <= REMEMBERED + 1
