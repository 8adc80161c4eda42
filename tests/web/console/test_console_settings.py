"""Settings in the console: all of them, each with where it came from; no secret."""

from __future__ import annotations

from markupsafe import escape
from support.console import browser

from kirotrio.config.options import options
from kirotrio.web.console.languages import CHINESE, catalogue

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


def test_whatever_a_setting_is_counted_in_has_its_chinese():
    missing = {option.unit for option in options().values() if option.unit} - catalogue(CHINESE).keys()
    assert not missing, f"units that settings.py of the console does not name: {sorted(missing)}"


async def test_a_reader_of_chinese_is_told_values_and_sources_in_chinese(stack):
    async with stack() as s:
        s.gateway.origins = {"server.port": "environment KIROTRIO_PORT", "server.host": "command line"}
        someone = browser(s, **{"accept-language": "zh"})
        await someone.set_up("anna")
        page = await someone.open("/console/settings?only=changed")
        assert "环境变量 KIROTRIO_PORT" in page.text
        assert "命令行" in page.text
        assert "command line" not in page.text.replace("The command line", "")
        everything = (await someone.open("/console/settings")).text
        for name, option in options().items():
            assert escape(option.help) not in everything, f"{name}: its help is told in English"
            assert escape(catalogue(CHINESE)[option.help]) in everything, name
        assert (await someone.open("/console/settings?search=监听端口")).text.count('<th scope="row">') == 1
        assert "秒" in (await someone.open("/console/settings?search=deadlines.login")).text
