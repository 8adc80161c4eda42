"""The flight recorder's way to the disk: what was recorded of a request is handed over and nobody waits for it.

A thread makes the document of it (redacted, masked) and keeps it. Where more comes than can be written, what comes last
is dropped and counted: a record less, and no answer later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, final

import trio

from kirotrio.classes import frozen
from kirotrio.telemetry.log import Log

_WAITING: Final = 64
_BYTES: Final = 64 * 1024 * 1024
_FLUSH: Final = 5.0

Keep = Callable[[str, float, bytes], bool]
"""Id, epoch seconds, content: whether it is kept. Blocking; raises OSError."""


@frozen
class Recorded:
    """One request that is over. `content` makes the document, in a thread; `size`: about how many bytes wait."""

    id: str
    at: float
    size: int
    content: Callable[[], bytes]


@final
class Recorder:
    """`put` may be called from anywhere on the event loop; `run` is the one task that writes."""

    def __init__(self, keep: Keep, log: Log) -> None:
        self._keep = keep
        self._log = log
        self._waiting: deque[Recorded] = deque()
        self._size = 0
        self._arrived = trio.Event()
        self._told = 0
        self.dropped = 0
        """Records that were lost."""

    def put(self, recorded: Recorded) -> None:
        """Hand it over. Never waits: where there is no room, it is dropped."""
        if len(self._waiting) >= _WAITING or self._size + recorded.size > _BYTES:
            self.dropped += 1
            return
        self._waiting.append(recorded)
        self._size += recorded.size
        self._arrived.set()

    async def run(self) -> None:
        """Write until cancelled; what waits then is written within five seconds, or lost and logged."""
        try:
            while True:
                await self._arrived.wait()
                await self._write()
        finally:
            with trio.move_on_after(_FLUSH, shield=True):
                await self._write()
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._tell()

    async def _write(self) -> None:
        while self._waiting:
            recorded = self._waiting[0]
            try:
                kept = await trio.to_thread.run_sync(self._write_one, recorded, abandon_on_cancel=True)
            except Exception as error:  # a disk that is full, or a fault of ours, must not end the recording
                self._log.error("a request was not recorded", request_id=recorded.id, error=repr(error))
                kept = True
            if not kept:
                told = "it is larger than all that may be kept (recorder.max_bytes)"
                self._log.warning("a request was not recorded", request_id=recorded.id, reason=told)
            self._waiting.popleft()
            self._size -= recorded.size
            self._tell()
        self._arrived = trio.Event()

    def _write_one(self, recorded: Recorded) -> bool:
        return self._keep(recorded.id, recorded.at, recorded.content())

    def _tell(self) -> None:
        if self.dropped > self._told:
            self._log.warning("requests were not recorded: too many came", dropped=self.dropped - self._told)
            self._told = self.dropped
