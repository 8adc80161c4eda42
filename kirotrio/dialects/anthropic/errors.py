"""Our errors in Anthropic's envelope (CONTRACT, "Our errors")."""

from __future__ import annotations

import math
from typing import Any

import orjson

from kirotrio.dialects.text_json import mended
from kirotrio.errors import Cause, KirotrioError

_TABLE: dict[Cause, tuple[int, str]] = {
    Cause.BODY_INVALID: (400, "invalid_request_error"),
    Cause.AUTHENTICATION: (401, "authentication_error"),
    Cause.PERMISSION: (403, "permission_error"),
    Cause.NOT_FOUND: (404, "not_found_error"),
    Cause.METHOD_NOT_ALLOWED: (405, "invalid_request_error"),
    Cause.TOO_LARGE: (413, "request_too_large"),
    Cause.CONTEXT_OVERFLOW: (400, "invalid_request_error"),
    Cause.RATE_LIMITED: (429, "rate_limit_error"),
    Cause.QUOTA_EXHAUSTED: (429, "rate_limit_error"),
    Cause.UPSTREAM_OVERLOADED: (529, "overloaded_error"),
    Cause.ACCOUNT_UNAVAILABLE: (503, "api_error"),
    Cause.UPSTREAM_FAILED: (502, "api_error"),
    Cause.DEADLINE: (504, "api_error"),
    Cause.OVERLOADED: (503, "overloaded_error"),
    Cause.THREADS_UNSUPPORTED: (400, "invalid_request_error"),
    Cause.INTERNAL: (500, "api_error"),
}

_ALWAYS_TIMED = frozenset({Cause.RATE_LIMITED, Cause.OVERLOADED})
RETRY_AFTER = 5
"""Seconds, where CONTRACT wants a `retry-after` and nobody knows better."""

_NEUTRAL = "An internal error occurred in the gateway; its log tells more under this request's id."
_THREADS = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


def error_body(error: KirotrioError, request_id: str | None = None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and JSON body of an error that is known before the head is sent."""
    status, _ = _TABLE[error.cause]
    headers = {"content-type": "application/json"}
    wait = _retry_after(error)
    if wait is not None:
        headers["retry-after"] = str(wait)
    if error.should_retry is False:
        headers["x-should-retry"] = "false"  # the SDKs obey it, whatever the status
    envelope: dict[str, Any] = {"type": "error", "error": _error_object(error)}
    if request_id is not None:
        envelope["request_id"] = request_id
    return status, headers, orjson.dumps(envelope)


def error_event(error: KirotrioError) -> bytes:
    """The same error as the last event of a stream."""
    return b"event: error\ndata: %b\n\n" % orjson.dumps({"type": "error", "error": _error_object(error)})


def _error_object(error: KirotrioError) -> dict[str, Any]:
    # An internal error's message may name what is nobody's business; all others are written for the client.
    message = _NEUTRAL if error.cause is Cause.INTERNAL or not error.message else mended(error.message)
    told: dict[str, Any] = {"type": _TABLE[error.cause][1], "message": message}
    if error.cause is Cause.THREADS_UNSUPPORTED:
        told["details"] = _THREADS
    return told


def _retry_after(error: KirotrioError) -> int | None:
    """Whole seconds, rounded up: a client that comes back earlier would be refused again."""
    wait = error.retry_after
    if wait is None or not math.isfinite(wait):
        return RETRY_AFTER if error.cause in _ALWAYS_TIMED else None
    return max(1, math.ceil(wait))
