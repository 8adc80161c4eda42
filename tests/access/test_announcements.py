"""Announcements are kept, shown while they are due, and every change of them is noted."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.access import announcements
from kirotrio.access.announcements import LONGEST_BODY, LONGEST_TITLE, SHOWN, Draft
from kirotrio.access.audit import Actor
from kirotrio.access.audit import entries as audit_entries
from kirotrio.errors import BodyInvalid, NotFound
from kirotrio.store.listing import Listing

if TYPE_CHECKING:
    from kirotrio.store.announcement import Announcement
    from kirotrio.store.database import Database

ANNA = Actor("u-anna", "anna", "192.0.2.1")


async def made(database: Database, now: float = 100.0, /, **draft: Any) -> Announcement:
    written = Draft(**{"title": "Tonight", "body": "We move.", **draft})
    return await database.write(lambda connection: announcements.create(connection, ANNA, written, now))


async def test_what_was_written_is_kept_as_it_is(database: Database) -> None:
    kept = await made(database, title="  今晚 ✨ ", body="<script>\r\n*x*\n", severity="warning", until_at=5000.0)
    found = await database.read(lambda connection: announcements.one(connection, kept.id))
    assert found == kept
    assert (kept.title, kept.body, kept.created_by) == ("今晚 ✨", "<script>\n*x*", "u-anna")


async def test_those_that_are_due_are_shown_the_most_severe_first(database: Database) -> None:
    await made(database, title="later", from_at=2000.0)
    await made(database, title="over", from_at=0.0, until_at=1000.0)
    await made(database, title="old", from_at=10.0)
    await made(database, title="new", from_at=900.0, until_at=1000.5)
    await made(database, title="grave", severity="critical")
    await made(database, title="warns", severity="warning", from_at=1000.0)
    assert [one.title for one in await announcements.due(database, 1000.0)] == ["grave", "warns", "new", "old"]


async def test_a_page_shows_no_more_than_it_has_room_for(database: Database) -> None:
    for number in range(SHOWN + 2):
        await made(database, title=f"{number}")
    assert len(await announcements.due(database, 1000.0)) == SHOWN


async def test_an_edit_changes_what_was_written_and_nothing_else(database: Database) -> None:
    kept = await made(database)
    draft = Draft("Tomorrow", "Later.", "critical", 7.0, 8.0)
    await database.write(lambda connection: announcements.edit(connection, ANNA, kept.id, draft, 200.0))
    found = await database.read(lambda connection: announcements.one(connection, kept.id))
    assert (found.title, found.body, found.severity, found.from_at, found.until_at) == (
        "Tomorrow", "Later.", "critical", 7.0, 8.0,
    )  # fmt: skip
    assert (found.id, found.created_at, found.updated_at) == (kept.id, 100.0, 200.0)


async def test_every_change_is_noted_with_who_made_it(database: Database) -> None:
    kept = await made(database)
    await database.write(lambda connection: announcements.edit(connection, ANNA, kept.id, Draft("Changed"), 200.0))
    await database.write(lambda connection: announcements.remove(connection, ANNA, kept.id, 300.0))
    noted = (await audit_entries(database, Listing())).rows
    assert [(entry.action, entry.subject, entry.at, entry.actor, entry.address) for entry in noted] == [
        ("announcement.remove", "Changed", 300.0, "anna", "192.0.2.1"),
        ("announcement.edit", "Changed", 200.0, "anna", "192.0.2.1"),
        ("announcement.create", "Tonight", 100.0, "anna", "192.0.2.1"),
    ]
    assert all(entry.detail["id"] == kept.id for entry in noted)


@pytest.mark.parametrize("change", [partial(announcements.edit, draft=Draft("x")), announcements.remove])
async def test_what_is_not_there_is_neither_edited_nor_removed(database: Database, change: Any) -> None:
    with pytest.raises(NotFound):
        await database.write(lambda connection: change(connection, ANNA, announcement_id="gone", now=1.0))
    assert not (await audit_entries(database, Listing())).rows


async def test_the_list_is_sought_sorted_and_filtered(database: Database) -> None:
    await made(database, title="b", severity="critical", from_at=1.0)
    await made(database, title="a", body="about the harbour", from_at=2.0)
    await made(database, title="c", severity="warning", from_at=3.0)

    async def titles(**listing: Any) -> list[str]:
        return [one.title for one in (await announcements.listed(database, Listing(**listing))).rows]

    assert await titles() == ["c", "a", "b"]
    assert await titles(sort="title") == ["a", "b", "c"]
    assert await titles(sort="severity", descending=True) == ["b", "c", "a"]
    assert await titles(search="HARBOUR") == ["a"]
    assert await titles(filters={"severity": "warning"}) == ["c"]
    assert await titles(size=1, page=2) == ["a"]


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (Draft("  "), "title"),
        (Draft("x" * (LONGEST_TITLE + 1)), "title"),
        (Draft("a\nb"), "title"),
        (Draft("a\u202eb"), "title"),
        (Draft("x", "y" * (LONGEST_BODY + 1)), "body"),
        (Draft("x", "a\x00b"), "body"),
        (Draft("x", "a\ud800b"), "body"),
        (Draft("x", severity="loud"), "severity"),
        (Draft("x", from_at=-1.0), "from_at"),
        (Draft("x", from_at=math.nan), "from_at"),
        (Draft("x", from_at=5.0, until_at=5.0), "until_at"),
        (Draft("x", until_at=math.inf), "until_at"),
    ],
)
async def test_what_cannot_be_announced_is_refused_with_its_field(database: Database, draft: Draft, field: str) -> None:
    with pytest.raises(BodyInvalid) as refused:
        await database.write(lambda connection: announcements.create(connection, ANNA, draft, 1.0))
    assert refused.value.path == field


@given(st.builds(Draft, st.text(), st.text(), st.text(), st.floats(), st.none() | st.floats()))
def test_whatever_is_written_is_accepted_within_bounds_or_refused(draft: Draft) -> None:
    try:
        checked = draft.checked()
    except BodyInvalid:
        return
    assert 0 < len(checked.title) <= LONGEST_TITLE
    assert checked.checked() == checked
