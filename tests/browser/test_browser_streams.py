"""Running answers in a real browser: one appears while an operator looks, grows, and is ended with a button."""

from __future__ import annotations

import threading

import httpx
from support.chromium import browse, check_accessible, picture, set_up
from support.stack import KEY, question


async def test_an_operator_watches_a_live_stream_and_ends_it(stack):
    async with stack() as s:
        got = []

        def ask():
            body = question("[[events=400 size=40 gap_ms=50]] much", stream=True)
            with httpx.Client(trust_env=False, timeout=60) as http:
                got.append(http.post(f"{s.url}/v1/messages", json=body, headers={"x-api-key": KEY}))

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console/streams")
            page.get_by_text("No answer is running.").wait_for()
            check_accessible(page)
            asking = threading.Thread(target=ask)
            asking.start()
            page.get_by_text("claude-sonnet-4-5").wait_for()
            tokens = page.locator('td[data-label="Tokens so far"]')
            before = int(tokens.inner_text().replace(",", ""))
            page.wait_for_function(
                "least => Number(document.querySelector('td[data-label=\"Tokens so far\"]').textContent"
                ".replaceAll(',', '')) > least",
                arg=before,
            )
            check_accessible(page)
            picture(page, "running-answers")
            page.get_by_role("button", name="End the answer").click()
            page.get_by_text("The answer was ended.").wait_for()
            page.get_by_text("No answer is running.").wait_for()
            asking.join()

        await browse(work)
        assert "a person has ended this answer" in got[0].text
