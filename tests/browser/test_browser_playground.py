"""The playground in a real browser, through the public APIs: all four ways, stopping, refusals, strange answers."""

from __future__ import annotations

import pytest
from support.chromium import browse, set_up
from support.stack import KEY

PAGE = "/console/playground"
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
WAYS = {
    "messages": "/v1/messages",
    "buffered": "/cc/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)


def go(page, url):
    set_up(page, url, KEY)
    page.goto(f"{url}{PAGE}")


def ask(page, message, *, way="messages", thinking=False, stream=True, tool=False):
    page.get_by_label("API").select_option(way)
    page.get_by_label("Your message").fill(message)
    page.get_by_label("Thinking").set_checked(thinking)
    page.get_by_label("Stream").set_checked(stream)
    page.get_by_label("Offer a tool").set_checked(tool)
    page.get_by_role("button", name="Send").click()


def over(page, sentence="The answer is complete."):
    page.wait_for_function("said => document.getElementById('progress').textContent === said", arg=sentence)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("way", WAYS)
async def test_text_thinking_and_tool_calls_are_shown_apart_whatever_the_api(stack, way, stream):
    async with stack() as s:

        def work(page):
            go(page, s.url)
            paths = []
            page.on("request", lambda request: paths.append(request.url.removeprefix(s.url)))
            ask(page, '[[think=native text="a dry answer"]] x', way=way, thinking=True, stream=stream)
            over(page)
            assert page.locator("#text").inner_text() == "a dry answer"
            assert page.locator("#thinking-text").inner_text()
            assert "a dry answer" not in page.locator("#thinking-text").inner_text()
            assert page.locator("#status").inner_text() == "200"
            assert float(page.locator("#first").inner_text()) <= float(page.locator("#seconds").inner_text())
            for number in ("#usage-input", "#usage-output"):
                assert int(page.locator(number).inner_text().replace(",", "")) > 0
            page.get_by_text("What came, as it came").click()
            assert page.locator("#raw").inner_text().startswith(("event:", "data:") if stream else "{")
            ask(page, '[[scenario=tools tool=get_weather input={"city":"Bern"}]] x', way=way, stream=stream, tool=True)
            over(page)
            assert page.locator(".call code").inner_text() == "get_weather"
            assert "Bern" in page.locator(".call pre").inner_text()
            assert [path for path in paths if path.startswith(("/v1", "/cc"))] == [WAYS[way]] * 2
            assert paths.count(f"{PAGE}/key") == 1, "one key is enough for both"

        await browse(work)
