"""The real client programs that scripts/clients installs, and how a test runs one of them."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio
from attrs import frozen

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".clients"
PROGRAMS = INSTALLED / "node_modules/.bin"

SKIPPED = 3
"""The exit code of scripts/clients where something cannot be had."""


PATIENCE = 540.0
"""Seconds. More than the script's own limits add up to, after which it says why it gave up."""


def ensure_installed(kind: str = "npm") -> None:
    """Install what is missing of one kind (npm, aider, langchain, mitmproxy); skip the test, with the reason, where it
    cannot be had. Each kind is tried once in a run of the tests."""
    code, said = _attempt(kind)
    if code == SKIPPED:
        pytest.skip(said)
    assert code == 0, said


@functools.cache
def _attempt(kind: str) -> tuple[int, str]:
    """The script's exit code, and what it said. Whatever interrupts the wait, a test's timeout too, ends the script,
    and the script ends what it has started."""
    command = [ROOT / "scripts/clients", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as script:
        try:
            said, _ = script.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            said = f"scripts/clients {kind} did not end within {PATIENCE:g} seconds"
        finally:
            if script.poll() is None:
                script.terminate()
    return script.returncode, said.strip()


@frozen
class Outcome:
    code: int
    output: str
    errors: str

    def ok(self) -> str:
        """What was printed, if the program ended well."""
        assert self.code == 0, f"exit code {self.code}\n{self.output[-4000:]}\n{self.errors[-4000:]}"
        return self.output


async def run(
    command: list[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    *,
    patience: float = 120.0,
    stdin: bytes = b"",
) -> Outcome:
    """Run a program to its end in `folder`, with an empty home there and nothing else of our environment."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    variables = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "HOME": str(home), "NO_PROXY": "*", **environment}
    with trio.fail_after(patience):
        done = await trio.run_process(
            command, env=variables, cwd=folder, stdin=stdin, capture_stdout=True, capture_stderr=True, check=False
        )
    return Outcome(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
