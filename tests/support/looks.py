"""What every page of the console has to be: in light and dark, on a phone, by keyboard, and in Chinese without English.

Each check says what is wrong of which element, so that a failure can be mended from what it prints.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.chromium import DESK, PHONE, arrive, check_accessible, check_fits, picture

from kirotrio.web.console.cookies import LANGUAGE
from kirotrio.web.console.languages import CHINESE, ENGLISH, catalogue

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

FINGER = 24
"""The least width and height of what is tapped, in CSS pixels (WCAG 2.2, 2.5.8)."""

WAYS = ("AWS Builder ID", "AWS IAM Identity Center", "GitHub", "Google", "example.com", "us-east-1", "ksk_…")
WAYS += ("https://d-1234567890.awsapps.com/start", '{"refreshToken": "…"}')
"""What the forms for accounts have of names and examples, which are the same in every language."""

_SCRIPT = Path(__file__).parent.parent / "browser/looks.js"


def _looks(page: Page, asked: str) -> Any:
    """What looks.js says of the page."""
    if not page.evaluate("() => 'looks' in window"):
        page.evaluate(_SCRIPT.read_text() + ";0")
    return page.evaluate(f"() => looks.{asked}")


def check_all_ways(page: Page, name: str, *, chinese: bool = True, known: Iterable[str] = ()) -> None:
    """Light and dark, desk and phone, and Chinese; a picture of each. The page is left as it was.

    `chinese` has the page asked for again in that language, so it has to be False for one that shows a thing once.
    `known`: words that the test itself has put there, which are nobody's to translate.
    """
    check_accessible(page)
    picture(page, name)
    page.emulate_media(color_scheme="dark")
    check_accessible(page, "color-contrast", "link-in-text-block")
    picture(page, f"{name}-dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    check_for_fingers(page)
    picture(page, f"{name}-phone")
    if chinese:
        with_language(page, CHINESE)
        check_chinese(page, known)
        check_fits(page)
        picture(page, f"{name}-chinese")
        with_language(page, ENGLISH)
    page.set_viewport_size(DESK)


def with_language(page: Page, language: str) -> None:
    """The same page again, in another language, as somebody has it who chose that."""
    page.context.add_cookies([{"name": LANGUAGE, "value": language, "url": page.url}])
    page.reload()
    arrive(page, f'html[lang="{language}"]')


def check_for_fingers(page: Page) -> None:
    """Nothing to scroll sideways, and nothing too small for a finger."""
    check_fits(page)
    small = _looks(page, f"small({FINGER})")
    assert not small, f"{page.url}: less than {FINGER} pixels:\n" + "\n".join(small)


def check_chinese(page: Page, known: Iterable[str] = ()) -> None:
    """Fails where a text has words and none of them is Chinese, where two English words follow one another within a
    Chinese text, and where a sentence of the catalogue stands in English around a name that is Chinese.

    What is marked as nothing to translate, as English, or as code does not count. `known`: what else the test itself
    has put there (names, models), which is nobody's to translate.
    """
    left = []
    for text in _looks(page, "texts()"):
        for word in sorted((*known, *_NAMES), key=len, reverse=True):
            text = text.replace(word, "")
        text = text.strip()
        wordless = not _CHINESE.search(text) and re.search("[A-Za-z]{2}", text)
        if wordless or _PHRASE.search(text) or any(shape.fullmatch(text) for shape in _shapes()):
            left.append(text)
    assert not left, f"{page.url} has English: {sorted(set(left))}"


_NAMES = ("kirotrio", "English", "API", "UTC")
"""Names that are the same in every language."""
_CHINESE = re.compile("[\u4e00-\u9fff]")
_PHRASE = re.compile(r"(?<![\w./@-])[A-Za-z]{2,} [a-z]{2,}(?![\w./@-])")
"""Two words of a sentence: the second one small, so that names of products do not count."""


@functools.cache
def _shapes() -> tuple[re.Pattern[str], ...]:
    """The catalogue's English sentences that have parts, with anything in their places."""
    shapes = []
    for english in catalogue(CHINESE):
        pieces = list(string.Formatter().parse(english))
        if any(name for _, name, _, _ in pieces) and re.search("[A-Za-z]{2}", "".join(text for text, *_ in pieces)):
            shapes.append("".join(re.escape(text) + (".+" if name else "") for text, name, _, _ in pieces))
    return tuple(map(re.compile, shapes))


def check_focus_is_seen(page: Page) -> None:
    focus: dict[str, Any] | None = _looks(page, "focus()")
    assert focus is not None, f"{page.url}: nothing has the focus"
    assert focus["shown"], f"{page.url}: the focus is not seen on {focus['html']}"
    assert focus["inside"], f"{page.url}: the focus is outside the window, on {focus['html']}"


def reach(page: Page, wanted: Locator, most: int = 60) -> None:
    """Press the tabulator until this has the focus; it is to be seen at every step."""
    for _ in range(most):
        page.keyboard.press("Tab")
        check_focus_is_seen(page)
        if wanted.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"{page.url}: {most} presses of the tabulator do not reach {wanted}")
