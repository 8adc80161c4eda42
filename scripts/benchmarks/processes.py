"""The programs of a measurement: gateway, floor, upstreams and load; their clocks and memory."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
from attrs import define, field

from benchmarks.programs import MEASURED, OTHERS, READY, Lines, Program, end, processors, start

__all__ = [
    "GatewayCommand",
    "Load",
    "Program",
    "cpu_seconds",
    "free_port",
    "held_mb",
    "move",
    "processors",
    "pss_mb",
    "start_floor",
    "start_simulator",
    "start_upstream",
]
GATEWAY_SETTINGS = ("accounts.max_concurrent=0", "upstream.connections=1200")
"""What has to differ from the defaults: one account answers everything, all at the same time."""
API_KEY = "ksk_simulator_0123456789abcdef0123456789abcdef"
"""Of the one account: the simulator knows this key (`kirotrio.simulator.DEMO_API_KEY`), the other takes any."""
_FLOOR_KEY = "sk-kt-of-the-floor-0123456789"
_ORDER = 150.0
"""Seconds that the load may take for an order; it has its own limits for what it waits for."""


def _family(pid: int) -> list[int]:
    """A process and all that it has started and that still runs."""
    found = [pid]
    for one in found:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                found += map(int, Path(f"/proc/{one}/task/{task}/children").read_text().split())
        except OSError:
            continue
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, its children that run and those that have ended.

    Of those that run: the kernel's own clock of the process (nanoseconds, all threads); of those that have ended:
    what /proc/PID/stat adds up, in its ticks.
    """
    total = 0.0
    for one in _family(pid):
        try:
            total += time.clock_gettime((~one << 3) | 2)
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            continue
    return total


def pss_mb(pid: int) -> float:
    """Proportional set size of a process and its children, in MB of a million bytes.

    Of a program or library that others run too it has a share, which grows by megabytes when those others end.
    """
    return sum(sizes["Pss"] for sizes in _sizes(pid)) * 1024 / 1e6


def held_mb(pid: int) -> float:
    """What a process and its children hold, in the same unit, whoever else runs: pages of files count in full."""
    return sum(sizes["Pss_Anon"] + sizes["Rss"] - sizes["Anonymous"] for sizes in _sizes(pid)) * 1024 / 1e6


def _sizes(pid: int) -> Iterator[dict[str, int]]:
    """Of each process of the family what the kernel has measured, in units of 1024 bytes."""
    for one in _family(pid):
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        yield {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}


def _ready(process: subprocess.Popen[bytes], *, key: str = "", folder: Path | None = None) -> Program:
    """Once it has printed where it listens; stopped where that does not come."""
    program = Program(process, key=key, folder=folder)
    try:
        program.ready()
    except BaseException:
        program.stop()
        raise
    return program


def start_upstream(cpu: int, beside: int = 0) -> Program:
    """The upstream of ready bytes; on the port of another, whose work it then shares, where that is told."""
    return _ready(start([sys.executable, "-m", "benchmarks.upstream", str(beside)], {cpu}))


def start_floor(cpu: int, upstream: int) -> Program:
    process = start([sys.executable, "-m", "benchmarks.floor", str(upstream), _FLOOR_KEY, API_KEY], {cpu})
    return _ready(process, key=_FLOOR_KEY)


def start_simulator(cpu: int) -> Program:
    """The project's simulator, in a data folder of its own."""
    with _new_folder() as folder:
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "KIROTRIO_DATA_DIR": str(folder)}
        command = [sys.executable, "-m", "kirotrio", "simulate", "--port", "0"]
        return _ready(start(command, {cpu}, environment=environment), folder=folder)


@contextlib.contextmanager
def _new_folder() -> Iterator[Path]:
    """A data folder, which stays unless what is done with it fails."""
    folder = Path(tempfile.mkdtemp(prefix="kirotrio-bench-"))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@define
class GatewayCommand:
    """How to start the gateway: `words` in front of `serve`, where, and what else to tell it."""

    words: Sequence[str]
    cwd: Path
    arguments: Sequence[str] = ()

    def knows(self, option: str) -> bool:
        """Whether `serve` has an option."""
        said = subprocess.run(
            [*self.words, "serve", "--help"], cwd=self.cwd, capture_output=True, text=True, timeout=30
        )
        return re.search(rf"(?m)^ +{option}\b", said.stdout) is not None

    def start(
        self,
        upstream: int,
        *more: str,
        cpus: set[int] | None = None,
        folder: Path | None = None,
        port: int = 0,
        wait: bool = True,
    ) -> Program:
        """Start it with a data folder of its own (or that one, which then stays) and wait for its ready line.

        `more`: further words for `serve`. `cpus`: where it may run, the measured processor by itself. Raises
        RuntimeError with its last words where it does not start, OSError where there is no such program.
        """
        with contextlib.ExitStack() as stack:
            data = folder or stack.enter_context(_new_folder())
            url = f"http://127.0.0.1:{upstream}"
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": str(data),
                "KIROTRIO_DATA_DIR": str(data),
                "KIROTRIO_UPSTREAM_URL": url,
                "KIROTRIO_AUTH_URL": url,
                "KIROTRIO_PORTAL_URL": url,
                "KIROTRIO_ACCOUNTS_API_KEY": API_KEY,
                "KIROTRIO_STORE_KEY_SOURCE": "file",
            }
            options = [word for setting in GATEWAY_SETTINGS for word in ("--set", setting)]
            command = [*self.words, "serve", "--port", str(port), *options, *self.arguments, *more]
            logged = data / "gateway.log"
            with open(logged, "ab") as log:
                on = cpus or {processors()[MEASURED]}
                process = start(command, on, environment=environment, log=log, cwd=self.cwd)
            program = Program(process, port, folder=None if folder else data, log=logged)
            if wait:
                _wait_for(program, data)
            return program


def _wait_for(gateway: Program, data: Path) -> None:
    try:
        gateway.ready()
        gateway.key = (data / "client-key").read_text().strip()
    except (RuntimeError, OSError) as wrong:
        with contextlib.suppress(subprocess.TimeoutExpired):
            gateway.process.wait(1)  # one that is about to end may say why
        said = gateway.last_words() or "It has said nothing."
        gateway.stop()
        raise RuntimeError(f"the gateway did not start: {wrong}\n{said}") from wrong
    except BaseException:
        gateway.stop()
        raise


@define
class Load:
    """The load's process; one order at a time."""

    process: subprocess.Popen[bytes] = field(
        factory=lambda: start([sys.executable, "-m", "benchmarks.load"], {processors()[OTHERS]}, stdin=subprocess.PIPE)
    )
    lines: Lines = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.lines = Lines(self.process)
        try:
            self.lines.next(READY)
        except BaseException:
            self.stop()
            raise

    def order(self, **order: Any) -> dict[str, Any]:
        """What came of it. Raises RuntimeError and OSError where the load has ended.

        One that is cancelled by an exception leaves its answer behind: the load can only be stopped then.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(orjson.dumps(order) + b"\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = orjson.loads(self.lines.next(_ORDER))
        return answer

    def stop(self) -> None:
        end(self.process)


def move(programs: Sequence[int], cpus: set[int]) -> None:
    """Let running programs, by their ids, run on these processors with all their threads."""
    for program in programs:
        for task in os.listdir(f"/proc/{program}/task"):
            os.sched_setaffinity(int(task), cpus)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
