"""Deadlines, limits, stops and clients that leave: every stream ends properly (ARCHITECTURE, rule 8)."""

from __future__ import annotations

import orjson
import pytest
import trio
from relay.conftest import hello
from support.scripted import RecordingSink, answering, event, tail, text
from support.sse import events_of, names_of, text_of

from kirotrio.conversation.request import Limits
from kirotrio.errors import Overloaded
from kirotrio.relay.request import Mode


async def test_five_minutes_of_silence_end_the_answer(stage, autojump_clock):
    scene = stage(answering(text("then nothing"), end="hang"))
    began = trio.current_time()
    sink = await scene.run()
    assert trio.current_time() - began == pytest.approx(300, abs=1)
    assert names_of(sink.body)[-1] == "error"
    assert "300 seconds" in events_of(sink.body)[-1]["error"]["message"]


async def test_long_silence_is_noted_before_it_is_ended(stage, autojump_clock):
    scene = stage(answering(text("a"), 250.0, text("b"), tail()))
    await scene.run()
    noted = [fields["seconds"] for _, name, fields in scene.log.lines if name == "upstream is silent"]
    assert noted == [100, 200]


async def test_silence_is_counted_anew_after_each_event(stage, autojump_clock):
    scene = stage(answering(text("a"), 299.0, text("b"), 299.0, text("c"), tail()))
    assert text_of((await scene.run()).body) == "abc"


async def test_a_whole_answer_has_a_deadline(stage, autojump_clock):
    steps = [step for _ in range(100) for step in (30.0, *text("more "))]
    sink = await stage(answering(steps, tail())).run()
    assert names_of(sink.body)[-1] == "error"
    assert "1800 seconds" in events_of(sink.body)[-1]["error"]["message"]


async def test_a_stop_ends_a_running_answer_with_a_legal_error(stage, autojump_clock):
    scene = stage(answering(text("going on"), end="hang"))
    sink = RecordingSink()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.answer().run, sink)
        await trio.sleep(1)
        scene.relay.streams.end_all(Overloaded("the gateway is stopping"))
    assert names_of(sink.body)[-1] == "error"
    assert events_of(sink.body)[-1]["error"]["type"] == "overloaded_error"
    assert sink.finished


async def test_a_stop_before_the_head_is_an_http_error(stage, autojump_clock):
    scene = stage(answering(head_after=100.0))
    sink = RecordingSink()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.answer().run, sink)
        await trio.sleep(1)
        scene.relay.streams.end_all(Overloaded("the gateway is stopping", retry_after=5))
    assert (sink.status, sink.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    "script",
    [answering(head_after=1e6), answering(end="hang"), answering(text("x"), end="hang")],
    ids=["no head", "head only", "mid-answer"],
)
async def test_a_client_that_leaves_closes_the_upstream(stage, autojump_clock, mode, script):
    scene = stage(script)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.answer(mode).run, RecordingSink())
        await trio.sleep(5)
        assert scene.transport.open == 1
        nursery.cancel_scope.cancel()
    assert scene.transport.open == 0
    assert scene.transport.closed_at == [trio.current_time()], "closed at the moment of leaving"
    assert [fields["outcome"] for _, name, fields in scene.log.lines if name == "request finished"] == ["client gone"]


async def test_a_client_that_does_not_read_stops_the_upstream_read(stage, autojump_clock):
    class Blocked(RecordingSink):
        async def write(self, piece: bytes) -> None:
            await trio.sleep_forever()

    steps = text(*[f"{n} " for n in range(10_000)])
    scene = stage(answering(steps, tail()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.answer().run, Blocked())
        await trio.sleep(10)
        stream = scene.transport.streams[0]
        read = stream._position
        nursery.cancel_scope.cancel()
    assert read < 100, f"{read} pieces were read for a client that takes none"


async def test_a_stop_sequence_ends_a_live_answer_and_its_upstream_at_once(stage, autojump_clock):
    scene = stage(answering(text("keep STOP drop"), 60.0, text("never"), tail()))
    began = trio.current_time()
    sink = await scene.run(conversation=hello(limits=Limits(1000, ("STOP",))))
    assert text_of(sink.body) == "keep "
    delta = events_of(sink.body)[-2]["delta"]
    assert (delta["stop_reason"], delta["stop_sequence"]) == ("stop_sequence", "STOP")
    assert trio.current_time() == began


async def test_a_buffered_answer_reads_on_for_its_measured_count(stage, autojump_clock):
    scene = stage(answering(text("keep STOP drop"), 3.0, text("never"), tail(percentage=10.0)))
    sink = await scene.run(Mode.JSON, hello(limits=Limits(1000, ("STOP",))))
    message = orjson.loads(sink.body)
    assert message["content"][0]["text"] == "keep "
    assert message["stop_reason"] == "stop_sequence"
    assert message["usage"]["input_tokens"] == 20_000, "measured, although the answer had ended"


async def test_reading_on_for_the_count_has_a_deadline(stage, autojump_clock):
    scene = stage(answering(text("keep STOP drop"), 100.0, tail(percentage=10.0)))
    began = trio.current_time()
    sink = await scene.run(Mode.JSON, hello(limits=Limits(1000, ("STOP",))))
    assert trio.current_time() - began == pytest.approx(5, abs=0.1)
    assert sink.headers["x-kirotrio-usage"] == "estimate"


async def test_a_buffered_answer_beyond_the_ceiling_is_an_error_that_says_so(stage, autojump_clock):
    scene = stage(answering(text(*["x" * 1000] * 100), tail()), relay={"spool": 20_000})
    for mode in (Mode.BUFFERED, Mode.JSON):
        sink = await scene.run(mode)
        assert sink.status == 413
        assert "relay.spool" in orjson.loads(sink.body)["error"]["message"]


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.BUFFERED])
async def test_a_cut_stream_never_ends_cleanly(stage, autojump_clock, mode):
    whole = event("assistantResponseEvent", content="cut")
    scene = stage(answering(text("a"), [whole[:-7]]))
    sink = await scene.run(mode)
    assert b"message_stop" not in sink.body


@pytest.mark.parametrize("cut", range(1, 4))
async def test_characters_cut_between_reads_arrive_whole(stage, autojump_clock, cut):
    frame = event("assistantResponseEvent", content="€é😀漢")
    position = frame.index("😀".encode()) + cut
    scene = stage(answering([frame[:position]], 1.0, [frame[position:]], tail()))
    assert text_of((await scene.run()).body) == "€é😀漢"


async def test_equal_deltas_are_all_kept(stage, autojump_clock):
    sink = await stage(answering(text("ha", "ha", "ha", "\n", "\n"), tail())).run()
    assert text_of(sink.body) == "hahaha\n\n"
