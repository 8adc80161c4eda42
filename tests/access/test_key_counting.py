"""Counting against a model of it, on both engines; what becomes of it where the database is away or a task is cut."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event
from support.engines import emptied

from kirotrio.access.audit import Actor
from kirotrio.access.budget import Amount, Budget, Used
from kirotrio.access.counting import HELD, Counting, ceilings_of
from kirotrio.access.grant import Spending
from kirotrio.access.key_admin import Keys
from kirotrio.access.keys import Key, key_of
from kirotrio.access.windows import Window
from kirotrio.conversation.events import Usage
from kirotrio.errors import AuthenticationFailed, RateLimited, StoreUnavailable
from kirotrio.store import key_usage_rows as rows
from kirotrio.store.database import Database
from kirotrio.store.key_record import Charge
from kirotrio.telemetry.log import RecordingLog

ACTOR = Actor("", "a test")
BEGIN = 1_800_000_000.0

AMOUNTS = st.builds(Amount, st.none() | st.integers(0, 4), st.none() | st.integers(0, 40), st.none() | st.floats(0, 4))
BUDGETS = st.builds(Budget, st.dictionaries(st.sampled_from(Window), AMOUNTS))
STEPS = st.lists(
    st.tuples(st.just("begin"), st.integers(0, 3))
    | st.tuples(st.just("end"), st.integers(0, 20), st.floats(0, 2))
    | st.tuples(st.just("pass"), st.sampled_from([1.0, 59.0, 3600.0, 86_400.0])),
    max_size=25,
)


@attrs.define
class Clock:
    now: float = BEGIN

    def __call__(self) -> float:
        return self.now


async def make(database: Database, clock: Clock, budget: Budget, max_concurrent: int = 0) -> Key:
    keys = Keys(database, clock=clock)
    made = await keys.create(ACTOR, "ci", budget=budget, max_concurrent=max_concurrent)
    return key_of(made.record)


def counting(database: Database, clock: Clock) -> Counting:
    return Counting(database, RecordingLog(), 5.0, clock)


@attrs.define
class Model:
    """Counts in memory what `Counting` is to count in the store."""

    budget: Budget
    max_concurrent: int
    used: dict[tuple[Window, int], list[float]] = attrs.field(factory=dict)
    running: int = 0

    def row(self, window: Window, now: float) -> list[float]:
        return self.used.setdefault((window, window.begin(now)), [0, 0, 0.0])

    def begin(self, now: float) -> bool:
        if self.max_concurrent and self.running >= self.max_concurrent:
            return False
        try:
            self.budget.check({window: Used(*self.row(window, now)) for window in self.budget.limited}, now)
        except RateLimited:
            return False
        for window in self.budget.limited:
            self.row(window, now)[0] += 1
        self.running += 1
        return True

    def end(self, now: float, tokens: int, worth: float) -> None:
        self.running -= 1
        for window in self.budget.limited:
            self.row(window, now)[1] += tokens
            self.row(window, now)[2] += worth


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(budget=BUDGETS, max_concurrent=st.integers(0, 2), steps=STEPS, data=st.data())
async def test_what_is_let_in_and_counted_is_what_the_budget_says(
    database: Database, budget: Budget, max_concurrent: int, steps: list[Any], data: st.DataObject
) -> None:
    """Two processes take turns: neither knows more than the store."""
    clock = Clock()
    key = await make(emptied(database), clock, budget, max_concurrent)
    model = Model(budget, max_concurrent)
    processes = [counting(database, clock), counting(database, clock)]
    running: list[tuple[Counting, str]] = []
    for number, (what, *values) in enumerate(steps):
        if what == "pass":
            clock.now += values[0]
            for process in processes:
                await process._renew()
        elif what == "end" and running:
            process, hold = running.pop(data.draw(st.integers(0, len(running) - 1)))
            await process.settle(key, hold, *values)
            model.end(clock.now, *values)
        elif what == "begin":
            process = processes[values[0] % 2]
            expected = model.begin(clock.now)
            try:
                await process.begin(key, f"hold {number}")
            except RateLimited:
                assert not expected
            else:
                assert expected
                running.append((process, f"hold {number}"))
    for use in await Keys(database, clock=clock).usage(key.id):
        requests, tokens, worth = model.row(use.window, clock.now)
        assert (use.used.requests, use.used.tokens) == (requests, tokens)
        assert math.isclose(use.used.credits, worth, abs_tol=1e-6)


async def test_many_at_once_get_what_is_left_and_no_more(database: Database) -> None:
    clock = Clock()
    key = await make(database, clock, Budget({Window.DAY: Amount(requests=9), Window.MONTH: Amount(requests=7)}), 20)
    processes = [counting(database, clock) for _ in range(3)]
    let_in: list[int] = []

    async def begin(number: int) -> None:
        try:
            await processes[number % 3].begin(key, f"{number}")
        except RateLimited:
            return
        let_in.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(begin, number)
    assert len(let_in) == 7
    used = {use.window: use.used.requests for use in await Keys(database, clock=clock).usage(key.id)}
    assert used == {Window.DAY: 7, Window.MONTH: 7}, "what one window refuses is counted in none"


async def test_no_more_run_at_one_time_than_may_whoever_asks(database: Database) -> None:
    clock = Clock()
    key = await make(database, clock, Budget(), max_concurrent=3)
    processes = [counting(database, clock) for _ in range(2)]
    let_in: list[tuple[Counting, str]] = []

    async def begin(number: int) -> None:
        process = processes[number % 2]
        try:
            await process.begin(key, f"{number}")
        except RateLimited:
            return
        let_in.append((process, f"{number}"))

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(begin, number)
    assert len(let_in) == 3
    process, hold = let_in[0]
    await process.settle(key, hold, 0, 0.0)
    await processes[1].begin(key, "next")
    with pytest.raises(RateLimited, match="3 requests running, which is its limit"):
        await processes[0].begin(key, "one more")


async def test_the_places_of_a_process_that_died_are_free_after_a_while(database: Database) -> None:
    clock = Clock()
    key = await make(database, clock, Budget(), max_concurrent=1)
    died, other = counting(database, clock), counting(database, clock)
    await died.begin(key, "lost")
    clock.now += HELD - 1
    with pytest.raises(RateLimited):
        await other.begin(key, "too early")
    clock.now += 1
    await other.begin(key, "later")


async def test_what_is_found_to_be_used_up_is_refused_without_the_store(database: Database, monkeypatch: Any) -> None:
    clock = Clock()
    key = await make(database, clock, Budget({Window.MINUTE: Amount(requests=1)}))
    process = counting(database, clock)
    await process.begin(key, "1")
    with pytest.raises(RateLimited) as first:
        await process.begin(key, "2")

    async def refuse(_: object) -> None:
        raise AssertionError("the store was asked")

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", refuse)
        with pytest.raises(RateLimited) as second:
            process.check(key)
        assert second.value.message == first.value.message
        assert second.value.retry_after == first.value.retry_after == 60 - BEGIN % 60
    clock.now += 60
    process.check(key)
    await process.begin(key, "3")


async def test_a_changed_key_is_asked_for_anew(database: Database) -> None:
    clock = Clock()
    key = await make(database, clock, Budget({Window.MONTH: Amount(requests=1)}))
    process = counting(database, clock)
    await process.begin(key, "1")
    with pytest.raises(RateLimited):
        await process.begin(key, "2")
    process.forget_refusals()
    more = attrs.evolve(key, budget=Budget({Window.MONTH: Amount(requests=2)}))
    process.check(more)
    await process.begin(more, "3")


async def test_a_key_that_is_gone_lets_nobody_in(database: Database) -> None:
    clock = Clock()
    key = await make(database, clock, Budget({Window.MONTH: Amount(requests=1)}))
    emptied(database)
    with pytest.raises(AuthenticationFailed, match="was removed"):
        await counting(database, clock).begin(key, "1")


async def test_what_cannot_be_written_is_owed_and_written_later(database: Database, monkeypatch: Any) -> None:
    clock = Clock()
    key = await make(database, clock, Budget({Window.MONTH: Amount(tokens=100)}), max_concurrent=1)
    process = counting(database, clock)
    await process.begin(key, "1")

    async def away(_: Callable[..., Any]) -> None:
        raise StoreUnavailable("the database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", away)
        await process.settle(key, "1", 100, 1.0)
        with pytest.raises(StoreUnavailable):
            await process.begin(key, "2")
    # Ahead of whoever comes next.
    with pytest.raises(RateLimited, match="its 100 tokens"):
        await process.begin(key, "3")
    await process._tend()
    (use,) = await Keys(database, clock=clock).usage(key.id)
    assert use.used == Used(1, 100, 1.0)


async def test_a_request_is_settled_once_also_where_it_is_cancelled(database: Database) -> None:
    clock = Clock()
    key = await make(database, clock, Budget({Window.MONTH: Amount(tokens=100)}), max_concurrent=1)
    spending = Spending(counting(database, clock), key, "1")
    await spending.settle(Usage(5, 5, measured=True))  # nothing was begun
    with trio.CancelScope() as scope:
        await spending.begin()
        scope.cancel()
        await spending.settle(Usage(5, 6, cache_read_tokens=7, cache_write_tokens=8, measured=True, credits=0.5))
        await spending.settle(Usage(5, 6, measured=True))
    assert not spending.is_open
    (use,) = await Keys(database, clock=clock).usage(key.id)
    assert use.used == Used(1, 26, 0.5)
    await Spending(counting(database, clock), key, "2").begin()


async def test_an_estimate_of_what_was_never_answered_is_not_charged(database: Database) -> None:
    clock = Clock()
    key = await make(database, clock, Budget({Window.MONTH: Amount(tokens=100)}))
    for usage in (None, Usage(50), Usage(50, 1)):
        spending = Spending(counting(database, clock), key, "1")
        await spending.begin()
        await spending.settle(usage)
    (use,) = await Keys(database, clock=clock).usage(key.id)
    assert use.used == Used(3, 51, 0.0)


async def test_who_counts_and_who_charges_never_wait_for_each_other(database: Database) -> None:
    """Of a key with several windows each holds rows that the other comes to: whoever is first has to be so in all."""
    key = await make(database, Clock(), Budget({window: Amount(requests=100) for window in Window}))
    ceilings = ceilings_of(key, BEGIN)
    began = threading.Barrier(2)

    def paused(*_: Any) -> None:
        """After the first row of each: until the other has one too, or stands in line for this."""
        if threading.get_ident() not in met:
            met.add(threading.get_ident())
            with contextlib.suppress(threading.BrokenBarrierError):
                began.wait(0.5)

    def count(connection: Connection) -> None:
        event.listen(connection, "after_cursor_execute", paused)
        assert rows.count_requests(connection, key.id, ceilings)

    def charge(connection: Connection) -> None:
        event.listen(connection, "after_cursor_execute", after_the_look)
        rows.charge(connection, [Charge(key.id, one.window, one.began_at, 7, 0.5) for one in ceilings])

    def after_the_look(*arguments: Any) -> None:
        if "INSERT" in arguments[2]:
            paused()

    met: set[int] = set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.write, count)
        nursery.start_soon(database.write, charge)
    began_at = {one.window: one.began_at for one in ceilings}
    used = await database.read(lambda connection: rows.used(connection, key.id, began_at))
    assert used == {window.value: (1, 7, 0.5) for window in Window}
