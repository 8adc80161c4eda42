"""Signing in elsewhere in a real browser, at a real OpenID provider in a process of its own."""

from __future__ import annotations

import pytest
import trio
from support.chromium import browse, check_accessible, picture, set_up, somebody_else
from support.console import let_confirmation_end
from support.looks import check_all_ways
from support.openid_process import free_port, openid_process
from support.stack import KEY
from support.visitors import BOSS, operator

from kirotrio.store.user_record import Role

CALLBACK = "/console/sign-in/openid/callback"
NAMES = ("anna", "alice-1", "alice@example.com", "Example")


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    with openid_process(tmp_path_factory.mktemp("provider")) as process:
        process.knows("alice-1", email="alice@example.com", email_verified=True, preferred_username="alice")
        yield process


def known_to(provider):
    """Settings of a gateway that the provider knows, by their sections."""
    port = free_port()
    client_id, secret = provider.register(f"http://127.0.0.1:{port}{CALLBACK}")
    sign_in = {"openid_issuer": provider.url, "openid_client_id": client_id, "openid_client_secret": secret}
    return {"server": {"port": port}, "sign_in": {**sign_in, "openid_name": "Example"}}


def agree(page, subject="alice-1"):
    page.wait_for_url("**/oauth2/authorize**")
    page.locator('input[name="sub"]').fill(subject)
    page.keyboard.press("Enter")


async def test_a_sign_in_elsewhere_is_attached_used_and_detached(stack, provider):
    async with stack(**known_to(provider)) as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console/me")
            page.get_by_role("region", name="Sign-ins elsewhere").get_by_role("link", name="Change").click()
            check_all_ways(page, "identities-none", known=NAMES)
            page.get_by_role("link", name="Attach Example").click()
            agree(page)
            page.get_by_text("From now on you can sign in with Example.").wait_for()
            check_all_ways(page, "identities", known=NAMES)
            with somebody_else(page) as again:
                again.goto(f"{s.url}/console/keys")
                check_all_ways(again, "sign-in-elsewhere", known=NAMES)
                again.get_by_role("link", name="Sign in with Example").click()
                agree(again)
                again.wait_for_url("**/console/keys")
                again.get_by_role("link", name="anna").wait_for()
            page.get_by_role("button", name="Detach").click()
            page.get_by_text("You are no longer known by that sign-in.").wait_for()
            page.get_by_text("You are known by no sign-in elsewhere.").wait_for()

        await browse(work)


async def test_who_has_no_password_confirms_in_another_tab_and_goes_on_with_the_form(stack, provider):
    async with stack(**known_to(provider), users={"own_keys": True}) as s:
        await operator(s.gateway.people, KEY)
        token = await s.gateway.people.invite(BOSS, Role.MEMBER)

        def work(page):
            page.goto(f"{s.url}/console/invitation/{token}")
            page.get_by_role("link", name="Sign in with Example").click()
            agree(page, "zoe-1")
            page.get_by_role("heading", name="Overview").wait_for()
            trio.from_thread.run(let_confirmation_end, s, "zoe-1")
            page.goto(f"{s.url}/console/keys")
            page.get_by_role("button", name="Create a key").click()
            page.get_by_role("dialog").get_by_label("Name", exact=True).fill("mine")
            page.get_by_role("dialog").get_by_role("button", name="Create", exact=True).click()
            page.get_by_role("heading", name="Your sign-in, once more").wait_for()
            check_all_ways(page, "confirm-elsewhere", chinese=False)
            with page.expect_popup() as opened:
                page.get_by_role("link", name="Confirm with Example").click()
            tab = opened.value
            agree(tab, "zoe-1")
            tab.get_by_role("heading", name="You are confirmed").wait_for()
            check_all_ways(tab, "confirmed-elsewhere", known=(*NAMES, "zoe-1"))
            tab.close()
            page.get_by_role("button", name="Go on").click()
            assert page.locator("#secret").text_content()
            page.goto(f"{s.url}/console/keys")
            page.get_by_role("link", name="mine").wait_for()

        await browse(work)


async def test_whoever_does_not_agree_or_is_not_let_in_is_told_so(stack, provider):
    async with stack(**known_to(provider)) as s:

        def work(page):
            set_up(page, s.url, KEY)
            with somebody_else(page) as stranger:
                stranger.goto(f"{s.url}/console/sign-in")
                stranger.get_by_role("link", name="Sign in with Example").click()
                stranger.wait_for_url("**/oauth2/authorize**")
                stranger.get_by_role("button", name="Deny").click()
                stranger.get_by_role("heading", name="You are not signed in").wait_for()
                check_accessible(stranger)
                picture(stranger, "not-agreed")
                stranger.get_by_role("link", name="To the sign-in").click()
                stranger.get_by_role("link", name="Sign in with Example").click()
                agree(stranger, "nobody-1")
                stranger.wait_for_url(f"**{CALLBACK}**")
                stranger.get_by_text("Nobody here is known by that sign-in").wait_for()
                check_accessible(stranger)
                picture(stranger, "not-admitted")
                stranger.goto(f"{s.url}/console/keys")
                stranger.get_by_role("button", name="Sign in", exact=True).wait_for()

        await browse(work)
