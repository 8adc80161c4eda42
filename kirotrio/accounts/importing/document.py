"""The bytes of a document as JSON values: one value, or one on each line. Pure."""

from __future__ import annotations

import codecs
from typing import Any, Final

import orjson

from kirotrio.classes import frozen
from kirotrio.errors import KirotrioError

LARGEST_DOCUMENT: Final = 16 * 1024 * 1024
"""Bytes. Ten thousand accounts with all that other programs write down about them take less."""

_SHOWN: Final = 20
"""Lines that are no JSON are told one by one up to here."""


class NoDocument(KirotrioError):
    """Nothing of this document can be imported. The message says why, and what would be right."""


@frozen
class Value:
    """`path` is where it begins ("" or "line 3"). `problem`: why there is no value, as a sentence; "" if there is."""

    path: str
    content: Any = None
    problem: str = ""


def values_in(document: bytes) -> list[Value]:
    """The values of a JSON document, or of its lines (JSON Lines). A line that is not JSON is told and passed over.

    UTF-8 and, as some shells write it, UTF-16 with a byte order mark. Raises NoDocument for one that is empty, has more
    than 16 MiB, or is no JSON at all; nesting deeper than some 1000 is no JSON.
    """
    if len(document) > LARGEST_DOCUMENT:
        raise NoDocument(f"it has more than {LARGEST_DOCUMENT >> 20} MiB; import it in parts")
    text = _text(document)
    if not text:
        raise NoDocument("it is empty; JSON or JSON Lines was expected, with a refreshToken or apiKey in it")
    try:
        return [Value("", orjson.loads(text))]
    except orjson.JSONDecodeError as error:
        wrong = error
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    values = [_line(number, line) for number, line in lines]
    if not isinstance(values[0].content, dict) or len(values) < 2:
        raise NoDocument(
            f"it is not JSON (line {wrong.lineno}, column {wrong.colno}); JSON, or one JSON object on each line, was "
            "expected"
        )
    broken = [value for value in values if value.problem]
    if len(broken) > _SHOWN:
        unsaid = frozenset(id(value) for value in broken[_SHOWN:])
        values = [value for value in values if id(value) not in unsaid]
        values.append(Value(broken[_SHOWN].path, problem=f"and {len(unsaid)} more lines are not JSON"))
    return values


def _line(number: int, line: str) -> Value:
    path = f"line {number}"
    try:
        return Value(path, orjson.loads(line))
    except orjson.JSONDecodeError as error:
        return Value(path, problem=f"not JSON (column {error.colno}); each line has to be one JSON object")


def _text(document: bytes) -> str:
    encoding = "utf-8-sig"
    if document.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        return document.decode(encoding).strip()
    except UnicodeDecodeError:
        raise NoDocument("it is not text in UTF-8; JSON was expected") from None
