"""The overview in a real browser: charts that are drawn, in the colours of the theme, and numbers that are live."""

from __future__ import annotations

import threading
from typing import Any

import httpx
from playwright.sync_api import expect
from support.chromium import PHONE, arrive, browse, check_accessible, check_fits, picture, set_up
from support.looks import check_chinese
from support.past_requests import MODELS, put, some_days
from support.stack import KEY, question

_DRAWN = """() => [...document.querySelectorAll('.chart canvas')].map(canvas => {
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Map();
  for (let at = 0; at < pixels.length; at += 4)
    if (pixels[at + 3] > 200) {
      const colour = pixels.slice(at, at + 3).join();
      colours.set(colour, (colours.get(colour) ?? 0) + 1);
    }
  return [...colours].filter(([colour, count]) => count >= 8).map(([colour]) => colour);
})"""
"""The colours that cover a part of each chart, "red,green,blue"."""
_SERIES = """() => [...document.querySelectorAll('.chart')].map(chart => [...chart.querySelectorAll('.series')]
.filter(one => {
  const cells = [...document.querySelectorAll(`#numbers [data-column="${one.dataset.column}"]`)];
  return cells.some(cell => Number(cell.dataset.value));
}).map(one => {
  const shade = document.createElement('i');
  shade.style.color = getComputedStyle(one).getPropertyValue('--series');
  document.body.append(shade);
  const colour = getComputedStyle(shade).color.match(/\\d+/g).slice(0, 3).join();
  shade.remove();
  return colour;
}))"""
"""The colours of the series of each chart that have more than nothing to show."""
_ALL_DRAWN = f"""every => {{
  const drawn = ({_DRAWN})(), wanted = ({_SERIES})();
  return drawn.length === 5 && wanted.every((colours, at) => {{
    const there = colours.filter(colour => drawn[at].includes(colour)).length;
    return every ? there === colours.length : there > 0;
  }});
}}"""


def check_drawn(page: Any, every: bool = True) -> list[list[str]]:
    """Each chart has the colour of each of its series that has more than nothing to show; these colours.

    Not `every`: of one at least, since two series that agree lie upon one another.
    """
    try:
        page.wait_for_function(_ALL_DRAWN, arg=every)
    except Exception as error:
        found = f"charts have {page.evaluate(_DRAWN)}, their series are {page.evaluate(_SERIES)}"
        raise AssertionError(found) from error
    return list(page.evaluate(_SERIES))


async def filled(s: Any) -> None:
    await s.gateway.people.database.write(lambda link: put(link, *some_days()))


async def test_charts_are_drawn_in_the_colours_of_the_theme(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            seen = []
            for theme in ("Light", "Dark"):
                page.goto(f"{s.url}/console")
                page.get_by_role("button", name=theme).click()
                arrive(page, f'html[data-theme="{theme.lower()}"]')
                for span in ("Last hour", "Last 7 days", "Last 30 days", "Last 24 hours"):
                    page.get_by_role("link", name=span).click()
                    arrive(page, f'.spans a[aria-current]:has-text("{span}")')
                    if page.locator("#numbers").count():
                        colours = check_drawn(page, every=span != "Last hour")
                    check_accessible(page)
                seen.append(colours)
                page.locator(".chart .u-over").first.hover()
                expect(page.locator(".readout").first).to_contain_text("Requests")
                picture(page, f"overview-{theme.lower()}")
                page.get_by_text("The numbers over time").first.click()
                check_accessible(page)
            assert seen[0] != seen[1]

        await filled(s)
        await browse(work)


async def test_the_systems_colours_may_change_while_one_looks(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console")
            before = check_drawn(page)
            page.emulate_media(color_scheme="dark")
            assert check_drawn(page) != before

        await filled(s)
        await browse(work, color_scheme="light")


_WRITTEN = """() => {
  const write = CanvasRenderingContext2D.prototype.fillText;
  window.written = new Set();
  CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
    window.written.add(text);
    return write.call(this, text, ...rest);
  };
}"""
"""Has the page remember what is written on its charts."""


async def test_in_chinese_on_a_phone(stack):
    async with stack() as s:

        def work(page):
            page.add_init_script(f"({_WRITTEN})()")
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console")
            page.get_by_role("button", name="简体中文").click()
            arrive(page, 'html[lang="zh-CN"]')
            for theme in ("浅色", "深色"):
                page.get_by_role("button", name=theme).click()
                arrive(page, f'button[aria-pressed="true"]:has-text("{theme}")')
                check_drawn(page)
                check_accessible(page)
                check_fits(page)
                check_chinese(page, known=("anna", "work", "home", "default", "k-laptop", "k-server", *MODELS))
            picture(page, "overview-chinese-phone")
            written = page.evaluate("() => [...window.written]")
            assert any("万" in text for text in written), f"no axis counts as Chinese does: {written}"
            assert not [text for text in written if text.endswith(("K", "M", "B"))], written
            assert page.locator(".tile strong", has_text="万").count(), "tokens of the day have their Chinese unit"
            page.get_by_text("各时段数据").first.click()
            check_accessible(page)
            check_fits(page)
            page.set_viewport_size({"width": 740, "height": 360})
            check_fits(page)
            check_drawn(page)

        await filled(s)
        await browse(work, viewport=PHONE)


async def test_a_choice_takes_effect_at_once(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console?span=week")
            page.get_by_label("Model", exact=True).select_option("claude-opus-4.5")
            page.wait_for_url("**model=claude-opus-4.5**")
            assert "span=week" in page.url
            expect(page.get_by_label("Model", exact=True)).to_have_value("claude-opus-4.5")

        await filled(s)
        await browse(work)


async def test_one_chooses_without_a_script(stack):
    async with stack() as s:

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console")
            page.get_by_role("link", name="Last 7 days").click()
            page.get_by_label("Model", exact=True).select_option("claude-opus-4.5")
            page.get_by_role("button", name="Show", exact=True).click()
            page.wait_for_url("**model=claude-opus-4.5**")
            assert "span=week" in page.url
            expect(page.get_by_label("Model", exact=True)).to_have_value("claude-opus-4.5")
            page.get_by_text("The numbers over time").first.click()
            page.locator("#numbers").get_by_text("UTC").first.wait_for()
            assert not page.locator(".chart").first.is_visible()
            account = page.locator("table.shares").nth(1).get_by_role("link").first
            name = account.inner_text()
            account.click()
            page.get_by_role("heading", name="Requests").wait_for()
            expect(page.get_by_label("Account", exact=True)).to_have_value(name)
            expect(page.get_by_label("Model", exact=True)).to_have_value("claude-opus-4.5")

        await filled(s)
        await browse(work, java_script_enabled=False)


async def test_what_runs_at_this_moment_is_live(stack):
    async with stack() as s:

        def ask():
            body = question("[[stall_after=1]]", stream=True)
            with httpx.Client(trust_env=False, timeout=None) as http:
                http.post(f"{s.url}/v1/messages", json=body, headers={"x-api-key": KEY})

        def work(page):
            set_up(page, s.url, KEY)
            page.goto(f"{s.url}/console")
            page.get_by_role("heading", name="No request has come yet").wait_for()
            check_accessible(page)
            picture(page, "overview-empty")
            running = page.locator("#now .tile", has_text="Running answers").locator("strong")
            assert running.text_content() == "0"
            asking = threading.Thread(target=ask)
            asking.start()
            page.wait_for_function("() => document.querySelector('#now strong').textContent === '1'")
            check_accessible(page)
            page.locator("#now").get_by_role("link", name="Running answers").click()
            page.get_by_role("button", name="End the answer").click()
            page.get_by_text("The answer was ended.").wait_for()
            asking.join()

        await browse(work)
