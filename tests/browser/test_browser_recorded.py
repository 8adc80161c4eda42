"""Recorded bodies in a real browser: opened one by one, with what a stranger wrote in them as text, and downloaded."""

from __future__ import annotations

from pathlib import Path

import httpx
import orjson
import trio
from playwright.sync_api import expect
from support.chromium import (
    PASSWORD,
    PHONE,
    arrive,
    browse,
    check_accessible,
    check_fits,
    picture,
    reload_until,
    set_up,
)
from support.console import let_confirmation_end
from support.stack import KEY, question

SCRIPT = "<script>document.title = 'taken'</script>"


async def test_an_operator_reads_the_bodies_and_downloads_the_recording(stack, tmp_path):
    async with stack(recorder={"requests": 5, "texts": "keep"}) as s:

        def work(page):
            set_up(page, s.url, KEY)
            body = question(f"Say hi {SCRIPT} " + "wide" * 400, stream=True)
            with httpx.Client(trust_env=False, timeout=60) as http:
                answer = http.post(f"{s.url}/v1/messages", json=body, headers={"x-api-key": KEY})
            name = answer.headers["request-id"]
            here = f"{s.url}/console/requests/{name}"
            page.goto(here)
            reload_until(page, page.get_by_text("What the client sent"))  # written from beside
            assert not page.locator("details[open]").count(), "what was said is not shown before it is asked for"
            check_accessible(page)
            for summary in page.locator("details.body summary").all():
                summary.focus()
                page.keyboard.press("Enter")
            expect(page.locator("details.body[open]")).to_have_count(4)
            page.get_by_role("group", name="What the client sent").get_by_text("document.title").wait_for()
            assert "taken" not in page.title()
            check_accessible(page)
            check_fits(page)
            picture(page, "request-with-bodies")
            page.get_by_role("button", name="Dark").click()
            arrive(page, 'html[data-theme="dark"]')
            _open(page)
            check_accessible(page)
            picture(page, "request-with-bodies-dark")
            page.get_by_role("button", name="简体中文").click()
            arrive(page, 'html[lang="zh-CN"]')
            _open(page)
            page.get_by_text("客户端发送的内容").first.wait_for()
            check_accessible(page)
            picture(page, "request-with-bodies-chinese")
            page.set_viewport_size(PHONE)
            check_fits(page)
            check_accessible(page)
            picture(page, "request-with-bodies-phone")
            trio.from_thread.run(let_confirmation_end, s)
            page.get_by_role("button", name="下载录制").click()
            page.wait_for_url("**/console/confirm?**")  # what was said is given to who gives the password again
            page.get_by_label("密码").fill(PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url(here)
            with page.expect_download() as arriving:
                page.get_by_role("button", name="下载录制").click()
            assert arriving.value.suggested_filename == f"{name}.json"
            taken = tmp_path / "taken.json"
            arriving.value.save_as(taken)
            assert orjson.loads(Path(taken).read_bytes())["id"] == name
            assert page.url == here, "a download leaves the page as it is"

        await browse(work, accept_downloads=True)


async def test_a_page_without_a_recording_says_how_to_switch_it_on(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            with httpx.Client(trust_env=False, timeout=60) as http:
                answer = http.post(f"{s.url}/v1/messages", json=question(), headers={"x-api-key": KEY})
            page.goto(f"{s.url}/console/requests/{answer.headers['request-id']}")
            reload_until(page, page.get_by_text("Recording is off"))
            check_accessible(page)
            page.set_viewport_size(PHONE)
            check_fits(page)
            picture(page, "request-without-recording-phone")

        await browse(work)


def _open(page):
    page.evaluate("() => { for (const one of document.querySelectorAll('details.body')) one.open = true; }")
