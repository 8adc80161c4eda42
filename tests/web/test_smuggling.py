"""No bytes are taken for a request that somebody in front may have taken for something else."""

from __future__ import annotations

import pytest
import trio
from support.connections import END, GET, POST, echo, read_to_end, read_until, serving

from kirotrio.web.exchange import Exchange

HIDDEN = b"GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


def with_fields(*fields: bytes, line: bytes = b"POST /echo HTTP/1.1") -> bytes:
    return b"\r\n".join([line, b"host: x", *fields, b"", b""])


REFUSED = {
    "two lengths": with_fields(b"content-length: 0", b"content-length: %d" % len(HIDDEN)),
    "a list of lengths": with_fields(b"content-length: 0, 0"),
    "a length and chunks": with_fields(b"content-length: 5", b"transfer-encoding: chunked") + b"0\r\n\r\n",
    "chunks and a length": with_fields(b"transfer-encoding: chunked", b"content-length: 5") + b"0\r\n\r\n",
    "a coding twice": with_fields(b"transfer-encoding: chunked, chunked") + b"0\r\n\r\n",
    "a coding that is none": with_fields(b"transfer-encoding: identity"),
    "no coding": with_fields(b"transfer-encoding:", b"content-length: 0"),
    "a coding like it": with_fields(b"transfer-encoding: xchunked"),
    "a coding in quotes": with_fields(b'transfer-encoding: "chunked"'),
    "chunks in HTTP/1.0": with_fields(b"transfer-encoding: chunked", line=b"POST /echo HTTP/1.0"),
    "a space before the colon": with_fields(b"content-length : %d" % len(HIDDEN)),
    "a space before the name": with_fields(b" content-length: %d" % len(HIDDEN)),
    "a fold": with_fields(b"x: y", b" transfer-encoding: chunked"),
    "a fold of a length": with_fields(b"content-length:", b" %d" % len(HIDDEN)),
    "a bare line feed": with_fields(b"x: y\ncontent-length: %d" % len(HIDDEN)),
    "a bare carriage return": with_fields(b"x: y\rcontent-length: %d" % len(HIDDEN)),
    "a NUL": with_fields(b"x: y\0", b"content-length: 0"),
    "a NUL in a name": with_fields(b"content-length\0: 0"),
    "a space behind the version": with_fields(line=b"GET / HTTP/1.1 "),
    "a tab in the line": with_fields(line=b"GET\t/ HTTP/1.1"),
    "a space in the target": with_fields(line=b"GET /a b HTTP/1.1"),
    "a NUL in the target": with_fields(line=b"GET /\0 HTTP/1.1"),
    "two hosts": with_fields(b"Host: y"),
    "an extension with a line feed": CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "an extension with a carriage return": CHUNKED + b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "a size that ends in a line feed": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "a size with a sign": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "a size with a line below": CHUNKED + b"0_5\r\nhello\r\n0\r\n\r\n",
    "a size that wraps round": CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "a chunk that is too long": CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n",
    "a chunk without its end": CHUNKED + b"5\r\nhello0\r\n\r\n",
    "a trailer that is folded": CHUNKED + b"0\r\na: b\r\n c\r\n\r\n",
    "a trailer that is none": CHUNKED + b"0\r\nGET / HTTP/1.1\r\n\r\n",
    "a trailer with a line feed": CHUNKED + b"0\r\na: b\nc: d\r\n\r\n",
    "an endless extension": CHUNKED + b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
    "endless trailers": CHUNKED + b"0\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
async def test_what_may_be_read_in_two_ways_ends_the_connection(sent):
    async with serving(echo) as s, await s.connect() as client:
        await client.send_all(sent + HIDDEN)
        received = await read_to_end(client)
        assert s.log.lines == []
    assert received.split(b" ")[1] in (b"400", b"431", b"501")
    assert received.count(b"HTTP/1.1 ") == 1, "what stands behind it was taken for a request"
    assert b"connection: close" in received


async def test_a_body_that_was_not_read_is_not_taken_for_requests():
    async def at_once(exchange: Exchange) -> None:
        await exchange.start(401, {"content-length": "0"})
        await exchange.finish(b"")

    async with serving(at_once) as s, await s.connect() as client:
        await client.send_all(POST % (len(HIDDEN) + 1, b"") + HIDDEN[:10])
        head = await read_until(client, b"\r\n\r\n")
        await client.send_all(HIDDEN[10:])
        assert await read_to_end(client) == b""
    assert head.startswith(b"HTTP/1.1 401 ")


async def test_a_body_that_was_not_asked_for_is_not_taken_for_requests():
    async def refuse(exchange: Exchange) -> None:
        await exchange.intake.run_out(60)
        await exchange.start(417, {"content-length": "0"})
        await exchange.finish(b"")

    async with serving(refuse) as s, await s.connect() as client:
        await client.send_all(POST % (len(HIDDEN), b"expect: 100-continue\r\n"))
        head = await read_until(client, b"\r\n\r\n")
        with trio.move_on_after(5):
            await client.send_all(HIDDEN)
        assert b"HTTP/1.1" not in await read_to_end(client)
    assert head.startswith(b"HTTP/1.1 417 ")
    assert b"100 Continue" not in head


async def test_a_body_that_was_sent_unasked_is_read_and_nobody_is_told_to_send_it():
    async with serving(echo) as s, await s.connect() as client:
        await client.send_all(POST % (2, b"expect: 100-continue\r\n") + b"ok" + GET % b"next")
        received = await read_until(client, b"5\r\n/next\r\n" + END)
    assert b"100 Continue" not in received
    assert received.count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_has_none_and_the_next_one_follows(status):
    async def bare(exchange: Exchange) -> None:
        await exchange.start(status, {})
        await exchange.write(b"a body all the same")
        await exchange.finish(b"and more")

    async with serving(bare) as s, await s.connect() as client:
        await client.send_all(GET % b"a" + GET % b"b" + b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answers = (await read_to_end(client)).split(b"HTTP/1.1 %d " % status)[1:]
    assert len(answers) == 3
    for answer in answers:
        assert answer.partition(b"\r\n\r\n")[2] == b""
        assert b"transfer-encoding" not in answer


async def test_an_answer_to_head_tells_the_length_and_the_next_one_follows():
    async def told(exchange: Exchange) -> None:
        await exchange.start(200, {"content-length": "5"})
        await exchange.finish(b"hello")

    async with serving(told) as s, await s.connect() as client:
        await client.send_all(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n" + GET % b"")
        received = await read_until(client, b"hello")
    first, second, body = received.split(b"\r\n\r\n")
    assert b"content-length: 5" in first
    assert second.startswith(b"HTTP/1.1 200 ")
    assert body == b"hello"


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"connection: keep-alive\r\n", True),
        (b"1.1", b"connection: Close\r\n", False),
        (b"1.1", b"connection: keep-alive, CLOSE\r\n", False),
        (b"1.1", b"connection: keep-alive\r\nconnection: close\r\n", False),
        (b"1.1", b"connection: closed\r\n", True),
        (b"1.0", b"", False),
        (b"1.0", b"connection: keep-alive\r\n", False),
    ],
)
async def test_the_connection_stays_as_long_as_both_say_so(version, connection, stays):
    first = b"GET /a HTTP/%b\r\nhost: x\r\n%b\r\n" % (version, connection)
    async with serving(echo) as s, await s.connect() as client:
        await client.send_all(first + b"GET /b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        received = await read_to_end(client)
    assert (b"/b" in received) is stays
    assert received.count(b"HTTP/1.1 200 ") == 1 + stays
    head = received.partition(b"\r\n\r\n")[0]
    assert (b"connection: close" in head) is not stays


async def test_a_damaged_body_whose_answer_has_begun_ends_that_without_its_end():
    async def eager(exchange: Exchange) -> None:
        await exchange.start(200, {})
        await exchange.write(b"begun")
        await trio.sleep_forever()

    async with serving(eager) as s, await s.connect() as client:
        await client.send_all(CHUNKED)
        begun = await read_until(client, b"5\r\nbegun\r\n")
        await client.send_all(b"nonsense\r\n" + HIDDEN)
        rest = await read_to_end(client)
        assert s.cancelled == 1
    assert begun.startswith(b"HTTP/1.1 200 ")
    assert rest == b"", "what was cut looks whole, or something was answered behind it"
