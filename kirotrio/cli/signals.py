"""Ctrl-C while a verb is still starting.

Importing a server takes half a second. An interrupt in that time would be raised wherever the interpreter happens to
be, and there are places (an import's own callbacks) where it only prints a line and is forgotten, with the server
running on. So it is noted, and counts once there is somebody to obey it.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self, final


@final
class EarlySignals:
    """A context in which SIGINT and SIGTERM are counted in `count`. The second one is a KeyboardInterrupt at once.

    Enter it in the main thread. What replaces these handlers for a time has to put them back.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _: int, __: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            raise KeyboardInterrupt
