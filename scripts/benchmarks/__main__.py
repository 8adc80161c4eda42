"""scripts/bench: measure the gateway against the floor, or compare two measurements."""

from __future__ import annotations

import argparse
import resource
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.measure import Failed, Figures, Stand, measure
from benchmarks.processes import GatewayCommand, Load, processors, start_own
from benchmarks.scenarios import SCENARIOS, Scenario, chosen

_PASSES = 3


def main() -> int:
    options = _options()
    if options.list:
        print("\n".join(f"{one.name:<10}{one.work}" for one in SCENARIOS))
        return 0
    if options.compare:
        print(report.compare(*options.compare))
        return 0
    try:
        scenarios = chosen(options.scenarios)
    except KeyError as unknown:
        print(f"bench: there is no scenario {unknown}; --list names them", file=sys.stderr)
        return 2
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    passes = options.passes or (1 if options.quick else _PASSES)
    command = GatewayCommand(shlex.split(options.gateway), options.source.resolve(), shlex.split(options.arguments))
    started = time.monotonic()
    results, failures = _run(command, scenarios, passes, quick=options.quick)
    about = report.surroundings(command.cwd, quick=options.quick, passes=passes)
    print(f"{about['date']}, commit {about['commit']}, Python {about['python']}, {about['machine']}")
    print(report.text(report.rows(scenarios, results), report.HEAD))
    print(f"{passes} pass(es), {time.monotonic() - started:.0f} s")
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    if options.json:
        report.write(options.json, {**about, "failures": failures}, results)
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("scenarios", nargs="?", default="", help="names, separated by commas; all by default")
    parser.add_argument("--quick", action="store_true", help="one short pass, under a minute")
    parser.add_argument("--passes", type=int, help=f"passes, interleaved; {_PASSES} by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("OLD", "NEW"), help="compare two such files")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument(
        "--gateway",
        default=f"{shlex.quote(sys.executable)} -m kirotrio",
        help="command of the gateway, without `serve` (dist/kirotrio for the executable)",
    )
    parser.add_argument("--arguments", default="", help="what else to tell `serve`, like '--workers 2'")
    parser.add_argument("--source", type=Path, default=Path.cwd(), help="folder to start it in")
    return parser.parse_args()


def _run(
    command: GatewayCommand, scenarios: tuple[Scenario, ...], passes: int, *, quick: bool
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Every scenario in every pass, gateway and floor in turn; the medians, all passes' figures, and what failed."""
    measured, others = processors()
    if measured == others:
        print("bench: one processor alone: gateway, load and upstream share it", file=sys.stderr)
    stand = Stand(start_own("upstream", others), Load(), command, quick, measured, others)
    every: dict[tuple[str, str], list[Figures]] = {}
    failures: list[str] = []
    try:
        for number in range(passes):
            for scenario in scenarios:
                if number and not scenario.passes:
                    continue
                for side in ("floor", "gateway") if scenario.floor else ("gateway",):
                    began = time.monotonic()
                    try:
                        figures = measure(stand, scenario, side)
                    except (Failed, OSError) as wrong:
                        failures.append(f"{scenario.name} {side}, pass {number + 1}: {wrong}")
                        continue
                    every.setdefault((scenario.name, side), []).append(figures)
                    print(
                        f"{number + 1}/{passes} {scenario.name} {side} {time.monotonic() - began:.1f} s",
                        file=sys.stderr,
                    )
    finally:
        stand.stop()
    results: dict[str, dict[str, Any]] = {}
    for (name, side), figures_of in every.items():
        result = results.setdefault(name, {})
        result[side] = report.median_of(figures_of)
        result[f"{side}_passes"] = figures_of
    return results, failures


if __name__ == "__main__":
    sys.exit(main())
