"""What it costs a gateway that others see the answers that it gives: its processor with another gateway and without.

    PYTHONPATH=scripts python -m benchmarks.posting postgresql://user@host/empty_database [--server PID]

One gateway holds answers that are silent, so that little else is done for them. Beside it another one, which nobody
asks anything, is started and stopped in turns: only while that one runs does the first write what it answers into the
database with its signs of life. So both sides are of one run, and what else the machine does meets them alike.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure import Stand
from benchmarks.processes import GatewayCommand, Program, cpu_seconds, processors

_ANSWERS, _ROUNDS, _EACH = (1, 20, 200), 4, 15.0
"""How many run at one time; turns with and without another gateway, and seconds of each."""
_NOTICED = 4.0
"""Seconds, two signs of life, after which each knows of the other, or that it is gone."""
_SILENT = {"api": "messages", "stream": True, "answer": "events=2 gap_ms=1000 wait_ms=3600000", "timed": True}
_ROOT = Path(__file__).resolve().parents[2]


def main(words: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(prog="benchmarks.posting", description=__doc__)
    options.add_argument("url", help="of an empty database on a PostgreSQL")
    options.add_argument("--server", type=int, default=0, metavar="PID", help="the database server's first process")
    given = options.parse_args(words)
    command = GatewayCommand([sys.executable, "-m", "kirotrio"], _ROOT)
    more = ("--set", f"store.url={given.url}", "--set", "deadlines.silence=3600")
    with ExitStack() as stack:
        stand = stack.enter_context(Stand(command, None, "", True, *processors()))
        gateway = command.start(stand.upstream.port, *more)
        stack.callback(gateway.stop)
        stand.warm_up(gateway)
        print(f"processor in milliseconds a minute, medians of {_ROUNDS} turns: alone, with another gateway")
        for answers in _ANSWERS:
            with stand.held(gateway, {**_SILENT, "connections": answers}) as held:
                if held["begun"] < answers:
                    raise RuntimeError(f"{held['begun']} of {answers} answers began")
                spent: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
                for _ in range(_ROUNDS):
                    for beside in spent:
                        with _another(command, stand.upstream.port, more) if beside else contextlib.nullcontext():
                            spent[beside].append(_turn(gateway, given.server))
            for place, whose in enumerate(("gateway", "server")[: 2 if given.server else 1]):
                alone, shared = (statistics.median(one[place] for one in spent[beside]) for beside in (False, True))
                print(f"{answers:4} answers, {whose}: {alone:7.0f} {shared:7.0f} ({shared / alone:4.2f} x)")
    return 0


@contextlib.contextmanager
def _another(command: GatewayCommand, upstream: int, more: Sequence[str]) -> Iterator[None]:
    other = command.start(upstream, *more)
    try:
        yield
    finally:
        other.stop()


def _turn(gateway: Program, server: int) -> tuple[float, float]:
    """What both spend, in milliseconds a minute."""
    time.sleep(_NOTICED)  # it is seen by the other one's signs of life alone
    before = cpu_seconds(gateway.pid), cpu_seconds(server) if server else 0.0
    time.sleep(_EACH)  # standing idle is what is measured
    own, servers = cpu_seconds(gateway.pid) - before[0], (cpu_seconds(server) if server else 0.0) - before[1]
    return own * 60_000 / _EACH, servers * 60_000 / _EACH


if __name__ == "__main__":
    sys.exit(main())
