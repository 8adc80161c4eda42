"""The sums of the overview are those of the requests, on both engines."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from support.engines import emptied

from kirotrio.store.database import Database
from kirotrio.store.overview import DAY, HOUR, MOST_POINTS, By, Chosen, Sums
from kirotrio.store.overview_rows import _counts, any_at_all, choices, over_time, overview, shares_of
from kirotrio.store.request_record import RequestRecord
from kirotrio.store.request_rows import insert
from kirotrio.store.schema import keys, requests, users

START = 1_790_000_000 // DAY * DAY


def record(number: int, **changes: Any) -> RequestRecord:
    told = {"id": f"req-{number}", "at": START + float(number), "outcome": "end_turn", "seconds": 1.0, **changes}
    return RequestRecord(**told)


def put(database: Database, *records: RequestRecord) -> None:
    database.writing(lambda connection: insert(connection, [attrs.asdict(one) for one in records]))


def have_key(database: Database, key: str, owner: str, name: str) -> None:
    def work(connection: Connection) -> None:
        if not connection.scalar(users.select().where(users.c.id == owner)):
            person = {"id": owner, "name": owner, "role": "member", "state": "active"}
            connection.execute(users.insert().values(**person, created_at=0.0, updated_at=0.0))
        made = {"id": key, "prefix": "sk-kt-x", "digest": key, "name": name, "owner_id": owner}
        connection.execute(keys.insert().values(**made, created_at=0.0, updated_at=0.0))

    database.writing(work)


def nearest_rank(values: list[float], part: float) -> float | None:
    ordered = sorted(values)
    return ordered[math.ceil(part * len(ordered)) - 1] if ordered else None


def two_digits(seconds: float | None) -> float | None:
    """Rounded, a half upwards, to two digits, and to hundredths at the finest."""
    if seconds is None:
        return None
    unit = 1 if seconds < 1 else 10 if seconds < 10 else 100 if seconds < 100 else 1000
    return math.floor(seconds * 100 / unit + 0.5) * unit / 100


def added_up(records: list[RequestRecord]) -> Sums:
    """The sums as one would do them by hand."""
    firsts = [one.first_event_seconds for one in records if one.first_event_seconds is not None]
    return Sums(
        requests=len(records),
        failures=sum(one.outcome in ("upstream_failed", "deadline") for one in records),
        input_tokens=sum(one.input_tokens or 0 for one in records),
        output_tokens=sum(one.output_tokens or 0 for one in records),
        credits=sum(one.credits or 0.0 for one in records),
        first_p50=two_digits(nearest_rank(firsts, 0.5)),
        first_p95=two_digits(nearest_rank(firsts, 0.95)),
    )


_one = st.fixed_dictionaries(
    {
        "at": st.one_of(
            st.floats(START - HOUR, START + 6 * HOUR),
            st.integers(-1, 6).map(lambda hour: float(START + hour * HOUR)),
        ),
        "outcome": st.sampled_from(
            ["end_turn", "tool_use", "client gone", "cancelled", "stopped", "upstream_failed", "deadline"]
        ),
        "model": st.sampled_from(["claude-sonnet-5", "gpt-5.6-sol", ""]),
        "account": st.sampled_from(["work", "home", ""]),
        "seconds": st.integers(0, 400).map(lambda eighths: eighths / 8),
        "first_event_seconds": st.none()
        | st.integers(0, 400).map(lambda eighths: eighths / 8)
        | st.floats(0, 2000, width=32)
        | st.sampled_from([0.994, 0.995, 1.0, 9.94, 9.95, 10.0, 99.4, 99.5, 100.0]),
        "input_tokens": st.none() | st.integers(0, 2**31 - 1),
        "output_tokens": st.none() | st.integers(0, 10**6),
        "credits": st.none() | st.integers(0, 800).map(lambda eighths: eighths / 8),
    }
)


@given(made=st.lists(_one, max_size=25))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_sums_are_those_of_the_requests(database: Database, made: list[dict[str, Any]]) -> None:
    emptied(database)
    records = [record(number, **one) for number, one in enumerate(made)]
    put(database, *records)
    chosen = Chosen(START, START + 5 * HOUR)
    inside = [one for one in records if START <= one.at < START + 5 * HOUR]
    seen = database.reading(lambda connection: overview(connection, chosen))
    assert seen.total == added_up(inside)
    assert [point.at for point in seen.points] == [START + hour * HOUR for hour in range(5)]
    for point in seen.points:
        assert point.sums == added_up([one for one in inside if point.at <= one.at < point.at + HOUR])
    for shares, name in ((seen.models, "model"), (seen.accounts, "account")):
        assert {share.id for share in shares} == {getattr(one, name) for one in inside}
        for share in shares:
            assert share.sums == added_up([one for one in inside if getattr(one, name) == share.id])


def test_half_and_95_of_a_hundred_were_no_slower(database: Database) -> None:
    put(database, *(record(number, first_event_seconds=number / 100) for number in range(1, 101)))
    seen = database.reading(lambda connection: overview(connection, Chosen(START, START + HOUR)))
    assert (seen.total.first_p50, seen.total.first_p95) == (0.5, 0.95)


def test_days_are_those_of_utc(database: Database) -> None:
    put(database, record(1), record(2, at=START + DAY - 0.001), record(3, at=START + DAY))
    points = database.reading(lambda connection: over_time(connection, Chosen(START + 5, START + 2 * DAY, DAY)))
    assert [(point.at, point.sums.requests) for point in points] == [(START, 1), (START + DAY, 1)]


def test_a_member_sees_the_sums_of_their_own_keys(database: Database) -> None:
    have_key(database, "key-a", "anna", "laptop")
    have_key(database, "key-b", "bert", "server")
    put(database, record(1, key_id="key-a"), record(2, key_id="key-b"), record(3, key_id="default"))

    def seen(owner: str | None) -> list[tuple[str, int]]:
        chosen = Chosen(START, START + HOUR, owner=owner)
        found = database.reading(lambda connection: overview(connection, chosen))
        assert found.total.requests == sum(share.sums.requests for share in found.keys)
        return sorted((share.name, share.sums.requests) for share in found.keys)

    assert seen("anna") == [("laptop", 1)]
    assert seen("") == seen("nobody") == []
    assert seen(None) == [("default", 1), ("laptop", 1), ("server", 1)], "a key without a row has its id for a name"


def test_one_account_model_or_key_can_be_looked_at_alone(database: Database) -> None:
    put(
        database,
        record(1, account="work", model="m1", key_id="k1"),
        record(2, account="home", model="m1", key_id="k2"),
        record(3, account="home", model="m2", key_id="k1"),
    )

    def count(**asked: str) -> int:
        seen = database.reading(lambda connection: overview(connection, Chosen(START, START + HOUR, **asked)))
        return seen.total.requests

    assert (count(account="home"), count(model="m1"), count(key="k1"), count(account="home", key="k1")) == (2, 2, 2, 1)
    assert count(account="a\0\ud800") == 0, "what a stranger typed is no error"


def test_the_largest_shares_come_first_and_are_some_at_most(database: Database) -> None:
    put(database, *(record(number, model=f"m{number % 4}") for number in range(10)))
    chosen = Chosen(START, START + HOUR)
    shares = database.reading(lambda connection: shares_of(connection, chosen, By.MODEL, 3))
    assert [(share.id, share.sums.requests) for share in shares] == [("m0", 3), ("m1", 3), ("m2", 2)]


def test_what_can_be_chosen_is_all_there_is_whatever_is_chosen_now(database: Database) -> None:
    have_key(database, "k1", "anna", "laptop")
    put(
        database,
        record(1, account="work", model="m1", key_id="k1"),
        record(2, account="home", model="m1", key_id="k2"),
        record(3, account="home", model="m2", key_id="k2"),
        record(4, account="", model="", key_id="k1"),
        record(5, account="away", model="m3", at=START + DAY),
    )

    def found(by: By, **asked: str) -> list[tuple[str, str]]:
        chosen = Chosen(START, START + HOUR, **asked)
        return database.reading(lambda connection: choices(connection, chosen, by))

    assert found(By.MODEL) == found(By.MODEL, model="m2") == [("m1", "m1"), ("m2", "m2")]
    assert found(By.MODEL, account="work") == [("m1", "m1")], "the other choices hold"
    assert found(By.KEY, key="k2") == [("k1", "laptop"), ("k2", "k2")]
    assert found(By.ACCOUNT, owner="anna") == [("work", "work")]
    assert len(database.reading(lambda link: choices(link, Chosen(START, START + DAY), By.KEY, 1))) == 1


def test_whether_there_is_any_request_is_asked_of_those_one_may_see(database: Database) -> None:
    have_key(database, "key-a", "anna", "laptop")
    have_key(database, "key-b", "bert", "server")

    def any_of(owner: str | None) -> bool:
        return database.reading(lambda connection: any_at_all(connection, owner))

    assert not any_of(None)
    put(database, record(1, key_id="key-a"))
    assert [any_of(None), any_of("anna"), any_of("bert")] == [True, True, False]


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({}, "ix_requests_at"),
        ({"owner": "anna"}, "ix_requests_"),  # by time or by the keys: the planner knows how many there are of each
        ({"key": "key-a"}, "ix_requests_key_id"),
        ({"account": "work"}, "ix_requests_account"),
    ],
)
def test_an_index_finds_what_is_added_up(database: Database, asked: dict[str, str], index: str) -> None:
    def plan(connection: Connection) -> str:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))  # it would read a table this small as a whole
            connection.execute(text("SET LOCAL enable_bitmapscan = off"))
        statement = _counts(connection, Chosen(START, START + HOUR, **asked), requests.c.model)
        spelled = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        return "\n".join(str(tuple(row)) for row in connection.exec_driver_sql(explain + spelled.replace("%", "%%")))

    assert index in database.reading(plan)


@pytest.mark.parametrize(
    ("since", "until", "step"), [(5.0, 4.0, HOUR), (0.0, 10.0, 0), (0.0, (MOST_POINTS + 1) * HOUR, HOUR), (-1.0, 2, 1)]
)
def test_a_span_that_is_none_or_too_long_is_refused(since: float, until: float, step: int) -> None:
    with pytest.raises(ValueError, match="span"):
        Chosen(since, until, step)


def test_what_came_from_a_playground_counts_as_its_users_and_is_called_so(database: Database) -> None:
    have_key(database, "k1", "anna", "laptop")
    have_key(database, "k2", "ben", "desk")
    names = ("k1", "playground:anna", "playground:anna", "playground:anna", "playground:ben", "playground:ben")
    put(database, *(record(number, key_id=name) for number, name in enumerate(names)))

    def found(owner: str | None) -> list[tuple[str, int]]:
        chosen = Chosen(START, START + HOUR, owner=owner)
        shares = database.reading(lambda connection: shares_of(connection, chosen, By.KEY))
        return [(share.name, share.sums.requests) for share in shares]

    assert found(None) == [("playground (anna)", 3), ("playground (ben)", 2), ("laptop", 1)]
    assert found("anna") == [("playground (anna)", 3), ("laptop", 1)]
    assert found("nobody") == []
