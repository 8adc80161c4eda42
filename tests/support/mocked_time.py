"""A wall clock that goes with Trio's mock clock, and work of threads done in place: such a clock would run away."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from support.sign_in_service import wall_clock


@contextmanager
def mocked_time(seed: int) -> Iterator[None]:
    """The wall clock goes with Trio's, threads are done without, and chance is the same every time."""
    real = time.time

    def now() -> float:
        return wall_clock() if trio.lowlevel.in_trio_run() else real()

    async def in_place(work: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        result = work(*arguments)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return result

    before, trio_before = random.getstate(), trio._core._run._r.getstate()
    random.seed(seed)
    trio._core._run._r.seed(seed)  # Trio runs its tasks in an order of chance
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
            patch.setattr(time, "time", now)
            patch.setattr(trio.to_thread, "run_sync", in_place)
            yield
    finally:
        random.setstate(before)
        trio._core._run._r.setstate(trio_before)
