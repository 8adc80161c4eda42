"""A backup holds one moment, is whole or not there, and a damaged one is known as such."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, update
from store.backups import fill
from store.faulty import Killed, Steps, faults
from store.keyrings import vault_in
from support.engines import Place

from kirotrio import __version__
from kirotrio.errors import SettingsError
from kirotrio.store import schema
from kirotrio.store.backup import BackupUnusable, back_up, checked_manifest
from kirotrio.store.database import Database
from kirotrio.store.migrate import SHIPPED
from kirotrio.store.vault import Vault

posix = pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")


@pytest.fixture
def vault(place: Place) -> Vault:
    return vault_in(place.data_dir, source="file")


def test_it_tells_what_it_is(database: Database, vault: Vault, tmp_path: Path) -> None:
    fill(database, vault, "home", "work")
    made = back_up(database, tmp_path / "b", now=17.0)
    assert checked_manifest(tmp_path / "b") == made
    assert (made.format, made.program, made.revision, made.made_at) == (1, __version__, SHIPPED.newest, 17.0)
    counts = dict.fromkeys(("accounts", "token_digests", "cooldowns", "snapshots", "successors", "requests"), 2)
    assert {name: made.counts[name] for name in counts} == counts
    assert made.key_ids == (vault.current(made.key_ids[0]),)
    assert not made.keys


def test_it_holds_the_key_only_when_asked(database: Database, vault: Vault, tmp_path: Path) -> None:
    fill(database, vault, "home")
    key = vault.key(back_up(database, tmp_path / "without").key_ids[0])
    back_up(database, tmp_path / "with", keys=[key])
    assert checked_manifest(tmp_path / "with").keys == {key.id: key}
    assert key.to_text().encode() in (tmp_path / "with").read_bytes()
    content = (tmp_path / "without").read_bytes()
    for secret in (key.to_text().encode(), key.material, b"token home"):
        assert secret not in content
    assert key.to_text() not in repr(checked_manifest(tmp_path / "with"))


def test_leases_are_not_in_it(database: Database, vault: Vault, tmp_path: Path) -> None:
    database.writing(lambda c: c.execute(insert(schema.leases).values(name="refresh", holder="me", until=9e9)))
    back_up(database, tmp_path / "b")
    with contextlib.closing(sqlite3.connect(tmp_path / "b")) as file:
        assert file.execute("SELECT count(*) FROM leases").fetchone() == (0,)


@posix
def test_it_is_private_whatever_the_umask(database: Database, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        back_up(database, tmp_path / "b")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600


def test_a_file_that_is_there_is_replaced_only_when_asked(database: Database, vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with pytest.raises(SettingsError, match="--force"):
        back_up(database, tmp_path / "b")
    assert (tmp_path / "b").read_text() == "mine"
    back_up(database, tmp_path / "b", overwrite=True)
    checked_manifest(tmp_path / "b")


def test_a_file_that_appears_meanwhile_is_not_written_over(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "exists", lambda self: False)
    (tmp_path / "b").write_text("theirs")
    with pytest.raises(SettingsError, match="there already"):
        back_up(database, tmp_path / "b")
    assert (tmp_path / "b").read_text() == "theirs"


def test_a_place_that_cannot_be_written_is_said(database: Database, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be written"):
        back_up(database, tmp_path / "nowhere" / "b")


def test_stopped_at_any_step_the_file_is_the_old_one_or_the_new(
    database: Database, vault: Vault, tmp_path: Path
) -> None:
    fill(database, vault, "home")
    target = tmp_path / "backups" / "b"
    target.parent.mkdir()
    old = back_up(database, target, now=1.0)
    for last in count(1):
        try:
            with faults(Steps(last)):
                back_up(database, target, overwrite=True, now=2.0)
        except Killed:
            found = checked_manifest(target)
            assert found.made_at in (1.0, 2.0), f"another file after a stop at step {last}"
            assert found.counts == old.counts
        else:
            break
        assert last < 300, "it never comes to an end"
    assert last > 15, "hardly anything was counted"
    assert checked_manifest(target).made_at == 2.0


def test_it_is_of_one_moment_while_others_write(place: Place, vault: Vault, tmp_path: Path) -> None:
    """Two tables that change in one transaction agree in every backup."""
    database = place.open(deadline=30)
    fill(database, vault, "home")
    failures: list[BaseException] = []
    over = threading.Event()

    def write() -> None:
        own = place.open(deadline=30)

        def both(connection: Any, number: int) -> None:
            connection.execute(update(schema.accounts).values(priority=number))
            connection.execute(update(schema.requests).values(attempts=number))

        try:
            for number in count(1):
                if over.is_set():
                    return
                own.writing(lambda connection, number=number: both(connection, number))
        except BaseException as error:
            failures.append(error)
        finally:
            own.close()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    try:
        for number in range(12):
            back_up(database, tmp_path / f"b{number}")
            checked_manifest(tmp_path / f"b{number}")
            with contextlib.closing(sqlite3.connect(tmp_path / f"b{number}")) as file:
                pair = file.execute("SELECT priority, attempts FROM accounts, requests").fetchone()
            assert pair[0] == pair[1] or pair == (100, 0), f"backup {number} is of two moments: {pair}"
            seen.add(pair)
    finally:
        over.set()
        writer.join()
        database.close()
    assert not failures
    assert len(seen) > 1, "nothing was written meanwhile"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    database = Place("sqlite", "", folder).open()
    fill(database, vault_in(folder, source="file"), "home", "work")
    back_up(database, folder / "b", now=1.0)
    database.close()
    return folder / "b"


def _rows(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as file:
        return [line for line in file.iterdump() if line.startswith("INSERT")]


@given(data=st.data())
@settings(max_examples=60)
def test_a_damaged_file_is_refused_or_means_the_same(whole: Path, data: st.DataObject) -> None:
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 3), label="bytes")):
        place = data.draw(st.integers(0, len(content) - 1), label="place")
        content[place] ^= data.draw(st.integers(1, 255), label="bits")
    damaged = whole.with_name("damaged")
    damaged.write_bytes(content)
    try:
        checked_manifest(damaged)
    except BackupUnusable:
        return
    assert _rows(damaged) == _rows(whole), "it is taken for whole, but its rows are others"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts SET email = 'else@example.org' WHERE name = 'home'",
        "DELETE FROM requests WHERE id = 'request-home'",
        "INSERT INTO successors SELECT 'another', sealed, updated_at FROM successors LIMIT 1",
        "UPDATE manifest SET value = '\"another\"' WHERE name = 'program'",
        "DELETE FROM manifest WHERE name = 'sha256'",
        "DELETE FROM manifest",
        "DROP TABLE requests",
        "UPDATE schema_revision SET version_num = '9'",
    ],
)
def test_a_file_that_somebody_changed_is_refused(whole: Path, tmp_path: Path, statement: str) -> None:
    path = tmp_path / "b"
    path.write_bytes(whole.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute(statement)
    with pytest.raises(BackupUnusable, match="damaged"):
        checked_manifest(path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupUnusable, match="no such file"):
        checked_manifest(tmp_path / "none")
    (tmp_path / "text").write_text("no database at all, and longer than a header of one would be" * 10)
    with pytest.raises(BackupUnusable, match="damaged or no backup"):
        checked_manifest(tmp_path / "text")
    with contextlib.closing(sqlite3.connect(tmp_path / "other")) as file, file:
        file.execute("CREATE TABLE things (name TEXT)")
    (tmp_path / "empty").touch()
    for name in ("other", "empty"):
        with pytest.raises(BackupUnusable, match="no backup of kirotrio"):
            checked_manifest(tmp_path / name)
