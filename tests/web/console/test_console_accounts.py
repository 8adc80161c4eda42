"""The page of accounts: what it shows, what may be changed there, and by whom."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest
import trio
from support.console import PASSWORD, browser, give, notice
from support.several import kept
from support.stack import question

from kirotrio.access.audit import COMMAND_LINE
from kirotrio.access.audit import entries as audit_entries
from kirotrio.store.listing import Listing
from kirotrio.store.user_record import Role

LIST = "/console/accounts"


def cards(page: str) -> dict[str, str]:
    """What the list says of each account, as text, in the list's order."""
    body = re.search(r"<tbody>(.*?)</tbody>", page, re.DOTALL)
    found = re.findall(r"<tr>(.*?)</tr>", body[1], re.DOTALL) if body else []
    texts = [re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", row))).strip() for row in found]
    return {text.split(" ")[0]: text for text in texts}


async def test_each_account_tells_its_state_and_what_it_has_left(stack):
    async with stack([kept("main"), kept("spare", row={"enabled": False, "priority": 5})]) as s:
        anna = browser(s)
        await anna.set_up()
        member = s.member("main")
        usage = await s.gateway.accounts.usage.refresh("main", member.account.credentials)
        page = await anna.open(LIST)
    told = cards(page.text)
    assert list(told) == ["spare", "main"], "in their order"
    assert "Disabled" in told["spare"]
    assert "Ready" in told["main"]
    assert usage.plan in told["main"]
    assert f"{usage.left:,.2f} / {usage.limit:,.2f}" in told["main"]
    assert "<meter" in page.text
    assert time.strftime("%Y-%m-%d", time.gmtime(usage.resets_at)) in told["main"]


async def test_an_account_is_disabled_and_serves_again(stack):
    async with stack([kept("main")]) as s, s.client() as http:
        anna = browser(s)
        await anna.set_up()
        member = s.member("main")
        await anna.open(LIST)
        assert (await anna.send(f"{LIST}/{member.key}/disable")).status_code == 303
        assert notice(await anna.open(LIST)) == "main is disabled."
        assert (await http.post("/v1/messages", json=question())).status_code == 503
        await anna.send(f"{LIST}/{member.key}/enable")
        assert (await http.post("/v1/messages", json=question())).status_code == 200
        noted = (await audit_entries(s.gateway.people.database, Listing(filters={"action": "account"}))).rows
    assert [(entry.action, entry.subject, entry.actor, entry.address) for entry in noted] == [
        ("account.enable", "main", "anna", "127.0.0.1"),
        ("account.disable", "main", "anna", "127.0.0.1"),
    ]


async def test_a_pause_shows_its_reason_and_a_person_ends_it_for_all_gateways(stack):
    async with stack([kept("main")], store={"look_every": 0.05}, relay={"attempts": 1}) as s, s.client() as http:
        other = await s.another()
        anna = browser(s)
        await anna.set_up()
        await http.post("/v1/messages", json=question("[[status=TEMPORARILY_SUSPENDED]] x"))
        member = s.member("main")
        assert s.pauses("main")
        told = cards((await anna.open(LIST)).text)["main"]
        assert "Suspended" in told
        assert s.pauses("main")[0].reason in told
        await anna.send(f"{LIST}/{member.key}/enable")
        assert "Ready" in cards((await anna.open(LIST)).text)["main"]
        with trio.fail_after(10):
            while other.pauses("main"):  # noqa: ASYNC110 - the other one looks by itself
                await trio.sleep(0.01)
        await s.gateway.accounts.write()
        await s.gateway.accounts.look()
        assert not s.pauses("main"), "the next look at the store does not bring it back"


async def test_the_order_is_changed_and_nonsense_is_refused(stack):
    async with stack([kept("main"), kept("spare")]) as s:
        anna = browser(s)
        await anna.set_up()
        member = s.member("spare")
        await anna.open(LIST)
        await anna.send(f"{LIST}/{member.key}/order", {"priority": "1"})
        assert list(cards((await anna.open(LIST)).text)) == ["spare", "main"]
        for nonsense in ("", "-1", "x", "1000001"):
            assert (await anna.send(f"{LIST}/{member.key}/order", {"priority": nonsense})).status_code == 400
        wrong = await anna.send(f"{LIST}/{member.key}/order", {"priority": "-7"})
        assert notice(wrong).startswith("Order: must be"), "the page calls it Order"
        field = re.search(r'<input id="priority"[^>]*>', wrong.text)[0]
        for part in ('value="-7"', 'aria-invalid="true"', 'aria-describedby="problem order-hint"', "autofocus"):
            assert part in field, field
        assert s.member("spare").priority == 1


async def test_a_test_asks_kiro_and_tells_what_came_of_it(stack):
    async with stack([kept("main")]) as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open(LIST)
        before = len(await s.requests())
        await anna.send(f"{LIST}/{s.member('main').key}/test")
        assert len(await s.requests()) > before
        assert notice(await anna.open(LIST)) == "main answers; its sign-in is good."


async def test_members_see_and_change_their_own_accounts_alone(stack):
    async with stack([kept("ours"), kept("mine", row={"owner_id": "", "lent": True})]) as s:
        anna, ben = browser(s), browser(s)
        await anna.set_up()
        user = await s.gateway.people.create_user(COMMAND_LINE, "ben", PASSWORD, Role.MEMBER)
        await give(s, "mine", user.id)
        ours, mine = s.member("ours").key, s.member("mine").key
        await ben.sign_in("ben")
        assert list(cards((await ben.open(LIST)).text)) == ["mine"]
        offered = (await ben.open("/console/keys")).text
        assert '<option value="mine">' in offered, "a key of theirs can be bound to it"
        assert '<option value="ours">' not in offered
        for verb in ("enable", "disable", "order", "lend", "test"):
            assert (await ben.send(f"{LIST}/{ours}/{verb}", {"priority": "1"})).status_code == 404
        assert s.member("ours").enabled
        await ben.send(f"{LIST}/{mine}/lend")
        assert not s.member("mine").record.lent
        await ben.send(f"{LIST}/{mine}/lend", {"lent": "yes"})
        assert s.member("mine").record.lent
        noted = (await audit_entries(s.gateway.people.database, Listing(filters={"action": "account"}))).rows
    assert [(entry.action, entry.actor) for entry in noted] == [("account.lend", "ben"), ("account.keep", "ben")]


async def test_viewers_see_all_accounts_but_no_addresses_and_change_none(stack):
    async with stack([kept("main", row={"email": "mia@example.com"})]) as s:
        anna = browser(s)
        await anna.set_up()
        await s.gateway.people.create_user(COMMAND_LINE, "cleo", PASSWORD, Role.VIEWER)
        cleo = browser(s)
        await cleo.sign_in("cleo")
        page = await cleo.open(LIST)
        assert list(cards(page.text)) == ["main"]
        assert "/disable" not in page.text
        for path in (LIST, f"{LIST}/{s.member('main').key}"):
            assert "mia@example.com" in (await anna.open(path)).text
            assert "mia@example.com" not in (await cleo.open(path)).text, "numbers are what a viewer sees"
        assert (await cleo.send(f"{LIST}/{s.member('main').key}/disable")).status_code == 403
        assert s.member("main").enabled


@pytest.mark.parametrize("verb", ["enable", "disable", "lend", "test"])
async def test_an_account_that_is_gone_is_not_found(stack, verb):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open(LIST)
        assert (await anna.send(f"{LIST}/gone/{verb}")).status_code == 404


async def test_the_list_is_filtered_by_what_was_met_a_moment_ago(stack):
    async with stack([kept("main"), kept("spare")], relay={"attempts": 1}, store={"look_every": 600.0}) as s:
        anna = browser(s)
        await anna.set_up()
        async with s.client() as http:
            await http.post("/v1/messages", json=question("[[status=TEMPORARILY_SUSPENDED]] x"))
        met = [name for name in ("main", "spare") if s.pauses(name)]
        other = "spare" if met == ["main"] else "main"
        assert list(cards((await anna.open(f"{LIST}?state=marked")).text)) == met
        assert list(cards((await anna.open(f"{LIST}?state=usable")).text)) == [other]
        assert list(cards((await anna.open(f"{LIST}?search=SPA")).text)) == ["spare"]
        assert list(cards((await anna.open(f"{LIST}?sort=name&order=down")).text)) == ["spare", "main"]
        assert list(cards((await anna.open(f"{LIST}?size=1&page=2")).text)) == ["spare"]


async def test_an_account_is_renamed_by_the_rules_of_the_command_line(stack):
    async with stack([kept("main"), kept("spare")]) as s:
        anna = browser(s)
        await anna.set_up()
        one = f"{LIST}/{s.member('spare').key}"
        await anna.open(one)
        for nonsense in ("", "main", "a/b", "..", "<b>", "x" * 65):
            refused = await anna.send(f"{one}/rename", {"name": nonsense})
            assert refused.status_code == 400, nonsense
            assert "<b>" not in refused.text
        await anna.send(f"{one}/rename", {"name": "home"})
        assert notice(await anna.open(one)) == "spare is called home now."
        assert s.member("home").record.name == "home"
        noted = (await audit_entries(s.gateway.people.database, Listing(filters={"action": "account"}))).rows
    assert [(entry.action, entry.subject, dict(entry.detail)) for entry in noted] == [
        ("account.rename", "home", {"before": "spare"})
    ]


async def test_what_the_database_alone_knows_of_an_account_is_shown(stack):
    async with stack([kept("spare", row={"enabled": False})]) as s:
        anna = browser(s)
        await anna.set_up()
        member = s.member("spare")
        usage = await s.gateway.accounts.usage.refresh("spare", member.account.credentials)
        await s.gateway.accounts.write()
        other = await s.another()  # which has asked Kiro nothing yet
        assert other.gateway.accounts.usage.known("spare") is None
        there = browser(other)
        there.cookies = anna.cookies
        page = await there.open(f"{LIST}/{member.key}")
    assert page.status_code == 200, "an account's page needs what only the gateway knows that asked Kiro"
    assert f"{usage.left:,.2f} / {usage.limit:,.2f}" in page.text


async def test_an_account_is_removed_after_the_password_was_given_again(stack):
    async with stack([kept("main"), kept("spare")]) as s:
        anna = browser(s)
        await anna.set_up()
        people = s.gateway.people
        one = f"{LIST}/{s.member('spare').key}"
        await s.gateway.keys.create(COMMAND_LINE, "laptop", account="spare")
        await anna.open(LIST)
        await _forget_confirmation(people)
        assert "/console/confirm" in (await anna.send(f"{one}/remove")).headers["location"]
        assert s.member("spare")
        sent = await anna.open(f"{one}/remove")
        assert "/console/confirm" in sent.headers["location"]
        await anna.open(sent.headers["location"])
        sent = await anna.send("/console/confirm", {"password": PASSWORD, "next": f"{one}/remove"})
        page = await anna.open(sent.headers["location"])
        assert "laptop" in page.text, "which keys nothing answers any more"
        await anna.send(f"{one}/remove")
        assert notice(await anna.open(LIST)) == "spare is removed; its sign-in at Kiro remains."
        assert [member.name for member in s.gateway.accounts.present()] == ["main"]
        assert (await anna.open(one)).status_code == 404


async def test_a_real_question_tells_model_and_first_token_and_a_refusal_counts(stack):
    async with stack([kept("main", row={"enabled": False})]) as s:
        anna = browser(s)
        await anna.set_up()
        one = f"{LIST}/{s.member('main').key}"
        await anna.open(one)
        await anna.send(f"{one}/ask", {"next": one})
        assert s.asked() == ["main"], "also one that is disabled"
        told = notice(await anna.open(one))
        assert re.match(r"main answers\. Model \S+; first token after [\d.]+ s, all of it after [\d.]+ s; ", told), told
        s.simulator.refuse("main", "TEMPORARILY_SUSPENDED")
        await anna.send(f"{one}/ask", {"next": one})
        assert notice(await anna.open(one)).startswith("main did not answer: Kiro has suspended")
        assert s.pauses("main")


async def test_what_strangers_wrote_is_shown_as_text(stack):
    script = "<script>alert(1)</script>"
    row = {"email": script, "mark": "suspended", "mark_reason": script, "provider": script, "start_url": script}
    async with stack([kept("main", row=row)]) as s:
        anna = browser(s)
        await anna.set_up()
        for place in (LIST, f"{LIST}?search={script}", f"{LIST}/{s.member('main').key}"):
            page = (await anna.open(place)).text
            assert script not in page
            assert "&lt;script&gt;alert(1)" in page


async def test_members_reach_no_page_of_somebody_elses_account(stack):
    async with stack([kept("ours")]) as s:
        await browser(s).set_up()
        await s.gateway.people.create_user(COMMAND_LINE, "ben", PASSWORD, Role.MEMBER)
        ben = browser(s)
        await ben.sign_in("ben")
        await ben.open(LIST)
        one = f"{LIST}/{s.member('ours').key}"
        for place in (one, f"{one}/remove"):
            assert (await ben.open(place)).status_code == 404
        for verb, fields in (("rename", {"name": "x"}), ("remove", {}), ("ask", {})):
            assert (await ben.send(f"{one}/{verb}", fields)).status_code == 404
        assert s.member("ours")
        assert not s.asked()


async def _forget_confirmation(people) -> None:
    def work(connection) -> None:
        from kirotrio.store.schema import sign_ins

        connection.execute(sign_ins.update().values(confirmed_at=None))

    await people._change(work)
