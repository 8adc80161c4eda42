"""`kirotrio mode`."""

from __future__ import annotations

import pytest


def test_the_mode_is_changed_and_told(run) -> None:
    assert run("mode").stdout == "open\n"
    changed = run("mode", "maintenance", "--message", "Back at six")
    assert changed.stdout.startswith("maintenance since 20")
    assert changed.stdout.endswith(" UTC: Back at six\n")
    assert run("mode").stdout == changed.stdout
    assert run("mode", "self-use").stdout.startswith("self-use since 20")
    assert run("mode", "open").stdout.startswith("open since 20")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["closed"], 2, "'closed' is not one of 'open', 'self-use', 'maintenance'"),
        (["--message", "x"], 2, "--message goes with a mode"),
        (["maintenance", "--message", "x" * 501], 1, "500 are allowed"),
    ],
)
def test_what_is_no_mode_or_no_message_is_refused(run, args: list[str], code: int, said: str) -> None:
    done = run("mode", *args)
    assert done.exit_code == code
    assert said in done.stderr
    assert run("mode").stdout == "open\n"
