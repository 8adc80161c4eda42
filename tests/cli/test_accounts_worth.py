"""`kirotrio accounts usage` and `models`: how they look, and what they do against the simulator."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from kirotrio.accounts.credential import ApiKey, Social
from kirotrio.accounts.records import record_of
from kirotrio.cli.accounts import listing
from kirotrio.cli.accounts.listing import Line
from kirotrio.cli.accounts.states import State
from kirotrio.cli.accounts.worth import (
    LEGEND,
    ModelsOf,
    Worth,
    bar,
    models_as_json,
    print_models,
    print_worth,
    worth_as_json,
)
from kirotrio.config.settings import StoreSettings
from kirotrio.errors import AccountSuspended, UpstreamFailed
from kirotrio.kiro.models import STATIC_CATALOGUE, Catalogue, parse_models
from kirotrio.kiro.usage import AccountUsage, Allowance, Overage
from kirotrio.simulator import DEMO_API_KEY, DEMO_REFRESH_TOKEN, Extra, Simulator, Subscription
from kirotrio.store.account_record import AccountRecord
from kirotrio.store.accounts import add, find, update
from kirotrio.store.cooldowns import all_cooldowns
from kirotrio.store.migrate import open_store
from kirotrio.store.vault import open_vault

NOW = 1_800_000_000.0
DAY = 86_400.0
READY = State("ready")
WORK = AccountRecord(id="1", name="work", kind="social", email="kept@example.com")
USAGE = AccountUsage(
    plan="KIRO PRO",
    allowances=(
        Allowance("base", "Credit", used=25.5, limit=100.0),
        Allowance("trial", "free trial", used=10.0, limit=50.0, expires_at=NOW + 2 * DAY),
        Allowance("bonus", "Old", used=5.0, limit=5.0, active=False),
    ),
    overage=Overage(enabled=True, used=3.0, cap=20.0, charges=0.12, rate=0.04, currency="USD"),
    resets_at=NOW + 9.5 * DAY,
    email="me@example.com",
    fetched_at=NOW - 125,
)


def drawn(print_it: Any, *arguments: Any, terminal: bool = False, width: int = 300) -> str:
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=terminal,
        color_system="standard" if terminal else None,
        no_color=not terminal,
        highlight=False,
        legacy_windows=False,
        _environ={"TERM": "xterm"},
    )
    print_it(console, *arguments)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_row_tells_everything() -> None:
    text = drawn(print_worth, [Worth(WORK, READY, USAGE)], NOW)
    for said in (
        *("work", "KIRO PRO", "35.5/150", "10/50 until 2027-01-17", "over", "3/20 (0.12 USD)"),
        *("2027-01-24 (in 9 days)", "me@example.com", "active", "2 minutes ago", "##........"),
    ):
        assert said in text, said
    assert text.isascii(), "whoever reads a pipe gets plain ASCII"


def test_json_has_no_rest_of_binary_fractions() -> None:
    uneven = attrs.evolve(USAGE, allowances=(Allowance("base", "Credit", used=417.43, limit=1000.0),))
    assert uneven.as_json()["allowances"][0]["left"] != 582.57, "or this shows nothing"
    told = worth_as_json(Worth(WORK, READY, uneven), NOW)["usage"]
    assert told["allowances"][0]["left"] == 582.57
    assert (told["used"], told["resets_at"], told["plan"]) == (417.43, USAGE.resets_at, "KIRO PRO")


def test_a_terminal_gets_bars_and_colours() -> None:
    text = drawn(print_worth, [Worth(WORK, State("signed out"), USAGE)], NOW, terminal=True)
    assert "██░░░░░░░░" in text
    assert "\x1b[31m" in text, "a state that needs somebody is red"


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_narrow_terminal_has_the_rest_of_a_row_on_a_line_of_its_own(width: int) -> None:
    lines = drawn(print_worth, [Worth(WORK, READY, USAGE)], NOW, terminal=True, width=width).splitlines()
    (row,) = (line for line in lines if line.startswith(" work"))
    for said in ("KIRO PRO", "35.5/150", "2027-01-24 (in 9 days)", "active"):
        assert said in row, f"{said} is whole in the row"
    assert "trial 10/50 until 2027-01-17, bonus over, overage 3/20 (0.12 USD), e-mail me@example.com" in " ".join(
        " ".join(lines).split()
    )


@pytest.mark.parametrize("width", [24, 30, 40, 60])
def test_no_value_is_broken_in_however_narrow_a_terminal(width: int) -> None:
    said = drawn(print_worth, [Worth(WORK, READY, USAGE)], NOW, terminal=True, width=width).split()
    for word in ("35.5/150", "10/50", "2027-01-17,", "3/20", "2027-01-24", "me@example.com"):
        assert word in [*said, *(f"{told}," for told in said), *(told.rstrip(",") for told in said)], word
    models = [ModelsOf(WORK, STATIC_CATALOGUE, NOW)]
    wide = set(drawn(print_models, models, NOW).split())
    narrow = {word.strip(",:") for word in drawn(print_models, models, NOW, terminal=True, width=width).split()}
    assert {word for word in wide if word[0].isdigit()} <= narrow


@pytest.mark.parametrize("width", [30, 40, 60, 80])
def test_the_list_of_accounts_breaks_no_value(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    record = attrs.evolve(WORK, expires_at=NOW + 3600)
    lines = [
        Line(record, State("used up", NOW + DAY, "used"), "KIRO PRO", "me@example.com", NOW - 7200),
        Line(attrs.evolve(WORK, name="other"), READY, "", "", None),
    ]
    drawn_list = drawn(lambda console: _list_on(console, lines, monkeypatch), terminal=True, width=width)
    text = re.sub("\x1b\\[[0-9;]*m", "", drawn_list)
    words = {word.strip(",:") for word in text.split()}
    assert {"work", "social", "KIRO", "me@example.com", "2027-01-16", "2027-01-15", "2", "other", "ready"} <= words
    assert max(map(len, text.splitlines())) <= width


def _list_on(console: Console, lines: list[Line], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "console_of_output", lambda: console)
    listing._print(lines, NOW)


def test_accounts_of_which_little_is_known_have_rows_too() -> None:
    rows = [
        Worth(WORK, READY, None, UpstreamFailed("away")),
        Worth(attrs.evolve(WORK, name="locked"), READY, USAGE, AccountSuspended("locked")),
        Worth(attrs.evolve(WORK, name="off"), State("disabled"), AccountUsage(plan="KIRO FREE", fetched_at=NOW)),
        Worth(attrs.evolve(WORK, name="empty"), READY, attrs.evolve(USAGE, allowances=(Allowance("base", "", 9, 9),))),
        Worth(
            attrs.evolve(WORK, name="spent"),
            READY,
            AccountUsage(allowances=(Allowance("base", "", 9, 9),), resets_at=NOW - 1, fetched_at=NOW),
        ),
    ]
    lines = {line.split()[0]: line for line in drawn(print_worth, rows, NOW).splitlines()[1:]}
    assert "not known" in lines["work"]
    assert "kept@example.com" in lines["work"], "what the store knows"
    assert "suspended" in lines["locked"]
    assert "disabled" in lines["off"]
    assert "active" in lines["empty"], "overage is left"
    assert "used up" in lines["spent"]
    assert "2027-01-15 (passed)" in lines["spent"]


@given(st.floats(-1, 2), st.booleans())
def test_a_bar_is_ten_characters_and_never_lies_at_its_ends(part: float, fancy: bool) -> None:
    drawn_bar = bar(part, fancy=fancy)
    full, empty = ("█", "░") if fancy else ("#", ".")
    assert len(drawn_bar) == 10
    assert (drawn_bar == empty * 10) == (part <= 0)
    assert (drawn_bar == full * 10) == (part >= 1)


def test_models_tell_where_each_value_is_from() -> None:
    told = {
        "modelId": "claude-opus-5.5",
        "tokenLimits": {"maxInputTokens": 500_000},
        "supportedInputTypes": ["TEXT"],
    }
    own = Catalogue(parse_models({"models": [told, {"modelId": "newcomer"}]}), complete=True)
    text = drawn(print_models, [ModelsOf(WORK, own, NOW - 60)], NOW)
    (opus,) = (line.split() for line in text.splitlines() if line.startswith("claude-opus-5.5"))
    assert " ".join(opus) == "claude-opus-5.5 500000 64000* native* low medium high xhigh max* 2* no"
    (newcomer,) = (line.split() for line in text.splitlines() if line.startswith("newcomer"))
    assert newcomer == ["newcomer", "200000?", "-", "none?", "-", "-", "yes?"]
    assert LEGEND in text
    assert "work: asked 1 minute ago" in text
    (model, _) = models_as_json([ModelsOf(WORK, own, NOW - 60)], NOW)["models"]
    assert model["window"] == {"value": 500_000, "from": "account"}
    assert model["rate"] == {"value": 2.0, "from": "table"}


def test_several_accounts_promise_the_least() -> None:
    def having(window: int) -> ModelsOf:
        entry = {"modelId": "glm-5", "tokenLimits": {"maxInputTokens": window}}
        return ModelsOf(WORK, Catalogue(parse_models({"models": [entry]}), complete=True), NOW)

    (model,) = models_as_json([having(300), having(200), ModelsOf(WORK, STATIC_CATALOGUE, None)], NOW)["models"]
    assert model["window"] == {"value": 200, "from": "account"}
    assert "not asked yet" in drawn(print_models, [ModelsOf(WORK, STATIC_CATALOGUE, None)], NOW)


# -- against the simulator -------------------------------------------------------------------------------------------


@attrs.define
class Desk:
    simulator: Simulator
    environ: dict[str, str]
    data: Path

    async def run(self, *arguments: str) -> Any:
        with trio.fail_after(60):
            return await trio.run_process(
                [sys.executable, "-m", "kirotrio", "accounts", *arguments],
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env=self.environ,
            )

    async def json(self, *arguments: str, code: int = 0) -> Any:
        done = await self.run(*arguments, "--json")
        assert done.returncode == code, done.stderr.decode()
        return json.loads(done.stdout)

    def calls(self, operation: str) -> int:
        return sum(operation in record.call.path for record in self.simulator.ledger.requests)

    def in_store(self, work: Any, *, write: bool = True) -> Any:
        database = open_store("", self.data, deadline=5)
        try:
            vault = open_vault(database, StoreSettings(key_source="file"), self.data)
            run = database.writing if write else database.reading
            return run(lambda connection: work(connection, vault))
        finally:
            database.close()


@pytest.fixture
async def desk(tmp_path: Path, nursery: trio.Nursery) -> Desk:
    simulator = Simulator()
    upstream = await nursery.start(simulator.serve, "127.0.0.1", 0)
    data = tmp_path / "data"
    environ = {
        **{name: os.environ[name] for name in ("PATH", "COVERAGE_PROCESS_START") if name in os.environ},
        "HOME": str(tmp_path),
        "PYTHONPATH": os.getcwd(),
        "KIROTRIO_DATA_DIR": str(data),
        "KIROTRIO_UPSTREAM_URL": upstream,
        "KIROTRIO_AUTH_URL": upstream,
        "KIROTRIO_PORTAL_URL": upstream,
        "KIROTRIO_STORE_KEY_SOURCE": "file",
    }
    desk = Desk(simulator, environ, data)
    social, key = simulator.book.accounts[0], simulator.book.accounts[2]
    social.subscription = Subscription(
        limit=100, used=40, trial=Extra(50, time.time() + 10 * DAY, used=10), resets_at=time.time() + 5 * DAY
    )
    social.email = "me@example.com"
    key.subscription = Subscription("KIRO POWER", limit=10, used=10)
    records = [
        record_of("work", Social(refresh_token=DEMO_REFRESH_TOKEN, provider="Google")),
        record_of("key", ApiKey(DEMO_API_KEY)),
    ]
    desk.in_store(lambda connection, vault: [add(connection, vault, record) for record in records])
    return desk


async def test_usage_of_all_accounts_and_again_from_memory(desk: Desk) -> None:
    key, work = await desk.json("usage")
    assert (work["account"], work["state"], work["usage"]["email"]) == ("work", "active", "me@example.com")
    assert (work["usage"]["used"], work["usage"]["limit"], work["usage"]["left"]) == (50.0, 150.0, 100.0)
    assert (key["state"], key["usage"]["plan"], key["usage"]["left"]) == ("used up", "KIRO POWER", 0.0)
    asked = desk.calls("getUsageLimits")
    done = await desk.run("usage", "work")
    text = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    assert "50/150" in text
    assert "me@example.com" in text
    assert "POWER" not in text, "the other one was not asked about"
    assert text.isascii()
    assert desk.calls("getUsageLimits") == asked, "new figures are not asked for again"
    await desk.json("usage", "work", "--refresh")
    assert desk.calls("getUsageLimits") == asked + 1


async def test_a_refreshed_token_is_kept_and_one_that_is_refused_replaced(desk: Desk) -> None:
    await desk.json("usage", "work")

    def kept(connection: Any, vault: Any) -> AccountRecord:
        record = find(connection, vault, "work")
        assert record is not None
        return record

    first = desk.in_store(kept, write=False)
    assert first.secrets.refresh_token != DEMO_REFRESH_TOKEN, "the rotated token is in the store"
    desk.simulator.expire_access_tokens()
    (work,) = await desk.json("usage", "work", "--refresh")
    assert work["problem"] is None
    assert desk.in_store(kept, write=False).secrets.refresh_token != first.secrets.refresh_token


async def test_one_account_in_trouble_does_not_hide_the_others(desk: Desk) -> None:
    await desk.json("usage")
    desk.simulator.refuse("demo-social", "TEMPORARILY_SUSPENDED")
    key, work = await desk.json("usage", "--refresh", code=1)
    assert key["problem"] is None
    assert work["state"] == "suspended"
    assert "suspended" in work["problem"]
    assert work["usage"]["limit"] == 150.0, "what was known before"
    done = await desk.run("usage", "--refresh")
    assert done.returncode == 1
    assert b"kirotrio: work: Kiro has suspended the account" in done.stderr
    assert b"KIRO POWER" in done.stdout


@pytest.mark.parametrize("verb", [("usage", "--refresh"), ("models", "work", "--refresh"), ("test", "work")])
async def test_a_suspension_is_kept_whichever_verb_meets_it(desk: Desk, verb: tuple[str, ...]) -> None:
    desk.simulator.refuse("demo-social", "TEMPORARILY_SUSPENDED")
    done = await desk.run(*verb)
    assert done.returncode == 1
    assert b"suspended" in done.stderr
    work, key = desk.in_store(lambda connection, vault: [find(connection, vault, name) for name in ("work", "key")])
    assert (work.mark, key.mark) == ("suspended", ""), "as a gateway marks it"
    assert "suspended" in work.mark_reason


async def test_a_used_up_account_rests_until_its_reset(desk: Desk) -> None:
    desk.simulator.fail_next("ListAvailableModels", "MONTHLY_REQUEST_COUNT")
    await desk.run("test", "work")
    (row,) = desk.in_store(lambda connection, _: all_cooldowns(connection))
    assert (row.blame, row.model) == ("quota", "")
    assert row.until == pytest.approx(desk.simulator.book.accounts[0].subscription.resets_at, abs=1.0)


async def test_a_look_that_is_refused_says_nothing_of_requests(desk: Desk) -> None:
    desk.simulator.refuse("demo-social", "FEATURE_NOT_SUPPORTED")
    assert (await desk.run("models", "work", "--refresh")).returncode == 1
    assert desk.in_store(lambda connection, _: all_cooldowns(connection)) == []


async def test_what_cannot_be_kept_is_shown_all_the_same(desk: Desk) -> None:
    desk.simulator.refuse(desk.simulator.book.accounts[2].name, "TEMPORARILY_SUSPENDED")
    desk.environ["KIROTRIO_DEADLINES_STORE"] = "0.5"
    with contextlib.closing(sqlite3.connect(desk.data / "kirotrio.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = await desk.run("usage", "key", "--refresh", "--json")
        other.execute("ROLLBACK")
    (key,) = json.loads(done.stdout)
    assert key["state"] == "suspended"
    assert b"kirotrio: key: what was refused could not be kept" in done.stderr


async def test_an_account_that_cannot_be_opened_has_a_row(desk: Desk) -> None:
    def spoil(connection: Any, vault: Any) -> None:
        record = find(connection, vault, "work")
        assert record is not None
        update(connection, vault, record.id, follows='{"store": "elsewhere", "path": "/x"}')

    desk.in_store(spoil)
    key, work = await desk.json("usage", code=1)
    assert key["usage"] is not None
    assert work["usage"] is None
    assert work["problem"]


async def test_models_of_one_and_of_all(desk: Desk) -> None:
    social = desk.simulator.book.accounts[0]
    social.models = frozenset({"auto", "claude-haiku-4.5"})
    one = await desk.json("models", "work")
    assert [model["id"] for model in one["models"]] == ["auto", "claude-haiku-4.5"]
    assert one["models"][1]["window"] == {"value": 200_000, "from": "account"}
    everything = await desk.json("models")
    assert len(everything["models"]) > 2
    assert [account["account"] for account in everything["accounts"]] == ["key", "work"]
    done = await desk.run("models", "work")
    assert done.returncode == 0, done.stderr.decode()
    assert LEGEND.encode() in done.stdout


async def test_names_that_there_are_not(desk: Desk) -> None:
    for verb in ("usage", "models"):
        done = await desk.run(verb, "wrok")
        assert done.returncode == 1
        assert b"did you mean work?" in done.stderr
