"""Setup, sign-in, dark, Chinese and a phone's width, in a real browser."""

from __future__ import annotations

from support.chromium import PHONE, browse, check_accessible, check_fits, picture, set_up
from support.stack import KEY


async def test_a_fresh_gateway_is_set_up_and_signed_in_to(stack):
    async with stack() as s:

        def work(page):
            page.goto(f"{s.url}/console")
            check_accessible(page)
            picture(page, "setup-1-you")
            set_up(page, s.url, KEY)
            check_accessible(page)
            picture(page, "setup-2-account")
            page.goto(f"{s.url}/console/me")
            check_accessible(page)
            picture(page, "me")
            assert page.locator("time").first.get_attribute("title").endswith("UTC")
            page.get_by_role("button", name="Sign out").click()
            page.get_by_text("You are signed out.").wait_for()
            check_accessible(page)
            page.get_by_label("Name", exact=True).fill("anna")
            page.get_by_label("Password", exact=True).fill("wrong")
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("alert").wait_for()
            check_accessible(page)
            picture(page, "sign-in")
            page.get_by_label("Password", exact=True).fill("a long pass phrase")
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("heading", name="Overview").wait_for()

        await browse(work)


async def test_dark_chinese_and_a_phones_width(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.get_by_role("button", name="Dark").click()
            page.wait_for_selector('html[data-theme="dark"]')
            check_accessible(page)
            page.get_by_role("button", name="简体中文").click()
            page.wait_for_selector('html[lang="zh-CN"]')
            for path in ("/console/setup/account", "/console", "/console/me", "/console/me/second-factor"):
                page.goto(f"{s.url}{path}")
                check_accessible(page)
                check_fits(page)
            picture(page, "dark-chinese-phone")
            page.get_by_role("button", name="菜单").click()
            check_fits(page)

        await browse(work, viewport=PHONE)


async def test_the_system_chooses_the_colours_until_somebody_does(stack):
    async with stack() as s:
        grounds = []

        def work(page):
            page.goto(f"{s.url}/console")
            check_accessible(page)
            grounds.append(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
            page.get_by_role("button", name="Light").click()
            page.wait_for_selector('html[data-theme="light"]')
            grounds.append(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))

        await browse(work, color_scheme="dark")
        assert grounds[0] != grounds[1]


async def test_all_of_it_works_by_keyboard(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console")
            page.keyboard.press("Tab")
            assert page.evaluate("() => document.activeElement.textContent") == "Skip to the content"
            page.keyboard.press("Enter")
            assert page.evaluate("() => document.activeElement.id") == "content"

        await browse(work)
