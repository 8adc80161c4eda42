"""Whatever a request is aimed at, it is answered, and never by a fault of ours."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.asgi import gateway_on
from support.scripted import ScriptedTransport
from support.stack import KEY

from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.exchange import Exchange
from kirotrio.web.front import GatewayFront
from kirotrio.web.http1 import Malformed, OtherProtocol, read_head
from kirotrio.web.targets import origin_form


class Wire:
    """A connection that keeps what it is sent."""

    stays = True
    peer = ""

    def __init__(self) -> None:
        self.sent = b""

    def date(self) -> str:
        return "date: now\r\n"

    async def send(self, data: bytes) -> None:
        self.sent += data

    def send_now(self, data: bytes) -> int:
        self.sent += data
        return len(data)


@pytest.fixture(scope="module")
def front() -> GatewayFront:
    gateway = gateway_on(ScriptedTransport(), TokenEstimator())
    front = GatewayFront(gateway)
    trio.run(front.application)
    return front


def asked(front: GatewayFront, method: bytes, target: bytes, host: bytes = b"x") -> tuple[int, bytes]:
    """Status and body of the answer; (400, b"") where the head is none."""
    try:
        head = read_head(method + b" " + target + b" HTTP/1.1\r\nhost: " + host + b"\r\n")
    except (Malformed, OtherProtocol):
        return 400, b""
    wire = Wire()

    async def answer() -> None:
        exchange = Exchange(wire, head, front.intake(head))
        exchange.intake.add(b"", last=True)
        await front.answer(exchange)
        assert exchange.finished

    trio.run(answer)
    start, _, body = wire.sent.partition(b"\r\n\r\n")
    return int(start.split(b" ")[1]), body


PIECES = """/ // ? # http:// https: [ ] [::1 :80 @ % %00 %2f %ff %e2%82%ac * .. . ; | < > \\ { host &= +
/v1/models /v1/models/ /v1/responses/ /a/ /a/name /cc"""
pieces = st.sampled_from(PIECES.split())
visible = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
targets = st.one_of(st.lists(pieces | visible, min_size=1, max_size=8).map("".join), st.text(visible, min_size=1))


@given(st.sampled_from([b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"CONNECT", b"PUT"]), targets, targets | st.just(""))
@example(b"GET", "http://[::1/health", "x")
@example(b"GET", "?", "x")
@example(b"GET", "//[", "x")
@example(b"GET", "/nowhere", "[::1")
@settings(deadline=None, max_examples=400)
def test_no_target_and_no_host_is_a_fault(front: GatewayFront, method: bytes, target: str, host: str) -> None:
    status, body = asked(front, method, target.encode(), host.encode())
    log = front._gateway.log
    assert isinstance(log, RecordingLog)
    assert log.events("error") == []
    assert status < 500, body


@given(st.binary(min_size=1, max_size=30))
@settings(deadline=None)
def test_no_bytes_where_the_target_stands_are_a_fault(front: GatewayFront, target: bytes) -> None:
    assert asked(front, b"GET", target)[0] < 500


ASTRAY = ["http://[::1/health", "?", "health", "*", "x:443", "http:///health", "http://u@x/health", "ftp://x/health"]
AIMED = ["http://x/health", "HTTP://X:8000/health", "http://x/health?a=b", "https://[::1]:80/health"]


@pytest.mark.parametrize("target", ASTRAY)
def test_a_target_without_a_path_is_refused_in_the_envelope(front, target):
    status, body = asked(front, b"GET", target.encode())
    assert status == 400
    assert orjson.loads(body)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("target", AIMED)
def test_a_whole_address_means_its_path(front, target):
    assert asked(front, b"GET", target.encode()) == asked(front, b"GET", b"/health")


@given(st.text(visible).map("/".__add__))
def test_a_path_is_taken_as_it_is(path):
    assert origin_form("GET", path) == path
    assert origin_form("GET", "http://[::1]:8000" + path) == path


@pytest.mark.parametrize(("target", "means"), [("http://x", "/"), ("http://x?a=b", "/?a=b"), ("*", ""), ("", "")])
def test_an_address_without_a_path_means_the_root(target, means):
    assert origin_form("GET", target) == means


def test_the_server_as_a_whole_is_asked_for_its_options_alone():
    assert origin_form("OPTIONS", "*") == "*"


@pytest.mark.parametrize(
    "path", ["/v1/models", "/a/nobody/v1/models", "/v1/responses/none", "/a/nobody/v1/responses/x"]
)
async def test_a_whole_address_is_answered_as_its_path_is(stack, path):
    async with stack() as s:
        answers: list[Any] = []
        for target in (path, f"http://localhost:{s.port}{path}"):
            async with await trio.open_tcp_stream("127.0.0.1", s.port) as client:
                head = f"GET {target} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {KEY}\r\nconnection: close\r\n\r\n"
                await client.send_all(head.encode())
                received = b"".join([piece async for piece in client])
            start, _, body = received.partition(b"\r\n\r\n")
            told = orjson.loads(body) if b"chunked" not in start else body
            told.pop("request_id", None)
            answers.append((start.split(b"\r\n")[0], told))
    assert answers[0] == answers[1]


async def test_the_connection_goes_on_behind_a_target_without_a_path(stack):
    async with stack() as s, await trio.open_tcp_stream("127.0.0.1", s.port) as client:
        await client.send_all(b"POST ? HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok")
        await client.send_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        received = b"".join([piece async for piece in client])
        assert s.log.events("error") == []
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"HTTP/1.1 200 " in received
