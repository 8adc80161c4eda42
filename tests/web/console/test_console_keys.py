"""Keys in the console: made with all their terms, shown once, changed, rotated, revoked, by whom they belong to."""

from __future__ import annotations

import re
import time
from html import unescape

import httpx
import pytest
import trio
from support.console import PASSWORD, Browser, browser, give, kept_fields, let_confirmation_end, notice
from support.several import kept
from support.stack import Stack, question

from kirotrio.access.audit import Actor
from kirotrio.access.budget import budget_of
from kirotrio.store.listing import Listing
from kirotrio.store.user_record import Role
from kirotrio.web.console.guarding import AGAIN

TERMS = {
    "name": "laptop",
    "expires": "2090-12-31",
    "models": "claude-*\ngpt-*",
    "surfaces": ["messages", "chat"],
    "networks": "127.0.0.0/8, ::1",
    "max_concurrent": "3",
    "limit-day-requests": "10",
    "limit-month-credits": "2.5",
}
SCRIPT = "<script>alert(1)</script>"


def secret_of(answer: httpx.Response) -> str:
    found = re.search(r'id="secret">(sk-kt-\w+)<', answer.text)
    assert found, answer.text
    return found[1]


async def operator(stack: Stack) -> Browser:
    someone = browser(stack)
    await someone.set_up("anna")
    await someone.open("/console/keys")
    return someone


async def member(stack: Stack, name: str, role: Role = Role.MEMBER) -> Browser:
    await stack.gateway.people.create_user(Actor("", "test"), name, PASSWORD, role)
    someone = browser(stack)
    assert (await someone.sign_in(name)).status_code == 303
    return someone


async def only_id(stack: Stack) -> str:
    (record,) = (await stack.gateway.keys.list(Listing())).rows
    return record.id


async def asks(stack: Stack, key: str) -> int:
    async with stack.client(headers={"x-api-key": key}) as http:
        return (await http.post("/v1/messages", json=question())).status_code


def fields_of(text: str) -> dict[str, str | list[str]]:
    """What the form of a key holds."""
    form = text[text.index('id="change-title"') :]
    fields: dict[str, str | list[str]] = {}
    for tag in re.findall(r"<input [^>]*>", form):
        name, value = (re.search(rf' {one}="([^"]*)"', tag) for one in ("name", "value"))
        if name and value and 'type="checkbox"' not in tag:
            fields[name[1]] = unescape(value[1])
    fields["surfaces"] = re.findall(r'name="surfaces" value="(\w+)" checked', form)
    for name, value in re.findall(r'<textarea [^>]*name="(\w+)"[^>]*>(.*?)</textarea>', form, re.DOTALL):
        fields[name] = unescape(value).replace("\n", "\r\n")
    del fields["csrf"]
    return fields


async def test_a_key_with_all_its_terms_is_made_and_shown_once(stack):
    async with stack() as s:
        someone = await operator(s)
        made = await someone.send("/console/keys", TERMS)
        assert made.status_code == 200
        secret = secret_of(made)
        assert made.text.count(secret) >= 3  # itself, and the lines to paste
        assert made.headers["cache-control"] == "no-store"
        assert await asks(s, secret) == 200
        key_id = await only_id(s)
        for path in ("/console/keys", f"/console/keys/{key_id}"):
            page = await someone.open(path)
            assert page.status_code == 200
            assert secret not in page.text
            assert secret[:12] in page.text
        for shown in ('value="2090-12-31"', "claude-*\ngpt-*", "127.0.0.0/8\n::1/128", 'value="10"', 'value="2.5"'):
            assert shown in page.text
        assert page.text.count("checked") == 2


async def test_what_cannot_be_is_said_and_what_was_entered_stays(stack):
    async with stack() as s:
        someone = await operator(s)
        for name, value, said in [
            ("networks", "not-a-network", "no network"),
            ("expires", "yesterday", "must be a day"),
            ("expires", "2001-01-01", "this moment is over"),
            ("max_concurrent", "-1", "must be a whole number"),
            ("limit-day-tokens", "many", "must be a whole number"),
            ("account", "nobody", "there is no account"),
            ("name", "", "a key is called by"),
        ]:
            answer = await someone.send("/console/keys", {**TERMS, name: value})
            assert answer.status_code == 400, name
            assert said in answer.text
            assert "claude-*\ngpt-*" in answer.text
        assert not (await s.gateway.keys.list(Listing())).rows


async def test_a_key_is_changed_rotated_and_revoked(stack):
    async with stack() as s:
        someone = await operator(s)
        first = secret_of(await someone.send("/console/keys", {"name": "laptop"}))
        key_id = await only_id(s)
        own = f"/console/keys/{key_id}"
        await someone.open(own)
        changed = await someone.send(own, {"name": "laptop", "surfaces": "chat"})
        assert changed.headers["location"] == own
        assert await asks(s, first) == 403
        await someone.send(own, {"name": "laptop"})
        second = secret_of(await someone.send(f"{own}/rotate"))
        assert (await asks(s, first), await asks(s, second)) == (401, 200)
        await someone.send(f"{own}/revoke")
        assert notice(await someone.open("/console/keys")) == "The key laptop was revoked."
        assert await asks(s, second) == 401


async def test_a_member_sees_and_changes_their_own_keys_alone(stack):
    async with stack(users={"own_keys": True}) as s:
        anna = await operator(s)
        await anna.send("/console/keys", {"name": "annas"})
        annas = await only_id(s)
        bert = await member(s, "bert")
        page = await bert.open("/console/keys")
        assert "annas" not in page.text
        for path in ("", "/rotate", "/revoke"):
            assert (await bert.send(f"/console/keys/{annas}{path}", {"name": "mine"})).status_code == 404
        assert (await bert.open(f"/console/keys/{annas}")).status_code == 404
        assert (await bert.send("/console/keys", {"name": "stolen", "owner": "gateway"})).status_code == 400
        assert secret_of(await bert.send("/console/keys", {"name": "berts"}))
        page = await bert.open("/console/keys")
        assert "berts" in page.text
        assert "owner_id" not in page.text, "its addresses can be sent to somebody, who has keys of their own"
        assert "Show all" not in page.text, "there is nothing more to show"
        assert "berts" in (await anna.open("/console/keys?search=BERT")).text
        assert "berts" not in (await anna.open("/console/keys?search=anna")).text


async def test_a_viewer_has_no_keys(stack):
    async with stack() as s:
        await operator(s)
        someone = await member(s, "vera", Role.VIEWER)
        await someone.open("/console")
        assert (await someone.open("/console/keys")).status_code == 403
        assert (await someone.send("/console/keys", {"name": "x"})).status_code == 403


async def test_a_list_is_sorted_sought_and_paged_in_its_address(stack):
    async with stack() as s:
        someone = await operator(s)
        for number in range(5):
            await s.gateway.keys.create(Actor("", "test"), f"key-{number}")
        page = await someone.open("/console/keys?sort=name&order=down&size=2&page=2")
        assert re.findall(r">(key-\d)</a>", page.text) == ["key-2", "key-1"]
        assert "3 to 4 of 5" in page.text
        assert 'aria-sort="descending"' in page.text
        assert 'rel="next" href="/console/keys?sort=name&amp;order=down&amp;size=2&amp;page=3"' in page.text
        for odd in ("page=x", "size=-1", "sort=digest", "sort=;drop", "page=999999999", "search=%25", "order=sideways"):
            assert (await someone.open(f"/console/keys?{odd}")).status_code == 200
        assert not re.findall(r">key-\d<", (await someone.open("/console/keys?search=%25")).text)


async def test_a_keys_name_is_text_wherever_it_is_shown(stack):
    async with stack() as s:
        someone = await operator(s)
        made = await someone.send("/console/keys", {"name": SCRIPT, "models": SCRIPT})
        await someone.open("/console/keys")
        key_id = await only_id(s)
        own = await someone.open(f"/console/keys/{key_id}")
        gone = await someone.send(f"/console/keys/{key_id}/revoke")
        after = await someone.open(gone.headers["location"])
        sought = await someone.open(f"/console/keys?search={SCRIPT}&state={SCRIPT}&sort={SCRIPT}")
        for page in (made, own, after, sought):
            assert SCRIPT not in page.text
            assert "&lt;script&gt;" in page.text


async def test_the_last_step_of_the_setup_makes_a_key(stack):
    async with stack() as s:
        someone = browser(s)
        await someone.set_up("anna")
        await someone.open("/console/setup/key")
        secret = secret_of(await someone.send("/console/setup/key", {"name": "claude-code"}))
        assert await asks(s, secret) == 200


async def test_a_secret_is_shown_to_who_gives_the_password_again_and_nothing_entered_is_lost(stack):
    async with stack(users={"own_keys": True}) as s:
        await operator(s)
        bert = await member(s, "bert")
        await bert.open("/console/keys")
        await let_confirmation_end(s, "bert")
        asked = await bert.send("/console/keys", {**TERMS, "name": SCRIPT})
        assert (asked.status_code, "sk-kt-" in asked.text, SCRIPT in asked.text) == (403, False, False)
        assert not (await s.gateway.keys.list(Listing())).rows
        held = kept_fields(asked)
        assert held["surfaces"] == ["messages", "chat"]
        assert held["models"] == ["claude-*\ngpt-*"]
        refused = await bert.send("/console/keys", {**held, AGAIN: "not mine"})
        assert (refused.status_code, kept_fields(refused)) == (401, held)
        secret_of(await bert.send("/console/keys", {**held, AGAIN: PASSWORD}))
        (made,) = (await s.gateway.keys.list(Listing())).rows
        assert (made.name, made.owner, made.models) == (SCRIPT, "bert", ("claude-*", "gpt-*"))
        assert (made.surfaces, made.max_concurrent) == (("messages", "chat"), 3)
        assert made.limits == {"day": {"requests": 10}, "month": {"credits": 2.5}}
        secret_of(await bert.send("/console/keys", {"name": "another"}))  # it counts for a while
        await let_confirmation_end(s, "bert")
        rotate = f"/console/keys/{made.id}/rotate"
        asked = await bert.send(rotate, referer=f"{s.url}/console/keys/{made.id}")
        assert asked.headers["location"].startswith("/console/confirm?next=%2Fconsole%2Fkeys%2F")
        assert (await s.gateway.keys.find(made.id)).digest == made.digest
        assert (await bert.send("/console/confirm", {"password": PASSWORD})).status_code == 303
        secret_of(await bert.send(rotate))


async def test_what_nobody_touched_in_the_form_of_a_key_stays_to_the_last_digit(stack):
    async with stack() as s:
        someone = await operator(s)
        ends = time.time() + 5000.25
        exact = {"day": {"requests": 5, "credits": 0.1234567890123456}, "month": {"tokens": 2**53}}
        made = await s.gateway.keys.create(
            Actor("", "test"), "ci", expires_at=ends, models=("a,b", "c"), surfaces=("chat", "messages"),
            budget=budget_of(exact),
        )  # fmt: skip
        own = f"/console/keys/{made.record.id}"
        shown = fields_of((await someone.open(own)).text)
        assert "0.1234567890123456" in shown.values()
        before = await s.gateway.keys.find(made.record.id)
        assert (await someone.send(own, {**shown, "limit-day-requests": "6"})).status_code == 303
        after = await s.gateway.keys.find(made.record.id)
        assert (after.expires_at, after.models, after.surfaces) == (before.expires_at, before.models, before.surfaces)
        assert after.limits == {**exact, "day": {**exact["day"], "requests": 6}}
        # A day that was entered is the whole of it.
        await someone.send(own, {**shown, "expires": "2090-12-31"})
        assert (await s.gateway.keys.find(made.record.id)).expires_at == 3_818_448_000.0


async def test_saving_a_key_that_has_expired_does_not_revive_it(stack):
    async with stack() as s:
        someone = await operator(s)
        made = await s.gateway.keys.create(Actor("", "test"), "ci", expires_at=time.time() + 0.5)
        await trio.sleep(0.6)
        assert time.time() > made.record.expires_at
        own = f"/console/keys/{made.record.id}"
        shown = fields_of((await someone.open(own)).text)
        assert (await someone.send(own, {**shown, "name": "renamed"})).status_code == 303
        after = await s.gateway.keys.find(made.record.id)
        assert (after.name, after.expires_at) == ("renamed", made.record.expires_at)
        assert await asks(s, made.secret) == 401


async def test_what_is_wrong_is_said_by_the_fields_label_in_the_readers_language(stack):
    async with stack() as s:
        someone = await operator(s)
        english = {
            "expires": ("2001-01-01", "Last day (UTC): this moment is over; name one that is still to come"),
            "limit-day-requests": ("x", "Day, Requests: must be a whole number from 0 on, or empty; it is 'x'"),
            "max_concurrent": (
                "many",
                "Requests at one time: must be a whole number from 0 on, or empty; it is 'many'",
            ),
        }
        for name, (value, said) in english.items():
            assert said in unescape((await someone.send("/console/keys", {**TERMS, name: value})).text)
        someone.headers["accept-language"] = "zh-CN"
        for name, value, said in [
            ("expires", "2001-01-01", "最后有效日（UTC）：该时间已过，请填写将来的时间"),
            ("limit-day-requests", "x", "每天, 请求：须为不小于 0 的整数或留空，现为 'x'"),
            ("networks", "home", "仅限这些网络：'home' 不是网络；"),
            ("account", "api-key", "仅限此账户：没有名为 'api-key' 且可供此密钥使用的账户；"),
        ]:
            answer = await someone.send("/console/keys", {**TERMS, name: value})
            assert said in unescape(answer.text), name


async def test_an_account_that_settings_name_is_not_offered_for_a_key(stack):
    async with stack() as s:
        someone = await operator(s)
        (named,) = s.gateway.accounts.present()
        assert named.record is None
        assert f'<option value="{named.name}">' not in (await someone.open("/console/keys")).text


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"expires": "2001-01-01"}, "expires"),
        ({"networks": "nowhere"}, "networks"),
        ({"limit-day-tokens": "many"}, "limit-day-tokens"),
        ({"max_concurrent": "-1"}, "max_concurrent"),
    ],
)
async def test_the_field_that_is_wrong_is_marked_described_and_begun_at(stack, wrong, name):
    async with stack() as s:
        anna = await operator(s)
        await anna.open("/console/keys")
        answer = await anna.send("/console/keys", {"name": "mine", **wrong})
    assert answer.status_code == 400
    marked = re.findall(r'<(?:input|textarea)[^>]* aria-invalid="true"[^>]*>', answer.text)
    assert len(marked) == 1, marked
    assert f'name="{name}"' in marked[0]
    assert re.search(r'aria-describedby="problem\b[^"]*" autofocus', marked[0])
    assert answer.text.count('id="problem"') == 1


async def test_where_operators_give_the_keys_a_member_changes_none_and_has_no_playground(stack):
    async with stack() as s:
        anna = await operator(s)
        ben = await member(s, "ben")
        (user,) = [one for one in (await s.gateway.people.users(Listing())).rows if one.name == "ben"]
        made = await anna.send("/console/keys", {"name": "given", "owner": user.id, "limit-day-requests": "0"})
        secret, path = secret_of(made), f"/console/keys/{await only_id(s)}"
        for address in ("/console/keys", path):
            text = (await ben.open(address)).text
            assert "given" in text
            assert 'name="limit-day-requests"' not in text, "there is no form for what is not taken"
        assert "/console/playground" not in text, "the navigation leads where one may go"
        refused = [
            await ben.send("/console/keys", {"name": "further"}),
            await ben.send(path, {"name": "given", "limit-day-requests": ""}),
            await ben.send("/console/playground/key", {}),
            await ben.open("/console/playground"),
        ]
        assert [one.status_code for one in refused] == [403] * 4
        assert all("perators make the keys here" in one.text for one in refused)
        assert await asks(s, secret) == 429, "the limit holds"
        secret = secret_of(await ben.send(f"{path}/rotate", {}))
        assert await asks(s, secret) == 429, "it holds for another secret of the key as well"
        assert (await ben.send(f"{path}/revoke", {})).status_code == 303
        assert (await anna.open("/console/playground")).status_code == 200, "operators make keys, short ones too"
        assert 'name="limit-day-requests"' in (await anna.open("/console/keys")).text


async def test_a_key_for_an_account_of_their_own_is_a_members_to_make_and_to_change(stack):
    async with stack([kept("ours"), kept("mine", row={"owner_id": "", "lent": True})]) as s:
        anna = await operator(s)
        ben = await member(s, "ben")
        (user,) = [one for one in (await s.gateway.people.users(Listing())).rows if one.name == "ben"]
        assert "Create a key" not in (await ben.open("/console/keys")).text, "ben has no account to make one for"
        await give(s, "mine", user.id)
        page = (await ben.open("/console/keys")).text
        assert "Create a key" in page
        assert re.search(r'name="account"[^>]* value="mine"[^>]* required', page), "what has to be chosen is chosen"
        secret = secret_of(await ben.send("/console/keys", {"name": "berts", "account": "mine"}))
        path = f"/console/keys/{await only_id(s)}"
        assert (await ben.send(path, {"name": "bens", "account": "mine", "limit-day-requests": "0"})).status_code == 303
        assert await asks(s, secret) == 429
        given = await anna.send("/console/keys", {"name": "given", "owner": user.id, "limit-day-requests": "0"})
        assert secret_of(given)
        theirs = next(one.id for one in (await s.gateway.keys.list(Listing())).rows if one.name == "given")
        for told in (
            await ben.send("/console/keys", {"name": "further"}),
            await ben.send("/console/keys", {"name": "further", "account": "ours"}),
            await ben.send(path, {"name": "bens", "account": ""}),
            await ben.send(path, {"name": "bens", "account": "ours"}),
            await ben.send(f"/console/keys/{theirs}", {"name": "given", "account": "mine"}),
        ):
            assert told.status_code == 403, "a key that answers with more than ben's own account was ben's to make"
        assert 'name="limit-day-requests"' not in (await ben.open(f"/console/keys/{theirs}")).text
