"""A client that leaves takes its upstream request with it, whatever state that is in, over real sockets."""

from __future__ import annotations

import socket
import struct

import orjson
import pytest
import trio
from support.stack import KEY, question, running

STATES = {
    "data flowing": "[[events=100000 size=20 gap_ms=2]]",
    "upstream silent": "[[stall_after=2]]",
    "no head yet": "[[no_head=1]]",
}
MODES = {"live": ("/v1/messages", True), "buffered": ("/cc/v1/messages", True), "non-stream": ("/v1/messages", False)}


@pytest.mark.parametrize("leaving", ["FIN", "RST"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("mode", MODES)
async def test_the_upstream_connection_is_closed(tmp_path, mode, state, leaving):
    path, stream = MODES[mode]
    body = orjson.dumps(question(f"{STATES[state]} hi", stream=stream, max_tokens=1_000_000))
    async with running(tmp_path) as stack:
        async with await trio.open_tcp_stream("127.0.0.1", stack.port) as client:
            head = f"POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
            await client.send_all(head.encode() + body)
            await stack.wait_for_stream()
            assert len(stack.gateway.relay.streams) == 1
            if leaving == "RST":
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await stack.wait_for_closed_stream()
        with trio.fail_after(10):
            await stack.gateway.relay.streams.wait_empty()
        assert [fields["outcome"] for _, name, fields in stack.log.lines if name == "request finished"] == [
            "client gone"
        ]


async def test_many_leaving_clients_leave_nothing_behind(tmp_path):
    body = orjson.dumps(question("[[events=1000 gap_ms=1]] hi", stream=True, max_tokens=1_000_000))
    head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    async with running(tmp_path) as stack:

        async def come_and_go(n: int) -> None:
            async with await trio.open_tcp_stream("127.0.0.1", stack.port) as client:
                await client.send_all(head + body)
                await trio.sleep(0.004 * n)  # each leaves at another point of its answer: that is what is tried

        async with trio.open_nursery() as nursery:
            for n in range(60):
                nursery.start_soon(come_and_go, n)
        with trio.fail_after(20):
            await stack.gateway.relay.streams.wait_empty()
            await stack.server.connections.wait_empty()
        assert stack.gateway.inflight.held == 0
        assert all(stream["state"] != "open" for stream in await stack.streams())
        async with stack.client() as http:
            assert (await http.post("/v1/messages", json=question())).status_code == 200, "the pool is still usable"
