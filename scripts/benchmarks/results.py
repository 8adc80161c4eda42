"""The figures of a run: medians of passes, ratios of neighbouring samples, and what is made of several rows."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import define, field

Figures: TypeAlias = dict[str, float]
Results: TypeAlias = dict[str, dict[str, Any]]
"""By the row's name, either `skipped`: why; or these:

`gateway`, `floor`: the medians of the passes' figures. `gateway_passes`, `floor_passes`: each pass's, the medians of
its samples. `ratio`: the median of what a sample of the gateway was over the floor's beside it. `spread`: for
`gateway`, `floor` and `ratio` the least and the largest of all samples. `samples`: for either side how many were
taken, and how many that had to be. S9 has the first two alone.
"""

SIDES = ("gateway", "floor")
_EVENT, _REQUEST = "cpu µs/event", "cpu ms/request"
_SIZES = {"S9-0.1MB": 0.1, "S6": 1.5, "S9-6MB": 6.0}
LESS = ", less S9-0MB"


@define
class Measured:
    """What has been measured so far."""

    samples: dict[tuple[str, str], dict[tuple[int, int], Figures]] = field(factory=dict)
    """By row and side, then by pass and turn in it, both from nought."""
    skipped: dict[str, str] = field(factory=dict)
    """Rows that cannot be measured here, and why."""
    failures: list[str] = field(factory=list)
    wanted: dict[tuple[str, str], int] = field(factory=dict)
    """By row and side how many samples the whole run takes."""
    passes: int = 0
    """Those that came to their end."""

    def add(self, name: str, side: str, place: tuple[int, int], figures: Figures) -> None:
        self.samples.setdefault((name, side), {})[place] = figures

    def fail(self, name: str, side: str, said: str) -> None:
        """A sample that could not be taken: its row is told, with whatever it has."""
        self.samples.setdefault((name, side), {})
        self.failures.append(said)


def collected(measured: Measured) -> Results:
    """What was measured as results; growth too where its rows are there."""
    results: Results = {name: {"skipped": reason} for name, reason in measured.skipped.items()}
    for (name, side), samples in measured.samples.items():
        result = results.setdefault(name, {})
        passes = [
            median_of([one for (number, _), one in samples.items() if number == each])
            for each in sorted({number for number, _ in samples})
        ]
        result |= {side: median_of(passes), f"{side}_passes": passes}
        result.setdefault("spread", {})[side] = _spread(samples.values())
        result.setdefault("samples", {})[side] = [len(samples), measured.wanted.get((name, side), len(samples))]
        if side == "gateway" and (name, "floor") in measured.samples:
            ratios = _ratios(samples, measured.samples[name, "floor"])
            result["ratio"] = {figure: statistics.median(those) for figure, those in ratios.items()}
            result["spread"]["ratio"] = {figure: [min(those), max(those)] for figure, those in ratios.items()}
    for side in SIDES:
        if figures := growth({name: result[side] for name, result in results.items() if side in result}):
            results.setdefault("S9", {})[side] = figures
    return results


def median_of(passes: Sequence[Figures]) -> Figures:
    """The median of every figure that all of them have."""
    if not passes:
        return {}
    names = [name for name in passes[0] if all(name in one for one in passes)]
    return {name: statistics.median(one[name] for one in passes) for name in names}


def _spread(samples: Iterable[Figures]) -> dict[str, list[float]]:
    every: dict[str, list[float]] = {}
    for figures in samples:
        for name, value in figures.items():
            every.setdefault(name, []).append(value)
    return {name: [min(values), max(values)] for name, values in every.items()}


def _ratios(
    gateway: Mapping[tuple[int, int], Figures], floor: Mapping[tuple[int, int], Figures]
) -> dict[str, list[float]]:
    """By figure, what each sample of the gateway is over the floor's of the same turn."""
    ratios: dict[str, list[float]] = {}
    for place, figures in gateway.items():
        for name, value in figures.items():
            if least := floor.get(place, {}).get(name):
                ratios.setdefault(name, []).append(value / least)
    return ratios


def growth(rows: Mapping[str, Figures]) -> Figures:
    """S9: CPU an event of many streams over that of ten; CPU a megabyte of large bodies over that of 0.1 MB.

    A megabyte's cost is told twice: as it is, and less what a body of 1 kB costs (S9-0MB), which has no part in
    growth: with it the small body's megabytes look dear, and that hides some of what grows.
    """
    figures: Figures = {}
    few = rows.get("S9-10", {}).get(_EVENT)
    for name, streams in (("S9-100", 100), ("S9-400", 400)):
        many = rows.get(name, {}).get(_EVENT)
        if few and many:
            figures[f"event at {streams} streams"] = many / few
    costs = {size: rows.get(name, {}).get(_REQUEST) for name, size in _SIZES.items()}
    small = costs.pop(0.1)
    if not small:
        return figures
    for less, word in ((0.0, ""), (rows.get("S9-0MB", {}).get(_REQUEST), LESS)):
        if less is None or small <= less:
            continue
        for size, cost in costs.items():
            if cost is not None and cost >= less:
                figures[f"a MB at {size:g} MB{word}"] = ((cost - less) / size) / ((small - less) / 0.1)
    return figures
