"""Secrets at rest open for whoever has the key, in their own place, unaltered; and for nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from store.keyrings import Keyring, vault_in
from support.engines import Place

from kirotrio.config.settings import StoreSettings
from kirotrio.store.accounts import AccountRecord, Secrets, add, all_accounts, find, remove, update
from kirotrio.store.database import Database
from kirotrio.store.sealing import KeyMissing, SealBroken, key_named
from kirotrio.store.secret_keys import SecretKey
from kirotrio.store.vault import KEY_FILE, Vault, key_id_of, open_vault, open_with, seal_with

KEY = SecretKey(bytes(range(32)))
FILE = StoreSettings(key_source="file")


def record(name: str, token: str) -> AccountRecord:
    return AccountRecord(id=f"id-of-{name}", name=name, kind="social", secrets=Secrets(refresh_token=token))


def tokens(database: Database, vault: Vault) -> dict[str, str]:
    records = database.reading(lambda connection: all_accounts(connection, vault))
    return {account.name: account.secrets.refresh_token for account in records}


@given(plain=st.binary(max_size=300), purpose=st.text(max_size=60))
def test_what_was_sealed_opens_again(plain: bytes, purpose: str) -> None:
    sealed = seal_with(KEY, plain, purpose)
    assert open_with(KEY, sealed, purpose) == plain
    assert key_id_of(sealed) == KEY.id
    assert seal_with(KEY, plain, purpose) != sealed, "equal secrets can be told to be equal"


@given(plain=st.binary(max_size=100), purpose=st.text(max_size=40), other=st.text(max_size=40))
def test_a_value_that_was_moved_elsewhere_does_not_open(plain: bytes, purpose: str, other: str) -> None:
    assume(purpose != other)
    with pytest.raises(SealBroken):
        open_with(KEY, seal_with(KEY, plain, purpose), other)


@given(plain=st.binary(max_size=60), data=st.data())
def test_not_one_bit_can_be_altered(plain: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal_with(KEY, plain, "here"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1), label="bit")
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        open_with(KEY, bytes(sealed), "here")


@given(sealed=st.binary(max_size=36))
def test_what_was_never_sealed_is_said_to_be_damaged(sealed: bytes) -> None:
    with pytest.raises(SealBroken):
        key_id_of(sealed)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(SealBroken):
        open_with(SecretKey.new(), seal_with(KEY, b"secret", "here"), "here")


def test_the_row_holds_no_word_of_the_secret(database: Database, place: Place) -> None:
    vault = open_vault(database, FILE, place.data_dir)
    database.writing(lambda connection: add(connection, vault, record("home", "a-refresh-token-of-mine")))

    def raw(connection: object) -> bytes:
        return bytes(connection.exec_driver_sql("SELECT sealed FROM accounts").scalar())

    assert b"refresh" not in database.reading(raw)


def test_a_row_that_is_copied_over_another_does_not_open(database: Database, place: Place) -> None:
    vault = open_vault(database, FILE, place.data_dir)
    for name in ("mine", "theirs"):
        database.writing(lambda connection, name=name: add(connection, vault, record(name, f"token of {name}")))
    copy = "UPDATE accounts SET sealed = (SELECT sealed FROM accounts WHERE name = 'mine') WHERE name = 'theirs'"
    database.writing(lambda connection: connection.exec_driver_sql(copy))
    with pytest.raises(SealBroken, match=r"accounts/id-of-theirs/sealed"):
        database.reading(lambda connection: find(connection, vault, "theirs"))


def test_the_first_secret_makes_the_key_and_names_it(database: Database, place: Place) -> None:
    vault = open_vault(database, FILE, place.data_dir)
    assert not (place.data_dir / KEY_FILE).exists(), "looking at an empty database made a key"
    database.writing(lambda connection: add(connection, vault, record("home", "token")))
    named = database.reading(key_named)
    assert open_vault(database, FILE, place.data_dir).keys.find(named).id == named
    assert tokens(database, open_vault(database, FILE, place.data_dir)) == {"home": "token"}


def test_a_missing_key_is_said_and_no_other_is_made(database: Database, place: Place) -> None:
    vault = open_vault(database, FILE, place.data_dir)
    database.writing(lambda connection: add(connection, vault, record("home", "token")))
    (place.data_dir / KEY_FILE).rename(place.data_dir / "elsewhere")
    with pytest.raises(KeyMissing) as missing:
        open_vault(database, FILE, place.data_dir)
    for said in (database.reading(key_named), str(place.data_dir / KEY_FILE), "kirotrio restore", "forget-secrets"):
        assert said in missing.value.message
    stranger = vault_in(place.data_dir)
    for work in (
        lambda connection: add(connection, stranger, record("work", "other")),
        lambda connection: update(connection, stranger, "id-of-home", secrets=Secrets(refresh_token="other")),
    ):
        with pytest.raises(KeyMissing):
            database.writing(work)
    assert not (place.data_dir / KEY_FILE).exists(), "a new key was made beside secrets that it does not open"
    (place.data_dir / "elsewhere").rename(place.data_dir / KEY_FILE)
    assert tokens(database, open_vault(database, FILE, place.data_dir)) == {"home": "token"}


def test_a_missing_key_that_nothing_needs_is_replaced(database: Database, place: Place) -> None:
    vault = open_vault(database, FILE, place.data_dir)
    database.writing(lambda connection: add(connection, vault, record("home", "token")))
    before = database.reading(key_named)
    database.writing(lambda connection: remove(connection, "id-of-home"))
    (place.data_dir / KEY_FILE).unlink()
    vault = open_vault(database, FILE, place.data_dir)
    database.writing(lambda connection: add(connection, vault, record("work", "another")))
    assert database.reading(key_named) != before
    assert tokens(database, open_vault(database, FILE, place.data_dir)) == {"work": "another"}


def test_the_key_stays_in_the_keyring_and_its_going_away_is_told(database: Database, place: Place) -> None:
    keyring = Keyring()
    vault = vault_in(place.data_dir, keyring)
    database.writing(lambda connection: add(connection, vault, record("home", "token")))
    assert len(keyring.entries) == 1
    assert not (place.data_dir / KEY_FILE).exists()
    assert tokens(database, vault_in(place.data_dir, keyring)) == {"home": "token"}
    gone = vault_in(place.data_dir, None)
    with pytest.raises(KeyMissing, match="no keyring that keeps secrets"):
        database.writing(lambda connection: add(connection, gone, record("work", "other")))
    assert not (place.data_dir / KEY_FILE).exists(), "a second key was made in another place"


def test_a_key_once_held_serves_after_its_place_went_away(database: Database, place: Place) -> None:
    vault = open_vault(database, FILE, place.data_dir)
    database.writing(lambda connection: add(connection, vault, record("home", "token")))
    (place.data_dir / KEY_FILE).unlink()
    database.writing(lambda connection: add(connection, vault, record("work", "other")))
    assert tokens(database, vault) == {"home": "token", "work": "other"}


def test_no_key_shows_in_a_repr(tmp_path: Path) -> None:
    vault = vault_in(tmp_path)
    vault.add(KEY)
    for shown in (repr(KEY), repr(vault), str(KEY)):
        assert KEY.to_text() not in shown
        assert repr(KEY.material) not in shown
