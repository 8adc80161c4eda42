"""What was entered in a form outlasts a sign-in that ended in the middle of it, over real sockets."""

from __future__ import annotations

import re

import pyotp
from support.console import PASSWORD, browser, kept_fields, notice
from support.sentences import FOLDER

from kirotrio.access.audit import COMMAND_LINE
from kirotrio.store.listing import Listing
from kirotrio.store.user_record import Role
from kirotrio.web.console.carrying import _NOT_ENTERED, SECRET, unpacked
from kirotrio.web.console.languages import Speech
from kirotrio.web.console.recalled import called

OTHER = "another good pass phrase"


async def test_what_was_entered_outlasts_a_sign_in_that_ended_and_waits_for_a_button(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open("/console/keys")
        page, fields = anna.page, {"name": "<mine>", "models": "claude-*\nother", "owner": "me"}
        await anna.send("/console/sign-out")
        await anna.open("/console/sign-in")
        referer = f"{s.url}/console/keys?page=1"
        asked = await anna.send("/console/keys", fields, referer=referer)
        assert asked.status_code == 401
        assert notice(asked) == "Your sign-in had ended; sign in again and what you entered is still here."
        anna.page = asked
        wrong = await anna.send("/console/sign-in", {**kept_fields(asked), "name": "anna", "password": "not mine"})
        anna.page = wrong
        waits = await anna.send("/console/sign-in", {**kept_fields(wrong), "name": "anna", "password": PASSWORD})
        assert waits.status_code == 200, "what was entered is shown, and not sent by itself"
        assert "&lt;mine&gt;" in waits.text
        assert 'href="/console/keys?page=1"' in waits.text
        assert 'action="/console/keys"' in waits.text
        assert not (await s.gateway.keys.list(Listing())).rows
        anna.page = waits
        held = kept_fields(waits)
        assert held == {"name": ["<mine>"], "models": ["claude-*\r\nother"], "owner": ["me"]} or held == {
            name: [value] for name, value in fields.items()
        }
        assert (await anna.send("/console/keys", held)).status_code == 200
        (made,) = (await s.gateway.keys.list(Listing())).rows
        assert (made.name, made.models) == ("<mine>", ("claude-*", "other"))
        # The sign-in was renewed in another tab: the page of before is still open.
        anna.page = page
        again = await anna.send("/console/keys", {**fields, "name": "second"}, referer=referer)
        assert (again.status_code, "Send it now?" in again.text, "This is not for you" in again.text) == (
            403, True, False,
        )  # fmt: skip
        assert len((await s.gateway.keys.list(Listing())).rows) == 1
        anna.page = again
        assert (await anna.send("/console/keys", kept_fields(again))).status_code == 200
        assert len((await s.gateway.keys.list(Listing())).rows) == 2


async def test_what_was_entered_outlasts_the_second_factor_too(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open("/console/me/second-factor")
        await anna.send("/console/me/second-factor", {"do": "begin"})
        enrol = await anna.open("/console/me/second-factor")
        secret = enrol.text.partition('<code class="secret">')[2].partition("<")[0]
        shown = await anna.send("/console/me/second-factor", {"do": "enable", "code": pyotp.TOTP(secret).now()})
        codes = shown.text.partition('<pre class="secret">')[2].partition("</pre>")[0].split()
        await anna.open("/console/keys")
        await anna.send("/console/sign-out")
        anna.page = await anna.send("/console/keys", {"name": "mine"})
        fields = {**kept_fields(anna.page), "name": "anna", "password": PASSWORD}
        anna.page = await anna.send("/console/sign-in", fields)
        assert 'action="/console/sign-in/code"' in anna.page.text
        assert (await anna.open("/console/keys")).status_code == 303, "the password alone is not enough"
        anna.page = await anna.send("/console/sign-in/code", {**kept_fields(anna.page), "code": "nonsense"})
        assert anna.page.status_code == 401
        anna.page = await anna.send("/console/sign-in/code", {**kept_fields(anna.page), "code": codes[0]})
        assert "Send it now?" in anna.page.text
        assert (await anna.send("/console/keys", kept_fields(anna.page))).status_code == 200
        assert [row.name for row in (await s.gateway.keys.list(Listing())).rows] == ["mine"]


async def test_no_secret_is_carried_through_a_sign_in_and_a_mere_button_is_not(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open("/console/users")
        await anna.send("/console/sign-out")
        asked = await anna.send("/console/users", {"name": "bert", "password": OTHER, "email": "b@example.org"})
        assert asked.status_code == 401
        assert OTHER not in asked.text
        anna.page = asked
        waits = await anna.send("/console/sign-in", {**kept_fields(asked), "name": "anna", "password": PASSWORD})
        assert "asks for them again" in waits.text
        assert kept_fields(waits) == {"name": ["bert"], "email": ["b@example.org"]}
        await anna.open("/console/users")
        await anna.send("/console/sign-out")
        pressed = await anna.send("/console/users/x", {"do": "remove"}, referer=f"{s.url}/console/users?page=2")
        assert pressed.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fusers%3Fpage%3D2"


async def test_whoever_comes_back_after_the_sign_in_ended_is_told_so(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        people = s.gateway.people
        await people.revoke_sessions(COMMAND_LINE, await people.user_named("anna"))
        sent = await anna.open("/console/keys")
        assert sent.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fkeys"
        assert notice(await anna.open(sent.headers["location"])) == "Your sign-in had ended; sign in again."
        assert notice(await browser(s).open("/console/sign-in")) == "", "a stranger had none"


async def test_what_waits_is_told_in_the_words_of_its_page_and_without_codes_and_ids(stack):
    async with stack() as s:
        anna = browser(s, **{"accept-language": "zh-CN"})
        await anna.set_up()
        bert = await s.gateway.people.create_user(COMMAND_LINE, "bert", OTHER, Role.MEMBER)
        await anna.open("/console/keys")
        stale = anna.page
        await anna.send("/console/sign-out")
        await anna.sign_in("anna")
        surfaces = ["chat", "messages"]
        key = {"name": "k", "owner": bert.id, "models": "a\nb", "surfaces": surfaces, "limit-day-requests": "5"}
        user = {"name": "carl", "role": "viewer", "password": OTHER}
        told = {
            "/console/keys": (key, "名称 k 所有者 bert 仅限这些模型 a, b 仅限这些 API chat, messages 每天, 请求 5"),
            "/console/users": (user, "名称 carl 角色 观察者"),
            "/console/mode": ({"mode": "self-use", "message": "x"}, "模式 自用 提示信息 x"),
            "/console/announcements/new": (
                {"title": "t", "severity": "warning", "from_at": "2030-01-02T03:04", "do": "save"},
                "标题 t 级别 警告 开始 2030-01-02 03:04 UTC",
            ),
            "/console/accounts/sign-in": (
                {"way": "builder-id", "anew": "x-y", "whose": "lent", "address": "yes"},
                "您如何登录 Kiro？ AWS Builder ID 归属 您的，借给团队 Google 和 GitHub：不用代码",
            ),
            "/console/invitations": ({"role": "member", "email": ""}, "角色 成员"),
        }
        for path, (fields, words) in told.items():
            anna.page = stale
            asked = await anna.send(path, fields)
            facts = re.search(r'<dl class="facts">(.*?)</dl>', asked.text, re.DOTALL)
            assert facts, asked.text
            shown = " ".join(re.sub("<[^>]+>", " ", facts[1]).split())
            assert shown.startswith(words), f"{path}: {shown}"
            assert bert.id not in shown
            assert OTHER not in asked.text


def test_every_field_of_a_form_has_a_label_when_it_waits() -> None:
    """Those of forms that are sent to us; `limit-` and its like are made of two labels."""
    speech, nameless = Speech("en"), set()
    for path in (FOLDER / "templates").glob("*.html"):
        text = re.sub(r'<form[^>]*method="get".*?</form>', "", path.read_text(), flags=re.DOTALL)
        fields = re.findall(r"<(?:input|textarea|select)\b[^>]*>", text)
        names = {
            name[1] for one in fields if 'type="file"' not in one and (name := re.search(r' name="([\w-]+)"', one))
        }
        nameless |= {f"{path.name}: {name}" for name in names - SECRET - _NOT_ENTERED if called(speech, name) == name}
    assert not nameless, "told by the name that it is sent by"
    assert called(speech, "limit-day-requests") == "Day, Requests"


def test_every_field_for_a_secret_is_known_to_be_one() -> None:
    found = set()
    for path in (FOLDER / "templates").glob("*.html"):
        for tag in re.findall(r"<(?:input|textarea)[^>]*>", path.read_text()):
            name = re.search(r' name="(\w+)"', tag)
            if name and re.search(r'type="password"|one-time-code|name="document"', tag):
                found.add(name[1])
    assert {"password", "api_key", "document", "code"} <= found
    assert found <= SECRET


def test_what_a_browser_makes_up_is_not_carried() -> None:
    for text in ("", "x", "[]", "{}", "null", '["https://evil.example/", "/console", [], false]', "[1, 2, [], 0]"):
        assert unpacked(text) is None, text
    kept = unpacked('["/console/keys", "//evil.example", [["name", "a"], ["password", "b"], ["csrf", "c"]], false]')
    assert kept is not None
    assert (kept.back, kept.fields) == ("/console", [("name", "a")])
