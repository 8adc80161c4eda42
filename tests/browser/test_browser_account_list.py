"""The accounts in a real browser: the list, one account, what removing says; both colours, a phone, Chinese."""

from __future__ import annotations

from support.chromium import PHONE, arrive, browse, check_accessible, check_fits, picture, set_up
from support.several import kept
from support.stack import KEY, question

LOOKS = (("en", "Light"), ("en", "Dark"), ("zh-CN", "Dark"))


async def _looked_at(stack, name: str, **context) -> None:
    accounts = [kept("main"), kept("spare", row={"enabled": False, "email": "<script>alert(1)</script>@example.org"})]
    async with stack(accounts, relay={"attempts": 1}) as s, s.client() as http:
        await http.post("/v1/messages", json=question("[[status=TEMPORARILY_SUSPENDED]] x"))
        member = s.member("main")
        await s.gateway.accounts.usage.refresh("main", member.account.credentials)

        def work(page):
            set_up(page, s.url, KEY)
            for language, theme in LOOKS:
                page.goto(f"{s.url}/console/accounts")
                page.locator(f'button[name="language"][value="{language}"]').click()
                page.locator(f'button[name="theme"][value="{theme.lower()}"]').click()
                arrive(page, f'html[lang="{language}"][data-theme="{theme.lower()}"]')
                for place in ("", f"/{member.key}", f"/{member.key}/remove"):
                    page.goto(f"{s.url}/console/accounts{place}")
                    check_accessible(page)
                    check_fits(page)
                    what = "remove" if place.endswith("remove") else "one" if place else "list"
                    picture(page, f"accounts-{name}-{language}-{theme.lower()}-{what}")

        await browse(work, **context)


async def test_the_pages_of_accounts_are_accessible(stack):
    await _looked_at(stack, "desk")


async def test_the_pages_of_accounts_fit_a_phone(stack):
    await _looked_at(stack, "phone", viewport=PHONE)
