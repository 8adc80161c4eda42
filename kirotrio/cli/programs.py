"""Other programs: where one is, what environment it gets, and how this process becomes it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def find_program(name: str, path: str) -> Path | None:
    """The program in the folders of `path`; None where there is none.

    Relative folders are left out, and so is the working folder, where Windows looks first: people start clients in
    folders that others filled.
    """
    for folder in path.split(os.pathsep):
        if os.path.isabs(folder) and (found := shutil.which(os.path.join(folder, name))):
            return Path(found)
    return None


def own_command() -> str:
    """How a person calls this program from where it was started, for this system's shell: by its name where the PATH
    leads to it."""
    if shutil.which("kirotrio"):
        return "kirotrio"
    return for_shell([sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "kirotrio"])


def for_shell(words: Sequence[str]) -> str:
    """A command for this system's shell."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def child_environment(environment: Mapping[str, str], *, frozen: bool | None = None) -> dict[str, str]:
    """`environment` without what the one-file executable (`frozen`) added for itself: its own libraries are not
    another program's, and a further kirotrio has to unpack its own."""
    if frozen is None:
        frozen = bool(getattr(sys, "frozen", False))
    if not frozen:
        return dict(environment)
    kept = {name: value for name, value in environment.items() if not name.startswith("_PYI_")}
    for name in ("LD_LIBRARY_PATH", "LIBPATH"):
        kept.pop(name, None)
        if original := kept.pop(f"{name}_ORIG", ""):
            kept[name] = original
    return kept


def run_in_place(program: Path, words: Sequence[str], environment: Mapping[str, str]) -> int:  # noqa: RET503 - POSIX never returns
    """Become the program (POSIX), so that signals, terminal and exit code are its own; or run it and wait (Windows),
    and return its exit code. `words[0]` is the name that it is called by. Raises OSError where it cannot be run.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; it is the program's to answer
        called = [str(program), *words[1:]]
        return subprocess.run(called, env=dict(environment), check=False).returncode  # noqa: S603 - what a person asked for
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # the interpreter ignores them, and what is ignored stays so
    os.execve(program, list(words), dict(environment))  # noqa: S606 - the person asked for this program
