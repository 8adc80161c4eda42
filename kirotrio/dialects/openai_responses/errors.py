"""Our errors as the `error` of a failed response (CLIENTS 5.2).

Codex reads four codes and takes every other failure for one that may be tried again; where none of these fits, the code
is one of the API's own. Two of Codex's codes are not in the list of the SDK's types, which the SDKs do not insist on.
"""

from __future__ import annotations

from kirotrio.dialects.openai_errors import error_object
from kirotrio.errors import Cause, KirotrioError

_CODES = {
    Cause.CONTEXT_OVERFLOW: "context_length_exceeded",
    Cause.QUOTA_EXHAUSTED: "insufficient_quota",
    Cause.RATE_LIMITED: "rate_limit_exceeded",
    Cause.BODY_INVALID: "invalid_prompt",
    Cause.PERMISSION: "invalid_prompt",
    Cause.NOT_FOUND: "invalid_prompt",
    Cause.TOO_LARGE: "invalid_prompt",
    Cause.THREADS_UNSUPPORTED: "invalid_prompt",
}


def failed_error(error: KirotrioError) -> dict[str, str]:
    """`code` and `message` of `response.error`; the wait, where it is known, stands in the message in Codex's words."""
    code = _CODES.get(error.cause, "server_error")
    if error.should_retry is False:
        code = "invalid_prompt"  # any other would be tried again, and paid for again
    return {"code": code, "message": error_object(error)["message"]}
