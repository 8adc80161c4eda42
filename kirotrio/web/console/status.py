"""The status of an error's page, and what a request came to that was answered with it."""

from __future__ import annotations

from typing import Final

from kirotrio.errors import Cause, KirotrioError, LimitReached
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
_CAUSES: Final = {status: cause for cause, status in reversed(_STATUS.items())}
"""Of several causes with one status the first."""


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


def came_to(status: int, error: KirotrioError | None = None) -> KirotrioError:
    """What is noted of a request that got a page of this status, so that metrics and the log have it under the one rule
    of endings. `error`: what it met, where the page is that error's; one without a cause goes by its status."""
    if error is None or (error.cause is Cause.INTERNAL and status < 500):
        error = KirotrioError(error.message if error is not None else "", cause=_CAUSES.get(status))
    # Nothing in the console is limited but by the gateway itself.
    return LimitReached(error.message) if error.cause is Cause.RATE_LIMITED else error
