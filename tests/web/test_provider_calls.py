"""Calls to providers over real sockets: one that is down, slow, huge or sends them elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from kirotrio.access.elsewhere.fetch import LARGEST_ANSWER, Fetched
from kirotrio.access.elsewhere.identity import ElsewhereFailed, Trouble
from kirotrio.config.settings import DeadlineSettings, UpstreamSettings
from kirotrio.kiro.client import Transport
from kirotrio.web.provider_calls import ProviderCalls


@asynccontextmanager
async def answering(answer: bytes, *, then: bytes = b"") -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers every connection with `answer`, then goes on with `then` for as long as it is read."""
    asked: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        asked.append(await stream.receive_some(65536))
        try:
            await stream.send_all(answer)
            while then:
                await stream.send_all(then)
            await stream.receive_some(1)
        except trio.BrokenResourceError:
            pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        port = listeners[0].socket.getsockname()[1]
        yield f"http://127.0.0.1:{port}/x", asked
        nursery.cancel_scope.cancel()


async def ask(url: str, deadline: float = 10.0) -> Fetched:
    async with Transport(UpstreamSettings(), DeadlineSettings()) as transport:
        return await ProviderCalls(transport, deadline)("GET", url, headers={"accept": "application/json"})


async def trouble(url: str, deadline: float = 10.0) -> ElsewhereFailed:
    with pytest.raises(ElsewhereFailed) as caught:
        await ask(url, deadline)
    return caught.value


async def test_an_answer_comes_whole_and_whatever_its_status() -> None:
    async with answering(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}") as (url, asked):
        found = await ask(url)
    assert (found.status, found.body) == (404, b"{}")
    assert b"user-agent: kirotrio/" in asked[0].lower()


async def test_a_redirect_is_not_followed() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}") as (target, asked):
        redirect = f"HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n".encode()
        async with answering(redirect) as (url, _):
            assert (await ask(url)).status == 302
    assert not asked


async def test_a_provider_that_is_down_is_named() -> None:
    async with answering(b"") as (url, _):
        pass
    error = await trouble(url)
    assert error.trouble is Trouble.UNREACHABLE
    assert "127.0.0.1" in error.message


async def test_a_provider_that_does_not_answer_is_given_up() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{") as (url, _):
        error = await trouble(url, 0.2)
    assert error.trouble is Trouble.UNREACHABLE
    assert "0.2 seconds" in error.message


async def test_an_endless_answer_is_given_up_after_what_any_document_has() -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    async with answering(head, then=b"1000\r\n" + b"x" * 0x1000 + b"\r\n") as (url, _):
        error = await trouble(url)
    assert error.trouble is Trouble.UNREACHABLE
    assert str(LARGEST_ANSWER) in error.message


async def test_an_address_that_is_none_is_the_operators_to_mend() -> None:
    assert (await trouble("http://[::1")).trouble is Trouble.MISCONFIGURED
