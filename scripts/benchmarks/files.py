"""The JSON file of a run, the document that its table stands in: read, checked ahead of a run, written."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS, chosen

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
_SHOWN = 60
"""Characters of what is wrong that a refusal repeats."""


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


def has_rows(path: Path, document: dict[str, Any], names: str) -> None:
    """Raises ValueError where the file has none of the rows that one of these names, separated by commas, means."""
    there = document["results"]
    for name in filter(None, map(str.strip, names.split(","))):
        if not any(scenario.name in there for scenario in chosen(name)):
            raise ValueError(f"{path} has no row {name}; it has {', '.join(there) or 'none at all'}")


def _fault(document: object) -> str:
    """The first thing that differs from what `write` makes of a run, "" for none."""
    if not isinstance(document, dict):
        return "it is not an object with `about` and `results`"
    for member in ("about", "results"):
        if not isinstance(document.get(member), dict):
            return f"`{member}` is missing, or no object"
    about = document["about"]
    for member, kind in _ABOUT.items():
        if not isinstance(about.get(member), kind):
            return f"`about.{member}` is missing, or of another kind"
    if not _is_count(about["passes"], 1):
        return f"`about.passes` is {_json(about['passes'])}, no number of passes"
    if not _is_count(about.get("passes_done", 0), 0):
        return f"`about.passes_done` is {_json(about['passes_done'])}, no number of passes"
    if not all(isinstance(version, str) for version in about["packages"].values()):
        return "`about.packages` has a version that is no text"
    failures = about.get("failures", [])
    if not isinstance(failures, list) or not all(isinstance(one, str) for one in failures):
        return "`about.failures` is no list of texts"
    return next((fault for name, row in document["results"].items() if (fault := _fault_of_row(name, row))), "")


def _fault_of_row(name: str, row: object) -> str:
    where = f"results.{name}"
    if not isinstance(row, dict) or not row.keys() & {"gateway", "floor", "skipped"}:
        return f"`{where}` has neither `gateway` nor `floor` nor `skipped`"
    if not isinstance(row.get("skipped", ""), str):
        return f"`{where}.skipped` is {_json(row['skipped'])}, and not why"
    parts = [(part, row[part]) for part in ("gateway", "floor", "ratio") if part in row]
    for part in ("gateway_passes", "floor_passes"):
        passes = row.get(part, [])
        if not isinstance(passes, list):
            return f"`{where}.{part}` is no list"
        parts += [(f"{part}.{number}", figures) for number, figures in enumerate(passes)]
    for part, figures in parts:
        if fault := _fault_of_figures(f"{where}.{part}", figures):
            return fault
    return _fault_of_spread(where, row.get("spread", {})) or _fault_of_samples(where, row.get("samples", {}))


def _fault_of_figures(where: str, figures: object) -> str:
    if not isinstance(figures, dict):
        return f"`{where}` is no object of numbers"
    odd = next((name for name, value in figures.items() if not _is_figure(value)), None)
    return "" if odd is None else f"`{where}.{odd}` is {_json(figures[odd])}, and a figure is a number, 0 or more"


def _fault_of_spread(where: str, spread: object) -> str:
    if not isinstance(spread, dict):
        return f"`{where}.spread` is no object"
    for part, figures in spread.items():
        if not isinstance(figures, dict):
            return f"`{where}.spread.{part}` is no object"
        for name, pair in figures.items():
            if not (isinstance(pair, list) and len(pair) == 2 and all(map(_is_figure, pair)) and pair[0] <= pair[1]):
                return f"`{where}.spread.{part}.{name}` is {_json(pair)}, and not the least and the largest"
    return ""


def _fault_of_samples(where: str, samples: object) -> str:
    if not isinstance(samples, dict):
        return f"`{where}.samples` is no object"
    for side, pair in samples.items():
        if not (isinstance(pair, list) and len(pair) == 2 and all(_is_count(one, 0) for one in pair)):
            return f"`{where}.samples.{side}` is {_json(pair)}, and not how many there are and should be"
    return ""


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _json(value: object) -> str:
    return orjson.dumps(value).decode()[:_SHOWN]
