"""The arguments of a call in a client's history, which OpenAI's APIs write as text."""

from __future__ import annotations

from collections.abc import Mapping

from kirotrio.conversation.request import Json
from kirotrio.dialects.body import read_object
from kirotrio.dialects.reading import Reading, kind_of
from kirotrio.errors import BodyInvalid


def read_arguments(given: Json, path: str, reading: Reading) -> Mapping[str, Json]:
    """The object that the text holds, or that stands in its place; `{}` only where there is nothing at all.

    A text that holds no object is carried as the text that it is: some earlier answer was broken, and refusing it
    would end every conversation that holds one. Raises BodyInvalid for what is neither.
    """
    if type(given) is dict:
        return given
    if given is None:
        return {}
    if type(given) is not str:
        raise BodyInvalid(path, f"must be a string that holds a JSON object, not {kind_of(given)}")
    if given.strip() in ("", "null"):
        return {}
    try:
        arguments, mended = read_object(given.encode("utf-8", "replace"))
    except BodyInvalid:
        reading.note(path, "not the text of a JSON object: carried as the text that it is")
        return {"arguments": given}
    if mended:
        reading.note(path, "halves of surrogate pairs were replaced by U+FFFD")
    return arguments
