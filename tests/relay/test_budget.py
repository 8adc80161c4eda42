"""What further attempts cost, wait for, repair and remember (ARCHITECTURE, rule 6), on a mock clock."""

from __future__ import annotations

import orjson
import pytest
from relay.conftest import hello
from support.scripted import Script, answering, event, exception, refusing, tail, text

from kirotrio.conversation.request import Text, Thinking, ThinkingSetting, Turn
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.thinking import wrap_signature
from kirotrio.relay.request import Mode

HIGH_LOAD = "Encountered unexpectedly high load when processing the request, please try again."
GOOD = answering(text("whole"), tail())
BROKEN = answering(text("half"), exception("InternalServerException", HIGH_LOAD))
OVERLOADED = refusing(500, message=HIGH_LOAD)
BAD_SIGNATURE = refusing(400, message="Thinking block is bound to another prefix", reason="THINKING_SIGNATURE_INVALID")
ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/FOUND"


def busy(retry_after: int) -> Script:
    """No capacity at the moment, with the pause that the upstream asks for, in seconds."""
    body = orjson.dumps({"message": "I am experiencing high traffic", "reason": "INSUFFICIENT_MODEL_CAPACITY"})
    return Script([body], status=429, headers={"content-type": "application/json", "retry-after": str(retry_after)})


def error_of(sink) -> str:
    return orjson.loads(sink.body)["error"]["message"]


# How many, and when


async def test_a_pause_of_more_than_ten_seconds_is_left_to_the_client(stage, autojump_clock):
    scene = stage(busy(20), GOOD)
    sink = await scene.run()
    assert (sink.status, sink.headers["retry-after"]) == (529, "20")
    assert len(scene.transport.bodies) == 1, "the same failure with a short pause is tried again"


async def test_the_pause_that_the_upstream_asks_for_is_kept(stage, autojump_clock):
    scene = stage(busy(3), GOOD)
    assert (await scene.run()).status == 200
    first, second = scene.transport.called_at
    assert second - first == pytest.approx(3)


async def test_without_a_pause_of_the_upstreams_attempts_are_spaced_out_more_and_more(stage, autojump_clock):
    scene = stage(OVERLOADED)
    await scene.run()
    first, second, third = scene.transport.called_at
    assert 0.15 <= second - first <= 0.45, "0.3 seconds, half as much more or less"
    assert 0.3 <= third - second <= 0.9, "twice that"


@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_the_setting_says_how_many_attempts_there_are(stage, autojump_clock, attempts):
    scene = stage(OVERLOADED, relay={"attempts": attempts})
    await scene.run()
    assert len(scene.transport.bodies) == attempts
    counted = [headers["amz-sdk-request"] for headers in scene.transport.headers]
    assert counted == [f"attempt={number}; max={attempts}" for number in range(1, attempts + 1)]


async def test_all_attempts_of_a_request_share_an_invocation_and_no_two_requests_do(stage, autojump_clock):
    scene = stage(OVERLOADED)
    await scene.run()
    await scene.run()
    ids = [headers["amz-sdk-invocation-id"] for headers in scene.transport.headers]
    assert len(ids) == 6
    assert len(set(ids[:3])) == len(set(ids[3:])) == 1, "one logical call"
    assert ids[0] != ids[3]


async def test_an_empty_answer_and_a_failure_in_the_middle_share_what_may_be_paid_twice(stage, autojump_clock):
    scene = stage(answering(text(""), tail()), BROKEN, GOOD)
    sink = await scene.run(Mode.JSON)
    assert len(scene.transport.bodies) == 2, "both had begun to generate, so both were paid for"
    assert sink.status == 529


async def test_a_failure_in_the_middle_and_then_an_empty_answer_share_it_too(stage, autojump_clock):
    scene = stage(BROKEN, answering(text(""), tail()), GOOD)
    sink = await scene.run(Mode.JSON)
    assert len(scene.transport.bodies) == 2
    assert sink.status == 502


async def test_a_refused_tool_use_format_is_sent_once_more_and_no_oftener(stage, autojump_clock):
    refused = refusing(400, message="Invalid tool use format.", reason=None)
    mended = stage(refused, GOOD)
    assert (await mended.run()).status == 200
    hopeless = stage(refused)
    assert (await hopeless.run()).status == 400
    assert len(hopeless.transport.bodies) == 2


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (refusing(423, message="Your account is suspended", reason="TEMPORARILY_SUSPENDED"), 503),
        (refusing(429, message="Too many requests.", reason="USER_REQUEST_RATE_EXCEEDED"), 429),
        (refusing(402, message="You have reached the limit.", reason="MONTHLY_REQUEST_COUNT"), 429),
        (refusing(400, message="Invalid model ID.", reason="INVALID_MODEL_ID"), 404),
    ],
    ids=["suspended", "asks too often", "used up", "unknown model"],
)
async def test_what_only_another_account_could_mend_is_final(stage, autojump_clock, refusal, status):
    scene = stage(refusal, GOOD)
    assert (await scene.run()).status == status
    assert len(scene.transport.bodies) == 1


# Repairs


def remembering() -> tuple[Turn, ...]:
    """A history with thinking that this account's upstream has signed."""
    signature = wrap_signature("claude-opus-5", Credentials("t", account="scripted").account_hash, "c2lnbmVk")
    return (
        Turn("user", (Text("Say hi"),), "messages.0"),
        Turn("assistant", (Thinking("I shall greet", signature), Text("hi")), "messages.1"),
        Turn("user", (Text("Again"),), "messages.2"),
    )


async def test_after_a_refused_signature_the_history_goes_without_signed_thinking(stage, autojump_clock):
    thinking = ThinkingSetting(enabled=True, asked=True, accepted=True)
    scene = stage(BAD_SIGNATURE, OVERLOADED, GOOD)
    conversation = hello(model="claude-opus-5", turns=remembering(), thinking=thinking)
    assert (await scene.run(conversation=conversation)).status == 200
    signed = [b"c2lnbmVk" in orjson.dumps(body) for body in scene.transport.bodies]
    assert signed == [True, False, False], "stripped once it was refused, and it stays stripped"
    assert "reasoningContent" not in orjson.dumps(scene.transport.bodies[1]).decode()


async def test_a_missing_profile_is_looked_up_once_and_sent(stage, autojump_clock):
    wanted = refusing(400, message="profileArn is required for this request.", reason=None)
    scene = stage(wanted, GOOD)
    scene.account.found_profile = ARN
    assert (await scene.run()).status == 200
    assert scene.account.resolved == 1
    assert [body.get("profileArn") for body in scene.transport.bodies] == [None, ARN]
    hopeless = stage(wanted)
    assert (await hopeless.run()).status == 503
    assert (hopeless.account.resolved, len(hopeless.transport.bodies)) == (1, 2)


async def test_a_refreshed_token_is_the_one_that_is_sent(stage, autojump_clock):
    scene = stage(refusing(401, message="The bearer token is expired"), GOOD)
    await scene.run()
    assert [headers["authorization"] for headers in scene.transport.headers] == ["Bearer token-0", "Bearer token-1"]
    assert scene.account.refused_tokens == ["token-0"], "the one that was refused, not whichever is the newest"


# What is counted and told


async def test_a_discarded_attempt_leaves_no_output_tokens(stage, autojump_clock):
    broken = answering(text("many words that nobody will ever see " * 20), exception("InternalServerException", "x"))
    retried = await stage(broken, GOOD).run(Mode.JSON)
    straight = await stage(GOOD).run(Mode.JSON)
    assert orjson.loads(retried.body)["usage"] == orjson.loads(straight.body)["usage"]


async def test_what_could_not_be_carried_over_is_logged_once_for_all_attempts(stage, autojump_clock):
    scene = stage(OVERLOADED, GOOD)
    turns = (
        Turn("user", (Text("a"),), "messages.0"),
        Turn("assistant", (Thinking("x", "foreign"), Text("b")), "messages.1"),
        Turn("user", (Text("c"),), "messages.2"),
    )
    await scene.run(conversation=hello(turns=turns))
    noted = [(level, fields) for level, name, fields in scene.log.lines if name == "diagnostic"]
    assert [(level, fields["path"], fields["request_id"]) for level, fields in noted] == [
        ("debug", "messages.1.content.0", "req_test")
    ]
    assert "signed elsewhere" in noted[0][1]["message"]


async def test_a_note_on_the_answer_is_a_warning(stage, autojump_clock):
    thinking = ThinkingSetting(enabled=True, asked=True, accepted=True)
    scene = stage(answering(text("<thinking>for ever"), tail()))
    await scene.run(conversation=hello(thinking=thinking))
    noted = [(level, fields) for level, name, fields in scene.log.lines if name == "answer note"]
    assert [level for level, _ in noted] == ["warning"]
    assert "never closed" in noted[0][1]["note"]
    assert (noted[0][1]["request_id"], noted[0][1]["attempt"]) == ("req_test", 1)


async def test_a_note_is_logged_of_an_attempt_that_fails(stage, autojump_clock):
    scene = stage(answering([event("codeEvent", content="x"), exception("InternalServerException", "x")]), GOOD)
    await scene.run()
    assert [fields["attempt"] for fields in scene.logged("answer note")] == [1]


@pytest.mark.parametrize(
    "script",
    [
        refusing(423, message="suspended", reason="TEMPORARILY_SUSPENDED"),
        answering([exception("ThrottlingException", "Too many requests.")]),
    ],
    ids=["by status", "inside the stream"],
)
async def test_errors_name_the_account(stage, autojump_clock, script):
    assert "'scripted'" in error_of(await stage(script).run())
