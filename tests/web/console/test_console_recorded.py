"""Recorded bodies on the page of a request: whose they are, that they are text and bounded, the download."""

from __future__ import annotations

import re
import time
from html import unescape
from typing import Any

import attrs
import httpx
import orjson
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from support.console import PASSWORD, Browser, browser, notice
from support.stack import KEY, Stack, question

from kirotrio.access.audit import Actor, entries
from kirotrio.store import request_rows
from kirotrio.store import ring as ring_module
from kirotrio.store.listing import Listing
from kirotrio.store.recordings import read, recorded
from kirotrio.store.request_record import RequestRecord
from kirotrio.store.ring import Ring
from kirotrio.store.user_record import Role
from kirotrio.web.console import recorded as page_of
from kirotrio.web.console.recorded import MOST, Part, shown

SCRIPT = "<script>alert(1)</script>"
ANYBODY = Actor("", "command line", "")


def recording(id: str = "req_1", **changes: Any) -> dict[str, Any]:
    """A recording as `relay.recorded` makes one, as far as a page looks at it."""
    body = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "xxx"}]}
    return {
        "format": 1,
        "id": id,
        "texts": "mask",
        "python": "3.12.1",
        "system": "Linux-of-the-operator",
        "record": None,
        "client": {"method": "POST", "path": "/v1/messages", "size": 90, "body": body},
        "upstream": [],
        "answer": {"status": 200, "size": 2, "kept": 2, "body": "{}"},
        "settings": {"data.dir": "/home/operator"},
        **changes,
    }


def call(**changes: Any) -> dict[str, Any]:
    return {
        "method": "POST",
        "url": "https://example.org/generateAssistantResponse",
        "request": {"size": 2, "body": {}},
        "status": 200,
        "size": 60,
        "kept": 60,
        "frames": [{"read": 0, "headers": {":event-type": "assistantResponseEvent"}, "payload": {"content": "xx"}}],
        "rest": "",
        **changes,
    }


def keep(s: Stack, told: dict[str, Any], content: bytes | None = None) -> None:
    assert s.gateway.recordings is not None
    Ring(s.gateway.recordings, 100, 1 << 30).put(told["id"], 1000.0, content or orjson.dumps(told))


async def note(s: Stack, id: str = "req_1", key_id: str = "test") -> None:
    """A record of a request, so that it has a page."""
    row = attrs.asdict(RequestRecord(id=id, at=time.time(), outcome="end_turn", seconds=1.0, key_id=key_id))
    await s.gateway.people.database.write(lambda link: request_rows.insert(link, [row]))


async def asked(s: Stack, someone: Browser, key: str = KEY, text: str = "Say hi", **changes: Any) -> str:
    """Ask once; the request's id, once its page shows the recording."""
    async with s.client(headers={"x-api-key": key}) as http:
        answer = await http.post("/v1/messages", json=question(text, **changes))
        assert answer.status_code == 200, answer.text
    name = str(answer.headers["request-id"])
    with trio.fail_after(20):
        while "What the client sent" not in (await someone.open(f"/console/requests/{name}")).text:
            pass  # both are written from beside
    return name


def texts(page: httpx.Response) -> list[str]:
    return [unescape(found) for found in re.findall(r"<pre [^>]*>(.*?)</pre>", page.text, re.DOTALL)]


async def test_the_page_shows_what_was_sent_asked_answered_and_got(stack):
    async with stack(recorder={"requests": 5, "texts": "keep"}) as s:
        anna = browser(s)
        await anna.set_up()
        name = await asked(s, anna, text=f"Zwei Wellensittiche {SCRIPT}, my key is {KEY}", stream=True)
        page = await anna.open(f"/console/requests/{name}")
        sent, upstream, frames, got = texts(page)
        assert orjson.loads(sent)["messages"][0]["content"].startswith("Zwei Wellensittiche <script>")
        assert "\n  " in sent, "it is spread out"
        assert "Zwei Wellensittiche" in orjson.dumps(orjson.loads(upstream)).decode()
        assert {line.partition(" ")[0] for line in frames.splitlines()} >= {"assistantResponseEvent", "meteringEvent"}
        assert got.startswith("event: message_start\ndata: {")
        assert SCRIPT not in page.text
        assert KEY not in page.text
        assert page.text.count('<details class="body">') == 4, "they are folded up"


async def test_of_a_masked_recording_no_word_is_on_the_page(stack):
    async with stack(recorder={"requests": 5}) as s:
        anna = browser(s)
        await anna.set_up()
        name = await asked(s, anna, text="Zwei Wellensittiche")
        page = await anna.open(f"/console/requests/{name}")
        assert "only length and shape" in page.text
        assert orjson.loads(texts(page)[0])["messages"][0]["content"] == "Xxxx Xxxxxxxxxxxxxx"
        assert "Wellensittiche" not in page.text


async def test_a_page_says_how_recording_is_switched_on_where_it_is_off(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await note(s)
        page = await anna.open("/console/requests/req_1")
        assert "Recording is off" in page.text
        assert "--set recorder.requests=100" in page.text
        assert "/console/requests/req_1/recording" not in page.text
        # What was recorded before it was switched off is still there.
        keep(s, recording())
        assert "What the client sent" in (await anna.open("/console/requests/req_1")).text


async def test_a_page_says_that_a_recording_has_made_room_for_others(stack):
    async with stack(recorder={"requests": 7}) as s:
        anna = browser(s)
        await anna.set_up()
        await note(s)
        page = await anna.open("/console/requests/req_1")
        assert "only the latest 7 requests have one" in page.text
        assert "Another gateway" not in page.text
        answer = await anna.send("/console/requests/req_1/recording")
        assert answer.status_code == 404
        assert "There is no recording of this request any more" in answer.text


async def test_one_that_goes_while_it_is_read_is_no_error(stack, monkeypatch):
    async with stack(recorder={"requests": 7}) as s:
        anna = browser(s)
        await anna.set_up()
        await note(s)
        keep(s, recording())

        def gone(entry: ring_module.Entry) -> dict[str, Any]:
            entry.path.unlink()
            return read(entry)

        monkeypatch.setattr(page_of, "read", gone)
        assert "only the latest 7" in (await anna.open("/console/requests/req_1")).text


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"format": 2}', b'{"format": 1, "texts": "mask"}'])
async def test_what_is_no_recording_is_told_as_such(stack, content):
    async with stack(recorder={"requests": 7}) as s:
        anna = browser(s)
        await anna.set_up()
        await note(s)
        keep(s, recording(), content)
        page = await anna.open("/console/requests/req_1")
        assert "cannot be shown" in page.text
        assert (await anna.send("/console/requests/req_1/recording")).content == content


async def test_a_large_one_can_only_be_downloaded(stack, monkeypatch):
    async with stack(recorder={"requests": 7}) as s:
        anna = browser(s)
        await anna.set_up()
        await note(s)
        keep(s, recording())
        monkeypatch.setattr(page_of, "_LARGEST", 10)
        page = await anna.open("/console/requests/req_1")
        assert "too large to be shown" in page.text
        assert texts(page) == []
        assert (await anna.send("/console/requests/req_1/recording")).status_code == 200


@given(st.integers(0, 3 * MOST), st.integers(0, 12))
def test_a_page_is_bounded_whatever_was_recorded(length, calls):
    body = {"messages": "x" * length}
    told = recording(upstream=[call()] * calls, client={"method": "POST", "path": "/", "size": length, "body": body})
    seen = shown(told, 1)
    assert all(len(part.text) <= MOST for part in seen.parts)
    assert len(seen.parts) <= 2 + 2 * 6
    first = seen.parts[0]
    assert len(first.text) + first.more == len(orjson.dumps(body, option=orjson.OPT_INDENT_2))
    assert seen.calls == max(0, calls - 6)


def test_what_was_not_kept_is_counted():
    client = {"method": "POST", "path": "/v1/messages", "size": 900, "body": None, "why": "not kept: it is larger"}
    answer = {"status": 0, "size": 70, "kept": 9, "body": '{"a": 1}\n'}
    seen = shown(recording(client=client, answer=answer, upstream=[call(status=0, size=0, kept=0, frames=[])]), 1)
    assert [(one.what, one.text, one.size, one.kept) for one in seen.parts] == [
        ("POST /v1/messages", "", 900, 0),
        ("POST https://example.org/generateAssistantResponse", "{}", 2, 2),
        ("–", "", 0, 0),
        ("–", '{\n  "a": 1\n}', 70, 9),
    ]


def test_every_kind_of_upstream_event_has_a_line():
    frames = [
        {"read": 0, "headers": {":event-type": "metadataEvent"}, "payload": {"a": 1}},
        {"read": 1, "headers": {":exception-type": "ThrottlingException"}, "payload": {"message": "no"}},
        {"read": 1, "headers": {}, "payload": "not JSON"},
    ]
    (_, _, answered, _) = shown(recording(upstream=[call(frames=frames)]), 1).parts
    assert answered.text == 'metadataEvent {"a":1}\nThrottlingException {"message":"no"}\n? not JSON'
    plain = call(body={"error": "no"}, status=429)
    del plain["frames"]
    assert shown(recording(upstream=[plain]), 1).parts[2] == Part(
        "What Kiro answered", "429", '{\n  "error": "no"\n}', 60, 60
    )


async def test_a_member_sees_the_bodies_of_their_own_keys_alone_and_a_viewer_none(stack):
    async with stack(recorder={"requests": 9}) as s:
        boss, people = browser(s), s.gateway.people
        await boss.set_up()
        mia = await people.create_user(ANYBODY, "mia", PASSWORD, Role.MEMBER)
        await people.create_user(ANYBODY, "vera", PASSWORD, Role.VIEWER)
        made = await s.gateway.keys.create(ANYBODY, "mine", owner_id=mia.id)
        member, viewer = browser(s), browser(s)
        await member.sign_in("mia")
        await viewer.sign_in("vera")
        own = await asked(s, member, made.secret, "Zwei Wellensittiche")
        others = await asked(s, boss)
        for someone in (boss, member):
            bodies = texts(await someone.open(f"/console/requests/{own}"))
            assert len(bodies) == 4
            assert "Xxxx Xxxxxxxxxxxxxx" in bodies[0], "it is that of this request, which is not the latest"
        for someone, status in ((member, 404), (viewer, 403), (browser(s), 303)):
            answer = await someone.open(f"/console/requests/{others}")
            assert answer.status_code == status
            assert "claude-sonnet" not in answer.text
        await member.open(f"/console/requests/{own}")
        taken = await member.send(f"/console/requests/{own}/recording")
        assert taken.status_code == 200
        assert (await member.send(f"/console/requests/{others}/recording")).status_code == 404
        await viewer.open("/console/me")
        assert (await viewer.send(f"/console/requests/{own}/recording")).status_code == 403
        # What it tells of the gateway and not of the request is the operator's.
        told = taken.json()
        assert told["settings"] == {}
        assert (told["python"], told["system"]) == ("", "")
        assert told["client"]["body"]["model"] == "claude-sonnet-4-5"


async def test_the_download_wants_the_password_again_and_is_noted(stack, monkeypatch):
    async with stack(recorder={"requests": 9}) as s:
        anna = browser(s)
        await anna.set_up()
        await note(s)
        keep(s, recording())
        path = "/console/requests/req_1/recording"
        await anna.open("/console/requests/req_1")
        now = s.gateway.people.now()
        monkeypatch.setattr(s.gateway.people, "now", lambda: now + 301)
        referer = {"referer": f"{s.url}/console/requests/req_1"}
        answer = await anna.send(path, **referer)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/console/confirm?next=%2Fconsole%2Frequests%2Freq_1"
        await anna.open(answer.headers["location"])
        back = await anna.send("/console/confirm", {"password": PASSWORD, "next": "/console/requests/req_1"})
        assert back.headers["location"] == "/console/requests/req_1"
        await anna.open("/console/requests/req_1")
        answer = await anna.send(path)
        assert answer.status_code == 200
        assert answer.headers["content-disposition"] == 'attachment; filename="req_1.json"'
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json() == recording()
        kept = recorded(s.gateway.recordings, "req_1")
        assert kept is not None
        assert answer.content == kept.path.read_bytes()
        noted = (await entries(s.gateway.accounts.shared.database, Listing())).rows
        assert [(one.actor, one.subject, one.detail) for one in noted if one.action == "recording.download"] == [
            ("anna", "req_1", {"bytes": len(answer.content)})
        ], "once, and only the one that was given"
        assert "recording.download" in (await anna.open("/console/audit?action=recording")).text


async def test_a_download_is_asked_for_by_our_own_pages_alone(stack):
    async with stack(recorder={"requests": 9}) as s:
        anna = browser(s)
        await anna.set_up()
        await note(s)
        keep(s, recording())
        assert notice(await anna.open("/console/requests/req_1")) == ""
        assert (await anna.open("/console/requests/req_1/recording")).status_code in (404, 405)
        path = "/console/requests/req_1/recording"
        assert (await anna.send(path, {"csrf": "x"})).status_code == 403
        assert (await anna.send(path, **{"sec-fetch-site": "cross-site"})).status_code == 403
