"""A program beside a test's PostgreSQL, which ends that and removes its folder once its standard input has ended.

    python server_end.py FOLDER

The test run holds the other end of a pipe. So the server ends with the run, however that ends: a killed one can do
nothing for it any more, and each server left behind holds memory until the machine is started anew.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil

_PATIENCE = 10.0
"""Seconds that a server gets to end as after a crash, and its last processes to let go of the folder."""


def end(folder: Path) -> None:
    """End the server whose data lies in `folder`/data, if it runs, and remove the folder. Blocking."""
    deadline = time.monotonic() + 3 * _PATIENCE
    while folder.exists() and time.monotonic() < deadline:
        # Once more where a server was still about to start, or its processes about to write.
        _end_server(folder / "data" / "postmaster.pid")
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)  # a folder that processes still write to has no event here


def _end_server(named: Path) -> None:
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        server = psutil.Process(int(named.read_text().split()[0]))
        if server.name() != "postgres":  # of the file that a crash has left; another process has the number
            return
        for how in (signal.SIGQUIT, signal.SIGKILL):  # at once; and without asking
            server.send_signal(how)
            deadline = time.monotonic() + _PATIENCE
            while not has_ended(server) and time.monotonic() < deadline:
                time.sleep(0.02)  # nor has the end of a process of another parent


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more; nobody may have asked yet how it ended."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end(Path(sys.argv[1]))
