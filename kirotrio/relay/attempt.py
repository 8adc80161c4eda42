"""One generation: a reader and a parser in one nursery, and a watch on the silence between them.

    [reader]  upstream bytes -> frames -> kiro events ──channel of batches──> [parser] -> generation events -> out

The reader never lets an exception out: it sends the error down the channel, behind everything that was intact.
The watch never touches a read that shall go on; it looks at the time of the last one (TRIO_STACK, trap 13).
Leaving `generate`, for whatever reason, closes the upstream connection.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import trio
from attrs import define, field, frozen

from kirotrio.conversation.events import Accepted, Batch, Failed, Finish
from kirotrio.errors import FirstTokenTimeoutError, KirotrioError, Recovery, StreamReadTimeoutError, UpstreamFailed
from kirotrio.kiro.client import Transport, UpstreamStream
from kirotrio.kiro.errors import from_response
from kirotrio.kiro.event_reader import EventReader
from kirotrio.kiro.event_types import KiroEvent
from kirotrio.relay.estimate import Estimate
from kirotrio.relay.pipeline import Pipeline
from kirotrio.telemetry.log import Log

EVENT_STREAM = "application/vnd.amazon.eventstream"

_FRAMES_AHEAD = 8
"""Batches that the reader may be ahead of the parser: enough to overlap, little to hold."""

_LARGEST_ERROR = 1024 * 1024

_Item: TypeAlias = list[KiroEvent] | KirotrioError


@frozen
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


@frozen
class Patience:
    """Deadlines of one generation, in seconds.

    `tail`: how long to read on once a limit is met; 0: not at all. `error_body`: for the body of an error whose status
    is known. `notes`: silences that are logged.
    """

    first_event: float
    silence: float
    tail: float
    error_body: float = 5.0
    notes: tuple[float, ...] = (100.0, 200.0)


@define
class Progress:
    """How far one generation came; written by its tasks, read by whoever decides about another one."""

    head: bool = False
    """The upstream's response head has arrived."""
    began: bool = False
    """The upstream has begun to generate: from here on it is paid for."""
    emitted: bool = False
    """A generation event has left."""
    status: int = 0
    upstream_request_id: str = ""
    started_at: float = field(factory=trio.current_time)
    first_event_at: float | None = None
    reading_since: float | None = None
    """When the read that is waiting now began; None while nobody reads."""


Send: TypeAlias = Callable[[Batch], Awaitable[None]]
"""Where the generation events go."""


async def generate(
    transport: Transport,
    call: Call,
    pipeline: Pipeline,
    estimate: Estimate,
    send: Send,
    progress: Progress,
    patience: Patience,
    log: Log,
    announce: bool = False,
) -> Batch:
    """Run one generation: hand its events to `send`, and return the last batch of them, which ends with a `Finish`.

    `announce`: say `Accepted` as soon as the upstream's head tells that it will answer.
    The upstream connection is closed by then. Raises KirotrioError where the generation fails; everything intact
    before the failure has been sent. Cancellation closes the upstream connection.
    """
    failure: KirotrioError | None = None
    last: Batch = []
    async with trio.open_nursery() as nursery:
        sender, receiver = trio.open_memory_channel[_Item](_FRAMES_AHEAD)
        reading = trio.CancelScope()
        nursery.start_soon(_read, transport, call, sender, reading, progress, patience, log, announce)
        nursery.start_soon(_watch, reading, progress, patience, log)
        with receiver:
            try:
                last = await _parse(receiver, pipeline, estimate, send, progress, patience)
            except KirotrioError as error:
                failure = error  # raised outside: the nursery would wrap it in a group
            finally:
                # Ahead of closing the channel, or a reader with a batch in its hands would break instead of end.
                nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return last


async def _parse(
    receiver: trio.MemoryReceiveChannel[_Item],
    pipeline: Pipeline,
    estimate: Estimate,
    send: Send,
    progress: Progress,
    patience: Patience,
) -> Batch:
    """Everything up to the end; the batch with the end is returned. Raises what a `Failed` carries."""
    async for item in receiver:
        if isinstance(item, KirotrioError):
            raise item
        if not item:
            await send([Accepted()])
            continue
        await estimate.settle(pipeline.ledger)
        batch = pipeline.feed(item)
        if not progress.began and pipeline.began:
            progress.began = True
            progress.first_event_at = trio.current_time()
        if batch:
            if isinstance(batch[-1], Finish | Failed):
                return await _ending(batch, send, progress)
            progress.emitted = True
            await send(batch)
        if pipeline.met is not None:
            await _run_out(receiver, pipeline, patience.tail)
            return pipeline.stop(pipeline.met)
    await estimate.settle(pipeline.ledger)
    return await _ending(pipeline.end(), send, progress)


async def _ending(batch: Batch, send: Send, progress: Progress) -> Batch:
    last = batch[-1]
    if isinstance(last, Failed):
        if len(batch) > 1:
            progress.emitted = True
            await send(batch[:-1])
        raise last.error
    return batch


async def _run_out(receiver: trio.MemoryReceiveChannel[_Item], pipeline: Pipeline, seconds: float) -> None:
    """A limit is met: nothing more is shown. Read on for the measured count alone, and only for so long."""
    with trio.move_on_after(seconds):
        async for item in receiver:
            if isinstance(item, KirotrioError):
                return
            pipeline.feed(item)


async def _read(
    transport: Transport,
    call: Call,
    sender: trio.MemorySendChannel[_Item],
    reading: trio.CancelScope,
    progress: Progress,
    patience: Patience,
    log: Log,
    announce: bool,
) -> None:
    """Upstream bytes to batches of kiro events; an error is the last item."""
    with sender:
        failure: KirotrioError | None = None
        with reading:
            try:
                progress.reading_since = trio.current_time()
                async with transport.stream(
                    call.method, call.url, headers=call.headers, body=call.body, proxy_url=call.proxy_url
                ) as stream:
                    progress.head = True
                    progress.status = stream.status
                    await _read_stream(stream, sender, progress, call, patience, announce)
            except KirotrioError as error:
                failure = error
            except Exception as error:
                log.error("reader failed", exc_info=error)
                failure = UpstreamFailed("the upstream's answer could not be read")
        if reading.cancelled_caught:
            failure = _silence_error(progress, patience)
        progress.reading_since = None
        if failure is not None:
            await sender.send(failure)


async def _read_stream(
    stream: UpstreamStream,
    sender: trio.MemorySendChannel[_Item],
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
        size, account = len(call.body), call.account
        raise from_response(stream.status, headers, body, now=time.time(), body_size=size, account=account)
    if not headers.get("content-type", "").startswith(EVENT_STREAM):
        # A 200 of another type is a proxy's page, not an answer (KIRO_PROTOCOL 1.3).
        kind = headers.get("content-type", "no content type")
        raise UpstreamFailed(f"the upstream answered with {kind} instead of an event stream")
    if announce:
        await sender.send([])
    reader = EventReader()
    while True:
        progress.reading_since = trio.current_time()
        piece = await stream.receive()
        progress.reading_since = None
        if not piece:
            reader.close()
            return
        events = reader.feed(piece)
        if events:
            await sender.send(events)
        if reader.failure is not None:
            raise reader.failure


async def _watch(reading: trio.CancelScope, progress: Progress, patience: Patience, log: Log) -> None:
    """Ends the reading when the first event, or the next one, is overdue; notes long silences before that."""
    noted = 0
    soonest = min([*patience.notes, patience.silence])
    while True:
        now = trio.current_time()
        if progress.first_event_at is None:
            overdue = progress.started_at + patience.first_event
            if now >= overdue:
                break
            wake = min(overdue, now + soonest)
        elif progress.reading_since is None:
            noted = 0
            wake = now + soonest
        else:
            silent = now - progress.reading_since
            if silent >= patience.silence:
                break
            noted = 0 if not patience.notes or silent < patience.notes[0] else noted
            if noted < len(patience.notes) and silent >= patience.notes[noted]:
                log.warning(
                    "upstream is silent", seconds=round(silent), upstream_request_id=progress.upstream_request_id
                )
                noted += 1
            following = [note for note in patience.notes if note > silent]
            # Never longer than to the first note, which may be due for a silence that has not begun yet.
            wake = min(progress.reading_since + min([*following, patience.silence]), now + soonest)
        await trio.sleep_until(wake)
    reading.cancel()


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
