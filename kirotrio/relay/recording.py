"""What is recorded of one request while it runs: nothing is changed, waited for or looked into here.

A `Sheet` stands beside one answer. It listens on the transport and on the sink, keeps the beginning of everything up to
a bound and counts the rest. What may be kept of it is decided later, in a thread (`relay.recorded`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, cast

import trio
from attrs import field

from kirotrio.classes import define
from kirotrio.kiro.client import Transport, UpstreamStream
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.relay.ports import PromptSink, Sink
from kirotrio.store.request_record import RequestRecord


@define(eq=False)
class Kept:
    """The beginning of some bytes, in the pieces in which they came, and how many there were. `at` has the seconds at
    which each piece came."""

    most: int
    pieces: list[bytes] = field(factory=list)
    at: list[float] = field(factory=list)
    size: int = 0
    held: int = 0

    def add(self, piece: bytes, now: float) -> None:
        self.size += len(piece)
        if self.held < self.most:
            piece = bytes(piece[: self.most - self.held])
            self.held += len(piece)
            self.pieces.append(piece)
            self.at.append(now)

    @property
    def cut(self) -> bool:
        return self.held < self.size


@define(eq=False)
class Exchange:
    """One call to the upstream. `end`: "" where its answer was read to its end, "left" where nobody wanted more of it,
    else the error that ended it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Kept
    answer: Kept
    began_at: float
    streams: bool
    status: int = 0
    answer_headers: Mapping[str, str] = field(factory=dict)
    end: str | BaseException = "left"
    ended_at: float | None = None


@define(eq=False)
class Sheet:
    """One request. Times are Trio's. `most`: bytes that are kept of each part."""

    id: str
    at: float
    """Epoch seconds."""
    began_at: float
    most: int
    method: str
    path: str
    query: str
    fields: Sequence[tuple[str, str]]
    body: Kept
    secrets: Sequence[str] = ()
    """What the caller sent that must not be kept."""
    exchanges: list[Exchange] = field(factory=list)
    status: int = 0
    headers: Mapping[str, str] = field(factory=dict)
    sent: Kept = field()
    names: Mapping[str, Any] = field(factory=dict)
    """What the answer is called, which is drawn by lot."""
    record: RequestRecord | None = None
    told: Mapping[str, Any] = field(factory=dict)
    """What else a replay has to know."""

    @sent.default
    def _nothing_sent(self) -> Kept:
        return Kept(self.most)

    @property
    def size(self) -> int:
        """Bytes that are held."""
        parts = [self.body, self.sent]
        for exchange in self.exchanges:
            parts += [exchange.body, exchange.answer]
        return sum(part.held for part in parts)


class ListeningTransport:
    """A `Transport` for one request, whose calls are put on its sheet."""

    def __init__(self, inner: Transport, sheet: Sheet) -> None:
        self._inner = inner
        self._sheet = sheet

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        proxy_url: str | None = None,
    ) -> AbstractAsyncContextManager[ListeningStream]:
        exchange = self._begin(method, url, headers, body, streams=True)
        inner = self._inner.stream(method, url, headers=headers, body=body, proxy_url=proxy_url)
        return ListeningStream(inner, exchange)

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float,
        proxy_url: str | None = None,
    ) -> HttpAnswer:
        exchange = self._begin(method, url, headers or {}, body, streams=False)
        try:
            answer = await self._inner.call(
                method, url, headers=headers, body=body, deadline=deadline, proxy_url=proxy_url
            )
        except Exception as error:
            exchange.end = error
            raise
        finally:
            exchange.ended_at = trio.current_time()
        exchange.status, exchange.answer_headers, exchange.end = answer.status, answer.headers, ""
        exchange.answer.add(answer.body, trio.current_time())
        return answer

    def _begin(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, streams: bool
    ) -> Exchange:
        most, now = self._sheet.most, trio.current_time()
        asked = Kept(most)
        asked.add(body or b"", now)
        exchange = Exchange(method, url, dict(headers), asked, Kept(most), now, streams)
        self._sheet.exchanges.append(exchange)
        return exchange

    def __getattr__(self, name: str) -> Any:
        """All else is the transport's own."""
        return getattr(self._inner, name)


class ListeningStream:
    """An `UpstreamStream` whose bytes are kept as they pass."""

    def __init__(self, inner: UpstreamStream, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    async def __aenter__(self) -> ListeningStream:
        exchange = self._exchange
        try:
            stream = await self._inner.__aenter__()
        except Exception as error:
            exchange.end, exchange.ended_at = error, trio.current_time()
            raise
        self.status, self.headers = exchange.status, exchange.answer_headers = stream.status, stream.headers
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._exchange.ended_at is None:
            self._exchange.ended_at = trio.current_time()
        await self._inner.__aexit__(kind, error, trace)

    async def receive(self, take_now: Callable[[bytes], bool] | None = None) -> bytes:
        answer = self._exchange.answer
        listening: Callable[[bytes], bool] | None = None
        if take_now is not None:
            taker = take_now

            def listening(piece: bytes) -> bool:
                held = answer.size, answer.held, len(answer.pieces)
                answer.add(piece, trio.current_time())  # ahead of it: what it raises is about this piece
                if taker(piece):
                    return True
                answer.size, answer.held = held[:2]
                del answer.pieces[held[2] :], answer.at[held[2] :]
                return False

        try:
            piece = await self._inner.receive(listening)
        except Exception as error:
            self._exchange.end = error
            raise
        if piece:
            answer.add(piece, trio.current_time())
        else:
            self._exchange.end = ""
        return piece

    async def read(self, ceiling: int) -> bytes:
        try:
            body = await self._inner.read(ceiling)
        except Exception as error:
            self._exchange.end = error
            raise
        self._exchange.answer.add(body, trio.current_time())
        self._exchange.end = ""
        return body


class ListeningSink:
    """A `Sink` whose bytes are kept as they pass."""

    def __init__(self, inner: Sink, sheet: Sheet) -> None:
        self._inner = inner
        self._sheet = sheet
        if getattr(inner, "write_now", None) is not None:
            self.write_now = self._write_now
            self.write_rest = cast(PromptSink, inner).write_rest

    async def start(self, status: int, headers: Mapping[str, str], cookies: Sequence[str] = ()) -> None:
        self._sheet.status, self._sheet.headers = status, dict(headers)
        await self._inner.start(status, headers, cookies)

    async def write(self, piece: bytes) -> None:
        self._sheet.sent.add(piece, trio.current_time())
        await self._inner.write(piece)

    async def finish(self, piece: bytes) -> None:
        self._sheet.sent.add(piece, trio.current_time())
        await self._inner.finish(piece)

    def _write_now(self, piece: bytes) -> bytes:
        self._sheet.sent.add(piece, trio.current_time())
        return cast(PromptSink, self._inner).write_now(piece)
