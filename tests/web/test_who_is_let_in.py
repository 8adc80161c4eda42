"""Addresses that are let in or not, over real sockets and in each way that a request may come."""

from __future__ import annotations

import h2.events
import pytest
import trio
from support.stack import KEY, question
from test_http2 import Client

BEHIND_A_PROXY = {"trusted_proxies": "127.0.0.1", "deny": "192.0.2.0/24, 2001:db8::/32"}
FROM_A_DENIED = {"x-forwarded-for": "192.0.2.7"}
SURFACES = {
    "/v1/messages": "permission_error",
    "/v1/chat/completions": "permission_denied",
    "/v1/responses": "permission_denied",
}


@pytest.mark.parametrize("path", SURFACES)
async def test_an_address_that_is_not_let_in_is_refused_in_the_dialect(stack, path):
    async with stack(access={"allow": "10.0.0.0/8"}) as s, s.client() as http:
        answer = await http.post(path, json=question())
        unknown = await http.get("/nothing/here")
    assert answer.status_code == unknown.status_code == 403
    error = answer.json()["error"]
    assert SURFACES[path] in (error["type"], error.get("code"))
    assert "127.0.0.1" in error["message"]
    assert not s.asked()


async def test_health_is_told_to_whoever_asks_and_nothing_else_is(stack):
    async with stack(access={"deny": "127.0.0.0/8"}) as s, s.client() as http:
        answers = {path: (await http.get(path)).status_code for path in ("/health", "/ready", "/", "/v1/models")}
    assert answers == {"/health": 200, "/ready": 403, "/": 403, "/v1/models": 403}


async def test_who_is_behind_a_proxy_is_known_by_what_the_proxy_says(stack):
    async with stack(access=BEHIND_A_PROXY) as s, s.client() as http:
        refused = [
            await http.get("/v1/models", headers={"x-forwarded-for": value})
            for value in ("192.0.2.7", "203.0.113.1, 192.0.2.7", "[2001:db8::5]:80")
        ]
        admitted = [
            await http.get("/v1/models", headers={"x-forwarded-for": value})
            for value in ("203.0.113.1", "192.0.2.7, 203.0.113.1", "nonsense")
        ]
    assert [answer.status_code for answer in refused] == [403] * 3
    assert [answer.status_code for answer in admitted] == [200] * 3


async def test_a_header_of_a_client_that_is_no_proxy_changes_nothing(stack):
    async with stack(access={"allow": "192.0.2.7"}) as s, s.client() as http:
        for name in ("x-forwarded-for", "forwarded", "x-real-ip"):
            assert (await http.get("/v1/models", headers={name: "192.0.2.7"})).status_code == 403
    async with stack(access={"deny": "127.0.0.1"}) as s, s.client() as http:
        assert (await http.get("/v1/models", headers={"x-forwarded-for": "192.0.2.7"})).status_code == 403


async def test_each_refusal_is_one_line_of_bounded_length(stack):
    async with stack(access=BEHIND_A_PROXY) as s, s.client() as http:
        await http.get("/v1/" + "x" * 5000, headers=FROM_A_DENIED)
        ((level, event, line),) = [line for line in s.log.lines if "192.0.2.7" in str(line)]
    assert (level, event, line["outcome"], line["status"]) == ("info", "request finished", "permission", 403)
    assert line["address"] == "192.0.2.7"
    assert len(str(line)) < 800


async def test_nothing_is_read_for_who_is_not_let_in(stack):
    async with stack(access={"deny": "127.0.0.1"}, deadlines={"unwanted_body": 600.0}) as s:
        async with await trio.open_tcp_stream("127.0.0.1", s.port) as client:
            head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: 1000\r\n\r\n"
            await client.send_all(head.encode())
            with trio.fail_after(10):
                answer = b"".join([piece async for piece in client])
    assert answer.startswith(b"HTTP/1.1 403 "), answer[:80]
    assert b"connection: close\r\n" in answer


async def test_who_speaks_http2_is_known_by_address_too(stack):
    async with stack(access={"deny": "127.0.0.1"}, deadlines={"unwanted_body": 600.0}) as s:
        async with await trio.open_tcp_stream("127.0.0.1", s.port) as stream:
            client = Client(stream)
            client.ask(1, "POST", "/v1/messages")
            await client.send()
            assert await client.status() == 403
            client.ask(3, "GET", "/health")
            await client.send()
            assert await client.status() == 200
            assert await client.read(h2.events.StreamEnded) is not None


async def test_a_handshake_of_a_websocket_is_refused_by_address_too(stack):
    async with stack(access={"deny": "127.0.0.1"}) as s:
        async with await trio.open_tcp_stream("127.0.0.1", s.port) as client:
            await client.send_all(
                b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
                b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            with trio.fail_after(10):
                answer = await client.receive_some(65536)
        (line,) = [fields for _, event, fields in s.log.lines if event == "request finished"]
    assert (line["address"], line["status"], line["outcome"]) == ("127.0.0.1", 403, "permission")
    assert answer.startswith(b"HTTP/1.1 403 "), answer[:80]
