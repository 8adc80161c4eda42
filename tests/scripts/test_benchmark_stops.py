"""Runs that do not come to their end: stopped by a person, or with a gateway that does not start. Nothing stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
import pytest

from benchmarks import __main__ as bench
from benchmarks.measure import Stand
from benchmarks.processes import GatewayCommand
from benchmarks.stopping import Stopped, stoppable

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="its programs are pinned to processors")
ROOT = Path(__file__).parents[2]


def of_session(session: int) -> list[str]:
    """What runs in a session: ids and commands."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(f"{stat.parent.name} {(stat.parent / 'cmdline').read_text()}".replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_tells_what_it_has_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    temporary, kept = tmp_path / "temporary", tmp_path / "kept.json"
    temporary.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "TMPDIR": str(temporary)}
    words = [sys.executable, "-m", "benchmarks", "S2,S3", "--quick", "--passes", "2", "--json", str(kept)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as run:
        assert run.stderr is not None
        assert "1/2 S2" in run.stderr.readline(), "the first row is measured; the second one takes seconds"
        # To all of the group, as Ctrl-C is. A second one must not cut the end short.
        os.killpg(run.pid, number)
        os.killpg(run.pid, number)
        said, told = run.communicate(timeout=60)
    assert run.returncode == 128 + number
    assert told.splitlines()[0] == f"bench: stopped ({number.name})"
    assert "Traceback" not in told
    assert "S2   cpu µs/event" in said
    assert "not whole: 1 of 2 passes" in said
    assert "\n0 of 2 passes whole, " in said
    document = orjson.loads(kept.read_bytes())
    assert document["about"]["stopped"] is True
    assert list(document["results"]) == ["S2"]
    assert not of_session(run.pid)
    assert not list(temporary.iterdir())


def test_what_a_run_has_started_ends_with_it_also_where_it_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "TMPDIR": str(tmp_path)}
    words = [sys.executable, "-m", "benchmarks", "S2,S3", "--quick", "--passes", "2", "--arguments", "--workers=2"]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(words, cwd=ROOT, env=environment, stdout=nowhere, stderr=pipe, start_new_session=True) as run:
        assert run.stderr is not None
        assert b"1/2 S2" in run.stderr.readline()
        started = of_session(run.pid)
        run.kill()
    assert len(started) >= 6, f"the run, upstream, load, floor, gateway and its workers: {started}"
    deadline = time.monotonic() + 20
    while (left := of_session(run.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)  # nobody is there whom their end would be told
    for one in left:
        os.kill(int(one.partition(" ")[0]), signal.SIGKILL)
    assert not left


def test_the_first_signal_stops_and_those_that_follow_do_nothing() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def run() -> None:
        with stoppable():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                signal.pause()
            finally:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped) as stopped:
        run()
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_was_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'no such setting' >&2; exit 3", "no such setting"),
        ("echo 'on the other hand'; exec sleep 60", "on the other hand"),
        ("echo 'good morning'; echo 'and good night'; exit 0", "and good night"),
        ("exit 3", "It has said nothing."),
        ("echo http://127.0.0.1:1", "client-key"),
    ],
)
def test_a_gateway_that_does_not_start_is_told_with_its_last_words(
    script: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert bench.main(["S1", "--gateway", f'sh -c "{script}"']) == 1
    told = capsys.readouterr()
    assert told.err.startswith("bench: the gateway did not start")
    assert words in told.err
    assert told.out == ""
    assert not list(tmp_path.iterdir()), "its folder stayed"


def test_a_gateway_that_is_no_program_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(OSError, match="no-such-program"):
        GatewayCommand(["no-such-program"], ROOT).start(1)
    assert not list(tmp_path.iterdir())


def test_streams_are_let_go_after_a_failure_and_not_asked_of_a_load_that_is_in_the_middle_of_an_order() -> None:
    orders: list[str] = []

    class Noted(Stand):
        def hold(self, target: object, order: object) -> dict[str, object]:
            return {}

        def let_go(self) -> float:
            orders.append("let go")
            return 0.0

    stand = Noted(GatewayCommand([], ROOT), None, "", True, 0, 0)
    for failure, expected in ((ValueError(), ["let go"]), (Stopped(signal.SIGINT), [])):
        orders.clear()
        with pytest.raises(type(failure)), stand.held(None, {}):
            raise failure
        assert orders == expected
