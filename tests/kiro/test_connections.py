"""The pool of connections: what is used again, what is closed, who waits for whom, and that no place is ever lost."""

from __future__ import annotations

import contextlib
import socket
from contextlib import asynccontextmanager

import pytest
import trio
import trio.lowlevel
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from support.servers import server, transport

from kirotrio.errors import UpstreamFailed
from kirotrio.kiro.address import parse_address
from kirotrio.kiro.client import Transport, tls_context
from kirotrio.kiro.connections import Connection, Pool
from kirotrio.kiro.http1 import ResponseParser
from kirotrio.kiro.lines import Line
from kirotrio.kiro.tunnels import ConnectFailed, ConnectTimedOut, Direct

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@define
class Peer:
    """A server that reads heads and says `answers` in turn, the last one for ever; `ended` is set at an end."""

    answers: list[bytes] = field(factory=lambda: [OK])
    closes: bool = False
    connections: int = 0
    heads: list[bytes] = field(factory=list)
    ended: trio.Event = field(factory=trio.Event)

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        async with stream:
            with contextlib.suppress(trio.BrokenResourceError):
                while head := await stream.receive_some(65536):
                    self.heads.append(bytes(head))
                    await stream.send_all(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
                    if self.closes:
                        break
        self.ended.set()


@asynccontextmanager
async def calling(peer: Peer, **upstream: int):
    async with server(peer.serve) as (port, _), transport(**upstream) as http:
        yield http, f"http://127.0.0.1:{port}/"


def opened(http: Transport) -> int:
    return http._direct._pool.open


async def test_a_connection_carries_one_call_after_the_other():
    async with calling(peer := Peer()) as (http, url):
        for _ in range(5):
            assert (await http.call("POST", url, body=b"{}", deadline=5)).body == b"ok"
    assert peer.connections == 1


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
BARE = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize("answer", [CHUNKED, BARE])
async def test_every_body_that_has_an_end_keeps_the_connection(answer):
    async with calling(peer := Peer([answer])) as (http, url):
        for _ in range(2):
            assert (await http.call("GET", url, deadline=5)).body in (b"ok", b"")
    assert peer.connections == 1


@pytest.mark.parametrize(
    "answer",
    [OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), OK.replace(b"1.1", b"1.0"), OK + b"HTTP/1.1 200 OK"],
    ids=["it says so", "HTTP/1.0", "more than the answer"],
)
async def test_a_connection_that_may_not_carry_more_is_closed_at_once(answer):
    async with calling(peer := Peer([answer, OK])) as (http, url):
        assert (await http.call("GET", url, deadline=5)).body == b"ok"
        assert opened(http) == 0
        assert (await http.call("GET", url, deadline=5)).body == b"ok"
    assert peer.connections == 2


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used():
    async with calling(peer := Peer(closes=True)) as (http, url):
        for _ in range(20):
            assert (await http.call("POST", url, body=b"{}", deadline=5)).body == b"ok"
            await peer.ended.wait()
            peer.ended = trio.Event()
    assert peer.connections == 20


async def test_what_comes_while_nothing_was_asked_for_ends_the_connection():
    heard = trio.Event()

    async def talkative(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(OK)
        await heard.wait()
        await stream.send_all(OK.replace(b"ok", b"no"))
        await trio.sleep_forever()

    async with server(talkative) as (port, _), transport() as http:
        await http.call("GET", f"http://127.0.0.1:{port}/", deadline=5)
        heard.set()
        await trio.testing.wait_all_tasks_blocked(0.01)
        heard = trio.Event()
        heard.set()
        assert (await http.call("GET", f"http://127.0.0.1:{port}/", deadline=5)).body == b"ok"


async def test_a_connection_is_kept_a_minute_and_no_longer(mock_clock):
    async with calling(peer := Peer()) as (http, url):
        await http.call("GET", url, deadline=5)
        mock_clock.jump(59)
        await http.call("GET", url, deadline=5)
        mock_clock.jump(61)
        await http.call("GET", url, deadline=5)
    assert peer.connections == 2


async def test_an_answer_that_is_left_early_closes_its_connection():
    async with calling(peer := Peer([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", OK])) as (http, url):
        async with http.stream("GET", url, headers={}) as stream:
            assert await stream.receive() == b"half"
        assert opened(http) == 0
        with trio.fail_after(30):
            await peer.ended.wait()
        assert (await http.call("GET", url, deadline=5)).body == b"ok"


@pytest.mark.parametrize("reads", [0, 1, 2, 3], ids=["body not taken", "no head", "half a head", "half a body"])
async def test_whoever_is_cancelled_lets_go_of_the_connection(reads):
    said = [b"", b"HTTP/1.1 200", b" OK\r\ncontent-length: 9\r\n\r\nhalf"][: max(0, reads)]
    quiet, gone = trio.Event(), trio.Event()

    async def slow(stream: trio.SocketStream) -> None:
        async with stream:
            if reads:
                await stream.receive_some(65536)
            for piece in said[:reads]:
                await stream.send_all(piece)
            quiet.set()
            with contextlib.suppress(trio.BrokenResourceError):
                while await stream.receive_some(65536):
                    await trio.lowlevel.checkpoint()
            gone.set()

    async with server(slow) as (port, nursery), transport() as http:
        body = b"x" * 50_000_000 if not reads else b"x"
        with trio.CancelScope() as scope:

            async def cancel() -> None:
                await quiet.wait()
                await trio.testing.wait_all_tasks_blocked(0.01)
                scope.cancel()

            if reads:
                nursery.start_soon(cancel)
            else:
                scope.deadline = trio.current_time() + 0.02
            async with http.stream("POST", f"http://127.0.0.1:{port}/", headers={}, body=body) as stream:
                await stream.read(100)
        assert scope.cancelled_caught
        assert opened(http) == 0, "its place is not free"
        with trio.fail_after(10):
            await gone.wait()


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
async def test_a_body_arrives_as_it_is_whatever_its_size(size):
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    got = bytearray()

    async def taking(stream: trio.SocketStream) -> None:
        while not got.endswith(body) or b"\r\n\r\n" not in got or len(got) < size + 10:
            got.extend(await stream.receive_some(65536))
        await stream.send_all(OK)

    async with server(taking) as (port, _), transport() as http:
        assert (await http.call("POST", f"http://127.0.0.1:{port}/", body=body, deadline=20)).body == b"ok"
    assert bytes(got).partition(b"\r\n\r\n")[2] == body


async def test_an_answer_ahead_of_a_body_that_is_not_wanted_is_read():
    async def refusing(stream: trio.SocketStream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await stream.send_eof()
        with contextlib.suppress(trio.BrokenResourceError):
            while await stream.receive_some(65536):
                pass

    async with server(refusing) as (port, _), transport() as http:
        answer = await http.call("POST", f"http://127.0.0.1:{port}/", body=b"x" * 3_000_000, deadline=20)
        assert (answer.status, answer.body) == (413, b"no")


async def test_a_server_that_does_not_take_the_request_is_given_up():
    async def stuck(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with server(stuck) as (port, _), transport() as http:
        http.write_patience = 0.05
        with pytest.raises(UpstreamFailed, match="took no more of the request") as raised:
            await http.call("POST", f"http://127.0.0.1:{port}/", body=b"x" * 50_000_000, deadline=20)
        assert raised.value.retryable
        assert opened(http) == 0


async def test_beyond_the_limit_calls_wait_for_each_other():
    async with calling(peer := Peer(), connections=2) as (http, url), trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(lambda: http.call("GET", url, deadline=5))
    assert len(peer.heads) == 10
    assert peer.connections == 2


async def test_a_place_that_does_not_come_free_is_a_connection_that_is_not_made(mock_clock):
    async with calling(Peer(), connections=1) as (http, url):
        http.connect_patience = 5
        async with http.stream("GET", url, headers={}) as held, trio.open_nursery() as nursery:

            async def second() -> None:
                with pytest.raises(UpstreamFailed, match=r"could not connect to 127\.0\.0\.1 in time"):
                    await http.call("GET", url, deadline=60)

            nursery.start_soon(second)
            await trio.testing.wait_all_tasks_blocked(0.01)
            mock_clock.jump(6)
            assert await held.read(9) == b"ok"


async def test_an_idle_connection_elsewhere_makes_room():
    async with calling(one := Peer(), connections=1) as (http, url), server((two := Peer()).serve) as (port, _):
        assert (await http.call("GET", url, deadline=5)).body == b"ok"
        assert (await http.call("GET", f"http://127.0.0.1:{port}/", deadline=5)).body == b"ok"
        with trio.fail_after(30):
            await one.ended.wait()
        assert opened(http) == 1
    assert two.connections == 1


@define
class Pairs:
    """A way out that leads to sockets of this process; `fails` for so many connections."""

    fails: list[bool]
    made: list[tuple[Line, socket.socket]] = field(factory=list)

    async def connect_tcp(self, host: str, port: int, timeout: float) -> Line:
        await trio.sleep(0.3)
        if self.fails and self.fails.pop():
            raise ConnectFailed("no")
        near, far = socket.socketpair()
        near.setblocking(False)
        self.made.append((Line(near), far))
        return self.made[-1][0]


uses = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.floats(0, 5),  # when it comes
        st.floats(0, 3),  # how long it takes
        st.booleans(),  # whether its answer is read to the end
        st.none() | st.floats(0, 6),  # when it is cancelled
    ),
    max_size=12,
)


@given(uses, st.integers(1, 3), st.lists(st.booleans(), max_size=6))
def test_places_are_neither_lost_nor_given_twice(calls, most, fails):
    trio.run(play, calls, most, fails, clock=trio.testing.MockClock(autojump_threshold=0))


async def play(calls, most, fails):
    pairs = Pairs(fails)
    pool = Pool(Direct(), lambda: tls_context("bundled"), most)
    pool.way = pairs
    using: set[Connection] = set()

    async def use(host: str, begin: float, length: float, whole: bool, cancelled: float | None) -> None:
        await trio.sleep(begin)
        with trio.move_on_after(float("inf") if cancelled is None else cancelled):
            try:
                connection = await pool.take(parse_address(f"http://{host}/"), 2)
            except (ConnectTimedOut, ConnectFailed):
                return
            assert connection not in using, "two calls have one connection"
            assert connection.place[1] == host
            using.add(connection)
            assert len(using) <= most
            connection.response = ResponseParser("GET")
            try:
                await trio.sleep(length)
                if whole:
                    connection.response.feed(BARE)
            finally:
                using.remove(connection)
                pool.give_back(connection)

    async with trio.open_nursery() as nursery:
        for call in calls:
            nursery.start_soon(use, *call)
    assert not pool._waiting
    alive = [line for line, _ in pairs.made if line.socket.fileno() >= 0]
    assert pool.open == len(pool._idle) == len(alive) <= most
    pool.close()
    for _, far in pairs.made:
        assert far.recv(1) == b"", "a connection is open and nobody has it"
        far.close()
    assert pool.open == 0
