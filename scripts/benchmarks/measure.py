"""How each kind of scenario is measured, against the gateway or the floor."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import orjson
from attrs import define, field

from benchmarks import bodies
from benchmarks.capacity import scaling
from benchmarks.leaving import STATES, ask, leave, summary
from benchmarks.processes import (
    GatewayCommand,
    Load,
    Program,
    cpu_seconds,
    free_port,
    pss_mb,
    start_floor,
    start_simulator,
    start_upstream,
)
from benchmarks.results import Figures
from benchmarks.scenarios import GAP_MS, Scenario

_SETTLED, _QUICKLY_SETTLED = 3.0, 0.7
"""Seconds after which the gateway has loaded what its first requests are recorded with: that is no stream's memory."""


class Failed(Exception):
    """A measurement whose work was not done: its figures would be of something else."""


class Skipped(Exception):
    """A measurement that is not possible here; the message says why."""


@define
class Stand:
    """Everything that runs: the upstreams and the load for both sides, the gateway and the floor to choose from.

    `executable`: the one-file program, where there is one; `without` says why there is none.
    """

    gateway: GatewayCommand
    executable: GatewayCommand | None
    without: str
    quick: bool
    measured: int
    others: int
    upstream: Program = field(init=False)
    load: Load = field(init=False)
    _simulator: Program | None = None
    running: dict[str, Program] = field(factory=dict)
    _started: contextlib.ExitStack = field(factory=contextlib.ExitStack)

    def __enter__(self) -> Self:
        with self._started:
            self.upstream = start_upstream(self.others)
            self._started.callback(self.upstream.stop)
            self.load = Load()
            self._started.callback(self.load.stop)
            self._started = self._started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def check(self) -> None:
        """Start the gateway once, so that one that does not start is said at once. Raises RuntimeError and OSError."""
        with self.alone("gateway"):
            pass

    @property
    def simulator(self) -> Program:
        """Started on first need: where it is fast enough, it is the upstream."""
        if self._simulator is None:
            self._simulator = start_simulator(self.others)
            self._started.callback(self._simulator.stop)
        return self._simulator

    def target(self, side: str) -> Program:
        """The gateway or the floor that answers; started and warmed up on first need."""
        if side not in self.running:
            self.running[side] = self.fresh(side)
            self._started.callback(self.running[side].stop)
            self.warm_up(self.running[side])
        return self.running[side]

    def warm_up(self, target: Program) -> None:
        """Ask it in every way, and give it time for what it loads by itself after its first requests."""
        for api in bodies.PATHS:
            for stream in (True, False):
                self.send(target, {"api": api, "stream": stream, "answer": "events=50", "connections": 4}, 24)
        self.settle()

    def settle(self) -> None:
        time.sleep(_QUICKLY_SETTLED if self.quick else _SETTLED)  # nobody tells when that is done

    def fresh(self, side: str, upstream: Program | None = None) -> Program:
        """One that nobody has asked anything yet; whoever starts it stops it."""
        port = (upstream or self.upstream).port
        return start_floor(self.measured, port) if side == "floor" else self.gateway.start(port)

    @contextlib.contextmanager
    def alone(self, side: str, upstream: Program | None = None) -> Iterator[Program]:
        """The same, stopped on leaving."""
        target = self.fresh(side, upstream)
        try:
            yield target
        finally:
            target.stop()

    def send(self, target: Program, order: dict[str, Any], requests: int) -> dict[str, Any]:
        """Have the load carry out an order. Raises Failed where an answer is missing."""
        seen = self.load.order(do="requests", port=target.port, key=target.key, **{**order, "requests": requests})
        if seen["failures"] or seen["answers"] != requests:
            raise Failed(f"{seen['answers']} of {requests} answers; {seen['failure']}".strip())
        return seen

    def upstream_state(self) -> dict[str, Any]:
        """What the upstream of ready bytes has open; where several share its port, what the busiest of them has."""
        answers: list[dict[str, Any]] = [orjson.loads(ask(self.upstream.port, "/_bench/state")[1]) for _ in range(4)]
        return max(answers, key=lambda answer: answer["open"])

    def hold(self, target: Program, order: dict[str, Any]) -> dict[str, Any]:
        """Have the load open streams that stay open, and wait until each has brought something."""
        whole = {"requests": order["connections"], "within": 20 if self.quick else 40, **order}
        return self.load.order(do="hold", port=target.port, key=target.key, **whole)

    @contextlib.contextmanager
    def held(self, target: Program, order: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The same; let go on leaving, unless the whole run is stopped: the load takes no order then."""
        opened = self.hold(target, order)
        try:
            yield opened
        except Exception:
            self.let_go()
            raise
        self.let_go()

    def look(self, seconds: float) -> dict[str, Any]:
        """What the streams that are held bring in so many seconds."""
        return self.load.order(do="look", seconds=seconds)

    def let_go(self) -> float:
        """Have the clients leave; seconds until the upstream has nothing open, ten where that does not come."""
        left = self.load.order(do="leave")["at"]
        deadline = time.monotonic() + 10
        while self.upstream_state()["open"] and time.monotonic() < deadline:
            time.sleep(0.02)  # the upstream is asked; it tells nobody
        now = self.upstream_state()
        return float(max(0.0, now["last_closed"] - left)) if not now["open"] else 10.0


def measure(stand: Stand, scenario: Scenario, side: str) -> Figures:
    """One sample: the figures of a scenario in one turn of a pass. Raises Failed and Skipped."""
    return _KINDS[scenario.kind](stand, scenario, side)


def _order(stand: Stand, scenario: Scenario) -> tuple[dict[str, Any], int, int]:
    """What to send, how many requests of it, and how many events each brings."""
    order = dict(scenario.order)
    words = dict(word.split("=") for word in order["answer"].split())
    return order, _count(stand, scenario), int(words["events"])


def _count(stand: Stand, scenario: Scenario) -> int:
    return round(scenario.quick if stand.quick else scenario.whole)


def _check(seen: dict[str, Any], sent: int, least: float, *, streamed: bool = True) -> None:
    """Raises Failed where less than this share of the events has arrived, each as an event of its own in a stream."""
    if min(seen["pieces"], seen["deltas"] if streamed else sent) < sent * least:
        raise Failed(f"of {sent} events {seen['pieces']} arrived, {seen['deltas']} of them as an event of their own")


def _requests(stand: Stand, scenario: Scenario, side: str) -> Figures:
    order, requests, events = _order(stand, scenario)
    target = stand.target(side)
    stand.send(target, order, min(requests, order["connections"]))
    before = cpu_seconds(target.pid)
    seen = stand.send(target, order, requests)
    spent = cpu_seconds(target.pid) - before
    _check(seen, requests * events, 1.0, streamed=order.get("stream", True))
    return {"cpu ms/request": spent * 1000 / requests, "wall": seen["wall"]}


def _events(stand: Stand, scenario: Scenario, side: str) -> Figures:
    order, requests, events = _order(stand, scenario)
    target = stand.target(side)
    before = cpu_seconds(target.pid)
    seen = stand.send(target, order, requests)
    spent = cpu_seconds(target.pid) - before
    sent = requests * events
    # A read that cuts a piece in two may hide it from a timed load; one in a hundred is more than ever was.
    _check(seen, sent, 0.99 if order.get("timed") else 1.0)
    figures = {"cpu µs/event": spent * 1e6 / sent, "wall": seen["wall"]}
    if order.get("timed"):
        figures |= {"first p50": seen["first_p50"], "late p50": seen["late_p50"], "late p99": seen["late_p99"]}
    return figures


def _paced(stand: Stand, scenario: Scenario, side: str) -> Figures:
    """Streams in the middle of their answers: what an event costs and how late it is, requests apart."""
    target, streams = stand.target(side), scenario.order["connections"]
    seconds = scenario.quick if stand.quick else scenario.whole
    with stand.held(target, dict(scenario.order)) as opened:
        before = cpu_seconds(target.pid)
        seen = stand.look(seconds)
        spent = cpu_seconds(target.pid) - before
    if opened["begun"] < streams or seen["failures"] or seen["deltas"] < seen["pieces"] * 0.99:
        raise Failed(f"{opened['begun']} began, {seen['deltas']} of {seen['pieces']} whole; {seen['failure']}".strip())
    late = {"late p50": seen["late_p50"], "late p99": seen["late_p99"]}
    shares = {"alone": seen["alone"] * 100, "delivered": seen["pieces"] * GAP_MS / 10 / (streams * seen["wall"])}
    return {"cpu µs/event": spent * 1e6 / max(1, seen["pieces"]), **late, **shares}


def _held(stand: Stand, scenario: Scenario, side: str) -> Figures:
    """Streams that stay open: how many at once, what each costs, and how soon they are gone after the clients."""
    with stand.alone(side) as target:
        stand.send(target, {"api": "messages", "answer": "events=5", "connections": 8}, 16)
        if side == "gateway":
            stand.settle()
        before = pss_mb(target.pid)
        stand.hold(target, dict(scenario.order))
        seen = stand.look(scenario.quick if stand.quick else scenario.whole)
        memory = pss_mb(target.pid)
        held = max(0, min(stand.upstream_state()["open"], seen["begun"]) - seen["failures"])
        return {"held": held, "memory": max(0.0, memory - before) * 1000 / max(1, held), "closed": stand.let_go()}


def _first_answer(target: Program) -> None:
    body = bodies.simulated("messages", "events=20", stream=True)
    status, said = ask(target.port, bodies.PATHS["messages"], key=target.key, body=body)
    if status != 200:
        raise Failed(f"status {status}: {said[:200]!r}")


def _idle(stand: Stand, scenario: Scenario, side: str) -> Figures:
    with stand.alone(side, stand.simulator) as target:
        _first_answer(target)
        time.sleep(0.5)  # what the first answer sets off has begun
        figures = {"without tokenizer": pss_mb(target.pid)}
        body = bodies.simulated("messages", "events=1", stream=False)
        status, said = ask(target.port, "/v1/messages/count_tokens", key=target.key, body=body)
        if status != 200:
            raise Failed(f"count_tokens: status {status}: {said[:200]!r}")
        time.sleep(0.5)  # as above
        return {**figures, "with tokenizer": pss_mb(target.pid)}


def _leaving(stand: Stand, scenario: Scenario, side: str) -> Figures:
    rounds = _count(stand, scenario)
    figures: Figures = {}
    with stand.alone(side, stand.simulator) as target:
        _first_answer(target)
        for situation in STATES:
            for how in ("FIN", "RST"):
                times = leave(target, stand.simulator, situation, rounds, reset=how == "RST")
                figures |= summary(situation, how, times)
    return figures


def _cold(stand: Stand, scenario: Scenario, side: str) -> Figures:
    """From the start of the process to the first 200 of /health, in a new data folder and again in the same."""
    command = stand.executable if "executable" in scenario.order else stand.gateway
    if command is None:
        raise Skipped(stand.without)
    with tempfile.TemporaryDirectory(prefix="kirotrio-bench-") as folder:
        first, _ = _cold_start(stand, command, Path(folder))
        starts = [_cold_start(stand, command, Path(folder)) for _ in range(1 if stand.quick else 3)]
    figures = {"new folder": first, "health": statistics.median(health for health, _ in starts)}
    return {**figures, "answer": statistics.median(answer for _, answer in starts)}


def _cold_start(stand: Stand, command: GatewayCommand, folder: Path) -> tuple[float, float]:
    port = free_port()
    started = time.monotonic()
    target = command.start(stand.simulator.port, folder=folder, port=port, wait=False)
    try:
        while True:
            try:
                if ask(port, "/health", timeout=2)[0] == 200:
                    break
            except OSError:
                time.sleep(0.002)  # nothing tells that a process is about to accept
            if time.monotonic() - started > 20 or target.process.poll() is not None:
                raise Failed(f"the gateway did not answer /health; {target.last_words()}".rstrip("; "))
        health = time.monotonic() - started
        target.key = (folder / "client-key").read_text().strip()
        _first_answer(target)
        return health, time.monotonic() - started
    finally:
        target.stop()


def _workers(stand: Stand, scenario: Scenario, side: str) -> Figures:
    if stand.quick:
        raise Skipped("a quick run has no time to find its two numbers: scripts/bench S2w")
    if stand.measured == stand.others:
        raise Skipped("this machine has one processor for it")
    if not stand.gateway.knows("--workers"):
        raise Skipped("the gateway does not know --workers")
    return scaling(stand)


_KINDS: dict[str, Callable[[Stand, Scenario, str], Figures]] = {
    "requests": _requests,
    "events": _events,
    "paced": _paced,
    "held": _held,
    "idle": _idle,
    "leaving": _leaving,
    "cold": _cold,
    "workers": _workers,
}
