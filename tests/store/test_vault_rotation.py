"""A new key for all secrets: nothing is lost wherever it is stopped, and gateways go on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection
from store.faulty import Killed, Steps, faults, run_killed
from store.keyrings import Keyring, vault_in
from support.engines import Place

from kirotrio.store import user_rows
from kirotrio.store.accounts import AccountRecord, Secrets, add, all_accounts, rotate, update
from kirotrio.store.backup import key_ids_in
from kirotrio.store.database import Database
from kirotrio.store.glance import glance
from kirotrio.store.rekeying import _retire, drop_retired, forget_secrets, retired, rotate_key
from kirotrio.store.sealing import KeyMissing, key_named, purpose_of, seal_in
from kirotrio.store.secret_keys import KeyFile, SecretKey
from kirotrio.store.user_record import Role, User
from kirotrio.store.vault import KEY_FILE, Vault

TOKENS = {"home": "token-of-home", "work": "token-of-work"}


def put_accounts(database: Database, vault: Vault) -> None:
    for name, token in TOKENS.items():
        record = AccountRecord(id=name, name=name, kind="social", secrets=Secrets(refresh_token=token))
        database.writing(lambda connection, record=record: add(connection, vault, record))


def tokens(database: Database, vault: Vault) -> dict[str, str]:
    records = database.reading(lambda connection: all_accounts(connection, vault))
    return {account.name: account.secrets.refresh_token for account in records}


def key_ids(place: Place) -> list[str]:
    return [key.id for key in KeyFile(place.data_dir / KEY_FILE).read()]


@pytest.mark.parametrize("made", [lambda: None, Keyring])
def test_every_secret_gets_the_new_key_and_the_old_one_goes(
    database: Database, place: Place, made: Callable[[], Keyring | None]
) -> None:
    keyring = made()
    put_accounts(database, vault_in(place.data_dir, keyring))
    before = database.reading(key_named)
    done = rotate_key(database, vault_in(place.data_dir, keyring))
    assert (done.old_ids, done.resealed) == ((before,), 2)
    assert database.reading(key_ids_in) == (done.new_id,)
    assert database.reading(key_named) == done.new_id
    assert tokens(database, vault_in(place.data_dir, keyring)) == TOKENS
    with pytest.raises(KeyMissing):
        vault_in(place.data_dir, keyring).keys.find(before)
    assert database.reading(retired) == set()
    assert len(keyring.entries if keyring else key_ids(place)) == 1


def test_a_database_without_secrets_gets_a_key_too(database: Database, place: Place) -> None:
    done = rotate_key(database, vault_in(place.data_dir))
    assert (done.old_ids, done.resealed) == ((), 0)
    put_accounts(database, vault_in(place.data_dir))
    assert database.reading(key_ids_in) == (done.new_id,)


def test_keys_that_another_database_may_use_stay(database: Database, place: Place) -> None:
    other = vault_in(place.data_dir).keys
    kept = other.make()
    put_accounts(database, vault_in(place.data_dir))
    strange = SecretKey.new()
    other.install(strange)
    rotate_key(database, vault_in(place.data_dir))
    assert strange.id in key_ids(place)
    assert kept.id not in key_ids(place)


def test_a_gateway_that_runs_goes_on(database: Database, place: Place) -> None:
    gateway = vault_in(place.data_dir)
    put_accounts(database, gateway)
    done = rotate_key(database, vault_in(place.data_dir))
    assert tokens(database, gateway) == TOKENS
    database.writing(
        lambda connection: rotate(
            connection, gateway, "home", TOKENS["home"], refresh_token="next", access_token="", expires_at=None
        )
    )
    assert database.reading(key_ids_in) == (done.new_id,), "it sealed with the key that was dropped"
    assert tokens(database, vault_in(place.data_dir))["home"] == "next"


def test_writers_and_rotations_at_one_time_lose_nothing(place: Place) -> None:
    database = place.open(deadline=30)
    put_accounts(database, vault_in(place.data_dir))
    failures: list[BaseException] = []
    over = threading.Event()

    def write(name: str) -> None:
        own, vault = place.open(deadline=30), vault_in(place.data_dir)
        try:
            for number in count():
                if over.is_set():
                    return
                secrets = Secrets(refresh_token=f"{name} {number}")
                own.writing(lambda connection, secrets=secrets: update(connection, vault, name, secrets=secrets))
                assert tokens(own, vault)[name] == f"{name} {number}"
        except BaseException as error:
            failures.append(error)
        finally:
            own.close()

    def rotate_often() -> None:
        own = place.open(deadline=30)
        try:
            for _ in range(4):
                rotate_key(own, vault_in(place.data_dir))
        except BaseException as error:
            failures.append(error)
        finally:
            own.close()

    writers = [threading.Thread(target=write, args=[name]) for name in TOKENS]
    rotations = [threading.Thread(target=rotate_often) for _ in range(2)]
    for thread in writers + rotations:
        thread.start()
    for thread in rotations:
        thread.join()
    over.set()
    for thread in writers:
        thread.join()
    assert not failures
    assert set(tokens(database, vault_in(place.data_dir))) == set(TOKENS)
    assert len(key_ids(place)) == 1, "a key that was to be dropped is there still"
    database.close()


def test_stopped_at_any_step_nothing_is_lost(database: Database, place: Place) -> None:
    put_accounts(database, vault_in(place.data_dir))
    for last in count(1):
        steps = Steps(last)
        try:
            with faults(steps):
                rotate_key(database, vault_in(place.data_dir))
        except Killed:
            assert tokens(database, vault_in(place.data_dir)) == TOKENS, f"lost by a stop at step {last}"
        else:
            break
        assert last < 200, "it never comes to an end"
    assert last > 10, "hardly anything was counted"
    assert tokens(database, vault_in(place.data_dir)) == TOKENS
    assert database.reading(retired) == set()
    assert database.reading(key_named) in key_ids(place)


@pytest.mark.parametrize("step", [3, 8, 12, 16, 20, 24, 28])
def test_killed_at_a_step_nothing_is_lost(tmp_path: Path, step: int) -> None:
    place = Place("sqlite", "", tmp_path / "data")
    database = place.open()
    put_accounts(database, vault_in(place.data_dir))
    database.close()
    code = """
from pathlib import Path
from store.keyrings import vault_in
from support.engines import Place
from kirotrio.store.rekeying import rotate_key
place = Place("sqlite", "", Path(sys.argv[1]))
rotate_key(place.open(), vault_in(place.data_dir))
"""
    assert run_killed(code, step, str(place.data_dir)), "it was over before"
    database = place.open()
    assert tokens(database, vault_in(place.data_dir)) == TOKENS
    done = rotate_key(database, vault_in(place.data_dir))
    assert tokens(database, vault_in(place.data_dir)) == TOKENS
    assert database.reading(key_ids_in) == (done.new_id,)
    database.close()


def test_what_was_left_to_drop_is_dropped_the_next_time(database: Database, place: Place) -> None:
    put_accounts(database, vault_in(place.data_dir))
    before = database.reading(key_named)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kirotrio.store.rekeying.drop_retired", lambda *_: None)
        rotate_key(database, vault_in(place.data_dir))
    assert before in key_ids(place)
    drop_retired(database, vault_in(place.data_dir))
    assert key_ids(place) == [database.reading(key_named)]


def test_a_retired_key_that_is_in_use_after_all_is_not_dropped(database: Database, place: Place) -> None:
    put_accounts(database, vault_in(place.data_dir))
    database.writing(lambda connection: _retire(connection, set(key_ids(place))))
    drop_retired(database, vault_in(place.data_dir))
    assert tokens(database, vault_in(place.data_dir)) == TOKENS


def test_without_the_key_nothing_is_changed(database: Database, place: Place) -> None:
    put_accounts(database, vault_in(place.data_dir))
    (place.data_dir / KEY_FILE).rename(place.data_dir / "aside")
    with pytest.raises(KeyMissing):
        rotate_key(database, vault_in(place.data_dir))
    assert not (place.data_dir / KEY_FILE).exists()
    (place.data_dir / "aside").rename(place.data_dir / KEY_FILE)
    assert tokens(database, vault_in(place.data_dir)) == TOKENS


def test_secrets_without_a_key_can_be_given_up(database: Database, place: Place) -> None:
    put_accounts(database, vault_in(place.data_dir))
    followed = AccountRecord(id="ide", name="ide", kind="social", follows='{"store": "ide"}')
    database.writing(lambda connection: add(connection, vault_in(place.data_dir), followed))
    (place.data_dir / KEY_FILE).unlink()
    assert forget_secrets(database, now=7.0) == ["home", "work"]
    vault = vault_in(place.data_dir)
    records = {record.name: record for record in database.reading(lambda connection: all_accounts(connection, vault))}
    assert {name: record.secrets for name, record in records.items()} == dict.fromkeys(
        ("home", "work", "ide"), Secrets()
    )
    assert records["home"].mark == "sign_in"
    assert "kirotrio login --again home" in records["home"].mark_reason
    assert records["ide"].mark == "", "its tokens lie elsewhere and are not lost"
    secrets = Secrets(refresh_token="new")
    database.writing(lambda connection: update(connection, vault, "home", secrets=secrets))
    assert tokens(database, vault_in(place.data_dir))["home"] == "new"


def test_second_factors_are_sealed_anew_too_and_given_up_with_a_lost_key(database: Database, place: Place) -> None:
    purpose = purpose_of("users", "anna")

    def put(connection: Connection) -> None:
        user = User(id="anna", name="anna", role=Role.OPERATOR, second_factor_at=1.0)
        user_rows.add(connection, user, "")
        user_rows.keep_sealed(connection, "anna", seal_in(connection, vault_in(place.data_dir), b"codes", purpose))

    database.writing(put)
    before = database.reading(key_named)
    assert database.reading(key_ids_in) == (before,)
    done = rotate_key(database, vault_in(place.data_dir))
    assert (done.old_ids, done.resealed) == ((before,), 1)
    sealed = database.reading(lambda connection: user_rows.sealed_of(connection, "anna"))
    assert sealed
    assert vault_in(place.data_dir).open(sealed, purpose) == b"codes"
    if place.is_sqlite:
        seen = glance(place.data_dir / "kirotrio.db", 0.0)
        assert seen
        assert seen.holds_secrets
    (place.data_dir / KEY_FILE).unlink()
    forget_secrets(database)
    after = database.reading(lambda connection: user_rows.find(connection, "anna"))
    assert after
    assert after.second_factor_at is None
    assert database.reading(key_ids_in) == ()
