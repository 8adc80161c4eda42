"""A new file is made without the migrations, and is what they would have made."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from support.engines import DEADLINE

from kirotrio.store import creation
from kirotrio.store.creation import NEWEST, create
from kirotrio.store.database import Database
from kirotrio.store.glance import glance
from kirotrio.store.history import SHIPPED
from kirotrio.store.migrate import migrate, open_store, stored_revision


def dump(file: Path) -> list[str]:
    """Shape and rows, as statements in the order of names, whatever their spaces."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        found = [" ".join(statement.split()) for statement in connection.iterdump()]
    return [statement for statement in found if statement not in ("BEGIN TRANSACTION;", "COMMIT;")]


def test_a_new_file_is_what_the_migrations_make(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    made, migrated = tmp_path / "made" / "kirotrio.db", tmp_path / "migrated" / "kirotrio.db"
    assert create(made)
    open_store("", migrated.parent, deadline=DEADLINE).close()
    assert dump(made) == dump(migrated), (
        f"{NEWEST.name} is to be what `sqlite3 {migrated} .dump` prints between BEGIN and COMMIT"
    )
    database = Database(made, deadline=DEADLINE)
    try:
        assert migrate(database) is None
        assert database.reading(stored_revision) == SHIPPED.newest
    finally:
        database.close()


def test_a_new_file_needs_no_more_than_a_glance(tmp_path: Path) -> None:
    file = tmp_path / "kirotrio.db"
    assert create(file)
    seen = glance(file, 0.0)
    assert seen is not None
    assert (seen.revision, seen.key_named, seen.accounts, seen.cooldowns) == (0, "", (), ())


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_a_new_file_is_private_whatever_the_mask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert create(tmp_path / "kirotrio.db")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "kirotrio.db"
    file.write_bytes(content)
    assert not create(file)
    assert file.read_bytes() == content


def test_a_folder_that_cannot_be_used_is_left_to_the_ordinary_way(tmp_path: Path) -> None:
    assert not create(tmp_path / "not there" / "kirotrio.db")


@pytest.mark.parametrize("broken", ["CREATE TABLE accounts (id INTEGER);\nNOT SQL;\n", "CREATE TABLE accounts ("])
def test_what_was_not_made_whole_is_empty_and_the_migrations_make_it(
    tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "newest.sql"
    script.write_text(broken)
    monkeypatch.setattr(creation, "NEWEST", script)
    file = tmp_path / "data" / "kirotrio.db"
    file.parent.mkdir()
    assert not create(file)
    assert dump(file) == []
    open_store("", file.parent, deadline=DEADLINE).close()
    assert glance(file, 0.0) is not None


def test_of_all_that_start_at_the_same_time_one_makes_the_file(tmp_path: Path) -> None:
    """Some with a glance, some by the migrations, as other verbs do."""
    start = threading.Barrier(6)
    wrong: list[BaseException] = []

    def by_creation() -> None:
        start.wait()
        create(tmp_path / "kirotrio.db")

    def by_migration() -> None:
        start.wait()
        try:
            open_store("", tmp_path, deadline=DEADLINE).close()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for work in (by_creation, by_migration) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    open_store("", tmp_path, deadline=DEADLINE).close()
    assert glance(tmp_path / "kirotrio.db", 0.0) is not None
