"""What gateways post of themselves for the others: seen while they live, gone with them."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import Connection, select

from kirotrio.store import gateway_rows, posted_rows
from kirotrio.store.columns import upsert
from kirotrio.store.database import Database
from kirotrio.store.posted_rows import LIVE, TASKS, Posted
from kirotrio.store.schema import gateways, ledgers

LAPSE = 15.0
DAY = 86_400.0


def posted(connection: Connection, holder: str, content: str, at: float, until: float) -> None:
    upsert(connection, gateways, {"holder": holder, "until": until}, ["holder"])
    posted_rows.post(connection, LIVE + holder, content, at)


def names(database: Database) -> list[str]:
    return sorted(database.reading(lambda connection: connection.execute(select(ledgers.c.name)).scalars().all()))


def test_those_that_live_are_seen_with_how_old_it_is(database: Database) -> None:
    def put(connection: Connection) -> None:
        gateway_rows.make(connection, ["account/a", "key/k"])
        posted(connection, "changed", "one", 98.0, 98.0 + LAPSE)
        posted(connection, "as it was", "two", 50.0, 99.0 + LAPSE)
        posted(connection, "lapsed", "three", 80.0, 99.9)
        posted(connection, "ahead", "four", 101.0, 101.0 + LAPSE)
        upsert(connection, gateways, {"holder": "without a word", "until": 110.0}, ["holder"])

    database.writing(put)
    found = database.reading(lambda connection: posted_rows.live(connection, 100.0, LAPSE))
    assert {one.holder: one for one in found} == {
        "ahead": Posted("ahead", "four", 0.0),
        "as it was": Posted("as it was", "two", 1.0),
        "changed": Posted("changed", "one", 2.0),
    }


@pytest.mark.parametrize("ends", ["properly", "unheard"])
def test_it_goes_with_its_gateway_and_nothing_else_does(database: Database, ends: str) -> None:
    now = time.time()

    def put(connection: Connection) -> None:
        posted(connection, "elsewhere:1:x", "one", now, now + (LAPSE if ends == "properly" else -1.0))
        posted(connection, "elsewhere:1:xy", "two", now, now + LAPSE)
        posted_rows.post(connection, TASKS + "a/b", "elsewhere:1:x sealed", now)

    def end(connection: Connection) -> None:
        if ends == "properly":
            gateway_rows.leave(connection, "elsewhere:1:x")
        else:
            assert gateway_rows.bury(connection, "here:1:y", now) == ["elsewhere:1:x"]

    database.writing(put)
    database.writing(end)
    assert names(database) == [LIVE + "elsewhere:1:xy", TASKS + "a/b"]


def test_what_an_idle_gateway_has_posted_stands_for_as_long_as_it_lives(database: Database) -> None:
    def put(connection: Connection) -> None:
        posted(connection, "idle", "one", 0.0, 30 * DAY)
        posted_rows.post(connection, "account/old", "", 0.0)
        assert gateway_rows.forget_idle(connection, 7 * DAY) == 1

    database.writing(put)
    assert names(database) == [LIVE + "idle"]


def test_sign_ins_of_gateways_that_are_gone_are_forgotten_in_the_end(database: Database) -> None:
    def put(connection: Connection) -> None:
        posted_rows.post(connection, TASKS + "a/old", "one", 0.0)
        posted_rows.post(connection, TASKS + "a/new", "two", 3601.0)
        posted_rows.post(connection, "account/old", "", 0.0)
        assert posted_rows.forget_tasks(connection, 3600.0) == 1
        assert posted_rows.read(connection, TASKS + "a/old") is None
        assert posted_rows.read_all(connection, TASKS + "a/") == [(TASKS + "a/new", "two")]
        assert posted_rows.read_all(connection, TASKS + "%/") == []

    database.writing(put)
    assert names(database) == ["account/old", TASKS + "a/new"]
