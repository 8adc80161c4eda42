"""Importing accounts in the console: first what would happen, then the accounts; whose they are, and what is noted."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import attrs
import pytest
import trio
from support.console import Browser, browser, notice
from support.several import kept, subscribed
from support.stack import Stack, question
from test_console_bringing import LIST, noted, text, until, user

from kirotrio.access.audit import COMMAND_LINE
from kirotrio.simulator import Account
from kirotrio.store.listing import Listing
from kirotrio.store.user_record import Role
from kirotrio.web.console.languages import CHINESE, Speech

IMPORT = f"{LIST}/import"


def entry(account: Account, **changes: Any) -> dict[str, Any]:
    """What other programs write of it."""
    return {
        "refreshToken": account.refresh_token,
        "accessToken": account.access_token,
        "expiresAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600)),
        "profileArn": account.profile_arn,
        "authMethod": "social",
        "provider": "Google",
        **changes,
    }


def known(s: Stack, name: str, **changes: Any) -> Account:
    """An account that Kiro has, and this gateway has not."""
    account = subscribed(name, email=f"{name}@example.com", user_id=name, **changes)
    s.simulator.book.accounts.append(account)
    grant = s.simulator.book.grant(account)
    return attrs.evolve(account, refresh_token=grant.refresh_token, access_token=grant.access_token)


async def previewed(who: Browser, document: str, **fields: str) -> str:
    await who.open(IMPORT)
    answer = await who.send(IMPORT, {"document": document, "check": "yes", "from": "document", **fields})
    assert answer.status_code == 303, notice(answer) or answer.text
    return str(answer.headers["location"])


async def test_what_would_happen_is_shown_first_and_then_done(stack):
    async with stack([kept("main")]) as s, s.client() as http:
        fresh = known(s, "fresh")
        anna = browser(s)
        await anna.set_up()
        main = s.member("main").record.secrets.refresh_token
        document = [entry(fresh), {"refreshToken": main, "authMethod": "social"}, {"refreshToken": "short"}]
        address = await previewed(anna, json.dumps(document))
        page = await until(anna, address, "nothing has been changed yet")
        told = text(page)
        assert "Would be imported: 1" in told
        assert "Imported" not in told, "nothing has been changed yet"
        assert "There already: 1" in told
        assert "Would be refused: 1" in told
        assert "fresh" in told
        assert [member.name for member in s.gateway.accounts.present()] == ["main"]
        assert await noted(s) == []
        assert (await anna.send(f"{address}/answer", {"answer": "everything"})).status_code == 400
        await anna.send(f"{address}/answer", {"answer": "take"})
        done = await until(anna, address, "The import is done")
        assert "Imported: 1" in text(done)
        assert sorted(member.name for member in s.gateway.accounts.present()) == ["fresh", "main"]
        assert await noted(s) == [("account.import", "fresh", "anna")]
        assert (await http.post("/a/fresh/v1/messages", json=question())).status_code == 200
        assert s.asked()[-1] == "fresh"
        log = str(s.log.lines)
        audit = (await anna.open("/console/audit")).text
    for secret in (fresh.refresh_token, fresh.access_token, main):
        for shown in (page.text, done.text, audit, log):
            assert secret not in shown


async def test_a_file_is_read_as_what_was_pasted_is(stack):
    async with stack([kept("main")]) as s:
        fresh = known(s, "fresh")
        anna = browser(s)
        await anna.set_up()
        await anna.open(IMPORT)
        lines = json.dumps(entry(fresh)).encode("utf-16")
        fields = {"csrf": anna.token, "document": "", "check": "yes", "from": "document"}
        answer = await anna.request(
            "POST", IMPORT, data=fields, files={"file": ("accounts.json", lines)}, headers={"origin": s.url}
        )
        assert answer.status_code == 303, notice(answer)
        assert "the file" in text(await until(anna, answer.headers["location"], "Would be imported: 1"))
        database = {"file": ("data.sqlite3", b"SQLite format 3\0" + bytes(100))}
        refused = await anna.request("POST", IMPORT, data=fields, files=database, headers={"origin": s.url})
        assert refused.status_code == 400
        assert "is a database" in notice(refused)


@pytest.mark.parametrize("document", ["", "  \n"])
async def test_nothing_is_no_document(stack, document):
    async with stack([kept("main")]) as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open(IMPORT)
        assert (await anna.send(IMPORT, {"document": document, "from": "document"})).status_code == 400


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (
            '[\n  {"refreshToken": "x",}\n]',
            "It is not JSON (line 2, column 23); JSON, or one JSON object on each line, was expected",
        ),
        ("{}", "No account is in it: none of its objects has a refreshToken or apiKey"),
    ],
)
async def test_a_document_that_is_none_is_told_beside_the_form_with_its_place(stack, document, problem):
    async with stack([kept("main")]) as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open(IMPORT)
        answer = await anna.send(IMPORT, {"document": document, "from": "document", "whose": "mine"})
    assert (answer.status_code, notice(answer)) == (400, problem)
    assert "refreshToken&#34;: &#34;x" not in answer.text, "what was pasted is secret"


@pytest.mark.parametrize("document", ['[{"refreshToken": "short"}]'])
async def test_where_nothing_can_be_taken_nothing_is_asked(stack, document):
    async with stack([kept("main")]) as s:
        anna = browser(s)
        await anna.set_up()
        page = await until(anna, await previewed(anna, document), "There is nothing to import")
    assert "Refused: 1" in text(page)
    assert "/answer" not in page.text


async def test_a_script_in_a_document_is_text(stack):
    script = "<script>alert(1)</script>"
    async with stack([kept("main")]) as s:
        anna = browser(s)
        await anna.set_up()
        odd = {"refreshToken": "x", "authMethod": script, "provider": script, "email": script, "label": script}
        address = await previewed(anna, json.dumps({script: [odd]}))
        page = await until(anna, address, "Refused: 1")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_members_import_accounts_that_are_theirs_and_see_no_others(stack):
    async with stack([kept("ours")]) as s:
        fresh = known(s, "fresh")
        await browser(s).set_up()
        ben = await user(s, "ben")
        ours = s.member("ours").record
        document = [
            entry(fresh, proxyUrl="http://127.0.0.1:1"),
            {"refreshToken": ours.secrets.refresh_token, "authMethod": "social"},
        ]
        address = await previewed(ben, json.dumps(document))
        told = text(await until(ben, address, "nothing has been changed yet"))
        assert "There already: 1" in told
        assert "ours" not in told.replace("yours", "")
        await ben.send(f"{address}/answer", {"answer": "take"})
        await until(ben, address, "The import is done")
        record = s.member("fresh").record
        users = {one.name: one.id for one in (await s.gateway.people.users(Listing())).rows}
        assert (record.owner_id, record.lent, record.secrets.proxy_url) == (users["ben"], False, "")
        assert s.member("ours").record == ours


async def given_away(s: Stack) -> tuple[Account, str]:
    """A second sign-in of a person whose account is the operator's here already; and that account's name."""
    first, second = known(s, "fresh"), known(s, "fresh")
    anna = browser(s)
    await anna.set_up()
    address = await previewed(anna, json.dumps([entry(first, email="fresh@example.com", userId="fresh")]))
    await until(anna, address, "nothing has been changed yet")
    await anna.send(f"{address}/answer", {"answer": "take"})
    await until(anna, address, "The import is done")
    return second, s.member("fresh").name


@pytest.mark.parametrize("says", [{}, {"email": "fresh@example.com", "userId": "fresh"}], ids=["bare", "named"])
async def test_a_refresh_token_of_anothers_account_is_kept_switched_off_and_said_to_be_another_ones(
    stack, says: dict[str, str]
) -> None:
    """Whose it is shows with the first refresh, which uses the token up: the new one is not to be lost."""
    async with stack([kept("ours")]) as s:
        second, name = await given_away(s)
        there = s.member(name).record
        ben = await user(s, "ben")
        document = [{"refreshToken": second.refresh_token, "authMethod": "social", "provider": "Google", **says}]
        address = await previewed(ben, json.dumps(document))
        looked = text(await until(ben, address, "nothing has been changed yet"))
        assert "There already" not in looked, "who has no good token is told nothing of others"
        await ben.send(f"{address}/answer", {"answer": "take"})
        told = text(await until(ben, address, "The import is done"))
        assert "t is an account already that is not yours here, so it was switched off" in told
        assert "anna" not in told
        assert s.member(name).record == there
        members = [one.record for one in s.gateway.accounts.everyone()]
        (bens,) = [one for one in members if one.owner_id not in ("", there.owner_id)]
        assert not bens.enabled
        assert s.simulator.book.identify(bens.secrets.access_token)[1] is not None, "the new tokens are lost"
        chinese = await ben.open(address, **{"accept-language": "zh-CN"})
        assert "此登录对应的账户已存在，但在这里不归您所有，因此已停用" in chinese.text


async def test_only_operators_look_on_the_gateways_machine(stack):
    async with stack([kept("main")]) as s:
        fresh = known(s, "fresh")
        place = s.surroundings.places.ide_token
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(entry(fresh)))
        anna = browser(s)
        await anna.set_up()
        ben = await user(s, "ben")
        page = await ben.open(IMPORT)
        assert "kiro-cli" not in page.text
        assert (await ben.send(IMPORT, {"from": "machine"})).status_code == 403
        address = await previewed(anna, "", **{"from": "machine", "follow": "yes", "whose": "lent"})
        await until(anna, address, "Would be imported: 1")
        await anna.send(f"{address}/answer", {"answer": "take"})
        await until(anna, address, "The import is done")
        record = s.member("fresh").record
    assert str(place).replace("\\", "\\\\") in record.follows
    assert (bool(record.owner_id), record.lent) == (True, True)


async def test_who_may_not_bring_accounts_any_more_does_not(stack):
    async with stack([kept("main")]) as s:
        fresh = known(s, "fresh")
        await browser(s).set_up()
        ben = await user(s, "ben")
        address = await previewed(ben, json.dumps(entry(fresh)))
        await until(ben, address, "nothing has been changed yet")
        (task,) = s.gateway.bringing._tasks.values()
        users = {one.name: one.id for one in (await s.gateway.people.users(Listing())).rows}
        await s.gateway.people.set_role(COMMAND_LINE, users["ben"], Role.VIEWER)
        assert task.hear("take") == ""
        with trio.fail_after(10):
            while task.view.running:  # noqa: ASYNC110 - the task has no event for this
                await trio.sleep(0.01)
        assert "may not bring" in task.view.facts["message"]
        assert [member.name for member in s.gateway.accounts.present()] == ["main"]


async def test_a_preview_that_is_cancelled_changes_nothing(stack):
    async with stack([kept("main")]) as s:
        fresh = known(s, "fresh")
        anna = browser(s)
        await anna.set_up()
        address = await previewed(anna, json.dumps(entry(fresh)))
        await until(anna, address, "nothing has been changed yet")
        await anna.send(f"{address}/cancel")
        await until(anna, address, "It was cancelled")
        assert (await anna.send(f"{address}/answer", {"answer": "take"})).status_code == 400
        assert [member.name for member in s.gateway.accounts.present()] == ["main"]
        assert await noted(s) == []


async def test_a_chinese_reader_is_told_in_chinese_why_sign_ins_are_refused(stack):
    """Each of these is Kiro's refusal in a sentence of ours."""
    async with stack([kept("main")]) as s:
        gone = entry(known(s, "gone"), refreshToken="r" * 200, accessToken="", expiresAt="")
        anna = browser(s, **{"accept-language": "zh-CN"})
        await anna.set_up()
        address = await previewed(anna, json.dumps([{"apiKey": "ksk_" + "a1b2" * 16}, gone]))
        page = await until(anna, address, Speech(CHINESE)("This is what would happen; nothing has been changed yet."))
        preview = text(page)
        await anna.send(f"{address}/answer", {"answer": "take"})
        done = await until(anna, address, Speech(CHINESE)("The import is done."))
    report = text(done)
    print(preview, report)
    assert "Kiro 不接受此密钥；请在 Kiro 门户中新建一个" in report
    assert "被拒绝：2" in report
    assert "；请用 `kirotrio login` 重新登录" in report
    for shown in (page.text, done.text):
        assert not re.search("</?span[^>]*>[^<]*[a-z一-龥]: ", shown), "the colon is of the language"
        assert '<span lang="en">' not in shown
