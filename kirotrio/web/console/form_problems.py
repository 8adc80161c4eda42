"""What is wrong with a form, by the names that it has for its fields and in the reader's language. Pure."""

from __future__ import annotations

from typing import Final

from attrs import field

from kirotrio.classes import frozen
from kirotrio.web.console.languages import Speech
from kirotrio.web.console.pages import said
from kirotrio.web.console.refusals import in_language, label, of_field

_SENT_AS: Final = {"expires_at": "expires"}
"""What the store calls otherwise than the form."""


@frozen
class Problem:
    """`text` for the reader, "" where nothing is wrong; `name`: by which the field is sent, "" where it is of none."""

    text: str = ""
    name: str = field(default="")

    def __bool__(self) -> bool:
        return bool(self.text)


NOTHING: Final = Problem()


def problem_of(speech: Speech, message: str) -> Problem:
    """`message` begins with the field's own name; it is shown with the label that stands beside the field."""
    name, colon, rest = message.partition(": ")
    shown = label(speech, name)
    if not colon or not shown:
        return Problem(said(speech, message))
    return Problem(of_field(speech, shown, in_language(speech, rest)), _SENT_AS.get(name, name))
