"""The status of an error's page."""

from __future__ import annotations

from typing import Final

from kirotrio.errors import Cause, KirotrioError
from kirotrio.store.sealer import KeyMissing, KeyPlaceUnusable, SealBroken

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
    """What was raised with a sentence for a person, but without a cause, is what they asked for that cannot be: unless
    it is of the secrets, which only the operator of the machine can mend."""
    if isinstance(error, KeyMissing | KeyPlaceUnusable):
        return 503
    if isinstance(error, SealBroken):
        return 500
    if error.cause is Cause.INTERNAL and type(error) is not KirotrioError:
        return 400
    return _STATUS.get(error.cause, 400)
