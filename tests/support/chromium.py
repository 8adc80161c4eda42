"""A real browser for tests: Debian's Chromium, driven in a thread of its own beside a gateway that runs in Trio.

What Playwright does is blocking and wants an event loop to itself, so that a test's browser part is a plain function,
run by `trio.to_thread`. What every page has to be is in `support.looks`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

AXE = Path(__file__).parent.parent / "browser/vendor/axe/axe.min.js"
SCREENSHOTS = Path(os.environ.get("KIROTRIO_SCREENSHOTS") or Path(__file__).parents[2] / "build/screenshots")
"""Where pictures are kept: another folder by KIROTRIO_SCREENSHOTS."""
CHROMIUM = os.environ.get("KIROTRIO_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 860}
PASSWORD = "a long pass phrase"
PATIENCE = 60
"""Seconds that are waited for what has to come: a machine may be slow, and what is there costs no wait."""
LATER = int(os.environ.get("KIROTRIO_BROWSER_LATER") or 0)
"""Milliseconds by which all comes later that a browser promises for later, by KIROTRIO_BROWSER_LATER: with 300, a test
that reads without waiting fails at every run, and not at one in hundreds (`later.js`)."""
_LATER = Path(__file__).with_name("later.js")
_OPTIONS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-dev-shm-usage",
]


async def browse(work: Callable[[Page], None], **context: Any) -> None:
    """Run `work` with a page of a fresh browser. Afterwards no page may have had anything forbidden by its policy."""
    await trio.to_thread.run_sync(_browse, work, context)


def _browse(work: Callable[[Page], None], context: dict[str, Any]) -> None:
    with opened(**context) as page:
        work(page)


@contextmanager
def opened(**context: Any) -> Iterator[Page]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_OPTIONS)
        try:
            with _visitor(browser, context) as page:
                yield page
        finally:
            browser.close()


@contextmanager
def somebody_else(page: Page, **context: Any) -> Iterator[Page]:
    """Another person beside this one: no cookie is shared."""
    browser = page.context.browser
    assert browser is not None
    with _visitor(browser, context) as other:
        yield other


@contextmanager
def _visitor(browser: Browser, options: dict[str, Any]) -> Iterator[Page]:
    context = browser.new_context(**{"viewport": DESK, "locale": "en", "reduced_motion": "reduce", **options})
    if LATER:
        context.add_init_script(f"({_LATER.read_text()})({LATER});")
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    try:
        # The tests' own script (axe) is not of our pages, whose policy would forbid it: it comes by the debugger.
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        if LATER:
            slow = {"offline": False, "latency": LATER, "downloadThroughput": -1, "uploadThroughput": -1}
            context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
        yield page
    finally:
        context.close()
    # A status like 401 is what some tests ask for.
    assert not [said for said in complaints if "Failed to load resource" not in said], complaints


def picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


_NAMELESS = """() => [
  ...[...document.querySelectorAll("label[for]")].filter(one => !one.control),
  ...[...document.querySelectorAll("input:not([type=hidden]), select, textarea, meter, progress")].filter(one =>
    !one.closest("[aria-hidden=true]") && !one.labels.length
    && !["aria-label", "aria-labelledby"].some(name => one.getAttribute(name))),
].map(one => `without a name: ${one.outerHTML.slice(0, 200)}`)"""
"""Labels of nothing, and fields and bars without one. axe takes an example in a field for its name, and asks none of
a bar."""


def check_accessible(page: Page, *only: str) -> None:
    """Fails where axe-core finds anything serious or critical, or two landmarks of one name: by all its rules, or by
    those that are named. By all of them, too, where a field or a bar has no name of its own."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text() + ";0")
    options: dict[str, Any] = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
    if only:
        options["runOnly"] = list(only)
    found = page.evaluate("options => axe.run(document, options)", options)
    grave = [
        f"{one['id']} ({one['impact']}): {one['help']}: {[node['html'][:200] for node in one['nodes']][:5]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical") or one["id"] == "landmark-unique"
    ]
    if not only:
        grave += page.evaluate(_NAMELESS)
    assert not grave, f"{page.url}:\n" + "\n".join(grave)


def check_fits(page: Page) -> None:
    """Fails where the page is wider than the window, so that a phone would have to scroll sideways."""
    wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} pixels wider than the window"


def set_up(page: Page, url: str, key: str, name: str = "anna", password: str = PASSWORD) -> None:
    """Be the first operator, as far as the page about accounts."""
    page.goto(f"{url}/console")
    page.get_by_label("Key of this gateway").fill(key)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("The password again").fill(password)
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/console/setup/account")


def sign_in(page: Page, url: str, name: str, password: str = PASSWORD) -> None:
    """Be somebody who is known, as far as the first page (or the second factor)."""
    page.goto(f"{url}/console/sign-in")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_function("() => !location.pathname.endsWith('/sign-in')")
    page.wait_for_load_state()


def arrive(page: Page, selector: str) -> None:
    """Wait for a page with this element, and for all of it: what looks at a whole page (axe, a count, a width) would
    else look at a part of it, or at the page before."""
    page.wait_for_selector(selector)
    page.wait_for_load_state()


def reload_until(page: Page, wanted: Locator) -> None:
    """For what is written beside a request and shown by a later page: ask again until it is there."""
    end = time.monotonic() + PATIENCE
    while not wanted.count():
        assert time.monotonic() < end, f"{page.url} does not show {wanted}: {page.inner_text('body')}"
        page.reload()
