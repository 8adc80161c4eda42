"""scripts/bench: measure the gateway against the floor, compare two measurements, or show one again."""

from __future__ import annotations

import argparse
import resource
import shlex
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from benchmarks import files, lacks, report, wording
from benchmarks.measure import Failed, Skipped, Stand, measure
from benchmarks.processes import GatewayCommand, processors
from benchmarks.results import Measured, Results, collected
from benchmarks.scenarios import SCENARIOS, Scenario, chosen
from benchmarks.stopping import Stopped, stoppable

_PASSES = 3


def main(words: Sequence[str] | None = None) -> int:
    """Exit codes: 0; 1 where a row could not be measured; 2 for what cannot be meant; 128 and a signal's number."""
    options = _options(words)
    try:
        with stoppable():
            return _do(options, wording.own_command("scripts/bench", words))
    except Stopped as stopped:
        return stopped.exit_code


def _do(options: argparse.Namespace, command: str) -> int:
    try:
        scenarios = chosen(options.scenarios)
        names = {scenario.name for scenario in scenarios}
        if options.list:
            print("\n".join(f"{one.name:<10}{one.upstream:<13}{one.work}" for one in scenarios if one.kind))
            return 0
        if options.markdown:
            files.has_place(options.markdown)
        if options.compare:
            old, new = map(files.read, options.compare)
            for path, kept in zip(options.compare, (old, new), strict=True):
                files.has_rows(path, kept, options.scenarios)
            print(report.compare(old, new, names))
            return 0
        if options.show:
            kept = files.read(options.show)
            files.has_rows(options.show, kept, options.scenarios)
            return _tell(kept["about"], kept["results"], names, options.markdown)
        if options.json:
            files.writable(options.json)
        wording.program(options.gateway, options.source)
        wording.executable(options.executable)
    except KeyError as unknown:
        print(f"bench: there is no row {unknown}; --list names them", file=sys.stderr)
        return 2
    except (OSError, ValueError) as wrong:
        print(f"bench: {wrong}", file=sys.stderr)
        return 2
    return _measure(options, scenarios, command)


def _measure(options: argparse.Namespace, scenarios: tuple[Scenario, ...], command: str) -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    passes = options.passes or (1 if options.quick else _PASSES)
    source = options.source.resolve()
    executable, without = _executable(options.executable, source)
    cpu, others = processors()
    if cpu == others:
        print("bench: one processor alone: gateway, load and upstream share it", file=sys.stderr)
    started = time.monotonic()
    about = report.surroundings(source, quick=options.quick, passes=passes, command=command)
    measured, code = Measured(), 0
    try:
        with Stand(
            GatewayCommand(options.gateway, source, options.arguments),
            GatewayCommand([str(executable)], source, options.arguments) if executable else None,
            without,
            options.quick,
            cpu,
            others,
        ) as stand:
            stand.check()
            _run(stand, scenarios, passes, measured)
    except (OSError, RuntimeError) as wrong:
        print(f"bench: {wrong}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print(f"bench: stopped ({stopped})", file=sys.stderr)
        about |= {"stopped": True, "passes_done": measured.passes}
        code = stopped.exit_code
    results = collected(measured)
    if code and not results:
        print("bench: nothing had been measured", file=sys.stderr)
        return code
    about["seconds"] = time.monotonic() - started
    about["failures"] = measured.failures
    # First: a file that cannot be written loses no figures.
    put = _tell(about, results, results, options.markdown)
    print(f"{report.passes_of(about)}, {about['seconds']:.0f} s")
    if options.json:
        files.write(options.json, about, results)
    for failure in measured.failures:
        print(f"failed: {failure}", file=sys.stderr)
    return code or (1 if measured.failures else put)


def _tell(about: dict[str, Any], results: Results, names: Collection[str], document: Path | None) -> int:
    """Prints the table, and puts it into the document unless a row is not whole, which takes exit code 1."""
    print(report.about_line(about))
    shown = [one for one in SCENARIOS if one.name in results and one.name in names]
    print(report.text(report.rows(shown, results, about["passes"], stopped=bool(about.get("stopped"))), report.HEAD))
    if document is None:
        return 0
    if lacking := lacks.of_run(about, results):
        print(f"bench: {document} is left as it is, half a table has no place in it: {lacking}", file=sys.stderr)
        return 1
    files.put_into(document, report.markdown(about, results))
    return 0


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = wording.Parser(prog="bench", usage="scripts/bench [ROWS] [OPTIONS]", description=__doc__)
    parser.add_argument("scenarios", nargs="?", default="", help="rows, separated by commas; all by default")
    parser.add_argument("--quick", action="store_true", help="one short pass, under a minute")
    passes = wording.whole(1, "passes")
    parser.add_argument("--passes", type=passes, metavar="N", help=f"passes, interleaved; {_PASSES} by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help=f"put the table into FILE, after {files.BEGIN}")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("OLD", "NEW"), help="compare two files of --json")
    parser.add_argument("--show", type=Path, metavar="FILE", help="show a file of --json again, measure nothing")
    parser.add_argument("--list", action="store_true", help="name the rows, and who is the upstream of each")
    parser.add_argument(
        "--gateway",
        type=wording.words,
        metavar="COMMAND",
        default=f"{shlex.quote(sys.executable)} -m kirotrio",
        help="command of the gateway, without `serve`",
    )
    more = "what else to tell `serve`, like '--workers 2'"
    parser.add_argument("--arguments", type=wording.words, metavar="WORDS", default="", help=more)
    parser.add_argument("--source", type=Path, metavar="FOLDER", default=Path.cwd(), help="folder to start it in")
    program = "one-file program for S8x; dist/kirotrio where it is newer than the source"
    parser.add_argument("--executable", type=Path, metavar="FILE", help=program)
    return parser.read(words, "--arguments")


def _executable(named: Path | None, source: Path) -> tuple[Path | None, str]:
    """The one-file program, or why there is none to measure: one of another state of the source tells nothing."""
    program = (named or source / "dist" / "kirotrio").resolve()
    if not program.is_file():
        return None, f"there is no {named or 'dist/kirotrio'}: scripts/build makes it"
    newest = max((file.stat().st_mtime for file in (source / "kirotrio").rglob("*.py")), default=0.0)
    if named is None and program.stat().st_mtime < newest:
        return None, "dist/kirotrio is older than the source: scripts/build makes it anew, --executable names it"
    return program, ""


def _run(stand: Stand, scenarios: tuple[Scenario, ...], passes: int, measured: Measured) -> None:
    """Every row in every pass; `measured` has what there is, also where the run is stopped."""
    for scenario in scenarios:
        for side in _sides(scenario):
            measured.wanted[scenario.name, side] = passes * _turns(stand, scenario)
    for number in range(passes):
        for scenario in scenarios:
            if not scenario.kind or scenario.name in measured.skipped:
                continue
            said, began = f"{number + 1}/{passes} {scenario.name}", time.monotonic()
            try:
                _in_turn(stand, scenario, number, measured, said)
            except Skipped as reason:
                measured.skipped[scenario.name] = str(reason)
                print(f"{said} skipped: {reason}", file=sys.stderr)
            else:
                print(f"{said} {time.monotonic() - began:.1f} s", file=sys.stderr)
        measured.passes = number + 1


def _sides(scenario: Scenario) -> list[str]:
    return ["floor", "gateway"] if scenario.floor else ["gateway"]


def _turns(stand: Stand, scenario: Scenario) -> int:
    return 1 if stand.quick else scenario.turns


def _in_turn(stand: Stand, scenario: Scenario, number: int, measured: Measured, said: str) -> None:
    """The samples of one row in one pass: floor, gateway, floor, gateway, so that neighbours had the same machine."""
    sides = _sides(scenario)
    for turn in range(_turns(stand, scenario)):
        for side in tuple(sides):
            try:
                measured.add(scenario.name, side, (number, turn), measure(stand, scenario, side))
            except (Failed, OSError, RuntimeError) as wrong:
                measured.fail(scenario.name, side, f"{said} {side}: {wrong}")
                sides.remove(side)


if __name__ == "__main__":
    sys.exit(main())
