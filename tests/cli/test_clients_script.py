"""`scripts/clients` where npm cannot get anything: it says so, gives up in time, and leaves nothing running.

npm is a shell script here that writes down what it is asked for; nothing is fetched.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import real_clients

pytestmark = pytest.mark.skipif(
    os.name != "posix" or not shutil.which("timeout"), reason="needs a shell and timeout(1), which the script runs by"
)

ROOT = Path(__file__).parents[2]

HANGS = """sleep 300 & echo $! >> "$FAKE/children"; echo started > "$FAKE/told"; wait"""
"""A part of npm that hangs, with a child of its own."""

Call = Callable[..., "subprocess.Popen[str]"]


def gone(fake: Path) -> bool:
    """Whether every child that was started ends, if not at once."""
    children = [int(line) for line in (fake / "children").read_text().split()]
    assert children
    deadline = time.monotonic() + 20
    while any(map(runs, children)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)  # the end of a process of another parent has no event to wait for
    return True


def runs(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def call(tmp_path: Path) -> Iterator[Call]:
    """`call(view="exit 1", install=HANGS, NPM_LIMIT="1")`: start the script of a copy with such an npm."""
    for name in ("scripts/clients", "tests/clients/package.json"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    os.mkfifo(tmp_path / "told")
    started: list[subprocess.Popen[str]] = []

    def start(view: str = ":", install: str = ":", **limits: str) -> subprocess.Popen[str]:
        npm = tmp_path / "bin/npm"
        npm.write_text(f'#!/bin/sh\necho "$1" >> "$FAKE/asked"\ncase $1 in view) {view} ;; *) {install} ;; esac\n')
        npm.chmod(0o755)
        environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "FAKE": str(tmp_path), **limits}
        process = subprocess.Popen(
            [tmp_path / "scripts/clients"], stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text().split()


def test_a_registry_that_is_not_there_is_told_before_anything_is_installed(call: Call, tmp_path: Path) -> None:
    script = call(view="exit 1")
    said, _ = script.communicate(timeout=60)
    assert (script.returncode, asked(tmp_path)) == (3, ["view"])
    assert said.startswith("real clients skipped: npm gets nothing from its registry")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked for in /proc, which is not here")
@pytest.mark.parametrize(("part", "limit"), [("view", "PROBE_LIMIT"), ("install", "NPM_LIMIT")])
def test_what_hangs_is_ended_with_its_children(part: str, limit: str, call: Call, tmp_path: Path) -> None:
    script = call(**{part: HANGS.replace('echo started > "$FAKE/told"; ', ""), limit: "1"})
    said, _ = script.communicate(timeout=60)
    assert script.returncode == 3, said
    assert "not done within 1 seconds" in said
    assert gone(tmp_path), "a child of npm still runs"
    assert not (tmp_path / ".clients/.installed").exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked for in /proc, which is not here")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_whoever_ends_the_script_ends_what_it_started(number: int, call: Call, tmp_path: Path) -> None:
    script = call(install=HANGS)
    assert (tmp_path / "told").read_text() == "started\n"
    script.send_signal(number)
    script.communicate(timeout=60)
    assert script.returncode == 128 + number
    assert gone(tmp_path), "a child of npm still runs"


def test_what_is_installed_is_not_asked_for_again(call: Call, tmp_path: Path) -> None:
    for _ in range(2):
        script = call()
        said, _ = script.communicate(timeout=60)
        assert (script.returncode, said) == (0, "")
    assert asked(tmp_path) == ["view", "install"]


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], list[str]]]:
    """Let the script be this one; gives what each attempt was called with."""
    real_clients._attempt.cache_clear()
    monkeypatch.setattr(real_clients, "ROOT", tmp_path)
    (tmp_path / "scripts").mkdir()

    def script(text: str) -> list[str]:
        file = tmp_path / "scripts/clients"
        file.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/tried\n{text}\n')
        file.chmod(0o755)
        return (tmp_path / "tried").read_text().split() if (tmp_path / "tried").exists() else []

    yield script
    real_clients._attempt.cache_clear()


def test_a_failed_attempt_is_remembered_for_the_run(tried: Callable[[str], list[str]]) -> None:
    tried("echo 'real clients skipped: no npm'; exit 3")
    for kind in ("npm", "aider", "npm", "aider"):
        with pytest.raises(pytest.skip.Exception, match="real clients skipped: no npm"):
            real_clients.ensure_installed(kind)
    assert tried("") == ["npm", "aider"]


def test_the_wait_is_longer_than_the_scripts_own_limits() -> None:
    script = (ROOT / "scripts/clients").read_text()
    limits = [int(line.split(":-")[1].rstrip("}")) for line in script.splitlines() if "_LIMIT=${" in line]
    assert len(limits) == 3
    assert max(limits) + min(limits) + 60 < real_clients.PATIENCE
