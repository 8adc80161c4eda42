"""People in a real browser: invited, approved, made by an operator; second factor; sign-ins that are ended."""

from __future__ import annotations

import re
import time

import pyotp
from playwright.sync_api import expect
from support.chromium import PASSWORD, browse, check_accessible, picture, set_up, sign_in, somebody_else
from support.looks import check_all_ways, check_chinese, check_focus_is_seen, check_for_fingers, reach, with_language
from support.stack import KEY

NAMES = ("anna", "bob", "bob@example.com", "carol", "dora")
NOT_RIGHT = "The name or the password is not right"
"""Whoever waits for approval or is disabled reads the same as any stranger."""
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def choose_password(page, name, password=PASSWORD, again=PASSWORD):
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("The password again").fill(again)


def places(page):
    return page.eval_on_selector_all("#places a", "all => all.map(one => one.textContent)")


async def test_whoever_is_invited_opens_the_link_and_is_a_user(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console/invitations")
            page.get_by_label("E-mail", exact=True).first.fill("bob@example.com")
            page.get_by_role("button", name="Invite").click()
            address = page.locator("code.secret").text_content()
            check_accessible(page)
            picture(page, "invitation-made")
            with somebody_else(page) as bob:
                bob.goto(address)
                check_all_ways(bob, "invitation")
                choose_password(bob, "bob", again="another phrase")
                bob.get_by_role("button", name="Go on").click()
                bob.get_by_role("alert").get_by_text("The two passwords are not the same.").wait_for()
                choose_password(bob, "bob")
                bob.get_by_role("button", name="Go on").click()
                bob.get_by_role("link", name="bob").wait_for()
                assert {"Users", "Audit log", "Settings"}.isdisjoint(places(bob))
                assert {"Keys", "Requests"} <= set(places(bob))
                bob.goto(f"{s.url}/console/users")
                bob.get_by_text("Your role does not include this").wait_for()
                check_all_ways(bob, "not-for-you", known=NAMES)
            with somebody_else(page) as late:
                late.goto(address)
                late.get_by_text("This invitation is not valid any more").wait_for()
                check_accessible(late)
            page.goto(f"{s.url}/console/invitations")
            page.get_by_role("row").filter(has_text="Accepted").get_by_text("bob@example.com").wait_for()
            check_all_ways(page, "invitations", known=NAMES)

        await browse(work)


async def test_an_operator_makes_changes_and_removes_a_user(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console/users")
            reach(page, page.get_by_text("Make a user with a password"))
            page.keyboard.press("Enter")
            page.get_by_label("Name", exact=True).fill("carol")
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_label("Password", exact=True).press("Enter")
            page.get_by_text("carol is a user now.").wait_for()
            with somebody_else(page) as carol:
                sign_in(carol, s.url, "carol")
                page.reload()
                check_all_ways(page, "user", known=NAMES)
                page.get_by_role("combobox", name="Role").select_option("viewer")
                page.get_by_role("region", name="Role").get_by_role("button", name="Save").click()
                page.get_by_text("carol was changed.").wait_for()
                expect(page.get_by_role("combobox", name="Role")).to_have_value("viewer")
                carol.reload()
                carol.get_by_role("button", name="Sign in").wait_for()
                sign_in(carol, s.url, "carol")
                assert "Keys" not in places(carol)
                page.once("dialog", lambda asked: asked.accept())
                page.get_by_role("button", name="Disable").click()
                page.get_by_role("button", name="Enable").wait_for()
                carol.goto(f"{s.url}/console/sign-in")
                carol.get_by_label("Name", exact=True).fill("carol")
                carol.get_by_label("Password", exact=True).fill(PASSWORD)
                carol.get_by_role("button", name="Sign in").click()
                expect(carol.get_by_role("alert")).to_have_text(NOT_RIGHT)
            page.goto(f"{s.url}/console/users")
            check_all_ways(page, "users", known=NAMES)
            page.get_by_role("link", name="carol").click()
            page.once("dialog", lambda asked: asked.dismiss())
            page.get_by_role("button", name="Remove").click()  # asked, and not wanted
            page.once("dialog", lambda asked: asked.accept())
            page.get_by_role("button", name="Remove").click()
            page.get_by_text("carol is removed.").wait_for()
            page.wait_for_load_state()
            expect(page.get_by_role("link", name="anna").first).to_be_visible()
            expect(page.get_by_role("link", name="carol")).to_have_count(0)

        await browse(work)


async def test_whoever_asks_is_let_in_once_an_operator_approves(stack):
    async with stack(users={"registration": "approval"}) as s:

        def work(page):
            set_up(page, s.url, KEY)
            with somebody_else(page) as dora:
                dora.goto(f"{s.url}/console/sign-in")
                check_all_ways(dora, "sign-in-or-ask")
                dora.get_by_role("link", name="Ask to become a user").click()
                check_all_ways(dora, "asking")
                choose_password(dora, "dora")
                dora.get_by_role("button", name="Ask", exact=True).click()
                dora.get_by_text("You have asked.").wait_for()
                picture(dora, "asked")
                dora.get_by_label("Name", exact=True).fill("dora")
                dora.get_by_label("Password", exact=True).fill(PASSWORD)
                dora.get_by_role("button", name="Sign in").click()
                expect(dora.get_by_role("alert")).to_have_text(NOT_RIGHT)
                page.goto(f"{s.url}/console/users?state=waiting")
                page.get_by_role("link", name="dora").click()
                check_accessible(page)
                picture(page, "user-waits")
                page.get_by_role("button", name="Approve").click()
                page.get_by_text("dora was changed.").wait_for()
                sign_in(dora, s.url, "dora")
                dora.get_by_role("link", name="dora").wait_for()

        await browse(work)


async def test_a_second_factor_is_set_up_and_asked_for_and_a_recovery_code_stands_in(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console/me/second-factor")
            page.get_by_role("button", name="Set up").click()
            authenticator = pyotp.TOTP(page.locator("code.secret").text_content().strip())
            page.wait_for_function("() => document.querySelector('img.picture').naturalWidth > 100")
            check_all_ways(page, "second-factor-picture", known=NAMES)
            page.get_by_label("Code").fill("000000")
            page.get_by_role("button", name="Turn on").click()
            page.get_by_role("alert").get_by_text("This code is not right").wait_for()
            page.get_by_label("Code").fill(used := authenticator.now())
            page.get_by_role("button", name="Turn on").click()
            codes = page.locator("pre.secret").text_content().split()
            assert len(codes) == 10
            check_all_ways(page, "recovery-codes", chinese=False)
            with somebody_else(page) as again:
                sign_in(again, s.url, "anna")
                again.get_by_role("heading", name="Second factor").wait_for()
                check_all_ways(again, "second-factor-asked")
                again.goto(f"{s.url}/console/keys")
                again.get_by_role("button", name="Sign in").wait_for()  # the password alone opens nothing
                sign_in(again, s.url, "anna")
                again.get_by_label("Code").fill(used)
                again.get_by_label("Code").press("Enter")
                again.get_by_role("alert").get_by_text("was used already").wait_for()
                again.get_by_label("Code").fill(authenticator.at(time.time() + 30))
                again.get_by_label("Code").press("Enter")
                again.get_by_role("heading", name="Overview").wait_for()
            with somebody_else(page) as lost:
                for expected in ("Overview", "Second factor"):  # a recovery code counts once
                    sign_in(lost, s.url, "anna")
                    lost.get_by_label("Code").fill(codes[0])
                    lost.get_by_role("button", name="Sign in").click()
                    if expected == "Second factor":
                        lost.get_by_role("alert").wait_for()
                    lost.get_by_role("heading", name=expected).wait_for()
                    lost.context.clear_cookies()
            page.goto(f"{s.url}/console/me")
            page.get_by_text("On", exact=True).wait_for()

        await browse(work)


async def test_a_sign_in_that_is_ended_is_out_at_once(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            with somebody_else(page, user_agent=FIREFOX) as other, somebody_else(page) as third:
                sign_in(other, s.url, "anna")
                sign_in(third, s.url, "anna")
                page.goto(f"{s.url}/console/me")
                check_all_ways(page, "me", known=NAMES)
                expect(page.get_by_text(re.compile(r"Chrome \d+, Linux"))).to_have_count(2)
                ends = page.get_by_role("button", name="End", exact=True)
                expect(ends).to_have_count(2)
                own = page.get_by_role("row").filter(has_text="this one")
                expect(own).to_have_count(1)
                expect(own.get_by_role("button"), "one's own sign-in is ended by signing out").to_have_count(0)
                now = time.time()
                s.gateway.people.now = lambda: now  # what is remembered of a sign-in is as good as new
                for there in (other, third):
                    there.goto(f"{s.url}/console/keys")
                    there.get_by_role("heading", name="Keys").wait_for()
                reach(page, page.get_by_role("row").filter(has_text="Firefox 128").get_by_role("button"))
                page.keyboard.press("Enter")
                page.get_by_text("The sign-in has ended.").wait_for()
                expect(ends).to_have_count(1)
                other.goto(f"{s.url}/console/keys")
                other.get_by_role("button", name="Sign in").wait_for()
                third.reload()
                third.get_by_role("heading", name="Keys").wait_for()
                page.get_by_role("button", name="End all others").click()
                page.get_by_role("button", name="End all others").wait_for(state="detached")
                third.goto(f"{s.url}/console/keys")
                third.get_by_role("button", name="Sign in").wait_for()
                page.goto(f"{s.url}/console/keys")
                page.get_by_role("heading", name="Keys").wait_for()

        await browse(work)


async def test_what_is_delicate_asks_for_the_password_again_in_chinese_too(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            s.gateway.people.now = lambda: time.time() + 3600
            page.goto(f"{s.url}/console/me/second-factor")
            page.get_by_role("heading", name="Your password, once more").wait_for()
            with_language(page, "zh-CN")
            check_chinese(page, NAMES)
            check_for_fingers(page)
            picture(page, "confirm-chinese")
            reach(page, page.get_by_label("密码"))
            check_focus_is_seen(page)
            page.keyboard.type("a guess at it")
            page.keyboard.press("Enter")
            page.get_by_role("alert").wait_for()
            page.goto(f"{s.url}/console/me/second-factor")
            reach(page, page.get_by_label("密码"))  # a wrong one counts for nothing
            page.keyboard.type(PASSWORD)
            page.keyboard.press("Enter")
            page.get_by_role("button", name="设置").wait_for()

        await browse(work)
