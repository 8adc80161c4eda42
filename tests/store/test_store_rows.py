"""Cooldowns, snapshots and successors, on both engines."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.engines import PlainSealer, emptied

from kirotrio.store import cooldowns, snapshots, successors
from kirotrio.store.accounts import AccountRecord, add, remove, revision
from kirotrio.store.cooldowns import CooldownRow
from kirotrio.store.database import Database
from kirotrio.store.snapshots import Snapshot

each_example = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
IDS = ("one", "two")


@pytest.fixture
def filled(database: Database) -> Database:
    return _filled(database)


def _filled(database: Database) -> Database:
    for name in IDS:
        record = AccountRecord(id=name, name=name, kind="social")
        database.writing(lambda connection, record=record: add(connection, PlainSealer(), record))
    return database


rows = st.builds(
    CooldownRow,
    account_id=st.sampled_from(IDS),
    model=st.sampled_from(["", "claude-sonnet-4-5"]),
    blame=st.sampled_from(["rate", "quota"]),
    reason=st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20),
    began_at=st.floats(0, 1e6),
    until=st.floats(0, 1e6) | st.just(float("inf")),
)


@given(put=st.lists(rows, max_size=8), now=st.floats(0, 1e6))
@each_example
def test_cooldowns_are_a_mapping(database: Database, put: list[CooldownRow], now: float) -> None:
    _filled(emptied(database))
    expected: dict[tuple[str, str], CooldownRow] = {}
    for row in put:
        before = database.reading(revision)
        assert database.writing(lambda connection, row=row: cooldowns.put(connection, row))
        assert database.reading(revision) == before + 1, "other gateways have to learn of it"
        expected[row.account_id, row.model] = row
    assert database.reading(cooldowns.all_cooldowns) == [expected[key] for key in sorted(expected)]
    for key in (("one", ""), ("two", "claude-sonnet-4-5")):
        got = database.reading(lambda connection, key=key: cooldowns.get(connection, *key))
        assert got == expected.get(key)
    over = [row for row in expected.values() if row.until <= now]
    assert database.writing(lambda connection: cooldowns.remove_expired(connection, now)) == len(over)
    left = {row.account_id for row in expected.values() if row.until > now and row.account_id == "one"}
    assert (database.writing(lambda connection: cooldowns.remove_of(connection, "one")) > 0) == bool(left)
    assert {row.account_id for row in database.reading(cooldowns.all_cooldowns)} <= {"two"}


def test_cooldown_is_removed_by_account_and_model(filled: Database) -> None:
    row = CooldownRow(account_id="one", blame="rate", began_at=1, until=2)
    for each in (row, attrs.evolve(row, model="m")):
        filled.writing(lambda connection, each=each: cooldowns.put(connection, each))
    assert filled.writing(lambda connection: cooldowns.remove(connection, "one", "m"))
    assert not filled.writing(lambda connection: cooldowns.remove(connection, "one", "m"))
    assert filled.reading(cooldowns.all_cooldowns) == [row]


def test_nothing_is_kept_of_an_account_that_is_gone(filled: Database) -> None:
    cooldown = CooldownRow(account_id="one", blame="rate", began_at=1, until=2)
    snapshot = Snapshot(account_id="one", topic="usage", content="{}", fetched_at=1)
    put: list[Any] = [
        lambda connection: cooldowns.put(connection, cooldown),
        lambda connection: snapshots.put(connection, snapshot),
    ]
    assert [filled.writing(each) for each in put] == [True, True]
    assert filled.writing(lambda connection: remove(connection, "one"))
    assert filled.reading(cooldowns.all_cooldowns) == []
    assert filled.reading(snapshots.all_snapshots) == []
    assert [filled.writing(each) for each in put] == [False, False]


def test_reason_that_is_too_wild_is_tamed(filled: Database) -> None:
    row = CooldownRow(account_id="one", model="m" * 200, blame="rate", reason="a\0b\ud800", began_at=1, until=2)
    assert filled.writing(lambda connection: cooldowns.put(connection, row))
    kept = filled.reading(lambda connection: cooldowns.get(connection, "one", "m" * 128))
    assert kept is not None
    assert kept.reason == "ab\N{REPLACEMENT CHARACTER}"


_snapshots = st.builds(
    Snapshot,
    account_id=st.sampled_from(IDS),
    topic=st.sampled_from(["usage", "models"]),
    content=st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20),
    fetched_at=st.integers(0, 5).map(float),
)


@given(put=st.lists(_snapshots, max_size=8))
@each_example
def test_newest_snapshot_wins(database: Database, put: list[Snapshot]) -> None:
    _filled(emptied(database))
    expected: dict[tuple[str, str], Snapshot] = {}
    for each in put:
        key = each.account_id, each.topic
        newer = key not in expected or expected[key].fetched_at <= each.fetched_at
        assert database.writing(lambda connection, each=each: snapshots.put(connection, each)) == newer
        if newer:
            expected[key] = each
    assert database.reading(snapshots.all_snapshots) == [expected[key] for key in sorted(expected)]
    usage = database.reading(lambda connection: snapshots.all_snapshots(connection, "usage"))
    assert usage == [expected[key] for key in sorted(expected) if key[1] == "usage"]
    got = database.reading(lambda connection: snapshots.get(connection, "one", "models"))
    assert got == expected.get(("one", "models"))


def test_successor_is_replaced_by_who_saw_it(database: Database) -> None:
    def put(sealed: bytes, expected: bytes | None, now: float = 1.0) -> bool:
        return database.writing(
            lambda connection: successors.put(connection, "d" * 64, sealed, expected=expected, now=now)
        )

    def got() -> bytes | None:
        return database.reading(lambda connection: successors.get(connection, "d" * 64))

    assert got() is None
    assert not put(b"first", b"nothing")
    assert put(b"first", None)
    assert not put(b"other", None), "somebody was there before"
    assert not put(b"other", b"older")
    assert got() == b"first"
    assert put(b"second", b"first", now=9.0)
    assert got() == b"second"
    assert database.writing(lambda connection: successors.remove_older(connection, 9.0)) == 0
    assert database.writing(lambda connection: successors.remove_older(connection, 10.0)) == 1
    assert got() is None
