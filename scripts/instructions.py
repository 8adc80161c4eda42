"""instructions.py [--update] [--keep FOLDER]: instructions of the hot path on fixed inputs, against a stored baseline.

The work of instructions_work.py runs once under `valgrind --tool=callgrind`, which begins a new file at each of the
work's marks; the sums in these files are the counts. They hardly depend on the machine or on what else runs on it, so
this is no timed test. Of the passes over one input the cheapest counts.

How much they do depend: between runs and with another order of hashes or length of the environment 1.2 %; with the C
library kept from AVX2, BMI2 and SSE 4 (as on an old processor) 2.2 %. Valgrind shows every program the same processor
with AVX2 at most, so that newer ones make no difference. That leaves 7 % of the tolerance to the code. The row that
looks up known words makes many small strings and has little else to do: where they come to lie in memory moves it by
4 %, which another machine or a module more may do.

The baseline, instructions.json, has an entry for each version of Python. Exits 1 where a count is more than 10 % off:
a larger one is a regression, a smaller one leaves room for regressions until `--update` stores it. Says why and exits
0 where nothing can be judged: without valgrind, or on another build of Python than the baseline's. Where counts are
off and a library has another version than in the baseline's entry, it says which.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

HERE: Final = Path(__file__).parent
WORK: Final = HERE / "instructions_work.py"
BASELINE: Final = HERE / "instructions.json"
VERSION: Final = ".".join(map(str, sys.version_info[:2]))

TOLERANCE: Final = 0.10
MARK: Final = "getppid"
"""The function whose calls are the marks."""
MARKS: Final = 3
"""Marks of one row: before, between and behind its two passes."""
LONGEST: Final = 300
"""Seconds; it takes about thirty."""

_SUMMARY = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


class CannotCountError(Exception):
    """There is no working valgrind here; the message says why."""


@frozen
class Row:
    """What one pass over one input costs."""

    name: str
    items: int
    instructions: int


@frozen
class Build:
    """What else decides about the counts: they are compared only where these are the same."""

    machine: str
    implementation: str
    compiler: str
    options: str
    """How this Python was configured, as far as it makes it faster or slower."""

    @staticmethod
    def of_this_python() -> Build:
        given = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
        options = re.findall(r"--(?:enable|with|disable|without)-[a-z-]+", given)
        # The compiler's patch level and the distribution's own number do not matter.
        compiler = re.sub(r"^(\w+ \d+).*", r"\1", platform.python_compiler())
        options = sorted({option for option in options if re.search("optimizations|lto|debug|bolt|gil|jit", option)})
        return Build(platform.machine(), platform.python_implementation(), compiler, " ".join(options))


def _libraries() -> dict[str, str]:
    """Whose versions change the counts as well."""
    return {name: metadata.version(name) for name in ("attrs", "orjson")} | {"libc": " ".join(platform.libc_ver())}


def _moved(stored: Mapping[str, str]) -> str:
    """Which of them are other ones than they were, "" for none."""
    here = _libraries()
    return ", ".join(f"{name} {stored[name]} → {here[name]}" for name in stored if stored[name] != here.get(name))


def _environment() -> dict[str, str]:
    """The same for everyone: nothing of the caller's own changes what is counted."""
    return {"PATH": os.defpath, "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=_environment(), cwd=folder, capture_output=True, text=True, timeout=LONGEST, check=False
    )


def _valgrind(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("valgrind")
    if program is None:
        raise CannotCountError("valgrind is not installed: apt-get install valgrind")
    options = ["--quiet", "--tool=callgrind", f"--dump-before={MARK}", "--dump-line=no"]
    return _run(folder, program, *options, f"--callgrind-out-file={folder}/callgrind", *command)


def count(folder: Path) -> list[Row]:
    """Runs the work; callgrind's files go to `folder`. Raises `CannotCountError` where valgrind does not run."""
    tried = _valgrind(folder, "/bin/true")
    if tried.returncode:
        raise CannotCountError(f"valgrind does not run here: {(tried.stderr.strip() or 'no reason given')[-300:]}")
    # Once without, so that every module has its bytecode: one that is compiled first leaves another heap behind.
    alone = _run(folder, sys.executable, str(WORK))
    if alone.returncode:
        sys.exit(f"The work failed (exit {alone.returncode}):\n{alone.stderr}")
    ran = _valgrind(folder, sys.executable, str(WORK))
    if ran.returncode:
        sys.exit(f"The work failed under valgrind (exit {ran.returncode}):\n{ran.stdout}{ran.stderr}")
    work = json.loads(ran.stdout)
    expected = len(work) * MARKS
    files = [folder / f"callgrind.{number}" for number in range(1, expected + 1)]
    if not all(file.exists() for file in files) or (folder / f"callgrind.{expected + 1}").exists():
        found = len(list(folder.glob("callgrind.*")))
        sys.exit(f"callgrind saw {found} marks where {expected} were set: is {MARK} called by something else?")
    rows = []
    for number, (name, items) in enumerate(work):
        # The first file of a row is what lies between the rows.
        passes = files[number * MARKS + 1 : (number + 1) * MARKS]
        rows.append(Row(name, items, min(map(_instructions, passes))))
    return rows


def _instructions(file: Path) -> int:
    found = _SUMMARY.search(file.read_text(errors="replace"))
    if found is None:
        sys.exit(f"{file} has no sum: not a file of callgrind's?")
    return int(found[1])


def report(rows: list[Row], stored: Mapping[str, int]) -> list[str]:
    """Prints the table, and gives the names of the rows that are not within the tolerance."""
    names = [row.name for row in rows]
    gone = [name for name in stored if name not in names]
    width = max(map(len, [*names, *gone]))
    print(f"{'':{width}}  {'per item':>9}  {'a pass':>11}  {'baseline':>11}  {'change':>8}")
    off = []
    for row in rows:
        line = f"{row.name:{width}}  {row.instructions // row.items:>9,}  {row.instructions:>11,}"
        before = stored.get(row.name)
        if before is None:
            print(f"{line}  {'-':>11}  {'new':>8}")
            off.append(row.name)
            continue
        change = row.instructions / before - 1
        verdict = "" if abs(change) <= TOLERANCE else "  SLOWER" if change > 0 else "  FASTER: --update"
        print(f"{line}  {before:>11,}  {change:>+8.1%}{verdict}")
        if verdict:
            off.append(row.name)
    for name in gone:
        print(f"{name:{width}}  {'-':>9}  {'-':>11}  {stored[name]:>11,}  {'gone':>8}")
    return off + gone


def _store(baselines: dict[str, Any], rows: list[Row]) -> None:
    baselines[VERSION] = {
        "python": platform.python_version(),
        "build": asdict(Build.of_this_python()),
        "libraries": _libraries(),
        "counts": {row.name: row.instructions for row in rows},
    }
    ordered = dict(sorted(baselines.items(), key=lambda entry: tuple(map(int, entry[0].split(".")))))
    BASELINE.write_text(json.dumps(ordered, indent=2) + "\n")


def _baselines() -> dict[str, Any]:
    """By the version of Python, none where there is no file. Raises ValueError where it is not what `_store` writes."""
    if not BASELINE.exists():
        return {}
    try:
        baselines: dict[str, Any] = json.loads(BASELINE.read_text())
        if all(isinstance(one["build"], dict) and isinstance(one["counts"], dict) for one in baselines.values()):
            return baselines
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    raise ValueError(f"{BASELINE} is not a file that --update wrote: take it from the repository again, or remove it")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/instructions", description="Instruction counts of the hot path.")
    parser.add_argument("--update", action="store_true", help="store what is counted as the baseline of this Python")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep callgrind's files there, for callgrind_annotate"
    )
    asked = parser.parse_args()
    try:
        baselines = _baselines()
        if asked.keep is not None:
            asked.keep.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as wrong:
        print(f"instructions: {wrong}", file=sys.stderr)
        return 2
    stored = baselines.get(VERSION)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            rows = count(Path(scratch))
        except CannotCountError as reason:
            print(f"== skipped: the instruction counts ({reason})")
            # Who asked for a new baseline has not got one.
            return 1 if asked.update else 0
        except subprocess.TimeoutExpired as late:
            sys.exit(f"The work took more than {late.timeout:.0f} s")
        if asked.keep is not None:
            shutil.copytree(scratch, asked.keep, dirs_exist_ok=True)
    off = report(rows, stored["counts"] if stored else {})
    if asked.update:
        _store(baselines, rows)
        print(f"Stored as the baseline of Python {VERSION}.")
        return 0
    if stored is None:
        print(f"== skipped: the instruction counts (no baseline for Python {VERSION}; --update stores one)")
        return 0
    here = asdict(Build.of_this_python())
    if stored["build"] != here:
        print(f"== skipped: the instruction counts (baseline of another build: {stored['build']}; this is {here})")
        return 0
    if off:
        if moved := _moved(stored.get("libraries", {})):
            print(f"Other versions than the baseline's: {moved}. If they are why, store the counts anew.")
        print(
            f"{len(off)} of {len(rows)} instruction counts on Python {VERSION} are more than {TOLERANCE * 100:.0f} % "
            f"off the baseline, new or gone: {'; '.join(off)}.\nIf that is meant: VENV={Path(sys.prefix).name} "
            "./scripts/instructions --update. Where it comes from: --keep FOLDER, then callgrind_annotate."
        )
    return bool(off)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)  # the scratch folder is gone by now, and valgrind had its Ctrl-C as well
