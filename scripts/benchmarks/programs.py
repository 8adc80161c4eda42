"""A program that is started, pinned to a processor, listened to and stopped, whatever happens in between."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from attrs import define, field

MEASURED, OTHERS = 0, 1
"""The processor of what is measured, and that of upstream and load; the same one where there is only one."""
_HERE = Path(__file__).resolve().parent.parent
READY = 30.0
"""Seconds that a program may take until it says where it listens."""
_LAST_WORDS = 2000
_PR_SET_PDEATHSIG = 1
"""Of prctl(2): which signal to get as the parent ends."""


def processors() -> tuple[int, int]:
    """The two processors that this process may use, twice the same where it has one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[MEASURED], allowed[min(OTHERS, len(allowed) - 1)]


@define
class Lines:
    """What a program prints, a line at a time."""

    process: subprocess.Popen[bytes]
    _held: bytearray = field(factory=bytearray)

    def next(self, within: float) -> str:
        """Raises RuntimeError where the program has ended, or says nothing for so many seconds."""
        deadline = time.monotonic() + within
        while b"\n" not in self._held:
            if not select.select([self._out], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise RuntimeError(f"{self._name} has said nothing for {within:.0f} s")
            if not self._take():
                raise RuntimeError(f"{self._name} has ended")
        line, _, rest = self._held.partition(b"\n")
        self._held = rest
        return line.decode(errors="replace").strip()

    def rest(self) -> str:
        """What is there without waiting."""
        while select.select([self._out], [], [], 0)[0] and self._take():
            pass
        return self._held.decode(errors="replace")

    @property
    def _name(self) -> str:
        return shlex.join(map(str, cast(Sequence[str], self.process.args)))

    @property
    def _out(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def _take(self) -> bool:
        data = os.read(self._out, 65536)
        self._held += data
        return bool(data)


@define
class Program:
    """A running program; `port` is where it has said that it listens."""

    process: subprocess.Popen[bytes]
    port: int = 0
    key: str = ""
    folder: Path | None = None
    """Removed with it."""
    log: Path | None = None
    lines: Lines = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.lines = Lines(self.process)

    @property
    def pid(self) -> int:
        return self.process.pid

    def ready(self) -> None:
        """Wait for the line that ends in its port. Raises RuntimeError."""
        line = self.lines.next(READY)
        port = line.rpartition(":")[2]
        if not port.isdigit():
            raise RuntimeError(f"it said {line[:200]!r} in place of where it listens")
        self.port = int(port)

    def last_words(self) -> str:
        """The end of what it has printed and logged, "" for nothing."""
        logged = self.log.read_text(errors="replace") if self.log is not None and self.log.exists() else ""
        return "\n".join(said for said in (self.lines.rest().strip(), logged.strip()) if said)[-_LAST_WORDS:]

    def stop(self) -> None:
        end(self.process)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, and end it with all that it has started where it does not within five seconds."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def start(
    command: Sequence[str],
    cpus: set[int],
    *,
    environment: Mapping[str, str] | None = None,
    log: IO[bytes] | None = None,
    cwd: Path | None = None,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a program on these processors: pinned before its first instruction, and with it whatever it starts.

    In a process group of its own: a Ctrl-C is for the benchmark, which then stops what it has started. Where the
    benchmark is killed and can stop nothing any more, the kernel tells the program to stop. It does so too as the
    thread ends that calls this: the first one of the benchmark.
    """
    before = os.sched_getaffinity(0)
    parent, prctl = os.getpid(), ctypes.CDLL(None).prctl

    def end_with_parent() -> None:
        # Between fork and exec, so that no wrapper is part of what is measured. SIGTERM, since only a gateway that is
        # told to stop stops its workers.
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # it was killed before this was asked for

    os.sched_setaffinity(0, cpus)
    try:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=cwd or _HERE,
            process_group=0,
            preexec_fn=end_with_parent,
        )
    finally:
        os.sched_setaffinity(0, before)
