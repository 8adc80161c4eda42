"""S2w: how many of S2p's streams one process carries, and how many two do, on two processors that the load shares.

Carried means: nine of ten events still come as a read of their own, which is what makes them S2p's. A gateway that is
asked for more than it can do falls behind, takes several events at a time, and looks cheaper than it is: it then
delivers as many events as before at a tenth of the cost each, so that their number tells nothing. Nor do the latest of
them: there are more programs than processors here, so the 99th percentile is the scheduler's, and tells a pause of any
program as readily as one stream too many. It is told beside the number, as is the median.

A pause of the whole machine lets events come together too, but it passes, while a gateway that is asked for too much
never catches up: so a number is carried where one look in several says so. It is found by asking for more and more, and
then by bisection. There is an upstream on each processor, so that whatever is measured has half of it beside it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from attrs import frozen

from benchmarks.processes import GatewayCommand, Load, Program, cpu_seconds, move, start_upstream
from benchmarks.scenarios import GAP_MS

ALONE = 0.9
"""The share of events that come as a read of their own at least."""
_FIRST = 240.0
"""Streams that are asked of one worker at first; of two, what one has carried and some more."""
_MORE = 1.4
_MOST = 3000.0
_CLOSE = 1.1
"""How close the bisection comes to the number: the last that was carried, and the first that was not, as a ratio."""
_LOOKS, _LOOK = 5, 0.6
"""How often a number is looked at before it is given up, and for how many seconds."""
_PER_STREAM_MS = 3
"""What opening a stream may take; none goes on with its events before all are open."""
_SAMPLE = 24
_FEWEST = 5


class Bench(Protocol):
    """What this needs of the stand."""

    measured: int
    others: int
    upstream: Program
    load: Load
    gateway: GatewayCommand

    def warm_up(self, target: Program) -> None: ...
    def held(self, target: Program, order: dict[str, Any]) -> AbstractContextManager[dict[str, Any]]: ...
    def look(self, seconds: float) -> dict[str, Any]: ...


@frozen
class Carried:
    """So many streams, how late their events were (ms; the median, and all but one in a hundred), what is beside them.

    `beside`: CPU µs an event of the load and the upstream.
    """

    streams: float
    late_p50: float = 0.0
    late_p99: float = 0.0
    beside: float = 0.0


def scaling(bench: Bench) -> dict[str, float]:
    """Streams that one worker and two carry, their ratio, how late they were, and what load and upstream took."""
    second = start_upstream(bench.measured, bench.upstream.port)
    beside = (bench.upstream.pid, second.pid, bench.load.process.pid)
    move([bench.load.process.pid], {bench.measured, bench.others})
    try:
        one = _carried(bench, 1, beside, _FIRST)
        two = _carried(bench, 2, beside, one.streams * _MORE)
    finally:
        move([bench.load.process.pid], {bench.others})
        second.stop()
    return {
        "1 worker": one.streams,
        "2 workers": two.streams,
        "ratio": two.streams / one.streams,
        "1 worker late p50": one.late_p50,
        "2 workers late p50": two.late_p50,
        "1 worker late p99": one.late_p99,
        "2 workers late p99": two.late_p99,
        "beside": two.beside,
    }


def _carried(bench: Bench, workers: int, beside: Sequence[int], first: float) -> Carried:
    cpus = {bench.measured, bench.others}
    target = bench.gateway.start(bench.upstream.port, "--workers", str(workers), cpus=cpus)
    try:
        bench.warm_up(target)
        return most_carried(lambda streams: _carries(bench, target, streams, beside), first, _CLOSE)
    finally:
        target.stop()


def most_carried(carries: Callable[[int], Carried | None], first: float, close: float) -> Carried:
    """The most streams that are carried, looked for from `first` on upwards or downwards.

    Raises RuntimeError where not even a few are, or where no number is too large.
    """
    least, most = first, math.inf
    while (found := carries(round(least))) is None:
        most, least = least, least / _MORE
        if least < _FEWEST:
            raise RuntimeError(f"not even {round(most)} streams are carried")
    while most == math.inf:
        if (carried := carries(round(least * _MORE))) is None:
            most = least * _MORE
        else:
            least, found = least * _MORE, carried
        if least > _MOST:
            raise RuntimeError(f"{round(least)} streams are carried, and nobody knows how many more")
    while most / least > close:
        middle = (least * most) ** 0.5
        if (carried := carries(round(middle))) is None:
            most = middle
        else:
            least, found = middle, carried
    return found


def _carries(bench: Bench, target: Program, streams: int, beside: Sequence[int]) -> Carried | None:
    wait_ms = 300 + streams * _PER_STREAM_MS
    order = {
        "api": "messages",
        "connections": streams,
        "answer": f"events=1000000 gap_ms={GAP_MS} wait_ms={wait_ms} spread=1",
        "timed": True,
        "sample": _SAMPLE,
        "ramp": 0.1,
    }
    with bench.held(target, order) as opened:
        if opened["begun"] < streams:
            return None
        time.sleep(wait_ms / 1000 + 0.2)  # the streams settle at their new number
        for _ in range(_LOOKS):
            before = sum(map(cpu_seconds, beside))
            seen = bench.look(_LOOK)
            spent = (sum(map(cpu_seconds, beside)) - before) * 1e6 / (streams * _LOOK * 1000 / GAP_MS)
            if seen["alone"] >= ALONE and not seen["failures"]:
                return Carried(streams, seen["late_p50"], seen["late_p99"], spent)
        return None
