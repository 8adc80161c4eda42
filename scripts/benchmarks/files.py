"""The JSON file of a run, the document that its table stands in: read, checked ahead of a run, written."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS

BEGIN, END = "<!-- table -->", "<!-- end of table -->"
"""Between these two lines of a document the table stands."""
_ABOUT: Mapping[str, type] = {
    "date": str,
    "commit": str,
    "python": str,
    "packages": dict,
    "machine": str,
    "command": str,
    "quick": bool,
    "passes": int,
}


def writable(path: Path) -> None:
    """Raises OSError where the file could not be written; leaves nothing behind."""
    there = path.exists()
    with path.open("ab"):
        pass
    if not there:
        path.unlink()


def has_place(document: Path) -> None:
    """Raises OSError and ValueError where the document could not take the table."""
    if document.exists():
        _parted(document)
    writable(document)


def put_into(document: Path, table: str) -> None:
    """Put the Markdown table between the two marks of a document, or make it the whole of a new one."""
    before, after = _parted(document) if document.exists() else ("", "\n")
    document.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def _parted(document: Path) -> tuple[str, str]:
    """What stands in front of the table's place, and behind it."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no lines {BEGIN} and {END} for the table to stand between")
    return before, after


def write(path: Path, about: dict[str, Any], results: Results) -> None:
    document = {"about": about, "results": results}
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    print(f"written: {path}", file=sys.stderr)


def read(path: Path) -> dict[str, Any]:
    """A file of `write`. Raises OSError, and ValueError that says what is wrong with it."""
    content = path.read_bytes()
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as wrong:
        raise ValueError(f"{path} is no JSON ({wrong}); a file that scripts/bench --json wrote is wanted") from wrong
    if fault := _fault(document):
        raise ValueError(f"{path} is not a file that scripts/bench --json wrote: {fault}")
    found: dict[str, Any] = document
    known = {scenario.name for scenario in SCENARIOS}
    if strange := [name for name in found["results"] if name not in known]:
        raise ValueError(
            f"{path} has rows that there are not: {', '.join(strange)}; --list names those there are, "
            f"and commit {found['about']['commit'] or 'unknown'} wrote the file"
        )
    return found


def _fault(document: object) -> str:
    """The first thing that differs from what `write` makes of a run, "" for none."""
    if not isinstance(document, dict):
        return "it is not an object with `about` and `results`"
    for member in ("about", "results"):
        if not isinstance(document.get(member), dict):
            return f"`{member}` is missing, or no object"
    for member, kind in _ABOUT.items():
        if not isinstance(document["about"].get(member), kind):
            return f"`about.{member}` is missing, or of another kind"
    return next((fault for name, row in document["results"].items() if (fault := _fault_of_row(name, row))), "")


def _fault_of_row(name: str, row: object) -> str:
    if not isinstance(row, dict) or not row.keys() & {"gateway", "floor", "skipped"}:
        return f"`results.{name}` has neither `gateway` nor `floor` nor `skipped`"
    for part in ("gateway", "floor", "ratio"):
        figures = row.get(part, {})
        if not isinstance(figures, dict) or not all(_is_number(value) for value in figures.values()):
            return f"`results.{name}.{part}` is no object of numbers"
    for part in ("gateway_passes", "floor_passes"):
        if not isinstance(row.get(part, []), list):
            return f"`results.{name}.{part}` is no list"
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
