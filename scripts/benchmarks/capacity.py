"""S2w: how many of S2p's streams one process carries, and how many two do, on two processors that the load shares.

Carried means: at the median an event arrives before the next one of its stream is sent. So a read seldom has two
events, and the figure is of the same work however many streams there are; a gateway that is asked for more than it can
do falls behind further and further, takes several events at a time, and looks cheaper than it is. How late the latest
are is left to the scheduler, which has more programs than processors here. The number is found by bisection.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Any, Protocol

from benchmarks.processes import GatewayCommand, Load, Program, cpu_seconds, move

GAP_MS = 25
_STEPS = 5
_QUICK_STEPS = 2
_LOOKS = 2
_PER_STREAM_MS = 5
"""What opening a stream may take; none goes on with its events before all are open."""
_SAMPLE = 8


class Bench(Protocol):
    """What this needs of the stand."""

    quick: bool
    measured: int
    others: int
    upstream: Program
    load: Load
    gateway: GatewayCommand

    def held(self, target: Program, order: dict[str, Any]) -> AbstractContextManager[dict[str, Any]]: ...
    def look(self, seconds: float) -> dict[str, Any]: ...


def scaling(bench: Bench) -> dict[str, float]:
    """Streams that one worker and two carry, their ratio, and what the load and the upstream take of the processors."""
    both = {bench.measured, bench.others}
    beside = (bench.upstream.pid, bench.load.process.pid)
    for pid in beside:
        move([pid], both)
    try:
        guess = 160.0
        carried, around = [], 0.0
        for workers in (1, 2):
            target = bench.gateway.start(bench.upstream.port, "--workers", str(workers), cpus=both)
            try:
                most, around = _most(bench, target, guess * 0.5, guess * 2.2)
            finally:
                target.stop()
            carried.append(most)
            guess = most
        return {"1 worker": carried[0], "2 workers": carried[1], "ratio": carried[1] / carried[0], "beside": around}
    finally:
        for pid in beside:
            move([pid], {bench.others})


def _most(bench: Bench, target: Program, least: float, most: float) -> tuple[float, float]:
    """The most streams it carries, between these two, and CPU µs an event of the load and the upstream then."""
    around = 0.0
    while not (carries := _carries(bench, target, round(least)))[0] and least > 4:
        most, least = least, least / 2
    around = carries[1]
    for _ in range(_QUICK_STEPS if bench.quick else _STEPS):
        middle = (least * most) ** 0.5
        carried, spent = _carries(bench, target, round(middle))
        if carried:
            least, around = middle, spent
        else:
            most = middle
    return least, around


def _carries(bench: Bench, target: Program, streams: int) -> tuple[bool, float]:
    wait_ms = 300 + streams * _PER_STREAM_MS
    order = {
        "api": "messages",
        "connections": streams,
        "answer": f"events=1000000 gap_ms={GAP_MS} wait_ms={wait_ms}",
        "timed": True,
        "sample": _SAMPLE,
        "ramp": 0.1,
    }
    with bench.held(target, order) as opened:
        if opened["begun"] < streams:
            return False, 0.0
        time.sleep(wait_ms / 1000 + 0.2)  # the streams settle at their new number
        for _ in range(_LOOKS):
            before = _beside(bench)
            seen = bench.look(0.7)
            spent = (_beside(bench) - before) * 1e6 / max(1, seen["pieces"])
            if seen["late_p50"] <= GAP_MS and not seen["failures"] and seen["pieces"]:
                return True, spent
        return False, 0.0


def _beside(bench: Bench) -> float:
    return cpu_seconds(bench.upstream.pid) + cpu_seconds(bench.load.process.pid)
