"""Real processes that cost little: forked from one that has imported the whole program once.

Each is a process of its own, with its own id to be killed by, and runs the program's own `main`. What it writes, and
how it ended, lies in files.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import frozen

SUPPORTED = hasattr(os, "fork")
_WAIT = 30.0
_IMPORTED = (
    "alembic.command",
    "cryptography.hazmat.primitives.ciphers.aead",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "kirotrio.cli.app",
    "kirotrio.cli.running",
    "kirotrio.cli.serve",
    "kirotrio.cli.surroundings",
    "kirotrio.store.migrate",
    "kirotrio.store.vault",
    "kirotrio.web.serving",
)


@frozen
class Forked:
    """One process. `base`: where its files are, less their suffixes."""

    pid: int
    base: Path

    @property
    def out(self) -> str:
        return self.base.with_suffix(".out").read_text()

    @property
    def said(self) -> str:
        """On stderr."""
        return self.base.with_suffix(".err").read_text()

    @property
    def has_ended(self) -> bool:
        return self.base.with_suffix(".ended").exists()

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def send(self, number: int) -> None:
        if not self.has_ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def ended(self) -> int:
        """Its exit code; minus the signal that ended it."""
        with trio.fail_after(_WAIT):
            while not self.has_ended:  # noqa: ASYNC110 - another's child has no event here
                await trio.sleep(0.01)
        return int(self.base.with_suffix(".ended").read_text())


class Nest:
    """Where they come from. Everything is ended with it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asks, self._answers = self._process.stdin, self._process.stdout
        assert self._answers.readline() == "ready\n"

    def fork(self, base: Path, arguments: Sequence[str], environ: Mapping[str, str], prologue: str = "") -> Forked:
        """Run `kirotrio` with these arguments; `prologue` is Python that runs in the process first."""
        asked = {"base": str(base), "arguments": list(arguments), "environ": dict(environ), "prologue": prologue}
        self._asks.write(json.dumps(asked) + "\n")
        return Forked(int(self._answers.readline()), base)

    def close(self) -> None:
        self._asks.close()
        self._process.wait(timeout=_WAIT)
        self._answers.close()


@pytest.fixture(scope="session")
def nest() -> Iterator[Nest]:
    if not SUPPORTED:
        pytest.skip("this system does not fork")
    nest = Nest()
    yield nest
    nest.close()


def _import_all() -> None:
    """What a gateway imports by and by."""
    for name in _IMPORTED:
        importlib.import_module(name)


def _become(asked: dict[str, Any]) -> int:
    base = asked["base"]
    for number, name in ((0, os.devnull), (1, f"{base}.out"), (2, f"{base}.err")):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["environ"])
    sys.argv = ["kirotrio", *asked["arguments"]]
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode, buffering=1) for number, mode in enumerate("rww"))
    exec(asked["prologue"], {})
    from kirotrio.__main__ import main

    return main()


def _serve_forks() -> None:
    _import_all()
    os.write(1, b"ready\n")
    running: dict[int, str] = {}
    noticed, notice = os.pipe()
    os.set_blocking(notice, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(notice)
    while True:
        ready, _, _ = select.select([0, noticed], [], [])
        if noticed in ready:
            os.read(noticed, 100)
            _reap(running, os.WNOHANG)
        if 0 in ready:
            line = b""
            while not line.endswith(b"\n"):
                if not (piece := os.read(0, 1)):
                    for pid in running:
                        os.kill(pid, signal.SIGKILL)
                    return
                line += piece
            asked = json.loads(line)
            for suffix in ("out", "err"):
                Path(f"{asked['base']}.{suffix}").touch()
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(noticed)
                os.close(notice)
                code = 70
                try:
                    code = _become(asked)
                except BaseException:
                    sys.excepthook(*sys.exc_info())
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
            running[pid] = asked["base"]
            os.write(1, f"{pid}\n".encode())


def _reap(running: dict[int, str], options: int) -> None:
    while running:
        pid, status = os.waitpid(-1, options)
        if not pid:
            return
        base = running.pop(pid)
        Path(f"{base}.new").write_text(str(os.waitstatus_to_exitcode(status)))
        Path(f"{base}.new").replace(f"{base}.ended")


if __name__ == "__main__":
    _serve_forks()
