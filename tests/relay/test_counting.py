"""What an answer put out: counted with one vocabulary, which is loaded where it is needed and keeps nobody waiting."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import trio
from relay.conftest import hello
from support.scripted import RecordingSink, answering, event, tail, text
from support.sse import events_of

from kirotrio.conversation.request import Limits
from kirotrio.conversation.tokens import TokenEstimator, load_vocabulary
from kirotrio.errors import KirotrioError

EXACT = event(
    "metadataEvent",
    stopReason="END_TURN",
    tokenUsage={"uncachedInputTokens": 30, "outputTokens": 12_345, "totalTokens": 12_375},
)
WORDS = "Der Zähler zählt 四十二 tokens, \n\n  whatever_was(asked) before! "


def output_of(sink: RecordingSink) -> int:
    [usage] = [e["usage"] for e in events_of(sink.body) if e["type"] == "message_delta"]
    return int(usage["output_tokens"])


def text_of(sink: RecordingSink) -> str:
    deltas = [e["delta"] for e in events_of(sink.body) if e["type"] == "content_block_delta"]
    return "".join(delta["text"] for delta in deltas)


class Blocking:
    """A vocabulary whose loading takes as long as the test wants."""

    def __init__(self) -> None:
        self.asked, self.released = threading.Event(), threading.Event()

    def __call__(self) -> Any:
        self.asked.set()
        assert self.released.wait(30)
        return load_vocabulary()


def refusing() -> Any:
    pytest.fail("loaded for a count that nobody needs")


@pytest.mark.parametrize("words", ["x", WORDS * 400], ids=["short", "long"])
async def test_what_was_put_out_is_counted_by_the_vocabulary_from_the_first_answer_on(stage, mock_clock, words):
    # A clock that stands still: one that jumps takes waiting for a thread for idleness.
    scene, estimator = stage(answering(text(words), tail())), TokenEstimator(refusing)
    scene.change(estimator=estimator)
    counts = [output_of(await scene.run()) for _ in range(2)]
    assert counts == [load_vocabulary().count(words)] * 2
    assert estimator.ready


async def test_nothing_is_loaded_where_the_upstream_tells_the_exact_count(stage, mock_clock):
    scene = stage(answering(text(WORDS), [EXACT]))
    scene.change(estimator=TokenEstimator(refusing, load_counting=refusing))
    assert output_of(await scene.run()) == 12_345


@pytest.mark.parametrize("limit", [40, 1_000])
async def test_an_answer_is_cut_at_the_same_token_before_and_after_the_vocabulary_was_loaded(stage, mock_clock, limit):
    conversation = hello(limits=Limits(max_tokens=limit))
    pieces = [WORDS[at : at + 7] for at in range(0, len(WORDS), 7)] * 100
    scene = stage(answering(text(*pieces), tail()))
    scene.change(estimator=TokenEstimator(refusing))
    first = await scene.run(conversation=conversation)
    estimator = TokenEstimator()
    estimator.ensure_loaded()
    estimator.ensure_ready()
    scene.change(estimator=estimator)
    second = await scene.run(conversation=conversation)
    assert text_of(first) == text_of(second) != "".join(pieces)
    assert output_of(first) == output_of(second)
    assert limit < output_of(first) <= 1.2 * limit + 256


@pytest.mark.parametrize("limits", [Limits(), Limits(max_tokens=20)], ids=["at the end", "ahead of the limit"])
async def test_others_go_on_while_the_vocabulary_is_loaded(stage, mock_clock, limits):
    blocking = Blocking()
    scene = stage(answering(text(WORDS, WORDS), tail()), answering(text("x"), [EXACT]))
    scene.change(estimator=TokenEstimator(refusing, load_counting=blocking))
    sinks: list[RecordingSink] = []

    async def first() -> None:
        sinks.append(await scene.run(conversation=hello(limits=limits)))

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first)
            assert await trio.to_thread.run_sync(blocking.asked.wait, 30)
            other = RecordingSink()
            await scene.answer(conversation=hello(limits=Limits(max_tokens=64_000))).run(other)
            assert output_of(other) == 12_345
            assert not sinks
            blocking.released.set()
    finally:
        blocking.released.set()
    counted = load_vocabulary().count(text_of(sinks[0]))
    assert output_of(sinks[0]) == counted
    assert (text_of(sinks[0]) == WORDS * 2) is (limits.max_tokens is None)


async def test_nothing_passes_while_the_vocabulary_of_a_limit_is_loaded(stage, mock_clock):
    blocking, sink = Blocking(), RecordingSink()
    scene = stage(answering(text(*[WORDS] * 50), tail()))
    scene.change(estimator=TokenEstimator(refusing, load_counting=blocking))
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.answer(conversation=hello(limits=Limits(max_tokens=20))).run, sink)
            assert await trio.to_thread.run_sync(blocking.asked.wait, 30)
            await trio.testing.wait_all_tasks_blocked()
            assert WORDS[:3].encode() not in sink.body
            blocking.released.set()
    finally:
        blocking.released.set()
    assert 0 < len(text_of(sink)) < 2 * len(WORDS)


async def test_who_leaves_while_the_vocabulary_is_loaded_waits_no_longer_than_for_a_record(stage, mock_clock):
    blocking, left = Blocking(), trio.Event()
    scene = stage(answering(text(WORDS), tail()))
    scene.change(estimator=TokenEstimator(refusing, load_counting=blocking))

    async def leave() -> None:
        assert await trio.to_thread.run_sync(blocking.asked.wait, 30)
        client.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert not left.is_set()
        mock_clock.jump(3)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leave)
            with trio.CancelScope() as client:
                await scene.run()
            left.set()
        assert client.cancelled_caught
        assert trio.current_time() == 3
    finally:
        blocking.released.set()
    [answer] = scene.logged("request finished")
    assert answer["outcome"] == "client gone"
    assert "output_tokens" not in answer


@pytest.mark.parametrize("in_time", [True, False])
async def test_others_go_on_while_the_vocabulary_is_loaded_for_an_answer_that_was_cut(stage, mock_clock, in_time):
    blocking, sink, client, left = Blocking(), RecordingSink(), trio.CancelScope(), trio.Event()
    scene = stage(answering(text(WORDS), 1e9, tail()), answering(text("x"), [EXACT]))
    scene.change(estimator=TokenEstimator(refusing, load_counting=blocking))

    async def cut() -> None:
        with client:
            await scene.answer().run(sink)
        left.set()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            while WORDS[-9:].encode() not in sink.body:
                await trio.testing.wait_all_tasks_blocked()
            client.cancel()
            assert await trio.to_thread.run_sync(blocking.asked.wait, 30)
            other = RecordingSink()
            await scene.answer().run(other)
            assert output_of(other) == 12_345
            assert not left.is_set()
            if in_time:
                blocking.released.set()
            else:
                mock_clock.jump(3)
            await left.wait()
    finally:
        blocking.released.set()
    [answer] = [one for one in scene.logged("request finished") if one["outcome"] == "client gone"]
    assert answer.get("output_tokens") == (load_vocabulary().count(WORDS) if in_time else None)


async def test_answers_that_are_cut_together_are_counted_one_after_the_other(stage, mock_clock):
    counting: list[int] = []
    most = 0

    class Slow:
        def count(self, words: str) -> int:
            nonlocal most
            counting.append(1)
            most = max(most, len(counting))
            time.sleep(0.05)  # long enough for another thread to begin
            counting.pop()
            return 7

    scene = stage(*[answering(text(WORDS * 400), 1e9, tail()) for _ in range(4)])
    scene.change(estimator=TokenEstimator(refusing, load_counting=Slow))
    sinks = [RecordingSink() for _ in range(4)]
    async with trio.open_nursery() as nursery:
        for sink in sinks:
            nursery.start_soon(scene.answer().run, sink)
        while not all(WORDS[-9:].encode() in sink.body for sink in sinks):
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [one["output_tokens"] for one in scene.logged("request finished")] == [7] * 4
    assert most == 1, "threads that count at one time keep the event loop waiting"


async def test_the_record_of_a_cut_answer_tells_what_was_put_out(stage, mock_clock):
    scene = stage(answering(text(WORDS * 400), 1e9, tail()))
    scene.change(estimator=TokenEstimator(refusing))
    sink = RecordingSink()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.answer().run, sink)
        while WORDS[-9:].encode() not in sink.body:
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    [answer] = scene.logged("request finished")
    assert answer["output_tokens"] == load_vocabulary().count(WORDS * 400)


async def test_without_a_vocabulary_characters_are_counted_and_the_log_says_so_once(stage, mock_clock):
    def missing() -> Any:
        raise KirotrioError("the vocabulary is not there")

    scene, told = stage(answering(text("x" * 400), tail())), []
    scene.change(estimator=TokenEstimator(missing, load_counting=missing, tell=told.append))
    assert [output_of(await scene.run()) for _ in range(2)] == [100, 100]
    assert told == ["the vocabulary is not there"]
