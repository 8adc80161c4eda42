"""How a request ended is said once, by its outcome alone: records, the list's filter and the overview's failures agree,
on both engines."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.engines import emptied

from kirotrio.conversation.events import StopCause
from kirotrio.errors import (
    Cancelled,
    Cause,
    KirotrioError,
    LimitReached,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    StoreUnavailable,
    UnderMaintenance,
)
from kirotrio.store import overview_rows, request_rows
from kirotrio.store.database import Database
from kirotrio.store.listing import Listing
from kirotrio.store.overview import Chosen
from kirotrio.store.request_endings import Ending, cause_of, ending_of, outcome_of
from kirotrio.store.request_record import RequestRecord

OWN = [
    "body_invalid",
    "authentication",
    "permission",
    "not_found",
    "too_large",
    "method_not_allowed",
    "threads_unsupported",
    "context_overflow",
]


def put(database: Database, *told: dict[str, Any]) -> None:
    rows = [attrs.asdict(RequestRecord(id=f"req_{n}", at=1000.0 + n, seconds=1.0, **one)) for n, one in enumerate(told)]
    emptied(database).writing(lambda connection: request_rows.insert(connection, rows))


@pytest.mark.parametrize(
    ("outcome", "ending"),
    [
        *((stop.value, Ending.FINISHED) for stop in StopCause),
        ("cancelled", Ending.CANCELLED),
        ("client gone", Ending.LEFT),
        ("stopped", Ending.STOPPED),
        ("limit_reached", Ending.REFUSED),
        ("maintenance", Ending.REFUSED),
        *((outcome, Ending.REFUSED) for outcome in OWN),
        *((cause.value, Ending.FAILED) for cause in Cause if cause.value not in OWN),
    ],
)
def test_only_what_the_gateway_owed_and_did_not_give_is_a_failure(outcome: str, ending: Ending) -> None:
    assert ending_of(outcome) is ending
    assert RequestRecord(id="one", at=0.0, seconds=1.0, outcome=outcome).ending is ending


@pytest.mark.parametrize(
    ("error", "ending", "cause"),
    [
        (LimitReached("a limit of the key's"), Ending.REFUSED, "rate_limited"),
        (RateLimited("the account's pace"), Ending.FAILED, "rate_limited"),
        (QuotaExhausted("the account's credits"), Ending.FAILED, "quota_exhausted"),
        (UnderMaintenance("closed"), Ending.REFUSED, "overloaded"),
        (Overloaded("stopping"), Ending.FAILED, "overloaded"),
        (StoreUnavailable("away"), Ending.FAILED, "overloaded"),
        (Cancelled("by a person"), Ending.CANCELLED, "cancelled"),
        *((KirotrioError("", cause=one), Ending.REFUSED, one.value) for one in Cause if one.value in OWN),
        *((KirotrioError("", cause=one), Ending.FAILED, one.value) for one in Cause if one.value not in OWN),
    ],
    ids=repr,
)
def test_what_a_rule_of_ours_turned_away_is_told_from_what_failed_of_the_same_cause(
    error: KirotrioError, ending: Ending, cause: str
) -> None:
    outcome = outcome_of(error)
    assert ending_of(outcome) is ending
    assert cause_of(outcome) == cause, "logs, metrics and clients have one name for it"
    assert len(outcome) <= 32, "longer than its column"


_one = st.fixed_dictionaries(
    {
        "outcome": st.sampled_from(
            ["end_turn", "cancelled", "client gone", "stopped", "limit_reached", "maintenance"]
            + [one.value for one in Cause]
        ),
        "error": st.sampled_from(["", "it broke"]),
        "account": st.sampled_from(["", "work"]),
        "key_id": st.sampled_from(["", "k1"]),
        "attempts": st.integers(0, 2),
    }
)


@given(told=st.lists(_one, max_size=20))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_overviews_failures_are_those_that_the_list_finds(database: Database, told: list[dict[str, Any]]) -> None:
    put(database, *told)
    span = (1000.0, 2000.0)

    def found(ending: str) -> list[Ending]:
        listing = Listing(size=200, filters={"result": ending})
        rows = database.reading(lambda link: request_rows.page(link, listing, span=span)).rows
        return [row.record.ending for row in rows]

    sums = database.reading(lambda link: overview_rows.overview(link, Chosen(*span))).total
    assert sums.failures == len(found("failed"))
    each = {ending: found(ending.value) for ending in Ending}
    assert all(set(rows) <= {ending} for ending, rows in each.items()), "a row says what it was found by"
    assert sum(map(len, each.values())) == len(told), "each request ended in one way"
    assert found("nonsense") == []


def test_requests_of_a_span_of_time_are_from_its_begin_to_before_its_end(database: Database) -> None:
    put(database, *({"outcome": "end_turn"} for _ in range(5)))
    found = database.reading(lambda link: request_rows.page(link, Listing(), span=(1001.0, 1003.0)))
    assert [row.record.id for row in found.rows] == ["req_2", "req_1"]
    assert found.total == 2
