"""A real browser for tests: Debian's Chromium, driven in a thread of its own beside a gateway that runs in Trio.

What Playwright does is blocking and wants an event loop to itself, so that a test's browser part is a plain function,
run by `trio.to_thread`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = Path(__file__).parent.parent / "browser/vendor/axe/axe.min.js"
SCREENSHOTS = Path(os.environ.get("KIROTRIO_SCREENSHOTS") or Path(__file__).parents[2] / "build/screenshots")
"""Where pictures are kept: another folder by KIROTRIO_SCREENSHOTS."""
CHROMIUM = os.environ.get("KIROTRIO_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
PHONE = {"width": 360, "height": 740}
_DESK = {"width": 1280, "height": 860}
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
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        work(page)
        # A status like 401 is what some tests ask for.
        assert not [said for said in complaints if "Failed to load resource" not in said], complaints


@contextmanager
def opened(**context: Any) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_OPTIONS)
        try:
            # The tests' own script (axe) is not of our pages, whose policy would forbid it: it comes by the debugger.
            page = browser.new_context(**{"viewport": _DESK, "locale": "en", **context}).new_page()
            page.set_default_timeout(20_000)
            yield page
        finally:
            browser.close()


def picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def check_accessible(page: Page) -> None:
    """Fails where axe-core finds anything serious or critical."""
    page.evaluate(AXE.read_text() + ";0")
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    grave = [
        f"{one['id']} ({one['impact']}): {one['help']}: {[node['html'][:200] for node in one['nodes']][:5]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert not grave, f"{page.url}:\n" + "\n".join(grave)


def check_fits(page: Page) -> None:
    """Fails where the page is wider than the window, so that a phone would have to scroll sideways."""
    wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} pixels wider than the window"


def set_up(page: Page, url: str, key: str, name: str = "anna", password: str = "a long pass phrase") -> None:
    """Be the first operator, as far as the page about accounts."""
    page.goto(f"{url}/console")
    page.get_by_label("Key of this gateway").fill(key)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("The password again").fill(password)
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/console/setup/account")
