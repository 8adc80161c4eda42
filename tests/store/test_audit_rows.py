"""The audit log: whole with its change, paged and sought in the database, on both engines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from support.engines import emptied

from kirotrio.access.audit import COMMAND_LINE, Actor
from kirotrio.access.audit import entries as entries_of
from kirotrio.store.audit_rows import Entry, entries, note, prune
from kirotrio.store.database import Database
from kirotrio.store.listing import Listing

ANNA = Actor("id-of-anna", "anna", "192.0.2.7")

_words = st.text(max_size=80)
_detail = st.dictionaries(_words, st.none() | st.booleans() | st.integers(-(2**40), 2**40) | _words, max_size=3)


def noted(database: Database, *made: Entry) -> None:
    def work(connection: Connection) -> None:
        for one in made:
            note(connection, one)

    database.writing(work)


def page(database: Database, **asked: Any) -> list[str]:
    found = database.reading(lambda connection: entries(connection, Listing(**asked)))
    return [one.subject for one in found.rows]


def some(database: Database) -> None:
    noted(
        database,
        ANNA.entry("key.create", "laptop", 10.0, {"models": ["claude-*"]}),
        ANNA.entry("user.disable", "bert", 20.0),
        COMMAND_LINE.entry("user.create", "Carla 100%", 30.0),
        COMMAND_LINE.entry("users.strange", "other", 40.0),
    )


def test_the_newest_line_comes_first_and_says_who_what_when_and_where(database: Database) -> None:
    some(database)
    found = database.reading(lambda connection: entries(connection, Listing(size=10)))
    assert (found.total, found.pages) == (4, 1)
    last = found.rows[-1]
    assert (last.actor_id, last.actor, last.address) == ("id-of-anna", "anna", "192.0.2.7")
    assert (last.action, last.subject, last.at, last.detail) == ("key.create", "laptop", 10.0, {"models": ["claude-*"]})
    assert [one.number for one in found.rows] == sorted((one.number for one in found.rows), reverse=True)


@pytest.mark.parametrize(
    ("asked", "subjects"),
    [
        ({"size": 2}, ["other", "Carla 100%"]),
        ({"size": 2, "page": 2}, ["bert", "laptop"]),
        ({"size": 2, "page": 3}, []),
        ({"page": -5, "size": 0}, ["other"]),
        ({"sort": "subject"}, None),
        ({"sort": "at"}, ["laptop", "bert", "Carla 100%", "other"]),
        ({"sort": "no such column"}, ["other", "Carla 100%", "bert", "laptop"]),
        ({"search": "CLAUDE-"}, ["laptop"]),
        ({"search": "0%"}, ["Carla 100%"]),
        ({"search": "_"}, []),
        ({"search": "a\0nn\0a"}, ["bert", "laptop"]),
        ({"filters": {"action": "user"}}, ["Carla 100%", "bert"]),
        ({"filters": {"action": "user.disable"}}, ["bert"]),
        ({"filters": {"actor": "anna", "since": "15"}}, ["bert"]),
        ({"filters": {"actor": "id-of-anna", "until": "15"}}, ["laptop"]),
        ({"filters": {"since": "no time", "subject": "bert"}}, ["bert"]),
        ({"filters": {"address": "192.0.2.8"}}, []),
        ({"filters": {"unknown": "x"}, "search": "ANNA"}, ["bert", "laptop"]),
    ],
)
def test_what_is_asked_for_is_what_comes(database: Database, asked: dict[str, Any], subjects: list[str] | None) -> None:
    some(database)
    found = page(database, **asked)
    if subjects is None:  # which letters go before which is the engine's own order
        assert sorted(found) == sorted(["laptop", "bert", "Carla 100%", "other"])
    else:
        assert found == subjects


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(action=_words, subject=_words, detail=_detail, sought=_words)
def test_no_text_keeps_a_change_from_being_noted(
    database: Database, action: str, subject: str, detail: dict[str, Any], sought: str
) -> None:
    emptied(database)
    noted(database, ANNA.entry(action, subject, 1.0, detail))
    found = database.reading(lambda connection: entries(connection, Listing()))
    assert found.total == 1
    page(database, search=sought, filters={"actor": sought, "action": sought, "since": sought})


def test_a_change_that_fails_leaves_no_line(database: Database) -> None:
    def work(connection: Connection) -> None:
        note(connection, ANNA.entry("key.create", "laptop", 1.0))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.writing(work)
    assert page(database) == []


async def test_old_lines_go(database: Database) -> None:
    some(database)
    assert await database.write(lambda connection: prune(connection, 30.0)) == 2
    assert [one.subject for one in (await entries_of(database, Listing())).rows] == ["other", "Carla 100%"]
