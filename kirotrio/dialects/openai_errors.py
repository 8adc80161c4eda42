"""Our errors in OpenAI's envelope (CONTRACT, "Our errors"), for Chat Completions and Responses alike."""

from __future__ import annotations

import math
from typing import Any

import orjson

from kirotrio.dialects.text_json import mended
from kirotrio.errors import BodyInvalid, Cause, KirotrioError, NotFound, ReferenceNotFound

_TABLE: dict[Cause, tuple[int, str, str | None]] = {
    Cause.BODY_INVALID: (400, "invalid_request_error", None),
    Cause.AUTHENTICATION: (401, "invalid_request_error", "invalid_api_key"),
    Cause.PERMISSION: (403, "permission_denied", "permission_denied"),
    Cause.NOT_FOUND: (404, "invalid_request_error", None),
    Cause.METHOD_NOT_ALLOWED: (405, "invalid_request_error", None),
    Cause.TOO_LARGE: (413, "invalid_request_error", None),
    Cause.CONTEXT_OVERFLOW: (400, "invalid_request_error", "context_length_exceeded"),
    Cause.RATE_LIMITED: (429, "rate_limit_exceeded", "rate_limit_exceeded"),
    Cause.QUOTA_EXHAUSTED: (429, "insufficient_quota", "insufficient_quota"),
    Cause.UPSTREAM_OVERLOADED: (503, "server_error", "overloaded"),
    Cause.ACCOUNT_UNAVAILABLE: (503, "server_error", "account_unavailable"),
    Cause.UPSTREAM_FAILED: (502, "server_error", "upstream_error"),
    Cause.DEADLINE: (504, "server_error", "timeout"),
    Cause.OVERLOADED: (503, "server_error", None),
    Cause.THREADS_UNSUPPORTED: (400, "invalid_request_error", None),
    Cause.INTERNAL: (500, "server_error", None),
}
"""Status, type and code."""

_ALWAYS_TIMED = frozenset({Cause.RATE_LIMITED, Cause.OVERLOADED})
RETRY_AFTER = 5
"""Seconds, where CONTRACT wants a `retry-after` and nobody knows better."""

_NEUTRAL = "An internal error occurred in the gateway; its log tells more under this request's id."


def error_body(
    error: KirotrioError,
    request_id: str | None = None,  # noqa: ARG001 - every dialect is asked alike
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and JSON body of an error that is known before the head is sent.

    OpenAI's envelope has no place for `request_id`, which Anthropic's has: clients read it from the answer's headers.
    """
    headers = {"content-type": "application/json"}
    wait = _retry_after(error)
    if wait is not None:
        headers["retry-after"] = str(wait)
    if error.should_retry is False:
        headers["x-should-retry"] = "false"  # the SDKs obey it, whatever the status
    return _TABLE[error.cause][0], headers, orjson.dumps({"error": error_object(error)})


def error_object(error: KirotrioError) -> dict[str, Any]:
    """What stands under `error`: message, type, param and code."""
    _, kind, code = _TABLE[error.cause]
    param: str | None = None
    if isinstance(error, BodyInvalid):
        param = mended(error.path) or None
    elif isinstance(error, NotFound) and error.model is not None:
        param, code = "model", "model_not_found"
    elif isinstance(error, ReferenceNotFound):
        param, code = error.param, error.code
    return {"message": _message(error), "type": kind, "param": param, "code": code}


def _message(error: KirotrioError) -> str:
    # An internal error's message may name what is nobody's business; all others are written for the client.
    if error.cause is Cause.INTERNAL or not error.message:
        return _NEUTRAL
    message = mended(error.message)
    if error.cause is Cause.CONTEXT_OVERFLOW:
        return f"context_length_exceeded: {message}"  # agents look for it in the text, not in the code (CLIENTS 5.3)
    wait = _retry_after(error)
    if error.cause is Cause.RATE_LIMITED and wait is not None and "try again in" not in message:
        ended = message if message.endswith((".", "!", "?")) else f"{message}."
        return f"{ended} Please try again in {wait}s."  # Codex takes its back-off from these words (CLIENTS 5.2)
    return message


def _retry_after(error: KirotrioError) -> int | None:
    """Whole seconds, rounded up: a client that comes back earlier would be refused again."""
    wait = error.retry_after
    if wait is None or not math.isfinite(wait):
        return RETRY_AFTER if error.cause in _ALWAYS_TIMED else None
    return max(1, math.ceil(wait))
