"""Where keys lie: a private file or the system's keyring, each refused with a sentence where it is of no use."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store.keyrings import ForgetfulKeyring, HangingKeyring, Keyring, LockedKeyring, keys_in

from kirotrio.errors import SettingsError
from kirotrio.store.sealing import KeyMissing
from kirotrio.store.secret_keys import KeyFile, KeyringEntries, SecretKey, usable_keyring

posix = pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
keys = st.binary(min_size=32, max_size=32).map(SecretKey)


@given(kept=st.lists(keys, max_size=5, unique=True), dropped=st.integers(0, 4))
def test_a_file_gives_back_what_it_was_given_newest_first(
    tmp_path_factory: pytest.TempPathFactory, kept: list[SecretKey], dropped: int
) -> None:
    file = KeyFile(tmp_path_factory.mktemp("keys") / "store.key")
    for key in kept:
        file.add(key)
        file.add(key)
    assert file.read() == kept[::-1]
    gone = kept[dropped : dropped + 1]
    for key in gone:
        file.drop(key.id)
        assert file.find(key.id) is None
    assert file.read() == [key for key in kept[::-1] if key not in gone]


@given(text=st.text(max_size=60))
def test_what_is_no_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        SecretKey.from_text(text)
    assert len(text) < 3 or text not in str(refused.value)


@posix
def test_the_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        for _ in range(2):
            KeyFile(tmp_path / "new" / "store.key").add(SecretKey.new())
            assert stat.S_IMODE((tmp_path / "new" / "store.key").stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["store.key"], "a draft was left behind"


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622])
def test_a_file_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    file = KeyFile(tmp_path / "store.key")
    file.add(SecretKey.new())
    file.path.chmod(mode)
    for use in (file.read, lambda: file.find("0" * 16), lambda: file.add(SecretKey.new())):
        with pytest.raises(SettingsError, match="chmod 600") as refused:
            use()
        assert str(file.path) in refused.value.message


@pytest.mark.parametrize(
    "content", [b"no key\n", b"\xff\xfe", SecretKey.new().to_text().encode()[:-3]], ids=["words", "bytes", "cut"]
)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="is no key; put back") as refused:
        keys_in(tmp_path).make()
    assert repr(content) not in refused.value.message
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"store\.key_file"):
        KeyFile(tmp_path / "file" / "store.key").add(SecretKey.new())


@pytest.mark.parametrize("wanted", ["first", "another"])
def test_of_several_that_make_a_key_at_once_none_is_lost(tmp_path: Path, wanted: str) -> None:
    made: list[SecretKey] = []
    barrier = threading.Barrier(8)

    def make() -> None:
        barrier.wait()
        if wanted == "first":
            made.append(keys_in(tmp_path, source="file").make())
        else:
            key = SecretKey.new()
            keys_in(tmp_path, source="file").install(key)
            made.append(key)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there = KeyFile(tmp_path / "store.key").read()
    assert len(made) == 8
    assert set(made) == set(there), "a gateway seals with a key that nobody keeps"
    assert wanted == "another" or len(there) == 1, "each made a key of its own"


def test_a_key_that_lies_in_the_file_is_taken_before_a_new_one_is_made(tmp_path: Path) -> None:
    first = keys_in(tmp_path).make()
    assert keys_in(tmp_path, Keyring()).make() == first


def test_a_keyring_is_preferred_and_keeps_one_entry_per_key(tmp_path: Path) -> None:
    keyring = Keyring()
    key = keys_in(tmp_path, keyring).make()
    assert list(keyring.entries) == [("kirotrio", f"store key {key.id}")], "something else was left in it"
    place, found = keys_in(tmp_path, keyring).place_of(key.id)
    assert found == key
    assert keyring.name in place.where
    place.drop(key.id)
    place.drop(key.id)
    assert not keyring.entries


@pytest.mark.parametrize("keyring", [None, LockedKeyring(), ForgetfulKeyring()])
def test_a_keyring_of_no_use_gives_way_to_the_file(tmp_path: Path, keyring: Keyring | None) -> None:
    key = keys_in(tmp_path, keyring).make()
    assert KeyFile(tmp_path / "store.key").read() == [key]


@pytest.mark.parametrize("keyring", [None, LockedKeyring(), ForgetfulKeyring()])
def test_a_keyring_that_was_asked_for_is_not_replaced_by_a_file(tmp_path: Path, keyring: Keyring | None) -> None:
    with pytest.raises(SettingsError, match=r"store\.key_source") as refused:
        keys_in(tmp_path, keyring, "keyring").make()
    assert "secret word" not in refused.value.message
    assert not (tmp_path / "store.key").exists()


def test_a_file_that_was_asked_for_leaves_the_keyring_alone(tmp_path: Path) -> None:
    keyring = Keyring()
    key = keys_in(tmp_path, keyring, "file").make()
    assert not keyring.entries
    with pytest.raises(KeyMissing):
        keys_in(tmp_path, keyring, "keyring").find(key.id)


def test_a_keyring_that_hangs_is_given_up(tmp_path: Path) -> None:
    keyring = HangingKeyring()
    try:
        with pytest.raises(SettingsError, match=r"did not answer within 0\.05 seconds"):
            keys_in(tmp_path, keyring, "keyring", deadline=0.05).make()
        key = keys_in(tmp_path, keyring, deadline=0.05).make()
        assert KeyFile(tmp_path / "store.key").read() == [key]
        with pytest.raises(KeyMissing, match="did not answer"):
            keys_in(tmp_path, keyring, deadline=0.05).find("0" * 16)
    finally:
        keyring.let_go.set()


def test_a_damaged_entry_is_not_taken_for_a_key(tmp_path: Path) -> None:
    keyring = Keyring()
    key = keys_in(tmp_path, keyring).make()
    for damaged in ("", key.to_text()[:-4], SecretKey.new().to_text()):
        keyring.entries["kirotrio", f"store key {key.id}"] = damaged
        with pytest.raises(SettingsError, match="damaged"):
            KeyringEntries(keyring, 60).find(key.id)


class _Several(Keyring):
    """As the library does where there are several: it stands for them."""

    priority = 10.0

    def __init__(self, *backends: Any) -> None:
        super().__init__()
        self.backends = list(backends)


def _of_priority(priority: float) -> Keyring:
    keyring = Keyring()
    keyring.priority = priority
    return keyring


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (_of_priority(5), "itself"),
        (_of_priority(0.5), None),  # plain text
        (_of_priority(0), None),  # the one that fails
        (_of_priority(-1), None),  # the one that keeps nothing
        (_Several(_of_priority(5), _of_priority(0.5)), 0),
        (_Several(_of_priority(0.5), _of_priority(0.6)), None),
    ],
)
def test_only_a_keyring_that_keeps_secrets_is_used(
    monkeypatch: pytest.MonkeyPatch, offered: Any, chosen: int | str | None
) -> None:
    monkeypatch.setattr("keyring.get_keyring", lambda: offered)
    found = usable_keyring(60)
    if chosen is None:
        assert found is None
        return
    expected = offered if chosen == "itself" else offered.backends[chosen]
    assert found is not None
    found.add(SecretKey.new())
    assert len(expected.entries) == 1, "the entry went to another keyring"
