"""Running answers in a real browser: one appears while an operator looks, grows, and is ended with a button."""

from __future__ import annotations

import re
import threading

import httpx
from support.chromium import browse, check_accessible, picture, set_up
from support.engines import Place
from support.looks import check_all_ways
from support.stack import KEY, question, running

ENDLESS = 10_000_000
"""Tokens that may come, so that an answer runs until it is ended, however long a browser takes."""


async def test_an_operator_watches_a_live_stream_and_ends_it(stack):
    async with stack() as s:
        got = []

        def ask():
            body = question("[[events=20000 size=40 gap_ms=50]] much", stream=True, max_tokens=ENDLESS)
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
        await s.wait_for_closed_stream()  # nothing more is asked of Kiro


async def test_what_another_gateway_gives_is_watched_and_ended_with_where_it_runs(tmp_path, postgresql):
    place = Place("postgresql", postgresql.migrated_database(), tmp_path / "data")
    async with running(place.data_dir, store={"url": place.url, "look_every": 0.5}) as one:
        other, got = await one.another(), []

        def ask(url, script):
            body = question(script, stream=True, max_tokens=ENDLESS)
            with httpx.Client(trust_env=False, timeout=120, headers={"x-api-key": KEY}) as http:
                got.append(http.post(f"{url}/v1/messages", json=body))

        def work(page):
            set_up(page, other.url, KEY)
            page.goto(f"{other.url}/console/streams")
            page.get_by_text("No answer is running.").wait_for()
            there = threading.Thread(target=ask, args=(one.url, "[[events=40000 size=40 gap_ms=50]] much"))
            here = threading.Thread(target=ask, args=(other.url, "[[first_ms=600000]]"))
            there.start()
            here.start()
            row = page.get_by_role("row").filter(has_text=one.gateway.name)
            row.get_by_text("Answers").wait_for()
            row.get_by_text(re.compile(r"seen \d+ s ago")).wait_for()
            own = page.get_by_role("row").filter(has_text=other.gateway.name)
            own.wait_for()
            assert own.get_by_text("s ago").count() == 0
            page.get_by_text(f"Of the gateways {other.gateway.name}, {one.gateway.name}").wait_for()
            names = ("anna", "claude-sonnet-4-5", "default", "messages", "test", one.gateway.name, other.gateway.name)
            check_all_ways(page, "running-answers-of-two-gateways", known=names)
            row.get_by_role("button", name="End the answer").click()
            page.get_by_text("The answer was ended.").wait_for()
            row.wait_for(state="detached")
            there.join()
            own.get_by_role("button", name="End the answer").click()
            page.get_by_text("No answer is running.").wait_for()
            here.join()

        await browse(work)
        assert "a person has ended this answer" in got[0].text
        assert got[1].status_code == 403
