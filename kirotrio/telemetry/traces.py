"""Traces of requests for an OpenTelemetry collector, over OTLP/HTTP; off unless an endpoint is set.

A request hands over one value when it is over, and never waits. One task takes what is there, has it encoded and sent
in a worker thread, and drops the oldest where the collector is away for too long. Nothing of this is loaded before,
and no OTEL_ variable is read: the configuration is `telemetry.*`.
"""

from __future__ import annotations

import random
import re
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, final

import trio
from attrs import field

from kirotrio.classes import frozen
from kirotrio.config.settings import TelemetrySettings
from kirotrio.telemetry.log import Log

BATCH: Final = 100
"""Requests that are sent at one time."""
_LONGEST_PAUSE: Final = 60.0

Value: TypeAlias = str | int | float | bool | Sequence[str] | None
"""Of an attribute; None and "" are left out."""


@frozen(kw_only=True)
class Span:
    """A part of a request. Times are epoch seconds. `error`: what kind of failure it ended in, "" for none; `calls`:
    it asks another service."""

    name: str
    began_at: float
    ended_at: float
    attributes: Mapping[str, Value] = field(factory=dict)
    error: str = ""
    calls: bool = False


@frozen(kw_only=True)
class Trace:
    """A request: its own span, and those of its parts. `parent`: the client's traceparent."""

    root: Span
    parts: Sequence[Span] = ()
    trace_id: str
    parent_id: str = ""


_PARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


@frozen
class Place:
    """A place in a trace: 32 and 16 hexadecimal digits, and whether what happens there is to be traced."""

    trace_id: str
    span_id: str
    sampled: bool


def place_of(traceparent: str) -> Place | None:
    """What a client's `traceparent` says (W3C Trace Context); None where it says nothing that can be read."""
    match = _PARENT.fullmatch(traceparent.strip(" \t")[:200])
    if match is None or set(match[1]) == {"0"} or set(match[2]) == {"0"}:
        return None
    if traceparent.strip().startswith("00") and len(traceparent.strip()) != 55:
        return None
    return Place(match[1], match[2], bool(int(match[3], 16) & 1))


class Refused(Exception):
    """The collector does not take this batch. `again`: it may later."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


Send: TypeAlias = Callable[[Sequence[Trace]], None]
"""Encodes and sends a batch; blocks, raises Refused."""


@final
class Traces:
    """`put` may be called from anywhere on the event loop; `run` is the one task that sends."""

    def __init__(self, settings: TelemetrySettings, send: Send, log: Log) -> None:
        self._settings = settings
        self._send = send
        self._log = log
        self._waiting: deque[Trace] = deque(maxlen=settings.max_traces)
        self._arrived = trio.Event()
        self.dropped = 0
        """Traces that were lost."""

    def wanted(self, traceparent: str) -> tuple[str, str] | None:
        """The trace that a request belongs to, and the span above it; None where it is not to be traced: the client
        decides, if it says anything, else the share that is sampled."""
        place = place_of(traceparent) if traceparent else None
        if place is not None:
            return (place.trace_id, place.span_id) if place.sampled else None
        if 100 * random.random() >= self._settings.otlp_sample:  # noqa: S311 - a share of the requests, no secret
            return None
        return secrets.token_hex(16), ""

    def put(self, trace: Trace) -> None:
        """Hand it over. Never waits: where there is no room, the oldest is dropped."""
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(trace)
        self._arrived.set()

    async def run(self) -> None:
        """Send until cancelled; what waits then is sent within the deadline of one call, or lost."""
        pause = 0.0
        try:
            while True:
                await self._arrived.wait()
                await trio.sleep(max(self._settings.otlp_every, pause))
                try:
                    while self._waiting:
                        await self._send_some()
                except Refused as error:
                    pause = min(max(2 * pause, 1.0), _LONGEST_PAUSE)
                    self._log.warning("traces wait", error=str(error), waiting=len(self._waiting), seconds=pause)
                else:
                    pause = 0.0
                    self._arrived = trio.Event()
        finally:
            with trio.move_on_after(self._settings.otlp_deadline, shield=True):
                try:
                    while self._waiting:
                        await self._send_some()
                except Refused as error:
                    self._log.warning("traces are lost", error=str(error), waiting=len(self._waiting))
            self.dropped += len(self._waiting)
            self._waiting.clear()

    async def _send_some(self) -> None:
        """The oldest that wait. Raises Refused where they may be sent later; what is never taken is dropped."""
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        sent = False
        try:
            await trio.to_thread.run_sync(self._send, batch, abandon_on_cancel=True)
            sent = True
        except Refused as error:
            if error.again:
                raise
            sent = True
            self.dropped += len(batch)
            self._log.warning("traces were not taken", error=str(error), dropped=len(batch))
        finally:
            if not sent:
                room = (self._waiting.maxlen or 0) - len(self._waiting)
                self.dropped += max(len(batch) - room, 0)
                self._waiting.extendleft(reversed(batch[max(len(batch) - room, 0) :]))
