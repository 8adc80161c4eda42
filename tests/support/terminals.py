"""Programs at a pseudo-terminal, as a person would sit at one."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

CTRL_C = "\x03"

_LAUNCH = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
"""Makes the terminal the program's own, so that Ctrl-C reaches it."""
_CONTROL = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """One program and all that it has written so far. Every wait has a deadline of 30 seconds."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, slave: int) -> None:
        self._process = process
        self._master = master
        self._slave = slave
        self._before = termios.tcgetattr(slave)
        self.raw = ""

    @property
    def text(self) -> str:
        """What was written, without what moves the cursor and colours."""
        return _CONTROL.sub("", self.raw).replace("\r\n", "\n")

    @property
    def restored(self) -> bool:
        """Whether the terminal is as it was found: its settings, and a cursor that shows."""
        settings = termios.tcgetattr(self._slave) == self._before
        return settings and self.raw.rfind("\x1b[?25l") <= self.raw.rfind("\x1b[?25h")

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, rows: int, columns: int) -> None:
        """As if its window were pulled to another size: the program is told by SIGWINCH."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def until(self, words: str) -> str:
        """Wait until `words` were written; the whole text so far."""
        with trio.move_on_after(30) as waiting:
            while words not in self.text:
                await self._read()
            return self.text
        assert not waiting.cancelled_caught, f"{words!r} was not written; what was:\n{self.text}"
        raise AssertionError(f"the program ended before it wrote {words!r}; it wrote:\n{self.text}")

    async def end(self) -> int:
        """Wait until the program has ended; its exit code."""
        with trio.move_on_after(30) as waiting:
            while self._process.poll() is None:
                with trio.move_on_after(0.05):
                    await self._read()
            await self._drain()
        assert not waiting.cancelled_caught, f"the program did not end; it wrote:\n{self.text}"
        assert self._process.returncode is not None
        return self._process.returncode

    async def _read(self) -> None:
        await trio.lowlevel.wait_readable(self._master)
        try:
            self.raw += os.read(self._master, 65536).decode(errors="replace")
        except OSError:  # nobody holds the other side any more
            raise AssertionError(f"the terminal was closed; what was written:\n{self.text}") from None

    async def _drain(self) -> None:
        with trio.move_on_after(0.2):
            while True:
                await self._read()


@asynccontextmanager
async def at_terminal(
    arguments: Sequence[str], environ: Mapping[str, str], *, cwd: Any = None
) -> AsyncIterator[Terminal]:
    """`kirotrio ARGUMENTS` in a terminal of 100 columns, in exactly this environment. It is killed on leaving."""
    master, slave = os.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        process = _started(slave, arguments, environ, cwd)
        try:
            yield Terminal(process, master, slave)
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(slave)
        os.close(master)


def _started(slave: int, arguments: Sequence[str], environ: Mapping[str, str], cwd: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, sys.executable, "-m", "kirotrio", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={"TERM": "xterm-256color", "PYTHONUTF8": "1", **environ},
        cwd=cwd,
    )
