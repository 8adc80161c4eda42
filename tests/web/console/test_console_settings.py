"""Settings in the console: all of them, each with where it came from; no secret."""

from __future__ import annotations

from support.console import browser

from kirotrio.config.options import options

SECRET = "a-refresh-token-nobody-may-see"


async def test_every_setting_is_shown_and_no_secret_is(stack):
    async with stack(accounts={"api_key": SECRET, "refresh_token": ""}) as s:
        s.gateway.origins = {"accounts.api_key": "environment KIROTRIO_ACCOUNTS_API_KEY", "server.port": "command line"}
        someone = browser(s)
        await someone.set_up("anna")
        page = await someone.open("/console/settings")
        for name, option in options().items():
            assert f"<code>{name}</code>" in page.text
            assert option.variable in page.text
        assert SECRET not in page.text
        assert "set, and not shown" in page.text
        assert "environment KIROTRIO_ACCOUNTS_API_KEY" in page.text
        few = await someone.open("/console/settings?only=changed")
        assert few.text.count("<th scope=row") + few.text.count('<th scope="row">') == 2
        one = await someone.open("/console/settings?search=SERVER.PORT")
        assert one.text.count('<th scope="row">') == 1
        none = await someone.open("/console/settings?search=<script>alert(1)</script>")
        assert "<script>alert" not in none.text
