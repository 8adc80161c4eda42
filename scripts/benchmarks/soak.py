"""scripts/soak: many streams for a long time; the gateway's memory at the end is where it was soon after the start.

At any time so many streams run, a quarter through each of the APIs and `/cc`; each ends after its 200 events, and the
next begins. At every line the clients of one API leave in the middle and come again. A run of 30 minutes compares the
end with the second minute. A shorter one has no time for as many answers, so its answers are shorter in the same
measure: as many requests begin and end, and what each leaves behind shows all the same. It compares the end with its
first third, since what a gateway loads and keeps once takes half a minute, however long the run is.

Exits 1 where memory has grown beyond --within, where answers fail or the gateway ends; 2 for what cannot be meant; 128
and the signal's number where it was stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks import wording
from benchmarks.bodies import PATHS
from benchmarks.processes import GatewayCommand, Load, Program, cpu_seconds, held_mb, processors, start_upstream
from benchmarks.stopping import Stopped, stoppable

WHOLE = 30.0
"""Minutes of a run that is not shortened."""
SHORTEST = 1.5
_MARK = 2.0
_EVENTS, _GAP_MS = 200, 50
_LINE, _SHORTEST_LINE = 60.0, 10.0
"""Seconds from one line, and one leaving of everybody, to the next."""


@frozen
class Plan:
    """`answer`: what each stream is asked for. Times in seconds."""

    seconds: float
    mark: float
    line: float
    answer: str


def plan(minutes: float) -> Plan:
    seconds = minutes * 60
    mark = _MARK * 60 if minutes >= WHOLE else seconds / 3
    events = max(5, round(_EVENTS * min(1.0, minutes / WHOLE)))
    line = min(_LINE, max(_SHORTEST_LINE, seconds / 30))
    return Plan(seconds, mark, line, f"events={events} gap_ms={_GAP_MS}")


@frozen
class Reading:
    """Memory at one moment: seconds since the start, MB, and the answers that came since the line before."""

    at: float
    memory: float
    answers: int
    failures: int


def growth(readings: Sequence[Reading], mark: float) -> float:
    """MB from the mark to the end: medians of three readings around each, since single ones go up and down.

    Raises ValueError where there are too few.
    """
    early = [reading for reading in readings if reading.at >= mark][:3]
    late = list(readings)[-3:]
    if len(early) < 3 or early[-1].at >= late[0].at:
        raise ValueError("too short a run: the mark and the end are one")
    return sorted(one.memory for one in late)[1] - sorted(one.memory for one in early)[1]


def main(words: Sequence[str] | None = None) -> int:
    options = _options(words)
    try:
        wording.program(options.gateway, Path.cwd())
    except ValueError as wrong:
        print(f"soak: {wrong}", file=sys.stderr)
        return 2
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    course = plan(options.minutes)
    command = GatewayCommand(options.gateway, Path.cwd(), options.arguments)
    print(
        f"{options.streams} streams for {course.seconds:.0f} s, each {course.answer}; compared with {course.mark:.0f} s"
    )
    readings: list[Reading] = []
    code = 0
    try:
        with stoppable(), _running(command) as (gateway, loads):
            for reading in _readings(gateway, loads, course, options.streams):
                readings.append(reading)  # noqa: PERF402 - what there is counts, also where the run is stopped
    except (OSError, RuntimeError) as ended:
        print(f"soak: {ended}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print(f"soak: stopped ({stopped})", file=sys.stderr)
        code = stopped.exit_code
    try:
        verdict = _verdict(readings, course.mark, options.within)
    except ValueError as short:
        print(f"soak: {short}", file=sys.stderr)
        verdict = 1
    return code or verdict


def _verdict(readings: Sequence[Reading], mark: float, within: float) -> int:
    answers, failures = sum(one.answers for one in readings), sum(one.failures for one in readings)
    grown = growth(readings, mark)
    print(f"{answers} answers, {failures} failures; {grown:+.1f} MB since {mark:.0f} s (within {within:g})")
    return 1 if grown > within or failures or not answers else 0


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = wording.Parser(prog="soak", usage="scripts/soak [OPTIONS]", description=(__doc__ or "").partition("\n")[0])
    minutes = wording.amount(SHORTEST, "minutes: below the least of them the end and what it is compared with are one")
    parser.add_argument("--minutes", type=minutes, metavar="N", default=WHOLE, help=f"{WHOLE:g} by default")
    streams = wording.whole(len(PATHS), "streams: one through each API and /cc")
    parser.add_argument("--streams", type=streams, metavar="N", default=100, help="at any time; 100 by default")
    within = wording.amount(0, "megabytes")
    parser.add_argument("--within", type=within, default=5.0, metavar="MB", help="5 by default")
    own = f"{shlex.quote(sys.executable)} -m kirotrio"
    parser.add_argument("--gateway", type=wording.words, metavar="COMMAND", default=own, help="without `serve`")
    parser.add_argument(
        "--arguments", type=wording.words, metavar="WORDS", default="", help="what else to tell `serve`"
    )
    return parser.read(words, "--arguments")


def shares(streams: int) -> dict[str, int]:
    """How many of them go through each API and `/cc`: all of them together, as even as can be."""
    each, left = divmod(streams, len(PATHS))
    return {api: each + (number < left) for number, api in enumerate(PATHS)}


@contextlib.contextmanager
def _running(command: GatewayCommand) -> Iterator[tuple[Program, dict[str, Load]]]:
    """The gateway, and a load for each API; all of them are stopped on leaving, by their process ids."""
    with contextlib.ExitStack() as stack:
        upstream = start_upstream(processors()[1])
        stack.callback(upstream.stop)
        gateway = command.start(upstream.port)
        stack.callback(gateway.stop)
        loads = {}
        for api in PATHS:
            loads[api] = Load()
            stack.callback(loads[api].stop)
        yield gateway, loads


def _readings(gateway: Program, loads: dict[str, Load], course: Plan, streams: int) -> Iterator[Reading]:
    """One for each line, until the run is over. Raises RuntimeError where the gateway ends."""
    order: dict[str, Any] = {"answer": course.answer, "ramp": 0.1}
    order |= {"port": gateway.port, "key": gateway.key, "requests": 10**9, "timed": True, "within": 0}
    each = shares(streams)
    for api, load in loads.items():
        load.order(do="hold", api=api, connections=each[api], **order)
    started = time.monotonic()
    for number in range(1, round(course.seconds / course.line) + 1):
        spent, before = cpu_seconds(gateway.pid), time.monotonic()
        time.sleep(max(0.0, started + number * course.line - before))  # until the next line is due
        if gateway.process.poll() is not None:
            raise RuntimeError(f"the gateway has ended ({gateway.process.returncode})")
        at = time.monotonic() - started
        busy = (cpu_seconds(gateway.pid) - spent) / (time.monotonic() - before)
        seen = [load.order(do="tell") for load in loads.values()]
        reading = Reading(at, held_mb(gateway.pid), sum(s["answers"] for s in seen), sum(s["failures"] for s in seen))
        failure = next((one["failure"] for one in seen if one["failures"]), "")
        print(
            f"{at:6.0f} s  {reading.memory:7.1f} MB  {reading.answers:6} answers  {busy:4.0%} CPU  {failure}",
            flush=True,
        )
        yield reading
        api = list(loads)[number % len(loads)]
        loads[api].order(do="leave")
        loads[api].order(do="hold", api=api, connections=each[api], **order)


if __name__ == "__main__":
    sys.exit(main())
