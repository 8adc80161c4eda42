"""Reading what a sign-in service answers: tokens, error names, waits (KIRO_PROTOCOL 5.1, 5.2, 5.4).

The services spell the same members in camelCase or snake_case; here both are read.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from typing import Any

from kirotrio.accounts.credential import Renewed
from kirotrio.accounts.credential_json import fits_a_header
from kirotrio.accounts.endpoints import real_arn
from kirotrio.errors import Recovery, UpstreamFailed
from kirotrio.kiro.errors import retry_after_seconds
from kirotrio.kiro.http_answer import HttpAnswer

DEFAULT_LIFETIME = 3600.0
"""Seconds, where an answer names none."""


def renewed(answer: HttpAnswer, now: float) -> Renewed:
    """The tokens of an answer. `now`: epoch seconds. Raises UpstreamFailed where there are none that can be used."""
    entry = json_object(answer) or {}
    access_token = text_in(entry, "accessToken", "access_token")
    if not access_token:
        raise UpstreamFailed("The sign-in service answered without an access token", recovery=Recovery.RETRY)
    if not fits_a_header(access_token):
        raise UpstreamFailed("The sign-in service answered with an access token that no header can carry")
    return Renewed(
        access_token=access_token,
        refresh_token=text_in(entry, "refreshToken", "refresh_token"),
        expires_at=now + lifetime(entry.get("expiresIn", entry.get("expires_in"))),
        profile_arn=real_arn(text_in(entry, "profileArn", "profile_arn")),
    )


def lifetime(value: Any, otherwise: float = DEFAULT_LIFETIME) -> float:
    """Seconds, from a number or a number as text (KIRO_PROTOCOL 5.4)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return otherwise
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return otherwise
    return seconds if math.isfinite(seconds) and 0 < seconds < 1e9 else otherwise


def error_name(answer: HttpAnswer) -> str:
    """What an error calls itself: `__type` first (KIRO_PROTOCOL 5.2). Names only, since an error's prose may
    repeat what was sent."""
    entry = json_object(answer) or {}
    for key in ("__type", "error", "code"):
        value = entry.get(key)
        if isinstance(value, str) and value:
            return _clean(value.rpartition("#")[2])
    return _clean(answer.headers.get("x-amzn-errortype", "").partition(":")[0].rpartition("#")[2])


def plain_name(name: str) -> str:
    """An error's name for comparing: the letters alone, and no `exception` at its end."""
    return re.sub(r"[^a-z]", "", name.lower()).removesuffix("exception")


def retry_after(answer: HttpAnswer) -> float | None:
    """Seconds that the answer asks for, None where it does not."""
    return retry_after_seconds(answer.headers.get("retry-after"), time.time())


def json_object(answer: HttpAnswer) -> dict[str, Any] | None:
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text_in(entry: Mapping[str, Any], *keys: str) -> str:
    """The first of these members that is text, "" where none is."""
    for key in keys:
        value = entry.get(key)
        if isinstance(value, str) and value:
            return value
    return ""


def _clean(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,59}", name) else ""
