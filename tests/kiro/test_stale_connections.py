"""A kept connection that the server closes at the moment at which it is used again."""

from __future__ import annotations

import contextlib
import socket

import pytest
import trio
from attrs import define, field
from support.servers import OK, server, transport

from kirotrio.errors import UpstreamFailed
from kirotrio.kiro.client import Transport


@define
class Leaving:
    """A server that answers one request of each connection. The next one it takes, `says` something, waits `after`
    seconds and closes, by a reset if it `resets`; where it is `deaf`, so it does from the first request of the second
    connection on."""

    resets: bool = False
    says: bytes = b""
    after: float = 0.0
    deaf: bool = False
    connections: int = 0
    asked: int = 0
    waiting: trio.Event = field(factory=trio.Event)

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        async with stream:
            with contextlib.suppress(trio.BrokenResourceError):
                if not self.deaf or self.connections == 1:
                    await self.take(stream)
                    await stream.send_all(OK)
                await self.take(stream)
                await stream.send_all(self.says)
                self.waiting.set()
                await trio.sleep(self.after)
                if self.resets:
                    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async def take(self, stream: trio.SocketStream) -> None:
        if await stream.receive_some(65536):
            self.asked += 1


async def ask(http: Transport, port: int) -> bytes:
    return (await http.call("POST", f"http://127.0.0.1:{port}/", body=b"{}", deadline=60)).body


@pytest.mark.parametrize("resets", [False, True], ids=["end", "reset"])
async def test_a_request_that_met_a_closed_connection_is_sent_once_more_at_once(resets, mock_clock):
    # On this clock whoever pauses waits for ever.
    async with server((peer := Leaving(resets)).serve) as (port, _), transport() as http:
        for _ in range(10):
            assert await ask(http, port) == b"ok"
        assert http._direct._pool.open == 1
    assert peer.connections == 10, "one new connection for each that was closed"


async def test_a_large_body_that_met_a_closed_connection_is_sent_whole_once_more():
    body = b"x" * 3_000_000
    taken: list[int] = []

    async def serve(stream: trio.SocketStream) -> None:
        taken.append(0)
        async with stream:
            if len(taken) == 1:
                await stream.receive_some(65536)
                await stream.send_all(OK)
                await stream.receive_some(65536)
                return
            while taken[-1] < len(body):
                taken[-1] += len(await stream.receive_some(65536))
            await stream.send_all(OK)

    async with server(serve) as (port, _), transport() as http:
        assert await ask(http, port) == b"ok"
        answer = await http.call("POST", f"http://127.0.0.1:{port}/", body=body, deadline=60)
    assert answer.body == b"ok"
    assert len(taken) == 2
    assert taken[1] > len(body)


async def test_it_is_sent_once_more_and_not_twice():
    async with server((peer := Leaving(deaf=True)).serve) as (port, _), transport() as http:
        assert await ask(http, port) == b"ok"
        with pytest.raises(UpstreamFailed, match="broke") as raised:
            await ask(http, port)
        assert raised.value.retryable
        assert http._direct._pool.open == 0
    assert (peer.connections, peer.asked) == (2, 3)


async def test_where_some_of_an_answer_had_come_it_is_a_failure():
    async with server((peer := Leaving(says=b"H")).serve) as (port, _), transport() as http:
        assert await ask(http, port) == b"ok"
        with pytest.raises(UpstreamFailed, match="in the middle of a response's head"):
            await ask(http, port)
    assert peer.connections == 1


async def test_what_was_worked_on_for_a_while_may_be_paid_for_and_is_a_failure(mock_clock):
    async with server((peer := Leaving(after=3)).serve) as (port, nursery), transport() as http:
        assert await ask(http, port) == b"ok"

        async def pass_time() -> None:
            await peer.waiting.wait()
            await trio.testing.wait_all_tasks_blocked(0.01)
            mock_clock.jump(3)

        nursery.start_soon(pass_time)
        with pytest.raises(UpstreamFailed, match="without sending a response"):
            await ask(http, port)
    assert peer.connections == 1


async def test_a_new_connection_that_breaks_is_a_failure():
    peer = Leaving(deaf=True, connections=1)
    async with server(peer.serve) as (port, _), transport() as http:
        with pytest.raises(UpstreamFailed, match="without sending a response"):
            await ask(http, port)
    assert peer.asked == 1


async def test_one_that_is_cancelled_meanwhile_is_not_sent_again():
    async with server((peer := Leaving(after=60)).serve) as (port, nursery), transport() as http:
        assert await ask(http, port) == b"ok"
        with trio.CancelScope() as scope:

            async def cancel() -> None:
                await peer.waiting.wait()
                scope.cancel()

            nursery.start_soon(cancel)
            await ask(http, port)
        assert scope.cancelled_caught
        assert http._direct._pool.open == 0
    assert peer.connections == 1
