"""Statements that requests pay for are made once, and not compiled for each request anew."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, event, select
from sqlalchemy.engine.interfaces import CacheStats

from kirotrio.store import gateway_rows, key_usage_rows, posted_rows
from kirotrio.store.columns import upsert
from kirotrio.store.database import Database
from kirotrio.store.key_record import Ceiling, Charge
from kirotrio.store.schema import homes, keys, ledgers


def _a_request(connection: Connection, number: int) -> None:
    """What it does to the rows, whoever sends it, for as long as the same things are limited."""
    hold = f"hold {number}"
    assert key_usage_rows.take_hold(connection, "k", hold, 100, 5.0, 10.0)
    assert key_usage_rows.count_request(connection, "k", Ceiling("day", 0, tokens=1000 + number))
    key_usage_rows.give_back(connection, "k", hold)
    key_usage_rows.charge(connection, [Charge("k", "day", 0, number, 0.5)])
    key_usage_rows.used(connection, "k", {"day": 0})
    gateway_rows.bind(connection, {f"session {number}": "account"}, number)
    posted_rows.post(connection, "live/one", f"answers {number}", number)


def test_no_statement_of_a_request_is_compiled_twice(database: Database) -> None:
    made_key = {"id": "k", "prefix": "k", "digest": "k", "name": "k", "created_at": 0.0, "updated_at": 0.0}
    database.writing(lambda connection: connection.execute(keys.insert().values(**made_key)))
    database.writing(lambda connection: _a_request(connection, 0))
    made: list[tuple[CacheStats, str]] = []

    def noted(_: Any, __: Any, statement: str, ___: Any, context: Any, ____: Any) -> None:
        made.append((context.cache_hit, " ".join(statement.split())))

    event.listen(database.engine, "after_cursor_execute", noted)
    for number in (1, 2, 3):
        database.writing(partial(_a_request, number=number))
    anew = {statement for cached, statement in made if cached is not CacheStats.CACHE_HIT}
    assert {statement for statement in anew if not statement.startswith("BEGIN")} == set()
    assert len(made) > 3 * 8


def test_a_row_is_put_in_place_of_the_one_with_the_same_keys(database: Database) -> None:
    def put(connection: Connection) -> list[Any]:
        for content, at in (("first", 1.0), ("second: %s \\ 'x'", 2.0)):
            upsert(connection, ledgers, {"name": "a", "content": content, "at": at}, ["name"])
        upsert(connection, ledgers, {"at": 3.0, "name": "b", "content": ""}, ["name"])
        return [tuple(row) for row in connection.execute(select(ledgers).order_by(ledgers.c.name))]

    assert database.writing(put) == [("a", "second: %s \\ 'x'", 2.0), ("b", "", 3.0)]


def test_part_of_a_row_is_not_put_in(database: Database) -> None:
    """Its defaults would be missing, and what stands in the other columns would be another row's."""
    with pytest.raises(ValueError, match="homes: account_key, at not given"):
        database.writing(lambda connection: upsert(connection, homes, {"session": "s"}, ["session"]))
