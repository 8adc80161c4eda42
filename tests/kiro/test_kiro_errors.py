"""Every refusal of KIRO_PROTOCOL 4, in each of the forms it comes in, and bodies that nobody foresaw."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.errors import (
    AccountSuspended,
    AccountUnavailable,
    Blame,
    BodyInvalid,
    Cause,
    ContextOverflow,
    KirotrioError,
    NotFound,
    QuotaExhausted,
    RateLimited,
    Recovery,
    TooLarge,
    UpstreamFailed,
    UpstreamOverloaded,
)
from kirotrio.kiro.error_table import TABLE, Row
from kirotrio.kiro.errors import HUGE_BODY, from_exception, from_response

BODIES = Path(__file__).parent.parent / "data" / "kiro" / "error_bodies.jsonl"
RECORDED = [json.loads(line) for line in BODIES.read_text().splitlines()]

# One line for each line of error_bodies.jsonl, in its order.
MEANINGS: list[tuple[type[KirotrioError], Recovery, float | None, Blame]] = [
    (ContextOverflow, Recovery.NONE, None, Blame.NONE),
    (BodyInvalid, Recovery.NONE, None, Blame.NONE),
    (NotFound, Recovery.SWITCH_ACCOUNT, None, Blame.MODEL),
    (NotFound, Recovery.SWITCH_ACCOUNT, None, Blame.MODEL),
    (BodyInvalid, Recovery.NONE, None, Blame.NONE),
    (BodyInvalid, Recovery.RETRY, None, Blame.NONE),
    (BodyInvalid, Recovery.STRIP_SIGNATURES, None, Blame.NONE),
    (AccountUnavailable, Recovery.RESOLVE_PROFILE, None, Blame.NONE),
    (QuotaExhausted, Recovery.SWITCH_ACCOUNT, None, Blame.QUOTA),
    (QuotaExhausted, Recovery.SWITCH_ACCOUNT, None, Blame.QUOTA),
    (QuotaExhausted, Recovery.SWITCH_ACCOUNT, None, Blame.QUOTA),
    (AccountUnavailable, Recovery.REFRESH_TOKEN, None, Blame.NONE),
    (AccountUnavailable, Recovery.REFRESH_TOKEN, None, Blame.NONE),
    (AccountSuspended, Recovery.SWITCH_ACCOUNT, None, Blame.SUSPENDED),
    (AccountSuspended, Recovery.SWITCH_ACCOUNT, None, Blame.SUSPENDED),
    (RateLimited, Recovery.SWITCH_ACCOUNT, 300.0, Blame.BURN_RATE),
    (RateLimited, Recovery.NONE, 3600.0, Blame.SUSPICIOUS),
    (UpstreamOverloaded, Recovery.RETRY, None, Blame.NONE),
    (UpstreamOverloaded, Recovery.RETRY, None, Blame.NONE),
    (AccountUnavailable, Recovery.NONE, None, Blame.SIGN_IN),
    (AccountUnavailable, Recovery.RETRY, None, Blame.NONE),
]


def refusal(status: int, body: object, headers: dict[str, str] | None = None, **more: object) -> KirotrioError:
    return from_response(status, headers or {}, orjson.dumps(body), **more)


def test_every_recorded_body_has_its_meaning() -> None:
    assert len(RECORDED) == len(MEANINGS), "error_bodies.jsonl has grown: say here what the new lines mean"


@pytest.mark.parametrize(("recorded", "meaning"), list(zip(RECORDED, MEANINGS, strict=False)))
def test_recorded_body(
    recorded: dict[str, object], meaning: tuple[type[KirotrioError], Recovery, float | None, Blame]
) -> None:
    error = refusal(int(str(recorded["status"])), recorded["body"])
    assert (type(error), error.recovery, error.retry_after, error.blame) == meaning, error.message
    assert error.upstream_status == recorded["status"]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: (row.reasons + row.kinds + ("",))[0] or str(row.statuses))
def test_another_account_is_asked_only_for_what_is_this_accounts_own(row: Row) -> None:
    if row.recovery is Recovery.SWITCH_ACCOUNT:
        assert row.blame is not Blame.NONE, "or this account would be asked first again the next time"
    if row.blame is Blame.SUSPICIOUS:
        assert row.recovery is Recovery.NONE, "going on with other accounts is how those are locked as well"


@pytest.mark.parametrize(
    ("reason", "kind", "recovery"),
    [
        ("TOOL_USE_RESULT_MISMATCH", BodyInvalid, Recovery.NONE),
        ("TOOL_SCHEMA_INVALID", BodyInvalid, Recovery.NONE),
        ("TOOL_CONFIG_MISSING", BodyInvalid, Recovery.NONE),
        ("IMAGE_COUNT_EXCEEDED", BodyInvalid, Recovery.NONE),
        ("REQUEST_BODY_INVALID", BodyInvalid, Recovery.NONE),
        ("INVALID_CONVERSATION_ID", BodyInvalid, Recovery.NONE),
        ("INVALID_KMS_GRANT", AccountUnavailable, Recovery.NONE),
        ("CONVERSATION_LIMIT_EXCEEDED", QuotaExhausted, Recovery.SWITCH_ACCOUNT),
        ("DAILY_REQUEST_COUNT", QuotaExhausted, Recovery.SWITCH_ACCOUNT),
        ("FEATURE_NOT_SUPPORTED", AccountUnavailable, Recovery.SWITCH_ACCOUNT),
        ("INSUFFICIENT_MODEL_CAPACITY", UpstreamOverloaded, Recovery.RETRY),
        ("USER_REQUEST_RATE_EXCEEDED", RateLimited, Recovery.SWITCH_ACCOUNT),
        ("MODEL_TEMPORARILY_UNAVAILABLE", UpstreamOverloaded, Recovery.RETRY),
    ],
)
@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_a_reason_decides_whatever_the_status(
    reason: str, kind: type[KirotrioError], recovery: Recovery, status: int
) -> None:
    error = refusal(status, {"message": "words that nobody has seen before", "reason": reason})
    assert (type(error), error.recovery, error.upstream_reason) == (kind, recovery, reason)


def test_a_reason_beats_prose_that_says_something_else() -> None:
    error = refusal(429, {"message": "Too many requests, please wait.", "reason": "MONTHLY_REQUEST_COUNT"})
    assert isinstance(error, QuotaExhausted)


def test_a_suspension_beats_the_token_error_that_its_status_suggests() -> None:
    error = refusal(403, {"message": "The bearer token is fine, but", "reason": "TEMPORARILY_SUSPENDED"})
    assert isinstance(error, AccountSuspended)


@pytest.mark.parametrize(
    ("status", "kind", "recovery"),
    [
        (200, UpstreamFailed, Recovery.NONE),
        (302, UpstreamFailed, Recovery.NONE),
        (400, BodyInvalid, Recovery.NONE),
        (401, AccountUnavailable, Recovery.REFRESH_TOKEN),
        (402, QuotaExhausted, Recovery.SWITCH_ACCOUNT),
        (403, AccountUnavailable, Recovery.REFRESH_TOKEN),
        (404, UpstreamFailed, Recovery.NONE),
        (407, UpstreamFailed, Recovery.NONE),
        (408, UpstreamFailed, Recovery.RETRY),
        (409, UpstreamFailed, Recovery.NONE),
        (413, TooLarge, Recovery.NONE),
        (423, AccountSuspended, Recovery.SWITCH_ACCOUNT),
        (429, RateLimited, Recovery.SWITCH_ACCOUNT),
        (500, UpstreamFailed, Recovery.RETRY),
        (502, UpstreamFailed, Recovery.RETRY),
        (503, UpstreamOverloaded, Recovery.RETRY),
        (504, UpstreamFailed, Recovery.RETRY),
        (520, UpstreamFailed, Recovery.RETRY),
        (524, UpstreamFailed, Recovery.NONE),
    ],
)
def test_a_bare_status(status: int, kind: type[KirotrioError], recovery: Recovery) -> None:
    error = from_response(status, {}, b"")
    assert (type(error), error.recovery) == (kind, recovery)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"X-Amzn-ErrorType": "ThrottlingException:http://internal.amazon.com/"}, {"Message": "slow"}),
        ({}, {"__type": "com.amazon.aws.codewhisperer#ThrottlingException", "message": "slow"}),
        ({}, {"__type": "ThrottlingException"}),
        ({}, {"error": {"__type": "x#ThrottlingException", "message": "slow"}}),
        ({}, {"error": {"reason": "USER_REQUEST_RATE_EXCEEDED", "Message": "slow"}}),
    ],
)
def test_every_place_where_the_type_may_stand(headers: dict[str, str], body: object) -> None:
    assert isinstance(refusal(400, body, headers), RateLimited)


def test_access_denied_of_the_control_plane_is_a_refused_token() -> None:
    error = refusal(400, {"__type": "com.amazon.kiro.controlplane#AccessDeniedException"})
    assert error.recovery is Recovery.REFRESH_TOKEN


def test_an_unsupported_application_is_not_refreshed_in_a_loop() -> None:
    error = refusal(403, {"message": "Your subscription does not support this application"})
    assert error.recovery is Recovery.SWITCH_ACCOUNT


@pytest.mark.parametrize(
    ("value", "now", "seconds"),
    [
        ("7", None, 7.0),
        (" 7 ", None, 7.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1792567640.0, 40.0),
        ("Wed, 21 Oct 2026 07:28:00 -0000", 1792567640.0, 40.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1792567999.0, 0.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None, 30.0),
        ("soon", 1792567640.0, 30.0),
        ("-5", None, 30.0),
        ("9" * 400, None, 31 * 86_400.0),
    ],
)
def test_retry_after(value: str, now: float | None, seconds: float) -> None:
    assert from_response(429, {"Retry-After": value}, b"", now=now).retry_after == seconds


def test_the_header_beats_the_body_beats_our_own_figure() -> None:
    body = {"reason": "CREDIT_CONSUMPTION_RATE_EXCEEDED", "retryAfterMilliseconds": 1500}
    assert refusal(429, body, {"retry-after": "4"}).retry_after == 4.0
    assert refusal(429, body).retry_after == 1.5
    assert refusal(429, {"reason": "CREDIT_CONSUMPTION_RATE_EXCEEDED"}).retry_after == 300.0
    assert refusal(429, {**body, "retryAfterMilliseconds": True}).retry_after == 300.0


def test_improperly_formed_and_huge_reads_as_too_long() -> None:
    body = {"message": "Improperly formed request.", "reason": None}
    huge = refusal(400, body, body_size=HUGE_BODY)
    assert isinstance(huge, ContextOverflow)
    assert str(huge).startswith("prompt is too long"), "clients recognise this beginning and compact"
    assert str(HUGE_BODY) in huge.message
    assert isinstance(refusal(400, body, body_size=HUGE_BODY - 1), BodyInvalid)
    named = {"message": "Improperly formed request.", "reason": "TOOL_SCHEMA_INVALID"}
    assert isinstance(refusal(400, named, body_size=HUGE_BODY), BodyInvalid), "its reason is known: not its size"


def test_the_message_names_the_account_and_what_to_do() -> None:
    error = refusal(403, {"message": "Token expired"}, account="work")
    assert "'work'" in error.message
    assert "kiro-cli login" in error.message
    assert "Token expired" in error.message


def test_the_request_id_is_kept() -> None:
    error = from_response(500, {"X-Amzn-RequestId": "abc-1"}, b"{}")
    assert error.upstream_request_id == "abc-1"


def test_a_page_is_quoted_as_what_it_is() -> None:
    error = from_response(502, {}, b"<html>\n  <h1>Bad gateway</h1>")
    assert "The answer began: <html> <h1>Bad gateway</h1>" in error.message


@pytest.mark.parametrize(
    "secret",
    ["ksk_0123456789abcdef0123", "aoaAAAAAGexampleexample:MGUCexample", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.x"],
)
def test_a_token_in_the_body_is_blotted_out(secret: str) -> None:
    error = refusal(403, {"message": f"The bearer token {secret} is invalid", "reason": secret + "!"})
    assert secret not in error.message
    assert "[secret]" in error.message


@pytest.mark.parametrize(
    ("kind", "message", "reason", "error", "recovery"),
    [
        ("ThrottlingException", "slow down", None, RateLimited, Recovery.SWITCH_ACCOUNT),
        ("ThrottlingException", "", "INSUFFICIENT_MODEL_CAPACITY", UpstreamOverloaded, Recovery.RETRY),
        ("InternalServerException", "", None, UpstreamOverloaded, Recovery.RETRY),
        ("ServiceUnavailableException", "", None, UpstreamOverloaded, Recovery.RETRY),
        ("ValidationException", "no", None, BodyInvalid, Recovery.NONE),
        ("ValidationException", "Input is too long.", None, ContextOverflow, Recovery.NONE),
        ("AccessDeniedException", "no", None, AccountUnavailable, Recovery.REFRESH_TOKEN),
        ("Exception", "error", None, UpstreamFailed, Recovery.RETRY),
        ("", "", None, UpstreamFailed, Recovery.RETRY),
    ],
)
def test_exceptions_inside_the_stream(
    kind: str, message: str, reason: str | None, error: type[KirotrioError], recovery: Recovery
) -> None:
    failure = from_exception(kind, message, reason)
    assert (type(failure), failure.recovery) == (error, recovery)
    assert failure.message
    assert failure.upstream_status is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
error_bodies = st.dictionaries(
    st.sampled_from(["message", "Message", "reason", "__type", "error", "retryAfterMilliseconds", "code"]),
    json_values | st.dictionaries(st.sampled_from(["message", "reason", "retryAfterMilliseconds"]), json_values),
).map(lambda body: json.dumps(body).encode())


@given(
    status=st.integers(-1, 1000),
    body=st.binary(max_size=3000) | error_bodies,
    retry_after=st.text(max_size=40),
    now=st.none() | st.floats(0, 4e9),
)
def test_no_answer_is_beyond_the_table(status: int, body: bytes, retry_after: str, now: float | None) -> None:
    error = from_response(status, {"Retry-After": retry_after}, body, now=now, body_size=len(body))
    assert error.message.strip()
    assert str(error) == error.message
    assert isinstance(error.cause, Cause)
    assert error.cause is not Cause.INTERNAL
    assert error.retry_after is None or 0 <= error.retry_after <= 31 * 86_400
    assert len(error.message) < 800


@given(filler=st.characters(min_codepoint=33, max_codepoint=0x3000), status=st.sampled_from([200, 400, 403, 429, 500]))
def test_no_more_than_500_characters_of_a_body_are_repeated(filler: str, status: int) -> None:
    text = filler * 5000
    for body in (text.encode(), orjson.dumps({"message": text, "reason": text}), orjson.dumps({"error": text})):
        error = from_response(status, {"x-amzn-requestid": text}, body)
        told = error.message + (error.upstream_reason or "")
        assert filler * 501 not in told
        assert len(error.upstream_request_id or "") <= 128


@given(kind=st.text(), message=st.text(), reason=st.none() | st.text())
def test_no_exception_frame_is_beyond_the_table(kind: str, message: str, reason: str | None) -> None:
    error = from_exception(kind, message, reason)
    assert error.message.strip()
    assert error.cause is not Cause.INTERNAL


def test_an_exception_that_nobody_knows_is_a_broken_answer_worth_another_attempt() -> None:
    error = from_exception("SurprisingException", "", None)
    assert (type(error), error.recovery) == (UpstreamFailed, Recovery.RETRY)
    assert "SurprisingException" in error.message
    assert "an unnamed exception" in from_exception("", "", None).message


def test_an_exception_inside_the_stream_has_the_pause_of_its_meaning() -> None:
    assert from_exception("ThrottlingException", "x", "CREDIT_CONSUMPTION_RATE_EXCEEDED").retry_after == 300.0
    assert from_exception("InternalServerException", "x", None).retry_after is None


@pytest.mark.parametrize(
    ("status", "part", "recovery"),
    [
        (302, "an answer that is none (status 302)", Recovery.NONE),
        (200, "an answer that is none (status 200)", Recovery.NONE),
        (418, "refused the call (status 418)", Recovery.NONE),
        (599, "failed (status 599)", Recovery.RETRY),
    ],
)
def test_a_status_that_is_in_no_table_is_told_by_its_class(status: int, part: str, recovery: Recovery) -> None:
    error = refusal(status, {})
    assert part in error.message
    assert error.recovery is recovery


def test_an_overflow_that_was_guessed_prints_as_it_is_told() -> None:
    error = refusal(400, {"message": "Improperly formed request."}, body_size=HUGE_BODY)
    assert str(error) == error.message
    assert str(HUGE_BODY) in str(error)


def test_too_many_images_says_to_send_fewer() -> None:
    error = from_response(400, {}, b'{"message":"Too many images in the request.","reason":"IMAGE_COUNT_EXCEEDED"}')
    assert error.cause is Cause.BODY_INVALID
    assert "Send fewer" in error.message


@pytest.mark.parametrize(
    ("status", "reason", "message", "blame"),
    [
        (
            429,
            "USER_REQUEST_RATE_EXCEEDED",
            "Due to suspicious activity, we are imposing temporary limits",
            "SUSPICIOUS",
        ),
        (
            403,
            "FEATURE_NOT_SUPPORTED",
            "Your User ID (x) temporarily is suspended. We've locked your account",
            "SUSPENDED",
        ),
    ],
)
def test_a_suspicion_or_a_suspension_is_not_missed_whatever_reason_comes_with_it(
    status: int, reason: str, message: str, blame: str
) -> None:
    body = orjson.dumps({"message": message, "reason": reason})
    assert from_response(status, {}, body).blame is Blame[blame]
