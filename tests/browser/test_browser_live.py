"""Live parts in a browser: they come back after the gateway was away, say so meanwhile, and end with the sign-in."""

from __future__ import annotations

import threading
from functools import partial

import attrs
import httpx
import trio
from support.chromium import PASSWORD, PATIENCE, browse, check_accessible, check_fits, picture, set_up
from support.looks import check_chinese, with_language
from support.several import kept
from support.stack import KEY, question

from kirotrio.web.console.languages import CHINESE
from kirotrio.web.serving import Stop, serve_gateway

LOST = "[data-lost]"
CONNECTED = "() => document.querySelector('[data-lost]').textContent === ''"


class Restarted:
    """The gateway of a stack, which a browser's thread stops and starts again at the same port."""

    def __init__(self, stack) -> None:
        self.stack = stack
        settings = stack.settings
        self.settings = attrs.evolve(settings, server=attrs.evolve(settings.server, port=stack.port))
        self.stop = stack.stop

    def away(self) -> None:
        trio.from_thread.run(self._away)

    async def _away(self) -> None:
        self.stop.asked.set()
        with trio.fail_after(PATIENCE):
            while await self._answers():  # noqa: ASYNC110 - the other side of a socket has no event
                await trio.sleep(0.05)

    async def _answers(self) -> bool:
        try:
            (await trio.open_tcp_stream("127.0.0.1", self.stack.port)).socket.close()
        except OSError:
            return False
        return True

    def back(self) -> None:
        trio.from_thread.run(self._back)

    async def _back(self) -> None:
        self.stop = Stop()
        log, surroundings = self.stack.log, self.stack.surroundings
        await self.stack.nursery.start(partial(serve_gateway, self.settings, surroundings, log, stop=self.stop))


def ask(url: str) -> None:
    """One answer that runs until it is ended."""
    body = question("[[stall_after=1]]", stream=True)
    with httpx.Client(trust_env=False, timeout=None, headers={"x-api-key": KEY}) as http:
        with http.stream("POST", f"{url}/v1/messages", json=body) as answer:
            for _ in answer.iter_bytes():
                pass


async def test_a_live_part_comes_back_after_the_gateway_was_started_anew(stack):
    async with stack() as s:
        gateway = Restarted(s)

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console/streams")
            page.get_by_text("No answer is running.").wait_for()
            status = page.get_by_role("status").and_(page.locator(LOST))
            assert status.inner_text() == ""
            gateway.away()
            status.get_by_text("Not connected to the gateway. This is how it was at").wait_for()
            check_accessible(page)
            picture(page, "live-not-connected")
            page.set_viewport_size({"width": 390, "height": 740})
            check_fits(page)
            picture(page, "live-not-connected-phone")
            gateway.back()
            page.wait_for_function(CONNECTED)
            asking = threading.Thread(target=ask, args=(s.url,))
            asking.start()
            page.locator("#answers").get_by_text("claude-sonnet-4-5").wait_for()  # nothing was reloaded
            page.get_by_role("button", name="End the answer").click()
            page.get_by_text("The answer was ended.").wait_for()
            asking.join()

        await browse(work)


async def test_a_proxys_errors_while_the_gateway_is_away_are_outlasted(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console")
            page.locator("#now").wait_for()
            tries = []

            def fail(route):
                tries.append(route)
                if len(tries) < 3:
                    route.fulfill(status=502, body="bad gateway")
                else:
                    route.continue_()

            page.route("**/overview/events", fail)
            page.reload()
            page.get_by_text("Not connected to the gateway.").wait_for()
            page.wait_for_function(CONNECTED)
            assert len(tries) == 3

        await browse(work)


async def test_who_signed_out_while_the_gateway_was_away_is_told_so_in_their_language(stack):
    async with stack() as s:
        gateway = Restarted(s)

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console")
            with_language(page, CHINESE)
            page.locator("#now").wait_for()
            gateway.away()
            page.locator(LOST).get_by_text("未连接到网关").wait_for()
            check_chinese(page, known=("anna",))
            page.emulate_media(color_scheme="dark")
            check_accessible(page)
            picture(page, "live-not-connected-dark")
            page.context.clear_cookies()
            gateway.back()
            page.locator(LOST).get_by_text("您在此处的登录已结束").wait_for()
            assert not page.locator("#now").is_visible()
            check_chinese(page, known=("anna",))
            check_accessible(page)
            picture(page, "live-signed-out-dark")

        await browse(work)


_HEARD = """() => {
  const listen = EventSource.prototype.addEventListener;
  window.heard = 0;
  EventSource.prototype.addEventListener = function (name, listener, ...rest) {
    return listen.call(this, name, (event) => {
      listener(event);
      if (name === "step") window.heard += 1;
    }, ...rest);
  };
}"""
"""Has the page count the pieces that have come over a line and were dealt with."""


async def test_a_silent_line_is_made_anew_and_keeps_what_was_entered_and_a_lost_sign_in_is_said(stack):
    async with stack(accounts={"refresh_token": ""}) as s:
        gateway, s.simulator.sign_ins.person.does = Restarted(s), "never"

        def work(page):
            set_up(page, s.url, KEY)
            page.clock.install()
            page.add_init_script(f"({_HEARD})()")
            page.goto(f"{s.url}/console/accounts/sign-in")
            page.get_by_role("radio", name="Google").first.check()
            page.locator("main input[name=address]").first.check()
            page.locator("main").get_by_role("button", name="Sign in", exact=True).click()
            field = page.get_by_label("The address that the browser ended at")
            page.wait_for_function("() => window.heard > 0")  # what comes first is put in
            before = page.evaluate("() => window.heard")
            field.fill("http://localhost:1/half")
            with page.expect_response("**/events") as again:
                page.clock.fast_forward(41_000)
                page.clock.fast_forward(1_500)
            assert again.value.status == 200
            page.wait_for_function("before => window.heard > before", arg=before)
            page.clock.run_for(1_000)
            assert field.input_value() == "http://localhost:1/half", "what is the same is not put in again"
            gateway.away()
            gateway.back()
            page.clock.fast_forward(5_000)
            page.get_by_text("is not known any more").wait_for()
            check_accessible(page)
            picture(page, "live-lost-sign-in")
            page.get_by_role("link", name="To the accounts").click()
            page.wait_for_url("**/console/accounts")

        await browse(work)


async def test_who_signed_out_elsewhere_is_told_so_and_comes_back_to_the_page(stack):
    async with stack([kept("main")]) as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.clock.install()
            page.goto(f"{s.url}/console/accounts?size=10")
            page.get_by_role("table").wait_for()
            other = page.context.new_page()
            other.goto(f"{s.url}/console/me")
            other.get_by_role("button", name="Sign out").click()
            other.wait_for_url("**/sign-in")
            status = page.get_by_role("status")
            status.get_by_text("Your sign-in here has ended").wait_for()
            assert not page.get_by_role("table").is_visible()
            check_accessible(page)
            picture(page, "live-signed-out")
            asked = []
            page.on("request", lambda request: asked.append(request.url))
            page.clock.fast_forward(60_000)
            page.evaluate("() => fetch('/health').then(answer => answer.text())")
            assert asked == [f"{s.url}/health"], "it asks no more"
            status.get_by_role("link", name="Sign in").click()
            page.get_by_label("Name", exact=True).fill("anna")
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/console/accounts?size=10")

        await browse(work)
