"""What each refusal means for the next requests, and how cooldowns live beside a database that others write too."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirotrio.accounts import cooldowns
from kirotrio.accounts.cooldowns import CEILING, Change, Cooldown, Cooldowns, cooldown_for
from kirotrio.config.settings import AccountSettings
from kirotrio.errors import AccountSuspended, AccountUnavailable, Blame, KirotrioError, RateLimited
from kirotrio.kiro.errors import from_response

SETTINGS = AccountSettings()
NOW = datetime(2026, 11, 18, 10, 20, 30, tzinfo=UTC).timestamp()
"""A Wednesday."""


def at(*moment: int) -> float:
    return datetime(*moment, tzinfo=UTC).timestamp()


def refusal(status: int, reason: str = "", message: str = "", headers: dict[str, str] | None = None) -> KirotrioError:
    return from_response(status, headers or {}, orjson.dumps({"message": message, "reason": reason or None}), now=NOW)


def failure(blame: Blame, retry_after: float | None = None) -> KirotrioError:
    return KirotrioError(f"because of {blame.value}", blame=blame, retry_after=retry_after)


# -- the table of KIRO_PROTOCOL 4 -------------------------------------------------------------------------------------

SUSPICIOUS = (
    "Due to suspicious activity, we are imposing temporary limits on how frequently your account (d-123) can send a "
    "request to Kiro while we investigate."
)
LOCKED = "Your User ID temporarily is suspended. We've locked your account as a security precaution."
ROWS: list[tuple[int, str, str, Blame, float]] = [
    (429, "USER_REQUEST_RATE_EXCEEDED", "", Blame.RATE, NOW + 30),
    (429, "SERVICE_REQUEST_RATE_EXCEEDED", "", Blame.RATE, NOW + 30),
    (429, "", "Too many requests, please wait before trying again.", Blame.RATE, NOW + 30),
    (429, "CREDIT_CONSUMPTION_RATE_EXCEEDED", "", Blame.BURN_RATE, NOW + 300),
    (429, "", SUSPICIOUS, Blame.SUSPICIOUS, NOW + SETTINGS.suspicion_pause),
    (402, "MONTHLY_REQUEST_COUNT", "You have reached the limit.", Blame.QUOTA, NOW + 3600),
    (402, "OVERAGE_REQUEST_LIMIT_EXCEEDED", "", Blame.QUOTA, NOW + 3600),
    (402, "CONVERSATION_LIMIT_EXCEEDED", "", Blame.QUOTA, NOW + 3600),
    (429, "MONTHLY_REQUEST_COUNT", "", Blame.QUOTA, NOW + 3600),
    (400, "MONTHLY_REQUEST_COUNT", "Maximum Request reached for this month.", Blame.QUOTA, NOW + 3600),
    (429, "USAGE_LIMIT_REACHED", "", Blame.QUOTA, NOW + 3600),
    (429, "HOURLY_REQUEST_COUNT", "", Blame.SHORT_QUOTA, at(2026, 11, 18, 11)),
    (429, "DAILY_REQUEST_COUNT", "", Blame.SHORT_QUOTA, at(2026, 11, 19)),
    (429, "WEEKLY_REQUEST_COUNT", "", Blame.SHORT_QUOTA, at(2026, 11, 23)),
    (403, "TEMPORARILY_SUSPENDED", "", Blame.SUSPENDED, math.inf),
    (403, "", LOCKED, Blame.SUSPENDED, math.inf),
    (423, "", "", Blame.SUSPENDED, math.inf),
    (400, "invalid_grant", "", Blame.SIGN_IN, math.inf),
    (400, "INVALID_MODEL_ID", "", Blame.MODEL, NOW + 300),
    (403, "FEATURE_NOT_SUPPORTED", "", Blame.ACCESS, NOW + 900),
    (403, "UNAUTHORIZED_CUSTOMIZATION_RESOURCE_ACCESS", "", Blame.ACCESS, NOW + 900),
    (403, "", "User is not authorized to make this call.", Blame.ACCESS, NOW + 900),
    (403, "", "Your subscription does not support this application", Blame.ACCESS, NOW + 900),
]


@pytest.mark.parametrize(("status", "reason", "message", "blame", "until"), ROWS)
def test_a_refusal_cools_the_account_down(status: int, reason: str, message: str, blame: Blame, until: float) -> None:
    error = refusal(status, reason, message)
    cooldown = cooldown_for(error, NOW, SETTINGS, model="claude-opus-5.5")
    assert cooldown is not None, f"{error.message} says something of the account"
    assert (cooldown.blame, cooldown.until, cooldown.began_at) == (blame, until, NOW)
    assert cooldown.model == ("claude-opus-5.5" if blame is Blame.MODEL else ""), "all else is of the whole account"
    assert message in cooldown.reason, "the upstream's own words are kept"
    assert cooldown.needs_person == (until == math.inf)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "CONTENT_LENGTH_EXCEEDS_THRESHOLD"),
        (400, "INVALID_CONVERSATION_ID"),
        (400, "TOOL_USE_RESULT_MISMATCH"),
        (400, "THINKING_SIGNATURE_INVALID"),
        (500, "REQUEST_BODY_INVALID"),
        (400, "INVALID_KMS_GRANT"),
        (401, ""),
        (403, ""),
        (404, ""),
        (408, ""),
        (429, "INSUFFICIENT_MODEL_CAPACITY"),
        (500, "MODEL_TEMPORARILY_UNAVAILABLE"),
        (500, ""),
        (503, ""),
        (524, ""),
    ],
)
def test_what_is_not_the_accounts_fault_does_not_cool_it_down(status: int, reason: str) -> None:
    assert cooldown_for(refusal(status, reason), NOW, SETTINGS, NOW + 86_400) is None


def test_the_upstreams_own_time_counts() -> None:
    told = {"retry-after": "7200"}
    for reason in ("USER_REQUEST_RATE_EXCEEDED", "CREDIT_CONSUMPTION_RATE_EXCEEDED", "WEEKLY_REQUEST_COUNT"):
        cooldown = cooldown_for(refusal(429, reason, headers=told), NOW, SETTINGS)
        assert cooldown is not None
        assert cooldown.until == NOW + 7200, reason
    soon = cooldown_for(refusal(429, "USER_REQUEST_RATE_EXCEEDED", headers={"retry-after": "3"}), NOW, SETTINGS)
    assert soon is not None
    assert soon.until == NOW + 3


def test_a_suspicion_is_waited_out_for_as_long_as_the_longer_of_both_says() -> None:
    for pause, told, expected in ((50_000.0, "3600", 50_000.0), (60.0, "7200", 7200.0)):
        error = refusal(429, message=SUSPICIOUS, headers={"retry-after": told})
        cooldown = cooldown_for(error, NOW, AccountSettings(suspicion_pause=pause))
        assert cooldown is not None
        assert cooldown.until == NOW + expected
        assert SUSPICIOUS in cooldown.reason


@pytest.mark.parametrize(
    ("resets_at", "until"),
    [
        (at(2026, 12, 1), at(2026, 12, 1)),
        (None, NOW + 3600),
        (NOW - 1, NOW + 3600),
        (NOW, NOW + 3600),
        (at(2126, 12, 1), NOW + 3600),
        (math.nan, NOW + 3600),
    ],
)
def test_a_used_up_plan_waits_for_a_reset_that_is_one(resets_at: float | None, until: float) -> None:
    cooldown = cooldown_for(failure(Blame.QUOTA), NOW, SETTINGS, resets_at)
    assert cooldown is not None
    assert cooldown.until == until


@given(st.sampled_from(["HOURLY", "DAILY", "WEEKLY"]), st.integers(0, 2**32))
def test_a_short_limit_ends_within_its_period_and_at_its_end(period: str, now: int) -> None:
    seconds = {"HOURLY": 3600, "DAILY": 86_400, "WEEKLY": 7 * 86_400}[period]
    error = KirotrioError("", blame=Blame.SHORT_QUOTA, upstream_reason=f"{period}_REQUEST_COUNT")
    cooldown = cooldown_for(error, now, SETTINGS)
    assert cooldown is not None
    assert now < cooldown.until <= now + seconds
    end = datetime.fromtimestamp(cooldown.until, UTC)
    assert cooldown.until % (seconds if period != "WEEKLY" else 86_400) == 0
    assert period != "WEEKLY" or end.weekday() == 0


@given(st.sampled_from(Blame), st.none() | st.floats(0, 1e6), st.none() | st.floats(0, 1e10), st.integers(0, 2000))
def test_a_cooldown_always_ends_after_it_began(
    blame: Blame, told: float | None, resets_at: float | None, repeats: int
) -> None:
    cooldown = cooldown_for(failure(blame, told), NOW, SETTINGS, resets_at, model="m", repeats=repeats)
    if blame is Blame.NONE:
        assert cooldown is None
    else:
        assert cooldown is not None
        assert cooldown.until >= NOW
        if told is not None and blame not in (Blame.QUOTA, Blame.MODEL):
            assert cooldown.until >= NOW + told, "never sooner than the upstream asks for"


# -- keeping them -----------------------------------------------------------------------------------------------------


def kept() -> Cooldowns:
    return Cooldowns(SETTINGS)


def until(cooldown: Cooldown | None) -> float:
    assert cooldown is not None
    return cooldown.until


def test_a_cooldown_is_in_force_until_its_end_and_for_its_account() -> None:
    known = kept()
    known.note("work", refusal(429), NOW)
    assert until(known.against("work", "any", NOW + 29.9)) == NOW + 30
    assert known.against("work", "any", NOW + 30) is None
    assert known.against("home", "any", NOW) is None
    assert known.note("work", refusal(503), NOW) is None


def test_a_model_that_is_not_offered_leaves_the_others() -> None:
    known = kept()
    known.note("work", refusal(400, "INVALID_MODEL_ID"), NOW, model="claude-opus-5.5")
    assert until(known.against("work", "claude-opus-5.5", NOW)) == NOW + 300
    assert known.against("work", "claude-sonnet-5", NOW) is None
    assert [one.model for one in known.of("work", NOW)] == ["claude-opus-5.5"]
    known.note("work", refusal(429, headers={"retry-after": "900"}), NOW)
    assert until(known.against("work", "claude-opus-5.5", NOW)) == NOW + 900, "of two the one that ends later"
    assert known.of("work", NOW + 1000) == []


@given(st.lists(st.tuples(st.sampled_from([b for b in Blame if b is not Blame.NONE]), st.floats(0, 500)), max_size=12))
def test_what_is_noted_never_shortens_what_is_known(noted: list[tuple[Blame, float]]) -> None:
    known, now, latest = kept(), NOW, 0.0
    for blame, pause in noted:
        now += pause
        cooldown = known.note("work", failure(blame), now, model="m")
        assert cooldown is not None
        latest = max(latest, cooldown.until)
        assert until(known.against("work", "m", now)) == latest


def test_rate_cooldowns_grow_until_one_request_succeeds() -> None:
    known, now, lengths = kept(), NOW, []
    for _ in range(9):
        cooldown = known.note("work", refusal(429), now)
        lengths.append(until(cooldown) - now)
        now = until(cooldown) + 1
    assert lengths == [30, 60, 120, 240, 480, 960, CEILING, CEILING, CEILING]
    known.served("work", "m", now)
    assert until(known.note("work", refusal(429), now + 5)) == now + 35, "and then begin anew"


def test_a_long_silence_makes_the_next_pause_short_again() -> None:
    known = kept()
    known.note("work", refusal(429), NOW)
    assert until(known.note("work", refusal(429), NOW + 86_400)) == NOW + 86_430


def test_requests_that_fail_together_are_one_failure() -> None:
    known = kept()
    for delay in range(8):
        known.note("work", refusal(429), NOW + delay)
    assert until(known.against("work", "m", NOW + 10)) == NOW + 37, "the last one's 30 seconds, not doubled"
    assert until(known.note("work", refusal(429), NOW + 100)) == NOW + 160


def test_an_answer_that_was_under_way_before_the_refusal_disproves_nothing() -> None:
    known = kept()
    known.note("work", refusal(429), NOW)
    known.served("work", "m", NOW - 5)
    assert known.against("work", "m", NOW + 1) is not None
    assert until(known.note("work", refusal(429), NOW + 40)) == NOW + 100, "nor does it end the growing"
    known.served("work", "m", NOW + 41)
    assert known.against("work", "m", NOW + 42) is None


@pytest.mark.parametrize("blame", [blame for blame in Blame if blame is not Blame.NONE])
def test_a_success_disproves_some_and_a_person_lifts_all(blame: Blame) -> None:
    known = kept()
    known.note("work", failure(blame), NOW, model="m")
    known.served("home", "m", NOW + 1)
    assert known.against("work", "m", NOW + 1) is not None, "another account's success says nothing"
    known.served("work", "m", NOW + 1)
    stays = blame in (Blame.SUSPICIOUS, Blame.SUSPENDED, Blame.SIGN_IN)
    assert (known.against("work", "m", NOW + 1) is not None) == stays
    known.lift("work", NOW + 2)
    assert known.against("work", "m", NOW + 2) is None


def test_only_what_is_named_is_lifted() -> None:
    known = kept()
    known.note("work", failure(Blame.QUOTA), NOW)
    known.note("home", failure(Blame.SUSPENDED), NOW)
    for name in ("work", "home"):
        known.lift(name, NOW + 1, Blame.QUOTA)
    assert known.against("work", "", NOW + 2) is None
    assert known.against("home", "", NOW + 2) is not None


def test_names_of_models_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooldowns, "MODELS", 5)
    known = kept()
    for number in range(20):
        known.note("work", refusal(400, "INVALID_MODEL_ID"), NOW + number, model=f"made-up-{number}")
    assert len(known.of("work", NOW + 20)) == 5
    assert known.against("work", "made-up-19", NOW + 20) is not None
    long = "x" * 5000
    cooldown = known.note("work", refusal(400, "INVALID_MODEL_ID"), NOW + 20, model=long)
    assert cooldown is not None
    assert len(cooldown.model) == 128
    assert known.against("work", long, NOW + 20) == cooldown


# -- beside a database ------------------------------------------------------------------------------------------------


class Table:
    """What a database holds of cooldowns, and how changes are to be written to it."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Cooldown] = {}

    def write(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            key = (change.account, change.model)
            row = self.rows.get(key)
            if row is not None and row.began_at < change.ended_before:
                row = None
                del self.rows[key]
            if change.cooldown is not None and (row is None or row.until < change.cooldown.until):
                self.rows[key] = change.cooldown

    def read(self) -> list[tuple[str, Cooldown]]:
        return [(account, cooldown) for (account, _), cooldown in self.rows.items()]


def sync(known: Cooldowns, table: Table, now: float) -> None:
    changes = known.changes()
    table.write(changes)
    known.saved(changes)
    known.load(table.read(), now)


def test_one_gateways_cooldown_becomes_the_others_and_its_end_too() -> None:
    table, one, other = Table(), kept(), kept()
    one.note("work", failure(Blame.QUOTA), NOW)
    sync(one, table, NOW)
    assert one.changes() == ()
    sync(other, table, NOW)
    assert other.against("work", "", NOW) == one.against("work", "", NOW) is not None
    other.served("work", "", NOW + 10)
    sync(other, table, NOW + 10)
    sync(one, table, NOW + 11)
    assert one.against("work", "", NOW + 11) is None


def test_what_is_not_written_yet_survives_a_reading() -> None:
    known = kept()
    known.note("work", failure(Blame.QUOTA), NOW)
    known.load([], NOW)
    assert known.against("work", "", NOW) is not None
    batch = known.changes()
    known.note("work", failure(Blame.SUSPENDED), NOW + 1)
    known.saved(batch)
    assert [change.cooldown.blame for change in known.changes() if change.cooldown] == [Blame.SUSPENDED]
    known.served("home", "", NOW)
    assert len(known.changes()) == 1, "a success that ends nothing is nothing to write"


def test_of_ours_and_anothers_the_one_that_ends_later_holds() -> None:
    known = kept()
    known.note("work", failure(Blame.RATE), NOW)
    known.load([("work", Cooldown(Blame.QUOTA, "", NOW - 1, NOW + 3600))], NOW)
    assert until(known.against("work", "", NOW)) == NOW + 3600


def test_a_newer_cooldown_of_another_gateway_outlives_an_older_success() -> None:
    known = kept()
    old = Cooldown(Blame.QUOTA, "", NOW, NOW + 3600)
    known.load([("work", old)], NOW)
    known.served("work", "", NOW + 10)
    known.load([("work", old)], NOW + 10)
    assert known.against("work", "", NOW + 10) is None, "the removal has still to be written"
    newer = Cooldown(Blame.QUOTA, "", NOW + 20, NOW + 3620)
    known.load([("work", newer)], NOW + 21)
    assert known.against("work", "", NOW + 21) == newer


def test_what_has_ended_stays_ended_when_something_shorter_begins_before_it_is_written() -> None:
    table, known = Table(), kept()
    known.note("work", failure(Blame.QUOTA), NOW)
    sync(known, table, NOW)
    known.served("work", "", NOW + 10)
    known.note("work", failure(Blame.RATE), NOW + 20)
    sync(known, table, NOW + 20)
    assert until(known.against("work", "", NOW + 20)) == NOW + 50


def test_an_account_that_is_gone_leaves_nothing() -> None:
    known = kept()
    known.note("work", failure(Blame.RATE), NOW)
    known.note("work", failure(Blame.MODEL), NOW, model="m")
    known.forget("work")
    assert (known.of("work", NOW), known.changes()) == ([], ())
    assert until(known.note("work", failure(Blame.RATE), NOW + 40)) == NOW + 70


steps = st.lists(
    st.tuples(
        st.sampled_from(["note", "served", "sync", "sync"]),
        st.integers(0, 1),
        st.sampled_from([Blame.RATE, Blame.QUOTA, Blame.MODEL, Blame.SUSPENDED]),
        st.sampled_from(["work", "home"]),
        st.integers(1, 200),
    ),
    max_size=30,
)


@settings(max_examples=100, deadline=None)
@given(steps)
def test_gateways_agree_once_both_have_written_and_read(happened: list[tuple[str, int, Blame, str, int]]) -> None:
    table, gateways, now = Table(), (kept(), kept()), NOW
    for step, which, blame, account, pause in happened:
        now += pause
        if step == "note":
            gateways[which].note(account, failure(blame), now, model="m")
        elif step == "served":
            gateways[which].served(account, "m", now - 1)
        else:
            sync(gateways[which], table, now)
    for gateway in (*gateways, *gateways):
        sync(gateway, table, now)
    for account in ("work", "home"):
        one, other = (gateway.of(account, now) for gateway in gateways)
        assert one == other
    assert all(gateway.changes() == () for gateway in gateways)


def test_our_own_refusals_say_nothing_of_the_account() -> None:
    known = kept()
    assert known.note("work", RateLimited("the queue is full", retry_after=9.0), NOW) is None
    assert known.note("work", AccountUnavailable("none"), NOW) is None
    assert known.note("work", AccountSuspended("locked"), NOW) is not None


def test_a_pause_is_over_once_the_clock_was_set_back() -> None:
    known, now = Cooldowns(AccountSettings()), 1_900_000_000.0
    known.note("a", RateLimited("too many", blame=Blame.RATE), now)
    known.note("b", KirotrioError("locked", blame=Blame.SUSPENDED), now)
    for back in (3600.0, 365 * 86_400.0):
        assert known.against("a", "", now - back) is None, "it would last for so long"
        assert known.against("b", "", now - back) is not None, "a person ends this one"
    assert known.against("a", "", now - 5) is not None, "clocks of gateways may differ"
