"""From a fresh machine to a stream that is watched and ended; and into a budget. Clients are the real SDK."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import anthropic
import pytest
from support.chromium import browse, check_accessible, picture, reload_until, set_up
from support.looks import WAYS, check_all_ways
from support.stack import KEY, question

from kirotrio.simulator import DEMO_REFRESH_TOKEN

# The SDK leaves its own generators unexhausted when a stream ends in an error.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the SDK's, of the model
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SO_FAR = 'td[data-label="Tokens so far"]'


def client(url, key):
    return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)


async def test_from_a_fresh_machine_to_a_stream_that_is_ended(stack):
    async with stack(accounts={"refresh_token": ""}) as s:
        ended = []

        def work(page):
            set_up(page, s.url, KEY)
            check_all_ways(page, "setup-account", known=(*WAYS, "anna"))
            page.get_by_role("button", name="Import accounts").click()
            dialog = page.get_by_role("dialog")
            dialog.get_by_label("JSON with accounts").fill(json.dumps([{"refreshToken": DEMO_REFRESH_TOKEN}]))
            check_accessible(page)
            picture(page, "journey-import")
            dialog.get_by_role("button", name="Show what would be imported").click()
            page.get_by_role("button", name="Import them").click()
            page.get_by_text("The import is done.").wait_for()
            check_accessible(page)
            picture(page, "journey-imported")
            page.get_by_role("link", name="Go on").click()
            page.get_by_role("heading", name="Make a key").wait_for()
            check_all_ways(page, "setup-key", known=("claude-code", "anna"))
            page.get_by_label("Name", exact=True).fill("laptop")
            page.get_by_role("button", name="Make the key").click()
            secret = page.locator("#secret").text_content()
            check_all_ways(page, "setup-key-made", chinese=False)
            page.get_by_role("link", name="Go on").click()
            page.get_by_role("heading", name="Overview").wait_for()
            with client(s.url, secret) as sdk:
                assert sdk.messages.create(**question("hello")).content[0].text
            page.goto(f"{s.url}/console/requests")
            row = page.locator("tbody tr", has_text="laptop")
            reload_until(page, row)
            assert "claude-sonnet-4-5" in row.inner_text()
            page.goto(f"{s.url}/console/streams")
            page.get_by_text("No answer is running.").wait_for()

            def watch():
                with client(s.url, secret) as sdk:
                    try:
                        with sdk.messages.stream(
                            **question("[[events=20000 size=40 gap_ms=40]] much", max_tokens=10_000_000)
                        ) as stream:
                            stream.until_done()
                    except anthropic.APIError as error:
                        ended.append(str(error))

            watching = threading.Thread(target=watch)
            watching.start()
            row = page.locator("tbody tr", has_text="laptop")
            row.wait_for()
            page.wait_for_function(
                "cell => Number(document.querySelector(cell).textContent.replaceAll(',', '')) > 20", arg=SO_FAR
            )
            picture(page, "journey-stream")
            page.get_by_role("button", name="End the answer").click()
            page.get_by_text("The answer was ended.").wait_for()
            page.get_by_text("No answer is running.").wait_for()
            watching.join()

        await browse(work)
        assert "a person has ended this answer" in ended[0]


async def test_a_budget_is_run_into_and_the_console_shows_until_when(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console/keys")
            page.get_by_role("button", name="Create a key").click()
            dialog = page.get_by_role("dialog")
            dialog.get_by_label("Name", exact=True).fill("narrow")
            dialog.get_by_label("Day: Requests").fill("2")
            dialog.get_by_role("button", name="Create", exact=True).click()
            secret = page.locator("#secret").text_content()
            with client(s.url, secret) as sdk:
                for _ in range(2):
                    sdk.messages.create(**question())
                with pytest.raises(anthropic.RateLimitError) as refused:
                    sdk.messages.create(**question())
            wait = int(refused.value.response.headers["retry-after"])
            page.goto(f"{s.url}/console/keys")
            check_all_ways(page, "keys", known=("anna", "narrow", "claude-*"))
            page.get_by_role("link", name="narrow").click()
            used = page.get_by_role("progressbar", name="Requests")
            assert [used.get_attribute("value"), used.get_attribute("max")] == ["2", "2"]
            page.get_by_text("Used up").wait_for()
            ends = datetime.fromisoformat(page.locator("h3 time").get_attribute("datetime"))
            assert ends.time() == datetime.min.time(), "a day ends at midnight, UTC"
            assert abs(ends - datetime.now(UTC) - timedelta(seconds=wait)) < timedelta(minutes=5)
            check_all_ways(page, "key-used-up", known=("anna", "narrow", "claude-*"))

        await browse(work)
