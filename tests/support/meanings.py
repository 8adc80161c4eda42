"""KIRO_PROTOCOL 4 as a table of what has to happen: who is asked, what is known of them afterwards, and what the
client is told. Written from the document, not from the product's own table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from attrs import frozen

from kirotrio.errors import Blame

RETRY_AFTER = 600
"""Seconds that the simulator asks for where it refuses for the rate: longer than any test lasts."""


@frozen
class Course:
    """Who is asked, of the accounts a, b and c in this order.

    `alone`: a is the only one. `all_refuse`: each answers the same. `passes`: only as many attempts fail as `fails`.
    """

    alone: str
    all_refuse: str
    passes: str
    fails: int = 1
    controls: str = ""


FINAL = Course("a", "a", "a")
REPEATED = Course("aaa", "aaa", "aa", controls="retry_after=0")
REPAIRED = Course("aa", "aa", "aa", controls="retry_after=0")
REFRESHED = Course("aa", "aab", "aab", fails=2)
SWITCHED = Course("a", "abc", "ab")
ASKED_TO_WAIT = Course("a", "abc", "ab", controls=f"retry_after={RETRY_AFTER}")

OVERLOADED = (529, "overloaded_error")
LIMITED = (429, "rate_limit_error")
INVALID = (400, "invalid_request_error")
UNAVAILABLE = (503, "api_error")
FAILED = (502, "api_error")


@frozen
class Meaning:
    """`name` is the simulator's. `blame`: the state of each account that refused, until `until`, which is told when it
    began; None: nothing is known against it."""

    name: str
    course: Course
    told: tuple[int, str]
    blame: Blame | None = None
    until: Callable[[float], float] = lambda began: math.nan
    retry_after: bool = False

    @property
    def succeeds(self) -> bool:
        """Whether somebody answers after all where the failure passes."""
        return self.course is not FINAL


def _seconds(wait: float) -> Callable[[float], float]:
    return lambda began: began + wait


def _for_ever(_: float) -> float:
    return math.inf


def _hour(began: float) -> float:
    return (began // 3600 + 1) * 3600


def _day(began: float) -> float:
    return (began // 86_400 + 1) * 86_400


def _week(began: float) -> float:
    today = datetime.fromtimestamp(_day(began) - 86_400, UTC)
    return (today + timedelta(days=7 - today.weekday())).timestamp()


def _month(began: float) -> float:
    """The simulator's plans begin anew on the first of each month."""
    today = datetime.fromtimestamp(_day(began) - 86_400, UTC)
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1).timestamp()


def _malformed(*names: str) -> list[Meaning]:
    return [Meaning(name, FINAL, INVALID) for name in names]


def _used_up(*names: str) -> list[Meaning]:
    return [Meaning(name, SWITCHED, LIMITED, Blame.QUOTA, _month, retry_after=True) for name in names]


def _suspended(*names: str) -> list[Meaning]:
    return [Meaning(name, SWITCHED, UNAVAILABLE, Blame.SUSPENDED, _for_ever) for name in names]


def _not_admitted(*names: str) -> list[Meaning]:
    return [Meaning(name, SWITCHED, UNAVAILABLE, Blame.ACCESS, _seconds(900)) for name in names]


def _too_often(*names: str) -> list[Meaning]:
    until = _seconds(RETRY_AFTER)
    return [Meaning(name, ASKED_TO_WAIT, LIMITED, Blame.RATE, until, retry_after=True) for name in names]


MEANINGS = [
    Meaning("CONTENT_LENGTH_EXCEEDS_THRESHOLD", FINAL, INVALID),
    *_malformed(
        "MALFORMED",
        "REQUEST_BODY_INVALID",
        "TOOL_USE_RESULT_MISMATCH",
        "TOOL_SCHEMA_INVALID",
        "TOOL_CONFIG_MISSING",
        "TOOL_DUPLICATE",
        "IMAGE_COUNT_EXCEEDED",
        "INVALID_CONVERSATION_ID",
        "500:MALFORMED",
        "503:TOOL_SCHEMA_INVALID",
    ),
    Meaning("INVALID_MODEL_ID", SWITCHED, (404, "not_found_error"), Blame.MODEL, _seconds(300)),
    Meaning("INVALID_MODEL", SWITCHED, (404, "not_found_error"), Blame.MODEL, _seconds(300)),
    Meaning("INVALID_TOOL_USE_FORMAT", REPAIRED, INVALID),
    Meaning("THINKING_SIGNATURE_INVALID", REPAIRED, INVALID),
    Meaning("INVALID_PROFILE_ARN", REPAIRED, UNAVAILABLE),
    Meaning("PROFILE_ARN_REQUIRED", REPAIRED, UNAVAILABLE),
    Meaning("INVALID_KMS_GRANT", FINAL, UNAVAILABLE),
    Meaning("CUSTOMER_KMS_KEY_DISABLED", FINAL, UNAVAILABLE),
    Meaning("CUSTOMER_KMS_KEY_INVALID_KEY_POLICY", FINAL, UNAVAILABLE),
    Meaning("MISMATCHED_KMS_KEY", FINAL, UNAVAILABLE),
    Meaning("BEARER_REFUSED", REFRESHED, UNAVAILABLE),
    Meaning("BEARER_INVALID", REFRESHED, UNAVAILABLE),
    Meaning("TOKEN_EXPIRED", REFRESHED, UNAVAILABLE),
    *_used_up(
        "MONTHLY_REQUEST_COUNT",
        "400:MONTHLY_REQUEST_COUNT",
        "429:MONTHLY_REQUEST_COUNT",
        "OVERAGE_REQUEST_LIMIT_EXCEEDED",
        "CONVERSATION_LIMIT_EXCEEDED",
        "USAGE_LIMIT_REACHED",
    ),
    Meaning("HOURLY_REQUEST_COUNT", SWITCHED, LIMITED, Blame.SHORT_QUOTA, _hour),
    Meaning("DAILY_REQUEST_COUNT", SWITCHED, LIMITED, Blame.SHORT_QUOTA, _day),
    Meaning("WEEKLY_REQUEST_COUNT", SWITCHED, LIMITED, Blame.SHORT_QUOTA, _week),
    *_suspended("SUSPENDED", "TEMPORARILY_SUSPENDED", "ACCOUNT_SUSPENDED"),
    *_not_admitted(
        "FEATURE_NOT_SUPPORTED",
        "UNAUTHORIZED_CUSTOMIZATION_RESOURCE_ACCESS",
        "UNAUTHORIZED_WORKSPACE_CONTEXT_FEATURE_ACCESS",
        "NOT_AUTHORIZED",
        "APPLICATION_NOT_SUPPORTED",
    ),
    *_too_often("TOO_MANY_REQUESTS", "USER_REQUEST_RATE_EXCEEDED", "SERVICE_REQUEST_RATE_EXCEEDED"),
    Meaning("CREDIT_CONSUMPTION_RATE_EXCEEDED", SWITCHED, LIMITED, Blame.BURN_RATE, _seconds(300), retry_after=True),
    # The account is left alone for as long as the settings say, and nobody is asked in its place.
    Meaning("SUSPICIOUS_ACTIVITY", FINAL, LIMITED, Blame.SUSPICIOUS, _seconds(21_600), retry_after=True),
    Meaning("INSUFFICIENT_MODEL_CAPACITY", REPEATED, OVERLOADED),
    Meaning("MODEL_TEMPORARILY_UNAVAILABLE", REPEATED, OVERLOADED),
    Meaning("HIGH_LOAD", REPEATED, OVERLOADED),
    Meaning("SERVICE_UNAVAILABLE", REPEATED, OVERLOADED),
    Meaning("UNAVAILABLE", REPEATED, OVERLOADED),
    Meaning("INTERNAL", REPEATED, OVERLOADED),
    Meaning("REQUEST_TIMEOUT", REPEATED, FAILED),
    Meaning("BAD_GATEWAY", REPEATED, FAILED),
    Meaning("GATEWAY_TIMEOUT", REPEATED, FAILED),
    Meaning("ORIGIN_TIMEOUT", FINAL, FAILED),
    Meaning("UNKNOWN_OPERATION", FINAL, FAILED),
    Meaning("RESOURCE_NOT_FOUND", FINAL, FAILED),
    Meaning("UNSUPPORTED_MEDIA_TYPE", FINAL, FAILED),
    Meaning("CONFLICT", FINAL, FAILED),
    Meaning("BODY_TOO_LARGE", FINAL, (413, "request_too_large")),
]
