"""`scripts/environment`: which interpreter it takes, what it repairs, and that nothing unpinned is fetched.

The interpreter is a shell script here that writes down what it is asked for: no network, and no second Python.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a shell script")

SCRIPTS = Path(__file__).parents[2] / "scripts"

LOCKS = ("requirements.lock", "requirements-dev.lock")

FAKE = """#!/bin/sh
# A new environment has an interpreter like this one and a `pip` beside it.
here=$(dirname "$0")
echo "$*" >> "$FAKE_LOG"
case "$*" in
  --version) echo "Python $FAKE_VERSION" ;;
  "-c import sys; sys.exit"*) [ "$FAKE_VERSION" != 3.9.1 ] ;;
  "-c "*) ;;
  "-m venv "*) for folder; do :; done; mkdir -p "$folder/bin"; cp "$0" "$folder/bin/python"; : > "$folder/bin/pip"
               : > "$folder/pyvenv.cfg" ;;
  "-m pip "*) [ -e "$here/pip" ] ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The scripts and lock files of a project, and a folder `path` with the few programs that they need."""
    folder = tmp_path / "project"
    (folder / "scripts").mkdir(parents=True)
    for script in ("environment", "demo"):
        shutil.copy(SCRIPTS / script, folder / "scripts" / script)
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        (folder / name).write_text("")
    fake = tmp_path / "fake-python"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    path = tmp_path / "path"
    path.mkdir()
    for tool in ("bash", "sh", "env", "dirname", "cat", "cksum", "grep", "mkdir", "cp", "rm"):
        there = shutil.which(tool)
        assert there is not None, tool
        (path / tool).symlink_to(there)
    return folder


def call(
    project: Path, script: str = "environment", *arguments: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    base = project.parent
    own = {"PATH": str(base / "path"), "FAKE_LOG": str(base / "log"), "FAKE_VERSION": "3.12.0"}
    return subprocess.run(
        [f"./scripts/{script}", *arguments],
        cwd=project,
        env={**own, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def asked(project: Path) -> list[str]:
    return (project.parent / "log").read_text().splitlines()


def fake(project: Path) -> str:
    return str(project.parent / "fake-python")


def test_a_first_run_makes_it_and_a_second_one_has_nothing_to_do(project: Path) -> None:
    assert call(project, PYTHON=fake(project)).returncode == 0
    assert any(line.startswith("-m pip install") for line in asked(project))
    (project.parent / "log").unlink()
    assert call(project).returncode == 0
    assert not (project.parent / "log").exists()


def test_what_developing_needs_is_all_that_running_needs(project: Path) -> None:
    assert call(project, "environment", "dev", PYTHON=fake(project)).returncode == 0
    (project.parent / "log").unlink()
    assert call(project).returncode == 0
    assert not (project.parent / "log").exists(), "the demo would keep a developer waiting for what is there"
    pins = [set(re.findall(r"^\S+==\S+", (SCRIPTS.parent / lock).read_text(), re.MULTILINE)) for lock in LOCKS]
    assert pins[0] <= pins[1], pins[0] - pins[1]


def test_the_package_is_built_with_what_the_lock_file_names(project: Path) -> None:
    call(project, PYTHON=fake(project))
    (line,) = [line for line in asked(project) if "--editable" in line]
    assert "--no-build-isolation" in line
    for lock in LOCKS:
        assert "\nsetuptools==" in (SCRIPTS.parent / lock).read_text()


def test_a_named_interpreter_that_is_not_there_is_not_replaced(project: Path) -> None:
    (project.parent / "path" / "python3").symlink_to(fake(project))
    done = call(project, PYTHON="/nope/python3")
    assert done.returncode == 1
    assert "PYTHON=/nope/python3: there is no such program" in done.stderr
    assert not (project / ".venv").exists()


def test_a_named_interpreter_that_is_too_old_is_not_replaced(project: Path) -> None:
    done = call(project, PYTHON=fake(project), FAKE_VERSION="3.9.1")
    assert done.returncode == 1
    assert "Python 3.9.1 is not Python 3.11 or newer" in done.stderr
    assert not (project / ".venv").exists()


def test_without_any_python_the_command_that_was_typed_is_named(project: Path) -> None:
    done = call(project, "demo")
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("PYTHON=/path/to/python3 ./scripts/demo")


def test_what_an_interrupted_first_run_left_is_made_again(project: Path) -> None:
    assert call(project, PYTHON=fake(project)).returncode == 0
    for rest in (".installed-runtime", "bin/pip"):
        (project / ".venv" / rest).unlink()
    (project / ".venv" / "bin" / "half").write_text("")
    done = call(project, PYTHON=fake(project))
    assert done.returncode == 0, done.stderr
    assert (project / ".venv" / "bin" / "pip").exists()
    assert not (project / ".venv" / "bin" / "half").exists()
