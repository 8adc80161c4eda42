"""The table of one run, the JSON file of it, and the comparison of two."""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import orjson

from benchmarks.measure import Figures
from benchmarks.scenarios import Scenario

_PACKAGES = ("trio", "quart", "quart-trio", "hypercorn", "httpx", "h11", "orjson", "uvloop")
GROWTH = 1.3


def median_of(passes: Sequence[Figures]) -> Figures:
    """The median of every figure that all passes have."""
    if not passes:
        return {}
    return {name: statistics.median(one[name] for one in passes) for name in passes[0]}


def surroundings(cwd: Path, *, quick: bool, passes: int) -> dict[str, Any]:
    """Date, versions and machine: what figures mean nothing without."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=cwd, capture_output=True, text=True)
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
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


def rows(scenarios: Sequence[Scenario], results: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Scenario, figure, gateway, floor, ratio, target and verdict of each figure that the table of the issue names."""
    table = []
    for scenario in scenarios:
        result = results.get(scenario.name, {})
        gateway, floor = result.get("gateway", {}), result.get("floor", {})
        for name, figure in scenario.figures.items():
            value, least = gateway.get(name), floor.get(name)
            shown = f"{value:.4g} {figure.unit}" if value is not None else "failed"
            ratio = f"{value / least:.1f}" if value is not None and least else ""
            below = f"{'≥' if figure.least else '≤'} {figure.target:g}" if figure.target is not None else ""
            below += f" ({figure.stretch:g})" if figure.stretch is not None else ""
            at_floor = f"{least:.4g}" if least is not None else ""
            table.append(
                [scenario.name, name, shown, at_floor, ratio, below, _verdict(value, figure.target, least=figure.least)]
            )
    return table + _growth(results)


def _verdict(value: float | None, target: float | None, *, least: bool = False) -> str:
    if value is None:
        return "FAILED"
    if target is None:
        return ""
    if least:
        return "ok" if value >= target else f"{target - value:g} missing"
    return "ok" if value <= target else f"{value / target:.1f}× too much"


def _growth(results: dict[str, dict[str, Any]]) -> list[list[str]]:
    """S9: cost an event at more streams over that at ten; cost a megabyte, less what a small request costs anyway."""

    def cost(name: str, figure: str) -> float | None:
        value = results.get(name, {}).get("gateway", {}).get(figure)
        return float(value) if value is not None else None

    table = []
    few, event = cost("S9-10", "cpu µs/event"), "cpu µs/event"
    for name in ("S9-100", "S9-400"):
        many = cost(name, event)
        if few and many:
            table.append(_growth_row(f"{name} over S9-10", many / few))
    base = cost("S1s", "cpu ms/request") or 0.0
    each = {
        size: (value - base) / size
        for name, size in (("S9-0.1MB", 0.1), ("S6", 1.5), ("S9-6MB", 6.0))
        if (value := cost(name, "cpu ms/request")) is not None
    }
    if 0.1 in each:
        table += [
            _growth_row(f"a MB at {size:g} over 0.1", each[size] / each[0.1]) for size in (1.5, 6.0) if size in each
        ]
    return table


def _growth_row(name: str, value: float) -> list[str]:
    return ["S9", name, f"{value:.2f} ×", "", "", f"≤ {GROWTH}", _verdict(value, GROWTH)]


def text(table: Sequence[Sequence[str]], head: Sequence[str]) -> str:
    widths = [max(len(row[column]) for row in (head, *table)) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *table]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


HEAD = ("scenario", "figure", "gateway", "floor", "× floor", "to reach", "")


def compare(old: Path, new: Path) -> str:
    """Every figure of the gateway in both files, with the change; relative to the floor too, which machines share."""
    first, second = (orjson.loads(path.read_bytes()) for path in (old, new))
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
    said = [
        f"{kind}: {one['about']['date']} {one['about']['commit']}" for kind, one in (("old", first), ("new", second))
    ]
    return "\n".join(said) + "\n" + text(table, ("scenario", "figure", "old", "new", "change", "against floor"))


def write(path: Path, about: dict[str, Any], results: dict[str, dict[str, Any]]) -> None:
    document = {"about": about, "results": results}
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
    print(f"written: {path}", file=sys.stderr)
