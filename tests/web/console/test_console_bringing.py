"""Signing in to Kiro from the console: each way from the form to the account, by whom, and what ends it."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import trio
from support.console import PASSWORD, Browser, browser, notice
from support.several import kept
from support.stack import Stack, question

from kirotrio.access.audit import COMMAND_LINE
from kirotrio.access.audit import entries as audit_entries
from kirotrio.simulator import DEMO_API_KEY
from kirotrio.store.listing import Listing
from kirotrio.store.user_record import Role

LIST = "/console/accounts"
SIGN_IN = f"{LIST}/sign-in"


def text(page: httpx.Response) -> str:
    """What a reader sees of the step."""
    found = re.search(r'<div id="step".*?>(.*?)</main>', page.text, re.DOTALL)
    assert found, page.text[:2000]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", found[1]))).strip()


async def begun(who: Browser, **fields: str) -> str:
    """The address of the sign-in that the form has begun."""
    await who.open(SIGN_IN)
    answer = await who.send(SIGN_IN, fields)
    assert answer.status_code == 303, notice(answer) or answer.text
    return str(answer.headers["location"])


async def until(who: Browser, address: str, said: str, *, failed: bool = False) -> httpx.Response:
    """The page once it says this; `failed`: whether it may tell a failure."""
    with trio.fail_after(20):
        while True:
            page = await who.open(address)
            assert page.status_code == 200, page.text
            if said in text(page):
                return page
            assert failed or "failed" not in page.text, text(page)
            await trio.sleep(0.02)  # a browser without a script asks again; the page has no event for it


async def noted(s: Stack) -> list[tuple[str, str, str]]:
    found = (await audit_entries(s.gateway.people.database, Listing(filters={"action": "account"}))).rows
    return [(entry.action, entry.subject, entry.actor) for entry in found]


async def user(s: Stack, name: str, role: Role = Role.MEMBER) -> Browser:
    await s.gateway.people.create_user(COMMAND_LINE, name, PASSWORD, role)
    who = browser(s)
    await who.sign_in(name)
    return who


def quick(s: Stack, **person: object) -> None:
    """The simulator's person takes no time to confirm."""
    s.simulator.sign_ins.interval = 0.1
    for name, value in {"polls": 0, **person}.items():
        setattr(s.simulator.sign_ins.person, name, value)


WAYS = {
    "google": {},
    "github": {},
    "builder-id": {},
    "identity-center": {"start_url": "https://d-1234567890.awsapps.com/start", "region": "us-east-1"},
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_code_is_shown_and_confirmed_and_the_account_answers(stack, way):
    async with stack(accounts={"refresh_token": ""}) as s, s.client() as http:
        quick(s, does="never", profiles=("arn:aws:codewhisperer:us-east-1:123456789012:profile/AAAABBBBCCCC",))
        anna = browser(s)
        await anna.set_up()
        address = await begun(anna, way=way, name="work", **WAYS[way])
        page = await until(anna, address, "enter the code there")
        assert re.search(r'<code class="secret" id="user-code">[A-Z0-9-]{4,}</code>', page.text)
        s.simulator.sign_ins.person.does = "agree"
        done = text(await until(anna, address, "Signed in: work"))
        assert "person@example.com" in done
        assert "Plan" in done
        assert (await http.post("/v1/messages", json=question())).status_code == 200
        assert s.asked()[-1] != "?"
        assert await noted(s) == [("account.add", "work", "anna")]
        record = s.member("work").record
    assert (record.owner_id, record.lent) == ("", True), "an operator's first choice is the team"


@pytest.mark.parametrize("way", ["google", "external"])
async def test_the_address_that_a_distant_browser_ended_at_is_pasted(stack, way):
    fields = {"way": way, "domain": "example.com"} if way == "external" else {"way": way, "address": "yes"}
    async with stack(accounts={"refresh_token": ""}) as s:
        quick(s, profiles=("arn:aws:codewhisperer:us-east-1:123456789012:profile/AAAABBBBCCCC",))
        anna = browser(s)
        await anna.set_up()
        address = await begun(anna, name="far", **fields)
        page = await until(anna, address, "The address that the browser ended at")
        link = re.search(r'<a class="button main" href="([^"]+)" target="_blank" rel="noopener noreferrer">', page.text)
        assert link
        async with httpx.AsyncClient(timeout=10, trust_env=False) as distant:
            ended = (await distant.get(unescape(link[1]))).headers["location"]
        assert urlsplit(ended).hostname == "localhost"
        state = dict(parse_qsl(urlsplit(ended).query))["state"]
        for wrong in ("x", "http://[", ended.replace(state, "another"), "http://localhost:3128/"):
            refused = await anna.send(f"{address}/answer", {"answer": wrong})
            assert refused.status_code == 400
            assert "not the address that this sign-in ends at" in notice(refused)
        assert (await anna.send(f"{address}/answer", {"answer": f" {ended}\n"})).status_code == 303
        assert "person@example.com" in text(await until(anna, address, "Signed in: far"))


async def test_an_api_key_is_tried_and_kept_and_never_shown(stack):
    async with stack(accounts={"refresh_token": ""}) as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open(SIGN_IN)
        refused = await anna.send(SIGN_IN, {"way": "api-key", "api_key": "nonsense"})
        assert refused.status_code == 400
        assert "begins with ksk_" in notice(refused)
        address = await begun(anna, way="api-key", api_key=DEMO_API_KEY, name="key")
        page = await until(anna, address, "Signed in: key")
        listed = await anna.open(LIST)
        audit = await anna.open("/console/audit")
    for shown in (refused.text, page.text, listed.text, audit.text, str(s.log.lines)):
        assert DEMO_API_KEY not in shown
        assert "nonsense" not in shown


@pytest.mark.parametrize("domain", ["not a domain", ""])
async def test_what_is_no_domain_is_told_in_the_form_which_keeps_it(stack, domain):
    async with stack([kept("main")]) as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open(SIGN_IN)
        refused = await anna.send(SIGN_IN, {"way": "external", "domain": domain, "name": "far"})
    assert refused.status_code == 400, "the sign-in was begun and ended on a page without its form"
    assert "give what stands behind the @ (example.com)" in notice(refused)
    assert f'name="domain" value="{domain}"' in refused.text
    assert 'value="far"' in refused.text


async def test_several_profiles_are_asked_for(stack):
    async with stack(accounts={"refresh_token": ""}) as s:
        quick(s)
        anna = browser(s)
        await anna.set_up()
        address = await begun(anna, way="identity-center", name="work", **WAYS["identity-center"])
        page = await until(anna, address, "has several profiles")
        arns = [unescape(arn) for arn in re.findall(r'name="answer" value="(arn:[^"]+)"', page.text)]
        assert len(arns) > 1
        assert (await anna.send(f"{address}/answer", {"answer": "arn:of:another"})).status_code == 400
        await anna.send(f"{address}/answer", {"answer": arns[1]})
        await until(anna, address, "Signed in: work")
        assert s.member("work").record.profile_arn == arns[1]


async def test_a_marked_account_is_signed_in_anew_and_serves_again(stack):
    mail = {"email": "person@example.com", "user_id": "d-0000000000.person"}
    async with stack([kept("main", row={"mark": "sign_in", "mark_reason": "over", **mail})]) as s, s.client() as http:
        quick(s)
        anna = browser(s)
        await anna.set_up()
        assert (await http.post("/v1/messages", json=question())).status_code == 503
        record = s.member("main").record
        assert f"{SIGN_IN}?again={record.id}" in (await anna.open(LIST)).text
        assert "Sign main in anew" in (await anna.open(f"{SIGN_IN}?again={record.id}")).text
        answer = await anna.send(SIGN_IN, {"anew": record.id, "name": "other", "way": "github"})
        await until(anna, answer.headers["location"], "Signed in anew: main")
        assert (await http.post("/v1/messages", json=question())).status_code == 200
        assert await noted(s) == [("account.renew", "main", "anna")]
        assert [member.name for member in s.gateway.accounts.present()] == ["main"]


@pytest.mark.parametrize(("answer", "names"), [("yes", ["ann", "main"]), ("no", ["main"])])
async def test_another_person_than_the_accounts_is_asked_about(stack, answer, names):
    async with stack([kept("main", row={"email": "ben@example.com", "user_id": "ben"})]) as s:
        quick(s, email="ann@example.com", user_id="ann")
        anna = browser(s)
        await anna.set_up()
        record = s.member("main").record
        address = await begun(anna, anew=record.id, way="google")
        asked = text(await until(anna, address, "Keep it as another account"))
        assert "is not that of the account main" in asked
        await anna.send(f"{address}/answer", {"answer": answer})
        if answer == "yes":
            await until(anna, address, "Signed in: ann")
        else:
            await until(anna, address, "nothing was kept", failed=True)
        assert sorted(member.name for member in s.gateway.accounts.present()) == names
        assert s.member("main").record.secrets == record.secrets


async def test_members_bring_accounts_that_are_theirs_and_private(stack):
    async with stack([kept("ours", row={"email": "person@example.com"})]) as s:
        quick(s, email="ben@example.com", user_id="ben")
        await browser(s).set_up()
        ben = await user(s, "ben")
        assert "whose" not in (await ben.open(SIGN_IN)).text
        address = await begun(ben, way="google", whose="team", name="mine")
        await until(ben, address, "Signed in: mine")
        record = s.member("mine").record
        members = {one.name: one.id for one in (await s.gateway.people.users(Listing())).rows}
        assert (record.owner_id, record.lent) == (members["ben"], False)
        again = await ben.send(SIGN_IN, {"anew": s.member("ours").record.id, "way": "google"})
        assert again.status_code == 404, "somebody else's is not signed in anew"


async def test_a_member_does_not_take_over_an_account_that_is_not_theirs(stack):
    row = {"email": "person@example.com", "user_id": "d-0000000000.person"}
    async with stack([kept("ours", row=row)]) as s:
        quick(s)
        await browser(s).set_up()
        before = s.member("ours").record
        ben = await user(s, "ben")
        address = await begun(ben, way="google")
        told = text(await until(ben, address, "not yours here", failed=True))
        assert "account ours" not in told
        assert s.member("ours").record == before
        assert await noted(s) == []


async def test_viewers_bring_nothing(stack):
    async with stack() as s:
        await browser(s).set_up()
        cleo = await user(s, "cleo", Role.VIEWER)
        assert (await cleo.open(SIGN_IN)).status_code == 403
        assert "bring-sign-in" not in (await cleo.open(LIST)).text
        assert (await cleo.send(SIGN_IN, {"way": "google"})).status_code == 403


async def test_a_sign_in_is_cancelled_and_asks_nobody_any_more(stack):
    async with stack(accounts={"refresh_token": ""}) as s:
        quick(s, does="never")
        anna = browser(s)
        await anna.set_up()
        address = await begun(anna, way="builder-id")
        await until(anna, address, "enter the code there")
        assert f'<a href="{address}">' in (await anna.open(LIST)).text, "whoever closed its page finds it no more"
        await anna.send(f"{address}/cancel")
        await until(anna, address, "It was cancelled")
        assert address not in (await anna.open(LIST)).text
        asked = len(await s.requests())
        await trio.sleep(0.5)  # for a question that must not come there is nothing to wait for
        assert len(await s.requests()) == asked
        assert (await anna.send(f"{address}/answer", {"answer": "x"})).status_code == 400


async def test_somebody_elses_sign_in_is_not_found(stack):
    async with stack(accounts={"refresh_token": ""}) as s:
        quick(s, does="never")
        anna = browser(s)
        await anna.set_up()
        ben = await user(s, "ben")
        address = await begun(ben, way="builder-id")
        await until(ben, address, "enter the code there")
        await anna.open("/console")
        for answer in (
            await anna.open(address),
            await anna.send(f"{address}/cancel"),
            await anna.send(f"{address}/answer", {"answer": "x"}),
        ):
            assert answer.status_code == 404
        told = (await anna.open(f"{address}/events", accept="text/event-stream")).text
        assert "not known any more" in told
        assert told.endswith("event: over\ndata: over\n\n"), "the page asks no more"
        assert "enter the code there" in text(await ben.open(address))


async def test_one_person_has_a_few_at_one_time(stack):
    async with stack(accounts={"refresh_token": ""}) as s:
        quick(s, does="never")
        anna = browser(s)
        await anna.set_up()
        addresses = [await begun(anna, way="builder-id") for _ in range(3)]
        await anna.open(SIGN_IN)
        refused = await anna.send(SIGN_IN, {"way": "builder-id"})
        assert refused.status_code == 429
        assert "under way" in notice(refused)
        await anna.send(f"{addresses[0]}/cancel")
        await until(anna, addresses[0], "It was cancelled")
        await begun(anna, way="builder-id")


async def test_a_refusal_in_the_browser_is_told(stack):
    async with stack(accounts={"refresh_token": ""}) as s:
        quick(s, does="deny")
        anna = browser(s)
        await anna.set_up()
        address = await begun(anna, way="builder-id")
        told = text(await until(anna, address, "refused in the browser", failed=True))
    assert "Begin once more" in told
    assert "kirotrio login" not in told


async def test_a_script_in_what_kiro_says_is_text(stack):
    script = "<script>alert(1)</script>@example.com"
    async with stack(accounts={"refresh_token": ""}) as s:
        quick(s, email=script)
        anna = browser(s)
        await anna.set_up()
        page = await until(anna, await begun(anna, way="google"), "Signed in")
        listed = await anna.open(LIST)
    for shown in (page.text, listed.text):
        assert "<script>alert" not in shown
        assert "&lt;script&gt;alert(1)&lt;/script&gt;@example.com" in shown


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "choose how to sign in"),
        ({"way": "identity-center"}, "start URL"),
        ({"way": "identity-center", "start_url": "https://d-1.awsapps.com/start", "region": "x/y"}, "region"),
        ({"way": "google", "name": "a b"}, "Name"),
        ({"way": "google", "name": "main"}, "another account"),
        ({"way": "google", "whose": "everybody's"}, "Whose"),
    ],
)
async def test_what_cannot_be_is_said_in_the_form(stack, fields, told):
    async with stack([kept("main")]) as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open(SIGN_IN)
        answer = await anna.send(SIGN_IN, fields)
    assert answer.status_code == 400
    assert told in notice(answer)


async def test_a_stop_of_the_gateway_ends_what_runs(stack):
    async with stack(accounts={"refresh_token": ""}) as s:
        quick(s, does="never")
        anna = browser(s)
        await anna.set_up()
        await until(anna, await begun(anna, way="builder-id"), "enter the code there")
        s.stop.ask()
        with trio.fail_after(10):
            while True:
                asked = len(await s.requests())
                await trio.sleep(0.4)
                if len(await s.requests()) == asked:
                    break


async def test_the_setup_leads_through_a_sign_in_to_a_key(stack):
    async with stack(accounts={"refresh_token": ""}) as s:
        quick(s)
        anna = browser(s)
        assert (await anna.set_up()).headers["location"] == "/console/setup/account"
        page = await anna.open("/console/setup/account")
        assert 'id="bring-sign-in"' in page.text
        answer = await anna.send(SIGN_IN, {"way": "google", "setup": "yes", "whose": "team"})
        page = await until(anna, answer.headers["location"], "Signed in")
        assert 'href="/console/setup/key"' in page.text
        assert 'class="steps"' in page.text


async def test_what_changes_is_sent_while_one_looks(stack):
    async with stack(accounts={"refresh_token": ""}) as s:
        quick(s, does="never")
        anna = browser(s)
        await anna.set_up()
        address = await begun(anna, way="builder-id")
        own = {"base_url": s.url, "cookies": anna.cookies, "trust_env": False, "timeout": 20}
        async with httpx.AsyncClient(**own) as http, http.stream("GET", f"{address}/events") as events:
            assert events.headers["content-type"].startswith("text/event-stream")
            heard = ""
            with trio.fail_after(20):
                async for line in events.aiter_lines():
                    heard += line + "\n"
                    if "enter the code there" in heard:
                        s.simulator.sign_ins.person.does = "agree"
    assert "Signed in" in heard.split("event: step")[-1]
    assert heard.endswith("event: over\ndata: over\n\n"), "it ended by itself"
