"""CONTRACT's error table, its OpenAI column."""

from __future__ import annotations

import json

import pytest

from kirotrio.dialects.anthropic import error_body as anthropic_error_body
from kirotrio.dialects.openai_errors import error_body, error_object
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
    ReferenceNotFound,
    SettingsError,
    TooLarge,
    UpstreamFailed,
    UpstreamOverloaded,
)


@pytest.mark.parametrize(
    ("error", "status", "kind", "param", "code"),
    [
        (BodyInvalid("messages.0.role", "bad"), 400, "invalid_request_error", "messages.0.role", None),
        (BodyInvalid("", "bad"), 400, "invalid_request_error", None, None),
        (AuthenticationFailed("no key"), 401, "invalid_request_error", None, "invalid_api_key"),
        (PermissionDenied("no right"), 403, "permission_denied", None, "permission_denied"),
        (NotFound("no model x", model="x"), 404, "invalid_request_error", "model", "model_not_found"),
        (NotFound("no path"), 404, "invalid_request_error", None, None),
        (ReferenceNotFound("gone", param="p", code="c"), 404, "invalid_request_error", "p", "c"),
        (TooLarge("big"), 413, "invalid_request_error", None, None),
        (ContextOverflow(5, 4), 400, "invalid_request_error", None, "context_length_exceeded"),
        (RateLimited("slow"), 429, "rate_limit_exceeded", None, "rate_limit_exceeded"),
        (QuotaExhausted("used up"), 429, "insufficient_quota", None, "insufficient_quota"),
        (UpstreamOverloaded("full"), 503, "server_error", None, "overloaded"),
        (AccountUnavailable("sign in"), 503, "server_error", None, "account_unavailable"),
        (UpstreamFailed("cut"), 502, "server_error", None, "upstream_error"),
        (DeadlineExceeded("late"), 504, "server_error", None, "timeout"),
        (Overloaded("busy"), 503, "server_error", None, None),
        (KirotrioError("bug"), 500, "server_error", None, None),
        (KirotrioError("no POST", cause=Cause.METHOD_NOT_ALLOWED), 405, "invalid_request_error", None, None),
    ],
)
def test_the_table(error: KirotrioError, status: int, kind: str, param: str | None, code: str | None) -> None:
    given_status, headers, body = error_body(error, "req_1")
    assert given_status == status
    assert headers["content-type"] == "application/json"
    told = json.loads(body)
    assert told == {"error": error_object(error)}
    assert list(told["error"]) == ["message", "type", "param", "code"]
    assert (told["error"]["type"], told["error"]["param"], told["error"]["code"]) == (kind, param, code)
    if error.cause is not Cause.INTERNAL:
        assert error.message in told["error"]["message"]


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_its_row(cause: Cause) -> None:
    assert error_body(KirotrioError("x", cause=cause))[0] >= 400


@pytest.mark.parametrize("error", [KirotrioError("sk-secret"), SettingsError("sk-secret"), UpstreamFailed("")])
def test_internal_errors_tell_no_details(error: KirotrioError) -> None:
    message = error_object(error)["message"]
    assert "secret" not in message
    assert "internal error" in message


def test_an_overflow_is_named_in_the_text_too_since_agents_look_there() -> None:
    assert error_object(ContextOverflow())["message"] == "context_length_exceeded: prompt is too long"


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (RateLimited("…", retry_after=1.01), "2"),
        (RateLimited("…", retry_after=-4.0), "1"),
        (RateLimited("…"), "5"),
        (RateLimited("…", retry_after=float("inf")), "5"),
        (Overloaded("…"), "5"),
        (QuotaExhausted("…", retry_after=86_400), "86400"),
        (QuotaExhausted("…"), None),
        (UpstreamFailed("…"), None),
    ],
)
def test_retry_after_is_whole_seconds_rounded_up(error: KirotrioError, header: str | None) -> None:
    assert error_body(error)[1].get("retry-after") == header


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RateLimited("Slow down.", retry_after=1.5), "Slow down. Please try again in 2s."),
        (
            RateLimited("the next one begins at 00:00 UTC", retry_after=7),
            "the next one begins at 00:00 UTC. Please try again in 7s.",
        ),
        (RateLimited("Slow, try again in 9 s.", retry_after=9), "Slow, try again in 9 s."),
        (QuotaExhausted("Used up.", retry_after=9), "Used up."),
    ],
)
def test_a_rate_limit_tells_codex_how_long_to_wait(error: KirotrioError, message: str) -> None:
    assert error_object(error)["message"] == message


def test_an_error_that_a_repetition_would_only_cost_says_so_in_both_dialects() -> None:
    error = UpstreamFailed("unmet")
    for told in (error_body, anthropic_error_body):
        assert "x-should-retry" not in told(error, None)[1]
    error.should_retry = False
    for told in (error_body, anthropic_error_body):
        assert told(error, None)[1]["x-should-retry"] == "false"


def test_a_message_that_utf_8_cannot_hold_is_still_told() -> None:
    assert json.loads(error_body(UpstreamFailed("half \ud83d"))[2])["error"]["message"] == "half \ufffd"
