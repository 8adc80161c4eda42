"""Cookies: reading what a browser sends, writing what it shall keep. Pure.

Behind TLS each has the prefix `__Host-`: no other host, and no page without TLS, can set one of that name.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any

import orjson

SESSION = "kirotrio-session"
VISITOR = "kirotrio-visitor"
"""Of browsers in which nobody has signed in: what their forms' token is made of."""
ELSEWHERE = "kirotrio-elsewhere"
"""A sign-in at another service that is under way."""
LANGUAGE = "kirotrio-language"
THEME = "kirotrio-theme"
NOTICE = "kirotrio-notice"
"""A sentence for the page after a redirect."""

YEAR = 365 * 86_400
_VALUE = re.compile(r"[A-Za-z0-9_.~-]*")
_MOST_NOTICE = 1500


def read(headers: Iterable[str], name: str, *, secure: bool) -> str:
    """The value of a cookie, "" where it is not there or holds what none of ours does."""
    wanted = _name(name, secure=secure)
    for header in headers:
        for part in header.split(";"):
            given, _, value = part.strip().partition("=")
            if given == wanted and _VALUE.fullmatch(value):
                return value
    return ""


def keep(name: str, value: str, *, secure: bool, seconds: float | None = None) -> str:
    """A Set-Cookie field. `seconds` 0 takes the cookie away; None keeps it until the browser is closed.

    Raises ValueError for a value that has to be encoded first.
    """
    if not _VALUE.fullmatch(value):
        raise ValueError("a cookie's value is made of letters, digits and _.~-")
    age = "" if seconds is None else f"; Max-Age={round(seconds)}"
    # Lax, not Strict: who comes back from a sign-in elsewhere, or follows a link to a page, is to be signed in.
    return f"{_name(name, secure=secure)}={value}; Path=/{age}; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"


def packed(value: Any) -> str:
    """JSON as a cookie's value."""
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode().rstrip("=")


def unpacked(value: str) -> Any:
    """What `packed` was given; None for anything else."""
    if not value or len(value) > _MOST_NOTICE:
        return None
    try:
        return orjson.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
    except (binascii.Error, ValueError):
        return None


def _name(name: str, *, secure: bool) -> str:
    return f"__Host-{name}" if secure else name
