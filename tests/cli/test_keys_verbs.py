"""`kirotrio keys`: made once, shown once, listed, changed, rotated, revoked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Run

from kirotrio.access.keys import is_key


@pytest.fixture
def keys(run: Run, tmp_path: Path) -> Any:
    """One call of `kirotrio keys`; the code has to be 0 unless another is named."""

    def call(*words: str, code: int = 0) -> Any:
        done = run("keys", *words, "--data-dir", str(tmp_path / "data"))
        assert done.exit_code == code, done.output
        return done

    return call


def listed(keys: Any, *words: str) -> list[dict[str, Any]]:
    return list(json.loads(keys("list", "--json", *words).stdout))


def test_a_key_is_printed_alone_also_into_a_pipe_and_never_again(keys: Any) -> None:
    made = keys("create", "ci")
    secret = made.stdout.strip()
    assert is_key(secret)
    assert "not shown again" in made.stderr
    for told in (keys("list"), keys("list", "--json"), keys("show", "ci"), keys("show", "ci", "--json")):
        assert secret[:12] in told.stdout
        assert secret not in told.stdout


def test_what_a_key_may_do_is_kept_as_it_was_said(keys: Any) -> None:
    keys(
        *("create", "ci", "--expires", "30d", "--model", "claude-*", "--model", "auto", "--surface", "messages"),
        *("--network", "10.1.2.3/8", "--network", "2001:db8::1", "--max-concurrent", "3"),
        *("--limit", "day:requests=5", "--limit", "day:tokens=1000", "--limit", "month:credits=0.5"),
    )
    (key,) = listed(keys)
    assert key["models"] == ["claude-*", "auto"]
    assert key["surfaces"] == ["messages"]
    assert key["networks"] == ["10.0.0.0/8", "2001:db8::1/128"]
    assert key["max_concurrent"] == 3
    assert key["limits"] == {"day": {"requests": 5, "tokens": 1000}, "month": {"credits": 0.5}}
    assert key["expires_at"] - key["created_at"] == pytest.approx(30 * 86_400, abs=60)


def test_what_is_set_takes_the_place_of_what_was_and_none_empties_it(keys: Any) -> None:
    keys("create", "ci", "--limit", "day:requests=5", "--model", "auto", "--expires", "1h")
    keys("set", "ci", "--limit", "minute:tokens=7", "--expires", "never", "--name", "tests")
    (key,) = listed(keys)
    assert (key["name"], key["limits"], key["expires_at"]) == ("tests", {"minute": {"tokens": 7}}, None)
    assert key["models"] == ["auto"]
    keys("set", "tests", "--limit", "none", "--model", "none")
    (key,) = listed(keys)
    assert (key["limits"], key["models"]) == ({}, [])


def test_a_rotated_key_is_the_same_key_with_another_secret(keys: Any) -> None:
    first = json.loads(keys("create", "ci", "--json").stdout)
    second = json.loads(keys("rotate", "ci", "--json").stdout)
    assert first["id"] == second["id"]
    assert first["key"] != second["key"]
    assert listed(keys)[0]["begins_with"] == second["key"][:12]


def test_a_revoked_key_is_listed_on_demand_and_its_name_is_free_again(keys: Any) -> None:
    first = keys("create", "ci").stdout.strip()
    keys("revoke", first[:12])
    assert listed(keys) == []
    assert [key["state"] for key in listed(keys, "--all")] == ["revoked"]
    assert "was revoked" in keys("rotate", "ci", code=1).stderr
    keys("create", "ci")
    assert sorted(key["state"] for key in listed(keys, "--all")) == ["ready", "revoked"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "ci"), "there is a key named ci already"),
        (("create", " "), "a key is called by up to 64 characters"),
        (("create", "x", "--limit", "day:cookies=1"), "is no limit; one is WINDOW:WHAT=NUMBER"),
        (("create", "x", "--limit", "day:requests=-1"), "has to be 0 or more"),
        (("create", "x", "--limit", "day:tokens=1.5"), "whole unless it is of credits"),
        (("create", "x", "--limit", "day:tokens=nan"), "has to be 0 or more"),
        (("create", "x", "--network", "home"), "'home' is no network"),
        (("create", "x", "--model", ""), "--model: an empty value names nothing; say the name of a model, or none for"),
        (("create", "x", "--model", "auto", "--model", " "), "--model: an empty value names nothing"),
        (("create", "x", "--surface", ""), "--surface: an empty value names nothing; say messages, chat or"),
        (("create", "x", "--network", ""), "--network: an empty value names nothing"),
        (("create", "x", "--limit", ""), "--limit: an empty value names nothing"),
        (("create", "x", "--account", ""), "--account: an empty value names nothing"),
        (("create", "x", "--owner", ""), "there is no user ''"),
        (("set", "ci", "--model", ""), "--model: an empty value names nothing"),
        (("set", "ci", "--account", " "), "--account: an empty value names nothing"),
        (("create", "x", "--limit", "day:requests=1", "--limit", "day:requests=2"), "day:requests is there more than"),
        (("create", "x", "--surface", "telnet"), "surfaces: 'telnet' is not one of messages, chat, responses"),
        (("create", "x", "--account", "nobody"), "there is no account named 'nobody'"),
        (("create", "x", "--owner", "nobody"), "there is no user 'nobody'"),
        (("create", "x", "--expires", "2020-01-31"), "this moment is over"),
        (("set", "other", "--limit", "none"), "there is no key other"),
        (("set", "ci", "--limit", "none", "--limit", "day:requests=1"), "none stands alone"),
        (("revoke", "other"), "there is no key other"),
        (("show", "other"), "there is no key other"),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(keys: Any, words: tuple[str, ...], said: str) -> None:
    keys("create", "ci")
    assert said in keys(*words, code=1).stderr


@pytest.mark.parametrize("words", [("create", "x", "--expires", "soon"), ("set", "ci"), ("show", "--json")])
def test_wrong_usage_is_told_apart(keys: Any, words: tuple[str, ...]) -> None:
    said = keys(*words, code=2).stderr
    assert said.count("--help") <= 1


@pytest.mark.parametrize("text", ["99999999999d", "9" * 5000 + "d", "9999-12-31T23:59:59-12:00"])
def test_an_end_that_no_calendar_reaches_is_called_too_far(keys: Any, text: str) -> None:
    assert "is too far away" in keys("create", "x", "--expires", text, code=2).stderr


def test_a_restriction_of_which_nothing_came_makes_no_key_and_frees_none(keys: Any) -> None:
    keys("create", "ci", "--model", "auto")
    keys("create", "other", "--model", "", code=1)
    keys("set", "ci", "--model", "", code=1)
    assert [(key["name"], key["models"]) for key in listed(keys)] == [("ci", ["auto"])]
