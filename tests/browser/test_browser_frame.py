"""Setup, sign-in, dark, Chinese and a phone's width, in a real browser."""

from __future__ import annotations

from playwright.sync_api import expect
from support.chromium import PASSWORD, PHONE, arrive, browse, check_accessible, check_fits, picture, set_up
from support.looks import WAYS, check_chinese, reach
from support.stack import KEY


async def test_a_fresh_gateway_is_set_up_and_signed_in_to(stack):
    async with stack() as s:

        def work(page):
            page.goto(f"{s.url}/console")
            check_accessible(page)
            picture(page, "setup-1-you")
            page.get_by_label("Key of this gateway").fill("whoever comes first")
            page.get_by_label("Name", exact=True).fill("mallory")
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_label("The password again").fill(PASSWORD)
            page.get_by_role("button", name="Go on").click()
            page.get_by_role("alert").get_by_text("not the gateway's key").wait_for()
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


_GROUND = """() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3)
  .reduce((sum, part) => sum + Number(part), 0) / 3"""
"""How light the page is, from 0 to 255."""


async def test_dark_chinese_and_a_phones_width(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            assert page.evaluate(_GROUND) > 200
            page.get_by_role("button", name="Dark").click()
            arrive(page, 'html[data-theme="dark"]')
            assert page.evaluate(_GROUND) < 60, "a dark page is dark, whatever the system has"
            check_accessible(page)
            page.get_by_role("button", name="简体中文").click()
            arrive(page, 'html[lang="zh-CN"]')
            for path in ("/console/setup/account", "/console", "/console/me", "/console/me/second-factor"):
                page.goto(f"{s.url}{path}")
                check_accessible(page)
                check_fits(page)
                check_chinese(page, known=(*WAYS, "anna", "default"))
            picture(page, "dark-chinese-phone")
            page.get_by_role("button", name="菜单").click()
            check_fits(page)

        await browse(work, viewport=PHONE)


async def test_the_system_chooses_the_colours_until_somebody_does(stack):
    async with stack() as s:

        def work(page):
            page.goto(f"{s.url}/console")
            check_accessible(page)
            assert page.evaluate(_GROUND) < 60, "the system is dark"
            page.get_by_role("button", name="Light").click()
            arrive(page, 'html[data-theme="light"]')
            assert page.evaluate(_GROUND) > 200, "what somebody chose goes before the system"

        await browse(work, color_scheme="dark")


async def test_all_of_it_works_by_keyboard(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console")
            page.keyboard.press("Tab")
            expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
            page.keyboard.press("Enter")
            expect(page.locator("#content")).to_be_focused()

        await browse(work)


async def test_the_operators_other_places_open_by_keyboard_one_group_at_a_time(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console")
            team, system = page.locator("details.group", has_text="Users"), page.locator("details.group").last
            rows = page.eval_on_selector_all("#places > ul > li", "all => [...new Set(all.map(one => one.offsetTop))]")
            assert len(rows) == 1, "the navigation takes more than one line"
            team.locator("summary").focus()
            page.keyboard.press("Enter")
            page.get_by_role("link", name="Audit log").wait_for()
            check_accessible(page)
            picture(page, "navigation-open")
            reach(page, page.get_by_role("link", name="Audit log"))
            page.keyboard.press("Escape")
            expect(team).to_have_js_property("open", False)
            expect(team.locator("summary"), "the focus is lost with what had it").to_be_focused()
            page.keyboard.press("Enter")
            expect(team).to_have_js_property("open", True)
            system.locator("summary").click()
            expect(system).to_have_js_property("open", True)
            expect(team, "two groups are open at one time").to_have_js_property("open", False)
            for beside in ("h1", ".version"):  # a click into the content moves the focus, one beside it does not
                page.locator(beside).click()
                expect(system).to_have_js_property("open", False)
                system.locator("summary").click()
                expect(system).to_have_js_property("open", True)

        await browse(work)


async def test_the_navigation_opens_without_a_script(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console")
            page.get_by_text("Team", exact=True).click()
            page.get_by_role("link", name="Users").click()
            page.wait_for_url("**/console/users")

        await browse(work, java_script_enabled=False)


async def test_a_phones_menu_shows_every_place(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console")
            page.get_by_role("button", name="Menu").click()
            for name in ("Requests", "Users", "Settings"):
                page.locator("#places").get_by_role("link", name=name).wait_for()
            check_accessible(page)
            check_fits(page)
            picture(page, "navigation-phone")

        await browse(work, viewport=PHONE)
