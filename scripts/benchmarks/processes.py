"""The programs under measurement: started, pinned to a processor, their clocks and memory read, stopped."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import orjson
from attrs import define, field

MEASURED, OTHERS = 0, 1
"""The processor of what is measured, and that of upstream and load; the same one where there is only one."""
_HERE = Path(__file__).resolve().parent.parent
GATEWAY_SETTINGS = ("accounts.max_concurrent=0", "upstream.connections=1200")
"""What has to differ from the defaults: one account answers everything, all at the same time."""
API_KEY = "ksk_simulator_0123456789abcdef0123456789abcdef"
"""Of the one account: the simulator knows this key (`kirotrio.simulator.DEMO_API_KEY`), the other takes any."""
_FLOOR_KEY = "sk-kt-of-the-floor-0123456789"


def processors() -> tuple[int, int]:
    """The two processors that this process may use, twice the same where it has one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[MEASURED], allowed[min(OTHERS, len(allowed) - 1)]


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
    """Proportional set size of a process and its children, in MB of a million bytes."""
    total = 0
    for one in _family(pid):
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total * 1024 / 1e6


@define
class Program:
    """A running program that has said where it listens."""

    process: subprocess.Popen[str]
    port: int
    key: str = ""
    folder: Path | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def start(
    command: Sequence[str],
    cpus: set[int],
    *,
    environment: Mapping[str, str] | None = None,
    log: IO[bytes] | None = None,
    cwd: Path | None = None,
    **more: Any,
) -> subprocess.Popen[str]:
    """Start a program on these processors: pinned before its first instruction, and with it whatever it starts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=log, cwd=cwd or _HERE, text=True, **more
        )
    finally:
        os.sched_setaffinity(0, before)


def start_upstream(cpu: int) -> Program:
    """The upstream of ready bytes."""
    return _ready(start([sys.executable, "-m", "benchmarks.upstream"], {cpu}))


def start_floor(cpu: int, upstream: int) -> Program:
    process = start([sys.executable, "-m", "benchmarks.floor", str(upstream), _FLOOR_KEY, API_KEY], {cpu})
    return _ready(process, key=_FLOOR_KEY)


def start_simulator(cpu: int) -> Program:
    """The project's simulator, in a data folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="kirotrio-bench-"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "KIROTRIO_DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "kirotrio", "simulate", "--port", "0"]
    return _ready(start(command, {cpu}, environment=environment), folder=folder)


def _ready(process: subprocess.Popen[str], *, key: str = "", folder: Path | None = None) -> Program:
    """Once it has printed where it listens: a port, or a URL that ends in one."""
    return Program(process, int(_line(process).rpartition(":")[2]), key, folder)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended before it was ready")
    return line.strip()


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

        `more`: further words for `serve`. `cpus`: where it may run, the measured processor by itself.
        """
        data = folder or Path(tempfile.mkdtemp(prefix="kirotrio-bench-"))
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
        with open(data / "gateway.log", "ab") as log:
            process = start(command, cpus or {processors()[MEASURED]}, environment=environment, log=log, cwd=self.cwd)
        program = Program(process, port, folder=None if folder else data)
        if wait:
            try:
                program.port = int(_line(process).rsplit(":", 1)[1])
                program.key = (data / "client-key").read_text().strip()
            except (RuntimeError, OSError, ValueError) as wrong:
                said = (data / "gateway.log").read_text(errors="replace")[-2000:]
                program.stop()
                raise RuntimeError(f"the gateway did not start: {wrong}\n{said}") from wrong
        return program


@define
class Load:
    """The load's process; one order at a time."""

    process: subprocess.Popen[str] = field(
        factory=lambda: start([sys.executable, "-m", "benchmarks.load"], {processors()[OTHERS]}, stdin=subprocess.PIPE)
    )

    def __attrs_post_init__(self) -> None:
        _line(self.process)

    def order(self, **order: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(orjson.dumps(order).decode() + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = orjson.loads(_line(self.process))
        return answer

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def move(programs: Sequence[int], cpus: set[int]) -> None:
    """Let running programs, by their ids, run on these processors with all their threads."""
    for program in programs:
        for task in os.listdir(f"/proc/{program}/task"):
            os.sched_setaffinity(int(task), cpus)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
