"""What asks to become a WebSocket is sent back to HTTP."""

from __future__ import annotations

import h2.connection
import h2.events
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


async def test_http_2_without_tls_is_answered(stack):
    client = h2.connection.H2Connection()
    client.initiate_connection()
    fields = [(":method", "GET"), (":path", "/health"), (":scheme", "http"), (":authority", "localhost")]
    client.send_headers(1, fields, end_stream=True)
    events: list[h2.events.Event] = []
    async with stack() as s:
        async with await trio.open_tcp_stream("127.0.0.1", s.port) as stream:
            await stream.send_all(client.data_to_send())
            with trio.fail_after(10):
                while not any(isinstance(event, h2.events.StreamEnded) for event in events):
                    events += client.receive_data(await stream.receive_some(65536))
        with trio.fail_after(10):
            await s.server.connections.wait_empty()
        assert s.log.events("error") == []
    (body,) = [event.data for event in events if isinstance(event, h2.events.DataReceived) and event.data]
    assert orjson.loads(body) == {"status": "ok"}


async def test_http_2_by_upgrade_is_answered(stack):
    head = (
        b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
        b"http2-settings: AAMAAABkAAQAAP__\r\n\r\n"
    )
    async with stack() as s, await trio.open_tcp_stream("127.0.0.1", s.port) as client:
        await client.send_all(head)
        with trio.fail_after(10):
            assert (await client.receive_some(65536)).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("speaks", ["HTTP/1.1", "HTTP/2"])
async def test_a_stop_does_not_wait_for_idle_connections(stack, speaks):
    preface = h2.connection.H2Connection()
    preface.initiate_connection()
    begun = preface.data_to_send() if speaks == "HTTP/2" else b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    async with stack(server={"drain": 60}) as s, await trio.open_tcp_stream("127.0.0.1", s.port) as client:
        await client.send_all(begun)
        await client.receive_some(65536)
        s.stop.ask()
        with trio.fail_after(10):
            while await client.receive_some(65536):
                pass
            await s.server.connections.wait_empty()
