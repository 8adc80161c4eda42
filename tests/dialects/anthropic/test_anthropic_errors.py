"""CONTRACT's error table, its Anthropic column."""

from __future__ import annotations

import json

import pytest
from check_sse import check

from kirotrio.dialects.anthropic import error_body, error_event
from kirotrio.errors import (
    AccountUnavailable,
    AuthenticationFailed,
    BodyInvalid,
    Cause,
    ContextOverflow,
    DeadlineExceeded,
    KirotrioError,
    NotFound,
    Overloaded,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    SettingsError,
    ThreadsUnsupported,
    TooLarge,
    UpstreamFailed,
    UpstreamOverloaded,
)

TABLE: list[tuple[KirotrioError, int, str]] = [
    (BodyInvalid("messages.0.content.1.source", "…"), 400, "invalid_request_error"),
    (AuthenticationFailed("…"), 401, "authentication_error"),
    (PermissionDenied("…"), 403, "permission_error"),
    (NotFound("…"), 404, "not_found_error"),
    (KirotrioError("…", cause=Cause.METHOD_NOT_ALLOWED), 405, "invalid_request_error"),
    (TooLarge("…"), 413, "request_too_large"),
    (ContextOverflow(5, 4), 400, "invalid_request_error"),
    (RateLimited("…"), 429, "rate_limit_error"),
    (QuotaExhausted("…"), 429, "rate_limit_error"),
    (UpstreamOverloaded("…"), 529, "overloaded_error"),
    (AccountUnavailable("…"), 503, "api_error"),
    (UpstreamFailed("…"), 502, "api_error"),
    (DeadlineExceeded("…"), 504, "api_error"),
    (Overloaded("…"), 503, "overloaded_error"),
    (ThreadsUnsupported("…"), 400, "invalid_request_error"),
    (KirotrioError("…"), 500, "api_error"),
]


def test_the_table_is_whole() -> None:
    assert {error.cause for error, _, _ in TABLE} == set(Cause)


@pytest.mark.parametrize(("error", "status", "kind"), TABLE, ids=[error.cause.value for error, _, _ in TABLE])
def test_status_type_and_message_in_body_and_event(error: KirotrioError, status: int, kind: str) -> None:
    given_status, headers, body = error_body(error, "req_1")
    envelope = json.loads(body)
    assert given_status == status
    assert headers["content-type"] == "application/json"
    assert (envelope["type"], envelope["request_id"]) == ("error", "req_1")
    assert envelope["error"]["type"] == kind
    if error.cause is not Cause.INTERNAL:
        assert envelope["error"]["message"] == error.message
    event = error_event(error)
    assert check("anthropic", event, terminal_error=True) == []
    assert json.loads(event.split(b"data: ")[1]) == {"type": "error", "error": envelope["error"]}


@pytest.mark.parametrize("error", [KirotrioError("sk-secret"), SettingsError("sk-secret"), UpstreamFailed("")])
def test_internal_errors_tell_no_details(error: KirotrioError) -> None:
    _, _, body = error_body(error, None)
    assert b"secret" not in body
    assert "internal error" in json.loads(body)["error"]["message"]
    assert "request_id" not in json.loads(body)


def test_threads_carry_the_details_that_make_the_sdk_fall_back() -> None:
    _, _, body = error_body(ThreadsUnsupported("…"), None)
    details = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    assert json.loads(body)["error"]["details"] == details


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (RateLimited("…", retry_after=1.01), "2"),
        (RateLimited("…", retry_after=0.0), "1"),
        (RateLimited("…", retry_after=-4.0), "1"),
        (RateLimited("…"), "5"),
        (RateLimited("…", retry_after=float("inf")), "5"),
        (Overloaded("…", retry_after=30), "30"),
        (Overloaded("…"), "5"),
        (QuotaExhausted("…", retry_after=86_400), "86400"),
        (QuotaExhausted("…"), None),
        (UpstreamOverloaded("…", retry_after=2), "2"),
        (UpstreamFailed("…"), None),
    ],
)
def test_retry_after_is_whole_seconds_rounded_up(error: KirotrioError, header: str | None) -> None:
    assert error_body(error, None)[1].get("retry-after") == header


def test_a_message_that_utf_8_cannot_hold_is_still_told() -> None:
    _, _, body = error_body(UpstreamFailed("half \ud83d"), None)
    assert json.loads(body)["error"]["message"] == "half \ufffd"
