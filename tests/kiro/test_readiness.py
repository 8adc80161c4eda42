"""Connections whose events are waited for together: what is handled at once, what is received, and what is lost."""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TypeAlias

import pytest
import trio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from kirotrio.kiro.connections import Connection
from kirotrio.kiro.http1 import ProtocolError, ResponseParser
from kirotrio.kiro.lines import Line
from kirotrio.kiro.readiness import Readiness

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every connection waits by itself")

CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n"


Connecting: TypeAlias = Callable[..., tuple[Connection, socket.socket]]


@asynccontextmanager
async def asking(stop: trio.CancelScope | None = None) -> AsyncIterator[Connecting]:
    """What makes a connection whose response has begun, and the peer's socket; all are closed at the end."""
    readiness = Readiness()

    async def run() -> None:
        with stop or trio.CancelScope():
            await readiness.run()

    def connected(head: bytes = CHUNKS) -> tuple[Connection, socket.socket]:
        near, far = socket.socketpair()
        near.setblocking(False)
        connection = Connection(Line(near), readiness=readiness)
        connection.response = ResponseParser("POST")
        connection.response.feed(head)
        sockets.callback(connection.close)
        sockets.enter_context(far)
        return connection, far

    with ExitStack() as sockets, in_time():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await wait_all_tasks_blocked()
            yield connected
            nursery.cancel_scope.cancel()


@contextmanager
def in_time() -> Iterator[None]:
    """A deadline that is there as soon as nothing goes on any more, since the clock jumps to it."""
    try:
        with trio.fail_after(30):
            yield
    except trio.TooSlowError:
        pytest.fail(
            "nothing has come in five seconds of its clock: a task whose socket has something to read was not woken"
        )


def jumping() -> MockClock:
    """All of a test is one thread and its own sockets: where nobody has had anything to do for so long, nobody will.

    Otherwise it goes as every clock does, so that a task that never rests does not outlast the deadline either.
    """
    return MockClock(rate=1.0, autojump_threshold=0.05)


@pytest.fixture
def clock() -> MockClock:
    return jumping()


async def sent(far: socket.socket, data: bytes) -> None:
    """Returns once everybody has done what can be done about it."""
    far.sendall(data)
    await wait_all_tasks_blocked(0.005)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


pieces = st.lists(st.binary(min_size=1, max_size=40), max_size=12)


@settings(phases=set(Phase) - {Phase.explain})
@given(st.data(), pieces)
def test_every_byte_comes_once_and_in_order_whoever_takes_it(data, chunks):
    wire = b"".join(map(chunk, chunks)) + b"0\r\n\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    takes = data.draw(st.lists(st.booleans(), max_size=20))
    trio.run(carry, wire, cuts, takes, b"".join(chunks), clock=jumping())


async def carry(wire: bytes, cuts: list[int], takes: list[bool], body: bytes) -> None:
    got: list[bytes] = []

    def take_now(piece: bytes) -> bool:
        if takes and not takes.pop():
            return False
        got.append(piece)
        return True

    async def receive() -> None:
        while piece := await connection.receive(take_now):
            got.append(piece)
        whole.set()

    whole = trio.Event()
    async with asking() as connected, trio.open_nursery() as nursery:
        connection, far = connected()
        nursery.start_soon(receive)
        for begin, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
            await wait_all_tasks_blocked()
            far.sendall(wire[begin:end])
        await whole.wait()
    assert b"".join(got) == body


async def test_the_task_that_waits_is_not_woken_for_what_is_taken_at_once(clock):
    taken: list[bytes] = []
    async with asking() as connected, trio.open_nursery() as nursery:
        connection, far = connected()

        async def receive() -> None:
            await connection.receive(lambda piece: not taken.append(piece))

        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        (task,) = nursery.child_tasks
        steps = task._schedule_points
        for text in (b"one", b"two", b"three"):
            await sent(far, chunk(text))
        assert taken == [b"one", b"two", b"three"]
        assert task._schedule_points == steps
        nursery.cancel_scope.cancel()


async def test_whoever_is_cancelled_is_handed_nothing_and_loses_nothing(clock):
    taken: list[bytes] = []
    async with asking() as connected:
        connection, far = connected()
        with trio.move_on_after(0):
            await connection.receive(lambda piece: not taken.append(piece))
        await sent(far, chunk(b"after"))
        assert not taken
        assert await connection.receive() == b"after"


async def test_one_that_ends_another_in_the_same_turn_leaves_it_what_came_for_it(clock):
    ended: list[str] = []
    async with asking() as connected, trio.open_nursery() as nursery:
        scopes = {name: trio.CancelScope() for name in ("one", "two")}
        calls = {name: connected() for name in scopes}

        async def receive(name: str, other: str) -> None:
            def take_now(piece: bytes) -> bool:
                ended.append(name)
                scopes[other].cancel()
                return True

            with scopes[name]:
                await calls[name][0].receive(take_now)

        nursery.start_soon(receive, "one", "two")
        nursery.start_soon(receive, "two", "one")
        await wait_all_tasks_blocked()
        for _, far in calls.values():
            far.sendall(chunk(b"text"))
        await wait_all_tasks_blocked(0.005)
        assert len(ended) == 1
        (left,) = set(calls) - set(ended)
        assert await calls[left][0].receive() == b"text"
        nursery.cancel_scope.cancel()


async def test_one_that_is_cancelled_by_what_it_takes_ends(clock):
    async with asking() as connected:
        connection, far = connected()
        far.sendall(chunk(b"text"))
        with trio.CancelScope() as scope:

            def take_now(piece: bytes) -> bool:
                scope.cancel()
                raise RuntimeError("it was cancelled before this")

            await connection.receive(take_now)
        assert scope.cancelled_caught


async def test_what_is_raised_over_a_piece_reaches_whoever_receives_and_nobody_else(clock):
    def refuse(piece: bytes) -> bool:
        raise RuntimeError("not this one")

    taken: list[bytes] = []
    async with asking() as connected, trio.open_nursery() as nursery:
        (bad, bad_far), (good, good_far) = connected(), connected()
        nursery.start_soon(good.receive, lambda piece: not taken.append(piece))
        await wait_all_tasks_blocked()
        bad_far.sendall(chunk(b"text"))
        with pytest.raises(RuntimeError, match="not this one"):
            await bad.receive(refuse)
        await sent(good_far, chunk(b"text"))
        assert taken == [b"text"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("head", "rest", "taken"), [(SIZED, b"sixsix", [b"sixsix"]), (CHUNKS, chunk(b"x") + b"0\r\n\r\n", [b"x"])]
)
async def test_an_answer_is_at_its_end_once_its_last_piece_was_taken(head, rest, taken, clock):
    got: list[bytes] = []
    async with asking() as connected:
        connection, far = connected(head)
        far.sendall(rest)
        assert await connection.receive(lambda piece: not got.append(piece)) == b""
        assert got == taken
        assert connection.response.keeps


@pytest.mark.parametrize("rest", [chunk(b"x") + b"what?", chunk(b"x")])
async def test_what_is_no_http_and_what_is_cut_is_told_behind_what_was_intact(rest, clock):
    got: list[bytes] = []
    async with asking() as connected:
        connection, far = connected()
        far.sendall(rest)
        far.close()
        with pytest.raises(ProtocolError):
            await connection.receive(lambda piece: not got.append(piece))
        assert got == [b"x"]


async def test_a_connection_that_breaks_or_is_closed_is_told(clock):
    async with asking() as connected:
        connection, _ = connected()
        connection.close()
        with pytest.raises(trio.BrokenResourceError):
            await connection.receive(lambda piece: True)


async def test_where_nobody_asks_any_more_everyone_waits_by_himself(clock):
    stop = trio.CancelScope()
    taken: list[bytes] = []
    got: list[bytes] = []
    async with asking(stop) as connected, trio.open_nursery() as nursery:
        connection, far = connected()

        async def receive() -> None:
            got.append(await connection.receive(lambda piece: not taken.append(piece)))

        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        await sent(far, chunk(b"one"))
        stop.cancel()
        await wait_all_tasks_blocked()
        await sent(far, chunk(b"two"))
        assert (taken, got) == ([b"one"], [b"two"])
