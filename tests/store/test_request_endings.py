"""How a request ended is said once: the list's filter, the overview's failures and each row agree, on both engines."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.engines import emptied

from kirotrio.errors import Cause
from kirotrio.store import overview_rows, request_rows
from kirotrio.store.database import Database
from kirotrio.store.listing import Listing
from kirotrio.store.overview import Chosen
from kirotrio.store.request_record import Ending, RequestRecord

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
    ("told", "ending"),
    [
        ({"outcome": "end_turn"}, Ending.FINISHED),
        ({"outcome": "tool_use", "account": "work", "attempts": 2}, Ending.FINISHED),
        ({"outcome": "cancelled", "error": "a person has ended this answer"}, Ending.CANCELLED),
        ({"outcome": "client gone"}, Ending.LEFT),
        ({"outcome": "stopped"}, Ending.STOPPED),
        *(({"outcome": outcome, "error": "no"}, Ending.REFUSED) for outcome in OWN),
        ({"outcome": "rate_limited", "key_id": "k1"}, Ending.REFUSED),
        ({"outcome": "quota_exhausted", "key_id": "k1"}, Ending.REFUSED),
        ({"outcome": "rate_limited", "key_id": "k1", "attempts": 1}, Ending.FAILED),
        ({"outcome": "quota_exhausted", "key_id": "k1", "account": "work"}, Ending.FAILED),
        ({"outcome": "rate_limited"}, Ending.FAILED),
        *(
            ({"outcome": cause.value, "key_id": "k1"}, Ending.FAILED)
            for cause in Cause
            if cause.value not in (*OWN, "rate_limited", "quota_exhausted")
        ),
    ],
)
def test_only_what_the_gateway_owed_and_did_not_give_is_a_failure(
    database: Database, told: dict[str, Any], ending: Ending
) -> None:
    put(database, told)
    found = database.reading(lambda link: request_rows.find(link, "req_0"))
    assert found is not None
    assert found.ending is ending


_one = st.fixed_dictionaries(
    {
        "outcome": st.sampled_from(["end_turn", "cancelled", "client gone", "stopped", *(one.value for one in Cause)]),
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
        return [row.ending for row in rows]

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
