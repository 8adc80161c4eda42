"""What is wrong with the terms of a key, by the names that its form has for them and in the reader's language. Pure."""

from __future__ import annotations

from kirotrio.web.console.languages import Speech
from kirotrio.web.console.pages import said
from kirotrio.web.console.refusals import in_language, label, of_field


def key_problem(speech: Speech, message: str) -> str:
    """`message` begins with the field's own name; it is shown with the label that stands beside the field."""
    field, colon, rest = message.partition(": ")
    name = label(speech, field)
    if not colon or not name:
        return said(speech, message)
    return of_field(speech, name, in_language(speech, rest))
