"""Signing in by GitHub and by LinuxDo over real sockets; the providers here hold to PKCE and take a code once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from support.oauth_site import OAuthSite
from support.stack import KEY, Stack, running
from support.visitors import BOSS, Visitor, operator

from kirotrio.store.user_record import Role

GITHUB = OAuthSite(
    {"id": 583231, "login": "<b>jane</b>"}, [{"email": "jane@example.com", "primary": True, "verified": True}]
)
LINUXDO = OAuthSite({"id": 4711, "username": "neo", "trust_level": 2, "active": True, "silenced": False})


@asynccontextmanager
async def gate(site: OAuthSite, folder: Path, **more: Any) -> AsyncIterator[Stack]:
    """A gateway whose GitHub and LinuxDo are `site`."""
    async with trio.open_nursery() as nursery:
        await site.start(nursery)
        sign_in = {
            "github_client_id": "app", "github_client_secret": "s3cret", "github_url": site.url,
            "linuxdo_client_id": "app", "linuxdo_client_secret": "s3cret", "linuxdo_url": site.url,
        }  # fmt: skip
        async with running(folder, sign_in={**sign_in, **more}) as stack:
            await operator(stack.gateway.people, KEY)
            yield stack
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("name", "site", "shown"), [("github", GITHUB, "&lt;b&gt;jane"), ("linuxdo", LINUXDO, "neo")])
async def test_who_is_known_there_becomes_a_user_by_an_invitation_and_comes_back(
    tmp_path: Path, name: str, site: OAuthSite, shown: str
) -> None:
    async with gate(site, tmp_path) as stack:
        people = stack.gateway.people
        token = await people.invite(BOSS, Role.MEMBER)
        async with Visitor(stack.url) as first:
            page = await first.go(f"/console/sign-in/{name}?invitation={token}&next=/console/me/identities")
            assert page.status_code == 200
            assert shown in page.text
            assert "<b>jane" not in page.text
            made = await first.user(people)
            assert made is not None
            assert made.role is Role.MEMBER
        async with Visitor(stack.url) as second:
            assert (await second.go(f"/console/sign-in/{name}")).status_code == 200
            again = await second.user(people)
            assert again is not None
            assert again.id == made.id


@pytest.mark.parametrize("name", ["github", "linuxdo"])
async def test_a_code_that_somebody_else_asked_for_is_worth_nothing(tmp_path: Path, name: str) -> None:
    site = OAuthSite({"id": 1, "login": "x", "username": "x"})
    async with gate(site, tmp_path) as stack:
        token = await stack.gateway.people.invite(BOSS, Role.MEMBER)
        async with Visitor(stack.url) as victim, Visitor(stack.url) as thief:
            stolen = (await victim.go(f"/console/sign-in/{name}?invitation={token}", until="/callback")).headers
            code = stolen["location"].partition("code=")[2]
            own = (await thief.go(f"/console/sign-in/{name}?invitation={token}", until="/callback")).headers
            # The thief's own state, with the code of the victim: the verifier does not fit.
            page = await thief.go(own["location"].rpartition("code=")[0] + f"code={code}")
            assert page.status_code == 400
            assert await thief.user(stack.gateway.people) is None


async def test_a_wrong_secret_is_told_to_the_operator_and_not_to_strangers(tmp_path: Path) -> None:
    async with gate(GITHUB, tmp_path, github_client_secret="wr0ng") as stack, Visitor(stack.url) as visitor:
        page = await visitor.go("/console/sign-in/github")
        assert page.status_code == 500
        assert "credentials" not in page.text
        (logged,) = [fields for _, said, fields in stack.log.lines if said == "sign-in elsewhere failed"]
        assert "incorrect_client_credentials" in logged["reason"]
        assert "wr0ng" not in repr(stack.log.lines)


async def test_who_the_rules_do_not_let_in_is_told_so(tmp_path: Path) -> None:
    async with gate(LINUXDO, tmp_path, linuxdo_trust_level=3) as stack, Visitor(stack.url) as visitor:
        page = await visitor.go("/console/sign-in/linuxdo")
        assert page.status_code == 403
        assert "do not let you in" in page.text


async def test_whoever_does_not_agree_is_not_signed_in(tmp_path: Path) -> None:
    async with gate(OAuthSite({}, denies=True), tmp_path) as stack, Visitor(stack.url) as visitor:
        page = await visitor.go("/console/sign-in/github")
        assert page.status_code == 403
        assert "not agreed to" in page.text
