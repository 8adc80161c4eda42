"""The channel between a request's tasks: what trio's own does, and what is done at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from kirotrio.relay.conduit import Conduit

MOST = 2


class Oracle:
    """The same of trio's memory channel."""

    def __init__(self) -> None:
        self.sender, self.receiver = trio.open_memory_channel[int](MOST)
        self.send, self.end, self.close = self.sender.send, self.sender.close, self.receiver.close

    def send_nowait(self, item: int) -> bool:
        try:
            self.sender.send_nowait(item)
        except trio.WouldBlock:
            return False
        return True

    async def take(self) -> list[int]:
        items = []
        try:
            items.append(await self.receiver.receive())
            while True:
                items.append(self.receiver.receive_nowait())
        except (trio.EndOfChannel, trio.WouldBlock):
            return items


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["send", "send", "send_nowait", "send_nowait", "take", "take"]),
        st.sampled_from(["leave first", "leave last", "stop taking", "end", "close"]),
    ),
    max_size=30,
)


async def story(channel: Any, steps: list[str]) -> list[object]:
    """What happens if these steps are taken one after the other, each as far as it goes."""
    told: list[object] = []
    senders: list[trio.CancelScope] = []
    takers: list[trio.CancelScope] = []

    async def alone(name: object, scope: trio.CancelScope, scopes: list[Any], work: Callable[[], Any]) -> None:
        with scope:
            try:
                told.append((name, await work()))
            except (trio.ClosedResourceError, trio.BrokenResourceError) as error:
                told.append((name, type(error)))
        scopes.remove(scope)
        if scope.cancelled_caught:
            told.append((name, "cancelled"))

    async with trio.open_nursery() as nursery:
        for number, step in enumerate(steps):
            if step == "send" or (step == "take" and not takers):
                scopes = senders if step == "send" else takers
                scopes.append(trio.CancelScope())
                work = partial(channel.send, number) if step == "send" else channel.take
                nursery.start_soon(alone, (step, number), scopes[-1], scopes, work)
            elif step == "send_nowait":
                try:
                    told.append(channel.send_nowait(number))
                except (trio.ClosedResourceError, trio.BrokenResourceError) as error:
                    told.append(type(error))
            elif step in ("end", "close"):
                getattr(channel, step)()
            elif step == "stop taking" and takers:
                takers[-1].cancel()
            elif step.startswith("leave") and senders:
                senders[0 if step == "leave first" else -1].cancel()
            await wait_all_tasks_blocked()
            told.append(step)
        nursery.cancel_scope.cancel()
    return told


@given(STEPS)
def test_it_does_what_trios_channel_does(steps):
    ours = trio.run(story, Conduit[int](MOST), steps, clock=MockClock())
    assert sorted_within(ours) == sorted_within(trio.run(story, Oracle(), steps, clock=MockClock()))


def sorted_within(told: list[object]) -> list[list[str]]:
    """Tasks that one step wakes run in no order: what they tell is put into one."""
    steps: list[list[str]] = [[]]
    for one in told:
        if isinstance(one, str):
            steps[-1].sort()
            steps.append([])
        else:
            steps[-1].append(repr(one))
    steps[-1].sort()
    return steps


async def taken(conduit: Conduit[int], into: list[object], at_once: Callable[[int], int | None] | None = None) -> None:
    try:
        into.append(await conduit.take(at_once))
    except ValueError as error:
        into.append(error)


async def test_what_is_done_at_once_wakes_nobody(nursery):
    conduit: Conduit[int] = Conduit(MOST)
    got: list[object] = []
    done: list[int] = []
    nursery.start_soon(taken, conduit, got, done.append)
    await wait_all_tasks_blocked()
    assert all(conduit.send_nowait(item) for item in range(5))
    await wait_all_tasks_blocked()
    assert (done, got) == ([0, 1, 2, 3, 4], [])
    conduit.end()
    await wait_all_tasks_blocked()
    assert got == [[]]


async def test_what_is_left_to_do_comes_first_and_nothing_overtakes_it(nursery):
    conduit: Conduit[int] = Conduit(3)
    got: list[object] = []
    done: list[int] = []

    def at_once(item: int) -> int | None:
        done.append(item)
        return -item if item == 2 else None

    nursery.start_soon(taken, conduit, got, at_once)
    await wait_all_tasks_blocked()
    assert [conduit.send_nowait(item) for item in range(1, 6)] == [True, True, True, True, False]
    await wait_all_tasks_blocked()
    assert (done, got) == ([1, 2], [[-2, 3, 4]])


async def test_what_is_raised_at_once_is_raised_in_the_receiver(nursery):
    conduit: Conduit[int] = Conduit(MOST)
    got: list[object] = []
    wrong = ValueError()

    def at_once(item: int) -> int | None:
        raise wrong

    nursery.start_soon(taken, conduit, got, at_once)
    await wait_all_tasks_blocked()
    assert conduit.send_nowait(1)
    assert conduit.send_nowait(2)
    await wait_all_tasks_blocked()
    assert got == [wrong]
    assert await conduit.take() == [2]


async def test_nothing_is_done_at_once_for_a_receiver_that_was_cancelled(nursery):
    conduit: Conduit[int] = Conduit(MOST)
    done: list[int] = []
    with trio.CancelScope() as scope:
        nursery.start_soon(wait_all_tasks_blocked)

        async def cancel() -> None:
            await wait_all_tasks_blocked()
            scope.cancel()

        nursery.start_soon(cancel)
        await conduit.take(done.append)
    assert conduit.send_nowait(1)
    assert (done, await conduit.take()) == ([], [1])


async def test_an_item_whose_doing_cancels_the_receiver_is_still_there(nursery):
    conduit: Conduit[int] = Conduit(MOST)
    scope = trio.CancelScope()

    def at_once(item: int) -> int | None:
        scope.cancel()
        return item

    async def receive() -> None:
        with scope:
            await conduit.take(at_once)

    nursery.start_soon(receive)
    await wait_all_tasks_blocked()
    assert conduit.send_nowait(7)
    await wait_all_tasks_blocked()
    assert await conduit.take() == [7]


async def test_only_one_task_may_receive(nursery):
    conduit: Conduit[int] = Conduit(MOST)
    nursery.start_soon(taken, conduit, [])
    await wait_all_tasks_blocked()
    with pytest.raises(trio.BusyResourceError):
        await conduit.take()
    conduit.end()
