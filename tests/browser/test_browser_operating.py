"""What operators do beside keys and people, in a real browser: requests, announcements, mode, settings, audit log."""

from __future__ import annotations

from functools import partial

import httpx
import trio
from playwright.sync_api import expect
from support.chromium import (
    arrive,
    browse,
    check_accessible,
    check_fits,
    picture,
    reload_until,
    set_up,
    sign_in,
    somebody_else,
)
from support.looks import check_all_ways, check_chinese, reach, with_language
from support.stack import KEY, question
from support.visitors import member

from kirotrio.web.console.languages import CHINESE, ENGLISH

NAMES = ("anna", "mara", "test", "default", "claude-sonnet-4-5")
MARKDOWN = """Tonight at **ten** we move. <script>alert("markdown")</script><img src=x onerror=alert(1)>

- [what changes](https://example.com/changes)
- [nothing](javascript:alert(2))
"""


async def test_requests_are_listed_and_one_is_shown_with_its_course(stack):
    async with stack() as s:
        async with s.client() as http:
            for text in ("[[events=40 size=30 gap_ms=10 first_ms=120]] hello", "[[status=400]] refused", "Say hi"):
                await http.post("/v1/messages", json=question(text), headers={"user-agent": "claude-cli/2.1"})

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console/requests")
            reload_until(page, page.locator("tbody tr:nth-child(3)"))
            check_all_ways(page, "requests", known=NAMES)
            page.get_by_label("Result").select_option("refused")
            page.get_by_role("search").get_by_role("button", name="Search").click()
            page.wait_for_url("**result=refused**")
            expect(page.locator("tbody tr")).to_have_count(1)
            page.locator("tbody a").first.click()
            arrive(page, 'h1:text("Request") code')
            expect(page.locator("dd .badge")).to_have_text("Refused")
            check_accessible(page)
            picture(page, "request-refused")
            page.goto(f"{s.url}/console/requests?sort=seconds&order=down")
            expect(page.get_by_role("columnheader", name="Seconds")).to_have_attribute("aria-sort", "descending")
            told = [float(cell) for cell in page.locator('td[data-label="Seconds"]').all_inner_texts()]
            assert len(told) == 3
            assert told == sorted(told, reverse=True), "it says that it is sorted, and is not"
            page.locator("tbody a").first.click()
            arrive(page, ".waterfall")
            bars = page.locator(".waterfall rect").evaluate_all(
                "all => all.map(one => one.getBoundingClientRect()).map(box => [box.left, box.right])"
            )
            assert len(bars) == 4, "queue, connect, first event, stream"
            for (left, right), (after, _) in zip(bars, [*bars[1:], (bars[-1][1], 0)], strict=True):
                assert left + 1 < right <= after + 2, f"one part after the other, each to be seen: {bars}"
            check_all_ways(page, "request", known=(*NAMES, "claude-cli", "messages", "live"))

        await browse(work)


async def test_an_announcement_is_previewed_and_shown_to_members_without_its_script(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            trio.from_thread.run(partial(member, s.gateway.people, "mara"))
            page.goto(f"{s.url}/console/announcements")
            check_all_ways(page, "announcements-none", known=NAMES)
            page.get_by_role("link", name="New announcement").click()
            check_all_ways(page, "announcement-new", known=NAMES)
            page.get_by_label("Title").fill("We <i>move</i>")
            page.get_by_label("Text", exact=True).fill(MARKDOWN)
            page.get_by_label("Severity").select_option("warning")
            page.get_by_role("button", name="Preview").click()
            page.get_by_text("This is how it will be shown:").wait_for()
            check_accessible(page)
            picture(page, "announcement-preview")
            page.get_by_role("button", name="Save").click()
            page.get_by_text("The announcement was saved.").wait_for()
            with somebody_else(page) as mara:
                sign_in(mara, s.url, "mara", "a quiet harbour at dawn")
                shown = mara.locator(".announcement.warning")
                shown.get_by_role("heading", name="We <i>move</i>").wait_for()
                shown.get_by_text('<script>alert("markdown")</script>').wait_for()
                assert shown.locator("strong").inner_text() == "ten"
                assert not shown.locator("script, img, i").count()
                links = shown.locator("a").evaluate_all("all => all.map(one => one.href)")
                assert links == ["https://example.com/changes"]
                check_all_ways(mara, "announcement-shown", known=(*NAMES, *MARKDOWN.splitlines(), "We <i>move</i>"),
                               chinese=False)  # fmt: skip
            expect(page.locator(".announcement"), "it is gone before it was removed").to_have_count(1)
            page.get_by_role("button", name="Remove We").click()
            page.get_by_text("The announcement was removed.").wait_for()
            expect(page.locator(".announcement")).to_have_count(0)

        await browse(work)


async def test_maintenance_is_told_to_whoever_asks_and_seen_by_people(stack):
    async with stack() as s:
        answers = []

        def ask():
            with httpx.Client(trust_env=False, timeout=30) as http:
                headers = {"x-api-key": KEY}
                answers.append(http.post(f"{s.url}/v1/messages", json=question(), headers=headers))

        def work(page):
            set_up(page, s.url, KEY)
            trio.from_thread.run(partial(member, s.gateway.people, "mara"))
            page.goto(f"{s.url}/console/mode")
            check_all_ways(page, "mode", known=NAMES)
            page.get_by_label("Maintenance").check()
            page.get_by_label("Message").fill("Back at ten.")
            page.get_by_role("button", name="Save").click()
            page.get_by_text("The mode was changed.").wait_for()
            expect(page.get_by_label("Maintenance"), "the page tells another mode").to_be_checked()
            expect(page.get_by_label("Message")).to_have_value("Back at ten.")
            check_all_ways(page, "mode-maintenance", known=(*NAMES, "Back at ten."))
            ask()
            with somebody_else(page) as mara:
                sign_in(mara, s.url, "mara", "a quiet harbour at dawn")
                mara.get_by_text("Back at ten.").wait_for()
                check_accessible(mara)
                picture(mara, "maintenance-member")
            page.goto(f"{s.url}/console/mode")
            page.get_by_label("Open").check()
            page.get_by_role("button", name="Save").click()
            page.get_by_text("The mode was changed.").wait_for()
            expect(page.get_by_text("Back at ten.")).to_have_count(0)
            ask()

        await browse(work)
        assert [answer.status_code for answer in answers] == [503, 200]
        assert "Back at ten." in answers[0].text


async def test_settings_are_found_and_the_audit_log_tells_what_was_done(stack):
    async with stack() as s:
        s.gateway.origins = {"server.port": "environment KIROTRIO_SERVER_PORT"}

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console/settings")
            check_accessible(page)
            check_fits(page)
            page.get_by_role("searchbox").fill("server.")
            page.keyboard.press("Enter")
            page.wait_for_url("**search=server.**")
            port = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="server.port", exact=True))
            port.get_by_text("environment KIROTRIO_SERVER_PORT").wait_for()
            expect(port.get_by_text("default", exact=True)).to_have_count(0)
            check_all_ways(page, "settings", known=(*NAMES, "KIROTRIO_SERVER_PORT", "server."))
            page.get_by_role("searchbox").fill("nothing is called so")
            page.keyboard.press("Enter")
            page.get_by_text("There is nothing here.").wait_for()
            with somebody_else(page) as wrong:
                wrong.goto(f"{s.url}/console/sign-in")
                wrong.get_by_label("Name", exact=True).fill("anna")
                wrong.get_by_label("Password", exact=True).fill("a guess at it")
                wrong.get_by_role("button", name="Sign in").click()
                wrong.get_by_role("alert").wait_for()
            page.goto(f"{s.url}/console/audit")
            check_all_ways(page, "audit", known=NAMES)
            others = page.locator('tbody data:not([value^="sign-in."])')
            expect(others.first, "there is more than sign-ins").to_be_attached()
            page.get_by_label("What").select_option("sign-in")
            reach(page, page.get_by_role("search").get_by_role("button", name="Search"))
            page.keyboard.press("Enter")
            page.wait_for_url("**action=sign-in**")
            expect(others, "what was not asked for is listed").to_have_count(0)
            expect(page.locator('data[value="sign-in.fail"]')).to_have_count(1)
            expect(page.locator('data[value="sign-in.succeed"]')).to_have_count(1)
            with_language(page, CHINESE)
            check_chinese(page, NAMES)
            with_language(page, ENGLISH)

        await browse(work)
