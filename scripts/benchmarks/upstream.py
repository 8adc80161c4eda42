"""The upstream: an HTTP server of ready bytes in Kiro's place. `python -m benchmarks.upstream [PORT]` prints its port.

Several on one port share the connections, each on a processor of its own.

What it answers stands in the request's last message: `[[bench events=500 gap_ms=25]]`. `gap_ms=0` sends prose, all of
it at once; other events carry the moment they were sent. `wait_ms` waits between the first event and the second. `GET
/_bench/state` says how many streams are open, how many have been at once since it was last asked, and when the last one
was closed.

Paced events are sent in beats of one millisecond: all that are due in one carry its stamp and are encoded once. A
stream has its beats from when it was asked for, so that those which are asked for together go on together; with
`spread=1` its number shifts them, so that they do not.
"""

from __future__ import annotations

import asyncio
import functools
import re
import sys
import time
from typing import cast

import orjson
import uvloop
from attrs import define, field

from benchmarks.frames import HEAD, TAIL, stamp, stamped_text, text_chunk
from benchmarks.prose import pieces

_MARK = b"[[bench "
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_MODEL = {
    "modelId": "claude-sonnet-4.5",
    "modelName": "claude-sonnet-4.5",
    "description": "The model of the benchmark",
    "rateMultiplier": 1.3,
    "rateUnit": "credit",
    "supportedInputTypes": ["TEXT", "IMAGE"],
    "tokenLimits": {"maxInputTokens": 4_000_000, "maxOutputTokens": 64_000},
}
_ANSWERS = {
    b"/ListAvailableModels": {"models": [_MODEL], "defaultModel": {"modelId": "auto", "modelName": "Auto"}},
    b"/ListAvailableProfiles": {"profiles": []},
    b"/getUsageLimits": {
        "daysUntilReset": 9,
        "nextDateReset": 4_102_444_800.0,
        "subscriptionInfo": {"subscriptionTitle": "KIRO PRO", "type": "Q_DEVELOPER_STANDALONE_PRO"},
        "usageBreakdownList": [],
        "userInfo": {"userId": "bench"},
    },
}


_GOLDEN = 0.6180339887
"""Multiples of it, less their whole part, lie as evenly in 0 to 1 as so many numbers can, however many they are."""


@define
class Book:
    """How many streams are open, and what is due in each beat."""

    open: int = 0
    most: int = 0
    last_closed: float = 0.0
    begun: int = 0
    beats: dict[int, list[Upstream]] = field(factory=dict)
    """By the millisecond of the loop's clock."""

    def begin(self) -> None:
        self.open += 1
        self.begun += 1
        self.most = max(self.most, self.open)

    def end(self) -> None:
        self.open -= 1
        self.last_closed = time.monotonic()

    def phase(self, gap: int) -> int:
        """How much later than the others' its beats are: any streams that follow each other are spread over the gap."""
        return int(self.begun * _GOLDEN % 1 * gap)

    def put(self, stream: Upstream, beat: int) -> None:
        """Have it called in that beat."""
        if beat in self.beats:
            self.beats[beat].append(stream)
            return
        self.beats[beat] = [stream]
        asyncio.get_running_loop().call_at(beat / 1000, self._strike, beat)

    def _strike(self, beat: int) -> None:
        event = text_chunk(stamped_text(stamp()))
        for stream in self.beats.pop(beat):
            stream.step(beat, event)


@functools.lru_cache(maxsize=64)
def _at_once(events: int) -> bytes:
    return HEAD + b"".join(text_chunk(piece) for piece in pieces(events)) + TAIL


class Upstream(asyncio.Protocol):
    """One connection: requests one after the other, each answered as its own last message says."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._head = b""
        self._need = 0
        self._streaming = False
        self._left = self._gap = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own classes do not inherit

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._streaming:
            self._finish()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            if not self._head:
                end = self._buffer.find(b"\r\n\r\n")
                if end < 0:
                    return
                self._head = bytes(self._buffer[:end])
                length = _LENGTH.search(self._head)
                self._need = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < self._need:
                return
            head, mark = self._head, self._buffer.rfind(_MARK, 0, self._need)
            order = bytes(self._buffer[mark : min(mark + 200, self._need)]) if mark >= 0 else b""
            del self._buffer[: self._need]
            self._head = b""
            self._answer(head.split(b" ", 2)[1], order)

    def _answer(self, target: bytes, order: bytes) -> None:
        path = target.partition(b"?")[0]
        if path == b"/_bench/state":
            book = self._book
            self._json({"open": book.open, "most": book.most, "last_closed": book.last_closed})
            book.most = book.open
        elif path in _ANSWERS:
            self._json(_ANSWERS[path])
        elif path == b"/generateAssistantResponse":
            words = order[len(_MARK) :].partition(b"]]")[0].decode().split()
            self._stream(dict(word.split("=", 1) for word in words if "=" in word))
        else:
            self._json({"message": "unknown"}, b"404 Not Found")

    def _json(self, document: object, status: bytes = b"200 OK") -> None:
        body = orjson.dumps(document)
        if self._transport is not None:
            head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
            self._transport.write(head + body)

    def _stream(self, order: dict[str, str]) -> None:
        assert self._transport is not None
        events, self._gap = int(order.get("events", "5")), int(order.get("gap_ms", "0"))
        self._streaming = True
        self._book.begin()
        if not self._gap:
            self._transport.write(_at_once(events))
            self._finish()
            return
        self._left = events - 1
        self._transport.write(HEAD + text_chunk(stamped_text(stamp())))
        now = int(asyncio.get_running_loop().time() * 1000)
        wait = int(order.get("wait_ms", "0")) or self._gap
        self._book.put(self, now + wait + (self._book.phase(self._gap) if "spread" in order else 0))

    def step(self, beat: int, event: bytes) -> None:
        """What is due: an event, or the end. The next is by the clock too, so that lateness does not add up."""
        if self._transport is None or not self._streaming:
            return
        if self._left:
            self._left -= 1
            self._transport.write(event)
            self._book.put(self, beat + self._gap)
        else:
            self._transport.write(TAIL)
            self._finish()

    def _finish(self) -> None:
        self._streaming = False
        self._book.end()


async def _main(port: int) -> None:
    book, loop = Book(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(book), "127.0.0.1", port, backlog=2048, reuse_port=True)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
