"""The watch over what tests stream: it sees every stream that reaches its end, and no other."""

from __future__ import annotations

import pytest
import trio
from support.scripted import RecordingSink, answering, exception, tail, text
from support.sse import dialect_of, every_stream_validated, pairs_of, problems_of

from kirotrio.dialects.anthropic.encode import MessageStream
from kirotrio.relay.request import Mode

WHOLE = answering(text("whole"), tail())


class WithoutEnd(MessageStream):
    """An encoder with a fault: its streams lack their last event."""

    def encode(self, batch):
        return super().encode(batch).partition(b"event: message_stop")[0]


@pytest.fixture
def faulty(monkeypatch):
    monkeypatch.setattr("kirotrio.web.api.messages.MessageStream", WithoutEnd)


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.BUFFERED])
async def test_a_stream_that_nobody_reads_is_judged(stage, faulty, mode):
    with pytest.raises(AssertionError, match="ends without message_stop"), every_stream_validated():
        await stage(WHOLE).run(mode)


@pytest.mark.parametrize("script", [WHOLE, answering(text("half"), [exception("InternalServerException")])])
async def test_good_streams_and_legal_errors_pass(stage, autojump_clock, script):
    with every_stream_validated():
        sink = await stage(script).run()
    assert sink.finished


async def test_a_stream_that_its_client_left_has_no_end_to_judge(stage, autojump_clock):
    sink = RecordingSink()
    with every_stream_validated():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage(answering(text("half"), end="hang")).answer().run, sink)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
    assert problems_of(sink.body), "what had left is no whole stream"


async def test_what_is_read_is_judged_too(stage):
    sink = await stage(WHOLE).run()
    with pytest.raises(AssertionError, match="before message_start"):
        pairs_of(sink.body.partition(b"\n\n")[2])


@pytest.mark.parametrize(
    ("stream", "dialect"),
    [
        (b'event: ping\ndata: {"type":"ping"}\n\n', "anthropic"),
        (b'event: error\ndata: {"type":"error","error":{}}\n\n', "anthropic"),
        (b'event: error\ndata: {"type":"error","sequence_number":0}\n\n', "responses"),
        (b': kept open\n\ndata: {"id":"1"}\n\n', "chat"),
        (b"data: [DONE]\n\n", "chat"),
    ],
)
def test_a_stream_tells_its_dialect(stream, dialect):
    assert dialect_of(stream) == dialect


FAILED = (
    b'event: response.failed\ndata: {"type":"response.failed","sequence_number":0,'
    b'"response":{"id":"resp_1","status":"failed","error":{"code":"%b","message":"m"}}}\n\n'
)


@pytest.mark.parametrize(("code", "excepted"), [(b"insufficient_quota", True), (b"server_error", True), (b"x", False)])
def test_only_the_codes_that_codex_reads_are_excepted(code, excepted):
    assert any("error.code" in problem for problem in problems_of(FAILED % code)) is not excepted


CALL = b'data: {"id":"1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,%b}]},"finish_reason":null}]}\n\n'


@pytest.mark.parametrize(
    ("call", "excepted"),
    [(b'"id":"a","type":"custom","custom":{"name":"f","input":""}', True), (b'"type":"function","function":{}', False)],
)
def test_only_free_form_calls_are_excepted_from_the_rule_for_first_pieces(call, excepted):
    assert any("first piece" in problem for problem in problems_of(CALL % call)) is not excepted
