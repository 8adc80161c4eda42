"""When another generation is made, and when not (ARCHITECTURE, rule 6), on a mock clock."""

from __future__ import annotations

import orjson
import pytest
from support.scripted import answering, event, exception, refusing, tail, text
from support.sse import events_of, names_of, text_of

from kirotrio.relay.request import Mode

HIGH_LOAD = "Encountered unexpectedly high load when processing the request, please try again."
GOOD = answering(text("whole"), tail())


async def test_no_head_in_time_is_tried_again(stage, autojump_clock):
    scene = stage(answering(head_after=10_000.0), GOOD)
    sink = await scene.run(Mode.JSON)
    assert sink.status == 200
    assert len(scene.transport.bodies) == 2
    assert scene.transport.closed_at[0] - autojump_clock.current_time() == pytest.approx(0, abs=5)


async def test_a_head_without_an_event_is_not_tried_again(stage, autojump_clock):
    scene = stage(answering(end="hang"), GOOD)
    sink = await scene.run(Mode.JSON)
    assert sink.status == 504, "the upstream had taken the work on: another attempt would be paid for twice"
    assert len(scene.transport.bodies) == 1


async def test_the_first_event_may_take_longer_while_thinking_runs(stage, autojump_clock):
    from relay.conftest import hello

    from kirotrio.conversation.request import ThinkingSetting

    late = answering(200.0, text("late"), tail())
    plain = await stage(late).run(Mode.JSON)
    thinking = await stage(late).run(Mode.JSON, hello(thinking=ThinkingSetting(enabled=True, asked=True)))
    assert (plain.status, thinking.status) == (504, 200)


async def test_a_failure_in_the_middle_of_a_buffered_answer_is_tried_again(stage, autojump_clock):
    scene = stage(answering(text("half"), exception("InternalServerException", HIGH_LOAD)), GOOD)
    sink = await scene.run(Mode.BUFFERED)
    assert text_of(sink.body) == "whole", "nothing of the broken attempt is left"
    assert names_of(sink.body).count("message_start") == 1


async def test_a_second_failure_in_the_middle_is_final(stage, autojump_clock):
    broken = answering(text("half"), exception("InternalServerException", HIGH_LOAD))
    scene = stage(broken, broken, GOOD)
    sink = await scene.run(Mode.BUFFERED)
    assert sink.status in (502, 529), "at most one further attempt once the upstream had begun to generate"
    assert len(scene.transport.bodies) == 2


async def test_a_failure_in_the_middle_of_a_live_answer_is_the_dialects_error(stage, autojump_clock):
    scene = stage(answering(text("half"), exception("InternalServerException", HIGH_LOAD)), GOOD)
    sink = await scene.run()
    assert sink.status == 200
    assert names_of(sink.body)[-1] == "error"
    assert text_of(sink.body) == "half"
    assert len(scene.transport.bodies) == 1


async def test_an_exception_before_the_first_event_is_tried_again_also_live(stage, autojump_clock):
    scene = stage(answering([exception("InternalServerException", HIGH_LOAD)]), GOOD)
    assert text_of((await scene.run()).body) == "whole"


async def test_keep_alives_do_not_spend_the_attempts(stage, autojump_clock):
    scene = stage(answering(60.0, [exception("InternalServerException", HIGH_LOAD)]), GOOD)
    sink = await scene.run()
    assert names_of(sink.body)[:2] == ["message_start", "ping"]
    assert names_of(sink.body).count("message_start") == 1
    assert text_of(sink.body) == "whole"


async def test_after_a_keep_alive_a_final_failure_is_an_event(stage, autojump_clock):
    sink = await stage(answering(20.0, end="cut")).run()
    assert sink.status == 200
    assert names_of(sink.body)[-1] == "error"


async def test_three_attempts_in_all(stage, autojump_clock):
    scene = stage(refusing(500, message=HIGH_LOAD))
    sink = await scene.run(Mode.JSON)
    assert sink.status == 529
    assert len(scene.transport.bodies) == 3


async def test_an_empty_answer_is_tried_once_more(stage, autojump_clock):
    scene = stage(answering(tail()), answering(tail()), GOOD)
    sink = await scene.run(Mode.JSON)
    assert len(scene.transport.bodies) == 2
    assert sink.status == 502


@pytest.mark.parametrize(
    ("script", "status", "stop"),
    [
        (answering(tail(stop="CONTENT_FILTERED")), 200, "refusal"),
        (answering(text("x"), tail(percentage=100.0)), 200, "model_context_window_exceeded"),
        (
            answering([event("toolUseEvent", toolUseId="t1", name="f", input='{"a":', stop=True)], tail()),
            200,
            "max_tokens",
        ),
    ],
    ids=["content filtered", "context full", "broken tool call"],
)
async def test_what_another_attempt_would_not_mend_is_not_tried_again(stage, autojump_clock, script, status, stop):
    scene = stage(script, GOOD)
    sink = await scene.run(Mode.JSON)
    assert sink.status == status
    assert orjson.loads(sink.body)["stop_reason"] == stop
    assert len(scene.transport.bodies) == 1


async def test_a_malformed_request_is_final(stage, autojump_clock):
    scene = stage(refusing(400, message="Improperly formed request.", reason=None), GOOD)
    sink = await scene.run()
    assert sink.status == 400
    assert len(scene.transport.bodies) == 1


async def test_overflow_reads_as_clients_expect(stage, autojump_clock):
    sink = await stage(refusing(400, message="Input is too long.", reason="CONTENT_LENGTH_EXCEEDS_THRESHOLD")).run()
    error = orjson.loads(sink.body)["error"]
    assert (sink.status, error["type"]) == (400, "invalid_request_error")
    assert error["message"].startswith("prompt is too long")


async def test_a_refused_token_is_refreshed_once(stage, autojump_clock):
    expired = refusing(403, message="The bearer token included in the request is invalid.", reason=None)
    mended = stage(expired, GOOD)
    assert (await mended.run()).status == 200
    assert mended.account.refusals == 1
    hopeless = stage(expired)
    sink = await hopeless.run()
    assert (sink.status, hopeless.account.refusals) == (503, 1), "never 401: clients would loop"


async def test_a_bad_signature_is_stripped_and_sent_once_more(stage, autojump_clock):
    bad = refusing(
        400, message="Thinking block is bound to a different conversation prefix", reason="THINKING_SIGNATURE_INVALID"
    )
    scene = stage(bad, GOOD)
    assert (await scene.run()).status == 200
    hopeless = stage(bad)
    assert (await hopeless.run()).status == 400
    assert len(hopeless.transport.bodies) == 2


async def test_a_long_retry_after_is_the_clients_to_keep(stage, autojump_clock):
    limited = refusing(
        429, message="Too many requests.", reason="CREDIT_CONSUMPTION_RATE_EXCEEDED", retryAfterMilliseconds=300_000
    )
    scene = stage(limited, GOOD)
    sink = await scene.run()
    assert (sink.status, sink.headers["retry-after"]) == (429, "300")
    assert len(scene.transport.bodies) == 1


async def test_an_unknown_model_is_answered_with_those_there_are(stage, autojump_clock):
    sink = await stage(refusing(400, message="Invalid model ID.", reason="INVALID_MODEL_ID")).run()
    assert sink.status == 404
    assert "claude-sonnet-4.5" in orjson.loads(sink.body)["error"]["message"]


async def test_a_200_that_is_no_event_stream_is_an_error(stage, autojump_clock):
    from support.scripted import Script

    sink = await stage(Script([b"<html>"], headers={"content-type": "text/html"})).run()
    assert sink.status == 502


async def test_one_line_is_logged_per_answer_with_its_attempts(stage, autojump_clock):
    scene = stage(refusing(500, message=HIGH_LOAD), GOOD)
    await scene.run()
    (line,) = [fields for level, name, fields in scene.log.lines if name == "request finished"]
    assert len(line["attempts"]) == 2
    assert line["mode"] == "live"
    assert line["usage"] == "measured"
    assert line["credits"] == pytest.approx(0.0386)
    assert {"first_event_seconds", "seconds", "model", "input_tokens", "output_tokens"} <= line.keys()


async def test_events_of_an_answer_are_the_same_in_all_modes(stage, autojump_clock):
    script = answering(text("one ", "two"), tail())
    live, buffered, body = [await stage(script).run(mode) for mode in (Mode.LIVE, Mode.BUFFERED, Mode.JSON)]
    message = orjson.loads(body.body)
    assert text_of(live.body) == text_of(buffered.body) == message["content"][0]["text"] == "one two"
    final = events_of(live.body)[-2]["usage"]
    assert final["input_tokens"] == message["usage"]["input_tokens"] == 6800
    assert buffered.headers["x-kirotrio-usage"] == body.headers["x-kirotrio-usage"] == "measured"
    assert live.headers["x-kiro-request-id"] == "upstream-1"
