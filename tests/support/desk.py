"""A person's desk: a home folder, a simulated Kiro, and verbs that are run there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio
from support.terminals import Terminal, at_terminal

from kirotrio.config.settings import SimulatorSettings
from kirotrio.simulator import Simulator


@attrs.define
class Desk:
    """A simulated Kiro and a home folder; `at` runs a verb in a terminal there, `run` one whose output is a pipe."""

    simulator: Simulator
    environ: dict[str, str]
    home: Path

    def at(self, *arguments: str, **environ: str) -> AbstractAsyncContextManager[Terminal]:
        return at_terminal(arguments, {**self.environ, **environ}, cwd=self.home)

    async def run(self, *arguments: str, stdin: bytes = b"", **environ: str) -> Any:
        command = [sys.executable, "-m", "kirotrio", *arguments]
        with trio.fail_after(60):
            return await trio.run_process(
                command,
                stdin=stdin,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env={**self.environ, **environ},
                cwd=self.home,
            )

    async def accounts(self) -> list[dict[str, Any]]:
        done = await self.run("accounts", "--json")
        assert done.returncode == 0, done.stderr.decode()
        return list(json.loads(done.stdout))


@asynccontextmanager
async def a_desk(home: Path) -> AsyncIterator[Desk]:
    """Polls of a device code are answered every fifth of a second. The simulator is stopped on leaving."""
    simulator = Simulator(SimulatorSettings())
    simulator.sign_ins.interval = 0.2
    async with trio.open_nursery() as nursery:
        port = await nursery.start(simulator.serve, "127.0.0.1", 0)
        upstream = port if isinstance(port, str) else f"http://127.0.0.1:{port}"
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "KIROTRIO_DATA_DIR": str(home / "data"),
            "KIROTRIO_UPSTREAM_URL": upstream,
            "KIROTRIO_AUTH_URL": upstream,
            "KIROTRIO_UPSTREAM_PORTAL_URL": upstream,
            "KIROTRIO_STORE_KEY_SOURCE": "file",
        }
        yield Desk(simulator, environ, home)
        nursery.cancel_scope.cancel()
