"""What a run has lost: samples, passes, figures. A row that lacks some has no verdict, and no place in a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.results import SIDES, Results
from benchmarks.scenarios import SCENARIOS, Scenario


def of_row(scenario: Scenario, results: Results, passes: int) -> str:
    """What this row lacks in its samples or in those of the rows that it is made of, "" for nothing."""
    if scenario.needs:
        made_of = [one for one in SCENARIOS if one.name in scenario.needs and one.name in results]
        lacking = [one.name for one in made_of if of_row(one, results, passes)]
        return f"made of {', '.join(lacking)}" if lacking else ""
    return _lost(results.get(scenario.name, {}), passes)


def of_run(about: Mapping[str, Any], results: Results) -> str:
    """All that a run lacks, one behind the other, "" for nothing. Rows that were skipped are not lacking."""
    said = list(_of_rows(results, about["passes"]))
    if about.get("stopped"):
        said.insert(0, "the run was stopped before its end")
    if about.get("failures") and not said:
        said.append("; ".join(about["failures"]))
    return "; ".join(said)


def _of_rows(results: Results, passes: int) -> Iterator[str]:
    for scenario in SCENARIOS:
        result = results.get(scenario.name, {"skipped": ""})
        if "skipped" in result:
            continue
        if lost := of_row(scenario, results, passes):
            yield f"{scenario.name}: {lost}"
        elif gone := [name for name in expected(scenario, results) if name not in result.get("gateway", {})]:
            yield f"{scenario.name}: no {', '.join(gone)}"


def expected(scenario: Scenario, results: Results) -> list[str]:
    """The figures that the row has to have; one made of other rows only those that it has, where some were not asked
    for."""
    if any(name not in results for name in scenario.needs):
        there = results.get(scenario.name, {}).get("gateway", {})
        return [name for name in scenario.figures if name in there]
    return list(scenario.figures)


def _lost(result: Mapping[str, Any], passes: int) -> str:
    measured = len(result["gateway_passes"]) if "gateway_passes" in result else passes
    if 0 < measured < passes:
        return f"{measured} of {passes} passes"
    counts = [(side, *result.get("samples", {}).get(side, (0, 0))) for side in SIDES]
    return ", ".join(f"{side} {taken} of {wanted} samples" for side, taken, wanted in counts if taken < wanted)
