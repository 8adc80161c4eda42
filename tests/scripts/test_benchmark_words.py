"""What a person says to scripts/bench and scripts/soak, and the files they name: wrong ones are told in one line."""

from __future__ import annotations

import copy
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.benchmarks_about import ABOUT

from benchmarks import __main__ as bench
from benchmarks import files, wording
from benchmarks.soak import main as soak

RUN: dict[str, Any] = {"about": ABOUT, "results": {"S1": {"gateway": {"cpu ms/request": 4.0}}}}
Capture = pytest.CaptureFixture[str]


def refusal(main: Callable[[list[str]], int], words: list[str], capsys: Capture) -> str:
    """What is said on stderr: one line, with exit code 2, before anything is measured."""
    try:
        code = main(words)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else -1
    told = capsys.readouterr()
    assert (code, told.out, told.err.count("\n")) == (2, "", 1), told
    return told.err


@pytest.mark.parametrize(
    ("words", "right"),
    [
        ("--passes 0", "1 or more"),
        ("--passes=-3", "1 or more"),
        ("--passes two", "1 or more"),
        ("S77", "--list"),
        ("S2,S77", "--list"),
        ("--gateway 'no-such-program serve'", "dist/kirotrio"),
        ("--gateway ''", "dist/kirotrio"),
        ('--gateway "\'"', "quote"),
        ("--source /dev/null", "--source"),
        ("--unknown", "--help"),
        ("--executable /no/such/program", "scripts/build"),
        ("--executable .", "scripts/build"),
        ("S1 S2 S3", "S1,S2,S3"),
        ("S1 --quick S2", "S1,S2"),
        ("--arguments --quick", "--arguments='--value'"),
        ("--arguments", "--arguments='--value'"),
    ],
)
def test_words_that_cannot_be_meant_are_refused_by_the_benchmark(words: str, right: str, capsys: Capture) -> None:
    assert right in refusal(bench.main, shlex.split(words), capsys)


@pytest.mark.parametrize(
    ("words", "right"),
    [
        ("--minutes 1", "1.5 or more"),
        ("--minutes=-1", "1.5 or more"),
        ("--minutes nan", "1.5 or more"),
        ("--minutes inf", "1.5 or more"),
        ("--streams 0", "4 or more"),
        ("--streams 3", "4 or more"),
        ("--within=-1", "0 or more"),
        ("--gateway no-such-program", "dist/kirotrio"),
        ("S1", "unrecognized"),
    ],
)
def test_words_that_cannot_be_meant_are_refused_by_the_soak(words: str, right: str, capsys: Capture) -> None:
    assert right in refusal(soak, shlex.split(words), capsys)


@pytest.mark.parametrize("said", ["--arguments '--bogus'", "--arguments='--bogus'", "--arguments=--bogus"])
def test_words_for_the_gateway_may_begin_with_a_dash(said: str) -> None:
    assert bench._options(["--quick", *shlex.split(said), "S1"]).arguments == ["--bogus"]
    assert bench._options(["--arguments", "--workers 2"]).arguments == ["--workers", "2"]


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(
    option: str, tmp_path: Path, capsys: Capture
) -> None:
    assert "none" in refusal(bench.main, [option, str(tmp_path / "none" / "file")], capsys)
    assert str(tmp_path) in refusal(bench.main, [option, str(tmp_path)], capsys)


def test_a_look_whether_a_file_can_be_written_changes_nothing(tmp_path: Path) -> None:
    there, new = tmp_path / "there", tmp_path / "new"
    there.write_text("kept")
    files.writable(there)
    files.writable(new)
    assert there.read_text() == "kept"
    assert not new.exists()


def test_a_document_without_a_place_for_the_table_is_told_before_anything_is_measured(
    tmp_path: Path, capsys: Capture
) -> None:
    document = tmp_path / "other.md"
    document.write_text("something else\n")
    assert files.BEGIN in refusal(bench.main, ["--markdown", str(document)], capsys)
    assert document.read_text() == "something else\n"


ODD: list[tuple[dict[str, Any], str]] = [
    ({"gateway_passes": 3}, "`results.S1.gateway_passes`"),
    ({"gateway_passes": [{"wall": 1.0}, {"wall": -1.0}]}, "`results.S1.gateway_passes.1.wall` is -1.0"),
    ({"floor": {"wall": -2}}, "`results.S1.floor.wall` is -2"),
    ({"floor": {"wall": True}}, "`results.S1.floor.wall` is true"),
    ({"ratio": {"wall": None}}, "`results.S1.ratio.wall` is null"),
    ({"spread": {"gateway": {"wall": [2, 1]}}}, "`results.S1.spread.gateway.wall`"),
    ({"spread": 1}, "`results.S1.spread`"),
    ({"samples": {"gateway": [1]}}, "`results.S1.samples.gateway`"),
    ({"samples": []}, "`results.S1.samples`"),
]


def without(*path: str) -> dict[str, Any]:
    run = copy.deepcopy(RUN)
    inner = run
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return run


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("no JSON", "no JSON"),
        ("", "no JSON"),
        ([], "`about`"),
        ({}, "`about`"),
        (without("results"), "`results`"),
        (without("about", "machine"), "`about.machine`"),
        (without("about", "quick"), "`about.quick`"),
        ({**RUN, "about": {**ABOUT, "passes": "3"}}, "`about.passes`"),
        ({**RUN, "results": []}, "`results`"),
        ({**RUN, "results": {"S1": 4}}, "`results.S1`"),
        (without("results", "S1", "gateway"), "`results.S1`"),
        ({**RUN, "results": {"S1": {"gateway": {"wall": "long"}}}}, '`results.S1.gateway.wall` is "long"'),
        *(({**RUN, "results": {"S1": {"gateway": {}, **part}}}, wrong) for part, wrong in ODD),
        ({**RUN, "results": {"S1": {"skipped": 5}}}, "`results.S1.skipped` is 5"),
        ({**RUN, "about": {**ABOUT, "passes": True}}, "`about.passes`"),
        ({**RUN, "about": {**ABOUT, "passes": -3}}, "`about.passes` is -3"),
        ({**RUN, "about": {**ABOUT, "passes_done": True}}, "`about.passes_done`"),
        ({**RUN, "about": {**ABOUT, "packages": {"trio": 1}}}, "`about.packages`"),
        ({**RUN, "about": {**ABOUT, "failures": "all"}}, "`about.failures`"),
        ({**RUN, "results": {"S77": {"gateway": {}}}}, "S77"),
    ],
)
def test_what_is_no_file_of_the_benchmark_is_told(content: object, wrong: str, tmp_path: Path, capsys: Capture) -> None:
    odd, right = tmp_path / "odd.json", tmp_path / "right.json"
    odd.write_bytes(content.encode() if isinstance(content, str) else orjson.dumps(content))
    right.write_bytes(orjson.dumps(RUN))
    for words in (["--show", odd], ["--compare", odd, right], ["--compare", right, odd]):
        said = refusal(bench.main, list(map(str, words)), capsys)
        assert "odd.json" in said
        assert wrong in said


def test_rows_that_there_are_not_are_refused_where_nothing_is_measured_too(tmp_path: Path, capsys: Capture) -> None:
    kept = tmp_path / "kept.json"
    kept.write_bytes(orjson.dumps(RUN))
    assert "--list" in refusal(bench.main, ["S77", "--show", str(kept)], capsys)
    assert "--list" in refusal(bench.main, ["S77", "--compare", str(kept), str(kept)], capsys)
    assert "none.json" in refusal(bench.main, ["--show", str(tmp_path / "none.json")], capsys)


def test_rows_that_a_file_has_not_are_told_with_those_it_has(tmp_path: Path, capsys: Capture) -> None:
    kept, other = tmp_path / "kept.json", tmp_path / "other.json"
    kept.write_bytes(orjson.dumps({**RUN, "results": {**RUN["results"], "S2": {"gateway": {"cpu µs/event": 7.0}}}}))
    other.write_bytes(orjson.dumps(RUN))
    for words in (["--show", kept, "S3"], ["--show", kept, "S1,S3"], ["--compare", other, kept, "S3,S2"]):
        said = refusal(bench.main, list(map(str, words)), capsys)
        assert "no row S3; it has S1" in said
    assert "other.json has no row S2" in refusal(bench.main, ["--compare", str(kept), str(other), "S2"], capsys)


def test_rows_are_chosen_from_a_file_too(tmp_path: Path, capsys: Capture) -> None:
    kept = tmp_path / "kept.json"
    kept.write_bytes(orjson.dumps({**RUN, "results": {**RUN["results"], "S2": {"gateway": {"cpu µs/event": 7.0}}}}))
    assert bench.main(["--show", str(kept), "S2"]) == 0
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines()[3:]]
    assert rows == ["S2"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("--json /tmp/somewhere/new.json", "--json new.json"),
        ("--json=/tmp/new.json S2,S6", "--json=new.json S2,S6"),
        ("--json out/new.json", "--json new.json"),
        ("--gateway '/opt/venv/bin/python -m kirotrio' S1", "--gateway 'python -m kirotrio' S1"),
        ("--gateway dist/kirotrio S1", "--gateway dist/kirotrio S1"),
        ("--executable ~/build/kirotrio", "--executable kirotrio"),
        ("--arguments '--config=/etc/kirotrio/a.toml'", "--arguments --config=a.toml"),
    ],
)
def test_the_call_is_shown_without_the_folders_of_one_machine(said: str, shown: str) -> None:
    assert wording.own_command("scripts/bench", shlex.split(said)) == f"scripts/bench {shown}"


@given(st.lists(st.text("abc/.~", min_size=1, max_size=8), max_size=4))
def test_no_folder_from_the_root_is_shown(parts: list[str]) -> None:
    shown = wording.own_command("scripts/bench", ["--json", "/".join(["", *parts])])
    assert "/" not in shlex.split(shown)[-1]


def test_the_call_of_this_process_is_the_one_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["python", "--quick"])
    assert wording.own_command("scripts/bench", None) == "scripts/bench --quick"
