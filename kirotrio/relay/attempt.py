"""One generation: a reader and a parser in the request's nursery, and a watch on the silence between them.

    [reader]  upstream bytes -> frames -> kiro events ──channel of batches──> [parser] -> generation events -> out

The reader never lets an exception out: it sends the error down the channel, behind everything that was intact.
The watch never touches a read that shall go on; it looks at the time of the last one (TRIO_STACK, trap 13).
Leaving `generate`, for whatever reason, ends the reader, and that closes the upstream connection.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import trio
from attrs import field, frozen

from kirotrio.conversation.events import Accepted, Batch, Failed, Finish
from kirotrio.errors import FirstTokenTimeoutError, KirotrioError, Recovery, StreamReadTimeoutError, UpstreamFailed
from kirotrio.kiro.client import Transport, UpstreamStream
from kirotrio.kiro.errors import from_response
from kirotrio.kiro.event_reader import EventReader
from kirotrio.kiro.event_types import KiroEvent
from kirotrio.relay.estimate import Estimate
from kirotrio.relay.pipeline import Pipeline
from kirotrio.relay.watch import Patience, Progress, Silence, watch
from kirotrio.telemetry.log import Log

EVENT_STREAM = "application/vnd.amazon.eventstream"

_FRAMES_AHEAD = 8
"""Batches that the reader may be ahead of the parser: enough to overlap, little to hold."""

_LARGEST_ERROR = 1024 * 1024

_Item: TypeAlias = list[KiroEvent] | KirotrioError
_Channel: TypeAlias = tuple[trio.MemorySendChannel[_Item], trio.MemoryReceiveChannel[_Item]]
"""Said here and not in the brackets of `open_memory_channel`, which take longer than it does to open one."""


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


Send: TypeAlias = Callable[[Batch], Awaitable[None]]
"""Where the generation events go."""


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
) -> Batch:
    """Run one generation: hand its events to `send`, and return the last batch of them, which ends with a `Finish`.

    `nursery`: the request's, where the reader runs beside the parser. `announce`: say `Accepted` as soon as the
    upstream's head tells that it will answer.
    The upstream connection is closed by then. Raises KirotrioError where the generation fails; everything intact
    before the failure has been sent. Cancellation ends the reader, which closes the upstream connection; the nursery
    waits for that.
    """
    channel: _Channel = trio.open_memory_channel(_FRAMES_AHEAD)
    sender, receiver = channel
    silence.follow(progress, patience)
    nursery.start_soon(_read, transport, call, sender, progress, patience, log, announce)
    with receiver:
        try:
            return await _parse(receiver, pipeline, estimate, send, progress, patience)
        finally:
            # Ahead of closing the channel, or a reader with a batch in its hands would break instead of end.
            if not progress.over:
                progress.over = True
                progress.reading.cancel()
                async for _ in receiver:
                    pass  # it ends once the connection is closed


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
    receiver: trio.MemoryReceiveChannel[_Item],
    pipeline: Pipeline,
    estimate: Estimate,
    send: Send,
    progress: Progress,
    patience: Patience,
) -> Batch:
    """Everything up to the end; the batch with the end is returned. Raises what a `Failed` carries.

    What has come meanwhile is taken in one go: whoever is behind works in large batches.
    """
    following: _Item | None = None
    async for item in receiver:
        if isinstance(item, KirotrioError):
            raise item
        if not item:
            await send([Accepted()])
            continue
        with contextlib.suppress(trio.WouldBlock, trio.EndOfChannel):
            while isinstance(following := receiver.receive_nowait(), list):
                item += following
        if progress.first_event_at is None:
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
            if not isinstance(following, KirotrioError):
                await _run_out(receiver, pipeline, patience.tail)
            return pipeline.stop(pipeline.met)
        if isinstance(following, KirotrioError):
            raise following
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
    progress: Progress,
    patience: Patience,
    log: Log,
    announce: bool,
) -> None:
    """Upstream bytes to batches of kiro events; an error is the last item."""
    with sender:
        failure: KirotrioError | None = None
        with progress.reading:
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
        if progress.over:
            return
        if progress.reading.cancelled_caught:
            failure = _silence_error(progress, patience)
        progress.reading_since = None
        if failure is not None:
            with contextlib.suppress(trio.BrokenResourceError):  # the parser was cancelled meanwhile
                await sender.send(failure)
        progress.over = True


async def _pass(sender: trio.MemorySendChannel[_Item], item: _Item) -> None:
    """Hand it on; wait only where the parser is behind (a checkpoint after each batch would be a switch for nothing:
    the next read is one). Where the parser is gone this has been cancelled, and finds out here."""
    try:
        sender.send_nowait(item)
    except (trio.WouldBlock, trio.BrokenResourceError):
        await sender.send(item)


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
        await _pass(sender, [])
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
            await _pass(sender, events)
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
