"""One generation: a reader and a parser in the request's nursery, and a watch on the silence between them.

    [reader]  upstream bytes -> frames -> kiro events ──channel of batches──> [parser] -> generation events -> out

What need not wait goes all the way in one step, in whatever task it came (`Conduit`, `kiro/readiness.py`): the two
are woken for the rest alone.
The reader never lets an exception out: it sends the error down the channel, behind everything that was intact.
The watch never touches a read that shall go on; it looks at the time of the last one (TRIO_STACK, trap 13).
Leaving `generate`, for whatever reason, ends the reader, and that closes the upstream connection.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import TypeAlias

import trio
from attrs import field

from kirotrio.classes import define
from kirotrio.conversation.events import Accepted, Batch, Failed, Finish
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.errors import FirstTokenTimeoutError, KirotrioError, Recovery, StreamReadTimeoutError, UpstreamFailed
from kirotrio.kiro.client import Transport, UpstreamStream
from kirotrio.kiro.errors import from_response
from kirotrio.kiro.event_reader import EventReader
from kirotrio.kiro.event_types import KiroEvent
from kirotrio.relay.conduit import AtOnce, Conduit
from kirotrio.relay.estimate import Estimate, made_ready
from kirotrio.relay.pipeline import Pipeline
from kirotrio.relay.watch import Patience, Progress, Silence, watch
from kirotrio.telemetry.log import Log

EVENT_STREAM = "application/vnd.amazon.eventstream"

_FRAMES_AHEAD = 8
"""Batches that the reader may be ahead of the parser: enough to overlap, little to hold."""

_LARGEST_ERROR = 1024 * 1024
_ENDS = (Finish, Failed)


@define(eq=False)
class _Fed:
    """What the pipeline has already made of a batch."""

    batch: Batch


_Item: TypeAlias = list[KiroEvent] | _Fed | KirotrioError


@define(eq=False)
class Call:
    """The HTTP request of one generation."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=lambda body: f"<{len(body)} bytes>")
    account: str = ""
    """Whose call it is, for messages."""
    proxy_url: str | None = field(default=None, repr=False)
    """The account's own proxy; "" for none, None for the one of the settings."""
    size: int = field(init=False)
    """Bytes of the body, also when it is let go."""

    def __attrs_post_init__(self) -> None:
        self.size = len(self.body)

    def let_go(self) -> None:
        """It was sent, and is not held for as long as the answer takes: another attempt has a body of its own."""
        self.body = b""


Send: TypeAlias = Callable[[Batch], Awaitable[None]]
"""Where the generation events go."""
SendNow: TypeAlias = Callable[[Batch], bool]
"""The same without waiting; False where that cannot be."""


async def generate(
    nursery: trio.Nursery,
    silence: Silence,
    transport: Transport,
    call: Call,
    pipeline: Pipeline,
    estimate: Estimate,
    send: Send,
    progress: Progress,
    patience: Patience,
    log: Log,
    announce: bool = False,
    send_nowait: SendNow | None = None,
    estimator: TokenEstimator | None = None,
) -> Batch:
    """Run one generation: hand its events to `send`, and return the last batch of them, which ends with a `Finish`.

    `nursery`: the request's, where the reader runs beside the parser. `announce`: say `Accepted` as soon as the
    upstream's head tells that it will answer. `send_nowait`: the short way to where `send` leads. `estimator`: what the
    pipeline counts with, to be made ready beside the upstream's work where the answer may come near its limit.
    The upstream connection is closed by then. Raises KirotrioError where the generation fails; everything intact
    before the failure has been sent. Cancellation ends the reader, which closes the upstream connection; the nursery
    waits for that.
    """
    received: Conduit[_Item] = Conduit(_FRAMES_AHEAD)
    silence.follow(progress, patience)
    nursery.start_soon(_read, transport, call, received, progress, patience, log, announce)
    if estimator is not None and not estimator.ready and pipeline.limits.near:
        nursery.start_soon(made_ready, estimator)
    try:
        return await _parse(received, pipeline, estimate, send, send_nowait, progress, patience, estimator)
    finally:
        # Ahead of closing the channel, or a reader with a batch in its hands would break instead of end.
        try:
            if not progress.over:
                progress.over = True
                progress.reading.cancel()
                while await received.take():
                    pass  # it ends once the connection is closed
        finally:
            received.close()


async def generate_alone(
    transport: Transport, call: Call, pipeline: Pipeline, estimate: Estimate, send: Send, patience: Patience, log: Log
) -> Batch:
    """`generate` for whoever has no request: in a nursery of its own, with a watch of its own."""
    silence = Silence(patience.shortest, log)
    failure: KirotrioError | None = None
    last: Batch = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, [silence.look])
        try:
            last = await generate(
                nursery, silence, transport, call, pipeline, estimate, send, Progress(), patience, log
            )
        except KirotrioError as error:
            failure = error  # raised outside: the nursery would wrap it in a group
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return last


async def _parse(
    received: Conduit[_Item],
    pipeline: Pipeline,
    estimate: Estimate,
    send: Send,
    send_nowait: SendNow | None,
    progress: Progress,
    patience: Patience,
    estimator: TokenEstimator | None,
) -> Batch:
    """Everything up to the end; the batch with the end is returned. Raises what a `Failed` carries.

    What has come meanwhile is taken in one go: whoever is behind works in large batches.
    """
    if estimator is not None and estimator.ready:
        estimator = None
    at_once = _feeder(pipeline, send_nowait, estimator) if send_nowait is not None else None
    while items := await received.take(at_once if progress.emitted else None):
        following = _joined(items)
        for item in following:
            if isinstance(item, KirotrioError):
                raise item
            if isinstance(item, _Fed):
                batch = item.batch
            elif not item:
                await send([Accepted()])
                continue
            else:
                if progress.first_event_at is None:
                    await estimate.settle(pipeline.ledger)
                if estimator is not None and pipeline.limits.near:
                    # No text passes uncounted meanwhile, and the reader waits with the next.
                    await made_ready(estimator)
                batch = pipeline.feed(item)
                if not progress.began and pipeline.began:
                    progress.began = True
                    progress.first_event_at = trio.current_time()
            if batch:
                if isinstance(batch[-1], _ENDS):
                    return await _ending(batch, send, progress)
                progress.emitted = True
                await send(batch)
            if pipeline.met is not None:
                if _feed_all(following, pipeline):
                    await _run_out(received, pipeline, patience.tail)
                return await _concluded(pipeline, partial(pipeline.stop, pipeline.met))
    await estimate.settle(pipeline.ledger)
    return await _ending(await _concluded(pipeline, pipeline.end), send, progress)


async def _concluded(pipeline: Pipeline, end: Callable[[], Batch]) -> Batch:
    """The last batch, in which the output is counted: in a thread where that takes time, or a vocabulary.

    Cancellation abandons the thread; the pipeline is fed no more then, and what was said can still be counted.
    """
    if pipeline.ledger.ready():
        return end()
    return await trio.to_thread.run_sync(end, abandon_on_cancel=True)


def _feeder(pipeline: Pipeline, send_nowait: SendNow, estimator: TokenEstimator | None) -> AtOnce[_Item]:
    """What the parser does with a batch where nothing has to be waited for. `estimator`: not ready as yet."""
    feed, limits = pipeline.feed, pipeline.limits

    def at_once(item: _Item) -> _Item | None:
        if type(item) is not list or not item:
            return item
        if estimator is not None and limits.near and not estimator.ready:
            return item
        batch = feed(item)
        if limits.met is not None or (batch and (type(batch[-1]) in _ENDS or not send_nowait(batch))):
            return _Fed(batch)
        return None

    return at_once


def _joined(items: list[_Item]) -> Iterator[_Item]:
    """Events that follow each other come together."""
    if len(items) == 1:
        return iter(items)
    joined: list[_Item] = []
    for item in items:
        before = joined[-1] if joined else None
        if item and before and isinstance(item, list) and isinstance(before, list):
            before += item
        else:
            joined.append(item)
    return iter(joined)


def _feed_all(items: Iterator[_Item], pipeline: Pipeline) -> bool:
    """A limit is met: what has come is fed for the measured count. Whether more may come."""
    for item in items:
        if isinstance(item, KirotrioError):
            return False
        if isinstance(item, list):
            pipeline.feed(item)
    return True


async def _ending(batch: Batch, send: Send, progress: Progress) -> Batch:
    last = batch[-1]
    if isinstance(last, Failed):
        if len(batch) > 1:
            progress.emitted = True
            await send(batch[:-1])
        raise last.error
    return batch


async def _run_out(received: Conduit[_Item], pipeline: Pipeline, seconds: float) -> None:
    """Nothing more is shown. Read on for the measured count alone, and only for so long."""
    with trio.move_on_after(seconds):
        while items := await received.take():
            if not _feed_all(iter(items), pipeline):
                return


async def _read(
    transport: Transport,
    call: Call,
    received: Conduit[_Item],
    progress: Progress,
    patience: Patience,
    log: Log,
    announce: bool,
) -> None:
    """Upstream bytes to batches of kiro events; an error is the last item."""
    failure: KirotrioError | None = None
    try:
        with progress.reading:
            try:
                progress.reading_since = trio.current_time()
                async with transport.stream(
                    call.method, call.url, headers=call.headers, body=call.body, proxy_url=call.proxy_url
                ) as stream:
                    call.let_go()
                    progress.head = True
                    progress.head_at = trio.current_time()
                    progress.status = stream.status
                    await _read_stream(stream, received, progress, call, patience, announce)
            except KirotrioError as error:
                failure = error
            except Exception as error:
                log.error("reader failed", exc_info=error)
                failure = UpstreamFailed("the upstream's answer could not be read")
        if progress.over:
            return
        if progress.reading.cancelled_caught:
            failure = _silence_error(progress, patience)
        progress.reading_since = None
        if failure is not None:
            with contextlib.suppress(trio.BrokenResourceError):  # the parser was cancelled meanwhile
                await received.send(failure)
        progress.over = True
    finally:
        received.end()


async def _read_stream(
    stream: UpstreamStream,
    received: Conduit[_Item],
    progress: Progress,
    call: Call,
    patience: Patience,
    announce: bool,
) -> None:
    headers = stream.headers
    progress.upstream_request_id = request_id_of(headers)
    if stream.status != 200:
        # The status says what to do; a body that does not come is not waited for.
        body = b""
        with trio.move_on_after(patience.error_body):
            body = await stream.read(_LARGEST_ERROR)
        size, account = call.size, call.account
        raise from_response(stream.status, headers, body, now=time.time(), body_size=size, account=account)
    if not headers.get("content-type", "").startswith(EVENT_STREAM):
        # A 200 of another type is a proxy's page, not an answer (KIRO_PROTOCOL 1.3).
        kind = headers.get("content-type", "no content type")
        raise UpstreamFailed(f"the upstream answered with {kind} instead of an event stream")
    if announce:
        await received.send([])
    reader = EventReader()
    # The clock itself: trio.current_time looks for it each time.
    current_time = trio.lowlevel.current_clock().current_time

    def take_now(piece: bytes) -> bool:
        if received.closed or received.full:
            return False
        if events := reader.feed(piece):
            received.send_nowait(events)
        if reader.failure is not None:
            raise reader.failure
        progress.reading_since = current_time()
        return True

    while True:
        progress.reading_since = current_time()
        piece = await stream.receive(take_now)
        progress.reading_since = None
        if not piece:
            reader.close()
            return
        events = reader.feed(piece)
        # A checkpoint after each batch would be a switch for nothing: the next read is one. Where the parser is gone
        # this task has been cancelled, and finds out where it waits.
        if events and (received.closed or not received.send_nowait(events)):
            await received.send(events)
        if reader.failure is not None:
            raise reader.failure


def _silence_error(progress: Progress, patience: Patience) -> KirotrioError:
    if progress.first_event_at is None:
        # With a head the upstream has taken the work on: another attempt would be paid for twice.
        return FirstTokenTimeoutError(
            f"the upstream sent nothing within {patience.first_event:g} seconds",
            recovery=Recovery.NONE if progress.head else Recovery.RETRY,
        )
    return StreamReadTimeoutError(
        f"the upstream fell silent for {patience.silence:g} seconds in the middle of its answer"
    )


def request_id_of(headers: Mapping[str, str]) -> str:
    """The upstream's own id of a request, whatever it calls it (KIRO_PROTOCOL 1.3)."""
    for name in ("x-amzn-requestid", "x-amzn-request-id", "x-amz-request-id"):
        if value := headers.get(name):
            return value
    return ""
