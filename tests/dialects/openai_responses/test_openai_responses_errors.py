"""Failures as Codex understands them (CLIENTS 5.2)."""

from __future__ import annotations

import re

import pytest

from kirotrio.dialects.openai_responses import failed_error
from kirotrio.errors import (
    BodyInvalid,
    Cause,
    ContextOverflow,
    KirotrioError,
    QuotaExhausted,
    RateLimited,
    TooLarge,
    UpstreamFailed,
    UpstreamOverloaded,
)

CODEX = {"context_length_exceeded", "insufficient_quota", "usage_not_included", "rate_limit_exceeded"}
OURS = {"server_error", "invalid_prompt"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ContextOverflow(5, 4), "context_length_exceeded"),
        (QuotaExhausted("Used up until Monday."), "insufficient_quota"),
        (RateLimited("Slow down."), "rate_limit_exceeded"),
        (BodyInvalid("input.0", "is odd"), "invalid_prompt"),
        (TooLarge("too large"), "invalid_prompt"),
        (UpstreamOverloaded("busy"), "server_error"),
        (UpstreamFailed("cut"), "server_error"),
    ],
)
def test_codes(error: KirotrioError, code: str) -> None:
    told = failed_error(error)
    assert told["code"] == code
    assert error.message in told["message"]


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_code_that_is_known_and_a_sentence(cause: Cause) -> None:
    told = failed_error(KirotrioError("Something.", cause=cause))
    assert told["code"] in CODEX | OURS
    assert told["message"]


def test_the_wait_stands_in_the_message_as_codex_reads_it() -> None:
    message = failed_error(RateLimited("Slow down.", retry_after=2.2))["message"]
    wait = re.search(r"(?i)try again in\s*(\d+(?:\.\d+)?)\s*(s|ms|seconds?)", message)
    assert wait is not None
    assert wait.groups() == ("3", "s")


def test_an_internal_errors_message_stays_inside() -> None:
    assert "secret" not in failed_error(KirotrioError("secret"))["message"]
