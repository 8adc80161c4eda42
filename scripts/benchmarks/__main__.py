"""scripts/bench: measure the gateway against the floor, compare two measurements, or show one again."""

from __future__ import annotations

import argparse
import resource
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.measure import Failed, Skipped, Stand, measure
from benchmarks.processes import GatewayCommand, processors
from benchmarks.results import Figures, Results, collected
from benchmarks.scenarios import SCENARIOS, Scenario, chosen

_PASSES = 3


def main(words: Sequence[str] | None = None) -> int:
    options = _options(words)
    try:
        if options.list:
            print("\n".join(f"{one.name:<10}{one.upstream:<13}{one.work}" for one in SCENARIOS if one.kind))
            return 0
        if options.compare:
            print(report.compare(*options.compare))
            return 0
        if options.show:
            kept = report.read(options.show)
            _tell(kept["about"], kept["results"], options.markdown)
            return 0
        scenarios = chosen(options.scenarios)
    except KeyError as unknown:
        print(f"bench: there is no row {unknown}; --list names them", file=sys.stderr)
        return 2
    except (OSError, ValueError) as wrong:
        print(f"bench: {wrong}", file=sys.stderr)
        return 2
    return _measure(options, scenarios)


def _measure(options: argparse.Namespace, scenarios: tuple[Scenario, ...]) -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    passes = options.passes or (1 if options.quick else _PASSES)
    source, arguments = options.source.resolve(), shlex.split(options.arguments)
    executable, without = _executable(options.executable, source)
    measured, others = processors()
    if measured == others:
        print("bench: one processor alone: gateway, load and upstream share it", file=sys.stderr)
    started = time.monotonic()
    with Stand(
        GatewayCommand(shlex.split(options.gateway), source, arguments),
        GatewayCommand([str(executable)], source, arguments) if executable else None,
        without,
        options.quick,
        measured,
        others,
    ) as stand:
        results, failures = _run(stand, scenarios, passes)
    about = report.surroundings(source, quick=options.quick, passes=passes, command=_own_command())
    took = time.monotonic() - started
    _tell(about, results, options.markdown)  # first: a file that cannot be written loses no figures
    print(f"{passes} pass(es), {took:.0f} s")
    if options.json:
        report.write(options.json, {**about, "seconds": took, "failures": failures}, results)
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _own_command() -> str:
    return shlex.join(["scripts/bench", *sys.argv[1:]])


def _tell(about: dict[str, Any], results: Results, document: Path | None) -> None:
    print(report.about_line(about))
    print(report.text(report.rows([one for one in SCENARIOS if one.name in results], results), report.HEAD))
    if document is not None:
        report.put_into(document, report.markdown(about, results))


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("scenarios", nargs="?", default="", help="rows, separated by commas; all by default")
    parser.add_argument("--quick", action="store_true", help="one short pass, under a minute")
    parser.add_argument("--passes", type=int, help=f"passes, interleaved; {_PASSES} by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help=f"put the table into FILE, after {report.BEGIN}")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("OLD", "NEW"), help="compare two files of --json")
    parser.add_argument("--show", type=Path, metavar="FILE", help="show a file of --json again, measure nothing")
    parser.add_argument("--list", action="store_true", help="name the rows, and who is the upstream of each")
    parser.add_argument(
        "--gateway",
        default=f"{shlex.quote(sys.executable)} -m kirotrio",
        help="command of the gateway, without `serve`",
    )
    parser.add_argument("--arguments", default="", help="what else to tell `serve`, like '--workers 2'")
    parser.add_argument("--source", type=Path, default=Path.cwd(), help="folder to start it in")
    parser.add_argument(
        "--executable", type=Path, help="one-file program for S8x; dist/kirotrio where it is newer than the source"
    )
    return parser.parse_args(words)


def _executable(named: Path | None, source: Path) -> tuple[Path | None, str]:
    """The one-file program, or why there is none to measure: one of another state of the source tells nothing."""
    program = (named or source / "dist" / "kirotrio").resolve()
    if not program.is_file():
        return None, f"there is no {named or 'dist/kirotrio'}: scripts/build makes it"
    newest = max((file.stat().st_mtime for file in (source / "kirotrio").rglob("*.py")), default=0.0)
    if named is None and program.stat().st_mtime < newest:
        return None, "dist/kirotrio is older than the source: scripts/build makes it anew, --executable names it"
    return program, ""


def _run(stand: Stand, scenarios: tuple[Scenario, ...], passes: int) -> tuple[Results, list[str]]:
    """Every row in every pass, floor and gateway in turn; the medians, all passes' figures, and what failed."""
    every: dict[tuple[str, str], list[Figures]] = {}
    skipped: dict[str, str] = {}
    failures: list[str] = []
    for number in range(passes):
        for scenario in scenarios:
            if not scenario.kind or scenario.name in skipped or (number and not scenario.passes):
                continue
            for side in ("floor", "gateway") if scenario.floor else ("gateway",):
                began = time.monotonic()
                said = f"{number + 1}/{passes} {scenario.name} {side}"
                try:
                    every.setdefault((scenario.name, side), []).append(measure(stand, scenario, side))
                except Skipped as reason:
                    skipped[scenario.name] = str(reason)
                    print(f"{said} skipped: {reason}", file=sys.stderr)
                    break
                except (Failed, OSError, RuntimeError) as wrong:
                    failures.append(f"{said}: {wrong}")
                    continue
                print(f"{said} {time.monotonic() - began:.1f} s", file=sys.stderr)
    return collected({key: passes for key, passes in every.items() if passes}, skipped), failures


if __name__ == "__main__":
    sys.exit(main())
