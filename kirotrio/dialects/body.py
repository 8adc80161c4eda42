"""A request body's bytes as a JSON object."""

from __future__ import annotations

import re
from typing import Any

import orjson

from kirotrio.conversation.request import Json
from kirotrio.dialects.reading import kind_of
from kirotrio.errors import BodyInvalid

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair, fine as it is
    rb"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",  # half a pair; or any other escape, `\\` among them
    re.DOTALL,
)


def read_object(body: bytes | Json) -> tuple[dict[str, Any], bool]:
    """The body as a JSON object, and whether halves of surrogate pairs in it were replaced by U+FFFD.

    Clients that cut texts by UTF-16 units send such halves; JSON.stringify lets them through and they would make
    every later request of that conversation fail. Raises BodyInvalid, with line and column for what is no JSON.
    """
    if not isinstance(body, (bytes, bytearray, memoryview)):
        return _object(body), False
    try:
        return _object(orjson.loads(body)), False
    except orjson.JSONDecodeError as error:
        problem = error
    if "surrogate" in problem.msg and b"\\u" in bytes(body):
        mended = _ESCAPE.sub(lambda match: rb"\ufffd" if match["lone"] else match[0], bytes(body))
        try:
            return _object(orjson.loads(mended)), True
        except orjson.JSONDecodeError as error:
            problem = error
    raise BodyInvalid(
        "", f"The request body is not valid JSON: line {problem.lineno}, column {problem.colno}: {problem.msg}"
    ) from None


def _object(value: Json) -> dict[str, Any]:
    if type(value) is not dict:
        raise BodyInvalid("", f"The request body must be a JSON object, not {kind_of(value)}")
    return value
