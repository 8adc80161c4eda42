"""Faults at a chosen step: of the statements that an engine runs, and of the calls that change files."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

FILE_STEPS = ("fsync", "replace", "link", "rename", "unlink")


class Killed(BaseException):
    """No handler of failures sees it."""


class Steps:
    """Counts steps, and ends the program's work at number `last`."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.count = 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.last:
            raise Killed


@contextlib.contextmanager
def faults(steps: Steps) -> Iterator[None]:
    """Within, each statement of any engine and each change of a file is a step, before it happens and after it did."""
    import os

    def before(*_: Any) -> None:
        steps.step()

    def around(name: str) -> Any:
        call = getattr(os, name)

        def stepping(*given: Any, **named: Any) -> Any:
            steps.step()
            result = call(*given, **named)
            steps.step()
            return result

        return call, stepping

    calls = {name: around(name) for name in FILE_STEPS}
    event.listen(Engine, "before_execute", before)
    event.listen(Engine, "commit", before)
    for name, (_, stepping) in calls.items():
        setattr(os, name, stepping)
    try:
        yield
    finally:
        for name, (call, _) in calls.items():
            setattr(os, name, call)
        event.remove(Engine, "before_execute", before)
        event.remove(Engine, "commit", before)


def run_killed(code: str, step: int, *arguments: str) -> bool:
    """Run `code` in a process that ends at this step as by a power cut. Whether it got that far."""
    prologue = f"""
import os, sys
sys.path[:0] = {[str(Path(__file__).parents[1])]!r}
from store import faulty
class Ending(faulty.Steps):
    def step(self):
        self.count += 1
        if self.count == self.last:
            os._exit(9)
with faulty.faults(Ending({step})):
"""
    indented = "".join(f"    {line}\n" for line in code.strip().splitlines())
    done = subprocess.run(
        [sys.executable, "-c", prologue + indented, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode in (0, 9), done.stderr
    return done.returncode == 9
