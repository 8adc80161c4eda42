"""Accounts as rows, on both engines."""

from __future__ import annotations

import threading
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from support.engines import Place, PlainSealer, emptied

from kirotrio.errors import SettingsError
from kirotrio.store import request_rows
from kirotrio.store.accounts import (
    AccountRecord,
    AlreadyThere,
    NameTaken,
    Secrets,
    add,
    all_accounts,
    clear_mark,
    digest,
    find,
    known_digest,
    names,
    remove,
    rename,
    revision,
    rotate,
    set_enabled,
    set_mark,
    update,
)
from kirotrio.store.database import Database
from kirotrio.store.listing import Listing
from kirotrio.store.request_record import RequestRecord

SEALER = PlainSealer()

_text = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=32)
_times = st.none() | st.floats(0, 1e11)
_whole = st.none() | st.integers(0, 2**31 - 1)
_secrets = st.builds(
    Secrets, refresh_token=_text, access_token=_text, client_secret=_text, api_key=_text, proxy_url=_text
)
_names = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
records = st.builds(
    AccountRecord,
    id=st.uuids().map(str),
    name=_names,
    kind=st.sampled_from(["social", "builder-id", "identity-center", "api-key", "external"]),
    provider=_text,
    email=_text,
    user_id=_text,
    enabled=st.booleans(),
    mark=st.sampled_from(["", "suspended", "sign_in"]),
    mark_reason=_text,
    marked_at=_times,
    follows=_text,
    profile_arn=_text,
    sign_in_region=_text,
    start_url=_text,
    client_id=_text,
    token_endpoint=_text,
    scope=_text,
    expires_at=_times,
    registration_expires_at=_times,
    region=_text,
    flavour=st.sampled_from(["", "rest", "rpc", "runtime"]),
    endpoint=_text,
    priority=st.integers(-(2**31) + 1, 2**31 - 1),
    max_concurrent=_whole,
    per_minute=_whole,
    secrets=_secrets,
)
each_example = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


def account(name: str = "work", token: str = "first", **changes: Any) -> AccountRecord:
    secrets = Secrets(refresh_token=token) if token else Secrets()
    return AccountRecord(**{"id": f"id-{name}", "name": name, "kind": "social", "secrets": secrets, **changes})


def put(database: Database, record: AccountRecord) -> AccountRecord:
    return database.writing(lambda connection: add(connection, SEALER, record))


def seen(database: Database, name: str = "work") -> AccountRecord:
    record = database.reading(lambda connection: find(connection, SEALER, name))
    assert record is not None
    return record


def known(database: Database, token: str) -> str | None:
    return database.reading(lambda connection: known_digest(connection, token))


@given(record=records)
@each_example
def test_what_goes_in_comes_out(database: Database, record: AccountRecord) -> None:
    emptied(database)
    kept = database.writing(lambda connection: add(connection, SEALER, record, now=5.0))
    assert kept == attrs.evolve(record, created_at=5.0, updated_at=5.0)
    for wanted in (record.name, record.id):
        assert seen(database, wanted) == kept
    assert database.reading(lambda connection: all_accounts(connection, SEALER)) == [kept]
    for token in filter(None, (record.secrets.refresh_token, record.secrets.api_key)):
        assert known(database, token) == record.name


@given(record=records, later=records)
@each_example
def test_every_field_can_be_changed(database: Database, record: AccountRecord, later: AccountRecord) -> None:
    put(emptied(database), record)
    changes = attrs.asdict(later, recurse=False)
    for fixed in ("id", "created_at", "updated_at"):
        del changes[fixed]
    changed = database.writing(lambda connection: update(connection, SEALER, record.id, now=7.0, **changes))
    assert changed == seen(database, later.name)
    assert changed == attrs.evolve(later, id=record.id, created_at=changed.created_at, updated_at=7.0)


def test_secrets_are_in_the_sealed_column_alone(database: Database) -> None:
    secrets = Secrets("refresh-s", "access-s", "client-s", "key-s", "http://proxy-s")
    put(database, account(secrets=secrets, mark_reason="said"))
    row = database.reading(lambda connection: connection.execute(text("SELECT * FROM accounts")).one()._asdict())
    assert row.pop("sealed")
    assert "-s" not in repr(row)
    digests = database.reading(lambda connection: connection.execute(text("SELECT digest FROM token_digests")).all())
    assert {row.digest for row in digests} == {digest("refresh-s"), digest("key-s")}


def test_secrets_do_not_open_in_another_row(database: Database) -> None:
    put(database, account("one", "1"))
    put(database, account("two", "2"))
    swap = "UPDATE accounts SET sealed = (SELECT sealed FROM accounts WHERE name = 'one') WHERE name = 'two'"
    database.writing(lambda connection: connection.execute(text(swap)))
    with pytest.raises(AssertionError, match="sealed for"):
        seen(database, "two")


def test_name_goes_before_id(database: Database) -> None:
    put(database, account("one", "1"))
    put(database, account("id-one", "2"))
    assert seen(database, "id-one").id == "id-id-one"
    assert database.reading(lambda connection: find(connection, SEALER, "nobody")) is None


def test_names_are_unique(database: Database) -> None:
    put(database, account())
    with pytest.raises(NameTaken, match="an account named work already"):
        put(database, account(id="other", token="another"))
    put(database, account("home", "second"))
    for change in (
        lambda connection: rename(connection, "id-home", "work"),
        lambda connection: update(connection, SEALER, "id-home", name="work"),
    ):
        with pytest.raises(NameTaken):
            database.writing(change)
    assert database.reading(names) == ["home", "work"]
    assert database.writing(lambda connection: rename(connection, "id-home", "home")), "its own name is no conflict"


def test_what_an_account_was_asked_is_found_under_its_new_name(database: Database) -> None:
    def asked(number: str, name: str, *tried: str) -> dict[str, Any]:
        tries = orjson.dumps([{"account": one, "outcome": name} for one in tried]).decode()
        told = RequestRecord(id=number, at=1.0, account=name, outcome="end_turn", seconds=1.0, tries=tries)
        return attrs.asdict(told)

    put(database, account("w_rk"))
    put(database, account("work", "second"))
    rows = [asked("1", "w_rk", "work", "w_rk"), asked("2", "work", "w_rk", "work"), asked("3", "work", "work")]
    database.writing(lambda connection: request_rows.insert(connection, rows))
    assert database.writing(lambda connection: rename(connection, "id-w_rk", "home"))

    def filtered(name: str) -> set[str]:
        listing = Listing(filters={"account": name})
        found = database.reading(lambda connection: request_rows.page(connection, listing)).rows
        return {row.record.id for row in found}

    assert (filtered("home"), filtered("work"), filtered("w_rk")) == ({"1"}, {"2", "3"}, set())
    found = {one.id: orjson.loads(one.tries) for one in database.reading(request_rows.recent)}
    assert [one["account"] for one in found["1"]] == ["work", "home"]
    assert [one["outcome"] for one in found["1"]] == ["w_rk", "w_rk"], "only names of accounts are changed"
    assert [one["account"] for one in found["2"]] == ["home", "work"]
    assert [one["account"] for one in found["3"]] == ["work"], "an underscore stands for itself alone"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 65, "a\n"])
def test_names_that_are_none_are_refused(database: Database, name: str) -> None:
    with pytest.raises(SettingsError, match="letters, digits"):
        put(database, account(name, id="1"))
    put(database, account())
    with pytest.raises(SettingsError, match="letters, digits"):
        database.writing(lambda connection: rename(connection, "id-work", name))


@pytest.mark.parametrize(
    ("field", "value"),
    [("email", "x" * 321), ("email", "a\0b"), ("scope", "\ud800"), ("priority", 2**31), ("region", "r" * 33)],
)
def test_what_has_no_room_is_refused_alike(database: Database, field: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=f"cannot be kept: {field}"):
        put(database, account(**{field: value}))
    put(database, account())
    with pytest.raises(SettingsError, match=f"cannot be kept: {field}"):
        database.writing(lambda connection: update(connection, SEALER, "id-work", **{field: value}))


def test_field_that_there_is_not_is_our_own_fault(database: Database) -> None:
    put(database, account())
    for wrong in ({"colour": "red"}, {"id": "2"}):
        with pytest.raises(TypeError, match="no field to change"):
            database.writing(lambda connection, wrong=wrong: update(connection, SEALER, "id-work", **wrong))


def test_a_token_is_of_one_account_for_ever(database: Database) -> None:
    put(database, account())
    with pytest.raises(AlreadyThere) as refusal:
        put(database, account("again", "first"))
    assert refusal.value.name == "work"
    assert _rotate(database, "first", "second")
    for token in ("first", "second"):
        assert known(database, token) == "work", "an old token is still that account's"
        with pytest.raises(AlreadyThere):
            put(database, account("again", token))
    put(database, account("home", "third"))
    with pytest.raises(AlreadyThere):
        database.writing(lambda connection: update(connection, SEALER, "id-home", secrets=Secrets(api_key="first")))
    assert seen(database, "home").secrets.refresh_token == "third"
    assert known(database, "nobody's") is None


def _rotate(database: Database, old: str, new: str, account_id: str = "id-work") -> bool:
    return database.writing(
        lambda connection: rotate(
            connection, SEALER, account_id, old, refresh_token=new, access_token=f"a-{new}", expires_at=9.0
        )
    )


def test_rotation_keeps_what_it_does_not_bring(database: Database) -> None:
    before = put(
        database,
        account(profile_arn="arn", secrets=Secrets("first", "a", "client", "", "http://proxy"), mark="access"),
    )
    assert _rotate(database, "first", "")
    after = seen(database)
    expected = attrs.evolve(before, expires_at=9.0, secrets=attrs.evolve(before.secrets, access_token="a-"))
    assert after == attrs.evolve(expected, updated_at=after.updated_at)


def test_rotation_of_another_token_changes_nothing(database: Database) -> None:
    put(database, account())
    before = seen(database), database.reading(revision)
    assert not _rotate(database, "older", "second")
    assert not _rotate(database, "first", "second", account_id="gone")
    assert (seen(database), database.reading(revision)) == before
    assert known(database, "second") is None


def test_one_of_many_rotations_of_one_token_is_kept(place: Place, database: Database) -> None:
    put(database, account())
    others = [place.open() for _ in range(4)]
    results: dict[str, bool] = {}

    def attempt(number: int) -> None:
        results[f"new-{number}"] = _rotate(others[number % 4], "first", f"new-{number}")

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    kept = [name for name, done in results.items() if done]
    assert len(results) == 12
    assert kept == [seen(database).secrets.refresh_token]


def test_no_change_is_lost_among_gateways(place: Place, database: Database) -> None:
    put(database, account())
    others = [place.open() for _ in range(3)]
    before = database.reading(revision)

    def one_more(connection: Connection) -> None:
        # Reads before it changes: what it read has to hold until its commit.
        database_row = update(connection, SEALER, "id-work")
        assert database_row is not None
        update(connection, SEALER, "id-work", priority=database_row.priority + 1)

    def many(other: Database) -> None:
        for _ in range(8):
            other.writing(one_more)

    threads = [threading.Thread(target=many, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert seen(database).priority == 100 + 24
    assert database.reading(revision) == before + 48


def test_every_change_counts_and_no_look_does(database: Database) -> None:
    changes: list[Any] = [
        lambda connection: add(connection, SEALER, account()),
        lambda connection: rotate(
            connection, SEALER, "id-work", "first", refresh_token="b", access_token="", expires_at=None
        ),
        lambda connection: update(connection, SEALER, "id-work", region="eu-central-1"),
        lambda connection: set_mark(connection, "id-work", "suspended", "write to support"),
        lambda connection: clear_mark(connection, "id-work"),
        lambda connection: set_enabled(connection, "id-work", False),
        lambda connection: rename(connection, "id-work", "home"),
        lambda connection: remove(connection, "id-work"),
    ]
    for change in changes:
        before = database.reading(revision)
        assert database.writing(change)
        assert database.reading(revision) == before + 1
    for change in changes[3:6] + changes[7:]:
        assert not database.writing(change), "the account is gone"
    database.reading(lambda connection: all_accounts(connection, SEALER))
    assert database.reading(revision) == before + 1


def test_marks_come_and_go(database: Database) -> None:
    put(database, account())
    database.writing(lambda connection: set_mark(connection, "id-work", "sign_in", "run `kirotrio login`", now=3.0))
    marked = seen(database)
    assert (marked.mark, marked.mark_reason, marked.marked_at) == ("sign_in", "run `kirotrio login`", 3.0)
    database.writing(lambda connection: clear_mark(connection, "id-work"))
    assert (seen(database).mark, seen(database).mark_reason, seen(database).marked_at) == ("", "", None)


def test_what_fails_in_the_middle_leaves_nothing(database: Database) -> None:
    before = database.reading(revision)

    def half(connection: Connection) -> None:
        add(connection, SEALER, account())
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        database.writing(half)
    assert database.reading(names) == []
    assert known(database, "first") is None
    assert database.reading(revision) == before


def test_removed_account_takes_everything_along(database: Database) -> None:
    put(database, account())
    assert database.writing(lambda connection: remove(connection, "id-work"))
    assert known(database, "first") is None
    put(database, account("again", "first"))
