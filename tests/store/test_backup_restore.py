"""A restore puts back all of a backup or, whatever happens, nothing; and the state before is kept."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select
from store.backups import dump, fill, tokens
from store.faulty import Killed, Steps, faults, run_killed
from store.keyrings import vault_in
from support.engines import ENGINES, Place

from kirotrio.errors import SettingsError
from kirotrio.store import schema
from kirotrio.store.accounts import remove, revision
from kirotrio.store.backup import BackupUnusable, back_up, checked_manifest, key_ids_in
from kirotrio.store.database import Database
from kirotrio.store.migrate import SHIPPED, History, open_store, stored_revision
from kirotrio.store.rekeying import rotate_key
from kirotrio.store.restore import Restored, is_damaged, restore
from kirotrio.store.sealing import key_named
from kirotrio.store.secret_keys import KeyFile, SecretKey
from kirotrio.store.vault import KEY_FILE, Vault

_SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "NEWEST"

def upgrade():
    op.add_column("accounts", sa.Column("colour", sa.String(16), nullable=False, server_default="red"))
""".replace("NEWEST", SHIPPED.newest)


@pytest.fixture
def vault(place: Place) -> Vault:
    return vault_in(place.data_dir, source="file")


@pytest.fixture
def longer(tmp_path: Path) -> History:
    """The history of a newer program."""
    folder = tmp_path / "migrations"
    shutil.copytree(SHIPPED.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "v9999_colour.py").write_text(_SECOND)
    return History(folder, (*SHIPPED.revisions, "9999"))


@pytest.fixture(params=ENGINES)
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Another installation, with its own data folder."""
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").migrated_database()
    place = Place(request.param, url, tmp_path / "other")
    place.open().close()
    return place


def restored(source: Path, place: Place, *, dry_run: bool = False, history: History = SHIPPED) -> Restored:
    """By a process of its own."""
    vault = vault_in(place.data_dir, source="file")
    return restore(source, place.url, place.data_dir, vault, deadline=30, dry_run=dry_run, history=history)


def opened_tokens(place: Place) -> dict[str, str]:
    database = place.open()
    try:
        return tokens(database, vault_in(place.data_dir, source="file"))
    finally:
        database.close()


def keys_of(place: Place) -> list[SecretKey]:
    return KeyFile(place.data_dir / KEY_FILE).read()


def left_over(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name.startswith(".") or entry.name.endswith(".new"))


def test_it_puts_back_what_was_there(database: Database, vault: Vault, place: Place, tmp_path: Path) -> None:
    fill(database, vault, "home", "work")
    before = dump(database)
    back_up(database, tmp_path / "b")
    database.writing(lambda connection: remove(connection, "id-home"))
    fill(database, vault, "third")
    database.writing(lambda connection: connection.execute(schema.accounts.update().values(priority=7)))
    done = restored(tmp_path / "b", place)
    assert dump(database) == before
    assert tokens(database, vault) == {"home": "token home", "work": "token work"}
    changes = done.changes
    assert (changes.added, changes.removed, changes.changed, changes.same) == (("home",), ("third",), ("work",), ())
    assert done.key == "same"
    assert not left_over(place.data_dir)


def test_the_state_before_is_kept_and_can_be_put_back(
    database: Database, vault: Vault, place: Place, tmp_path: Path
) -> None:
    fill(database, vault, "home")
    back_up(database, tmp_path / "b")
    fill(database, vault, "work")
    before = dump(database)
    kept = restored(tmp_path / "b", place).previous
    assert kept is not None
    assert kept.parent == place.data_dir
    assert dump(database) != before
    restored(kept, place)
    assert dump(database) == before


def test_several_restores_at_one_moment_keep_each_state(
    database: Database, vault: Vault, place: Place, tmp_path: Path
) -> None:
    fill(database, vault, "home")
    back_up(database, tmp_path / "b")
    kept = {restored(tmp_path / "b", place).previous for _ in range(3)}
    assert len(kept) == 3


@given(names=st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), max_size=4, unique=True))
@settings(max_examples=5)
def test_it_moves_from_any_engine_to_any_other_and_back(
    tmp_path_factory: pytest.TempPathFactory, postgresql: object, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("move")
    url = postgresql.migrated_database()
    first, second = Place("sqlite", "", folder / "one"), Place("postgresql", url, folder / "two")
    third = Place("sqlite", "", folder / "three")
    database = first.open()
    fill(database, vault_in(first.data_dir, source="file"), *names)
    expected = dump(database)
    database.close()
    for number, (source, target) in enumerate([(first, second), (second, third)]):
        database = source.open()
        back_up(database, folder / f"b{number}", keys=keys_of(source))
        database.close()
        restored(folder / f"b{number}", target)
        database = target.open()
        assert dump(database) == expected, f"changed on the way to {target.engine}"
        database.close()
        assert opened_tokens(target) == {name: f"token {name}" for name in names}


def test_leases_stay_and_the_revision_only_grows(
    database: Database, vault: Vault, place: Place, tmp_path: Path
) -> None:
    fill(database, vault, "home")
    back_up(database, tmp_path / "b")
    fill(database, vault, "work")
    database.writing(lambda c: c.execute(insert(schema.leases).values(name="refresh", holder="me", until=9e9)))
    before = database.reading(revision)
    restored(tmp_path / "b", place)
    assert database.reading(revision) > before, "gateways that look at it would not read the accounts again"
    assert database.reading(lambda c: c.execute(select(schema.leases.c.holder)).scalars().all()) == ["me"]


def test_the_key_comes_with_the_file(database: Database, vault: Vault, tmp_path: Path, other: Place) -> None:
    fill(database, vault, "home")
    back_up(database, tmp_path / "b", keys=[vault.key(database.reading(key_named))])
    done = restored(tmp_path / "b", other)
    assert done.key == "installed"
    assert done.key_where == str(other.data_dir / KEY_FILE)
    assert opened_tokens(other) == {"home": "token home"}
    assert done.previous is None, "nothing was there that could be kept"


def test_without_its_key_it_is_refused(database: Database, vault: Vault, tmp_path: Path, other: Place) -> None:
    fill(database, vault, "home")
    back_up(database, tmp_path / "b")
    for dry_run in (True, False):
        with pytest.raises(BackupUnusable, match="--with-key") as refused:
            restored(tmp_path / "b", other, dry_run=dry_run)
    assert database.reading(key_named) in refused.value.message
    assert opened_tokens(other) == {}


def test_where_there_is_a_key_the_secrets_are_sealed_with_it(
    database: Database, vault: Vault, tmp_path: Path, other: Place
) -> None:
    fill(database, vault, "home")
    back_up(database, tmp_path / "b", keys=[vault.key(database.reading(key_named))])
    there = other.open()
    fill(there, vault_in(other.data_dir, source="file"), "theirs")
    gateway = vault_in(other.data_dir, source="file")
    assert tokens(there, gateway) == {"theirs": "token theirs"}
    before = keys_of(other)
    assert restored(tmp_path / "b", other).key == "resealed"
    assert keys_of(other) == before, "a second key was put beside the one in use"
    assert there.reading(key_ids_in) == (before[0].id,)
    assert tokens(there, gateway) == {"home": "token home"}
    there.close()


@pytest.mark.parametrize("rotated", [False, True])
def test_a_lost_key_comes_back_with_the_backup(
    database: Database, vault: Vault, place: Place, tmp_path: Path, rotated: bool
) -> None:
    fill(database, vault, "home")
    back_up(database, tmp_path / "b", keys=keys_of(place))
    if rotated:
        rotate_key(database, vault)
    (place.data_dir / KEY_FILE).unlink()
    assert restored(tmp_path / "b", place).key == "installed"
    assert opened_tokens(place) == {"home": "token home"}


def test_a_backup_of_an_older_shape_is_brought_to_the_newest(
    database: Database, vault: Vault, tmp_path: Path, other: Place, longer: History
) -> None:
    fill(database, vault, "home")
    back_up(database, tmp_path / "b", keys=[vault.key(database.reading(key_named))])
    content = (tmp_path / "b").read_bytes()
    restored(tmp_path / "b", other, history=longer)
    assert (tmp_path / "b").read_bytes() == content, "the backup itself was changed"
    there = open_store(other.url, other.data_dir, deadline=5, history=longer)
    assert there.reading(stored_revision) == "9999"
    assert tokens(there, vault_in(other.data_dir, source="file")) == {"home": "token home"}
    there.close()


def test_a_backup_of_a_newer_shape_is_refused(
    database: Database, vault: Vault, tmp_path: Path, place: Place, longer: History
) -> None:
    fill(database, vault, "home")
    newer = open_store("", tmp_path / "newer", deadline=5, history=longer)
    back_up(newer, tmp_path / "b")
    newer.close()
    before = dump(database)
    with pytest.raises(BackupUnusable, match="newer"):
        restored(tmp_path / "b", place)
    assert dump(database) == before


def test_a_damaged_backup_changes_nothing(database: Database, vault: Vault, place: Place, tmp_path: Path) -> None:
    fill(database, vault, "home")
    back_up(database, tmp_path / "b")
    with contextlib.closing(sqlite3.connect(tmp_path / "b")) as file, file:
        file.execute("UPDATE requests SET outcome = 'else'")
    fill(database, vault, "work")
    before = dump(database)
    with pytest.raises(BackupUnusable):
        restored(tmp_path / "b", place)
    assert dump(database) == before
    assert not left_over(place.data_dir)


def test_a_dry_run_says_the_same_and_changes_nothing(
    database: Database, vault: Vault, place: Place, tmp_path: Path
) -> None:
    fill(database, vault, "home")
    back_up(database, tmp_path / "b", keys=keys_of(place))
    fill(database, vault, "work")
    before, files = dump(database), sorted(entry.name for entry in place.data_dir.iterdir())
    looked = restored(tmp_path / "b", place, dry_run=True)
    assert dump(database) == before
    assert sorted(entry.name for entry in place.data_dir.iterdir()) == files
    done = restored(tmp_path / "b", place)
    assert (looked.changes, looked.key) == (done.changes, done.key)


def test_a_dry_run_makes_no_database_and_no_key(
    database: Database, vault: Vault, place: Place, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fill(database, vault, "home")
    back_up(database, tmp_path / "b", keys=keys_of(place))
    url = "" if place.is_sqlite else request.getfixturevalue("postgresql").empty_database()
    empty = Place(place.engine, url, tmp_path / "empty")
    looked = restored(tmp_path / "b", empty, dry_run=True)
    assert (looked.changes.added, looked.key) == (("home",), "installed")
    assert list(empty.data_dir.iterdir()) == []
    if not place.is_sqlite:
        from kirotrio.store.database import database_url

        untouched = Database(database_url(url, empty.data_dir), deadline=5)
        assert untouched.reading(stored_revision) is None
        untouched.close()


def test_a_dry_run_does_not_migrate(
    database: Database, vault: Vault, place: Place, tmp_path: Path, longer: History
) -> None:
    fill(database, vault, "home")
    back_up(database, tmp_path / "b")
    with pytest.raises(SettingsError, match="older kirotrio"):
        restored(tmp_path / "b", place, dry_run=True, history=longer)
    assert database.reading(stored_revision) == SHIPPED.newest


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A backup with its key, and the data folder of another installation. Both are copied before use."""
    folder = tmp_path_factory.mktemp("pair")
    for name, account in (("one", "home"), ("two", "theirs")):
        database = Place("sqlite", "", folder / name).open()
        vault = vault_in(folder / name, source="file")
        fill(database, vault, account)
        if name == "one":
            back_up(database, folder / "b", keys=[vault.key(database.reading(key_named))])
        database.close()
    return folder / "b", folder / "two"


@pytest.mark.timeout(400)  # half a minute on an idle machine: every statement of a restoration is a step
def test_stopped_at_any_step_the_state_is_the_old_one_or_the_new(
    pair: tuple[Path, Path], database: Database, vault: Vault, place: Place
) -> None:
    fill(database, vault, "theirs")
    old, new = dump(database), _content(pair)
    # Each takes all the steps before it again: every second one with SQLite, and fewer with a server, which takes
    # longer and differs only in what a transaction is.
    for last in count(1, 2 if place.is_sqlite else 9):
        try:
            with faults(Steps(last)):
                restored(pair[0], place)
        except Killed:
            found = dump(database)
            assert found in (old, new), f"a mixture after a stop at step {last}"
            expected = {"theirs": "token theirs"} if found == old else {"home": "token home"}
            assert opened_tokens(place) == expected, f"after a stop at step {last}"
            if found == new:
                break  # committed: what follows is tidying
        else:
            break
        assert last < 400, "it never comes to an end"
    assert last > 30, "hardly anything was counted"
    assert dump(database) == new


def _content(pair: tuple[Path, Path]) -> dict[str, list[str]]:
    """What a database holds into which the backup was restored: that of the installation it was made of."""
    database = Place("sqlite", "", pair[0].parent / "one").open()
    try:
        return dump(database)
    finally:
        database.close()


_RESTORE = """
from pathlib import Path
from store.keyrings import vault_in
from kirotrio.store.restore import restore
folder = Path(sys.argv[2])
restore(Path(sys.argv[1]), "", folder, vault_in(folder, source="file"), deadline=30)
"""


@pytest.mark.parametrize("step", [4, 10, 20, 30, 40, 48])
def test_killed_at_a_step_the_state_is_the_old_one_or_the_new(
    pair: tuple[Path, Path], tmp_path: Path, step: int
) -> None:
    place = Place("sqlite", "", tmp_path / "data")
    shutil.copytree(pair[1], place.data_dir)
    assert run_killed(_RESTORE, step, str(pair[0]), str(place.data_dir)), "it was over before"
    assert opened_tokens(place) in ({"theirs": "token theirs"}, {"home": "token home"})
    restored(pair[0], place)
    assert opened_tokens(place) == {"home": "token home"}


def _damage(path: Path, how: str) -> bytes:
    content = bytearray(path.read_bytes())
    if how == "header":
        content[:100] = b"x" * 100
    elif how == "pages":
        content[4096:] = bytes(len(content) - 4096)
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)
    return bytes(content)


@pytest.mark.parametrize("how", ["header", "pages", "half"])
def test_a_damaged_database_is_put_aside(pair: tuple[Path, Path], tmp_path: Path, how: str) -> None:
    place = Place("sqlite", "", tmp_path / "data")
    shutil.copytree(pair[1], place.data_dir)
    live = place.data_dir / "kirotrio.db"
    assert not is_damaged(live)
    damaged = _damage(live, how)
    assert is_damaged(live)
    looked = restored(pair[0], place, dry_run=True)
    assert looked.changes.added == ("home",)
    assert live.read_bytes() == damaged
    done = restored(pair[0], place)
    assert done.damaged is not None
    assert done.damaged.read_bytes() == damaged
    assert opened_tokens(place) == {"home": "token home"}
    assert not left_over(place.data_dir)


def test_stopped_at_any_step_a_damaged_database_is_there_or_a_whole_one(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    place = Place("sqlite", "", tmp_path / "data")
    live = place.data_dir / "kirotrio.db"
    for last in count(1, 3):
        shutil.rmtree(place.data_dir, ignore_errors=True)
        shutil.copytree(pair[1], place.data_dir)
        damaged = _damage(live, "header")
        try:
            with faults(Steps(last)):
                restored(pair[0], place)
        except Killed:
            assert live.exists(), f"no database at all after a stop at step {last}"
            assert live.read_bytes() == damaged or opened_tokens(place) == {"home": "token home"}
        else:
            break
        assert last < 400, "it never comes to an end"
    assert last > 30, "hardly anything was counted"


def _newer(place: Place, longer: History) -> Database:
    database = open_store(place.url, place.data_dir, deadline=5, history=longer)
    fill(database, vault_in(place.data_dir, source="file"), "theirs")
    return database


def test_a_newer_database_is_put_aside_with_all_that_is_in_it(
    pair: tuple[Path, Path], tmp_path: Path, longer: History
) -> None:
    place = Place("sqlite", "", tmp_path / "data")
    newer = _newer(place, longer)
    before = dump(newer)
    newer.close()
    files = sorted(entry.name for entry in place.data_dir.iterdir())
    assert restored(pair[0], place, dry_run=True).changes.added == ("home",)
    assert sorted(entry.name for entry in place.data_dir.iterdir()) == files
    done = restored(pair[0], place)
    assert opened_tokens(place) == {"home": "token home"}
    assert done.damaged is None
    assert done.newer is not None
    assert not left_over(place.data_dir)
    (tmp_path / "back").mkdir(mode=0o700)
    done.newer.rename(tmp_path / "back" / "kirotrio.db")
    kept = open_store("", tmp_path / "back", deadline=5, history=longer)
    assert dump(kept) == before, "something of the newer database is lost"
    kept.close()


def test_a_newer_database_in_use_is_left_alone(
    pair: tuple[Path, Path], tmp_path: Path, longer: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kirotrio.store.restore._BUSY", 0.0)
    place = Place("sqlite", "", tmp_path / "data")
    newer = _newer(place, longer)
    before, keys = dump(newer), keys_of(place)
    with pytest.raises(SettingsError, match="stop the gateways"):
        restored(pair[0], place)
    assert (dump(newer), keys_of(place)) == (before, keys)
    newer.close()


def test_what_to_do_with_a_newer_database_can_be_done(
    pair: tuple[Path, Path], place: Place, tmp_path: Path, longer: History, request: pytest.FixtureRequest
) -> None:
    _newer(place, longer).close()
    with pytest.raises(SettingsError) as refused:
        place.open()
    assert "`kirotrio restore FILE`" in refused.value.message
    if not place.is_sqlite:
        assert "name an empty database in store.url" in refused.value.message
        with pytest.raises(SettingsError, match=r"empty database in store\.url"):
            restored(pair[0], place)
        place = Place("postgresql", request.getfixturevalue("postgresql").empty_database(), place.data_dir)
    restored(pair[0], place)
    assert opened_tokens(place) == {"home": "token home"}


def test_a_file_of_another_program_is_not_replaced(pair: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(folder / "kirotrio.db")) as file, file:
        file.execute("CREATE TABLE theirs (name TEXT)")
    with pytest.raises(SettingsError, match="another program"):
        restored(pair[0], Place("sqlite", "", folder))
    with contextlib.closing(sqlite3.connect(folder / "kirotrio.db")) as file:
        assert file.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_secret_that_was_altered_before_the_backup_is_noticed(
    database: Database, vault: Vault, place: Place, tmp_path: Path
) -> None:
    fill(database, vault, "home", "work")
    swap = "UPDATE accounts SET sealed = (SELECT sealed FROM accounts WHERE name = 'home')"
    database.writing(lambda connection: connection.exec_driver_sql(swap))
    back_up(database, tmp_path / "b")
    checked_manifest(tmp_path / "b")
    with pytest.raises(BackupUnusable, match="altered"):
        restored(tmp_path / "b", place)
