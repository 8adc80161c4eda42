"""The upstream: an HTTP server of ready bytes in Kiro's place. `python -m benchmarks.upstream` prints its port.

What it answers stands in the request's last message: `[[bench events=500 gap_ms=25 stop=end id=7]]`. `gap_ms=0` sends
everything at once; `stop=stall` falls silent after the events, `stop=head` never sends a head. `GET /_bench/wait?id=7`
answers once the stream of that id is there, `GET /_bench/gone?id=7` once its connection is closed, with the moment.
"""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import Callable
from typing import cast

import orjson
import uvloop
from attrs import define, field

from benchmarks.frames import HEAD, TAIL, stamp, text_chunk

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


@define
class Book:
    """What became of the streams: by id, the moment a stream began and the moment its connection was closed."""

    begun: dict[str, float] = field(factory=dict)
    gone: dict[str, float] = field(factory=dict)
    open: int = 0
    most: int = 0
    last_closed: float = 0.0
    waiters: list[Callable[[], bool]] = field(factory=list)

    def changed(self) -> None:
        self.waiters = [waiter for waiter in self.waiters if not waiter()]

    def begin(self, name: str) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        if name:
            self.begun[name] = time.monotonic()
            self.changed()

    def end(self, name: str, *, left: bool) -> None:
        self.open -= 1
        self.last_closed = time.monotonic()
        if name and left:
            self.gone[name] = self.last_closed
            self.changed()


@functools.lru_cache(maxsize=64)
def _at_once(events: int) -> bytes:
    return HEAD + b"".join(text_chunk(number) for number in range(events)) + TAIL


class Upstream(asyncio.Protocol):
    """One connection: requests one after the other, each answered as its own last message says."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._head = b""
        self._need = 0
        self._timer: asyncio.TimerHandle | None = None
        self._name: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own classes do not inherit

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._name is not None:
            self._book.end(self._name, left=True)
        self._transport = None

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
        path, _, query = target.partition(b"?")
        if path.startswith(b"/_bench/"):
            self._watch(path, query.decode().removeprefix("id="))
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

    def _watch(self, path: bytes, name: str) -> None:
        if path == b"/_bench/state":
            book = self._book
            self._json({"open": book.open, "most": book.most, "last_closed": book.last_closed})
            book.most = book.open
            return
        moments = self._book.gone if path == b"/_bench/gone" else self._book.begun

        def tell() -> bool:
            if name in moments:
                self._json({"at": moments[name]})
                return True
            return self._transport is None

        if not tell():
            self._book.waiters.append(tell)

    def _stream(self, order: dict[str, str]) -> None:
        assert self._transport is not None
        events, gap = int(order.get("events", "5")), float(order.get("gap_ms", "0")) / 1000
        stop, self._name = order.get("stop", "end"), order.get("id", "")
        self._book.begin(self._name)
        if stop == "head":
            return
        if gap:
            self._transport.write(HEAD)
            self._step(events, gap, asyncio.get_running_loop().time(), stop)
        elif stop == "end":
            self._transport.write(_at_once(events))
            self._finish()
        else:
            self._transport.write(_at_once(events).removesuffix(TAIL))

    def _step(self, left: int, gap: float, due: float, stop: str) -> None:
        """Send one event and arrange for the next: by the clock, so that lateness does not add up."""
        assert self._transport is not None
        self._timer = None
        if left:
            self._transport.write(text_chunk(stamp()))
            due += gap
            self._timer = asyncio.get_running_loop().call_at(due, self._step, left - 1, gap, due, stop)
        elif stop == "end":
            self._transport.write(TAIL)
            self._finish()

    def _finish(self) -> None:
        assert self._name is not None
        self._book.end(self._name, left=False)
        self._name = None


async def _main() -> None:
    book = Book()
    server = await asyncio.get_running_loop().create_server(lambda: Upstream(book), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main())
