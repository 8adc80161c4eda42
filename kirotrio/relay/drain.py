"""How an answer leaves: live, as it comes, or held back until it is whole.

Both drains take the same batches from the same channel. A held answer is a spool: nothing of it has been sent, so a
restart empties it, and what a client is shown at its head can be the measured count.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias, cast

import trio
from attrs import field

from kirotrio.classes import define
from kirotrio.conversation.events import (
    Accepted,
    Batch,
    Failed,
    Finish,
    KeepAlive,
    Usage,
)
from kirotrio.errors import KirotrioError, TooLarge
from kirotrio.relay.conduit import AtOnce, Conduit
from kirotrio.relay.estimate import Estimate
from kirotrio.relay.ports import Dialect, PromptSink, Sink, StreamEncoder
from kirotrio.relay.spools import STREAM_HEADERS, Spool
from kirotrio.telemetry.metrics import GAP, Histogram


class Restart(enum.Enum):
    """In the channel: what came so far is void, another attempt begins."""

    RESTART = enum.auto()


@define(eq=False)
class Unsent:
    """What the system did not take of a piece that was written at once."""

    data: bytes


Item: TypeAlias = Batch | Restart | Unsent

_SIGNS_OF_LIFE: Final = (KeepAlive, Accepted)
_APART: Final = frozenset({KeepAlive, Accepted, Finish, Failed})
"""Events that the drain looks at."""


@define
class Outgoing:
    """The client's side of one answer: at most one head, then pieces, then one last piece."""

    sink: Sink
    dialect: Dialect
    identity: Callable[[], Mapping[str, str]]
    """Headers that name the request, as far as they are known."""
    last_sent: float = field(factory=trio.current_time)
    first_sent: float | None = None
    """When the first piece had left."""
    head_sent: bool = False
    end: Finish | Failed | None = None
    status: int | None = None
    """Of the answer's head, once that was sent."""
    gaps: Histogram = field(factory=partial(Histogram, GAP))
    """Seconds from one piece to the next, signs of life among them, as the client gets them: of all answers."""
    failing: Callable[[KirotrioError], bytes] = field()
    """Writes an error into a body that has begun, at the point where it stands."""

    @failing.default
    def _before_anything(self) -> Callable[[KirotrioError], bytes]:
        dialect = self.dialect  # and not all of this, which holds it
        return lambda error: dialect.stream().failure(error)

    async def head(self, headers: Mapping[str, str]) -> None:
        if not self.head_sent:
            self.head_sent = True
            self.status = 200
            await self.sink.start(200, {**headers, **self.identity()})

    async def write(self, piece: bytes) -> None:
        if piece:
            await self.sink.write(piece)
            self._left()

    def writer(self, encode: Callable[[Batch], bytes]) -> AtOnce[Item] | None:
        """Writes what needs no look at it, without waiting; None where the sink cannot."""
        # Asked by name: an `isinstance` of a protocol looks at every member that it has, 15 µs a request.
        write_now: Callable[[bytes], bytes] | None = getattr(self.sink, "write_now", None)
        if write_now is None:
            return None
        current_time = trio.lowlevel.current_clock().current_time
        gaps = self.gaps
        bounds, counts = gaps.bounds, gaps.counts

        def at_once(item: Item) -> Item | None:
            if type(item) is not list or type(item[-1]) in _APART:
                return item
            piece = encode(item)
            if piece:
                unsent = write_now(piece)
                if unsent:
                    return Unsent(unsent)
                # `_left` by hand, since this is for each event: the first piece left before.
                now = current_time()
                gap = now - self.last_sent
                counts[bisect_left(bounds, gap)] += 1
                gaps.sum += gap
                self.last_sent = now
            return None

        return at_once

    async def rest(self, unsent: Unsent) -> None:
        await cast("PromptSink", self.sink).write_rest(unsent.data)
        self._left()

    async def last(self, end: Finish | Failed, piece: bytes) -> None:
        self.end = end
        await self.sink.finish(piece)
        self._left()

    def _left(self) -> None:
        """A piece has left."""
        now = trio.current_time()
        if self.first_sent is None:
            self.first_sent = now
        else:
            self.gaps.add(now - self.last_sent)
        self.last_sent = now

    async def fail(self, failed: Failed) -> None:
        """An HTTP error while the status is still open, else the dialect's error inside the body."""
        if self.head_sent:
            await self.last(failed, self.failing(failed.error))
            return
        self.head_sent = True
        refusal = self.dialect.refusal(failed.error)
        self.status = refusal.status
        await self.sink.start(refusal.status, {**refusal.headers, **self.identity()})
        await self.last(failed, refusal.body)


async def drain_live(batches: Conduit[Item], outgoing: Outgoing, estimate: Estimate) -> None:
    """Send every batch as it comes; returns once the last one is out."""
    encoder: StreamEncoder | None = None
    at_once: AtOnce[Item] | None = None
    while items := await batches.take(at_once):
        for item in items if len(items) == 1 else _joined(items):
            if isinstance(item, Unsent):
                await outgoing.rest(item)
                continue
            if isinstance(item, Restart):
                continue
            last = item[-1]
            piece = b""
            if encoder is None:
                if isinstance(last, Failed) and len(item) == 1:
                    await outgoing.fail(last)
                    return
                encoder = outgoing.dialect.stream()
                outgoing.failing = encoder.failure
                tokens = await estimate.get()
                await outgoing.head(STREAM_HEADERS)
                piece = encoder.start(Usage(input_tokens=tokens))
                at_once = outgoing.writer(encoder.encode)
            if isinstance(last, KeepAlive):
                await outgoing.write(piece + encoder.keep_alive())
            elif isinstance(last, Failed):
                await outgoing.last(last, piece + encoder.encode(item[:-1]) + encoder.failure(last.error))
                return
            elif isinstance(last, Finish):
                await outgoing.last(last, piece + encoder.encode(item))
                return
            else:
                await outgoing.write(piece + encoder.encode(item))


def _joined(items: list[Item]) -> list[Batch | Unsent]:
    """What follows each other leaves together, signs of life by themselves. Restarts are passed over: only signs of
    life have left by then, and the message goes on as it began."""
    joined: list[Batch | Unsent] = []
    for item in items:
        if isinstance(item, Restart):
            continue
        before = joined[-1] if joined else None
        if (
            isinstance(item, Unsent)
            or not isinstance(before, list)
            or isinstance(item[-1], _SIGNS_OF_LIFE)
            or isinstance(before[-1], _SIGNS_OF_LIFE)
        ):
            joined.append(item)
        else:
            joined[-1] = [*before, *item]
    return joined


async def drain_held(batches: Conduit[Item], outgoing: Outgoing, spool: Spool, ceiling: int) -> None:
    """Hold everything but signs of life until the answer is whole, then send it in one piece.

    Beyond `ceiling` bytes the answer ends as an error.
    """
    outgoing.failing = spool.failure
    while items := await batches.take():
        for batch in items:
            if await _held(batch, outgoing, spool, ceiling):
                return


async def _held(batch: Item, outgoing: Outgoing, spool: Spool, ceiling: int) -> bool:
    """Put it with the rest; whether it was the end, which is sent."""
    if not isinstance(batch, list):
        spool.restart()
        return False
    last = batch[-1]
    if isinstance(last, _SIGNS_OF_LIFE):
        if isinstance(last, KeepAlive) or outgoing.dialect.eager:
            await outgoing.head(spool.headers)
            await outgoing.write(spool.begin() if isinstance(last, Accepted) else spool.keep_alive())
        return False
    if isinstance(last, Failed):
        await outgoing.fail(last)
        return True
    spool.add(batch)
    if spool.size > ceiling:
        full = TooLarge(
            f"the answer is larger than the {ceiling} bytes that the buffered mode holds (relay.spool); "
            "ask for a shorter one, or use the live mode"
        )
        await outgoing.fail(Failed(full))
        return True
    if isinstance(last, Finish):
        headers, piece = spool.whole(last)
        await outgoing.head({**spool.headers, **headers, "x-kirotrio-usage": usage_kind(last.usage)})
        await outgoing.last(last, piece)
        return True
    return False


def usage_kind(usage: Usage) -> str:
    return "measured" if usage.measured else "estimate"
