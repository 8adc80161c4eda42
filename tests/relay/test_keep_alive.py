"""Signs of life while nothing else can be sent, on a mock clock."""

from __future__ import annotations

from support.scripted import answering, tail, text
from support.sse import events_of, names_of

from kirotrio.relay.request import Mode


async def test_four_minutes_of_upstream_silence_are_bridged_by_pings(stage, autojump_clock):
    sink = await stage(answering(text("before"), 240.0, text("after"), tail()), deadlines={"silence": 300}).run()
    pings = [at for at, piece in sink.pieces if b"event: ping" in piece]
    assert [round(at - sink.pieces[0][0]) for at in pings] == [15 * n for n in range(1, 17)], (
        "one ping every 15 seconds"
    )
    names = names_of(sink.body)
    assert names[-1] == "message_stop"
    assert "error" not in names


async def test_live_mode_pings_before_the_first_event(stage, autojump_clock):
    sink = await stage(answering(40.0, text("late"), tail())).run()
    assert names_of(sink.body)[:3] == ["message_start", "ping", "ping"], "the head is open, the message has begun"
    assert sink.status == 200


async def test_buffered_mode_pings_while_the_upstream_streams(stage, autojump_clock):
    steps = [step for n in range(60) for step in (1.0, *text(f"{n} "))]
    sink = await stage(answering(steps, tail(percentage=5.0))).run(Mode.BUFFERED)
    pings = [round(at) for at, piece in sink.pieces if piece.startswith(b"event: ping")]
    assert len(pings) == 2, f"60 seconds without a byte to the client hold two pings of 25 seconds, not {len(pings)}"
    assert pings[1] - pings[0] == 25
    names = names_of(sink.body)
    assert names[2] == "message_start"
    start = events_of(sink.body)[2]
    assert start["message"]["usage"]["input_tokens"] == 10_000, "5 percent of a window of 200000"


async def test_a_buffered_answer_that_is_quick_has_no_ping(stage, autojump_clock):
    sink = await stage(answering(text("quick"), tail())).run(Mode.BUFFERED)
    assert "ping" not in names_of(sink.body)
    assert len(sink.pieces) == 1, "the whole answer is one write"


async def test_live_deltas_count_as_signs_of_life(stage, autojump_clock):
    steps = [step for n in range(10) for step in (14.0, *text(f"{n} "))]
    sink = await stage(answering(steps, tail())).run()
    assert "ping" not in names_of(sink.body), "no more than 14 seconds ever passed without a byte"


async def test_json_mode_sends_blanks_only_where_that_is_switched_on(stage, autojump_clock):
    script = answering(text("slow"), 100.0, tail())
    quiet = await stage(script).run(Mode.JSON)
    assert len(quiet.pieces) == 1
    lively = await stage(script, server={"json_keepalive": True}).run(Mode.JSON)
    assert lively.body.startswith(b"      {"), "six blanks of 15 seconds each, then the body"
    assert lively.body.strip() == quiet.body


async def test_the_first_delta_leaves_before_the_second_arrives(stage, autojump_clock):
    sink = await stage(answering(text("first"), 5.0, text("second"), tail())).run()
    first = next(at for at, piece in sink.pieces if b'"first"' in piece)
    second = next(at for at, piece in sink.pieces if b'"second"' in piece)
    assert second - first == 5.0
