"""The load: a process of its own that takes orders on its input, a JSON document a line, and answers each with one.

First `ready`; then per order it sends what is asked for and answers with what it saw: how many answers, how many
pieces of text, how late each came. `hold` opens streams and answers once each has brought something, `look` says what
they bring in so many seconds, `tell` what they have brought since they were last asked, `leave` lets them go. With
`sample` n, of n streams that are held one is read event by event, the others some kilobytes at a time: the load then
takes less of the processors that it shares.
"""

from __future__ import annotations

import asyncio
import functools
import re
import socket
import sys
import time
from typing import Any, cast

import orjson
import uvloop
from attrs import define, field

from benchmarks import bodies, prose
from benchmarks.frames import DELTA, PIECE, since, stamp

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_END = b"\r\n0\r\n\r\n"
_SLICE = 64
_AT_LEAST = 16_384


@define
class Seen:
    """What came of one order."""

    answers: int = 0
    failures: list[str] = field(factory=list)
    deltas: int = 0
    pieces: int = 0
    first: list[float] = field(factory=list)
    """Milliseconds from a request to its first piece of text."""
    late: list[float] = field(factory=list)
    """Milliseconds from the upstream's write of a piece to its arrival here."""
    begun: int = 0
    """Streams that have brought a piece."""
    watched: int = 0
    alone: int = 0
    """Pieces of the streams that are read event by event, and those of them that no other came with."""

    def forget(self) -> None:
        """From now on only what comes from now on; what has begun or failed stays so."""
        self.deltas = self.pieces = self.watched = self.alone = 0
        self.late.clear()
        self.first.clear()

    def document(self, wall: float) -> dict[str, Any]:
        return {
            "answers": self.answers,
            "failures": len(self.failures),
            "failure": self.failures[0] if self.failures else "",
            "deltas": self.deltas,
            "pieces": self.pieces,
            "begun": self.begun,
            "alone": self.alone / self.watched if self.watched else 0.0,
            "wall": wall,
            "first_p50": percentile(self.first, 0.5),
            "late_p50": percentile(self.late, 0.5),
            "late_p99": percentile(self.late, 0.99),
        }


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


class Requests:
    """Where the next request comes from: a number of them, shared by the connections of an order."""

    def __init__(self, order: dict[str, Any], key: str) -> None:
        stream = bool(order.get("stream", True))
        if "conversation" in order:
            body = bodies.conversation(order["conversation"], order["answer"], fresh=order["fresh"], stream=stream)
        else:
            body = bodies.question(order["api"], order["answer"], stream=stream)
        path = bodies.PATHS[order["api"]]
        self._head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {key}\r\nauthorization: Bearer {key}\r\n"
            f"anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode()
        self._body = body
        self._nonces = bodies.NONCE in body
        self.left: int = order["requests"]
        self.timed = bool(order.get("timed", False))
        words = dict(word.split("=") for word in order["answer"].split())
        said = () if self.timed else prose.pieces(int(words.get("events", 0)))
        self.expected = [piece.encode() for piece in said]
        """The pieces of an answer that comes at once; those of others are known by their stamps."""
        self.sample = int(order.get("sample", 1))
        """Of so many streams one is read event by event, the others some kilobytes at a time."""

    def next(self) -> list[bytes] | None:
        if self.left <= 0:
            return None
        self.left -= 1
        number = time.monotonic_ns() // 1000 % 10**9
        body = self._body.replace(bodies.NONCE, b"@n%09d@" % number) if self._nonces else self._body
        return [self._head, body]


class Connection(asyncio.Protocol):
    """One keep-alive connection: a request, its answer to the end, the next request."""

    def __init__(self, requests: Requests, seen: Seen, ended: asyncio.Future[None], *, sampled: bool) -> None:
        self._requests, self._seen, self._ended, self._sampled = requests, seen, ended, sampled
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._size = self._whole = 0
        self._tail = b""
        self._sent = 0
        self._first = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own classes do not inherit
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._seen.failures.append(f"connection lost: {exc}")
            self._ended.set_result(None)

    def leave(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)
        if self._transport is not None:
            self._transport.close()

    def _ask(self) -> None:
        assert self._transport is not None
        request = self._requests.next()
        if request is None:
            self.leave()
            return
        self._parts, self._size, self._whole, self._tail, self._first = [], 0, 0, b"", True
        self._sent = stamp()
        self._transport.writelines(request)

    def data_received(self, data: bytes) -> None:
        if not self._size and not self._read_head(data):
            return
        self._size += len(data)
        if not self._sampled and not self._first:
            found = data.count(b'"~')
            self._seen.pieces += found
            self._seen.deltas += found
            return
        if self._requests.timed:
            self._note(data)
        else:
            self._parts.append(data)
        self._tail = data[-len(_END) :] if len(data) >= len(_END) else (self._tail + data)[-len(_END) :]
        if self._size >= self._whole if self._whole else self._tail == _END:
            self._done()

    def _read_head(self, data: bytes) -> bool:
        if not data.startswith(b"HTTP/1.1 200"):
            self._seen.failures.append(data[:400].decode("latin-1"))
            self.leave()
            return False
        end = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, end + 2)
        self._whole = end + 4 + int(length[1]) if length else 0
        return True

    def _note(self, data: bytes) -> None:
        """The moments of the pieces in this read; one that a read has cut in two is missed."""
        now = stamp()
        found = PIECE.findall(data)
        if found and self._first:
            self._first = False
            self._seen.begun += 1
            self._seen.first.append(((now - self._sent) % (1 << 40)) / 1000)
            if not self._sampled:
                assert self._transport is not None
                self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _AT_LEAST)
        self._seen.late += [since(one, now) for one in found]
        self._seen.pieces += len(found)
        self._seen.watched += len(found)
        self._seen.alone += len(found) == 1
        self._seen.deltas += len(DELTA.findall(data))

    def _done(self) -> None:
        self._seen.answers += 1
        if self._parts:
            whole, expected = b"".join(self._parts), self._requests.expected
            deltas = DELTA.findall(whole)
            self._seen.deltas += len(deltas)
            if deltas == expected or (not deltas and b"".join(expected) in whole):
                self._seen.pieces += len(expected)
        self._ask()


async def _carry_out(order: dict[str, Any], port: int, key: str) -> tuple[Seen, list[Connection], asyncio.Future[Any]]:
    loop = asyncio.get_running_loop()
    seen, requests = Seen(), Requests(order, key)
    ends: list[asyncio.Future[None]] = []
    connections: list[Connection] = []
    for number in range(order["connections"]):
        ended: asyncio.Future[None] = loop.create_future()
        ends.append(ended)
        sampled = number % requests.sample == 0
        make = functools.partial(Connection, requests, seen, ended, sampled=sampled)
        try:
            _, connection = await loop.create_connection(make, "127.0.0.1", port)
        except OSError as error:
            seen.failures.append(f"not connected: {error}")
            ended.set_result(None)
            continue
        connections.append(connection)
        if number % _SLICE == _SLICE - 1:
            await asyncio.sleep(order.get("ramp", 0.0))
    return seen, connections, asyncio.gather(*ends)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    held: tuple[Seen, list[Connection], asyncio.Future[Any]] | None = None
    print('"ready"', flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = orjson.loads(line)
        started = time.monotonic()
        match order["do"]:
            case "requests":
                seen, _, ended = await _carry_out(order, order["port"], order["key"])
                try:
                    await asyncio.wait_for(ended, order.get("within", 30))
                except TimeoutError:
                    seen.failures.append("not finished in time")
                answer = seen.document(time.monotonic() - started)
            case "hold":
                held = await _carry_out(order, order["port"], order["key"])
                while held[0].begun < order["connections"] and time.monotonic() - started < order["within"]:
                    await asyncio.sleep(0.02)
                answer = held[0].document(time.monotonic() - started)
            case "look":
                assert held is not None
                held[0].forget()
                await asyncio.sleep(order["seconds"])
                answer = held[0].document(time.monotonic() - started)
            case "tell":
                assert held is not None
                answer = held[0].document(time.monotonic() - started)
                held[0].forget()
                held[0].answers = 0
                held[0].failures.clear()
            case "leave":
                assert held is not None
                answer = {"at": time.monotonic()}
                for connection in held[1]:
                    connection.leave()
            case _:
                raise ValueError(order["do"])
        print(orjson.dumps(answer).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())
