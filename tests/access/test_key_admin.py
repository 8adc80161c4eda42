"""Looking after keys: what is kept, what is noted, who may touch whose, how they are listed."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from sqlalchemy import Connection, insert, select

from kirotrio.access.audit import Actor
from kirotrio.access.budget import Amount, Budget
from kirotrio.access.key_admin import KeyGone, Keys
from kirotrio.access.keys import digest_of, key_of
from kirotrio.access.windows import Window
from kirotrio.errors import SettingsError
from kirotrio.store import audit_rows
from kirotrio.store.audit_entry import Entry
from kirotrio.store.database import Database
from kirotrio.store.listing import Listing
from kirotrio.store.schema import keys as table
from kirotrio.store.schema import users

ACTOR = Actor("", "ann", "192.0.2.7")
OWNER = "11111111-2222-3333-4444-555555555555"


@attrs.define
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def keys(database: Database) -> Keys:
    def owner(connection: Connection) -> None:
        row = {"id": OWNER, "name": "bob", "role": "member", "state": "active", "created_at": 0.0, "updated_at": 0.0}
        connection.execute(insert(users).values(**row))

    database.writing(owner)
    return Keys(database, clock=Clock())


def noted(database: Database) -> list[Entry]:
    """The oldest first."""
    return list(reversed(database.reading(lambda connection: audit_rows.entries(connection, Listing())).rows))


async def test_of_a_key_the_store_has_its_digest_and_no_more_than_its_beginning(keys: Keys, database: Database) -> None:
    made = await keys.create(ACTOR, "ci")
    row = database.reading(lambda connection: connection.execute(select(table)).one())._asdict()
    assert row["digest"] == digest_of(made.secret)
    assert all(made.secret[12:] not in str(value) for value in row.values())
    assert made.secret not in repr(made)
    assert all(made.secret[12:] not in str(entry) for entry in noted(database))


async def test_every_change_is_noted_with_who_and_from_where(keys: Keys, database: Database) -> None:
    made = await keys.create(ACTOR, "ci", budget=Budget({Window.DAY: Amount(requests=5)}))
    await keys.update(ACTOR, made.record.id, name="tests", models=("auto",))
    await keys.update(ACTOR, made.record.id, name="tests")  # which changes nothing
    await keys.rotate(ACTOR, made.record.id)
    await keys.revoke(ACTOR, made.record.id)
    entries = noted(database)
    assert [entry.action for entry in entries] == ["key.create", "key.change", "key.rotate", "key.revoke"]
    assert {(entry.actor, entry.address) for entry in entries} == {("ann", "192.0.2.7")}
    assert entries[0].detail == {"limits": {"day": {"requests": 5}}}
    assert entries[1].detail == {"name": ["ci", "tests"], "models": [[], ["auto"]]}


async def test_a_change_that_is_refused_is_none_and_is_not_noted(keys: Keys, database: Database) -> None:
    made = await keys.create(ACTOR, "ci")
    await keys.create(ACTOR, "other")
    before = await keys.find(made.record.id)
    for terms in ({"name": "other"}, {"account": "nobody"}, {"expires_at": 1.0}, {"networks": ("x",)}):
        with pytest.raises(SettingsError):
            await keys.update(ACTOR, made.record.id, **terms)
    assert await keys.find(made.record.id) == before
    assert len(noted(database)) == 2


async def test_a_member_has_nothing_to_do_with_the_keys_of_others(keys: Keys) -> None:
    own = await keys.create(ACTOR, "ci", owner_id=OWNER)
    gateways = await keys.create(ACTOR, "ci")  # the same name, of another owner
    for change in (keys.rotate, keys.revoke, keys.update):
        with pytest.raises(KeyGone):
            await change(ACTOR, gateways.record.id, of=OWNER)
    for look in (keys.find, keys.usage):
        with pytest.raises(KeyGone):
            await look(gateways.record.id, of=OWNER)
    assert (await keys.find(own.record.id, of=OWNER)).owner == "bob"
    assert [one.id for one in (await keys.list(Listing(), of=OWNER)).rows] == [own.record.id]
    assert [one.id for one in (await keys.list(Listing(filters={"owner_id": ""}), of="")).rows] == [gateways.record.id]


async def test_a_revoked_key_is_not_changed_any_more(keys: Keys) -> None:
    made = await keys.create(ACTOR, "ci")
    await keys.revoke(ACTOR, made.record.id)
    for change in (keys.rotate, keys.revoke):
        with pytest.raises(SettingsError, match="was revoked"):
            await change(ACTOR, made.record.id)


async def test_keys_are_paged_sorted_sought_and_filtered_in_the_database(keys: Keys) -> None:
    for name in ("beta", "alpha", "gamma"):
        await keys.create(ACTOR, name, owner_id=OWNER if name == "gamma" else "")
    revoked = await keys.create(ACTOR, "delta")
    await keys.revoke(ACTOR, revoked.record.id)

    async def names(**listing: Any) -> list[str]:
        return [record.name for record in (await keys.list(Listing(**listing))).rows]

    assert await names() == ["delta", "gamma", "alpha", "beta"]
    assert await names(sort="name") == ["alpha", "beta", "delta", "gamma"]
    assert await names(sort="name", size=2, page=2) == ["delta", "gamma"]
    assert await names(search="BOB") == ["gamma"]
    assert await names(search="alp") == ["alpha"]
    assert await names(filters={"state": "revoked"}) == ["delta"]
    assert await names(filters={"state": "usable"}, sort="name") == ["alpha", "beta", "gamma"]
    assert await names(filters={"owner_id": "gateway"}, sort="name") == ["alpha", "beta", "delta"]
    assert (await keys.list(Listing(size=2))).total == 4


async def test_what_was_said_of_a_key_is_what_the_gateway_reads(keys: Keys) -> None:
    budget = Budget({Window.MINUTE: Amount(requests=1, tokens=2), Window.MONTH: Amount(credits=0.25)})
    made = await keys.create(
        ACTOR, "ci", models=("a*",), surfaces=("chat",), networks=("10.1.1.1/8",), max_concurrent=2, budget=budget
    )
    key = key_of(made.record)
    assert (key.models, key.surfaces, key.max_concurrent, key.budget) == (("a*",), ("chat",), 2, budget)
    assert [str(network) for network in key.networks] == ["10.0.0.0/8"]
    assert key_of(await keys.find(made.record.id)) == key
