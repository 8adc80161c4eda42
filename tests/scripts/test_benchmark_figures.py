"""The benchmark's own arithmetic: percentiles, medians, growth, verdicts, the table, files and their comparison."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.benchmarks_about import ABOUT

from benchmarks import __main__ as bench
from benchmarks import files, lacks, report
from benchmarks.capacity import Carried, most_carried
from benchmarks.load import percentile
from benchmarks.processes import cpu_seconds, held_mb, pss_mb
from benchmarks.results import Measured, collected, growth, median_of
from benchmarks.scenarios import SCENARIOS, chosen
from benchmarks.soak import SHORTEST, Reading, plan, shares
from benchmarks.soak import growth as grown

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads what Linux says of processes")


@given(st.lists(st.floats(0, 1000), min_size=1), st.floats(0, 0.999))
def test_a_percentile_is_one_of_the_values_and_has_its_share_at_or_below(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)


def test_a_percentile_of_nothing_is_nothing() -> None:
    assert percentile([], 0.99) == 0.0


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=7))
def test_medians_are_of_all_passes(values: list[float]) -> None:
    assert median_of([{"a": value} for value in values]) == {"a": statistics.median(values)}


def test_a_figure_that_one_pass_lacks_has_no_median() -> None:
    assert median_of([{"a": 1.0, "b": 2.0}, {"a": 3.0}]) == {"a": 2.0}


def test_growth_is_told_with_and_without_what_the_smallest_body_costs() -> None:
    requests = {"S9-0MB": 2.0, "S9-0.1MB": 3.0, "S6": 2.0 + 1.5 * 10, "S9-6MB": 2.0 + 6 * 12}
    events = {"S9-10": 100.0, "S9-100": 110.0, "S9-400": 150.0}
    rows = {name: {"cpu ms/request": cost} for name, cost in requests.items()}
    rows |= {name: {"cpu µs/event": cost} for name, cost in events.items()}
    grown = growth(rows)
    less = {"a MB at 1.5 MB, less S9-0MB": 1.0, "a MB at 6 MB, less S9-0MB": 1.2}
    # 17 ms for 1.5 MB and 74 for 6, where 0.1 MB took 3.
    plain = {"a MB at 1.5 MB": 17 / 1.5 / 30, "a MB at 6 MB": 74 / 6 / 30}
    assert grown == pytest.approx({"event at 100 streams": 1.1, "event at 400 streams": 1.5, **plain, **less})
    assert grown.keys() == next(one for one in SCENARIOS if one.name == "S9").figures.keys()


def test_growth_needs_no_smallest_body_for_what_it_tells_as_it_is() -> None:
    rows = {"S9-0.1MB": {"cpu ms/request": 3.0}, "S6": {"cpu ms/request": 45.0}}
    assert growth(rows) == {"a MB at 1.5 MB": 1.0}


def test_growth_says_nothing_where_a_row_is_missing() -> None:
    assert growth({"S9-100": {"cpu µs/event": 1.0}, "S6": {"cpu ms/request": 1.0}}) == {}


def test_a_row_brings_the_rows_that_its_figures_are_made_of() -> None:
    assert {"S9", "S9-0MB", "S6", "S9-400"} <= {scenario.name for scenario in chosen("s9")}
    assert [scenario.name for scenario in chosen("S2P")] == ["S2p", "S2p-spread"]
    assert [scenario.name for scenario in chosen("s2P-spread")] == ["S2p-spread"]
    assert chosen("") == SCENARIOS
    with pytest.raises(KeyError):
        chosen("S2,S77")


def test_every_row_with_a_target_is_there() -> None:
    names = {scenario.name for scenario in SCENARIOS}
    assert names >= {"S1", "S1s", "S2", "S2o", "S2r", "S2p", "S3", "S4", "S4i", "S5", "S6", "S7", "S8", "S9"}


def results() -> dict[str, dict[str, Any]]:
    measured = Measured(skipped={"S8x": "there is none"})
    for number, cost in enumerate((2.0, 4.0)):
        measured.add("S1", "gateway", (number, 0), {"cpu ms/request": cost, "wall": 1.0})
        measured.add("S1", "floor", (number, 0), {"cpu ms/request": 0.26, "wall": 1.0})
    measured.add("S4", "gateway", (0, 0), {"held": 900.0, "memory": 49.0, "closed": 0.5})
    return collected(measured)


def whole() -> dict[str, dict[str, Any]]:
    """The same without the row that has a pass too few."""
    return {name: result for name, result in results().items() if name != "S4"}


def short(**about: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """A run of two passes that has lost a sample of S1, and all of S9-0MB."""
    measured = Measured(wanted={("S1", "gateway"): 4, ("S9-0MB", "gateway"): 2})
    for place in ((0, 0), (0, 1), (1, 0)):
        measured.add("S1", "gateway", place, {"cpu ms/request": 1.0})
    measured.fail("S9-0MB", "gateway", "1/2 S9-0MB gateway: no answer")
    for name in ("S9-0.1MB", "S6"):
        for number in range(2):
            measured.add(name, "gateway", (number, 0), {"cpu ms/request": 1.0})
    return {**ABOUT, "passes": 2, **about}, collected(measured)


def test_what_a_row_has_lost_stands_in_the_place_of_its_verdict() -> None:
    about, found = short()
    verdicts = {(row[0], row[1]): row[-1] for row in report.rows(SCENARIOS, found, about["passes"])}
    assert verdicts["S1", "cpu ms/request"] == "not whole: gateway 3 of 4 samples"
    assert verdicts["S9-0MB", "cpu ms/request"] == "FAILED: gateway 0 of 2 samples"
    assert verdicts["S6", "cpu ms/request"] == "reached"
    assert verdicts["S9", "a MB at 1.5 MB"] == "not whole: made of S9-0MB"
    stopped = {row[0]: row[-1] for row in report.rows(SCENARIOS, found, about["passes"], stopped=True)}
    assert stopped["S9-0MB"].startswith("not measured"), "a run that was stopped did not fail in rows it never reached"


@pytest.mark.parametrize(
    ("about", "lacking"),
    [({}, "S1: gateway 3 of 4 samples"), ({"stopped": True}, "stopped"), ({"failures": ["S1: no answer"]}, "S1")],
)
def test_half_a_table_is_not_put_into_a_document(
    about: dict[str, Any], lacking: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document, kept = tmp_path / "performance.md", tmp_path / "kept.json"
    document.write_text(f"{files.BEGIN}\nold\n{files.END}\n")
    files.write(kept, *(short() if not about else ({**ABOUT, "passes": 2, **about}, whole())))
    assert bench.main(["--show", str(kept), "--markdown", str(document)]) == 1
    told = capsys.readouterr()
    assert f"{document} is left as it is" in told.err
    assert lacking in told.err
    assert "S1" in told.out
    assert "old" in document.read_text()


def test_a_figure_made_of_rows_that_were_not_asked_for_is_not_missing() -> None:
    measured = Measured()
    for name in ("S9-10", "S9-100"):
        measured.add(
            name, "gateway", (0, 0), {"cpu µs/event": 100.0, "late p99": 1.0, "alone": 100.0, "delivered": 100.0}
        )
    found = collected(measured)
    rows = [row[1] for row in report.rows(SCENARIOS, found, 1) if row[0] == "S9"]
    assert rows == ["event at 100 streams"]
    assert lacks.of_run({**ABOUT, "passes": 1}, found) == ""


def test_time_that_passes_stands_beside_the_floors_as_a_difference() -> None:
    figures = {"wall": 2.5, "first p50": 336.0, "late p99": 3.25, "cpu µs/event": 90.0}
    floor = {"wall": 2.0, "first p50": 15.0, "late p99": 4.0, "cpu µs/event": 60.0}
    found = {"S3": {"gateway": figures, "floor": floor}}
    rows = report.rows(chosen("S3"), found, 1)
    assert [row[4] for row in rows] == ["+0.5 s", "+321 ms", "-0.75 ms", "1.5"]
    compared = report.compare({"about": ABOUT, "results": found}, {"about": ABOUT, "results": found}, {"S3"})
    assert [line.count("+0%") for line in compared.splitlines()[4:]] == [1, 1, 1, 2]


def test_passes_are_told_as_many_as_there_were() -> None:
    assert report.passes_of({"passes": 1}) == "1 pass"
    assert report.passes_of({"passes": 3}) == "3 passes"
    stopped = {**ABOUT, "stopped": True, "passes_done": 1}
    assert report.passes_of(stopped) == "1 of 3 passes whole"
    assert report.about_line(stopped).endswith("stopped before its end (1 of 3 passes whole)")


@given(st.lists(st.lists(st.floats(1, 1000), min_size=1, max_size=5), min_size=1, max_size=4))
def test_a_figure_is_the_median_of_passes_and_a_pass_that_of_its_samples(passes: list[list[float]]) -> None:
    measured = Measured()
    for number, samples in enumerate(passes):
        for turn, value in enumerate(samples):
            measured.add("S1", "gateway", (number, turn), {"a": value})
    found = collected(measured)["S1"]
    assert [one["a"] for one in found["gateway_passes"]] == [statistics.median(samples) for samples in passes]
    assert found["gateway"]["a"] == statistics.median(map(statistics.median, passes))
    every = [value for samples in passes for value in samples]
    assert found["spread"]["gateway"]["a"] == [min(every), max(every)]


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=9), st.floats(1.0, 20.0))
def test_a_machine_that_changes_its_speed_leaves_the_ratio_as_it_is(speeds: list[float], dearer: float) -> None:
    measured = Measured()
    for turn, speed in enumerate(speeds):
        measured.add("S1", "floor", (0, turn), {"a": speed})
        measured.add("S1", "gateway", (0, turn), {"a": dearer * speed})
    found = collected(measured)["S1"]
    assert found["ratio"]["a"] == pytest.approx(dearer)
    assert found["spread"]["ratio"]["a"] == pytest.approx([dearer, dearer])


def test_a_sample_without_the_other_side_beside_it_has_no_part_in_the_ratio() -> None:
    measured = Measured()
    for place, value in (((0, 0), 10.0), ((0, 1), 20.0), ((1, 0), 1000.0)):
        measured.add("S1", "gateway", place, {"a": value})
    measured.add("S1", "floor", (0, 0), {"a": 5.0})
    measured.add("S1", "floor", (0, 1), {"a": 5.0})
    assert collected(measured)["S1"]["ratio"] == {"a": 3.0}


def test_the_table_has_the_ratio_to_the_floor_and_says_what_is_reached() -> None:
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in ("S1", "S4", "S8x", "S7")]
    rows = {(row[0], row[1]): row[2:] for row in report.rows(scenarios, results(), 2)}
    assert rows["S1", "cpu ms/request"] == ["3 ms (2)", "0.26 (0.26)", "11.5", "≤ 2.5 (1.8)", "≤ 5", "1.2× too much"]
    assert rows["S4", "held"] == ["900 streams", "", "", "≥ 1000", "", "not whole: 1 of 2 passes"]
    assert rows["S4", "memory"][-1] == "not whole: 1 of 2 passes"
    assert rows["S8x", ""][-1] == "skipped: there is none"
    assert rows["S7", "cpu µs/event"][-1] == "FAILED"


def test_the_markdown_table_stands_between_its_marks(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{files.BEGIN}\nold\n{files.END}\nafter\n")
    kept = tmp_path / "kept.json"
    files.write(kept, {**ABOUT, "passes": 2}, whole())
    assert bench.main(["--show", str(kept), "--markdown", str(document)]) == 0
    text = document.read_text()
    assert text.startswith(f"before\n{files.BEGIN}\n2026-01-01")
    assert text.endswith(f"{files.END}\nafter\n")
    assert "old" not in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1


def test_a_document_without_the_marks_stays_as_it_is(tmp_path: Path) -> None:
    document = tmp_path / "other.md"
    document.write_text("something else\n")
    with pytest.raises(ValueError, match=r"other\.md"):
        files.put_into(document, "a table")
    assert document.read_text() == "something else\n"


def test_two_files_are_compared_also_against_the_floor() -> None:
    old = {"about": ABOUT, "results": {"S1": {"gateway": {"cpu": 4.0, "gone": 1.0}, "floor": {"cpu": 1.0}}}}
    now = {"gateway": {"cpu": 3.0, "new": 1.0}, "floor": {"cpu": 0.5}, "ratio": {"cpu": 8.0}}
    new = {"about": ABOUT, "results": {"S1": now, "S2": now}}
    row = report.compare(old, new, {"S1"}).splitlines()[-1]
    assert row.split() == ["S1", "cpu", "4", "3", "-25%", "+100%"]
    assert "S1" not in report.compare(old, new, {"S2"})
    assert report.compare(old, new, {"S2"}).endswith("No figure of these rows is in both.")
    assert "different machines" in report.compare(old, {**new, "about": {**ABOUT, "machine": "another"}}, ())


def test_an_executable_of_another_state_of_the_source_is_not_measured(tmp_path: Path) -> None:
    program, module = tmp_path / "dist" / "kirotrio", tmp_path / "kirotrio" / "a.py"
    for file in (program, module):
        file.parent.mkdir()
        file.touch()
    os.utime(program, (1, 1))
    assert bench._executable(None, tmp_path)[0] is None
    assert bench._executable(program, tmp_path)[0] == program
    os.utime(module, (1, 1))
    assert bench._executable(None, tmp_path) == (program, "")
    program.unlink()
    assert "scripts/build" in bench._executable(None, tmp_path)[1]


@LINUX
def test_the_clock_of_a_process_is_its_cpu_time_and_its_childrens() -> None:
    before, own = cpu_seconds(os.getpid()), time.process_time()
    while time.process_time() - own < 0.05:
        pass
    spent = cpu_seconds(os.getpid()) - before
    # Other threads of this process count too; no less than what was spent here.
    assert spent >= 0.05
    code = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert cpu_seconds(os.getpid()) - before - spent >= 0.25, "a child that has ended counts"


@LINUX
def test_a_process_that_is_gone_has_spent_and_takes_nothing() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert (cpu_seconds(ended.pid), pss_mb(ended.pid), held_mb(ended.pid)) == (0.0, 0.0, 0.0)
    assert held_mb(os.getpid()) >= pss_mb(os.getpid()) > 5


@LINUX
def test_what_a_process_holds_is_the_same_whoever_else_runs() -> None:
    with contextlib.ExitStack() as stack:

        def python() -> int:
            """One that has loaded much and waits."""
            code = "import asyncio, ssl, sqlite3, sys; print(flush=True); sys.stdin.read()"
            piped = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            stack.callback(piped.communicate)  # closes what it reads
            assert piped.stdout is not None
            piped.stdout.readline()
            return piped.pid

        first = python()
        alone = held_mb(first)
        for _ in range(3):
            python()
        assert held_mb(first) == pytest.approx(alone, abs=0.1)


def test_a_short_soak_asks_for_as_many_answers() -> None:
    whole, short = plan(30), plan(3)
    assert (whole.seconds, whole.mark, whole.line, whole.answer) == (1800, 120, 60, "events=200 gap_ms=50")
    assert (short.mark, short.line, short.answer) == (60, 10, "events=20 gap_ms=50")


def test_the_shortest_soak_has_an_end_apart_from_its_beginning() -> None:
    course = plan(SHORTEST)
    lines = [course.line * (number + 1) for number in range(round(course.seconds / course.line))]
    assert grown([Reading(at, 1.0, 1, 0) for at in lines], course.mark) == 0.0


def test_what_a_soak_has_grown_by_is_read_from_medians() -> None:
    memory = [50.0, 80.0, 81.0, 99.0, 80.5, 82.0, 83.0, 82.5, 60.0]
    readings = [Reading(10.0 * number, one, 1, 0) for number, one in enumerate(memory)]
    assert grown(readings, 20.0) == 82.5 - 81.0
    with pytest.raises(ValueError, match="too short"):
        grown(readings[:5], 20.0)


@given(st.integers(4, 1000))
def test_all_streams_of_a_soak_are_shared_out_evenly(streams: int) -> None:
    each = shares(streams).values()
    assert sum(each) == streams
    assert max(each) - min(each) <= 1
    assert min(each) >= 1


@given(st.integers(8, 2000), st.floats(50, 900), st.floats(1.05, 2.0))
def test_the_number_that_is_carried_is_found_wherever_it_is(limit: int, first: float, close: float) -> None:
    asked: list[int] = []

    def carries(streams: int) -> Carried | None:
        asked.append(streams)
        return Carried(streams) if streams <= limit else None

    found = most_carried(carries, first, close).streams
    assert found in asked
    assert found <= limit
    # Whole streams are asked for: half a one on either side.
    assert limit <= (found + 0.5) * close + 0.5


def test_nothing_that_is_carried_is_a_failure() -> None:
    with pytest.raises(RuntimeError, match="not even"):
        most_carried(lambda streams: None, 100, 1.1)


def test_a_search_that_is_never_refused_tells_no_number() -> None:
    with pytest.raises(RuntimeError, match="nobody knows how many more"):
        most_carried(Carried, 100, 1.1)
