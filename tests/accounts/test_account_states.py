"""What a client is told when nobody can answer."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.accounts.cooldowns import Cooldown
from kirotrio.accounts.lending.states import NAMED, AccountState, moment, nobody
from kirotrio.errors import (
    AccountUnavailable,
    Blame,
    DeadlineExceeded,
    KirotrioError,
    NotFound,
    QuotaExhausted,
    RateLimited,
    Recovery,
    UpstreamFailed,
)

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC).timestamp()
RESET = datetime(2026, 12, 1, tzinfo=UTC).timestamp()


def cooled(name: str, blame: Blame, until: float = math.inf, reason: str = "Because.", model: str = "") -> AccountState:
    return AccountState(name, cooldown=Cooldown(blame, reason, NOW - 10, until, model))


RATE = cooled("fast", Blame.RATE, NOW + 25)
QUOTA = cooled("work", Blame.QUOTA, RESET)
LATER_QUOTA = cooled("spare", Blame.QUOTA, RESET + 86_400)
SUSPENDED = cooled("home", Blame.SUSPENDED)
SIGNED_OUT = cooled("old", Blame.SIGN_IN)
WITHOUT_MODEL = cooled("basic", Blame.MODEL, NOW + 5, model="claude-opus-5.5")
NOT_OFFERED = AccountState("free", offers=False, models=("claude-haiku-4.5", "auto"))
OFF = AccountState("off", enabled=False)
FULL = AccountState("busy", failure=RateLimited("The queue is full.", retry_after=12.0))
NO_ACCESS = cooled("odd", Blame.ACCESS, NOW + 60)


@pytest.mark.parametrize(
    ("reports", "kind", "wait"),
    [
        ([RATE], RateLimited, 25.0),
        ([QUOTA], QuotaExhausted, RESET - NOW),
        ([LATER_QUOTA, QUOTA], QuotaExhausted, RESET - NOW),
        ([QUOTA, SUSPENDED], QuotaExhausted, RESET - NOW),
        ([QUOTA, RATE, SUSPENDED], RateLimited, 25.0),
        ([RATE, FULL, QUOTA], RateLimited, 12.0),
        ([SUSPENDED], AccountUnavailable, None),
        ([SIGNED_OUT, SUSPENDED], AccountUnavailable, None),
        ([NOT_OFFERED, SIGNED_OUT], AccountUnavailable, None),
        ([OFF], AccountUnavailable, None),
        ([NO_ACCESS, SUSPENDED], AccountUnavailable, 60.0),
        ([NO_ACCESS, RATE], RateLimited, 25.0),
        ([NOT_OFFERED], NotFound, None),
        ([NOT_OFFERED, OFF], NotFound, None),
        ([WITHOUT_MODEL, NOT_OFFERED], NotFound, None),
        ([WITHOUT_MODEL, RATE], RateLimited, 25.0),
        ([], AccountUnavailable, None),
    ],
)
def test_the_earliest_hope_decides(reports: list[AccountState], kind: type[KirotrioError], wait: float | None) -> None:
    for order in (reports, reports[::-1]):
        error = nobody(order, "claude-opus-5.5", now=NOW)
        assert (type(error), error.retry_after) == (kind, wait), error.message
        for report in reports:
            assert f"{report.name}: " in error.message


def test_the_sentence_says_who_until_when_and_what_to_run() -> None:
    error = nobody([SUSPENDED, QUOTA, RATE, SIGNED_OUT, OFF], "claude-opus-5.5", now=NOW)
    assert error.message == (
        "No account can answer at present. "
        "fast: asked too often, paused until 2026-11-20 10:00:25 UTC; "
        "work: used up until 2026-12-01 00:00 UTC; "
        "home: suspended (have it unlocked, then run `kirotrio accounts enable home`); "
        "old: signed out (run `kirotrio login --again old`); "
        "off: switched off (run `kirotrio accounts enable off`)."
    )


def test_a_model_that_nobody_has_is_answered_with_those_there_are() -> None:
    other = AccountState("pro", offers=False, models=("auto", "claude-sonnet-5"))
    error = nobody([NOT_OFFERED, other], "claude-opus-5.5", now=NOW)
    assert "there are: auto, claude-haiku-4.5, claude-sonnet-5." in error.message
    assert isinstance(error, NotFound)
    assert error.model == "claude-opus-5.5"
    assert "not available to this account; it has: auto, claude-haiku-4.5." in nobody([NOT_OFFERED], "x", now=0).message


def test_a_suspicion_is_shown_word_for_word() -> None:
    words = "Due to suspicious activity, we are imposing temporary limits on how frequently your account (d-1) can …"
    error = nobody([cooled("work", Blame.SUSPICIOUS, NOW + 21_600, words), QUOTA], "m", now=NOW)
    assert isinstance(error, RateLimited)
    assert error.retry_after == 21_600
    assert words in error.message


def test_the_one_failure_of_the_only_account_is_the_error() -> None:
    failure = DeadlineExceeded("The sign-in service did not answer", recovery=Recovery.RETRY)
    assert nobody([AccountState("work", failure=failure)], "m", now=NOW) is failure
    both = nobody([AccountState("work", failure=failure), SUSPENDED], "m", now=NOW)
    assert (type(both), both.retry_after) == (DeadlineExceeded, 1.0)
    assert "work: The sign-in service did not answer; home: suspended" in both.message
    unreachable = [AccountState(name, failure=UpstreamFailed("Unreachable.")) for name in ("a", "b")]
    assert isinstance(nobody(unreachable, "m", now=NOW), UpstreamFailed)


def test_names_are_quoted_for_the_shell() -> None:
    assert "login --again 'my work'" in nobody([cooled("my work", Blame.SIGN_IN)], "m", now=NOW).message


reports = st.lists(
    st.builds(
        AccountState,
        name=st.from_regex(r"[a-z]{3,8}", fullmatch=True),
        enabled=st.booleans(),
        offers=st.booleans(),
        models=st.lists(st.from_regex(r"[a-z]{1,4}", fullmatch=True), max_size=80).map(tuple),
        cooldown=st.none()
        | st.builds(
            Cooldown,
            st.sampled_from(Blame),
            st.just("Because."),
            st.just(NOW),
            st.floats(NOW, NOW + 1e7) | st.just(math.inf),
        ),
        failure=st.none() | st.builds(RateLimited, st.just("Full."), retry_after=st.none() | st.floats(0, 100)),
    ),
    max_size=30,
)


@given(reports, st.text(max_size=300))
def test_there_is_always_one_sentence_of_bounded_length(states: list[AccountState], model: str) -> None:
    error = nobody(states, model, now=NOW)
    assert error.message
    assert len(error.message) < 8000
    assert error.retry_after is None or 0.0 <= error.retry_after < math.inf
    if len(states) > NAMED:
        assert f"and {len(states) - NAMED} more" in error.message


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_a_moment_that_is_told_has_not_passed_too_early(time: float, now: float) -> None:
    form = "%Y-%m-%d %H:%M:%S UTC" if time - now < 3600 else "%Y-%m-%d %H:%M UTC"
    told = datetime.strptime(moment(time, now), form).replace(tzinfo=UTC).timestamp()
    assert 0 <= told - time < 60
