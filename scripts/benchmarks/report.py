"""The table of one run as text and as Markdown, the JSON file of it, and the comparison of two."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import orjson

from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS, Scenario

_PACKAGES = ("trio", "quart", "quart-trio", "hypercorn", "httpx", "h11", "orjson", "uvloop")
HEAD = ("row", "figure", "gateway", "floor", "× floor", "to reach (stretch)", "")
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
"""Between these two lines of a document the table stands."""


def surroundings(cwd: Path, *, quick: bool, passes: int, command: str) -> dict[str, Any]:
    """Date, versions and machine: what figures mean nothing without."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=cwd, capture_output=True, text=True, check=False
    )
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}, {_processor()}",
        "command": command,
        "quick": quick,
        "passes": passes,
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} × {names[0]}" if names else ""


def rows(scenarios: Sequence[Scenario], results: Results) -> list[list[str]]:
    """Row, figure, gateway, floor, ratio, target and verdict of each figure that has a place in the table."""
    table = []
    for scenario in scenarios:
        result = results.get(scenario.name, {})
        gateway, floor = result.get("gateway", {}), result.get("floor", {})
        if "skipped" in result:
            table.append([scenario.name, "", "", "", "", "", f"skipped: {result['skipped']}"])
            continue
        for name, figure in scenario.figures.items():
            value, least = gateway.get(name), floor.get(name)
            below = f"{'≥' if figure.least else '≤'} {figure.target:g}" if figure.target is not None else ""
            below += f" ({figure.stretch:g})" if figure.stretch is not None else ""
            table.append(
                [
                    scenario.name,
                    name,
                    f"{_figure(value)} {figure.unit}" if value is not None else "",
                    _figure(least) if least is not None else "",
                    f"{value / least:.1f}" if value is not None and least and figure.unit != "×" else "",
                    below,
                    _verdict(value, figure.target, figure.stretch, least=figure.least),
                ]
            )
    return table


def _figure(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _verdict(value: float | None, target: float | None, stretch: float | None, *, least: bool) -> str:
    if value is None:
        return "FAILED"
    if target is None:
        return ""
    if least:
        return "reached" if value >= target else f"{_figure(target - value)} missing"
    if stretch is not None and value <= stretch:
        return "stretch reached"
    return "reached" if value <= target else f"{_figure(value / target)}× too much"


def about_line(about: dict[str, Any]) -> str:
    kind = "quick, one short pass" if about["quick"] else f"median of {about['passes']} interleaved passes"
    return f"{about['date']}, commit {about['commit']}, Python {about['python']}, {about['machine']}; {kind}"


def text(table: Sequence[Sequence[str]], head: Sequence[str]) -> str:
    widths = [max(len(row[column]) for row in (head, *table)) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *table]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def markdown(about: dict[str, Any], results: Results) -> str:
    """The table with what was measured, when and on what, to stand in a document."""
    here = [scenario for scenario in SCENARIOS if scenario.name in results]
    works = {scenario.name: scenario.work for scenario in here}
    table, shown = [], ""
    for name, *cells in rows(here, results):
        table.append([name if name != shown else "", works[name] if name != shown else "", *cells])
        shown = name
    head = (HEAD[0], "work", *HEAD[1:])
    lines = [head, ["---"] * len(head), *table]
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items() if version)
    said = f"{about_line(about)}. With {packages}. Measured by `{about['command']}`."
    return "\n".join([said, "", *("| " + " | ".join(line) + " |" for line in lines)])


def put_into(document: Path, table: str) -> None:
    """Put the Markdown table between the two marks of a document, or make it the whole of a new one."""
    if not document.exists():
        document.write_text(f"{BEGIN}\n{table}\n{END}\n")
        return
    before, begin, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no lines {BEGIN} and {END} for the table to stand between")
    document.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def compare(old: Path, new: Path) -> str:
    """Every figure of the gateway in both files, with the change; relative to the floor too, which machines share."""
    first, second = read(old), read(new)
    table = []
    for name, result in second["results"].items():
        before = first["results"].get(name, {})
        for figure, value in result.get("gateway", {}).items():
            earlier = before.get("gateway", {}).get(figure)
            if earlier is None:
                continue
            floors = before.get("floor", {}).get(figure), result.get("floor", {}).get(figure)
            against = f"{(value / floors[1]) / (earlier / floors[0]) - 1:+.0%}" if all(floors) and earlier else ""
            change = f"{value / earlier - 1:+.0%}" if earlier else ""
            table.append([name, figure, f"{earlier:.4g}", f"{value:.4g}", change, against])
    said = [f"{kind}: {about_line(one['about'])}" for kind, one in (("old", first), ("new", second))]
    if first["about"]["machine"] != second["about"]["machine"]:
        said.append("Measured on different machines: only what is against the floor can be compared.")
    return "\n".join(said) + "\n" + text(table, ("row", "figure", "old", "new", "change", "against floor"))


def read(path: Path) -> dict[str, Any]:
    """A file of `write`. Raises OSError and ValueError."""
    document = orjson.loads(path.read_bytes())
    if not isinstance(document, dict) or not {"about", "results"} <= document.keys():
        raise ValueError(f"{path} is not a file that scripts/bench --json wrote")
    return document


def write(path: Path, about: dict[str, Any], results: Results) -> None:
    document = {"about": about, "results": results}
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    print(f"written: {path}", file=sys.stderr)
