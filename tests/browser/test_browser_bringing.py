"""Bringing accounts in a real browser: a sign-in with a code and an import, each from the dialog to the account that
answers a request."""

from __future__ import annotations

import json

from playwright.sync_api import expect
from support.chromium import browse, check_accessible, check_fits, picture, set_up
from support.looks import check_all_ways
from support.several import kept, subscribed
from support.stack import KEY, question


async def test_the_setup_signs_in_with_a_code_while_one_looks_on(stack):
    async with stack(accounts={"refresh_token": ""}) as s, s.client() as http:
        person, s.simulator.sign_ins.interval = s.simulator.sign_ins.person, 0.2
        person.does, person.polls = "never", 0

        def work(page):
            set_up(page, s.url, KEY)
            page.get_by_role("button", name="Sign in to Kiro").click()
            dialog = page.get_by_role("dialog")
            dialog.get_by_label("AWS IAM Identity Center").check()
            dialog.get_by_label("Start URL of the access portal").wait_for()
            check_accessible(page)
            picture(page, "bring-sign-in-ways")
            dialog.get_by_label("AWS Builder ID").check()
            expect(dialog.get_by_label("Start URL of the access portal")).to_be_hidden()
            dialog.get_by_label("Name", exact=True).fill("work")
            dialog.get_by_role("button", name="Sign in").click()
            page.locator("#user-code").wait_for()
            check_all_ways(page, "bring-code", known=("anna",))
            person.does = "agree"
            page.get_by_text("Signed in: work").wait_for()  # by itself: nothing was reloaded
            check_accessible(page)
            picture(page, "bring-done")
            page.get_by_role("link", name="Go on").click()
            page.wait_for_url("**/console/setup/key")

        await browse(work)
        assert (await http.post("/v1/messages", json=question())).status_code == 200
        assert s.member("work").record.kind == "builder-id"


async def test_an_import_is_looked_at_and_taken(stack, tmp_path):
    async with stack([kept("main")]) as s, s.client() as http:
        account = subscribed("fresh", email="fresh@example.com", user_id="fresh")
        s.simulator.book.accounts.append(account)
        person, s.simulator.sign_ins.interval = s.simulator.sign_ins.person, 0.2
        person.email, person.user_id = "fresh@example.com", "fresh"
        grant = s.simulator.book.grant(account)
        entry = {"refreshToken": grant.refresh_token, "authMethod": "social", "provider": "Google"}
        odd = {"refreshToken": "short", "label": "<script>alert(1)</script>"}
        file = tmp_path / "accounts.json"
        file.write_text(json.dumps([entry, odd]))

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console/accounts")
            page.get_by_role("button", name="Import accounts").click()
            dialog = page.get_by_role("dialog")
            check_accessible(page)
            picture(page, "bring-import-dialog")
            dialog.get_by_label("or a file with it").set_input_files(file)
            dialog.get_by_role("button", name="Show what would be imported").click()
            page.get_by_text("nothing has been changed yet").wait_for()
            check_all_ways(page, "bring-preview", known=("anna", "Google", "GitHub"))
            beside = page.context.new_page()
            beside.goto(f"{s.url}/console/accounts")
            expect(beside.get_by_role("link", name="main", exact=True)).to_be_visible()
            expect(beside.get_by_role("link", name="fresh", exact=True), "it was not to be taken yet").to_have_count(0)
            beside.close()
            page.get_by_role("button", name="Import them").click()
            page.get_by_text("The import is done.").wait_for()
            check_accessible(page)
            picture(page, "bring-imported")
            page.get_by_role("link", name="To the accounts").click()
            page.get_by_role("link", name="fresh", exact=True).click()
            page.get_by_role("link", name="Sign in anew: fresh").click()
            page.get_by_role("heading", name="Sign fresh in anew").wait_for()
            check_all_ways(page, "bring-again", known=("anna", "fresh", "Google", "GitHub"))
            page.locator("main").get_by_role("button", name="Sign in", exact=True).click()
            page.get_by_text("Signed in anew: fresh").wait_for()

        await browse(work)
        assert (await http.post("/a/fresh/v1/messages", json=question())).status_code == 200


async def test_the_forms_in_every_way_a_page_is_looked_at(stack):
    async with stack([kept("main")]) as s:

        def work(page):
            set_up(page, s.url, KEY)
            makers = ("Google", "GitHub", "AWS", "IAM Identity Center", "Builder ID", "Microsoft Entra")
            examples = (
                '{"refreshToken": "…"}',
                "example.com",
                "https://d-1234567890.awsapps.com/start",
                "ksk_…",
                "us-east-1",
            )
            names = (*makers, *examples, "anna", "Kiro IDE", "kiro-cli")
            for path in ("sign-in", "import"):
                page.goto(f"{s.url}/console/accounts/{path}")
                check_all_ways(page, f"bring-{path}", known=names)
                check_fits(page)

        await browse(work)
