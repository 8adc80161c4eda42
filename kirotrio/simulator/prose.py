"""What the simulated model says: short prose that takes up the message, and filler for as long as is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kirotrio.simulator.controls import without_controls

PIECE = 24
"""Characters of a text event where `size` says nothing; the service sends tiny pieces as well."""

# Several scripts, so that a cut may fall inside a character of two, three or four bytes.
_BEGINNING = (
    "The harbour wakes before the town does. Nets dry along the quay, a café opens its shutters, and somebody "
    "counts crates in a voice that carries over the water — nineteen, twenty, twenty-one. "
)
FILLER = (
    f"{_BEGINNING}By seven the first ferry has left; "
    "its wake reaches the wall, lifts the small boats one after another, and is gone. "
    "日本から来た船が沖に見える。 A gull argues with a dog about half a sandwich 🥪 and wins. "
    "Later the wind turns north-east, and the old signal tower shows two black balls: no departures until noon. "
    "Nobody hurries. Größere Schiffe warten draußen, and the pilots play cards. "
)
THOUGHT = (
    "Let me see what is asked here. The message is short, so the answer may be short as well. "
    "I shall take up what was said, answer it plainly, and not pretend to know more than I do. "
)

_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
_BLANKS = re.compile(r"\s+")
_SEARCH = "Perform a web search for the query:"


def gist(message: str, limit: int = 160) -> str:
    """The last line of what a person wrote, controls and reminders left out, at most `limit` characters."""
    lines = [line for line in _REMINDER.sub("", without_controls(message)).splitlines() if line.strip()]
    last = _BLANKS.sub(" ", lines[-1]).strip() if lines else ""
    return last if len(last) <= limit else last[: limit - 1] + "…"


def search_query(message: str) -> str:
    """What to search the web for: the message, without the sentence that Claude Code puts ahead of it."""
    return gist(message, 200).removeprefix(_SEARCH).strip() or "kirotrio"


def reply_text(message: str, results: list[str]) -> str:
    """A plausible answer to a message, or to the results of tool calls."""
    if results:
        quoted = "\n".join(f"> {_BLANKS.sub(' ', result).strip()[:400] or '(empty)'}" for result in results)
        which = "The tool answered" if len(results) == 1 else f"The {len(results)} tools answered"
        return f"{which}:\n\n{quoted}\n\nThat is all that was needed; the task is done."
    said = gist(message)
    opening = f"You said: “{said}”. " if said else "You said nothing in words. "
    return f"{opening}This is the simulator speaking, so the answer is made up: {_BEGINNING.strip()}"


def pieces(text: str, size: int | None, count: int | None = None) -> Iterator[str]:
    """`text` in pieces of `size` characters; with `count`, exactly that many, cut short or carried on with filler."""
    width = size or PIECE
    if count is None:
        for start in range(0, len(text), width):
            yield text[start : start + width]
        return
    opening = text if len(text) <= count * width else text[: count * width]
    # Filler begins where the opening ends, so the pieces repeat after one round through the filler: few are new.
    period = len(FILLER)
    unrolled = FILLER * (width // period + 2)
    at = 0
    for _ in range(count):
        if at + width <= len(opening):
            yield opening[at : at + width]
        elif at < len(opening):
            yield opening[at:] + unrolled[: width - (len(opening) - at)]
        else:
            start = (at - len(opening)) % period
            yield unrolled[start : start + width]
        at += width
