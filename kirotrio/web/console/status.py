"""The status of an error's page."""

from __future__ import annotations

from typing import Final

from kirotrio.errors import Cause, KirotrioError

_STATUS: Final = {
    Cause.BODY_INVALID: 400,
    Cause.AUTHENTICATION: 401,
    Cause.PERMISSION: 403,
    Cause.NOT_FOUND: 404,
    Cause.METHOD_NOT_ALLOWED: 405,
    Cause.DEADLINE: 408,
    Cause.TOO_LARGE: 413,
    Cause.RATE_LIMITED: 429,
    Cause.QUOTA_EXHAUSTED: 429,
    Cause.INTERNAL: 500,
    Cause.UPSTREAM_FAILED: 502,
    Cause.UPSTREAM_OVERLOADED: 502,
    Cause.OVERLOADED: 503,
    Cause.ACCOUNT_UNAVAILABLE: 503,
}


def status_of(error: KirotrioError) -> int:
    return _STATUS.get(error.cause, 400)
