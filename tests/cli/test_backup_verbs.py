"""`backup`, `restore` and `store` as a person calls them: exit codes and sentences."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from store.backups import fill
from support.engines import open_database

from kirotrio.config.settings import StoreSettings
from kirotrio.store.vault import KEY_FILE, open_vault

Run = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with the accounts home and work. The keyring of whoever runs the tests is left alone."""
    monkeypatch.setenv("KIROTRIO_STORE_KEY_SOURCE", "file")
    monkeypatch.setenv("KIROTRIO_DATA_DIR", str(tmp_path / "data"))
    database = open_database("", tmp_path / "data")
    fill(database, open_vault(database, StoreSettings(key_source="file"), tmp_path / "data"), "home", "work")
    database.close()
    return tmp_path / "data"


def test_a_backup_is_made_and_says_what_it_needs(run: Run, data: Path, tmp_path: Path) -> None:
    done = run("backup", str(tmp_path / "b"))
    assert done.exit_code == 0
    assert done.stdout == f"{tmp_path / 'b'}: 2 accounts, 2 records of requests\n"
    assert str(data / KEY_FILE) in done.stderr
    assert "--with-key" in done.stderr
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600


def test_a_backup_with_its_key_is_warned_of(run: Run, data: Path, tmp_path: Path) -> None:
    done = run("backup", "--with-key", str(tmp_path / "b"))
    assert done.exit_code == 0
    assert "whoever has the file has your accounts" in done.stderr


def test_a_file_that_is_there_needs_force(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    done = run("backup", str(tmp_path / "b"))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "--force" in done.stderr
    assert run("backup", "--force", str(tmp_path / "b")).exit_code == 0


def test_a_backup_does_not_go_to_standard_output(run: Run, data: Path, home: Path) -> None:
    done = run("backup", "-")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "name a file" in done.stderr
    assert list(home.glob("-")) == [], "a file of this name was written"


def test_of_a_backup_with_another_key_it_says_which_key_is_used_now(run: Run, data: Path, tmp_path: Path) -> None:
    database = open_database("", tmp_path / "other")
    fill(database, open_vault(database, StoreSettings(key_source="file"), tmp_path / "other"), "theirs")
    database.close()
    assert run("backup", "--with-key", str(tmp_path / "b"), KIROTRIO_DATA_DIR=str(tmp_path / "other")).exit_code == 0
    for arguments, said in (
        (["--dry-run"], "would be sealed anew with the one in use here"),
        ([], "are sealed anew with the one in use here"),
    ):
        done = run("restore", *arguments, str(tmp_path / "b"), KIROTRIO_DATA_DIR=str(data))
        assert f"came sealed with another key; they {said}" in done.stdout


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_without_a_file_the_usage_is_wrong(run: Run, data: Path, verb: str) -> None:
    done = run(verb)
    assert done.exit_code == 2
    assert "FILE" in done.stderr
    assert f"kirotrio {verb} --help" in done.stderr


def test_a_restore_says_what_it_did_and_where_the_state_before_is(run: Run, data: Path, tmp_path: Path) -> None:
    run("backup", str(tmp_path / "b"))
    database = open_database("", data)
    fill(database, open_vault(database, StoreSettings(key_source="file"), data), "third")
    database.close()
    looked = run("restore", "--dry-run", str(tmp_path / "b"))
    assert looked.exit_code == 0
    assert looked.stdout.startswith("Would restore 2 accounts, 2 records of requests, as of ")
    assert "  removed: third\n" in looked.stdout
    assert not list(data.glob("before-restore-*"))
    done = run("restore", str(tmp_path / "b"))
    assert done.exit_code == 0
    assert done.stdout.startswith("Restored 2 accounts")
    assert "  the same: home, work\n" in done.stdout
    (kept,) = data.glob("before-restore-*")
    assert str(kept) in done.stdout
    assert run("restore", str(kept)).stdout.startswith("Restored 3 accounts")


def test_what_is_no_backup_is_refused(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("no backup, but long enough to be one " * 20)
    for name in ("b", "none"):
        done = run("restore", str(tmp_path / name))
        assert (done.exit_code, done.stdout) == (1, "")
        assert str(tmp_path / name) in done.stderr


def test_info_says_where_everything_is(run: Run, data: Path) -> None:
    lines = run("store", "info").stdout.splitlines()
    facts = json.loads(run("store", "info", "--json").stdout)
    assert len(lines) == len(facts)
    assert (facts["engine"], facts["place"], facts["accounts"]) == ("SQLite", str(data / "kirotrio.db"), 2)
    assert facts["key lies in"] == str(data / KEY_FILE)
    assert facts["bytes"] > 0


def test_info_shows_no_password(run: Run, home: Path, tmp_path: Path, postgresql: object) -> None:
    url = postgresql.migrated_database()
    done = run("store", "info", KIROTRIO_STORE_URL=url, KIROTRIO_DATA_DIR=str(tmp_path / "data"))
    assert done.exit_code == 0
    assert "PostgreSQL" in done.stdout
    for spelling in ("p@ss:w/rd%", "p%40ss%3Aw%2Frd%25"):
        assert spelling not in done.output


def test_a_missing_key_is_a_finding_and_the_ways_out_work(run: Run, data: Path, tmp_path: Path) -> None:
    run("backup", "--with-key", str(tmp_path / "b"))
    (data / KEY_FILE).unlink()
    done = run("store", "info")
    assert done.exit_code == 1
    assert "It is not in" in done.stdout
    assert run("store", "rotate-key").exit_code == 1
    assert run("restore", str(tmp_path / "b")).exit_code == 0
    assert run("store", "info").exit_code == 0


def test_the_key_is_changed(run: Run, data: Path) -> None:
    before = json.loads(run("store", "info", "--json").stdout)["key"]
    done = run("store", "rotate-key")
    assert done.exit_code == 0
    after = json.loads(run("store", "info", "--json").stdout)["key"]
    assert after != before
    assert after in done.stdout
    assert f"Dropped: {before}" in done.stdout
    content = (data / KEY_FILE).read_text().splitlines()[-1]
    assert content not in done.output, "the key itself was shown"


def test_secrets_are_given_up_only_when_said(run: Run, data: Path) -> None:
    done = run("store", "forget-secrets")
    assert done.exit_code == 2
    assert "--yes" in done.stderr
    assert json.loads(run("store", "info", "--json").stdout)["key"]
    done = run("store", "forget-secrets", "--yes")
    assert done.exit_code == 0
    assert "kirotrio login --again home" in done.stdout
    assert json.loads(run("store", "info", "--json").stdout)["key"] is None


def test_who_takes_secrets_out_or_changes_their_key_is_in_the_audit_log(run: Run, data: Path, tmp_path: Path) -> None:
    def log() -> list[tuple[str, str, str]]:
        with closing(sqlite3.connect(data / "kirotrio.db")) as database:
            return [*database.execute("SELECT action, subject, detail FROM audit ORDER BY id")]

    run("backup", "--with-key", str(tmp_path / "b"))
    run("backup", str(tmp_path / "c"))
    run("store", "rotate-key")
    key = json.loads(run("store", "info", "--json").stdout)["key"]
    run("store", "forget-secrets", "--yes")
    *backups, rotated, home, work = log()[-5:]
    assert backups == [("store.backup", "b", '{"with_key": true}'), ("store.backup", "c", '{"with_key": false}')]
    assert rotated[:2] == ("store.rotate-key", key)
    assert [home[:2], work[:2]] == [("store.forget-secrets", "home"), ("store.forget-secrets", "work")]


def test_a_key_file_that_others_can_read_is_refused(run: Run, data: Path) -> None:
    if os.name != "posix":
        pytest.skip("modes are POSIX's")
    (data / KEY_FILE).chmod(0o644)
    done = run("store", "rotate-key")
    assert done.exit_code == 1
    assert f"chmod 600 {data / KEY_FILE}" in done.stderr
