"""One test per trap of TRIO_STACK; each fails when its remedy is taken out."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from functools import partial

import httpx
import pytest
import trio
from support.asgi import gateway_on, post
from support.scripted import ScriptedTransport, answering, tail, text
from support.sse import names_of
from support.stack import KEY, question

from kirotrio.config.settings import DeadlineSettings, UpstreamSettings
from kirotrio.conversation.events import TextDelta, TextDeltas
from kirotrio.kiro.client import Transport
from kirotrio.kiro.proxies import bypasses_proxy
from kirotrio.web import upgraded, wire
from kirotrio.web.intake import BodyIntake, Inflight


def raw_request(port: int, body: bytes, *, path: str = "/v1/messages", extra: str = "") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-api-key: {KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode() + body


async def read_to_end(stream: trio.SocketStream) -> bytes:
    received = bytearray()
    while piece := await stream.receive_some(65536):
        received += piece
    return bytes(received)


# Trap 1: the last send is shielded, or the connection is neither recycled nor closed.


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_client_that_asks_for_close_gets_the_end(stack, streamed):
    import orjson

    async with stack() as s:
        body = orjson.dumps(question(stream=streamed))
        async with await trio.open_tcp_stream("127.0.0.1", s.port) as client:
            await client.send_all(raw_request(s.port, body, extra="connection: close\r\n"))
            with trio.move_on_after(10) as waiting:
                answer = await read_to_end(client)
        assert not waiting.cancelled_caught, "the answer was sent, but the connection was never closed"
        assert answer.startswith(b"HTTP/1.1 200")


async def test_a_connection_is_used_again_after_each_kind_of_answer(stack):
    async with stack() as s, s.client(limits=httpx.Limits(max_connections=1)) as http:
        for body in (question(), question(stream=True), {"bad": 1}, question()):
            await http.post("/v1/messages", json=body)
            assert len(s.server.connections) == 1, "a new connection was made: the old one was not recycled"


# Trap 2: a client that stops reading must not hold a write for ever.


async def test_a_client_that_does_not_read_is_dropped(stack):
    import orjson

    async with stack(deadlines={"client_write": 0.5}) as s:
        client = trio.socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await client.connect(("127.0.0.1", s.port))
        body = orjson.dumps(question("[[scenario=long events=20000 size=400]] x", stream=True, max_tokens=10**7))
        await client.send(raw_request(s.port, body))
        with trio.move_on_after(20) as waiting:
            await s.wait_for_connection()
            await s.server.connections.wait_empty()
        client.close()
        assert not waiting.cancelled_caught, "the connection of a client that never reads was kept"


# Trap 3: no timeout of the framework cuts an answer.


async def test_no_timeout_of_the_framework_cuts_a_long_answer(estimator, autojump_clock):
    steps = [step for n in range(20) for step in (50.0, *text(f"{n} "))]
    transport = ScriptedTransport(answering(steps, tail()))
    status, body = await post(gateway_on(transport, estimator), "/v1/messages", question(stream=True))
    assert status == 200
    assert names_of(body)[-1] == "message_stop", "an answer of a thousand seconds was cut"


# Trap 4: a chunked body is counted while it arrives.


def test_a_chunked_body_is_not_held_beyond_the_limit():
    inflight = Inflight(1_000_000)
    intake = BodyIntake(inflight, 10_000, None)
    for _ in range(1000):
        intake.add(b"x" * 1000, last=False)
        assert inflight.held <= 10_000, "more than one body's limit is held"
    assert inflight.held == 0, "what is refused is not held at all"


# Trap 5: a stop lets answers run, then ends them with a legal error.


async def test_a_stop_lets_a_running_answer_finish(stack):
    async with (
        stack(server={"drain": 20}) as s,
        s.client() as http,
        http.stream("POST", "/v1/messages", json=question("[[events=10 gap_ms=40]] x", stream=True)) as answer,
    ):
        pieces = answer.aiter_bytes()
        body = await anext(pieces)
        s.stop.ask()
        async for piece in pieces:
            body += piece
    assert b"event: message_stop" in body, "the answer was cut by the stop"


async def test_a_stop_ends_what_runs_beyond_the_deadline_legally(stack):
    async with stack(server={"drain": 0.2}) as s, s.client() as http:
        async with http.stream("POST", "/v1/messages", json=question("[[stall_after=2]] x", stream=True)) as answer:
            pieces = answer.aiter_bytes()
            body = await anext(pieces)
            s.stop.ask()
            async for piece in pieces:  # would raise on a body without its terminator
                body += piece
    assert b"event: error" in body
    assert b"overloaded_error" in body


async def test_a_stopping_gateway_takes_nothing_new(stack):
    async with (
        stack(server={"drain": 5}) as s,
        s.client() as http,
        http.stream("POST", "/v1/messages", json=question("[[events=20 gap_ms=40]] x", stream=True)) as answer,
    ):
        pieces = answer.aiter_bytes()
        await anext(pieces)
        s.stop.ask()
        await trio.testing.wait_all_tasks_blocked(0.05)
        with pytest.raises(httpx.ConnectError):
            async with s.client() as other:
                await other.get("/health")
        async for _ in pieces:
            pass


# Trap 6: a fault of ours in the middle of a body is the dialect's error, not a broken connection.


async def test_a_fault_in_the_encoder_ends_the_body_properly(stack, monkeypatch):
    from kirotrio.dialects.anthropic.encode import MessageStream
    from kirotrio.web.api import messages

    class Broken(MessageStream):
        def encode(self, batch):
            batch = list(batch)
            if any(isinstance(event, TextDelta | TextDeltas) for event in batch):
                raise RuntimeError("a fault")
            return super().encode(batch)

    monkeypatch.setattr(messages, "MessageStream", Broken)
    async with stack() as s, s.client() as http:
        answer = await http.post("/v1/messages", json=question(stream=True))
        assert names_of(answer.content)[-1] == "error"
        assert b"a fault" not in answer.content
        assert "encoding failed" in s.log.events("error")


# Trap 7 is test_bad_input's: no page of the framework's own is HTML.


# Trap 8: bytes from the client have no read timeout that would cut its answer.


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_client_may_be_silent_for_as_long_as_its_answer_takes(stack, monkeypatch, streamed):
    # The patience with a connection that asks nothing is the only one there is for reading from a client.
    monkeypatch.setattr(wire, "KEEP_ALIVE", 0.2)
    async with stack() as s, s.client() as http:
        answer = await http.post("/v1/messages", json=question("[[events=10 gap_ms=100]] x", stream=streamed))
    assert answer.status_code == 200
    assert (b"event: message_stop" if streamed else b'"stop_reason":"end_turn"') in answer.content


def test_hypercorn_has_no_patience_for_reading_either():
    assert upgraded.config().read_timeout is None, "it would cut every answer over HTTP/2 that is longer than this"


# Trap 9 is test_bad_input's: a head of 20 kB in one read is refused.


# Trap 10: reads of the upstream have no timeout of the library.


async def test_reads_are_not_timed_out_by_the_deadlines_for_connecting_and_writing(nursery):
    async def pausing(stream: trio.SocketStream) -> None:
        await stream.receive_some(4096)
        await trio.sleep(0.3)
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        await trio.sleep(0.3)
        await stream.send_all(b"ok")

    listeners = await nursery.start(partial(trio.serve_tcp, pausing, 0, host="127.0.0.1"))
    port = listeners[0].socket.getsockname()[1]
    async with Transport(UpstreamSettings(), DeadlineSettings(connect=0.1, client_write=0.1)) as transport:
        answer = await transport.call("GET", f"http://127.0.0.1:{port}/", deadline=10)
    assert answer.body == b"ok", "a read was timed out"


async def test_a_thousand_connections_fit_the_pool():
    async with Transport(UpstreamSettings(connections=1000), DeadlineSettings()) as transport:
        pool = transport._direct._pool
    assert pool.most == 1000


# Trap 11: the environment is not looked at by the library.


async def test_proxy_and_certificate_variables_are_not_read(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/roots.pem")

    async def greet(stream: trio.SocketStream) -> None:
        await stream.receive_some(4096)
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, greet, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        async with Transport(UpstreamSettings(), DeadlineSettings()) as transport:
            answer = await transport.call("GET", f"http://127.0.0.1:{port}/", deadline=10)
        assert answer.body == b"ok"
        nursery.cancel_scope.cancel()


# Trap 12: a half-closed connection counts as a client that left. Documented behaviour.


async def test_half_closing_counts_as_leaving(stack):
    import orjson

    async with stack() as s:
        async with await trio.open_tcp_stream("127.0.0.1", s.port) as client:
            await client.send_all(raw_request(s.port, orjson.dumps(question("[[stall_after=1]] x", stream=True))))
            await client.receive_some(65536)
            await client.send_eof()
            await s.wait_for_closed_stream()


# Trap 13: watching the silence never touches a read that goes on.


async def test_an_answer_goes_on_after_a_silence_that_was_noted(stack):
    # Watched every few hundredths of a second: a watch that timed the read out would make it end "cleanly".
    async with stack(deadlines={"silence_note": 0.05}) as s, s.client() as http:
        answer = await http.post("/v1/messages", json=question("[[events=3 gap_ms=300]] x", stream=True))
        assert s.log.events("warning").count("upstream is silent") >= 2
    assert names_of(answer.content)[-1] == "message_stop"
    assert names_of(answer.content).count("content_block_delta") == 3


# Trap 14: NO_PROXY is read by us.


@pytest.mark.parametrize(
    ("host", "port", "no_proxy", "bypassed"),
    [
        ("q.us-east-1.amazonaws.com", 443, "", False),
        ("q.us-east-1.amazonaws.com", 443, "*", True),
        ("q.us-east-1.amazonaws.com", 443, "amazonaws.com", True),
        ("q.us-east-1.amazonaws.com", 443, ".amazonaws.com", True),
        ("q.us-east-1.amazonaws.com", 443, "*.amazonaws.com", True),
        ("q.us-east-1.amazonaws.com", 443, "zonaws.com", False),
        ("Localhost", 80, "localhost, example.com", True),
        ("example.com", 8443, "example.com:8443", True),
        ("example.com", 443, "example.com:8443", False),
        ("10.1.2.3", 80, "10.0.0.0/8", True),
        ("11.1.2.3", 80, "10.0.0.0/8", False),
        ("::1", 80, "::1", True),
        ("::1", 80, "[::1]:80", True),
        ("::1", 81, "[::1]:80", False),
    ],
)
def test_no_proxy_excepts_hosts(host, port, no_proxy, bypassed):
    assert bypasses_proxy(host, port, no_proxy) is bypassed


# Trap 15: no access log of the server's.


async def test_a_request_leaves_one_line_and_a_look_at_health_none(stack, caplog):
    caplog.set_level("DEBUG")
    async with stack() as s, s.client() as http:
        for body in (question(), question(stream=True), question()):
            await http.get("/health")
            await http.post("/v1/messages", json=body)
    # What is told once is of the start and the stop.
    told = Counter(s.log.events("info"))
    assert {event: times for event, times in told.items() if times > 1} == {"request finished": 3}
    # What any server beneath would say, it would say to the standard library's log.
    assert not [one.name for one in caplog.records if one.name.partition(".")[0] not in ("httpx", "httpcore")]


def test_hypercorn_writes_no_access_log_either():
    assert upgraded.config().accesslog is None


# A reset is a client that left, too.


async def test_a_reset_closes_the_upstream(stack):
    import orjson

    async with stack() as s:
        client = await trio.open_tcp_stream("127.0.0.1", s.port)
        await client.send_all(raw_request(s.port, orjson.dumps(question("[[stall_after=1]] x", stream=True))))
        await client.receive_some(65536)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
        await s.wait_for_closed_stream()
