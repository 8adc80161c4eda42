"""Answers that end while more of them is still coming: whoever is in the middle of handing on must not stumble."""

from __future__ import annotations

import orjson
import pytest
import trio
from relay.conftest import hello
from support.scripted import RecordingSink, answering, exception, tail, text
from support.sse import names_of, text_of

from kirotrio.conversation.request import Limits
from kirotrio.relay.request import Mode


class Slow(RecordingSink):
    """A client that takes a second for every piece, so that all channels behind it fill."""

    async def write(self, piece: bytes) -> None:
        await trio.sleep(1)
        await super().write(piece)


MANY = text(*[f"{n} " for n in range(200)])


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_limit_met_while_the_reader_is_far_ahead_ends_the_answer_well(stage, autojump_clock, mode):
    scene = stage(answering(text("keep "), MANY[:20], text("STOP"), MANY, tail()), deadlines={"tail": 0.001})
    sink = Slow()
    await scene.answer(mode, hello(limits=Limits(10_000, ("STOP",)))).run(sink)
    if mode is Mode.JSON:
        assert orjson.loads(sink.body)["stop_reason"] == "stop_sequence"
    else:
        assert names_of(sink.body)[-1] == "message_stop"
        assert text_of(sink.body).startswith("keep 0 1 ")
    assert "error" not in [level for level, _, _ in scene.log.lines], scene.log.lines


async def test_a_failure_in_the_middle_of_many_events_is_one_legal_error(stage, autojump_clock):
    scene = stage(answering(MANY[:20], [exception("InternalServerException", "broken")], MANY, tail()))
    sink = Slow()
    await scene.answer().run(sink)
    assert names_of(sink.body)[-1] == "error"
    assert "error" not in [level for level, _, _ in scene.log.lines], scene.log.lines


@pytest.mark.parametrize("mode", [Mode.BUFFERED, Mode.JSON])
async def test_an_answer_beyond_the_ceiling_ends_well_for_a_slow_client(stage, autojump_clock, mode):
    scene = stage(answering(text("x" * 1000), MANY, tail()), relay={"spool": 1000})
    sink = Slow()
    await scene.answer(mode).run(sink)
    assert sink.status == 413
    assert sink.finished
    assert "error" not in [level for level, _, _ in scene.log.lines], scene.log.lines
