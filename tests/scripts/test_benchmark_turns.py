"""In which order rows and sides are measured, and what becomes of a row that fails or cannot be measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks.measure import Failed, Skipped, Stand
from benchmarks.processes import GatewayCommand
from benchmarks.results import Figures, Measured, collected
from benchmarks.scenarios import SCENARIOS, Scenario


def stand(*, quick: bool = False) -> Stand:
    return Stand(GatewayCommand([], Path()), None, "", quick, 0, 0)


class Script:
    """In the place of `measure`: notes what is asked for, and fails where it is told to."""

    def __init__(self, failing: str = "", skipping: str = "") -> None:
        self.asked: list[str] = []
        self._failing, self._skipping = failing, skipping

    def __call__(self, stand: Stand, scenario: Scenario, side: str) -> Figures:
        self.asked.append(f"{scenario.name} {side}")
        if self.asked[-1] == self._failing:
            raise Failed("no answer")
        if scenario.name == self._skipping:
            raise Skipped("not here")
        return {"a": 1.0}


def rows(*names: str) -> tuple[Scenario, ...]:
    return tuple(one for one in SCENARIOS if one.name in names)


def test_floor_and_gateway_are_measured_in_turn_in_every_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script()
    monkeypatch.setattr(bench, "measure", script)
    measured = Measured()
    bench._run(stand(), rows("S2", "S4", "S4i", "S9"), 2, measured)
    a_pass = ["S2 floor", "S2 gateway"] * 4 + ["S4 floor", "S4 gateway", "S4i gateway"]
    assert script.asked == a_pass * 2
    assert list(measured.samples["S2", "gateway"]) == [(number, turn) for number in range(2) for turn in range(4)]


def test_every_row_with_figures_of_its_own_is_measured_in_every_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "measure", Script())
    measured = Measured()
    bench._run(stand(), SCENARIOS, 3, measured)
    for scenario in SCENARIOS:
        if scenario.kind:
            assert {number for number, _ in measured.samples[scenario.name, "gateway"]} == {0, 1, 2}


def test_a_quick_run_takes_one_sample_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script()
    monkeypatch.setattr(bench, "measure", script)
    bench._run(stand(quick=True), rows("S2", "S2p"), 1, Measured())
    assert script.asked == ["S2 floor", "S2 gateway", "S2p floor", "S2p gateway"]


def test_a_side_that_fails_is_left_for_this_pass_and_the_other_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(failing="S2 floor")
    monkeypatch.setattr(bench, "measure", script)
    measured = Measured()
    bench._run(stand(), rows("S2"), 2, measured)
    assert script.asked == (["S2 floor"] + ["S2 gateway"] * 4) * 2
    assert measured.failures == ["1/2 S2 floor: no answer", "2/2 S2 floor: no answer"]
    found = collected(measured)["S2"]
    assert found["samples"] == {"floor": [0, 8], "gateway": [8, 8]}


def test_a_row_that_cannot_be_measured_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(skipping="S8x")
    monkeypatch.setattr(bench, "measure", script)
    measured = Measured()
    bench._run(stand(), rows("S8x", "S8"), 2, measured)
    assert script.asked == ["S8 gateway", "S8x gateway", "S8 gateway"]
    assert measured.skipped == {"S8x": "not here"}
