"""The upstream's answers about a subscription, as one value."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.kiro.usage import AccountUsage, Allowance, Overage, parse_usage

DATA = Path(__file__).parent.parent / "data/kiro"
NOW = 1_770_000_000.0


def sample(name: str) -> AccountUsage:
    usage = parse_usage(json.loads((DATA / f"usage_limits_{name}.json").read_text()), fetched_at=NOW)
    assert usage is not None
    return usage


def parsed(answer: Any, **more: Any) -> AccountUsage:
    usage = parse_usage(answer, fetched_at=NOW, **more)
    assert usage is not None, "this is an answer about usage"
    return usage


def test_a_free_plan_as_it_was_recorded() -> None:
    assert sample("free_q") == AccountUsage(
        plan="KIRO FREE",
        plan_type="Q_DEVELOPER_STANDALONE_FREE",
        allowances=(Allowance("base", "Credit", used=11.21, limit=50.0),),
        overage=Overage(cap=10_000.0, rate=0.04, currency="USD"),
        resets_at=1_785_542_400.0,
        email="user@example.com",
        fetched_at=NOW,
    )
    assert (sample("free_q").used, sample("free_q").limit, sample("free_q").left) == (11.21, 50.0, 38.79)


def test_a_trial_on_the_portal_as_it_was_recorded() -> None:
    usage = sample("free_trial_portal")
    ends = datetime(2026, 2, 6, 18, 17, 54, 171_000, UTC).timestamp()
    assert usage.allowances == (
        Allowance("base", "Credit", used=0.0, limit=50.0),
        Allowance("trial", "free trial", used=389.88, limit=500.0, expires_at=ends),
    )
    assert (usage.used, usage.limit, usage.left, usage.total) == (389.88, 550.0, 160.12, 550.0)
    assert usage.resets_at == datetime(2026, 2, 1, tzinfo=UTC).timestamp()
    assert usage.user_id == "d-0000000000.redacted"


def test_a_paid_plan_as_it_was_recorded() -> None:
    usage = sample("pro_management")
    assert (usage.plan, usage.used, usage.limit, usage.left) == ("Kiro Pro", 1417.43, 2000.0, 582.57)
    assert not usage.overage.enabled, "OVERAGE_DISABLED is not enabled"
    assert usage.total == 2000.0


def credit(**members: Any) -> dict[str, Any]:
    return {"usageBreakdownList": [{"resourceType": "CREDIT", "usageLimit": 100, "currentUsage": 0, **members}]}


@pytest.mark.parametrize("status", ["ENABLED", "OVERAGE_ENABLED", "enabled"])
def test_overage_adds_its_cap_only_where_it_is_enabled(status: str) -> None:
    figures = credit(currentUsage=100, overageCap=40, currentOverages=1, currentOveragesWithPrecision=1.5)
    off = parsed(figures)
    on = parsed({**figures, "overageConfiguration": {"overageStatus": status}})
    assert (off.total, off.used_up) == (100.0, True)
    assert (on.total, on.left, on.used_up) == (140.0, 0.0, False), "what is charged is not what is paid for"
    assert (on.overage.used, on.overage.left) == (1.5, 38.5)
    full = parsed(
        {
            **credit(currentUsage=100, overageCap=40, currentOverages=40),
            "overageConfiguration": {"overageStatus": status},
        }
    )
    assert full.used_up


def test_bonuses_count_while_they_are_active_and_are_told_afterwards() -> None:
    bonuses = [
        {"displayName": "Welcome", "status": "ACTIVE", "usageLimit": 30, "currentUsage": 10, "expiresAt": NOW * 1000},
        {"bonusCode": "OLD", "status": "EXPIRED", "usageLimit": 70, "currentUsage": 1},
        {"status": "EXHAUSTED", "usageLimit": 5, "currentUsage": 5},
    ]
    usage = parsed(credit(bonuses=bonuses))
    assert [(bonus.name, bonus.active, bonus.left) for bonus in usage.of_kind("bonus")] == [
        ("Welcome", True, 20.0),
        ("OLD", False, 0.0),
        ("bonus", False, 0.0),
    ]
    assert (usage.used, usage.limit, usage.left) == (10.0, 130.0, 120.0)
    assert usage.of_kind("bonus")[0].expires_at == NOW, "milliseconds are seconds"


def test_an_overdrawn_part_takes_nothing_from_another() -> None:
    trial = {"freeTrialStatus": "ACTIVE", "usageLimit": 10, "currentUsage": 25}
    assert parsed(credit(freeTrialInfo=trial)).left == 100.0


@pytest.mark.parametrize(("expiry", "active"), [(NOW - 1, False), (NOW + 1, True), (None, True)])
def test_without_a_word_on_it_the_date_says_whether_a_trial_counts(expiry: float | None, active: bool) -> None:
    trial = {"freeTrialExpiry": expiry, "usageLimit": 10, "currentUsage": 0}
    assert parsed(credit(freeTrialInfo=trial)).of_kind("trial")[0].active is active


def test_which_item_counts() -> None:
    def item(kind: str, limit: int) -> dict[str, Any]:
        return {"resourceType": kind, "usageLimit": limit}

    vibe, spec, old, new = item("VIBE", 1), item("SPEC", 2), item("AGENTIC_REQUEST", 3), item("CREDIT", 4)
    for items, limit in (([vibe, spec, old, new], 4), ([vibe, old], 3), ([spec, vibe], 2)):
        assert parsed({"usageBreakdownList": items}).limit == limit, items
    assert parsed({"usageBreakdown": vibe}).limit == 1
    totals = {"type": "AGENTIC_REQUEST", "currentUsage": 7, "totalUsageLimit": 50, "percentUsed": 14}
    assert (parsed({"limits": [totals]}).used, parsed({"limits": [totals]}).limit) == (7.0, 50.0)


def test_what_is_not_told_is_not_known() -> None:
    usage = parsed({"subscriptionInfo": {"subscriptionTitle": "KIRO PRO"}})
    assert (usage.limit, usage.left, usage.total, usage.used_up) == (None, None, None, False)
    for nothing in (None, [], "x", 5, {}, {"message": "no"}, {"usageBreakdownList": None}):
        assert parse_usage(nothing, fetched_at=NOW) is None, nothing


def test_the_portals_word_on_the_person_completes_the_figures() -> None:
    user = {"email": "a@example.com", "userId": "u-1", "status": "Active"}
    assert (parsed(credit(), user=user).email, parsed(credit(), user=user).user_id) == ("a@example.com", "u-1")
    assert parsed(credit(), user=user).state == "active"
    assert parsed(credit(), user={"status": "Suspended"}).state == "suspended"
    assert parsed({**credit(), "userInfo": {"email": "b@example.com"}}, user=user).email == "b@example.com"


def test_the_user_id_is_not_shown_by_accident() -> None:
    assert "u-secret" not in repr(parsed({**credit(), "userInfo": {"userId": "u-secret"}}))


moments = st.integers(200_000_000, 4_102_444_800)


@given(moments)
def test_every_way_of_writing_the_reset_is_the_same_moment(at: int) -> None:
    text = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    for spelling in (at, float(at), at * 1000, text, str(at)):
        assert parsed({**credit(), "nextDateReset": spelling}).resets_at == at, spelling
        assert parsed(credit(nextDateReset=spelling)).resets_at == at, "of the item, where the plan has none"


amounts = st.floats(0, 1e6).map(lambda value: round(value, 2))
parts = st.tuples(amounts, amounts, st.booleans())


@given(base=st.tuples(amounts, amounts), trial=st.none() | parts, bonuses=st.lists(parts, max_size=4))
def test_totals_are_those_of_the_parts_that_count(base: Any, trial: Any, bonuses: Any) -> None:
    def precise(used: float, limit: float) -> dict[str, Any]:
        return {
            "currentUsage": int(used),
            "currentUsageWithPrecision": used,
            "usageLimit": int(limit),
            "usageLimitWithPrecision": limit,
        }

    members: dict[str, Any] = precise(*base)
    if trial is not None:
        members["freeTrialInfo"] = {**precise(*trial[:2]), "freeTrialStatus": "ACTIVE" if trial[2] else "EXPIRED"}
    members["bonuses"] = [{**precise(*one[:2]), "status": "ACTIVE" if one[2] else "EXPIRED"} for one in bonuses]
    usage = parsed(credit(**members))
    counted = [base, *(one[:2] for one in [trial, *bonuses] if one is not None and one[2])]
    assert usage.used == pytest.approx(sum(used for used, _ in counted))
    assert usage.limit == pytest.approx(sum(limit for _, limit in counted))
    assert usage.left == pytest.approx(sum(max(0.0, limit - used) for used, limit in counted))
    assert len(usage.allowances) == 1 + (trial is not None) + len(bonuses), "those that do not count are told as well"


scraps = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("usageBreakdownList", "usageBreakdown", "limits", "subscriptionInfo", "userInfo", "bonuses"),
                    *("freeTrialInfo", "usageLimit", "currentUsage", "nextDateReset", "overageConfiguration", "email"),
                    *("overageStatus", "overageCap", "resourceType", "subscriptionTitle", "status", "totalUsage"),
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@given(scraps, scraps)
def test_whatever_comes_nothing_is_raised_and_every_figure_is_one(answer: Any, user: Any) -> None:
    usage = parse_usage(answer, fetched_at=NOW, user=user)
    if usage is None:
        return
    told = usage.as_json()
    json.dumps(told, allow_nan=False)
    for name in ("used", "limit", "left", "total"):
        assert told[name] is None or (math.isfinite(told[name]) and told[name] >= 0), name
