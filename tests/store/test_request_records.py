"""Records of requests are written beside the requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.engines import emptied

from kirotrio.config.settings import Settings, StoreSettings
from kirotrio.errors import StoreUnavailable
from kirotrio.store.database import Database
from kirotrio.store.request_record import RequestRecord
from kirotrio.store.request_records import BATCH, SETTLED, RecordWriter
from kirotrio.store.request_rows import prune, recent
from kirotrio.telemetry.log import RecordingLog


class Shelf:
    """A database of batches, for the mock clock: no thread. `away` makes it fail, `slow` makes it take its time."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.tries = 0
        self.pruned: list[float] = []
        self.away = False
        self.slow = 0.0
        self.refused: set[str] = set()

    async def write(self, work: Callable[[Any], Any]) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        with trio.CancelScope(shield=True):  # as a thread that runs on
            await trio.sleep(self.slow)
        work(self)

    # A connection, as far as these functions look at it.
    dialect = attrs.make_class("Dialect", {"name": attrs.field(default="sqlite")})()

    def execute(self, statement: Any, rows: list[dict[str, Any]] | None = None) -> Any:
        if rows is None:
            self.pruned.append(statement.compile().params["at_1"])
            return attrs.make_class("Result", {"rowcount": attrs.field(default=0)})()
        self.tries += 1
        if self.away:
            raise StoreUnavailable("the database does not answer")
        if self.refused & {row["id"] for row in rows}:
            raise ValueError("no such value")
        self.batches.append([row["id"] for row in rows])
        return None

    @property
    def written(self) -> list[str]:
        return [each for batch in self.batches for each in batch]


def record(number: int, **changes: Any) -> RequestRecord:
    return RequestRecord(
        **{"id": f"req-{number}", "at": float(number), "outcome": "finished", "seconds": 1.5, **changes}
    )


def ids(count: int, start: int = 0) -> list[str]:
    return [f"req-{number}" for number in range(start, start + count)]


def make(shelf: Any, **store: Any) -> tuple[RecordWriter, RecordingLog]:
    log = RecordingLog()
    return RecordWriter(shelf, Settings(store=StoreSettings(**store)), log, clock=trio.current_time), log


@asynccontextmanager
async def writing(writer: RecordWriter) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.run)
        await trio.testing.wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


async def test_records_are_gathered_for_a_second(autojump_clock: trio.testing.MockClock) -> None:
    shelf = Shelf()
    writer, _ = make(shelf)
    async with writing(writer):
        for number in range(3):
            writer.put(record(number))
            await trio.sleep(0.3)
        assert shelf.batches == []
        await trio.sleep(0.2)
        assert shelf.batches == [ids(3)]
        await trio.sleep(60)
        assert shelf.tries == 1, "nothing is written where there is nothing"


async def test_many_records_do_not_wait_and_go_in_batches(autojump_clock: trio.testing.MockClock) -> None:
    shelf = Shelf()
    writer, _ = make(shelf)
    async with writing(writer):
        for number in range(BATCH * 2):
            writer.put(record(number))
        await trio.testing.wait_all_tasks_blocked()
        assert [len(batch) for batch in shelf.batches] == [BATCH, BATCH]
        assert shelf.written == ids(BATCH * 2)


async def test_oldest_are_dropped_where_there_is_no_room(autojump_clock: trio.testing.MockClock) -> None:
    shelf = Shelf()
    writer, log = make(shelf, max_pending=5)
    for number in range(8):
        writer.put(record(number))
    assert (len(writer), writer.dropped) == (5, 3)
    async with writing(writer):
        await trio.sleep(2)
    assert shelf.written == ids(5, start=3)
    assert ("warning", "records of requests were dropped", {"dropped": 3}) in log.lines


async def test_records_wait_while_the_database_is_away(autojump_clock: trio.testing.MockClock) -> None:
    shelf = Shelf()
    shelf.away = True
    writer, log = make(shelf, max_pending=300)
    async with writing(writer):
        for number in range(310):
            writer.put(record(number))
        await trio.sleep(600)
        tried = shelf.tries
        assert 8 <= tried <= 16, "tries become rarer, a minute apart at most"
        assert len(writer) == 300
        shelf.away = False
        await trio.sleep(61)
        assert shelf.written == ids(300, start=10)
        assert log.lines[-1] == ("warning", "records of requests were dropped", {"dropped": 10})
        shelf.away = True
        writer.put(record(999))
        await trio.sleep(1.1)
        tried = shelf.tries
        await trio.sleep(1.1)
        assert shelf.tries == tried + 1, "after a success the pauses are short again"
        shelf.away = False


async def test_what_is_dropped_during_a_write_is_not_taken_for_written(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shelf = Shelf()
    shelf.slow = 5.0
    writer, _ = make(shelf, max_pending=4)
    async with writing(writer):
        await trio.sleep(6)
        for number in range(4):
            writer.put(record(number))
        await trio.sleep(3)
        for number in range(4, 7):
            writer.put(record(number))
        await trio.sleep(20)
    assert shelf.written == ids(7), "all were written, the dropped ones because they were under way already"
    assert len(writer) == 0


async def test_one_bad_record_does_not_stop_the_rest(autojump_clock: trio.testing.MockClock) -> None:
    shelf = Shelf()
    shelf.refused = {"req-1"}
    writer, log = make(shelf)
    async with writing(writer):
        for number in range(4):
            writer.put(record(number))
        await trio.sleep(2)
        assert shelf.written == ["req-0", "req-2", "req-3"]
        assert writer.dropped == 1
        assert "a record of a request was refused" in log.events("error")


async def test_a_stop_writes_what_waits(autojump_clock: trio.testing.MockClock) -> None:
    shelf = Shelf()
    shelf.slow = 0.5
    writer, _ = make(shelf)
    async with writing(writer):
        await trio.sleep(1)
        for number in range(BATCH + 7):
            writer.put(record(number))
    assert shelf.written == ids(BATCH + 7)


async def test_a_stop_does_not_wait_for_a_database_that_is_away(autojump_clock: trio.testing.MockClock) -> None:
    shelf = Shelf()
    shelf.away = True
    writer, log = make(shelf)
    async with writing(writer):
        writer.put(record(1))
        await trio.sleep(10)
        before = trio.current_time()
    assert trio.current_time() == before
    assert log.lines[-1] == ("warning", "records of requests were dropped", {"dropped": 1})


async def test_a_stop_has_a_deadline(autojump_clock: trio.testing.MockClock) -> None:
    shelf = Shelf()
    writer, _ = make(shelf, max_pending=5 * BATCH)
    async with writing(writer):
        await trio.sleep(1)
        shelf.slow = 4.0
        for number in range(5 * BATCH):
            writer.put(record(number))
        before = trio.current_time()
    assert trio.current_time() - before < 10, "one write under way at the deadline is waited for, no further one"
    assert writer.dropped == 5 * BATCH - len(shelf.written) > 0


async def test_old_records_are_removed_every_hour(autojump_clock: trio.testing.MockClock) -> None:
    shelf = Shelf()
    writer, _ = make(shelf, keep_requests=100.0)
    async with writing(writer):
        began = trio.current_time()
        await trio.sleep(3 * 3600 - 1)
    first = began + SETTLED - 100
    assert shelf.pruned == [first, first + 3600, first + 7200]


_wild = st.text(st.characters(), max_size=200)
_number = st.none() | st.integers(-(2**70), 2**70)
_seconds = st.floats(allow_nan=True, allow_infinity=True)


@given(
    model=_wild,
    error=_wild,
    tokens=_number,
    seconds=_seconds,
    credits_=st.none() | _seconds,
    attempts=st.integers(0, 9),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_record_can_be_kept(
    database: Database,
    model: str,
    error: str,
    tokens: int | None,
    seconds: float,
    credits_: float | None,
    attempts: int,
) -> None:
    emptied(database)
    writer, log = make(database)
    wild = record(
        1, model=model, error=error, input_tokens=tokens, seconds=seconds, credits=credits_, attempts=attempts
    )
    async with writing(writer):
        for each in (record(0), wild, wild, record(2)):
            writer.put(each)
    kept = database.reading(recent)
    assert [each.id for each in kept] == ["req-2", "req-1", "req-0"], log.lines
    assert kept[0] == record(2)
    assert kept[1].attempts == attempts
    if model.isascii() and "\0" not in model:
        assert kept[1].model == model[:128]


def test_recent_are_the_newest_and_prune_removes_the_oldest(database: Database) -> None:
    from kirotrio.store.request_rows import insert

    rows = [attrs.asdict(record(number)) for number in range(10)]
    database.writing(lambda connection: insert(connection, rows))
    newest = database.reading(lambda connection: recent(connection, 3))
    assert [each.id for each in newest] == ["req-9", "req-8", "req-7"]
    assert database.writing(lambda connection: prune(connection, 6.0)) == 6
    assert len(database.reading(recent)) == 4


@pytest.mark.parametrize("away", [False, True])
async def test_putting_never_waits(away: bool) -> None:
    shelf = Shelf()
    shelf.away = away
    writer, _ = make(shelf, max_pending=10)
    for number in range(1000):
        writer.put(record(number))  # no checkpoint, and so no `await`
    assert len(writer) == 10
    assert writer.dropped == 990
