"""The database is made, migrated and refused (issue 4, The store beneath)."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import inspect, text
from support.engines import DEADLINE, Place, PlainSealer

from kirotrio.errors import SettingsError
from kirotrio.store.accounts import AccountRecord, Secrets, add, all_accounts
from kirotrio.store.database import Database, database_url
from kirotrio.store.migrate import REVISION_TABLE, SHIPPED, History, migrate, open_store, stored_revision
from kirotrio.store.schema import metadata

_SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "NEWEST"

def upgrade():
    # Makes the table anew on SQLite, with all that refers to it.
    with op.batch_alter_table("accounts") as table:
        table.add_column(sa.Column("colour", sa.String(16), nullable=False, server_default="red"))
        table.alter_column("email", type_=sa.String(400))
    op.execute("INSERT INTO leases (name, holder, until) VALUES ('migrated', 'once', 0)")
""".replace("NEWEST", SHIPPED.newest)


@pytest.fixture
def longer(tmp_path: Path) -> History:
    """The history of a newer program."""
    folder = tmp_path / "with 100% of migrations"
    shutil.copytree(SHIPPED.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "v9999_colour.py").write_text(_SECOND)
    return History(folder, (*SHIPPED.revisions, "9999"))


@pytest.fixture
def open_mask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _copies(place: Place) -> list[Path]:
    return sorted(place.data_dir.glob("kirotrio-*.db"))


def _revision(database: Database) -> str | None:
    return database.reading(stored_revision)


def test_migrations_lead_to_the_tables_that_the_program_uses(database: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def differences(connection: Any) -> list[Any]:
        options = {"version_table": REVISION_TABLE, "compare_type": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    assert database.reading(differences) == []
    assert _revision(database) == SHIPPED.newest


def test_newest_database_opens_without_the_migration_library(place: Place) -> None:
    program = (
        "import sys; from pathlib import Path; from kirotrio.store.migrate import open_store;"
        "open_store(sys.argv[1], Path(sys.argv[2]), deadline=5).close();"
        "sys.exit('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, place.url, str(place.data_dir)], check=False)
    assert done.returncode == 0, "alembic was imported although there was nothing to migrate"


def test_files_are_private_whatever_the_mask(tmp_path: Path, open_mask: None) -> None:
    database = open_store("", tmp_path / "made" / "here", deadline=DEADLINE)
    database.writing(lambda connection: connection.execute(text("DELETE FROM leases")))
    files = {path.name: _mode(path) for path in (tmp_path / "made" / "here").iterdir()}
    database.close()
    assert files == dict.fromkeys(("kirotrio.db", "kirotrio.db-wal", "kirotrio.db-shm"), 0o600)
    assert _mode(tmp_path / "made" / "here") == _mode(tmp_path / "made") == 0o700


def test_sqlite_writes_ahead_keeps_references_and_few_pages(tmp_path: Path) -> None:
    database = open_store("", tmp_path, deadline=DEADLINE)
    kibibytes = -512
    for pragma, expected in (
        ("journal_mode", "wal"),
        ("foreign_keys", 1),
        ("synchronous", 2),
        ("cache_size", kibibytes),
    ):
        value = database.reading(lambda connection, of=pragma: connection.exec_driver_sql(f"PRAGMA {of}").scalar())
        assert value == expected, pragma
    database.close()


@pytest.mark.parametrize("name", ["what?is#this%20", "a b", "ü", "kirotrio:1@x"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    open_store("", tmp_path / name, deadline=DEADLINE).close()
    assert (tmp_path / name / "kirotrio.db").is_file()


def test_older_database_is_migrated_with_all_that_is_in_it(
    place: Place, longer: History, sealer: PlainSealer, open_mask: None
) -> None:
    record = AccountRecord(id="1", name="work", kind="social", secrets=Secrets(refresh_token="r" * 100))
    database = place.open()
    record = database.writing(lambda connection: add(connection, sealer, record))
    database.close()

    database = open_store(place.url, place.data_dir, deadline=DEADLINE, history=longer)
    assert _revision(database) == "9999"
    assert database.reading(lambda connection: all_accounts(connection, sealer)) == [record]
    digests = database.reading(lambda connection: connection.scalar(text("SELECT count(*) FROM token_digests")))
    assert digests == 1, "what refers to a table that is made anew has to outlive it"
    pragma = "PRAGMA foreign_keys"
    if place.is_sqlite:
        assert database.reading(lambda connection: connection.exec_driver_sql(pragma).scalar()) == 1
    database.close()

    assert len(_copies(place)) == (1 if place.is_sqlite else 0)
    for copy in _copies(place):
        assert copy.name.startswith(f"kirotrio-{SHIPPED.newest}-20"), "the copy says which revision and when"
        assert _mode(copy) == 0o600
        with sqlite3.connect(copy) as connection:
            assert connection.execute(f"SELECT version_num FROM {REVISION_TABLE}").fetchall() == [(SHIPPED.newest,)]
            assert connection.execute("SELECT name FROM accounts").fetchall() == [("work",)]
        connection.close()


def test_new_database_leaves_no_copy(tmp_path: Path) -> None:
    open_store("", tmp_path, deadline=DEADLINE).close()
    assert not list(tmp_path.glob("kirotrio-*"))


def test_copy_that_cannot_be_written_stops_the_migration(
    tmp_path: Path, longer: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / "data"
    open_store("", data_dir, deadline=DEADLINE).close()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kirotrio.store.migrate.os.fsync", full)
    with pytest.raises(SettingsError, match="No space left on device"):
        open_store("", data_dir, deadline=DEADLINE, history=longer)
    monkeypatch.undo()
    database = open_store("", data_dir, deadline=DEADLINE)
    assert _revision(database) == SHIPPED.newest
    database.close()
    assert not [path for path in data_dir.iterdir() if path.name.startswith((".kirotrio", "kirotrio-"))]


def test_migration_that_fails_leaves_the_old_shape(place: Place, longer: History) -> None:
    broken = longer.folder / "versions" / "v9999_colour.py"
    broken.write_text(_SECOND + "    raise RuntimeError('the power went')\n")
    with pytest.raises(RuntimeError, match="the power went"):
        open_store(place.url, place.data_dir, deadline=DEADLINE, history=longer)
    database = place.open()
    columns = {
        column["name"] for column in database.reading(lambda connection: inspect(connection).get_columns("accounts"))
    }
    database.close()
    assert "colour" not in columns


def test_those_that_open_at_one_time_migrate_once(place: Place, longer: History) -> None:
    failures: list[BaseException] = []

    def open_it() -> None:
        try:
            open_store(place.url, place.data_dir, deadline=DEADLINE, history=longer).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    database = open_store(place.url, place.data_dir, deadline=DEADLINE, history=longer)
    count = database.reading(lambda connection: connection.scalar(text("SELECT count(*) FROM leases")))
    database.close()
    assert count == 1, "the second step inserts one row each time that it runs"
    assert [copy.name[:13] for copy in _copies(place)] == [f"kirotrio-{SHIPPED.newest}"] * place.is_sqlite, (
        "nor is it copied again"
    )


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_processes_that_start_at_one_time_make_one_database(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgresql").empty_database() if engine == "postgresql" else ""
    program = (
        "import sys; from pathlib import Path; from kirotrio.store.migrate import open_store;"
        "print('here', flush=True); sys.stdin.readline();"
        "open_store(sys.argv[1], Path(sys.argv[2]), deadline=30).close()"
    )
    command = [sys.executable, "-c", program, url, str(tmp_path / "data")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    started = [subprocess.Popen(command, text=True, **pipes) for _ in range(4)]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said


def test_newer_database_is_refused_and_left_alone(place: Place, longer: History) -> None:
    open_store(place.url, place.data_dir, deadline=DEADLINE, history=longer).close()
    copies = _copies(place)
    with pytest.raises(SettingsError, match=r"cannot be used: it has revision 9999, which kirotrio .* does not know"):
        place.open()
    assert _copies(place) == copies, "a refusal copies nothing"
    database = open_store(place.url, place.data_dir, deadline=DEADLINE, history=longer)
    assert _revision(database) == "9999"
    database.close()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_database_of_another_program_is_refused(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgresql").empty_database() if engine == "postgresql" else ""
    database = Database(database_url(url, tmp_path), deadline=DEADLINE)
    database.writing(lambda connection: connection.execute(text("CREATE TABLE songs (title TEXT)")))
    with pytest.raises(SettingsError, match="another program") as refusal:
        migrate(database)
    tables = database.reading(lambda connection: inspect(connection).get_table_names())
    database.close()
    assert tables == ["songs"]
    assert database.where in refusal.value.message


def test_damaged_file_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "kirotrio.db").write_bytes(b"not a database at all, but long enough to be read as one" * 100)
    with pytest.raises(SettingsError, match=r"kirotrio\.db is damaged or no database .*`kirotrio restore FILE`"):
        open_store("", tmp_path, deadline=DEADLINE)


def test_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "beneath"):
        with pytest.raises(SettingsError, match=r"the data folder .*data\.dir"):
            open_store("", folder, deadline=DEADLINE)


def test_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write anywhere, so the question is answered here.
    monkeypatch.setattr("kirotrio.store.migrate.os.access", lambda *_: False)
    with pytest.raises(SettingsError, match="is not writable"):
        open_store("", tmp_path, deadline=DEADLINE)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:pass@word:hunter2@/x:y@host:port/name",
        "postgresql://me:hunter2@host:hunter2/name",
        "hunter2",
        "nosuch+engine://me:hunter2@host/name",
    ],
)
def test_address_that_is_none_is_refused_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"store\.url is no address of a database") as refusal:
        open_store(url, tmp_path, deadline=DEADLINE)
    assert "hunter2" not in str(refusal.value)


def test_password_is_never_shown(postgresql: Any, tmp_path: Path) -> None:
    database = open_store(postgresql.migrated_database(), tmp_path, deadline=DEADLINE)
    database.close()
    shown = f"{database.where} {database.engine!r} {database!r}"
    assert "p@ss" not in shown
    assert "p%40ss" not in shown
    assert "postgres:***@" in database.where


@pytest.mark.parametrize("earlier", SHIPPED.revisions[:-1])
def test_every_earlier_shape_becomes_the_newest_and_keeps_its_rows(
    place: Place, earlier: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    known = SHIPPED.revisions[: SHIPPED.revisions.index(earlier) + 1]
    folder = tmp_path / "migrations of then"
    shutil.copytree(SHIPPED.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for migration in (folder / "versions").glob("v*.py"):
        if migration.name[1:5] not in known:
            migration.unlink()
    if place.is_sqlite:
        place = evolve(place, data_dir=tmp_path / "data of then")
    else:
        place = evolve(place, url=request.getfixturevalue("postgresql").empty_database())
    then = open_store(place.url, place.data_dir, deadline=DEADLINE, history=History(folder, known))
    account = (
        "INSERT INTO accounts (id, name, kind, provider, email, user_id, enabled, mark, mark_reason, follows, "
        "profile_arn, sign_in_region, start_url, client_id, token_endpoint, scope, region, flavour, endpoint, "
        "priority, sealed, created_at, updated_at) VALUES ('1', 'work', 'social', '', '', '', true, '', '', '', '', "
        "'', '', '', '', '', '', '', '', 100, '', 1, 1)"
    )
    asked = (
        "INSERT INTO requests (id, at, key_id, account, model, surface, mode, outcome, error, seconds, attempts, "
        "usage) VALUES ('req_1', 1, 'k', 'work', 'm', 'chat', 'live', 'finished', '', 2, 1, 'measured')"
    )

    def fill(connection: Any) -> None:
        connection.execute(text(account))
        connection.execute(text(asked))

    then.writing(fill)
    assert _revision(then) == earlier
    then.close()

    now = open_store(place.url, place.data_dir, deadline=DEADLINE)
    try:
        assert _revision(now) == SHIPPED.newest
        rows = now.reading(lambda connection: connection.execute(text("SELECT owner_id, lent FROM accounts")).all())
        assert [tuple(row) for row in rows] == [("", True)], "an older account is the gateway's own, for everybody"
        kept = now.reading(lambda connection: connection.execute(text("SELECT id, tries FROM requests")).all())
        assert [tuple(row) for row in kept] == [("req_1", "")]
    finally:
        now.close()
