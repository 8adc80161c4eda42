"""What gateways do to the rows they share: exact where they wait for each other, and in few journeys to the server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from support.engines import Place, PostgresServer, open_database

from kirotrio.store import gateway_rows as rows
from kirotrio.store.database import Database

LEDGERS = ["account/a", "account/b"]
ODD = 'a machine/it\'s "here" \\ 100%s {a,b}; -- é\N{GRINNING FACE}'
PATIENCE = 60.0
"""Seconds; far more than anything here takes."""


def _live(database: Database, *holders: str) -> None:
    """These gateways run."""

    def join(connection: Connection) -> None:
        now = rows.clock(connection)
        for holder in holders:
            rows.renew(connection, holder, now + 60.0)

    database.writing(join)


def _turn(
    database: Database, names: list[str], contents: dict[str, str], *, sessions: list[str] | None = None, seen: int = 0
) -> rows.Look | None:
    def turn(connection: Connection) -> rows.Look | None:
        look = rows.begin_turn(connection, "one", names, sessions or [], seen, PATIENCE)
        if look is not None:
            rows.end_turn(connection, contents, look.now, "one", None, last=True)
        return look

    return database.writing(turn)


def test_what_a_turn_writes_is_found_by_the_next(database: Database) -> None:
    _live(database, "one", "other")
    assert _turn(database, LEDGERS, {}) is None, "there are none yet"
    database.writing(lambda connection: rows.make(connection, LEDGERS))
    database.writing(lambda connection: rows.bind(connection, {"s": "a"}, 5.0))
    database.writing(lambda connection: rows.tell(connection, "other", ["news"]))
    first = _turn(database, LEDGERS, {"account/a": "1", "account/b": "2"}, sessions=["s", "t"])
    assert first is not None
    assert first.found == dict.fromkeys(LEDGERS, "")
    assert first.homes == {"s": ("a", 5.0)}
    assert first.news == (1, ["news"])
    assert first.alive() == {"one", "other"}
    second = _turn(database, ["account/b"], {"account/b": "3"}, seen=1)
    assert second is not None
    assert (second.found, second.homes, second.news) == ({"account/b": "2"}, {}, (1, []))
    assert 0 <= second.now - first.now < 60, "the server's clock"
    assert (_turn(database, LEDGERS, {}) or first).found == {"account/a": "1", "account/b": "3"}


def test_any_name_and_content_stays_as_it_is(database: Database) -> None:
    _live(database, "one")
    database.writing(lambda connection: rows.make(connection, [ODD, "plain"]))
    database.writing(lambda connection: rows.bind(connection, {ODD: ODD}, 1.0))
    assert _turn(database, [ODD, "plain"], {ODD: ODD, "plain": ""}) is not None
    look = _turn(database, [ODD], {}, sessions=[ODD])
    assert look is not None
    assert (look.found, look.homes) == ({ODD: ODD}, {ODD: (ODD, 1.0)})


def test_a_gateway_counts_as_alive_for_as_long_as_its_turn_has_said(database: Database) -> None:
    _live(database, "one")

    def turn(connection: Connection) -> rows.Look | None:
        look = rows.begin_turn(connection, "one", [], [], 0, PATIENCE)
        assert look is not None
        rows.end_turn(connection, {}, look.now, "one", look.now + 1000.0, last=True)
        return look

    first, second = database.writing(turn), database.writing(turn)
    assert first is not None
    assert second is not None
    assert second.gateways == {"one": first.now + 1000.0}


def test_what_a_turn_waited_for_is_seen_by_it(postgresql: PostgresServer) -> None:
    """Who came and what was told while it stood at the lock: or a place would be taken for a dead gateway's, and a
    request let in to an account that is paused."""
    database = open_database(postgresql.migrated_database(), deadline=PATIENCE)
    _live(database, "one")
    database.writing(lambda connection: rows.make(connection, LEDGERS))
    found: list[rows.Look | None] = []
    waiting = threading.Thread(target=lambda: found.append(_turn(database, ["account/a"], {})))

    def hold(connection: Connection) -> None:
        look = rows.begin_turn(connection, "other", LEDGERS, [], 0, PATIENCE)
        assert look is not None
        waiting.start()
        _until_it_waits_for_a_lock(database, waiting)
        rows.renew(connection, "other", look.now + 60.0)
        rows.end_turn(connection, {"account/a": "other's"}, look.now, "other", None, last=False)
        rows.tell(connection, "other", ["a pause"])

    database.writing(hold)
    waiting.join(PATIENCE)
    ((look),) = found
    assert look is not None
    assert look.found == {"account/a": "other's"}
    assert look.alive() == {"one", "other"}, "it came before this turn had the ledger"
    assert look.news == (1, ["a pause"])
    database.close()


def _until_it_waits_for_a_lock(database: Database, one: threading.Thread) -> None:
    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    while not database.reading(lambda connection: connection.execute(waits).scalar()):
        assert one.is_alive(), "it did not wait"


def _journeys(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the driver waited for the server since; one number that grows."""
    from kirotrio.store.postgresql import _Bounded

    count, plain = [0], _Bounded._until

    def counted(self: Any, steps: Any, ends: float) -> Any:
        def noticed() -> Any:
            ready, first = None, True
            try:
                while True:
                    wanted = steps.send(ready)
                    count[0] += first  # what needs no word from the server ends before
                    first = False
                    ready = yield wanted
            except StopIteration as end:
                return end.value

        return plain(self, noticed(), ends)

    monkeypatch.setattr(_Bounded, "_until", counted)
    return count


@pytest.mark.parametrize(
    ("work", "most"),
    [
        pytest.param(lambda database: _turn(database, LEDGERS, dict.fromkeys(LEDGERS, "x")), 3, id="a request's turn"),
        pytest.param(lambda database: _turn(database, [], {}, sessions=["s"]), 3, id="where a session is"),
        pytest.param(lambda database: database.reading(rows.clock), 3, id="any statement"),
    ],
)
def test_a_turn_makes_few_journeys_to_the_server(
    postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch, work: Callable[[Database], Any], most: int
) -> None:
    """Each is paid for by every request, and on a network in milliseconds."""
    database = open_database(postgresql.migrated_database())
    _live(database, "one")
    database.writing(lambda connection: rows.make(connection, LEDGERS))
    count = _journeys(monkeypatch)
    work(database)
    assert count[0] == most
    database.close()


def test_each_transaction_on_one_connection_is_one(postgresql: PostgresServer) -> None:
    """A connection comes with its transaction begun; the next one there is begun as well."""
    database = open_database(postgresql.migrated_database())
    with database.engine.connect() as connection:
        with connection.begin():
            rows.make(connection, ["kept"])
        with connection.begin() as second:
            rows.make(connection, ["undone"])
            second.rollback()
    assert database.reading(lambda connection: rows.lock(connection, ["kept"])) == {"kept": ""}
    assert database.reading(lambda connection: rows.lock(connection, ["undone"])) is None
    database.close()


def test_nothing_stays_on_a_connection_after_its_transaction(postgresql: PostgresServer) -> None:
    """PgBouncer gives the next transaction another one, where it pools by transaction."""
    database = open_database(postgresql.migrated_database())
    _live(database, "one")

    def often(connection: Connection) -> None:
        for number in range(20):
            rows.bind(connection, {"s": "a"}, number)
            rows.alive(connection, number)

    database.writing(often)
    kept = text("SELECT count(*), current_setting('idle_in_transaction_session_timeout') FROM pg_prepared_statements")
    before = database.reading(lambda connection: connection.execute(kept).one())
    _turn(database, [], {})
    assert tuple(database.reading(lambda connection: connection.execute(kept).one())) == tuple(before) == (0, "1min")
    database.close()


def test_a_connection_that_ended_is_replaced_before_anything_is_done(postgresql: PostgresServer) -> None:
    database = open_database(postgresql.migrated_database())
    _live(database, "one")
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    first = database.reading(lambda connection: connection.execute(text("SELECT pg_backend_pid()")).scalar())
    postgresql.execute(f"SELECT pg_terminate_backend({first}, 5000)")
    second = database.reading(lambda connection: connection.execute(text("SELECT pg_backend_pid()")).scalar())
    assert first != second
    assert statements == ["SELECT pg_backend_pid()"] * 2, "nothing was tried on the old one"
    database.close()


def test_a_turn_whose_connection_breaks_says_so_and_the_next_has_another(place: Place, database: Database) -> None:
    from kirotrio.errors import StoreUnavailable

    if place.is_sqlite:
        pytest.skip("a file has no connection to break")
    _live(database, "one")
    database.writing(lambda connection: rows.make(connection, LEDGERS))

    def turn(connection: Connection) -> None:
        look = rows.begin_turn(connection, "one", LEDGERS, [], 0, PATIENCE)
        assert look is not None
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        other = place.open()
        other.writing(lambda there: there.execute(text(f"SELECT pg_terminate_backend({mine}, 5000)")))
        other.close()
        rows.end_turn(connection, {"account/a": "lost"}, look.now, "one", None, last=True)

    with pytest.raises(StoreUnavailable, match=r"does not answer \((?!the connection is lost)"):
        database.writing(turn)
    look = _turn(database, LEDGERS, {})
    assert look is not None
    assert look.found == dict.fromkeys(LEDGERS, "")
