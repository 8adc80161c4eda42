"""The overview: whose numbers a visit sees, what the address chooses, strangers' names as text, the empty state."""

from __future__ import annotations

import re
import time
from html import unescape
from typing import Any

import httpx
import trio
from hypothesis import given
from hypothesis import strategies as st
from support.console import PASSWORD, browser
from support.past_requests import have_key, put, record
from support.stack import question

from kirotrio.access.audit import Actor
from kirotrio.store.user_record import Role
from kirotrio.web.console.spans import SPANS, Asked

SCRIPT = "<script>alert(1)</script>"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


def tile(text: str, name: str) -> str:
    """The number of the tile of this name."""
    found = re.search(rf"<strong>([^<]*)</strong><(?:span|a)[^>]*>{name}", text)
    assert found, f"there is no tile {name!r}"
    return unescape(found[1])


async def a_team(s: Any) -> dict[str, Any]:
    """An operator, a member with a key, a viewer; of four requests two came with the member's key."""
    people = {"anna": browser(s), "mia": browser(s), "vera": browser(s)}
    await people["anna"].set_up()
    for name, role in (("mia", Role.MEMBER), ("vera", Role.VIEWER)):
        await s.gateway.people.create_user(Actor("", "command line", ""), name, PASSWORD, role)
        await people[name].sign_in(name)

    def work(connection: Any) -> None:
        have_key(connection, "k-mia", SCRIPT, "mia")
        own = {"key_id": "k-mia", "input_tokens": 100, "credits": 0.5, "first_event_seconds": 1.25}
        put(
            connection,
            record(1, model=SCRIPT, account=SCRIPT, **own),
            record(2, model="m2", account="work", outcome="upstream_failed", error="it broke", key_id="k-mia"),
            record(3, model="m2", account="work", key_id="default", input_tokens=5000),
            record(4, model="", account="", key_id="default"),
        )

    await s.gateway.people.database.write(work)
    return people


@given(st.dictionaries(st.sampled_from(["span", "model", "account", "key", "x"]), st.lists(st.text(), min_size=1)))
def test_whatever_stands_in_the_address_a_span_up_to_now_is_chosen(arguments):
    now = 1_790_000_123.5
    asked = Asked.of(arguments)
    chosen = asked.chosen(now, None)
    assert chosen.since <= now < chosen.until <= now + asked.span.step
    assert len(chosen.steps) == asked.span.steps
    assert asked.span.key == arguments.get("span", ["day"])[-1] or asked.span.key == "day"
    again = Asked.of({name: [value] for name, value in asked.only.items()} | {"span": [asked.span.key]})
    assert again == asked


async def test_members_see_the_numbers_of_their_own_keys_others_the_teams(stack):
    async with stack() as s:
        people = await a_team(s)
        for name, count, tokens in (("anna", "4", "5,100"), ("vera", "4", "5,100"), ("mia", "2", "100")):
            for span in SPANS:
                text = (await people[name].open(f"/console?span={span.key}")).text
                assert (tile(text, "Requests"), tile(text, "Input tokens")) == (count, tokens), (name, span.key)
        text = (await people["mia"].open("/console?key=default")).text
        assert "There was no request of this kind in this time." in text, "another's key shows a member nothing"


async def test_names_are_text_and_lead_to_their_requests_or_for_viewers_to_their_numbers(stack):
    async with stack() as s:
        people = await a_team(s)
        for name in people:
            text = (await people[name].open("/console")).text
            assert SCRIPT not in text
            assert text.count(ESCAPED) >= 6, "in the tables and among the choices"
            assert " style=" not in text
        text = (await people["anna"].open("/console")).text
        there = [unescape(one) for one in re.findall(r'<th scope="row"><a href="([^"]+)"', text)]
        assert "/console/requests?span=day&key=k-mia" in there
        assert all(one.startswith("/console/requests?") for one in there)
        for one in there:
            page = await people["anna"].open(one)
            assert page.status_code == 200
            assert "/console/requests/req_" in page.text, f"{one} finds its requests"
        there = re.findall(r'<th scope="row"><a href="([^"]+)"', (await people["vera"].open("/console")).text)
        assert all(one.startswith("/console?span=day&amp;") for one in there)
        assert there


async def test_the_failures_lead_to_those_requests_of_that_time(stack):
    async with stack() as s:
        people = await a_team(s)
        old = record(5, outcome="upstream_failed", error="it broke", at=time.time() - 3 * 86_400)
        await s.gateway.people.database.write(lambda link: put(link, old))
        for span, found in (("day", ["req_2"]), ("week", ["req_2", "req_5"])):
            text = (await people["anna"].open(f"/console?span={span}")).text
            assert tile(text, "Failures") == str(len(found))
            there = re.search(r'<a href="([^"]+)">Failures', text)
            assert there, "the number leads to its requests"
            listed = (await people["anna"].open(unescape(there[1]))).text
            assert re.findall(r'href="/console/requests/(req_\d)"', listed) == found
            assert f'<option value="{span}" selected>' in listed
        assert "result=failed" not in (await people["vera"].open("/console")).text, "a viewer sees no requests"


async def test_the_list_calls_a_key_by_its_name_and_finds_it_by_its_id(stack):
    async with stack() as s:
        people = await a_team(s)
        await s.gateway.people.database.write(lambda link: have_key(link, "k-new", "unused", "anna"))
        for path in ("/console/requests?key=k-mia", "/console/requests?key=k-mia&span=day&model=none"):
            text = (await people["anna"].open(path)).text
            assert f'<option value="k-mia" selected>{ESCAPED}</option>' in text
            assert SCRIPT not in text
        text = (await people["anna"].open("/console/requests?key=k-new")).text
        assert '<option value="k-new" selected>unused</option>' in text
        text = (await people["mia"].open("/console/requests?key=k-new")).text
        assert '<option value="k-new" selected>k-new</option>' in text, "what others call their keys is theirs"


async def test_one_model_account_or_key_can_be_looked_at_alone_and_another_chosen_from_there(stack):
    async with stack() as s:
        anna = (await a_team(s))["anna"]
        text = (await anna.open("/console?span=week&model=m2&account=work")).text
        assert tile(text, "Requests") == "2"
        assert '<option value="m2" selected>' in text
        assert f'<option value="{ESCAPED}"' in (await anna.open("/console?model=m2")).text
        assert "span=month&amp;model=m2&amp;account=work" in text, "another span keeps what is chosen"
        text = (await anna.open(f"/console?model={SCRIPT}&key=nobody")).text
        assert SCRIPT not in text
        assert '<option value="nobody" selected>' in text


async def test_a_fresh_gateway_says_how_to_send_the_first_request(stack):
    async with stack() as s:
        anna, vera = browser(s), browser(s)
        await anna.set_up()
        await s.gateway.people.create_user(Actor("", "command line", ""), "vera", PASSWORD, Role.VIEWER)
        await vera.sign_in("vera")
        text = unescape((await anna.open("/console")).text)
        assert f"curl -sN {s.url}/v1/messages -H 'x-api-key: YOUR-KEY'" in text
        text = (await vera.open("/console")).text
        assert "No request has come yet" in text
        assert "curl" not in text
        await s.gateway.people.database.write(lambda link: put(link, record(1, at=1000.0)))
        text = (await anna.open("/console")).text
        assert "There was no request of this kind in this time." in text
        assert "curl" not in text


async def test_what_runs_is_told_of_the_team_and_to_a_member_of_their_own_keys(stack):
    async with stack() as s:
        people = await a_team(s)

        async def held() -> None:
            async with s.client() as http:
                await http.post("/v1/messages", json=question("[[stall_after=1]]"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(held)
            await s.wait_for_stream()
            seen = {name: tile((await who.open("/console")).text, "Running answers") for name, who in people.items()}
            nursery.cancel_scope.cancel()
        assert seen == {"anna": "1", "vera": "1", "mia": "0"}, "the gateway's own key is not the member's"
        assert tile((await people["mia"].open("/console")).text, "Accounts can answer") == "1 of 1"


async def test_nobody_who_has_not_signed_in_sees_any_of_it(stack):
    async with stack() as s:
        await browser(s).set_up()
        for path in ("/console", "/console/overview/events"):
            answer: httpx.Response = await browser(s).open(path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/console/sign-in")
