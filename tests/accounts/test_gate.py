"""An account's places and its pace: never above the limits, in order of coming, nothing lost on the way."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise

import pytest
import trio
from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from kirotrio.accounts.lending.gate import BURST, Gate, GateLimits
from kirotrio.errors import RateLimited, Recovery

LONG = 10_000.0


def timed(main: Callable[[], Awaitable[None]]) -> None:
    """Run on a clock that jumps whenever nobody has anything to do: waiting costs no time, and is exact."""
    trio.run(main, clock=MockClock(autojump_threshold=0))


@frozen
class Request:
    """Comes `after` so many seconds, holds its place for `held`, begins `rounds` more generations on the way; its
    client leaves `leaves` seconds after it came."""

    after: float
    held: float
    rounds: int = 0
    deadline: float = LONG
    leaves: float = math.inf


@define
class Log:
    """What happened: who came and went when, in order."""

    entered: list[tuple[float, int]] = field(factory=list)
    starts: list[float] = field(factory=list)
    refused: list[tuple[float, int, RateLimited]] = field(factory=list)
    left: list[int] = field(factory=list)
    inside: int = 0
    most: int = 0


async def one(gate: Gate, request: Request, number: int, log: Log) -> None:
    await trio.sleep(request.after)
    with trio.CancelScope(deadline=trio.current_time() + request.leaves) as scope:
        try:
            async with gate.place(request.deadline):
                log.entered.append((trio.current_time(), number))
                log.starts.append(trio.current_time())
                log.inside += 1
                log.most = max(log.most, log.inside)
                try:
                    for _ in range(request.rounds):
                        await trio.sleep(request.held)
                        await gate.pace(request.deadline)
                        log.starts.append(trio.current_time())
                    await trio.sleep(request.held)
                finally:
                    log.inside -= 1
        except RateLimited as refusal:
            log.refused.append((trio.current_time(), number, refusal))
    if scope.cancelled_caught:
        log.left.append(number)


async def play(gate: Gate, requests: list[Request]) -> Log:
    log = Log()
    async with trio.open_nursery() as nursery:
        for number, request in enumerate(requests):
            nursery.start_soon(one, gate, request, number, log)
    return log


def keeps_pace(starts: list[float], per_minute: int) -> bool:
    """No more than the limit in any 60 seconds, and no more than a burst in its share of a minute."""
    burst = min(BURST, per_minute)
    return all(
        later - earlier >= seconds - 1e-6
        for most, seconds in ((per_minute, 60.0), (burst, 60.0 * burst / per_minute))
        for earlier, later in zip(starts, starts[most:], strict=False)
    )


times = st.integers(0, 40).map(float)
requests = st.lists(
    st.builds(
        Request,
        after=times,
        held=times,
        rounds=st.integers(0, 3),
        deadline=st.sampled_from([0.0, 5.0, 60.0, LONG, LONG]),
        leaves=st.sampled_from([math.inf, math.inf, 0.0, 1.0, 10.0, 30.0]),
    ),
    max_size=14,
)
limits = st.builds(GateLimits, st.integers(0, 3), st.integers(0, 12), st.sampled_from([0, 1, 4, 64]))


@settings(max_examples=150, deadline=None)
@given(limits, requests)
def test_whatever_comes_the_limits_hold_and_nothing_is_left_over(allowed: GateLimits, coming: list[Request]) -> None:
    async def main() -> None:
        gate = Gate(allowed)
        log = await play(gate, coming)
        if allowed.max_concurrent:
            assert log.most <= allowed.max_concurrent
        if allowed.per_minute:
            assert keeps_pace(log.starts, allowed.per_minute), log.starts
        assert (gate.busy, gate.waiting) == (0, 0), "whoever leaves gives back what it had"
        gone = {number for _, number in log.entered} | {number for _, number, _ in log.refused} | set(log.left)
        assert gone == set(range(len(coming)))
        await trio.sleep(60.0)
        assert gate.is_free
        async with gate.place(0.0):
            assert gate.busy == 1

    timed(main)


@settings(max_examples=80, deadline=None)
@given(limits, st.lists(st.tuples(times, times), max_size=14))
def test_places_are_given_in_the_order_of_coming(allowed: GateLimits, coming: list[tuple[float, float]]) -> None:
    async def main() -> None:
        gate = Gate(GateLimits(allowed.max_concurrent, allowed.per_minute, 64))
        # A little apart, or nobody could tell who came first.
        many = [Request(after + number / 100, held) for number, (after, held) in enumerate(coming)]
        log = await play(gate, many)
        arrivals = [many[number].after for _, number in log.entered]
        assert not log.refused
        assert arrivals == sorted(arrivals)

    timed(main)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 60))
def test_a_pace_is_used_up_to_its_limit(per_minute: int, many: int) -> None:
    async def main() -> None:
        log = await play(Gate(GateLimits(per_minute=per_minute)), [Request(0.0, 0.0)] * many)
        assert keeps_pace(log.starts, per_minute)
        assert log.starts[-1] - log.starts[0] <= 60.0 * (many - 1) / per_minute + 1e-6, "no slower than the limit"

    timed(main)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.lists(st.tuples(times, st.booleans()), min_size=2, max_size=20))
def test_clients_that_leave_in_a_storm_leave_no_hole(places: int, leaving: list[tuple[float, bool]]) -> None:
    """Each of those that stay is let in the moment a place comes free, as if the others had never been there."""

    async def main() -> None:
        gate = Gate(GateLimits(places, 0, 64))
        staying = [Request(1.0, 10.0) for _, stays in leaving if stays]
        crowd = [Request(1.0, 10.0, leaves=math.inf if stays else after) for after, stays in leaving]
        async with trio.open_nursery() as nursery:
            for _ in range(places):  # all are taken until 50, and by then all of the crowd that leave have left
                nursery.start_soon(one, gate, Request(0.0, 50.0), -1, Log())
            log = await play(gate, crowd)
        assert [round(time) for time, _ in log.entered] == [50 + 10 * (n // places) for n in range(len(staying))]

    timed(main)


def test_a_place_that_is_given_to_one_who_leaves_in_that_moment_goes_on_to_the_next() -> None:
    async def main() -> None:
        gate = Gate(GateLimits(1, 2, 64))
        log = Log()
        leaving = trio.CancelScope()

        async def leaver() -> None:
            with leaving:
                await one(gate, Request(0.0, 5.0), 1, log)

        async with trio.open_nursery() as nursery:
            async with gate.place(0.0):
                nursery.start_soon(leaver)
                await wait_all_tasks_blocked()
                nursery.start_soon(one, gate, Request(0.0, 5.0), 2, log)
                await wait_all_tasks_blocked()
                leaving.cancel()  # it has not run yet when the place comes free
        assert [number for _, number in log.entered] == [2]
        assert log.entered[0][0] == 0.0, "nor is the start of one who left counted"

    timed(main)


# -- refusals ---------------------------------------------------------------------------------------------------------


async def test_a_full_queue_refuses_at_once(autojump_clock: MockClock) -> None:
    gate = Gate(GateLimits(1, 0, 2), "work")
    async with trio.open_nursery() as nursery:
        log = Log()
        for number in range(3):
            nursery.start_soon(one, gate, Request(number / 10, 100.0), number, log)
        await trio.sleep(1.0)
        assert (gate.busy, gate.waiting, gate.is_free) == (1, 2, False)
        with pytest.raises(RateLimited, match=r"2 requests wait for the account 'work' already") as caught:
            async with gate.place(30.0):
                pass
        assert trio.current_time() == 1.0, "it was not kept waiting"
        assert caught.value.retry_after is not None
        assert caught.value.retry_after >= 1.0
        assert caught.value.recovery is Recovery.SWITCH_ACCOUNT
        nursery.cancel_scope.cancel()
    assert (gate.busy, gate.waiting) == (0, 0)


async def test_a_turn_that_comes_too_late_is_refused_at_once_with_its_time(autojump_clock: MockClock) -> None:
    gate = Gate(GateLimits(0, 2, 64))
    for _ in range(2):
        async with gate.place(0.0):
            pass
    await trio.sleep(10.0)
    with pytest.raises(RateLimited, match="2 answers a minute") as caught:
        async with gate.place(30.0):
            pass
    assert trio.current_time() == 10.0
    assert caught.value.retry_after == 50.0
    await trio.sleep(caught.value.retry_after)
    async with gate.place(0.0):
        pass


async def test_whoever_waits_is_counted_in_the_turn_of_the_next(autojump_clock: MockClock) -> None:
    gate = Gate(GateLimits(0, 1, 64))
    async with trio.open_nursery() as nursery:
        log = Log()
        for number in range(3):
            nursery.start_soon(one, gate, Request(0.0, 0.0, deadline=120.0), number, log)
        await trio.sleep(1.0)
        with pytest.raises(RateLimited) as caught:
            async with gate.place(120.0):
                pass
        assert caught.value.retry_after == 179.0
    assert [time for time, _ in log.entered] == [0.0, 60.0, 120.0]


async def test_the_deadline_ends_waiting_for_a_place(autojump_clock: MockClock) -> None:
    gate = Gate(GateLimits(1, 0, 64))
    async with gate.place(0.0):
        with pytest.raises(RateLimited, match="one time"):
            async with gate.place(7.0):
                pass
        assert trio.current_time() == 7.0
    async with gate.place(0.0):
        pass


async def test_without_a_queue_nobody_waits(autojump_clock: MockClock) -> None:
    gate = Gate(GateLimits(1, 0, 0))
    async with gate.place(30.0):
        with pytest.raises(RateLimited):
            async with gate.place(30.0):
                pass
    assert trio.current_time() == 0.0


async def test_who_waits_for_a_place_does_not_keep_its_holder_from_going_on(autojump_clock: MockClock) -> None:
    gate = Gate(GateLimits(1, 60, 64))
    async with trio.open_nursery() as nursery:
        log = Log()
        nursery.start_soon(one, gate, Request(1.0, 0.0), 1, log)
        async with gate.place(0.0):
            for _ in range(12):
                await trio.sleep(0.5)
                await gate.pace(30.0)
            assert log.entered == []
        await trio.sleep(5.0)
        assert len(log.entered) == 1


async def test_whoever_waits_alone_for_the_pace_is_let_in_when_it_allows(autojump_clock: MockClock) -> None:
    gate = Gate(GateLimits(0, 1, 64))
    for minute in range(3):
        async with gate.place(LONG):
            assert trio.current_time() == 60.0 * minute


async def test_those_who_still_lack_a_place_do_not_count_in_a_holders_turn(autojump_clock: MockClock) -> None:
    gate = Gate(GateLimits(1, 12, 64))
    async with trio.open_nursery() as nursery:
        log = Log()
        async with gate.place(0.0):
            for number in range(6):
                nursery.start_soon(one, gate, Request(0.0, 0.0), number, log)
            await wait_all_tasks_blocked()
            for _ in range(BURST):
                await gate.pace(26.0)
            assert trio.current_time() == 25.0
        nursery.cancel_scope.cancel()


async def test_the_time_told_follows_how_long_answers_take(autojump_clock: MockClock) -> None:
    gate = Gate(GateLimits(1, 0, 0))
    for _ in range(3):
        async with gate.place(0.0):
            await trio.sleep(40.0)
    async with gate.place(0.0):
        with pytest.raises(RateLimited) as caught:
            async with gate.place(0.0):
                pass
    assert caught.value.retry_after == 40.0


# -- limits that change -----------------------------------------------------------------------------------------------


async def test_new_limits_hold_at_once(autojump_clock: MockClock) -> None:
    gate = Gate(GateLimits(1, 0, 64))
    async with trio.open_nursery() as nursery:
        log = Log()
        for number in range(4):
            nursery.start_soon(one, gate, Request(number / 10, 50.0), number, log)
        await trio.sleep(1.0)
        assert gate.busy == 1
        gate.limits = GateLimits(3, 0, 64)
        await wait_all_tasks_blocked()
        assert (gate.busy, gate.waiting) == (3, 1)
        gate.limits = GateLimits(1, 0, 64)
        await trio.sleep(49.5)
        assert (gate.busy, gate.waiting) == (2, 1), "who is in stays in, and nobody takes the place that came free"
        gate.limits = GateLimits()
        await wait_all_tasks_blocked()
        assert gate.waiting == 0


async def test_a_slower_pace_refuses_those_that_wait_too_long_for_it(autojump_clock: MockClock) -> None:
    gate = Gate(GateLimits(0, 6, 64))
    async with trio.open_nursery() as nursery:
        log = Log()
        for number in range(8):
            nursery.start_soon(one, gate, Request(number / 100, 0.0, deadline=120.0), number, log)
        await trio.sleep(1.0)
        gate.limits = GateLimits(0, 1, 64)
        await wait_all_tasks_blocked()
        assert [(time, number) for time, number, _ in log.refused] == [(1.0, 7)], "only the last would come too late"
    assert keeps_pace([time for time, _ in log.entered[BURST - 1 :]], 1)


@settings(max_examples=60, deadline=None)
@given(requests, st.lists(st.tuples(st.integers(1, 30).map(float), limits), max_size=6))
def test_limits_that_change_all_the_time_lose_nobody(
    coming: list[Request], changes: list[tuple[float, GateLimits]]
) -> None:
    async def main() -> None:
        gate = Gate(GateLimits(1, 6, 64))

        async def change() -> None:
            for pause, changed in changes:
                await trio.sleep(pause)
                gate.limits = changed
            await trio.sleep(1.0)
            gate.limits = GateLimits(1, 60, 64)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(change)
            with trio.fail_after(3000):
                log = await play(gate, coming)
        assert (gate.busy, gate.waiting) == (0, 0)
        assert len(log.entered) + len(log.refused) + len(log.left) >= len(coming)

    timed(main)


def gaps(starts: list[float]) -> Iterator[float]:
    return (later - earlier for earlier, later in pairwise(starts))


async def test_a_burst_is_followed_by_even_steps(autojump_clock: MockClock) -> None:
    log = await play(Gate(GateLimits(0, 30, 64)), [Request(0.0, 0.0)] * 12)
    assert [round(gap, 3) for gap in gaps(log.starts)] == [0, 0, 0, 0, 10, 0, 0, 0, 0, 10, 0]
