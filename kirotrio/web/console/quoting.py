"""What of a message is nobody's to translate: the upstream's own words, and what has no translation. Pure.

A text that is put together of several sentences carries marks around these parts until it is made into markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_OPENS, _CLOSES = "\x02", "\x03"
_MARKS: Final = str.maketrans("", "", _OPENS + _CLOSES)
_MARKED: Final = re.compile(f"{_OPENS}([^{_CLOSES}]*){_CLOSES}")
_QUOTE: Final = re.compile(r"(.+?[.)]) ((?:Kiro said:|The answer began:|Kiro gave the reason) .+)", re.DOTALL)


def without_quote(message: str) -> tuple[str, str]:
    """Our own sentence, and what the upstream said; "" where it said nothing, or to a sentence in a bracket: that has
    to be taken out first."""
    found = _QUOTE.fullmatch(message)
    if not found or found[1].count("(") > found[1].count(")"):
        return message, ""
    return found[1], found[2]


def marked(text: str) -> str:
    return f"{_OPENS}{unmarked(text)}{_CLOSES}" if text else ""


def unmarked(text: str) -> str:
    return text.translate(_MARKS)


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The text in order, with whether each piece is marked."""
    for place, piece in enumerate(_MARKED.split(text)):
        if piece:
            yield piece, place % 2 == 1
