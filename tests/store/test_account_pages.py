"""Accounts are sought, sorted, filtered and cut in the database, on both engines; what they are worth stands beside."""

from __future__ import annotations

from typing import Any

import pytest
from support.engines import PlainSealer, emptied

from kirotrio.accounts import statements
from kirotrio.store import account_pages, accounts, cooldowns, request_rows, snapshots, user_rows, worth_rows
from kirotrio.store.account_record import AccountRecord, CooldownRow, Secrets, Worth
from kirotrio.store.database import Database
from kirotrio.store.listing import Listing
from kirotrio.store.user_record import Role, User

NOW = 1_900_000_000.0
SEALER = PlainSealer()


def kept(connection: Any, name: str, *, figures: dict[str, Any] | None = None, **values: Any) -> None:
    secrets = Secrets(refresh_token=f"token of {name}")
    record = AccountRecord(id=f"id-{name}", name=name, kind="social", secrets=secrets, **values)
    accounts.add(connection, SEALER, record, now=100.0)
    if figures is not None:
        worth_rows.put(connection, record.id, Worth(**{"fetched_at": 200.0, **figures}))


def paused(connection: Any, name: str, until: float, model: str = "") -> None:
    row = CooldownRow(account_id=f"id-{name}", model=model, blame="rate", began_at=NOW - 10, until=until)
    cooldowns.put(connection, row)


def asked(connection: Any, account: str, at: float) -> None:
    record = {"id": f"req-{account}-{at}", "at": at, "account": account, "outcome": "end_turn", "seconds": 1.0}
    request_rows.insert(connection, [record])


def filled(database: Database) -> None:
    def work(connection: Any) -> None:
        for name in ("ann", "gateway"):
            user_rows.add(connection, User(id=f"u-{name}", name=name, role=Role.MEMBER), "")
        kept(connection, "alpha", priority=20, figures={"plan": "PRO", "credits_left": 5.0, "resets_at": NOW + 2})
        kept(connection, "beta", priority=10, owner_id="u-ann", lent=False, email="Beta@Example.org")
        kept(connection, "Gamma", owner_id="u-gateway", figures={"plan": "FREE", "credits_left": 50.0})
        kept(connection, "delta", enabled=False, mark="suspended", mark_reason="locked")
        kept(connection, "epsilon", mark="suspended", figures={"email": "eve@example.org", "resets_at": NOW + 1})
        kept(connection, "zeta", registration_expires_at=NOW - 1)
        paused(connection, "beta", NOW + 60)
        paused(connection, "Gamma", NOW - 1)
        paused(connection, "alpha", NOW + 60, "claude-x")
        paused(connection, "epsilon", NOW + 60)
        asked(connection, "alpha", 500.0)
        asked(connection, "alpha", 700.0)
        asked(connection, "beta", 50.0)  # before it was made: another's that had its name
        asked(connection, "Gamma", 600.0)

    emptied(database).writing(work)


def names(database: Database, owner_id: str | None = None, **listing: Any) -> list[str]:
    asked_for = Listing(**listing)
    found = database.reading(lambda link: account_pages.page(link, asked_for, NOW, owner_id))
    return [row.record.name for row in found.rows]


def test_they_come_in_their_order_and_then_by_name(database: Database) -> None:
    filled(database)
    assert names(database) == ["beta", "alpha", "delta", "epsilon", "Gamma", "zeta"]
    assert names(database, size=2, page=2) == ["delta", "epsilon"]
    found = database.reading(lambda link: account_pages.page(link, Listing(size=2), NOW))
    assert (found.total, found.pages) == (6, 3)


@pytest.mark.parametrize(
    ("sort", "descending", "first"),
    [
        ("name", False, ["alpha", "beta", "delta"]),
        ("name", True, ["zeta", "Gamma", "epsilon"]),
        ("order", True, ["delta", "epsilon", "Gamma"]),
        ("state", False, ["alpha", "Gamma", "beta"]),
        ("state", True, ["delta", "epsilon", "zeta"]),
        ("plan", False, ["Gamma", "alpha", "beta"]),
        ("plan", True, ["alpha", "Gamma", "beta"]),
        ("left", False, ["alpha", "Gamma", "beta"]),
        ("left", True, ["Gamma", "alpha", "beta"]),
        ("reset", False, ["epsilon", "alpha", "beta"]),
        ("last_used", True, ["alpha", "Gamma", "beta"]),
    ],
)
def test_what_is_not_known_is_sorted_last_whichever_way(
    database: Database, sort: str, descending: bool, first: list[str]
) -> None:
    filled(database)
    assert names(database, sort=sort, descending=descending)[: len(first)] == first


def test_each_account_is_in_one_state(database: Database) -> None:
    filled(database)
    states = {state: names(database, filters={"state": state}) for state in ("usable", "cooling", "marked", "disabled")}
    assert states == {
        "usable": ["alpha", "Gamma"],
        "cooling": ["beta"],
        "marked": ["epsilon", "zeta"],
        "disabled": ["delta"],
    }
    assert names(database, filters={"state": "nonsense"}) == []


def test_they_are_filtered_by_plan_owner_and_lending(database: Database) -> None:
    filled(database)
    assert names(database, filters={"plan": "PRO"}) == ["alpha"]
    assert names(database, filters={"owner": "u-ann"}) == ["beta"]
    assert names(database, filters={"owner": "gateway"}) == ["alpha", "delta", "epsilon", "zeta"]
    assert names(database, filters={"owner": "u-gateway"}) == ["Gamma"], "a user may be called so"
    assert names(database, filters={"lent": "yes"}) == ["Gamma"]
    assert names(database, filters={"lent": "no"}) == ["beta"]
    assert names(database, filters={"lent": "perhaps"}) == []


def test_names_and_addresses_are_searched_in_any_case_of_letters(database: Database) -> None:
    filled(database)
    assert names(database, search="GAM") == ["Gamma"]
    assert names(database, search="example.org") == ["beta", "epsilon"], "also an address that Kiro alone told"
    assert names(database, search="%") == names(database, search="\0_") == []


def test_whoever_may_see_only_theirs_sees_no_others(database: Database) -> None:
    filled(database)
    assert names(database, "u-ann") == ["beta"]
    assert names(database, "u-ann", filters={"owner": "gateway"}) == []
    assert database.reading(lambda link: account_pages.find(link, "id-alpha", "u-ann")) is None
    assert database.reading(lambda link: account_pages.find(link, "no\0 \ud800")) is None
    mine = database.reading(lambda link: account_pages.choices(link, "u-ann"))
    every = database.reading(account_pages.choices)
    assert (mine.plans, dict(mine.owners)) == ((), {"u-ann": "ann"})
    assert (every.plans, dict(every.owners)) == (("FREE", "PRO"), {"u-ann": "ann", "u-gateway": "gateway"})


def test_one_comes_with_its_owner_its_worth_and_its_last_use_and_without_secrets(database: Database) -> None:
    filled(database)
    alpha = database.reading(lambda link: account_pages.find(link, "id-alpha"))
    beta = database.reading(lambda link: account_pages.find(link, "id-beta"))
    assert alpha is not None
    assert beta is not None
    assert alpha.worth == Worth(plan="PRO", credits_left=5.0, resets_at=NOW + 2, fetched_at=200.0)
    assert (alpha.owner, alpha.last_used_at, alpha.record.secrets) == ("", 700.0, Secrets())
    assert (beta.owner, beta.worth, beta.last_used_at) == ("ann", None, None)


LIMITS = '{"source": "limits", "answer": {"usageBreakdownList": [{"resourceType": "CREDIT", "currentUsage": %d, '
LIMITS += '"usageLimit": 100}], "subscriptionInfo": {"subscriptionTitle": "KIRO PRO"}}, "user": null}'


def test_what_kiro_says_of_the_usage_comes_to_figures_and_an_older_word_changes_none(database: Database) -> None:
    def figures(connection: Any) -> Worth | None:
        found = account_pages.find(connection, "id-work")
        return found.worth if found is not None else None

    def work(connection: Any) -> list[Worth | None]:
        kept(connection, "work")
        told = []
        for used, at in ((30, 300.0), (10, 200.0), (40, 400.0)):
            statements.keep_snapshot(connection, "id-work", "usage", LIMITS % used, at)
            told.append(figures(connection))
        statements.keep_snapshot(connection, "id-work", "models", "[]", 500.0)
        statements.keep_snapshot(connection, "id-gone", "usage", LIMITS % 1, 500.0)
        told.append(figures(connection))
        accounts.remove(connection, "id-work")
        assert worth_rows.unread(connection) == []
        return told

    first, older, newer, last = emptied(database).writing(work)
    assert first == Worth(plan="KIRO PRO", credits_used=30.0, credits_limit=100.0, credits_left=70.0, fetched_at=300.0)
    assert older == first
    assert newer is not None
    assert (newer.credits_left, newer.fetched_at) == (60.0, 400.0)
    assert last == newer


def test_what_an_earlier_version_was_told_is_read_when_the_store_is_opened(database: Database) -> None:
    def work(connection: Any) -> Worth | None:
        for name, content in (("work", LIMITS % 25), ("odd", "no json at all")):
            kept(connection, name)
            one = snapshots.Snapshot(account_id=f"id-{name}", topic="usage", content=content, fetched_at=300.0)
            snapshots.put(connection, one)
        assert [row[0] for row in sorted(worth_rows.unread(connection))] == ["id-odd", "id-work"]
        statements.tidy(connection, "this gateway", 0.0)
        assert [row[0] for row in worth_rows.unread(connection)] == ["id-odd"]
        found = account_pages.find(connection, "id-work")
        return found.worth if found is not None else None

    read = emptied(database).writing(work)
    assert read is not None
    assert (read.credits_left, read.fetched_at) == (75.0, 300.0)
