"""What is wrong with the terms of a key, by the names that its form has for them and in the reader's language. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Final

from kirotrio.access.budget import COUNTED
from kirotrio.access.windows import Window
from kirotrio.web.console.languages import N_, Speech
from kirotrio.web.console.pages import said

WINDOWS: Final = {"minute": N_("Minute"), "day": N_("Day"), "month": N_("Month")}
COUNTS: Final = {"requests": N_("Requests"), "tokens": N_("Tokens"), "credits": N_("Credits")}

_LABELS: Final[Mapping[str, str]] = {
    "name": N_("Name"),
    "owner": N_("Owner"),
    "expires": N_("Last day (UTC)"),
    "expires_at": N_("Last day (UTC)"),
    "models": N_("Only these models"),
    "surfaces": N_("Only these APIs"),
    "networks": N_("Only from these networks"),
    "account": N_("Only this account"),
    "max_concurrent": N_("Requests at one time"),
}
_SENTENCES: Final = (
    N_("a key is called by up to {most} characters that can be printed"),
    N_("has to be a whole number of 0 (any number) or more"),
    N_("is longer than the {most} characters that are taken here"),
    N_("must be a day like 2030-12-31; it is {value}"),
    N_("must be a number from {least} on, or empty; it is {value}"),
    N_("must be a whole number from {least} on, or empty; it is {value}"),
    N_("there is a key named {name} already; choose another name"),
    N_(
        "there is no account named {value} that this key may use; `kirotrio accounts` lists those there are, of which "
        "one that settings name (accounts.*) cannot be chosen: it answers every key"
    ),
    N_("there may be {most} at most"),
    N_("this moment is over; name one that is still to come"),
    N_("your keys are your own"),
    N_("{value} is no network; one is written like 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7"),
    N_("{value} is not one of {those}"),
    N_("{value} is not the name of a model"),
)
"""What is said below, with what may stand in it."""


def key_problem(speech: Speech, message: str) -> str:
    """`message` begins with the field's own name; it is shown with the label that stands beside the field."""
    field, colon, rest = message.partition(": ")
    label = _label(speech, field)
    if not colon or not label:
        return said(speech, message)
    return speech("{field}: {problem}", field=label, problem=_sentence(speech, rest))


def _label(speech: Speech, field: str) -> str:
    if field in _LABELS:
        return speech(_LABELS[field])
    for window in Window:
        for counted in COUNTED:
            if field == f"limit-{window.value}-{counted}":
                return f"{speech(WINDOWS[window.value])}, {speech(COUNTS[counted])}"
    return ""


def _sentence(speech: Speech, text: str) -> str:
    for sentence in _SENTENCES:
        if found := _pattern(sentence).fullmatch(text):
            return speech(sentence, **found.groupdict())
    return text


@functools.cache
def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*)", re.escape(sentence)), re.DOTALL)
