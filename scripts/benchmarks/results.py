"""The figures of a run: medians of the passes, and what is made of several rows' figures."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Figures: TypeAlias = dict[str, float]
Results: TypeAlias = dict[str, dict[str, Any]]
"""By the row's name: `gateway` and `floor` (medians), `gateway_passes` and `floor_passes`, or `skipped`: why."""

_EVENT, _REQUEST = "cpu µs/event", "cpu ms/request"


def collected(every: Mapping[tuple[str, str], Sequence[Figures]], skipped: Mapping[str, str]) -> Results:
    """What was measured, by row and side, as results; growth too where its rows are there."""
    results: Results = {name: {"skipped": reason} for name, reason in skipped.items()}
    for (name, side), passes in every.items():
        result = results.setdefault(name, {})
        result[side] = median_of(passes)
        result[f"{side}_passes"] = list(passes)
    for side in ("gateway", "floor"):
        if figures := growth({name: result[side] for name, result in results.items() if side in result}):
            results.setdefault("S9", {})[side] = figures
    return results


def median_of(passes: Sequence[Figures]) -> Figures:
    """The median of every figure that all passes have."""
    if not passes:
        return {}
    names = [name for name in passes[0] if all(name in one for one in passes)]
    return {name: statistics.median(one[name] for one in passes) for name in names}


def growth(rows: Mapping[str, Figures]) -> Figures:
    """S9: CPU an event of many streams over that of ten; CPU a megabyte of large bodies over that of 0.1 MB.

    A megabyte's cost is what a body costs beyond the smallest one (S9-0MB), which has no part in growth: else it
    would make the small body's megabytes look dear and so hide what grows.
    """
    figures: Figures = {}
    few = rows.get("S9-10", {}).get(_EVENT)
    for name, streams in (("S9-100", 100), ("S9-400", 400)):
        many = rows.get(name, {}).get(_EVENT)
        if few and many:
            figures[f"event at {streams} streams"] = many / few
    costs = {size: rows.get(name, {}).get(_REQUEST) for name, size in _SIZES.items()}
    least, small = costs.pop(0.0), costs.pop(0.1)
    if least is None or small is None or small <= least:
        return figures
    for size, cost in costs.items():
        if cost is not None:
            figures[f"MB at {size:g} MB"] = ((cost - least) / size) / ((small - least) / 0.1)
    return figures


_SIZES = {"S9-0MB": 0.0, "S9-0.1MB": 0.1, "S6": 1.5, "S9-6MB": 6.0}
