"""The playground in a real browser, through the public APIs: all four ways, stopping, refusals, strange answers."""

from __future__ import annotations

import base64
import json
import os

import pytest
import trio
from playwright.sync_api import expect
from support.chromium import arrive, browse, check_accessible, check_fits, picture, reload_until, set_up
from support.stack import KEY

PAGE = "/console/playground"
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
ENDLESS = "[[events=20000 gap_ms=50]] x"
"""Runs until it is ended, however long a browser takes, where as many tokens may come."""
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


def ask(page, message, *, way="messages", thinking=False, stream=True, tool=False, most=4096):
    page.get_by_label("Most tokens").fill(str(most))
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
            expect(page.locator("#raw")).to_be_visible()
            assert page.locator("#raw").text_content().startswith(("event:", "data:") if stream else "{")
            ask(page, '[[scenario=tools tool=get_weather input={"city":"Bern"}]] x', way=way, stream=stream, tool=True)
            over(page)
            assert page.locator(".call code").inner_text() == "get_weather"
            assert "Bern" in page.locator(".call pre").inner_text()
            assert [path for path in paths if path.startswith(("/v1", "/cc"))] == [WAYS[way]] * 2
            assert paths.count(f"{PAGE}/key") == 1, "one key is enough for both"

        await browse(work)


async def test_stop_leaves_at_once_and_the_upstream_is_left_with_it(stack):
    async with stack() as s:

        def work(page):
            go(page, s.url)
            ask(page, ENDLESS, most=10_000_000)
            page.wait_for_function("() => document.getElementById('text').textContent.length > 5")
            assert page.get_by_role("button", name="Send").is_disabled()
            page.get_by_role("button", name="Stop").click()
            over(page, "Stopped. Nothing more is asked of Kiro.")
            said = page.locator("#text").inner_text()
            assert said, "what had come stays"
            assert page.locator("#problem").is_hidden(), "to stop is no failure"
            assert page.get_by_role("button", name="Send").is_enabled()
            trio.from_thread.run(s.wait_for_closed_stream)  # while the page is there: a browser that ends leaves, too

        await browse(work)


async def test_whoever_leaves_the_page_leaves_the_upstream(stack):
    async with stack() as s:

        def work(page):
            go(page, s.url)
            ask(page, ENDLESS, way="responses", most=10_000_000)
            page.wait_for_function("() => document.getElementById('text').textContent.length > 5")
            page.goto(f"{s.url}/console/me")
            trio.from_thread.run(s.wait_for_closed_stream)

        await browse(work)


@pytest.mark.parametrize("way", WAYS)
async def test_a_refusal_and_a_broken_answer_are_told_in_a_sentence(stack, way):
    async with stack(relay={"begin_after": 600.0}) as s:

        def work(page):
            go(page, s.url)
            ask(page, "[[status=MALFORMED]] x", way=way)
            over(page, "There was no complete answer.")
            status, refused = page.locator("#status").inner_text(), page.get_by_role("alert").inner_text()
            assert refused.endswith(f"(status {status})")
            assert len(refused) > 40
            assert "{" not in refused
            ask(page, "[[events=50 gap_ms=20 cut_after=20]] x", way="messages" if way == "buffered" else way)
            over(page, "There was no complete answer.")
            assert len(page.get_by_role("alert").inner_text()) > 20
            assert page.locator("#text").inner_text(), "what had come before stays"
            ask(page, "x", way=way)
            over(page)
            assert page.locator("#problem").is_hidden(), "an earlier problem is none of this answer's"

        await browse(work)


async def test_a_stream_that_just_ends_is_told_as_broken_and_what_had_come_stays(stack):
    async with stack() as s:
        piece = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "half of it"}}

        def work(page):
            go(page, s.url)
            half = f"event: content_block_delta\ndata: {json.dumps(piece)}\n\n"
            page.route(
                "**/v1/messages",
                lambda route: route.fulfill(status=200, content_type="text/event-stream", body=half),
            )
            ask(page, "x")
            over(page, "There was no complete answer.")
            assert page.get_by_role("alert").inner_text()
            assert page.locator("#text").inner_text() == "half of it"

        await browse(work)


async def test_markup_in_an_answer_and_an_error_is_shown_as_text(stack):
    async with stack() as s:

        def work(page):
            go(page, s.url)
            for way in WAYS:
                for stream in (True, False):
                    ask(page, f"[[text={json.dumps(SCRIPT)}]] x", way=way, stream=stream)
                    over(page)
                    assert page.locator("#text").inner_text() == SCRIPT
                    call = json.dumps({"city": SCRIPT})
                    ask(page, f"[[scenario=tools tool=get_weather input={call}]] x", way=way, stream=stream, tool=True)
                    over(page)
                    assert SCRIPT in page.locator(".call pre").inner_text()
            page.evaluate("name => document.getElementById('model').options[0].value = name", SCRIPT)
            page.get_by_label("Model").select_option(SCRIPT)
            ask(page, SCRIPT)
            over(page, "There was no complete answer.")
            assert SCRIPT in page.get_by_role("alert").inner_text()
            page.get_by_text("The same request with curl").click()
            expect(page.locator("#curl")).to_contain_text(SCRIPT)  # it is written after the element has opened
            assert not page.locator("main script, main img[src=x]").count()

        await browse(work)


async def test_the_lines_for_curl_ask_for_the_very_same(stack, tmp_path):
    image = tmp_path / "pixel.png"
    image.write_bytes(PIXEL)
    async with stack() as s:
        lines, sent = {}, {}

        def work(page):
            go(page, s.url)
            page.on("request", lambda request: sent.update({request.url: (request.post_data, request.headers)}))
            page.get_by_label("Image").set_input_files(image)
            page.get_by_role("img", name="The image that is sent").wait_for()
            page.get_by_text("The same request with curl").click()
            for way in WAYS:
                ask(page, 'it\'s "$HOME" `id` \\ \nEOF\n', way=way, thinking=True, tool=True)
                over(page)
                lines[way] = page.locator("#curl").text_content()

        await browse(work)
        secret = sent[f"{s.url}/v1/messages"][1]["x-api-key"]
        for way, text in lines.items():
            assert secret not in text, "the page's own key is never shown"
            before = len(await s.sent())
            done = await trio.run_process(
                ["bash", "-c", text], env={"KIROTRIO_KEY": KEY, "PATH": os.environ["PATH"], "NO_PROXY": "*"},
                capture_stdout=True, capture_stderr=True,
            )  # fmt: skip
            assert b"data:" in done.stdout, done.stdout[:500]
            body = text[text.index("<<'EOF'\n") + 8 : text.rindex("\nEOF")]
            assert body == sent[s.url + WAYS[way]][0]
            assert base64.b64encode(PIXEL).decode() in body
            assert len(await s.sent()) == before + 1


async def test_who_has_signed_out_elsewhere_is_told_so(stack):
    async with stack() as s:

        def work(page):
            go(page, s.url)
            ask(page, "x")
            over(page)
            other = page.context.new_page()
            other.goto(f"{s.url}/console/me")
            other.get_by_role("button", name="Sign out").click()
            other.get_by_text("You are signed out.").wait_for()
            ask(page, "x")
            over(page, "There was no complete answer.")
            assert "sign in again (status 401)" in page.get_by_role("alert").inner_text()
            ask(page, "x")
            over(page, "There was no complete answer.")
            page.get_by_text("You are signed out; load this page again and sign in.").wait_for()

        await browse(work)


async def test_the_request_leads_to_its_page_which_names_the_playground(stack):
    async with stack() as s:

        def work(page):
            go(page, s.url)
            ask(page, "x")
            over(page)
            page.locator("#request").click()
            page.wait_for_url("**/console/requests/**")
            reload_until(page, page.get_by_text("playground (anna)"))  # it is written a second later, with others

        await browse(work)


async def test_without_a_script_the_page_says_that_it_needs_one(stack):
    async with stack() as s:

        def work(page):
            go(page, s.url)
            assert page.locator("noscript p").is_visible()
            assert page.locator("noscript p").inner_text().startswith("The playground needs a script")
            assert page.locator("#send").is_hidden()

        await browse(work, java_script_enabled=False)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_it_is_accessible_fits_a_phone_and_speaks_chinese(stack, theme):
    async with stack() as s:

        def work(page):
            go(page, s.url)
            check_accessible(page)
            said = json.dumps("A first line.\n\n" + "word " * 120 + "x" * 300)
            call = '[[think=native scenario=tools tool=get_weather input={"city":"Bern"}]] x'
            for width, name in ((1280, "desk"), (390, "phone")):
                page.set_viewport_size({"width": width, "height": 860})
                ask(page, f"[[think=native text={said}]] x", thinking=True)
                over(page)
                page.get_by_text("What came, as it came").click()
                page.get_by_text("The same request with curl").click()
                check_accessible(page)
                check_fits(page)
                picture(page, f"playground-{name}-{theme}")
                ask(page, call, thinking=True, tool=True)
                over(page)
                check_accessible(page)
                check_fits(page)
                page.reload()
            ask(page, "[[status=MALFORMED]] x")
            over(page, "There was no complete answer.")
            check_accessible(page)
            page.get_by_role("button", name="简体中文").click()
            arrive(page, 'html[lang="zh-CN"]')
            page.get_by_label("您的消息").fill("x")
            page.get_by_role("button", name="发送").click()
            over(page, "回答完毕。")
            check_accessible(page)
            check_fits(page)
            picture(page, f"playground-chinese-{theme}")

        await browse(work, color_scheme=theme)
