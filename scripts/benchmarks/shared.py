"""What a request costs more on a PostgreSQL that gateways share than on a SQLite of the gateway's own.

    PYTHONPATH=scripts python -m benchmarks.shared postgresql://user@host/empty_database [--server PID] [--idle SECONDS]

Three gateways run beside one upstream, and take turns at short rounds, so that what else the machine does meets all of
them alike. `--server` is the process of the database server, whose processor time is then told as well. `--idle`: first
see for so long what each of them costs that nobody asks anything.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from attrs import define, field

from benchmarks.measure import Stand
from benchmarks.processes import GatewayCommand, Program, cpu_seconds, processors

_ROUNDS, _EACH = 6, 50
_QUIET = 10.0
"""Seconds after the last request in which its record is written and old ones are removed."""
_ANSWER = {"api": "messages", "stream": True, "answer": "events=20"}
_LIMIT = ("--set", "accounts.max_concurrent=16")
_ROOT = Path(__file__).resolve().parents[2]


@define
class Side:
    """A gateway and what its rounds have brought: milliseconds a request of the clock, of its processor and of the
    database server's."""

    name: str
    gateway: Program
    wall: list[float] = field(factory=list)
    own: list[float] = field(factory=list)
    servers: list[float] = field(factory=list)

    def forget(self) -> None:
        self.wall, self.own, self.servers = [], [], []

    def told(self, first: Side) -> str:
        """With how many times as much as the first one's that is."""
        columns = []
        for mine, theirs in ((self.wall, first.wall), (self.own, first.own)):
            median = statistics.median(mine)
            columns.append(f"{median:7.2f} ms ({median / statistics.median(theirs):4.2f} x, least {min(mine):.2f})")
        columns.append(f"{statistics.median(self.servers):6.2f} ms")
        return f"{self.name:<30}" + "   ".join(columns)


def main(words: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(prog="benchmarks.shared", description=__doc__)
    options.add_argument("url", help="of an empty database on a PostgreSQL")
    options.add_argument("--server", type=int, default=0, metavar="PID", help="the database server's first process")
    options.add_argument("--idle", type=float, default=0.0, metavar="SECONDS", help="measure them first without work")
    given = options.parse_args(words)
    command = GatewayCommand([sys.executable, "-m", "kirotrio"], _ROOT)
    shared = ("--set", f"store.url={given.url}")
    kinds = {
        "SQLite": _LIMIT,
        "PostgreSQL, a limit is shared": (*shared, *_LIMIT),
        "PostgreSQL, no limit": shared,
    }
    with ExitStack() as stack:
        stand = stack.enter_context(Stand(command, None, "", True, *processors()))
        sides = []
        for name, more in kinds.items():
            gateway = command.start(stand.upstream.port, *more)
            stack.callback(gateway.stop)
            stand.warm_up(gateway)
            sides.append(Side(name, gateway))
        if given.idle:
            _stand_idle(sides, given.idle, given.server)
        for connections in (1, 16):
            for side in sides * _ROUNDS:
                _round(stand, side, connections, given.server)
            print(f"{_ROUNDS * _EACH} requests, {connections} at one time; medians of {_ROUNDS} rounds: "
                  "from request to end of answer (of as many), gateway's processor, server's processor")  # fmt: skip
            for side in sides:
                print(side.told(sides[0]))
            for side in sides:
                side.forget()
    return 0


def _stand_idle(sides: Sequence[Side], seconds: float, server: int) -> None:
    """Two of the gateways are on the server, so a half of what it spends is one's."""
    time.sleep(_QUIET)  # what their start and the load before still have to do is over
    before, at_first = [cpu_seconds(side.gateway.pid) for side in sides], cpu_seconds(server) if server else 0.0
    time.sleep(seconds)  # standing idle is what is measured
    print(f"idle for {seconds:g} seconds; processor a minute:")
    for side, then in zip(sides, before, strict=True):
        print(f"{side.name:<30}{(cpu_seconds(side.gateway.pid) - then) * 60_000 / seconds:7.0f} ms")
    if server:
        print(f"{'the server, for each of two':<30}{(cpu_seconds(server) - at_first) * 30_000 / seconds:7.0f} ms")


def _round(stand: Stand, side: Side, connections: int, server: int) -> None:
    def spent() -> tuple[float, float]:
        return cpu_seconds(side.gateway.pid), cpu_seconds(server) if server else 0.0

    before = spent()
    seen = stand.send(side.gateway, {**_ANSWER, "connections": connections}, _EACH)
    own, servers = (after - at for after, at in zip(spent(), before, strict=True))
    side.wall.append(seen["wall"] * 1000 * connections / _EACH)
    side.own.append(own * 1000 / _EACH)
    side.servers.append(servers * 1000 / _EACH)


if __name__ == "__main__":
    sys.exit(main())
