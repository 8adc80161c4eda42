"""The gateway's mode: what it lets in, and that it holds for all who share the store."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.access import modes
from kirotrio.access.audit import Actor
from kirotrio.access.modes import Modes, ServiceMode, Standing
from kirotrio.errors import Overloaded, PermissionDenied, SettingsError, StoreUnavailable
from kirotrio.store.listing import Listing

if TYPE_CHECKING:
    from kirotrio.store.database import Database

ANNA = Actor("u-anna", "anna", "192.0.2.1")


@given(st.sampled_from(ServiceMode), st.text(), st.floats(0, 2e9))
def test_what_was_kept_is_read_again(mode: ServiceMode, message: str, since: float) -> None:
    kept = Standing(mode, message, since)
    assert modes.decoded(modes.encoded(kept)) == kept


@given(st.text(min_size=1) | st.sampled_from(['{"mode": "later"}', "[]", "null", '{"mode": "open"}']))
def test_what_cannot_be_read_lets_nobody_in(text: str) -> None:
    with pytest.raises(Overloaded, match="kirotrio mode"):
        modes.decoded(text).check_open()


def test_an_open_gateway_lets_everybody_in() -> None:
    Standing().check_open()
    Standing().check_owner("u-1")


def test_self_use_lets_only_operators_in_and_says_why() -> None:
    now = Standing(ServiceMode.SELF_USE, "Until Monday", 1.0, frozenset({"u-op"}))
    now.check_open()
    now.check_owner("")
    now.check_owner("u-op")
    with pytest.raises(PermissionDenied, match=r"self-use.*\(Until Monday\)"):
        now.check_owner("u-member")


def test_maintenance_says_what_the_operator_says_and_when_to_come_back() -> None:
    with pytest.raises(Overloaded, match=r"^Back at six$") as refused:
        Standing(ServiceMode.MAINTENANCE, "Back at six").check_open()
    assert refused.value.retry_after
    with pytest.raises(Overloaded, match="maintenance"):
        Standing(ServiceMode.MAINTENANCE).check_open()


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "x" * 501, "a\u202eb"])
def test_a_message_is_plain_and_bounded(text: str) -> None:
    with pytest.raises(SettingsError):
        modes.read_message(text)
    assert modes.read_message(" Back\n at  six ") == "Back at six"


async def test_a_change_holds_for_all_gateways_on_the_store_and_is_noted(database: Database) -> None:
    here, there = Modes(database, lambda: 1000.0), Modes(database)
    await here.change(ANNA, ServiceMode.MAINTENANCE, "Back at six")
    assert here.now == Standing(ServiceMode.MAINTENANCE, "Back at six", 1000.0)
    assert there.now == Standing()
    await there.look()
    assert there.now == here.now
    await here.change(ANNA, ServiceMode.MAINTENANCE, "Back at six")
    await here.change(ANNA, ServiceMode.OPEN)
    listed = await database.read(_entries)
    assert [(entry.action, entry.subject, entry.actor, entry.address) for entry in listed] == [
        ("mode.change", "open", "anna", "192.0.2.1"),
        ("mode.change", "maintenance", "anna", "192.0.2.1"),
    ]
    assert listed[1].detail == {"from": "open", "message": "Back at six"}


async def test_self_use_knows_who_the_operators_are_at_present(database: Database) -> None:
    await database.write(partial(_user, "u-op", "operator", "active"))
    await database.write(partial(_user, "u-out", "operator", "disabled"))
    await database.write(partial(_user, "u-member", "member", "active"))
    here = Modes(database)
    await here.change(ANNA, ServiceMode.SELF_USE)
    assert here.now.operators == {"u-op"}
    await database.write(partial(_user, "u-new", "operator", "active"))
    await here.look()
    assert here.now.operators == {"u-op", "u-new"}


async def test_the_mode_of_a_gateway_without_a_store_is_not_changed() -> None:
    here = Modes()
    with pytest.raises(StoreUnavailable):
        await here.change(ANNA, ServiceMode.MAINTENANCE)
    assert here.now == Standing()


def test_a_start_sees_the_mode_at_a_glance(tmp_path: Path) -> None:
    from support.engines import open_database

    from kirotrio.store.glance import glance

    database = open_database("", tmp_path)
    seen = glance(tmp_path / "kirotrio.db", 0.0)
    assert seen is not None
    assert seen.mode == ""
    kept = database.writing(lambda connection: modes.change(connection, ANNA, ServiceMode.MAINTENANCE, "Soon", 5.0))
    database.close()
    seen = glance(tmp_path / "kirotrio.db", 0.0)
    assert seen is not None
    assert modes.decoded(seen.mode) == kept


def _entries(connection):
    from kirotrio.store.audit_rows import entries

    return entries(connection, Listing()).rows


def _user(user: str, role: str, state: str, connection) -> None:
    from kirotrio.store.schema import users

    connection.execute(
        users.insert().values(id=user, name=user, role=role, state=state, created_at=1.0, updated_at=1.0)
    )
