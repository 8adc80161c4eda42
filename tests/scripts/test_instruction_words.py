"""What stands in the way of counting instructions is told in one line, before anything is counted."""

from __future__ import annotations

import sys
from pathlib import Path

import instructions
import pytest


@pytest.fixture(autouse=True)
def nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(folder: Path) -> None:
        raise AssertionError("it was counted")

    monkeypatch.setattr(instructions, "count", count)
    monkeypatch.setattr(sys, "argv", ["scripts/instructions"])


@pytest.mark.parametrize("content", ["", "[]", "no JSON", '{"3.11": []}', '{"3.11": {"build": {}}}', '{"3.11": 4}'])
def test_a_baseline_of_another_shape_is_told(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = tmp_path / "odd.json"
    baseline.write_text(content)
    monkeypatch.setattr(instructions, "BASELINE", baseline)
    assert instructions.main() == 2
    told = capsys.readouterr().err
    assert "odd.json" in told
    assert "--update" in told


def test_a_folder_that_cannot_be_made_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["scripts/instructions", "--keep", f"{__file__}/folder"])
    assert instructions.main() == 2
    assert "folder" in capsys.readouterr().err


def test_the_baseline_in_the_repository_has_its_shape() -> None:
    assert instructions._baselines().keys() >= {"3.11", "3.13"}
