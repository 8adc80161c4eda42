"""What asks to become a WebSocket is sent back to HTTP."""

from __future__ import annotations

import orjson
import pytest
import trio


@pytest.mark.parametrize("path", ["/v1/responses", "/cc/v1/responses", "/v1/realtime", "/"])
async def test_an_upgrade_is_refused_with_the_status_upon_which_codex_falls_back(stack, path):
    head = (
        f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with stack() as s, await trio.open_tcp_stream("127.0.0.1", s.port) as client:
        await client.send_all(head.encode())
        received = b""
        with trio.fail_after(10):
            while piece := await client.receive_some(65536):
                received += piece
        with trio.fail_after(10):
            await s.server.connections.wait_empty()
        async with s.client() as http:
            assert (await http.get("/health")).status_code == 200
        assert s.log.events("error") == []
    status, _, rest = received.partition(b"\r\n")
    assert status.startswith(b"HTTP/1.1 426 "), received
    error = orjson.loads(rest.partition(b"\r\n\r\n")[2])["error"]
    assert "POST" in error["message"]
    assert error["code"] == "websocket_unsupported"


async def test_half_an_upgrade_is_refused_as_http_too(stack):
    head = b"GET /v1/responses HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"
    async with stack() as s, await trio.open_tcp_stream("127.0.0.1", s.port) as client:
        await client.send_all(head)
        with trio.fail_after(10):
            assert (await client.receive_some(65536)).startswith(b"HTTP/1.1 400 ")
