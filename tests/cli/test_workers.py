"""`serve --workers` as far as it starts none; running ones are in tests/web/test_workers_over_sockets."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from kirotrio.cli.app import kirotrio
from kirotrio.config.options import options


@pytest.mark.parametrize("given", ["0", "-1", "65", "two"])
def test_a_number_of_workers_that_makes_no_sense_is_wrong_usage(given: str) -> None:
    result = CliRunner().invoke(kirotrio, ["serve", "--workers", given])
    assert result.exit_code == 2
    assert "--workers" in result.output


def test_the_help_says_how_many_workers_there_may_be() -> None:
    option = options()["server.workers"]
    told = " ".join(CliRunner().invoke(kirotrio, ["serve", "--help"]).output.split())
    assert f"the work, from {option.least} to {option.most}." in told


def test_where_processes_cannot_share_a_port_it_says_so(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork", raising=False)
    words = ["serve", "--workers", "2", "--port", "0", "--data-dir", str(tmp_path)]
    result = CliRunner().invoke(kirotrio, words, env={"HOME": str(tmp_path)})
    assert result.exit_code == 1
    assert "server.workers" in result.output
    assert "set it to 1" in result.output
