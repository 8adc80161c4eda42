"""Requests are sought, sorted and cut in the database, on both engines; whoever may see only theirs sees no others."""

from __future__ import annotations

from typing import Any

import attrs
from support.engines import emptied

from kirotrio.store import key_rows, request_rows, user_rows
from kirotrio.store.database import Database
from kirotrio.store.listing import Listing
from kirotrio.store.request_record import RequestRecord
from kirotrio.store.schema import keys, users


def keyed(connection: Any, key_id: str, name: str, owner_id: str | None) -> None:
    if owner_id and user_rows.find(connection, owner_id) is None:
        connection.execute(
            users.insert().values(
                id=owner_id, name=owner_id, role="member", state="active", created_at=0.0, updated_at=0.0
            )
        )
    connection.execute(
        keys.insert().values(
            id=key_id, prefix=key_id, digest=key_id, name=name, owner_id=owner_id, created_at=0.0, updated_at=0.0
        )
    )


def filled(database: Database) -> None:
    def work(connection: Any) -> None:
        keyed(connection, "k1", "ann's", "ann")
        keyed(connection, "k2", "bob's", "bob")
        rows = [
            RequestRecord(
                id=f"req_{number}",
                at=1000.0 + number,
                key_id="k1" if number % 2 else "k2" if number % 4 else "default",
                account="work" if number < 5 else "home",
                model=f"claude-{number % 3}",
                outcome="end_turn" if number else "upstream_failed",
                error="" if number else "it broke",
                seconds=10.0 - number,
            )
            for number in range(10)
        ]
        request_rows.insert(connection, [attrs.asdict(row) for row in rows])

    emptied(database).writing(work)


def ids(database: Database, owner_id: str | None = None, **asked: Any) -> list[str]:
    found = database.reading(lambda link: request_rows.page(link, Listing(**asked), owner_id))
    return [row.record.id.removeprefix("req_") for row in found.rows]


def test_the_newest_come_first_and_pages_follow_one_another(database: Database) -> None:
    filled(database)
    assert ids(database) == list("9876543210")
    assert ids(database, size=4) == list("9876")
    assert ids(database, size=4, page=3) == list("10")
    assert ids(database, size=4, page=9) == []


def test_they_are_sorted_sought_and_filtered(database: Database) -> None:
    filled(database)
    assert ids(database, sort="seconds") == list("9876543210")
    assert ids(database, sort="at") == list("0123456789")
    assert ids(database, sort="nonsense; drop table") == list("9876543210")
    assert ids(database, search="IT BROKE") == ["0"]
    assert ids(database, search="req_7") == ["7"]
    assert ids(database, search="%") == []
    assert ids(database, filters={"account": "work"}) == list("43210")
    assert ids(database, filters={"key": "ann's", "model": "claude-0"}) == list("93")
    assert ids(database, filters={"result": "failed"}) == ["0"]
    assert ids(database, filters={"key": "k1"}) == list("97531"), "a key's id names it too"
    assert ids(database, filters={"key": "default"}) == list("840"), "as it does where the key has no name"


def test_a_member_sees_those_of_their_own_keys_alone(database: Database) -> None:
    filled(database)
    assert ids(database, "ann") == list("97531")
    assert ids(database, "bob") == list("62")
    assert ids(database, "nobody") == []
    assert ids(database, "bob", filters={"key": "ann's"}) == []
    assert ids(database, "bob", filters={"key": "k1"}) == []
    assert database.reading(lambda link: key_rows.ids_of(link, "bob")) == {"k2"}
    assert ids(database, "bob", search="ann") == []

    def seen(owner_id: str | None) -> str | None:
        found = database.reading(lambda link: request_rows.find(link, "req_1", owner_id))
        return found.key if found is not None else None

    assert (seen(None), seen("ann"), seen("bob")) == ("ann's", "ann's", None)
    assert database.reading(lambda link: request_rows.find(link, "req_x'", None)) is None


def test_a_request_of_a_key_that_is_gone_is_still_there(database: Database) -> None:
    filled(database)
    database.writing(lambda link: key_rows.remove(link, "k1"))
    found = database.reading(lambda link: request_rows.find(link, "req_1"))
    assert found is not None
    assert (found.key, found.record.key_id) == ("", "k1")


def test_what_came_from_a_playground_is_its_users_and_called_so(database: Database) -> None:
    filled(database)

    def add(connection: Any) -> None:
        rows = [
            RequestRecord(id=f"req_{name}", at=at, key_id=f"playground:{name}", outcome="end_turn", seconds=1.0)
            for name, at in (("ann", 2000.0), ("bob", 2001.0), ("gone", 2002.0))
        ]
        request_rows.insert(connection, [attrs.asdict(row) for row in rows])

    database.writing(add)
    assert ids(database, "ann") == ["ann", *"97531"]
    assert ids(database, search="playground (") == ["bob", "ann"]
    assert ids(database, filters={"key": "playground (ann)"}) == ["ann"]
    assert ids(database, filters={"key": "playground:gone"}) == ["gone"]
    shown = database.reading(lambda link: request_rows.find(link, "req_gone"))
    assert shown is not None
    assert shown.key == "", "whose it was is known no more"
    assert database.reading(lambda link: request_rows.find(link, "req_bob", "ann")) is None
