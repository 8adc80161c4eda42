"""The one task that keeps a request's deadlines, on a mock clock; and what moves in one go."""

from __future__ import annotations

import math

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from relay.conftest import hello
from support.scripted import RecordingSink, answering, tail, text
from support.sse import names_of, text_of
from trio.testing import MockClock

from kirotrio.relay.request import Mode
from kirotrio.relay.watch import Patience, Progress, Silence, watch
from kirotrio.telemetry.log import RecordingLog, SilentLog

PATIENCE = Patience(first_event=50.0, silence=30.0, tail=0.0, notes=(10.0, 20.0))


async def test_each_look_is_taken_when_it_asked_for_it_and_the_watch_ends_with_the_last(
    autojump_clock: MockClock,
) -> None:
    began = trio.current_time()
    taken: list[tuple[str, float]] = []

    def every(name: str, seconds: float, times: int) -> object:
        moments = iter([*(began + seconds * n for n in range(1, times + 1)), math.inf])
        due = began

        def look(now: float) -> float:
            nonlocal due
            if now >= due:
                taken.append((name, now - began))
                due = next(moments)
            return due

        return look

    await watch([every("a", 3.0, 3), every("b", 4.0, 2)])
    assert taken == [("a", 0), ("b", 0), ("a", 3), ("b", 4), ("a", 6), ("b", 8), ("a", 9)]


async def ended_after(progress: Progress, patience: Patience, log: RecordingLog | None = None) -> float:
    """Seconds until the silence ends the reading, beside a watch that began earlier."""
    silence = Silence(patience.shortest, log or SilentLog())
    with progress.reading:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, [silence.look])
            await trio.sleep(1.25)
            began = trio.current_time()
            progress.started_at += 1.25
            if progress.reading_since is not None:
                progress.reading_since += 1.25
            silence.follow(progress, patience)
            await trio.sleep_forever()
    return trio.current_time() - began


async def test_a_generation_that_begins_between_two_looks_is_ended_in_its_time(autojump_clock: MockClock) -> None:
    assert await ended_after(Progress(), PATIENCE) == pytest.approx(PATIENCE.first_event)


async def test_a_silence_is_counted_from_the_read_that_waits_and_noted_once_for_each_length(
    autojump_clock: MockClock,
) -> None:
    log, now = RecordingLog(), trio.current_time()
    progress = Progress(first_event_at=now, reading_since=now, upstream_request_id="their-1")
    assert await ended_after(progress, PATIENCE, log) == pytest.approx(PATIENCE.silence)
    told = [(fields["seconds"], fields["upstream_request_id"]) for _, _, fields in log.lines]
    assert told == [(10, "their-1"), (20, "their-1")]


async def test_nobody_is_called_silent_who_is_not_being_read(autojump_clock: MockClock) -> None:
    silence, progress = Silence(PATIENCE.shortest, SilentLog()), Progress(first_event_at=trio.current_time())
    silence.follow(progress, PATIENCE)
    with progress.reading, trio.move_on_after(1000.0):
        await watch([silence.look])
    assert not progress.reading.cancel_called


@given(st.floats(0.0, 1e9), st.floats(1e-3, 1e4), st.floats(1e-3, 1e4), st.lists(st.floats(1e-3, 1e4), max_size=3))
async def test_a_look_is_never_wanted_before_it_can_tell_more(
    now: float, first_event: float, silent: float, notes: list[float]
) -> None:
    """Else the watch would turn round and round on a clock that stands still."""
    patience = Patience(first_event, silent, 0.0, notes=tuple(sorted(notes)))
    silence = Silence(patience.shortest, SilentLog())
    for progress in (
        Progress(started_at=now),
        Progress(started_at=now, first_event_at=now, reading_since=now),
        Progress(started_at=now, first_event_at=now),
    ):
        silence.follow(progress, patience)
        moment = now
        for _ in range(10):
            if progress.reading.cancel_called:
                break
            following = silence.look(moment)
            assert following > moment or moment + patience.shortest == moment
            moment = following


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_request_is_four_tasks_at_most(stage, autojump_clock, mode: Mode) -> None:
    scene = stage(answering(text("x"), 5.0, text("y"), tail()))
    counts: list[int] = []

    async def count(asking: trio.Nursery) -> None:
        await trio.sleep(2.0)
        (own,) = [task for task in asking.child_tasks if task is not trio.lowlevel.current_task()]
        counts.append(1 + sum(len(nursery.child_tasks) for nursery in own.child_nurseries))

    async with trio.open_nursery() as asking:
        asking.start_soon(scene.run, mode)
        asking.start_soon(count, asking)
    assert counts == [4], "who drains, produces, reads and watches"


class Behind(RecordingSink):
    """A client that takes a second for every piece."""

    async def write(self, piece: bytes) -> None:
        await trio.sleep(1)
        await super().write(piece)


async def test_what_came_while_the_client_was_behind_leaves_in_one_piece(stage, autojump_clock) -> None:
    words = [f"{n} " for n in range(8)]
    scene = stage(answering(text("first "), 0.1, *[[frame, 0.01] for frame in text(*words)], 5.0, tail()))
    sink = Behind()
    await scene.answer(Mode.LIVE, hello()).run(sink)
    assert text_of(sink.body) == "first " + "".join(words)
    assert names_of(sink.body).count("content_block_delta") == 9, "every delta is kept"
    assert [piece.count(b"content_block_delta") // 2 for _, piece in sink.pieces][:2] == [1, 8]
