"""Signs of life in each dialect's own form, on a mock clock."""

from __future__ import annotations

from functools import partial

import pytest
import trio
import trio.testing
from support.asgi import gateway_on, post
from support.dialects import ALL, ANTHROPIC, CHAT, RESPONSES, Spoken
from support.scripted import ScriptedTransport, answering, tail, text
from support.sse import events_of

SIGNS = {"anthropic": b"event: ping\n", "chat": b"\n: ", "responses": b"event: response.in_progress\n"}


@pytest.mark.parametrize("spoken", ALL, ids=[spoken.kind for spoken in ALL])
@pytest.mark.parametrize("buffered", [False, True], ids=["live", "buffered"])
async def test_a_silent_upstream_is_bridged(estimator, autojump_clock, spoken: Spoken, buffered):
    transport = ScriptedTransport(answering(text("before "), 80.0, text("after"), tail(percentage=5.0)))
    path = spoken.buffered if buffered else spoken.path
    status, body = await post(gateway_on(transport, estimator), path, spoken.question(stream=True))
    assert status == 200
    assert spoken.problems(body) == []
    said = spoken.read(body)
    assert (said.text, said.usage[0]) == ("before after", 10_000)
    signs = (b"\n\n" + body).count(SIGNS[spoken.kind]) - (spoken is RESPONSES)  # the head has one of its own
    assert signs == (80 // 25 if buffered else 80 // 15)


async def test_signs_of_life_are_numbered_with_the_events(estimator, autojump_clock):
    steps = [step for n in range(60) for step in (1.0, *text(f"{n} "))]
    transport = ScriptedTransport(answering(steps, tail()))
    asked = RESPONSES.question(stream=True)
    _, body = await post(gateway_on(transport, estimator), RESPONSES.buffered, asked)
    events = events_of(body)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    names = [event["type"] for event in events]
    assert names[:5] == ["response.created", *["response.in_progress"] * 3, "response.output_item.added"], (
        "60 seconds hold two signs of life; all else is written at the end"
    )


@pytest.mark.parametrize("spoken", [ANTHROPIC, CHAT], ids=["anthropic", "chat"])
async def test_only_signs_of_life_leave_a_buffered_answer_early(estimator, autojump_clock, spoken: Spoken):
    """After one, a failure is an error inside the stream, since the status is 200."""
    transport = ScriptedTransport(answering(text("half"), 30.0, end="cut"))
    gateway = gateway_on(transport, estimator)
    status, body = await post(gateway, spoken.buffered, spoken.question(stream=True))
    assert status == 200
    assert spoken.problems(body) == []
    said = spoken.read(body)
    assert said.error
    assert said.text == ""


@pytest.mark.parametrize("buffered", [False, True], ids=["live", "buffered"])
async def test_a_responses_stream_begins_within_a_second_of_a_slow_upstream(estimator, mock_clock, buffered):
    gateway = gateway_on(ScriptedTransport(answering(text("late"), tail(), head_after=60.0)), estimator)
    path = RESPONSES.buffered if buffered else RESPONSES.path
    seen: list[bytes] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(post, gateway, path, RESPONSES.question(stream=True), seen=seen))
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(0.9)
        await trio.testing.wait_all_tasks_blocked()
        assert not b"".join(seen), "until then a refusal of the upstream is an HTTP status"
        mock_clock.jump(0.2)
        await trio.testing.wait_all_tasks_blocked()
        assert b"event: response.created" in b"".join(seen)
        nursery.cancel_scope.cancel()


async def test_a_refusal_after_the_beginning_is_a_failed_response(estimator, autojump_clock):
    refusal = answering(b'{"message": "no", "reason": "MONTHLY_REQUEST_COUNT"}', status=402, head_after=5.0)
    gateway = gateway_on(ScriptedTransport(refusal), estimator)
    status, body = await post(gateway, RESPONSES.path, RESPONSES.question(stream=True))
    assert status == 200
    events = events_of(body)
    assert [event["type"] for event in events] == ["response.created", "response.in_progress", "response.failed"]
    assert events[-1]["response"]["error"]["code"] == "insufficient_quota"
