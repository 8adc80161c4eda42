"""The page of requests, and of one: its course in time, its attempts, whose it is."""

from __future__ import annotations

import time

import attrs
import orjson
import trio
from hypothesis import given
from hypothesis import strategies as st
from support.console import PASSWORD, browser
from support.stack import question

from kirotrio.access.audit import Actor
from kirotrio.store import request_rows
from kirotrio.store.request_record import RequestRecord
from kirotrio.store.user_record import Role
from kirotrio.web.console.courses import WIDTH, course_of, tries_of

SCRIPT = "<script>alert(1)</script>"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"
SECONDS = st.none() | st.floats(min_value=0, max_value=2000)


def record(**values):
    return RequestRecord(**{"id": "req_1", "at": time.time(), "outcome": "end_turn", "seconds": 4.0, **values})


def test_the_course_of_a_request_is_told_part_by_part():
    parts = course_of(record(queue_seconds=1.0, connect_seconds=0.5, first_event_seconds=2.0))
    assert [(one.kind, one.begin, one.end) for one in parts] == [
        ("queue", 0.0, 1.0),
        ("connect", 1.0, 1.5),
        ("first", 1.5, 2.0),
        ("stream", 2.0, 4.0),
    ]
    assert [(one.x, one.width) for one in parts] == [(0.0, 250.0), (250.0, 125.0), (375.0, 125.0), (500.0, 500.0)]


def tried(*times):
    return orjson.dumps([{"account": "work", "began": began, "seconds": seconds} for began, seconds in times]).decode()


def test_several_attempts_and_the_waits_between_them_are_no_connecting():
    tries = tried((0.1, 0.4), (1.5, 0.5), (3.0, 1.0))
    marks = {"queue_seconds": 0.1, "connect_seconds": 3.1, "first_event_seconds": 3.5, "tries": tries}
    parts = course_of(record(**marks))
    assert [(one.kind, one.number, one.begin, one.end) for one in parts] == [
        ("queue", 0, 0.0, 0.1),
        ("tried", 1, 0.1, 0.5),
        ("wait", 0, 0.5, 1.5),
        ("tried", 2, 1.5, 2.0),
        ("wait", 0, 2.0, 3.0),
        ("connect", 0, 3.0, 3.2),
        ("first", 0, 3.2, 3.5),
        ("stream", 0, 3.5, 4.0),
    ]
    rounds = tries.replace('"account"', '"outcome":"ok","account"', 1)
    assert [one.kind for one in course_of(record(**{**marks, "tries": rounds}))][1::2][:2] == ["round", "tried"]
    failed = course_of(record(**{**marks, "first_event_seconds": None}))
    assert [(one.kind, one.number) for one in failed[-2:]] == [("wait", 0), ("tried", 3)]
    assert (failed[-1].begin, failed[-1].end) == (3.0, 4.0)


def test_one_attempt_is_told_in_its_parts_alone():
    parts = course_of(record(queue_seconds=1.0, connect_seconds=0.5, first_event_seconds=2.0, tries=tried((1.0, 3.0))))
    assert [one.kind for one in parts] == ["queue", "connect", "first", "stream"]


def test_a_request_that_did_not_come_so_far_has_no_later_parts():
    assert [one.kind for one in course_of(record(queue_seconds=1.0))] == ["queue"]
    assert course_of(record()) == ()


@given(SECONDS, SECONDS, SECONDS, st.floats(0, 2000), st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 900))))
def test_the_parts_lie_one_after_the_other_within_the_whole(queue, connect, first, seconds, times):
    marks = {"queue_seconds": queue, "connect_seconds": connect, "first_event_seconds": first, "seconds": seconds}
    parts = course_of(record(**marks, tries=tried(*times)))
    at = 0.0
    for one in parts:
        assert one.begin == at if len(times) < 2 else one.begin >= at
        assert one.begin <= one.end <= max(seconds, 0.001)
        assert 0 <= one.x <= WIDTH
        assert one.width >= 2
        assert one.x + one.width <= WIDTH + 2
        at = one.end


def test_attempts_that_cannot_be_read_are_none():
    for text in ("", "{", "{}", "3", '["x"]'):
        assert tries_of(record(tries=text)) == ()
    assert tries_of(record(tries='[{"account": "work"}]')) == ({"account": "work"},)


async def test_what_a_stranger_wrote_is_shown_as_text(stack):
    async with stack() as s:
        someone = browser(s)
        await someone.set_up()
        odd = record(
            **dict.fromkeys(("model", "account", "client", "error", "address", "upstream_id", "surface"), SCRIPT),
            tries=orjson.dumps([{"account": SCRIPT, "outcome": SCRIPT}]).decode(),
            queue_seconds=0.5, first_event_seconds=1.0,
        )  # fmt: skip
        database = s.gateway.people.database
        await database.write(lambda link: request_rows.insert(link, [attrs.asdict(odd)]))
        for path in ("/console/requests", "/console/requests/req_1", f"/console/requests?search={SCRIPT}"):
            page = await someone.open(path)
            assert page.status_code == 200, page.text
            assert SCRIPT not in page.text
            assert " style=" not in page.text
        page = await someone.open("/console/requests/req_1")
        assert page.text.count(ESCAPED) >= 7
        assert '<rect class="first"' in page.text


async def test_an_attempt_that_was_left_is_not_told_as_ended_by_a_person(stack):
    async with stack() as s:
        someone = browser(s)
        await someone.set_up()
        left = record(outcome="client gone", tries='[{"account": "work", "outcome": "cancelled", "status": 200}]')
        await s.gateway.people.database.write(lambda link: request_rows.insert(link, [attrs.asdict(left)]))
        page = (await someone.open("/console/requests/req_1")).text
        assert "The client left" in page
        assert "Broken off" in page
        assert "Ended by hand" not in page


async def test_a_request_stands_on_the_page_once_it_is_done(stack):
    async with stack() as s:
        someone = browser(s)
        await someone.set_up()
        async with s.client() as http:
            answer = await http.post("/v1/messages", json=question())
            assert answer.status_code == 200
        asked = answer.headers["request-id"]
        address = f"/console/requests/{asked}"
        with trio.fail_after(60):
            while (page := await someone.open(address)).status_code != 200:  # noqa: ASYNC110 - records are written beside
                await trio.sleep(0.02)  # nobody is told when a record has been written
        assert "<rect" in page.text
        assert "claude-sonnet-4" in page.text
        assert asked in (await someone.open("/console/requests")).text


async def test_a_member_sees_no_request_of_others_and_a_viewer_none(stack):
    async with stack() as s:
        boss, people = browser(s), s.gateway.people
        await boss.set_up()
        await people.database.write(lambda link: request_rows.insert(link, [attrs.asdict(record())]))
        for name, role in (("mia", Role.MEMBER), ("vera", Role.VIEWER)):
            await people.create_user(Actor("", "command line", ""), name, PASSWORD, role)
        assert (await boss.open("/console/requests/req_1")).status_code == 200
        member, viewer = browser(s), browser(s)
        await member.sign_in("mia")
        await viewer.sign_in("vera")
        assert "req_1" not in (await member.open("/console/requests")).text
        assert (await member.open("/console/requests/req_1")).status_code == 404
        assert (await viewer.open("/console/requests")).status_code == 403
        assert (await viewer.open("/console/requests/req_1")).status_code == 403
        assert (await browser(s).open("/console/requests")).status_code == 303
