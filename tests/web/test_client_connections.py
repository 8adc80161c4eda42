"""One client's connection, over real sockets, with answers of a few lines behind it."""

from __future__ import annotations

import errno
import socket

import pytest
import trio
from support.connections import END, GET, POST, echo, read_to_end, read_until, serving

from kirotrio.web.exchange import Exchange
from kirotrio.web.hosting import KEEP_ALIVE


async def test_requests_that_were_sent_ahead_are_answered_in_order():
    async with serving(echo) as s, await s.connect() as client:
        await client.send_all(
            b"".join(GET % b"%d" % n for n in range(50)) + POST % (5, b"connection: close\r\n") + b"hello"
        )
        answers = (await read_to_end(client)).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [answer.split(b"\r\n\r\n", 1)[1] for answer in answers[:2]] == [
        b"2\r\n/0\r\n0\r\n\r\n",
        b"2\r\n/1\r\n0\r\n\r\n",
    ]
    assert len(answers) == 51
    assert answers[50].endswith(b"\r\n5\r\n/echo\r\n5\r\nhello\r\n0\r\n\r\n")
    assert b"connection: close" in answers[50]


async def test_more_is_not_read_than_is_held_of_what_was_sent_ahead():
    go_on = trio.Event()

    async def wait(exchange: Exchange) -> None:
        await go_on.wait()
        await echo(exchange)

    async with serving(wait) as s, await s.connect() as client:
        requests = GET % (b"a" * 1000) * 3000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_all, requests)
            await trio.testing.wait_all_tasks_blocked(0.05)
            (connection,) = s.server.connections
            assert len(connection._reader.held) < 200_000
            go_on.set()
            received = 0
            with trio.fail_after(60):
                while received < 3000:
                    received += (await client.receive_some(65536)).count(END)


@pytest.mark.parametrize("cuts", [1, 7, 1000])
async def test_bodies_of_both_kinds_come_in_whole(cuts):
    chunked = b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunked += b"3\r\nabc\r\n2;x\r\nde\r\n0\r\na: b\r\n\r\n"
    async with serving(echo) as s, await s.connect() as client:
        for request in (POST % (5, b"") + b"abcde", chunked, POST % (0, b"")):
            for at in range(0, len(request), cuts):
                await client.send_all(request[at : at + cuts])
            answer = await read_until(client, END)
            assert answer.endswith((b"5\r\n/echo\r\n5\r\nabcde\r\n" if b"abc" in request else b"5\r\n/echo\r\n") + END)


async def test_a_body_with_a_length_leaves_in_one_piece_with_its_head():
    async def answer(exchange: Exchange) -> None:
        await exchange.start(200, {"content-length": "2"})
        await exchange.finish(b"ok")

    async with serving(answer) as s, await s.connect() as client:
        await client.send_all(GET % b"")
        received = await client.receive_some(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    assert body == b"ok"
    assert b"chunked" not in head
    assert b"\r\ndate: " in head


async def test_http_1_0_gets_no_chunks_and_the_end():
    async with serving(echo) as s, await s.connect() as client:
        await client.send_all(b"GET /a HTTP/1.0\r\n\r\n")
        head, _, body = (await read_to_end(client)).partition(b"\r\n\r\n")
    assert body == b"/a"
    assert b"connection: close" in head
    assert b"chunked" not in head


async def test_an_answer_to_head_has_no_body_and_the_connection_goes_on():
    async with serving(echo) as s, await s.connect() as client:
        for _ in range(2):
            await client.send_all(b"HEAD /a HTTP/1.1\r\nhost: x\r\n\r\n")
            answer = await read_until(client, b"\r\n\r\n")
            assert answer.count(b"\r\n\r\n") == 1


async def test_a_body_is_asked_for_when_it_is_wanted():
    async with serving(echo) as s, await s.connect() as client:
        await client.send_all(POST % (2, b"expect: 100-continue\r\n"))
        assert await read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send_all(b"ok")
        assert (await read_until(client, END)).startswith(b"HTTP/1.1 200 ")


async def test_a_body_that_nobody_wants_is_not_asked_for():
    async def refuse(exchange: Exchange) -> None:
        await exchange.intake.run_out(60)
        await exchange.start(403, {"content-length": "0"})
        await exchange.finish(b"")

    async with serving(refuse) as s, await s.connect() as client:
        await client.send_all(POST % (2, b"expect: 100-continue\r\n"))
        assert (await read_to_end(client)).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("leaving", ["whole", "half", "reset"])
async def test_a_client_that_leaves_ends_its_request(leaving):
    began = trio.Event()

    async def hang(exchange: Exchange) -> None:
        began.set()
        await trio.sleep_forever()

    async with serving(hang) as s:
        client = await s.connect()
        await client.send_all(GET % b"")
        await began.wait()
        if leaving == "half":
            await client.send_eof()
        elif leaving == "reset":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.socket.close()
        else:
            await client.aclose()
        with trio.fail_after(10):
            await s.server.connections.wait_empty()
        await client.aclose()
        assert s.cancelled == 1
        assert s.log.lines == []


@pytest.mark.parametrize("at_once", [False, True])
async def test_what_a_slow_reader_gets_is_whole(at_once):
    sent = bytes(range(256)) * 16_000

    async def large(exchange: Exchange) -> None:
        await exchange.start(200, {})
        if at_once:
            rest = exchange.write_now(sent)
            assert rest, "no system takes that much without waiting"
            await exchange.write_rest(rest)
        else:
            await exchange.write(sent)
        await exchange.finish(sent)

    async with serving(large, write_deadline=60) as s, await s.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        await client.send_all(GET % b"")
        received = bytearray()
        with trio.fail_after(60):
            while not received.endswith(b"\r\n" + END):
                received += await client.receive_some(1_000_000)
    framed = b"%x\r\n%b\r\n" % (len(sent), sent)
    assert received.partition(b"\r\n\r\n")[2] == framed * 2 + END


async def test_a_client_that_stops_reading_is_dropped_at_the_deadline(mock_clock):
    async def endless(exchange: Exchange) -> None:
        await exchange.start(200, {})
        while True:
            await exchange.write(b"x" * 100_000)

    async with serving(endless, write_deadline=30) as s, await s.connect() as client:
        await client.send_all(GET % b"")
        await trio.testing.wait_all_tasks_blocked(0.05)
        mock_clock.jump(29)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert len(s.server.connections) == 1
        mock_clock.jump(2)
        await s.server.connections.wait_empty()
    assert s.cancelled == 1


async def test_a_write_that_waits_can_be_hurried(mock_clock):
    async def endless(exchange: Exchange) -> None:
        await exchange.start(200, {})
        while True:
            await exchange.write(b"x" * 100_000)

    async with serving(endless, write_deadline=3600) as s, await s.connect() as client:
        await client.send_all(GET % b"")
        await trio.testing.wait_all_tasks_blocked(0.05)
        s.server.hurry(5)
        mock_clock.jump(6)
        await s.server.connections.wait_empty()


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nho"])
async def test_a_connection_that_asks_nothing_is_closed_in_time(mock_clock, begun):
    async with serving(echo) as s, await s.connect() as client:
        await client.send_all(GET % b"")
        await read_until(client, END)
        await client.send_all(begun)
        await trio.testing.wait_all_tasks_blocked(0.05)
        mock_clock.jump(KEEP_ALIVE - 1)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert len(s.server.connections) == 1
        mock_clock.jump(2)
        assert await client.receive_some(100) == b""
        await s.server.connections.wait_empty()


async def test_an_answer_takes_as_long_as_it_takes(mock_clock):
    go_on = trio.Event()

    async def wait(exchange: Exchange) -> None:
        await go_on.wait()
        await echo(exchange)

    async with serving(wait) as s, await s.connect() as client:
        await client.send_all(GET % b"")
        await trio.testing.wait_all_tasks_blocked(0.05)
        mock_clock.jump(10_000)
        await trio.testing.wait_all_tasks_blocked(0.05)
        go_on.set()
        await read_until(client, END)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01", 400),
        (b"GET / HTTP/3.0\r\nhost: x\r\n\r\n", 505),
        (b"GET /" + b"a" * 70_000, 431),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n", 400),
    ],
)
async def test_what_is_no_http_is_refused_and_closed(sent, status):
    async with serving(echo) as s, await s.connect() as client:
        await client.send_all(sent)
        received = await read_to_end(client)
        assert received.startswith(b"HTTP/1.1 %d " % status)
        assert received.count(b"HTTP/1.1") == 1
        await client.aclose()
        await s.server.connections.wait_empty()
        assert s.inflight.held == 0


async def test_a_second_request_that_is_no_http_is_refused_after_the_first_answer():
    async with serving(echo) as s, await s.connect() as client:
        await client.send_all(GET % b"a" + b"nonsense\r\n\r\n")
        received = await read_to_end(client)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert END + b"HTTP/1.1 400 " in received


@pytest.mark.parametrize("begun", [True, False])
async def test_a_fault_closes_the_connection_and_is_logged(begun):
    async def fault(exchange: Exchange) -> None:
        await exchange.start(200, {})
        if begun:
            await exchange.write(b"a piece")
        raise RuntimeError("a fault")

    async with serving(fault) as s, await s.connect() as client:
        await client.send_all(GET % b"")
        received = await read_to_end(client)
    assert s.log.events("error") == ["request failed"]
    assert not received.endswith(END), "what was cut looks whole"
    assert received.startswith(b"HTTP/1.1 200 " if begun else b"HTTP/1.1 500 ")


async def test_a_body_of_another_length_than_told_is_not_taken_for_the_next_answer():
    async def wrong(exchange: Exchange) -> None:
        await exchange.start(200, {"content-length": "5"})
        await exchange.finish(exchange.head.path.encode())

    async with serving(wrong) as s, await s.connect() as client:
        await client.send_all(GET % b"x" + GET % b"")
        assert (await read_to_end(client)).endswith(b"\r\n\r\n/x")
    async with serving(wrong) as s, await s.connect() as client:
        await client.send_all(GET % b"too long")
        assert b"too long" not in await read_to_end(client)


async def test_idle_connections_are_closed_and_busy_ones_after_their_answer():
    go_on = trio.Event()

    async def wait(exchange: Exchange) -> None:
        await go_on.wait()
        await echo(exchange)

    async with serving(wait) as s, await s.connect() as idle, await s.connect() as busy:
        await busy.send_all(GET % b"")
        await trio.testing.wait_all_tasks_blocked(0.05)
        await s.server.close_idle()
        assert await read_to_end(idle) == b""
        go_on.set()
        received = await read_to_end(busy)
    assert b"connection: close" in received
    assert received.endswith(END)


async def test_where_the_system_has_no_room_connections_are_accepted_a_moment_later(monkeypatch):
    accept, full = socket.socket.accept, [OSError(errno.EMFILE, "Too many open files"), ConnectionAbortedError()]

    def crowded(listening: socket.socket) -> object:
        if full:
            raise full.pop()
        return accept(listening)

    monkeypatch.setattr(socket.socket, "accept", crowded)
    async with serving(echo) as s, await s.connect() as client:
        await client.send_all(GET % b"")
        assert (await read_until(client, END)).endswith(b"1\r\n/\r\n" + END)
    assert s.log.events("error") == ["no room for another connection"]


async def test_connections_that_come_together_are_all_answered():
    async with serving(echo) as s:
        clients = [await s.connect() for _ in range(50)]
        for client in clients:
            await client.send_all(GET % b"")
        for client in clients:
            assert (await read_until(client, END)).endswith(b"1\r\n/\r\n" + END)
            await client.aclose()
    assert s.log.lines == []
