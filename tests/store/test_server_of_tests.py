"""The PostgreSQL that tests share goes with the run, also with one that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from support.engines import PostgresServer
from support.server_end import has_ended

TESTS = Path(__file__).parents[1]
BEGIN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from support.engines import PostgresServer
server = PostgresServer(Path(sys.argv[2]))
server.begin()
print(server._server.get_pid(), flush=True)
input()
"""


@pytest.fixture
def folder(postgresql: PostgresServer) -> Path:
    """Where a server may be, on a machine that can have one."""
    return Path(tempfile.mkdtemp(prefix="kirotrio-pg-"))


def test_a_server_ends_and_its_folder_goes_when_its_run_is_killed(folder: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", BEGIN, str(TESTS), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with run:
        assert run.stdout is not None
        server = psutil.Process(int(run.stdout.readline()))
        assert folder.exists()
        os.kill(run.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while not (has_ended(server) and not folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)  # a process that is no child of this one has no event here
    assert has_ended(server), "the server runs on"
    assert not folder.exists(), f"{folder} was left behind"


def test_a_run_that_ends_before_it_has_a_server_leaves_no_folder(folder: Path) -> None:
    PostgresServer(folder).end()
    assert not folder.exists()
