"""What an answer came to is told once: its record has the course that it took."""

from __future__ import annotations

from typing import Any

import attrs
import orjson
import pytest
import trio
from support.scripted import RecordingSink, answering, refusing, tail, text

from kirotrio.relay.request import Mode
from kirotrio.store.request_record import RequestRecord


def recorded(scene: Any) -> list[RequestRecord]:
    records: list[RequestRecord] = []
    scene.change(record=records.append)
    return records


async def test_the_course_of_an_answer_is_in_its_record(stage, autojump_clock):
    scene = stage(answering(2.0, text("Hello"), 3.0, text(" there"), tail(), head_after=1.0))
    records = recorded(scene)
    await scene.run()
    (record,) = records
    times = (record.queue_seconds, record.connect_seconds, record.first_event_seconds, record.seconds)
    assert times == pytest.approx((0, 1, 3, 6))
    assert (record.status, record.upstream_id) == (200, "upstream-1")
    (attempt,) = orjson.loads(record.tries)
    assert attempt == {
        "account": "scripted",
        "began": 0.0,
        "seconds": 6.0,
        "outcome": "ok",
        "status": 200,
        "upstream_id": "upstream-1",
    }


async def test_each_attempt_is_in_the_record(stage, autojump_clock):
    scene = stage(refusing(503), answering(text("Hello"), tail(), head_after=1.0))
    records = recorded(scene)
    await scene.run()
    (record,) = records
    first, second = orjson.loads(record.tries)
    assert (first["status"], first["outcome"], first["upstream_id"]) == (503, "upstream_overloaded", "")
    assert (second["status"], second["outcome"]) == (200, "ok")
    assert second["began"] > first["began"] + first["seconds"] - 0.002
    assert record.connect_seconds == pytest.approx(second["began"] + 1, abs=0.002), "until the answer that it was"


async def test_who_asked_is_in_the_record(stage, autojump_clock):
    scene = stage(answering(text("Hello"), tail()))
    records = recorded(scene)
    answer = scene.answer()
    request = attrs.evolve(answer.request, client="agent/1", address="192.0.2.1", taken_at=trio.current_time() - 4)
    await type(answer)(scene.relay, request, answer.dialect).run(RecordingSink())
    (record,) = records
    assert (record.client, record.address) == ("agent/1", "192.0.2.1")
    assert record.seconds == record.first_event_seconds == pytest.approx(4), "since it was taken"


async def test_one_that_never_had_an_account_has_waited_all_the_time(stage, autojump_clock):
    scene = stage(answering(text("x"), end="hang"))
    records = recorded(scene)

    class Nobody:
        def borrow(self, wish):
            return self

        async def __aenter__(self):
            assert scene.relay.metrics.queued == 1
            await trio.sleep_forever()

        async def __aexit__(self, *_):
            raise AssertionError

    scene.change(lender=Nobody())
    with trio.move_on_after(5):
        await scene.run()
    (record,) = records
    assert (record.outcome, record.queue_seconds, record.status) == ("client gone", None, None)
    assert scene.relay.metrics.queued == 0


@pytest.mark.parametrize("mode", Mode)
async def test_the_status_is_what_the_client_got(stage, autojump_clock, mode):
    scene = stage(refusing(400, message="Improperly formed request."))
    records = recorded(scene)
    sink = await scene.run(mode)
    assert records[0].status == sink.status == 400


async def test_gaps_are_those_between_the_pieces_that_a_client_gets(stage, autojump_clock):
    scene = stage(answering(text("a"), 0.2, text("b"), 0.2, text("c"), 3.0, text("d"), tail()))
    await scene.run()
    gaps = scene.relay.metrics.gaps
    assert gaps.sum == pytest.approx(3.4)
    told = {bound: count for bound, count in zip(gaps.bounds, gaps.counts, strict=False) if count}
    assert told[0.25] == 2
    assert told[5.0] == 1
