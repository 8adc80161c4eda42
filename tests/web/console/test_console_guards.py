"""Announcements and the mode, as an operator looks after them in the console."""

from __future__ import annotations

import re

import pytest
from support.console import PASSWORD, browser, notice
from support.stack import question

from kirotrio.access.audit import COMMAND_LINE
from kirotrio.access.audit import entries as audit_entries
from kirotrio.store.listing import Listing
from kirotrio.store.user_record import Role

LIST, NEW, MODE = "/console/announcements", "/console/announcements/new", "/console/mode"
WRITTEN = {
    "title": "Tonight",
    "body": "We **move**.",
    "severity": "warning",
    "from_at": "",
    "until_at": "",
    "do": "save",
}


def address_of(page: str) -> str:
    """Where the first announcement of a list is changed."""
    found = re.search(r'href="(/console/announcements/[0-9a-f-]{36})"', page)
    assert found, page
    return found[1]


async def test_an_announcement_is_written_shown_changed_and_removed(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open(NEW)
        assert (await anna.send(NEW, WRITTEN)).headers["location"] == LIST
        page = (await anna.open(LIST)).text
        shown = page.partition('id="announcements"')[2].partition("<main")[0]
        assert "Tonight" in shown
        assert "<p>We <strong>move</strong>.</p>" in shown
        address = address_of(page)
        assert 'value="Tonight"' in (await anna.open(address)).text
        await anna.send(address, {**WRITTEN, "title": "Tomorrow", "from_at": "2030-01-31T18:00"})
        page = (await anna.open(LIST)).text
        assert "Tonight" not in page
        assert "Tomorrow" not in page.partition("<main")[0], "it is not due yet"
        assert 'value="2030-01-31T18:00"' in (await anna.open(address)).text
        await anna.send(address + "/remove")
        assert "Tomorrow" not in (await anna.open(LIST)).text
        noted = (await audit_entries(s.gateway.people.database, Listing(filters={"action": "announcement"}))).rows
    assert [(entry.action, entry.actor, entry.address) for entry in noted] == [
        (f"announcement.{verb}", "anna", "127.0.0.1") for verb in ("remove", "edit", "create")
    ]


async def test_a_preview_shows_what_it_will_look_like_and_keeps_nothing(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open(NEW)
        answer = await anna.send(NEW, {**WRITTEN, "body": "*x* <script>alert(1)</script>", "do": "preview"})
        assert answer.status_code == 200
        assert "<p><em>x</em> &lt;script&gt;alert(1)&lt;/script&gt;</p>" in answer.text
        assert "<script>alert" not in answer.text
        assert 'value="Tonight"' in answer.text, "what was written stands in the form"
        assert "Tonight" not in (await anna.open(LIST)).text


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"title": ""}, "Title: an announcement needs a title"),
        ({"until_at": "2001-01-01T00:00"}, "Until: it must be later than the beginning"),
        ({"from_at": "tomorrow"}, "From: must be a moment like 2026-01-31T18:00"),
        ({"severity": "loud"}, "Severity: it must be one of info, warning, critical"),
    ],
)
async def test_what_cannot_be_announced_is_told_and_stays_in_the_form(stack, changes, problem):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open(NEW)
        answer = await anna.send(NEW, {**WRITTEN, **changes})
    assert answer.status_code == 400
    assert notice(answer) == problem
    assert "We **move**." in answer.text


async def test_the_mode_is_changed_for_all_and_the_console_stays_open(stack):
    async with stack() as s, s.client() as http:
        anna = browser(s)
        await anna.set_up()
        await anna.open(MODE)
        sent = await anna.send(MODE, {"mode": "maintenance", "message": "Back at six"})
        assert sent.headers["location"] == MODE
        refused = await http.post("/v1/messages", json=question())
        assert (refused.status_code, refused.json()["error"]["message"]) == (503, "Back at six")
        page = (await anna.open(MODE)).text
        assert re.search(r'value="maintenance" checked', page)
        assert 'value="Back at six"' in page
        await anna.send(MODE, {"mode": "open", "message": ""})
        assert (await http.post("/v1/messages", json=question())).status_code == 200
        noted = (await audit_entries(s.gateway.people.database, Listing(filters={"action": "mode"}))).rows
    assert [(entry.subject, entry.actor) for entry in noted] == [("open", "anna"), ("maintenance", "anna")]


async def test_a_message_that_is_too_long_is_told(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open(MODE)
        answer = await anna.send(MODE, {"mode": "maintenance", "message": "x" * 501})
        assert answer.status_code == 400
        assert "500 are allowed" in notice(answer)
        assert (await anna.send(MODE, {"mode": "closed"})).status_code == 400
        assert not s.gateway.modes.now.is_maintained


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
async def test_only_operators_look_after_them(stack, role):
    async with stack() as s:
        anna, ben = browser(s), browser(s)
        await anna.set_up()
        await s.gateway.people.create_user(COMMAND_LINE, "ben", PASSWORD, role)
        await anna.open(NEW)
        await anna.send(NEW, WRITTEN)
        address = address_of((await anna.open(LIST)).text)
        await ben.sign_in("ben")
        home = (await ben.open("/console")).text
        assert "Tonight" in home, "what is announced is for everybody"
        assert LIST not in home
        assert MODE not in home
        for path in (LIST, NEW, address, MODE):
            assert (await ben.open(path)).status_code == 403
        for path in (NEW, address, address + "/remove", MODE):
            assert (await ben.send(path, {**WRITTEN, "mode": "maintenance"})).status_code == 403
        assert "Tonight" in (await anna.open(LIST)).text
        assert not s.gateway.modes.now.is_maintained
