"""The look at SQLite's file with which a start begins: it sees what the ordinary way reads, or leaves it to that."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.engines import PlainSealer

from kirotrio.accounts import statements
from kirotrio.accounts.known import known_of
from kirotrio.store import accounts, cooldowns, leases, successors
from kirotrio.store.account_record import AccountRecord, CooldownRow, Secrets, record_of
from kirotrio.store.database import Database
from kirotrio.store.glance import glance
from kirotrio.store.migrate import open_store
from kirotrio.store.sealing import key_named, name_key

SEALER = PlainSealer()
each_example = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

_text = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
_times = st.none() | st.integers(0, 10**9) | st.floats(0, 1e10)
_records = st.builds(
    AccountRecord,
    id=st.uuids().map(str),
    name=st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True),
    kind=st.sampled_from(["social", "api-key"]),
    email=_text,
    enabled=st.booleans(),
    mark=st.sampled_from(["", "suspended", "sign_in"]),
    mark_reason=_text,
    marked_at=_times,
    expires_at=_times,
    priority=st.integers(-1000, 1000),
    max_concurrent=st.none() | st.integers(0, 100),
    secrets=st.builds(Secrets, access_token=_text, proxy_url=_text),
)
_pauses = st.builds(
    CooldownRow,
    account_id=st.just(""),
    model=st.sampled_from(["", "a-model"]),
    blame=st.sampled_from(["quota", "suspended", "of a later version"]),
    reason=_text,
    began_at=st.floats(0, 1e10),
    until=st.floats(0, 1e10),
)


def opened(folder: Path) -> Database:
    return open_store("", folder, deadline=5.0)


@each_example
@given(
    records=st.lists(_records, max_size=4, unique_by=(lambda one: one.id, lambda one: one.name)),
    pauses=st.lists(_pauses, max_size=3),
    key=st.sampled_from(["", "0123456789abcdef"]),
)
def test_what_a_glance_sees_is_what_the_ordinary_way_reads(
    tmp_path_factory: pytest.TempPathFactory, records: list[AccountRecord], pauses: list[CooldownRow], key: str
) -> None:
    folder = tmp_path_factory.mktemp("data")
    database = opened(folder)
    try:
        database.writing(lambda connection: name_key(connection, key))
        for record in records:
            database.writing(lambda connection, record=record: accounts.add(connection, SEALER, record))
        for record, pause in zip(records, pauses, strict=False):
            row = attrs.evolve(pause, account_id=record.id)
            database.writing(lambda connection, row=row: cooldowns.put(connection, row))
        known = database.reading(lambda connection: statements.known(connection, SEALER, None))
        named = database.reading(key_named)
    finally:
        database.close()

    seen = glance(folder / "kirotrio.db", 0.0)

    assert seen is not None
    assert seen.key_named == named
    seen_records = [record_of(row, SEALER) for row in seen.accounts]
    assert known_of(seen.revision, seen_records, [CooldownRow(**row) for row in seen.cooldowns]) == known


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert glance(tmp_path / "kirotrio.db", 0.0) is None
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_left_to_the_ordinary_way(tmp_path: Path) -> None:
    file = tmp_path / "kirotrio.db"
    file.write_bytes(b"no database at all" * 100)
    assert glance(file, 0.0) is None


def test_a_database_of_another_shape_is_left_to_the_ordinary_way(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "kirotrio.db") as connection:
        connection.execute("UPDATE schema_revision SET version_num = 'later'")
    connection.close()
    assert glance(tmp_path / "kirotrio.db", 0.0) is None


def test_a_file_that_another_program_writes_is_left_to_the_ordinary_way(tmp_path: Path) -> None:
    opened(tmp_path).close()
    writer = sqlite3.connect(tmp_path / "kirotrio.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert glance(tmp_path / "kirotrio.db", 0.0) is None
    finally:
        writer.close()


def test_what_has_to_be_tidied_is_left_to_the_ordinary_way(tmp_path: Path) -> None:
    database = opened(tmp_path)
    file = tmp_path / "kirotrio.db"
    try:
        database.writing(lambda connection: successors.put(connection, "digest", b"sealed", expected=None, now=100.0))
        assert glance(file, 100.0) is not None
        assert glance(file, 101.0) is None
        database.writing(lambda connection: leases.take(connection, "refresh", leases.new_holder(), 60.0))
        assert glance(file, 100.0) is None
    finally:
        database.close()
