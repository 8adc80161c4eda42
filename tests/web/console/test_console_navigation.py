"""The navigation: a few places in the first rank, the operators' others in groups; nobody sees what they may not."""

from __future__ import annotations

import re

import pytest
from support.console import PASSWORD, browser

from kirotrio.access.audit import Actor
from kirotrio.store.user_record import Role
from kirotrio.web.console.navigation import PLACES

NAV = re.compile(r'<nav id="places".*?</nav>', re.DOTALL)
LINK = re.compile(r'<a href="([^"]+)"')


async def test_an_operator_finds_every_place_and_the_first_rank_is_short(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        nav = NAV.search((await anna.open("/console")).text)[0]
        assert sorted(LINK.findall(nav)) == sorted(place.path for place in PLACES)
        outside = re.sub(r"<details.*?</details>", "", nav, flags=re.DOTALL)
        assert LINK.findall(outside) == [place.path for place in PLACES if not place.group]
        assert len(LINK.findall(outside)) + nav.count("<details") <= 8, "more does not fit one line at 1280 px"


async def test_the_group_of_the_page_is_marked_as_well_as_the_page(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        for path, place in (("/console/audit", "/console/audit"), ("/console/invitations", "/console/users")):
            nav = NAV.search((await anna.open(path)).text)[0]
            assert re.findall(r'<summary class="current">([^<]+)', nav) == ["Team"]
            assert re.findall(r'<a href="([^"]+)" aria-current="page"', nav) == [place]


@pytest.mark.parametrize("own_keys", [True, False])
async def test_others_have_their_own_places_alone_and_no_group(stack, own_keys):
    async with stack(users={"own_keys": own_keys}) as s:
        await browser(s).set_up()
        theirs = [place for place in PLACES if own_keys or place.path != "/console/playground"]
        for name, role in (("mia", Role.MEMBER), ("vera", Role.VIEWER)):
            await s.gateway.people.create_user(Actor("", "command line", ""), name, PASSWORD, role)
            person = browser(s)
            await person.sign_in(name)
            nav = NAV.search((await person.open("/console")).text)[0]
            assert LINK.findall(nav) == [place.path for place in theirs if role.value in place.roles]
            assert "<details" not in nav
