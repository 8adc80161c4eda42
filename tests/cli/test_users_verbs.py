"""`kirotrio users`, in this process, on a store of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
PASSWORD = "correct horse battery"
GIVEN = PASSWORD.encode() + b"\n"


@pytest.fixture(autouse=True)
def data(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIROTRIO_DATA_DIR", str(home / "data"))
    monkeypatch.setenv("KIROTRIO_STORE_KEY_SOURCE", "file")


def listed(run: Run) -> dict[str, dict[str, Any]]:
    done = run("users", "--json")
    assert done.exit_code == 0, done.output
    return {user["name"]: user for user in json.loads(done.stdout)}


def fine(done: Result) -> str:
    assert done.exit_code == 0, done.output
    assert PASSWORD not in done.output
    return done.stdout


def test_without_users_it_says_how_to_get_one(run: Run) -> None:
    assert "--role operator" in fine(run("users"))
    assert listed(run) == {}
    done = run("users", "disable", "anna")
    assert done.exit_code == 1
    assert "nor any other yet" in done.stderr


def test_a_user_is_made_changed_and_removed(run: Run) -> None:
    assert "anna is an operator" in fine(run("users", "create", "Anna", "--role", "operator", stdin=GIVEN))
    fine(run("users", "create", "bert", "--email", "bert@example.org", stdin=GIVEN))
    assert {name: (user["role"], user["state"]) for name, user in listed(run).items()} == {
        "anna": ("operator", "active"),
        "bert": ("member", "active"),
    }
    fine(run("users", "set-role", "BERT", "viewer"))
    fine(run("users", "disable", "bert"))
    assert (listed(run)["bert"]["role"], listed(run)["bert"]["state"]) == ("viewer", "disabled")
    fine(run("users", "enable", "bert"))
    fine(run("users", "set-password", "bert", stdin=b"another good password\n"))
    fine(run("users", "reset-second-factor", "bert"))
    assert "not signed in" in fine(run("users", "sessions", "bert"))
    assert fine(run("users", "sessions", "bert", "--json")) == "[]\n"
    assert "no such sign-in" in fine(run("users", "sign-out", "bert"))
    assert run("users", "sign-out", "bert", "--session", "x").exit_code == 1
    table = fine(run("users"))
    assert "bert@example.org" in table
    assert run("users", "remove", "bert").exit_code == 2
    fine(run("users", "remove", "bert", "--yes"))
    assert list(listed(run)) == ["anna"]


def test_the_last_operator_stays_and_it_is_said_what_to_do(run: Run) -> None:
    fine(run("users", "create", "anna", "--role", "operator", stdin=GIVEN))
    for verb in (["disable", "anna"], ["set-role", "anna", "member"], ["remove", "anna", "--yes"]):
        done = run("users", *verb)
        assert done.exit_code == 1
        assert "last operator" in done.stderr
        assert "set-role" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        (("create", "a b"), PASSWORD, "name of a user"),
        (("create", "anna"), "short", "10 characters"),
        (("create", "anna"), "", "no password"),
        (("create", "anna", "--email", "x"), PASSWORD, "e-mail"),
        (("create", "anna", "--role", "king"), PASSWORD, "king"),
        (("approve", "other"), "", "did you mean othes"),
        (("set-role", "othes", "king"), "", "king"),
    ],
)
def test_what_cannot_be_is_told(run: Run, arguments: tuple[str, ...], given: str, said: str) -> None:
    fine(run("users", "create", "othes", stdin=GIVEN))
    done = run("users", *arguments, stdin=given.encode())
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert list(listed(run)) == ["othes"]


def test_an_invitation_is_printed_alone(run: Run) -> None:
    printed = fine(run("users", "invite", "--role", "viewer"))
    path, token, *rest = printed.strip().rpartition("/")[0], printed.strip().rpartition("/")[2]
    assert (path, rest) == ("/console/invitation", [])
    assert len(token) > 40
