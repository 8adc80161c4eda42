"""The real client programs that scripts/clients installs, and how a test runs one of them."""

from __future__ import annotations

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


def ensure_installed(*more: str) -> None:
    """Install what is missing (`more`: kinds beside the npm packages); skip the test, with the reason, where it cannot
    be had."""
    result = subprocess.run([ROOT / "scripts/clients", *more], capture_output=True, text=True, timeout=600)
    if result.returncode == 3:
        pytest.skip(result.stdout.strip())
    assert result.returncode == 0, result.stdout + result.stderr


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
