"""The console by keyboard alone, and without a script."""

from __future__ import annotations

from playwright.sync_api import expect
from support.chromium import PASSWORD, PHONE, arrive, browse, picture, set_up
from support.looks import check_focus_is_seen, reach
from support.stack import KEY, question


async def test_a_dialog_opens_and_closes_by_keyboard_and_gives_the_focus_back(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console/keys")
            opener = page.get_by_role("button", name="Create a key")
            dialog = page.get_by_role("dialog")
            reach(page, opener)
            for closing in ("Escape", "Enter"):
                page.keyboard.press("Enter")
                dialog.wait_for()
                assert page.evaluate("() => document.activeElement.closest('dialog') !== null")
                check_focus_is_seen(page)
                if closing == "Enter":
                    reach(page, dialog.get_by_role("button", name="Cancel"))
                page.keyboard.press(closing)
                dialog.wait_for(state="hidden")
                expect(opener, f"after {closing} the focus is elsewhere").to_be_focused()
                check_focus_is_seen(page)
            page.keyboard.press("Enter")
            dialog.wait_for()
            page.keyboard.type("by hand")
            reach(page, dialog.get_by_label("Only from these networks"))
            page.keyboard.type("no network")
            reach(page, dialog.get_by_role("button", name="Create", exact=True))
            page.keyboard.press("Enter")
            page.get_by_role("alert").wait_for()
            # It is open by itself now; the focus still has a place to go back to.
            page.keyboard.press("Escape")
            dialog.wait_for(state="hidden")
            expect(opener, "after a dialog that began open the focus is nowhere").to_be_focused()

        await browse(work)


async def test_a_phones_menu_opens_and_closes_by_keyboard(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console")
            menu = page.get_by_role("button", name="Menu")
            reach(page, menu)
            page.keyboard.press("Enter")
            expect(menu).to_have_attribute("aria-expanded", "true")
            reach(page, page.locator("#places").get_by_role("link", name="Keys"))
            page.keyboard.press("Escape")
            expect(menu).to_have_attribute("aria-expanded", "false")
            expect(menu, "the focus is elsewhere than it was").to_be_focused()
            page.keyboard.press("Enter")
            reach(page, page.locator("#places").get_by_role("link", name="Keys"))
            page.keyboard.press("Enter")
            page.get_by_role("heading", name="Keys").wait_for()

        await browse(work, viewport=PHONE)


def check_hidden(page):
    """What does nothing without a script is not shown."""
    needing = page.locator("[data-needs-script], [data-closes], [data-copies], [data-opens]").all()
    assert needing, "the page has nothing to hide, which proves nothing"
    for one in needing:
        expect(one, f"{one.text_content()} does nothing without a script").to_be_hidden()


async def test_setup_sign_in_and_a_key_work_without_a_script(stack):
    async with stack() as s:
        secrets = []

        def work(page):
            set_up(page, s.url, KEY)
            picture(page, "no-script-account")
            page.goto(f"{s.url}/console")
            page.get_by_role("button", name="Sign out").click()
            page.get_by_label("Name", exact=True).fill("anna")
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("heading", name="Overview").wait_for()
            page.locator("#places").get_by_role("link", name="Keys").click()
            picture(page, "no-script-keys")
            page.get_by_label("Name", exact=True).fill("plain")
            page.get_by_role("button", name="Create", exact=True).click()
            secrets.append(page.locator("#secret").text_content())
            check_hidden(page)
            page.get_by_role("link", name="Go on").click()
            page.get_by_role("link", name="plain").wait_for()
            page.get_by_role("button", name="Dark").click()
            arrive(page, 'html[data-theme="dark"]')
            check_hidden(page)

        await browse(work, java_script_enabled=False)
        async with s.client(headers={"x-api-key": secrets[0]}) as http:
            assert (await http.post("/v1/messages", json=question())).status_code == 200
