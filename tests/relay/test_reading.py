"""One generation read to its end: what counts as an answer, what is kept of a broken one, and how soon it is told."""

from __future__ import annotations

import gc

import orjson
import pytest
import trio
from relay.conftest import hello
from support.scripted import Script, answering, event, exception, refusing, tail, text
from support.sse import events_of, names_of, text_of

from kirotrio.conversation.request import Limits, Text, Turn
from kirotrio.relay.attempt import Call
from kirotrio.relay.request import Mode

WHOLE = [*text("whole"), *tail()]


@pytest.mark.parametrize("kind", ["text/html", "application/json", ""])
async def test_another_content_type_is_no_answer_however_it_reads(stage, autojump_clock, kind):
    sink = await stage(Script(WHOLE, headers={"content-type": kind} if kind else {})).run(Mode.JSON)
    assert sink.status == 502
    assert (kind or "no content type") in orjson.loads(sink.body)["error"]["message"]


async def test_parameters_of_the_content_type_do_no_harm(stage, autojump_clock):
    sink = await stage(Script(WHOLE, headers={"content-type": "application/vnd.amazon.eventstream; v=1"})).run()
    assert text_of(sink.body) == "whole"


@pytest.mark.parametrize("name", ["x-amzn-requestid", "x-amzn-request-id", "x-amz-request-id"])
async def test_the_upstreams_request_id_is_known_by_all_its_names(stage, autojump_clock, name):
    scene = stage(Script(WHOLE, headers={"content-type": "application/vnd.amazon.eventstream", name: "their-1"}))
    sink = await scene.run()
    assert sink.headers["x-kiro-request-id"] == "their-1"
    assert scene.logged("request finished")[0]["upstream_request_id"] == "their-1"


async def test_a_huge_request_that_is_called_malformed_is_told_as_an_overflow(stage, autojump_clock):
    refused = refusing(400, message="Improperly formed request.", reason=None)
    huge = hello(turns=(Turn("user", (Text("word " * 140_000),), "messages.0"),))
    told = [
        orjson.loads((await stage(refused).run(conversation=conversation)).body)["error"]["message"]
        for conversation in (huge, hello())
    ]
    assert [message.startswith("prompt is too long") for message in told] == [True, False]


async def test_an_unmeasured_answer_reports_the_estimate(stage, autojump_clock, estimator):
    expected = estimator.estimate(hello(), "claude")
    assert expected > 0
    script = answering(text("x"), event("metadataEvent", stopReason="END_TURN"))
    for mode in Mode:
        sink = await stage(script).run(mode)
        usage = orjson.loads(sink.body)["usage"] if mode is Mode.JSON else events_of(sink.body)[-2]["usage"]
        assert usage["input_tokens"] == expected, mode


async def test_an_answer_that_a_stop_sequence_ends_before_it_was_measured_reports_the_estimate(
    stage, autojump_clock, estimator
):
    sink = await stage(answering(text("keep STOP"), tail())).run(conversation=hello(limits=Limits(1000, ("STOP",))))
    assert events_of(sink.body)[-2]["usage"]["input_tokens"] == estimator.estimate(hello(), "claude")


async def test_text_that_came_with_a_failure_is_delivered_ahead_of_it(stage, autojump_clock):
    piece = b"".join([*text("half"), exception("InternalServerException", "broken")])
    sink = await stage(answering([piece])).run()
    assert text_of(sink.body) == "half"
    assert names_of(sink.body)[-1] == "error"


async def test_text_that_came_with_a_failure_forbids_another_live_attempt(stage, autojump_clock):
    piece = b"".join([*text("half"), exception("InternalServerException", "broken")])
    scene = stage(answering([piece]), answering(WHOLE))
    await scene.run()
    assert len(scene.transport.bodies) == 1


async def test_a_damaged_frame_is_behind_what_was_intact_in_the_same_read(stage, autojump_clock):
    damaged = bytearray(text("never")[0])
    damaged[-1] ^= 0xFF
    sink = await stage(answering([text("half")[0] + bytes(damaged)])).run()
    assert text_of(sink.body) == "half"
    assert names_of(sink.body)[-1] == "error"


@pytest.mark.parametrize("end", ["cut", "fault"])
@pytest.mark.parametrize("mode", list(Mode))
async def test_what_breaks_behind_a_stop_sequence_does_not_spoil_the_answer(stage, autojump_clock, mode, end):
    scene = stage(answering(text("keep STOP"), 1.0, text("drop"), end=end), answering(WHOLE))
    sink = await scene.run(mode, hello(limits=Limits(1000, ("STOP",))))
    assert sink.status == 200
    assert len(scene.transport.bodies) == 1
    if mode is Mode.JSON:
        message = orjson.loads(sink.body)
        assert (message["stop_reason"], message["content"][0]["text"]) == ("stop_sequence", "keep ")
    else:
        assert names_of(sink.body)[-1] == "message_stop"
        assert text_of(sink.body) == "keep "


async def test_an_exception_behind_a_stop_sequence_does_not_spoil_the_answer(stage, autojump_clock):
    scene = stage(answering(text("keep STOP"), 1.0, [exception("InternalServerException", "x")], end="hang"))
    sink = await scene.run(Mode.JSON, hello(limits=Limits(1000, ("STOP",))))
    assert orjson.loads(sink.body)["stop_reason"] == "stop_sequence"


@pytest.mark.parametrize("steps", [[], text("half")], ids=["before anything", "in the middle"])
async def test_a_fault_in_the_reader_is_the_dialects_error_and_logged(stage, autojump_clock, steps):
    scene = stage(answering(steps, end="fault"))
    sink = await scene.run()
    if steps:
        assert names_of(sink.body)[-1] == "error"
        assert text_of(sink.body) == "half"
    else:
        assert sink.status == 502
        assert orjson.loads(sink.body)["type"] == "error"
    (line,) = scene.logged("reader failed")
    assert str(line["exc_info"]) == "a fault in the transport"
    assert b"fault in the transport" not in sink.body, "a traceback's words are for the log"


async def test_an_error_whose_body_does_not_come_is_told_by_its_status_soon(stage, autojump_clock):
    began = trio.current_time()
    stalled = Script([b'{"mess'], status=503, end="hang", headers={"content-type": "application/json"})
    scene = stage(stalled, relay={"attempts": 1})
    sink = await scene.run()
    assert trio.current_time() - began < 10
    assert sink.status == 529
    assert scene.logged("request finished")[0]["attempts"] == ["upstream_overloaded(503)"]


async def test_a_first_event_after_silence_is_watched_from_then_on(stage, autojump_clock):
    began = trio.current_time()
    await stage(answering(50.0, text("x"), end="hang"), deadlines={"silence": 20.0}).run()
    assert trio.current_time() - began == pytest.approx(70)


async def test_the_first_event_is_logged_with_its_time(stage, autojump_clock):
    scene = stage(answering(4.0, WHOLE, head_after=2.0))
    await scene.run()
    assert scene.logged("request finished")[0]["first_event_seconds"] == pytest.approx(6)


async def test_a_requests_body_is_not_held_for_as_long_as_its_answer_takes(stage, autojump_clock):
    scene = stage(answering(text("begun"), end="hang", head_after=5.0))
    known = {id(one) for one in gc.get_objects() if isinstance(one, Call)}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.run)
        await trio.sleep(1)
        (call,) = (one for one in gc.get_objects() if isinstance(one, Call) and id(one) not in known)
        assert len(call.body) == call.size > 0, "the upstream has not answered yet"
        await trio.sleep(5)
        assert (call.body, call.size > 0) == (b"", True)
        nursery.cancel_scope.cancel()
