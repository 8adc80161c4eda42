"""The table of one run as text and as Markdown, and the comparison of two."""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import lacks
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS, Figure, Scenario

_PACKAGES = ("trio", "quart", "quart-trio", "hypercorn", "httpx", "h11", "orjson", "uvloop")
HEAD = (
    "row",
    "figure",
    "gateway (least)",
    "floor (least)",
    "× floor",
    "to reach (stretch)",
    "to reach × floor here / there",
    "",
)
"""Least: of all samples, where there are several a pass. The last but one: the target, moved as the floor is from the
machine that the targets come from to this one."""


def surroundings(cwd: Path, *, quick: bool, passes: int, command: str) -> dict[str, Any]:
    """Date, versions and machine: what figures mean nothing without."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=cwd, capture_output=True, text=True, check=False
    )
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "commit": commit.stdout.strip(),
        "python": f"{platform.python_version()} ({platform.python_compiler()})",
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


def rows(scenarios: Sequence[Scenario], results: Results, passes: int, *, stopped: bool = False) -> list[list[str]]:
    """Row, figure, gateway, floor, ratio, target, the target moved with the floor, and the verdict on the target.

    One list for each figure that has a place in the table. In the place of the verdict stands what a row lacks: of half
    the samples nobody knows whether a target is reached. `stopped`: what is not there may only not have had its turn.
    """
    table = []
    for scenario in scenarios:
        result = results.get(scenario.name, {})
        gateway, floor = result.get("gateway", {}), result.get("floor", {})
        if "skipped" in result:
            table.append([scenario.name, "", "", "", "", "", "", f"skipped: {result['skipped']}"])
            continue
        lost = lacks.of_row(scenario, results, passes)
        for name in lacks.expected(scenario, results):
            figure, value, lowest = scenario.figures[name], gateway.get(name), floor.get(name)
            table.append(
                [
                    scenario.name,
                    name,
                    _cell(value, f" {figure.unit}", _best(scenario, figure, result, "gateway", name)),
                    _cell(lowest, "", _best(scenario, figure, result, "floor", name)),
                    _beside(result, name, figure.unit),
                    *_targets(figure, lowest),
                    _verdict(value, figure, lost, "not measured" if stopped else "FAILED"),
                ]
            )
    return table


def _ratio(result: Mapping[str, Any], name: str) -> float | None:
    """Of neighbouring samples; of the medians in files from before that was kept. None where there is none."""
    if name in result.get("ratio", {}):
        return float(result["ratio"][name])
    value, least = (result.get(side, {}).get(name) for side in ("gateway", "floor"))
    return float(value / least) if value is not None and least else None


def _passes(name: str, unit: str) -> bool:
    """Whether a figure is time that passes, much of it waited for: that has no proportion to the floor's."""
    return unit in ("ms", "s") and not name.startswith("cpu ")


def _beside(result: Mapping[str, Any], name: str, unit: str) -> str:
    """How many times the floor's figure; how much more where it is time that passes. "" where there is none."""
    value, least = (result.get(side, {}).get(name) for side in ("gateway", "floor"))
    if _passes(name, unit):
        return f"{_figure(value - least, sign='+')} {unit}" if value is not None and least is not None else ""
    ratio = _ratio(result, name) if unit != "×" else None
    return f"{ratio:.1f}" if ratio is not None else ""


def _targets(figure: Figure, floor: float | None) -> tuple[str, str]:
    """The target with the stretch, and the target moved with the floor; "" where there is none."""
    if figure.target is None:
        return "", ""
    sign = "≥" if figure.least else "≤"
    stretch = f" ({figure.stretch:g})" if figure.stretch is not None else ""
    moved = f"{sign} {_figure(figure.target * floor / figure.floor)}" if floor and figure.floor else ""
    return f"{sign} {figure.target:g}{stretch}", moved


def _figure(value: float, sign: str = "") -> str:
    return f"{value:{sign}.3g}" if abs(value) < 1000 else f"{value:{sign}.0f}"


def _best(scenario: Scenario, figure: Figure, result: Mapping[str, Any], side: str, name: str) -> float | None:
    """The least of all samples, of a figure of CPU; None where a pass has one sample."""
    found = result.get("spread", {}).get(side, {}).get(name) if name.startswith("cpu ") else None
    return float(found[0]) if found and scenario.turns > 1 and not figure.least else None


def _cell(value: float | None, unit: str, best: float | None) -> str:
    if value is None:
        return ""
    return f"{_figure(value)}{unit}" + (f" ({_figure(best)})" if best is not None else "")


def _verdict(value: float | None, figure: Figure, lost: str, absent: str) -> str:
    target, stretch = figure.target, figure.stretch
    if value is None:
        return f"{absent}: {lost}" if lost else absent
    if lost:
        return f"not whole: {lost}"
    if target is None:
        return ""
    if figure.least:
        return "reached" if value >= target else f"{_figure(target - value)} missing"
    if stretch is not None and value <= stretch:
        return "stretch reached"
    return "reached" if value <= target else f"{_figure(value / target)}× too much"


def about_line(about: dict[str, Any]) -> str:
    passes = about["passes"]
    kind = f"median of {passes} interleaved passes" if passes > 1 else "one pass"
    kind = f"quick, {kind.replace('one', 'one short')}" if about["quick"] else kind
    if about.get("stopped"):
        kind += (
            f", stopped before its end ({passes_of(about)})" if "passes_done" in about else ", stopped before its end"
        )
    return f"{about['date']}, commit {about['commit']}, Python {about['python']}, {about['machine']}; {kind}"


def passes_of(about: Mapping[str, Any]) -> str:
    """How many passes there were: of a run that was stopped, those that came to their end."""
    passes, done = about["passes"], about.get("passes_done")
    counted = "1 pass" if passes == 1 else f"{passes} passes"
    return counted if done is None else f"{done} of {counted} whole"


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
    for name, *cells in rows(here, results, about["passes"]):
        table.append([name if name != shown else "", works[name] if name != shown else "", *cells])
        shown = name
    head = (HEAD[0], "work", *HEAD[1:])
    lines = [head, ["---"] * len(head), *table]
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items() if version)
    said = f"{about_line(about)}. With {packages}. Measured by `{about['command']}`."
    return "\n".join([said, "", *("| " + " | ".join(line) + " |" for line in lines)])


def compare(first: dict[str, Any], second: dict[str, Any], names: Collection[str]) -> str:
    """Of these rows every figure of the gateway that both runs have, with the change.

    Relative to the floor too, which two machines share, unless it is time that passes.
    """
    table = []
    units = {(one.name, name): figure.unit for one in SCENARIOS for name, figure in one.figures.items()}
    for name, result in second["results"].items():
        before = first["results"].get(name, {})
        for figure, value in result.get("gateway", {}).items():
            earlier = before.get("gateway", {}).get(figure)
            if earlier is None or name not in names:
                continue
            then, now = _ratio(before, figure), _ratio(result, figure)
            if _passes(figure, units.get((name, figure), "")):
                then = now = None
            against = f"{now / then - 1:+.0%}" if now is not None and then else ""
            change = f"{value / earlier - 1:+.0%}" if earlier else ""
            table.append([name, figure, f"{earlier:.4g}", f"{value:.4g}", change, against])
    said = [f"{kind}: {about_line(one['about'])}" for kind, one in (("old", first), ("new", second))]
    if first["about"]["machine"] != second["about"]["machine"]:
        said.append("Measured on different machines: only what is against the floor can be compared.")
    if not table:
        return "\n".join([*said, "No figure of these rows is in both."])
    return "\n".join(said) + "\n" + text(table, ("row", "figure", "old", "new", "change", "against floor"))
