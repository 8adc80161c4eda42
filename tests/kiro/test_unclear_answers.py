"""No bytes of one answer are taken for the next one's, whatever the server sends."""

from __future__ import annotations

import contextlib

import pytest
import trio
from attrs import define, field
from support.servers import server, transport

from kirotrio.errors import UpstreamFailed

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HIDDEN = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhidden"


@define
class Peer:
    """A server whose first answer is `first`, all others are OK."""

    first: bytes
    connections: int = 0
    asked: int = field(default=0)

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        async with stream:
            with contextlib.suppress(trio.BrokenResourceError):
                while await stream.receive_some(65536):
                    self.asked += 1
                    await stream.send_all(self.first if self.asked == 1 else OK)


REFUSED = {
    "a space before the colon": b"HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok",
    "a fold": b"HTTP/1.1 200 OK\r\nx: y\r\n content-length: 2\r\n\r\nok",
    "a bare line feed": b"HTTP/1.1 200 OK\r\nx: y\ncontent-length: 2\r\n\r\nok",
    "a bare carriage return": b"HTTP/1.1 200 OK\r\nx: y\rz: a\r\ncontent-length: 2\r\n\r\nok",
    "a NUL": b"HTTP/1.1 200 OK\r\nx: y\0\r\ncontent-length: 2\r\n\r\nok",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 40\r\n\r\nok",
    "a list of lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2, 40\r\n\r\nok",
    "a coding that is none": b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\ncontent-length: 2\r\n\r\nok",
    "a coding twice": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n" + OK,
    "an extension with a line feed": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a\nb\r\nok\r\n0\r\n\r\n",
    "a chunk that is too long": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
    "a trailer that is an answer": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" + HIDDEN,
}


@pytest.mark.parametrize("first", REFUSED.values(), ids=REFUSED)
async def test_an_answer_that_may_be_read_in_two_ways_is_a_failure_and_its_connection_is_closed(first):
    async with server((peer := Peer(first)).serve) as (port, _), transport() as http:
        with pytest.raises(UpstreamFailed, match="broke"):
            await http.call("POST", f"http://127.0.0.1:{port}/", body=b"{}", deadline=5)
        assert http._direct._pool.open == 0
        assert (await http.call("POST", f"http://127.0.0.1:{port}/", body=b"{}", deadline=5)).body == b"ok"
    assert peer.connections == 2


LAST = {
    "more than no body": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n" + HIDDEN),
    "a body of an answer that has none": ("GET", b"HTTP/1.1 304 Same\r\ncontent-length: 6\r\n\r\nhidden"),
    "a body in answer to HEAD": ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhidden"),
    "more than its length": ("GET", OK + HIDDEN),
    "more than its chunks": ("GET", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN),
    "a length beside chunks": (
        "GET",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    "chunks in HTTP/1.0": ("GET", b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    "HTTP/1.0 that says it stays": (
        "GET",
        OK.replace(b"1.1", b"1.0").replace(b"\r\n\r\n", b"\r\nconnection: keep-alive\r\n\r\n"),
    ),
    "close among others": ("GET", OK.replace(b"\r\n\r\n", b"\r\nconnection: keep-alive, CLOSE\r\n\r\n")),
}


@pytest.mark.parametrize(("method", "first"), LAST.values(), ids=LAST)
async def test_a_connection_that_may_hold_more_carries_no_other_call(method, first):
    async with server((peer := Peer(first)).serve) as (port, _), transport() as http:
        answer = await http.call(method, f"http://127.0.0.1:{port}/", deadline=5)
        assert answer.body in (b"", b"ok")
        assert http._direct._pool.open == 0
        assert (await http.call("GET", f"http://127.0.0.1:{port}/", deadline=5)).body == b"ok"
    assert peer.connections == 2


@pytest.mark.parametrize("interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"])
async def test_what_comes_ahead_of_an_answer_is_passed_over_and_the_connection_is_kept(interim):
    async with server((peer := Peer(interim * 3 + OK)).serve) as (port, _), transport() as http:
        for _ in range(2):
            answer = await http.call("POST", f"http://127.0.0.1:{port}/", body=b"{}", deadline=5)
            assert (answer.status, answer.body) == (200, b"ok")
    assert peer.connections == 1
