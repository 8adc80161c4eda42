"""One answer around its generation: faults inside, slow clients, lists of models, stops, and its line in the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
import pytest
import trio
from attrs import define, field
from relay.conftest import hello
from support.scripted import (
    RecordingSink,
    ScriptedAccount,
    answering,
    event,
    exception,
    refusing,
    tail,
    text,
)
from support.sse import events_of, names_of, text_of

from kirotrio.accounts.lending.wish import Wish
from kirotrio.errors import AccountUnavailable, Overloaded
from kirotrio.relay.request import Mode
from kirotrio.relay.spools import StreamSpool

GOOD = answering(text("whole"), tail())
LISTED = {"models": [{"modelId": "claude-sonnet-4.5", "tokenLimits": {"maxInputTokens": 50_000}}]}


# Faults


@define
class Lender:
    error: Exception

    @asynccontextmanager
    async def borrow(self, wish: Wish) -> AsyncIterator[ScriptedAccount]:
        raise self.error
        yield ScriptedAccount()


@define
class Lending(ScriptedAccount):
    """Lends itself; what its credentials do is up to the test."""

    credentials: Callable[[], Awaitable[object]] = field(kw_only=True)


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_fault_inside_is_a_500_of_the_dialect_and_logged(stage, autojump_clock, mode):
    scene = stage(GOOD)
    fault = ValueError("secret words")
    scene.change(lender=Lender(fault))
    sink = await scene.run(mode)
    assert sink.status == 500
    assert orjson.loads(sink.body)["error"]["type"] == "api_error"
    assert b"secret words" not in sink.body
    assert [(fields["exc_info"], fields["request_id"]) for fields in scene.logged("answer failed")] == [
        (fault, "req_test")
    ]
    assert scene.logged("request finished")[0]["outcome"] == "internal"


async def test_an_account_that_is_not_there_is_told_as_it_is(stage, autojump_clock):
    scene = stage(GOOD)
    scene.change(lender=Lender(AccountUnavailable("no account; run kirotrio doctor")))
    sink = await scene.run()
    assert sink.status == 503
    assert "kirotrio doctor" in orjson.loads(sink.body)["error"]["message"]
    assert scene.log.events("error") == []


async def test_a_sign_of_life_never_waits_for_a_count_that_will_not_come(stage, autojump_clock):
    @define
    class Slow:
        @asynccontextmanager
        async def borrow(self, wish: Wish) -> AsyncIterator[ScriptedAccount]:
            await trio.sleep(40)
            raise AccountUnavailable("no account")
            yield ScriptedAccount()

    scene = stage(GOOD)
    scene.change(lender=Slow())
    with trio.fail_after(100):
        sink = await scene.run()
    assert names_of(sink.body)[-1] == "error"
    assert sink.finished


class Unwritable(RecordingSink):
    """A client's side that fails once, in the middle."""

    failed = False

    async def write(self, piece: bytes) -> None:
        if b"two" in piece and not self.failed:
            self.failed = True
            raise ValueError("cannot be encoded")
        await super().write(piece)


async def test_a_fault_in_handing_out_is_logged_and_the_stream_ends_with_an_error(stage, autojump_clock):
    scene = stage(answering(text("one"), 1.0, text("two"), end="hang"))
    sink = Unwritable()
    await scene.answer().run(sink)
    assert scene.log.events("error") == ["encoding failed"]
    assert names_of(sink.body)[-1] == "error"
    assert sink.finished
    assert scene.transport.open == 0


async def test_an_attempt_that_met_a_fault_of_ours_is_in_the_line(stage, autojump_clock):
    scene = stage(GOOD)

    async def credentials() -> object:
        raise ValueError("a fault in the account")

    scene.change(lender=Lending(credentials=credentials))
    assert (await scene.run()).status == 500
    (line,) = scene.logged("request finished")
    assert (line["outcome"], line["attempts"]) == ("internal", ["internal"])


# Slow clients and signs of life


class Sluggish(RecordingSink):
    """A client that does not read for a while, at its first piece and at its last."""

    async def write(self, piece: bytes) -> None:
        if not self.pieces:
            await trio.sleep(100)
        await super().write(piece)

    async def finish(self, piece: bytes) -> None:
        await trio.sleep(100)
        await super().finish(piece)


async def test_signs_of_life_wait_for_a_client_that_is_behind(stage, autojump_clock):
    many = [f"{n} " for n in range(200)]
    sink = Sluggish()
    scene = stage(answering(text(*many), tail()))
    await scene.answer().run(sink)
    assert text_of(sink.body) == "".join(many), "a full channel takes no sign of life, and needs none"
    assert names_of(sink.body)[-1] == "message_stop"


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.BUFFERED])
async def test_signs_of_life_end_with_the_producer_however_slowly_the_end_is_taken(stage, autojump_clock, mode):
    sink = Sluggish()
    scene = stage(GOOD)
    await scene.answer(mode).run(sink)
    assert text_of(sink.body) == "whole"
    assert "ping" not in names_of(sink.body)


# Bodies


async def test_a_json_body_tells_its_length(stage, autojump_clock):
    sink = await stage(answering(text("mehr als ASCII: äöü€😀"), tail())).run(Mode.JSON)
    assert sink.headers["content-length"] == str(len(sink.body))
    assert sink.headers["content-type"] == "application/json"


async def test_a_failure_behind_a_blank_is_the_json_error_and_no_stream(stage, autojump_clock):
    scene = stage(answering(text("half"), 40.0, end="cut"), server={"json_keepalive": True}, relay={"attempts": 1})
    sink = await scene.run(Mode.JSON)
    assert sink.status == 200, "it was said before the failure came"
    assert sink.body.startswith(b"  {")
    assert orjson.loads(sink.body)["type"] == "error"
    assert "content-length" not in sink.headers


async def test_a_fault_of_ours_behind_a_blank_is_the_json_error_too(stage, autojump_clock):
    class Once(RecordingSink):
        async def finish(self, piece: bytes) -> None:
            if b"whole" in piece:
                raise ValueError("cannot be handed out")
            await super().finish(piece)

    scene = stage(answering(40.0, text("whole"), tail()), server={"json_keepalive": True})
    sink = Once()
    await scene.answer(Mode.JSON).run(sink)
    assert orjson.loads(sink.body)["error"]["type"] == "api_error"


WIDE = "€" * 400
CALL = event("toolUseEvent", toolUseId="t1", name="f", input='{"x":"' + "y" * 1200 + '"}', stop=True)
WIDE_CALL = event("toolUseEvent", toolUseId="t1", name="f", input='{"x":"' + WIDE + '"}', stop=True)


@pytest.mark.parametrize("mode", [Mode.BUFFERED, Mode.JSON])
@pytest.mark.parametrize("content", [text(WIDE), [CALL], [WIDE_CALL]], ids=["wide text", "arguments", "wide arguments"])
async def test_the_ceiling_of_held_answers_is_in_bytes_of_everything(stage, autojump_clock, mode, content):
    small = stage(answering(content, tail()), relay={"spool": 1000})
    assert (await small.run(mode)).status == 413
    large = stage(answering(content, tail()), relay={"spool": 10_000})
    assert (await large.run(mode)).status == 200


def test_a_held_stream_is_as_large_as_its_bytes():
    from kirotrio.conversation.events import TextDelta
    from kirotrio.web.api.messages import AnthropicAnswer

    spool = StreamSpool(AnthropicAnswer("m", "msg_1", "req_1"))
    spool.add([TextDelta(WIDE)])
    assert spool.size > 1200


# Lists of models


async def test_an_account_that_was_never_asked_for_its_models_is_asked_beside_the_answer(stage, autojump_clock):
    scene = stage(answering(1.0, text("x"), tail(percentage=10.0)))
    scene.transport.plain = {"ListAvailableModels": LISTED}
    first = await scene.run()
    assert scene.relay.models.has("scripted")
    assert [model.id for model in scene.relay.models.known("scripted").models] == ["claude-sonnet-4.5"]
    second = await scene.run()
    asked = [url for url in scene.transport.plain_urls if "ListAvailableModels" in url]
    assert len(asked) == 1, "once, not with every answer"
    windows = [events_of(sink.body)[-2]["usage"]["input_tokens"] for sink in (first, second)]
    assert windows == [20_000, 5_000], "the list's window counts from the next answer on"


async def test_a_list_that_cannot_be_had_does_no_harm(stage, autojump_clock):
    scene = stage(answering(1.0, text("x"), tail()))
    assert text_of((await scene.run()).body) == "x"
    assert scene.log.events("warning") == ["models unavailable"]
    assert scene.log.events("error") == []


async def test_a_fault_while_asking_for_the_list_is_logged_and_does_no_harm(stage, autojump_clock):
    scene = stage(answering(1.0, text("x"), tail()))

    async def call(*_: object, **__: object) -> object:
        raise RuntimeError("a fault in the list")

    scene.transport.call = call
    assert text_of((await scene.run()).body) == "x"
    assert [(str(f["exc_info"]), f["account"]) for f in scene.logged("model list failed")] == [
        ("a fault in the list", "scripted")
    ]


async def test_a_list_that_never_comes_keeps_no_answer(stage, autojump_clock):
    scene = stage(GOOD)

    async def call(*_: object, **__: object) -> object:
        await trio.sleep_forever()

    scene.transport.call = call
    began = trio.current_time()
    assert text_of((await scene.run()).body) == "whole"
    assert trio.current_time() == began


# Stops


async def test_a_closed_gateway_ends_the_answers_there_are_and_those_that_come(stage, autojump_clock):
    scene = stage(answering(text("going on"), end="hang"))
    running, late = RecordingSink(), RecordingSink()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.answer().run, running)
        await trio.sleep(1)
        scene.relay.streams.close(Overloaded("the gateway is stopping"))
    assert events_of(running.body)[-1]["error"]["type"] == "overloaded_error"
    with trio.fail_after(1):
        await scene.answer().run(late)
    assert late.status == 503
    assert "stopping" in orjson.loads(late.body)["error"]["message"]


async def test_the_first_word_that_ends_an_answer_counts(stage, autojump_clock):
    scene = stage(answering(text("going on"), end="hang"))
    sink = RecordingSink()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.answer().run, sink)
        await trio.sleep(1)
        scene.relay.streams.end_all(Overloaded("the first word"))
        scene.relay.streams.end_all(Overloaded("the second word"))
    assert events_of(sink.body)[-1]["error"]["message"] == "the first word"


@pytest.mark.parametrize(("cut", "outcome"), [(True, "stopped"), (False, "client gone")])
async def test_who_ended_an_answer_is_in_its_line(stage, autojump_clock, cut, outcome):
    scene = stage(answering(text("x"), end="hang"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.answer().run, RecordingSink())
        await trio.sleep(1)
        scene.relay.streams.cut = cut
        nursery.cancel_scope.cancel()
    (line,) = scene.logged("request finished")
    assert line["outcome"] == outcome
    assert line["attempts"] == ["cancelled(200)"]
    assert line["output_tokens"] > 0, "what was generated was paid for"


# The log


async def test_the_line_of_a_failed_answer_has_tokens_and_credits(stage, autojump_clock):
    scene = stage(answering(text("half of it"), tail(percentage=10.0), [exception("InternalServerException", "x")]))
    await scene.run()
    levels = [level for level, name, _ in scene.log.lines if name == "request finished"]
    (line,) = scene.logged("request finished")
    assert levels == ["warning"]
    assert line["outcome"] == "upstream_overloaded"
    assert line["error"]
    assert line["output_tokens"] > 0
    assert (line["input_tokens"], line["usage"]) == (20_000, "measured")
    assert line["credits"] == pytest.approx(0.0386)


async def test_the_line_of_a_refused_answer_says_by_whom_and_of_what(stage, autojump_clock):
    scene = stage(refusing(400, message="Improperly formed request."))
    await scene.run(conversation=hello(model="claude-sonnet-4-5"))
    (line,) = scene.logged("request finished")
    assert (line["account"], line["model"], line["upstream_model"]) == (
        "scripted",
        "claude-sonnet-4-5",
        "claude-sonnet-4.5",
    )
    assert (line["outcome"], line["credits"]) == ("body_invalid", None)
    assert line["request_id"] == "req_test"
