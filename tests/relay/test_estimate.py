"""The input count that stands in until the upstream measures: an answer never waits for it in vain."""

from __future__ import annotations

import threading

import orjson
import pytest
import trio
from attrs import define, field
from relay.conftest import hello
from support.scripted import answering, event, tail, text
from support.sse import events_of

from kirotrio.conversation.tokens import quick_count
from kirotrio.relay.request import LARGE, Mode

UNMEASURED = answering(text("x"), event("metadataEvent", stopReason="END_TURN"))
SIZE = 4_000
LARGE_SIZE = 2 * LARGE
"""Of a body that is counted in a thread."""


@define
class Failing:
    """An estimator that has no count to give."""

    released: threading.Event = field(factory=threading.Event)
    learned: list[tuple[str, int, int]] = field(factory=list)
    ready: bool = True

    def estimate(self, conversation: object, family: str) -> int:
        raise ValueError("nothing can be counted")

    def count_text(self, text: str) -> int:
        return quick_count(text)

    def counts_at_once(self, text: str) -> bool:
        return True

    def learn(self, family: str, estimated: int, measured: int, now: float) -> bool:
        self.learned.append((family, estimated, measured))
        return False


class NeverEnding(Failing):
    def estimate(self, conversation: object, family: str) -> int:
        self.released.wait(60)
        return 99


class Knowing(Failing):
    def estimate(self, conversation: object, family: str) -> int:
        return {"claude": 1234}[family]


async def test_live_answers_begin_with_the_estimate(stage, autojump_clock, estimator):
    sink = await stage(answering(text("x"), tail())).run()
    start = events_of(sink.body)[0]["message"]["usage"]
    assert start["input_tokens"] == estimator.estimate(hello(), "claude") > 0


async def test_a_sign_of_life_ahead_of_the_answer_carries_the_estimate_too(stage, autojump_clock, estimator):
    sink = await stage(answering(40.0, text("x"), tail())).run()
    assert events_of(sink.body)[0]["message"]["usage"]["input_tokens"] == estimator.estimate(hello(), "claude")


@pytest.mark.parametrize("size", [SIZE, LARGE_SIZE], ids=["on the spot", "in a thread"])
async def test_a_failing_estimate_is_a_quarter_of_the_bodys_bytes(stage, mock_clock, size):
    # A clock that stands still: one that jumps takes waiting for a thread for idleness.
    scene = stage(UNMEASURED)
    scene.change(estimator=Failing())
    message = orjson.loads((await scene.run(Mode.JSON, size=size)).body)
    assert message["usage"]["input_tokens"] == size // 4
    assert scene.log.events("error") == ["token estimate failed"]


async def test_an_estimate_that_never_ends_is_waited_for_no_longer_than_the_setting_says(
    stage, autojump_clock, monkeypatch
):
    # The body is built on the spot: while a thread did that, the clock would jump ahead of it.
    monkeypatch.setattr("kirotrio.relay.attempts.LARGE", 2 * LARGE_SIZE)
    scene = stage(UNMEASURED, deadlines={"prepare": 12.0})
    endless = NeverEnding()
    scene.change(estimator=endless)
    began = trio.current_time()
    try:
        sink = await scene.run(size=LARGE_SIZE)
    finally:
        endless.released.set()
    assert trio.current_time() - began == pytest.approx(12)
    assert events_of(sink.body)[0]["message"]["usage"]["input_tokens"] == LARGE_SIZE // 4
    assert events_of(sink.body)[-2]["usage"]["input_tokens"] == LARGE_SIZE // 4


async def test_the_estimate_is_made_for_the_models_own_family_and_learned_from(stage, autojump_clock):
    scene = stage(answering(text("four"), tail(percentage=10.0)))
    knowing = Knowing()
    scene.change(estimator=knowing)
    sink = await scene.run()
    assert events_of(sink.body)[0]["message"]["usage"]["input_tokens"] == 1234
    assert knowing.learned == [("claude", 1234, 20_000 - quick_count("four"))], "the output is not part of the prompt"


async def test_nothing_is_learned_where_nothing_was_measured(stage, autojump_clock):
    scene = stage(UNMEASURED)
    scene.change(estimator=Knowing())
    await scene.run()
    assert scene.relay.estimator.learned == []
