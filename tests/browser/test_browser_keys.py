"""A key is made in the dialog and used; every page of an operator, in both colours and on a phone."""

from __future__ import annotations

from support.chromium import PHONE, arrive, browse, check_accessible, check_fits, picture, set_up
from support.stack import KEY, question


async def test_a_key_is_made_in_the_dialog_and_works(stack):
    async with stack() as s:
        secrets = []

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console/keys")
            page.get_by_role("button", name="Create a key").click()
            dialog = page.get_by_role("dialog")
            dialog.get_by_label("Name", exact=True).fill("laptop")
            dialog.get_by_label("Only from these networks").fill("no network")
            check_accessible(page)
            dialog.get_by_role("button", name="Create", exact=True).click()
            page.get_by_role("alert").wait_for()  # what was wrong is said in the dialog, which is open
            check_accessible(page)
            picture(page, "key-dialog")
            dialog.get_by_label("Only from these networks").fill("127.0.0.0/8")
            dialog.get_by_label("Day: Requests").fill("1")
            dialog.get_by_role("button", name="Create", exact=True).click()
            page.get_by_role("heading", name="The key laptop is made").wait_for()
            check_accessible(page)
            picture(page, "key-made")
            secrets.append(page.locator("#secret").text_content())
            page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            page.get_by_role("button", name="Copy", exact=True).click()
            page.get_by_role("button", name="Copied").wait_for()
            assert page.evaluate("() => navigator.clipboard.readText()") == secrets[0]
            page.get_by_role("link", name="Go on").click()
            page.get_by_role("link", name="laptop").wait_for()
            assert secrets[0] not in page.content(), "the secret is shown a second time"
            page.get_by_role("link", name="laptop").click()
            arrive(page, 'h1:has-text("laptop")')
            assert secrets[0] not in page.content(), "the secret is shown a second time"
            check_accessible(page)
            picture(page, "key")

        await browse(work)
        async with s.client(headers={"x-api-key": secrets[0]}) as http:
            first = await http.post("/v1/messages", json=question())
            second = await http.post("/v1/messages", json=question())
        assert (first.status_code, second.status_code) == (200, 429)
        assert int(second.headers["retry-after"]) > 0


async def test_every_page_of_an_operator_is_accessible_and_fits_a_phone(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            paths = page.eval_on_selector_all("#places a", "links => links.map(link => link.getAttribute('href'))")
            assert "/console/keys" in paths
            for theme in ("Dark", "Light"):
                page.get_by_role("button", name=theme).click()
                arrive(page, f'html[data-theme="{theme.lower()}"]')
                for path in paths:
                    page.goto(f"{s.url}{path}")
                    check_accessible(page)
                    check_fits(page)
                    picture(page, f"phone-{theme.lower()}-{path.rpartition('/')[2]}")

        await browse(work, viewport=PHONE)
