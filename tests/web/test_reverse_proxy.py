"""The nginx and Caddy snippets of the README, as printed there, in front of the gateway."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

import httpx
import orjson
import pytest
import trio
from support.fronts import caddy, needs_caddy, needs_nginx, nginx
from support.sse import names_of
from support.stack import KEY, question

PRINTED = "127.0.0.1:8000"
FRONTS = {
    # What nginx does for others it must not do for streams.
    "nginx": partial(nginx, directives="gzip on; gzip_types *;"),
    "caddy": caddy,
}


@pytest.fixture(params=[pytest.param("nginx", marks=needs_nginx), pytest.param("caddy", marks=needs_caddy)])
async def front(request, tmp_path):
    async with AsyncExitStack() as running:

        async def start(upstream: int) -> str:
            document = FRONTS[request.param](tmp_path / "front", "README.md", {PRINTED: upstream})
            return await running.enter_async_context(document)

        yield start


async def test_a_stream_passes_piece_by_piece(stack, front):
    async with stack() as s:
        base = await front(s.port)
        async with httpx.AsyncClient(base_url=base, headers={"x-api-key": KEY}, trust_env=False, timeout=30) as http:
            body = question("[[events=6 gap_ms=80]] x", stream=True)
            pieces, times = b"", []
            async with http.stream("POST", "/v1/messages", json=body) as answer:
                async for piece in answer.aiter_bytes():
                    pieces += piece
                    times.append(trio.current_time())
    assert names_of(pieces)[-1] == "message_stop"
    assert len(times) >= 4, "the proxy held the stream back and passed it on in one piece"


async def test_large_bodies_and_the_buffered_mode_pass(stack, front):
    async with stack() as s:
        base = await front(s.port)
        async with httpx.AsyncClient(base_url=base, headers={"x-api-key": KEY}, trust_env=False, timeout=60) as http:
            counted = await http.post("/v1/messages/count_tokens", json=question("word " * 300_000))
            assert counted.status_code == 200, "1.5 MB were refused on the way"
            buffered = await http.post("/cc/v1/messages", json=question(stream=True))
            assert names_of(buffered.content)[-1] == "message_stop"


async def test_a_client_that_leaves_the_proxy_leaves_the_upstream(stack, front):
    async with stack() as s:
        base = await front(s.port)
        body = orjson.dumps(question("[[stall_after=2]] x", stream=True))
        host, port = base.removeprefix("http://").split(":")
        async with await trio.open_tcp_stream(host, int(port)) as client:
            head = (
                f"POST /v1/messages HTTP/1.1\r\nhost: {host}\r\nx-api-key: {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            await client.send_all(head.encode() + body)
            await client.receive_some(65536)
        await s.wait_for_closed_stream()


async def test_the_proxy_says_whom_a_request_comes_from_and_clients_do_not(stack, front):
    async with stack(access={"trusted_proxies": "127.0.0.1", "deny": "127.0.0.2"}) as s:
        base = await front(s.port)
        for address, status in (("127.0.0.2", 403), ("127.0.0.3", 200)):
            transport = httpx.AsyncHTTPTransport(local_address=address)
            for claimed in ("192.0.2.1", "127.0.0.2", "127.0.0.2, 127.0.0.1", "nonsense,"):
                headers = {"x-api-key": KEY, "x-forwarded-for": claimed, "forwarded": f"for={claimed}"}
                async with httpx.AsyncClient(base_url=base, headers=headers, transport=transport) as http:
                    answer = await http.get("/v1/models")
                assert answer.status_code == status, f"from {address}, which says it is {claimed}"
