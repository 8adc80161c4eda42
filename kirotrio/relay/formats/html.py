"""HTML: Markdown of what a reader of the page would see."""

from __future__ import annotations

import re

from bs4 import BeautifulSoup, Tag
from bs4.element import Comment, Doctype
from markdownify import ATX, MarkdownConverter

from kirotrio.relay.formats.draft import Draft

_UNSEEN = ("head", "title", "script", "style", "template", "noscript", "svg", "canvas", "iframe", "object")
_BLANK_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")


def read_html(content: bytes, charset: str, draft: Draft) -> None:
    """Never raises but Full: a page that is badly written is read as far as it can be."""
    # Python's own parser: the other one drops, without a word, what is nested more deeply than it likes.
    soup = BeautifulSoup(content, "html.parser", from_encoding=charset or None)
    if soup.title is not None:
        draft.title = " ".join(soup.title.get_text().split())
    for tag in soup.find_all(_UNSEEN):
        tag.extract()
    for note in soup.find_all(string=lambda text: isinstance(text, Comment | Doctype)):
        note.extract()
    for image in soup.find_all("img", src=re.compile(r"^\s*data:", re.IGNORECASE)):
        if isinstance(image, Tag):
            del image["src"]
    try:
        text = MarkdownConverter(heading_style=ATX, bullets="-").convert_soup(soup)
    except RecursionError:
        text = soup.get_text("\n")
    draft.add(_BLANK_LINES.sub("\n\n", text))
