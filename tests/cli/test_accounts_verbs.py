"""The verbs that look at and change accounts, in this process, on a store of their own."""

from __future__ import annotations

import contextlib
import getpass
import json
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import Result

from kirotrio.accounts.credential import ApiKey, Oidc, Social
from kirotrio.accounts.records import following, record_of
from kirotrio.cli.stores import Stores, with_store
from kirotrio.config import Folders, load_settings
from kirotrio.errors import SettingsError
from kirotrio.store import accounts as rows
from kirotrio.store import cooldowns, schema, snapshots
from kirotrio.store.account_record import AccountRecord

Run = Callable[..., Result]
TOKEN = "refresh-token-" + "x" * 120


@pytest.fixture
def stores(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The store that verbs of `run` open as well."""
    monkeypatch.setenv("KIROTRIO_DATA_DIR", str(home / "data"))
    monkeypatch.setenv("KIROTRIO_STORE_KEY_SOURCE", "file")
    overrides = {"data.dir": home / "data", "store.key_source": "file"}
    with with_store(load_settings(overrides=overrides, environ={}, folders=Folders())) as opened:
        yield opened


def kept(stores: Stores, name: str, **changes: Any) -> AccountRecord:
    credential = changes.pop("credential", None) or Social(refresh_token=f"{TOKEN}{name}", access_token=f"at-{name}")
    record = attrs.evolve(record_of(name, credential, follows=changes.pop("follows", "")), **changes)
    return stores.writing(lambda connection: rows.add(connection, stores.vault, record))


def listed(run: Run) -> dict[str, dict[str, Any]]:
    done = run("accounts", "--json")
    assert done.exit_code == 0, done.output
    return {account["name"]: account for account in json.loads(done.stdout)}


def test_without_accounts_it_says_how_to_get_one(run: Run, stores: Stores) -> None:
    done = run("accounts")
    assert done.exit_code == 0
    assert "kirotrio login" in done.stdout
    assert listed(run) == {}


def test_each_state_is_told_with_its_reason_and_no_secret(run: Run, stores: Stores, home: Path) -> None:
    now = time.time()
    kept(stores, "fine", email="me@example.com", expires_at=now + 3600)
    kept(stores, "off", enabled=False)
    kept(stores, "marked", mark="suspended", mark_reason="Kiro has locked it; write to them", marked_at=now)
    resting = kept(stores, "resting")
    kept(stores, "key", credential=ApiKey("ksk_secret_secret"))
    over = Oidc(refresh_token=TOKEN, client_id="c", client_secret="client-secret", registration_expires_at=now - 1)
    kept(stores, "over", credential=over)
    kept(stores, "followed", follows=following("ide", str(home / "token.json")))
    (home / "token.json").write_text(json.dumps({"refreshToken": TOKEN, "authMethod": "social"}))
    kept(stores, "gone", follows=following("ide", "/home/me/token.json"))
    row = cooldowns.CooldownRow(account_id=resting.id, blame="quota", reason="used", began_at=now, until=now + 86_400)
    model = attrs.evolve(row, account_id=resting.id, model="opus", blame="model", until=now + 2e6)
    stores.writing(lambda connection: [cooldowns.put(connection, row), cooldowns.put(connection, model)])

    accounts = listed(run)
    states = {name: account["state"] for name, account in accounts.items()}
    assert states == {
        "fine": "ready",
        "off": "disabled",
        "marked": "suspended",
        "resting": "used up",
        "key": "ready",
        "over": "signed out",
        "followed": "ready",
        "gone": "sign-in missing",
    }
    assert accounts["resting"]["until"] == pytest.approx(now + 86_400), "a pause of one model is not the account's"
    assert accounts["marked"]["until"] is None
    table = run("accounts")
    assert "marked: Kiro has locked it; write to them" in table.stdout
    assert "`kirotrio login --again over`" in table.stdout
    assert "`kirotrio accounts enable off`" in table.stdout
    assert "no sign-in is in /home/me/token.json any more" in table.stdout
    assert "`kirotrio login --again gone`" in table.stdout
    assert "kept in /home/me/token.json" in table.stdout
    assert "me@example.com" in table.stdout
    for secret in (TOKEN, "at-fine", "ksk_secret", "client-secret"):
        assert secret not in table.stdout + run("accounts", "--json").stdout


def test_the_plan_that_was_seen_last_is_shown(run: Run, stores: Stores) -> None:
    sample = json.loads((Path(__file__).parents[1] / "data/kiro/usage_limits_pro_management.json").read_bytes())
    account = kept(stores, "work")
    document = json.dumps({"source": "limits", "answer": sample})
    snapshot = snapshots.Snapshot(account_id=account.id, topic="usage", content=document, fetched_at=time.time())
    stores.writing(lambda connection: snapshots.put(connection, snapshot))
    assert listed(run)["work"]["plan"], "the sample has a plan"
    broken = attrs.evolve(snapshot, content="[", fetched_at=time.time() + 1)
    stores.writing(lambda connection: snapshots.put(connection, broken))
    assert listed(run)["work"]["plan"] == ""


def test_the_last_use_of_each_account_is_shown(run: Run, stores: Stores) -> None:
    now = time.time()
    for name, created_at in (("work", now - 7200), ("idle", now), ("anew", now - 60)):
        kept(stores, name, created_at=created_at)
    used = [("work", now - 7000), ("work", now - 3700), ("anew", now - 600), ("gone", now), ("", now)]
    records = [
        {"id": str(number), "at": at, "account": name, "outcome": "end_turn", "seconds": 1.0}
        for number, (name, at) in enumerate(used)
    ]
    stores.writing(lambda connection: connection.execute(schema.requests.insert(), records))
    accounts = listed(run)
    assert accounts["work"]["last_used"] == pytest.approx(now - 3700)
    assert (accounts["idle"]["last_used"], accounts["anew"]["last_used"]) == (None, None), "another was called so"
    lines = {line.split()[0]: line for line in run("accounts").stdout.splitlines() if line}
    assert "1 hour ago" in lines["work"]
    assert "ago" not in lines["idle"] + lines["anew"]


def test_a_sign_in_that_a_setting_names_is_told_to_answer_alone(run: Run, stores: Stores) -> None:
    kept(stores, "work")
    done = run("accounts", KIROTRIO_ACCOUNTS_API_KEY="ksk_0123456789")
    assert "accounts.api_key names a sign-in" in done.stdout
    assert "no account is asked while it is set" in done.stdout
    assert "ksk_0123456789" not in done.stdout


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"REFRESH_TOKEN": "xyz"}, "accounts.refresh_token names a sign-in that cannot be used: the refresh token has"),
        ({"KIRO_CREDS_FILE": "/no/such/file"}, "/no/such/file: accounts.creds_file names it, and no sign-in is there"),
    ],
)
def test_a_named_sign_in_that_cannot_be_used_does_not_answer(
    named: dict[str, str], said: str, run: Run, stores: Stores
) -> None:
    kept(stores, "work")
    (line,) = [line for line in run("accounts", **named).stdout.splitlines() if line.startswith(said)]
    assert line.endswith(". Nothing answers until then; no account is asked while it is set.")
    assert "It answers" not in line


def test_a_sign_in_of_another_program_is_shown_where_nothing_is_kept(run: Run, stores: Stores, home: Path) -> None:
    cache = home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    token = {"refreshToken": TOKEN, "accessToken": "a", "expiresAt": "2030-01-01T00:00:00Z", "authMethod": "social"}
    (cache / "kiro-auth-token.json").write_text(json.dumps(token))
    assert f"social in {cache / 'kiro-auth-token.json'}" in run("accounts").stdout
    kept(stores, "work")
    assert "kiro-auth-token.json" not in run("accounts").stdout, "it does not answer any more"


def test_enabling_clears_a_mark_and_disabling_stays_signed_in(run: Run, stores: Stores) -> None:
    kept(stores, "a", mark="sign_in", mark_reason="over", marked_at=1.0, enabled=False)
    kept(stores, "b")
    done = run("accounts", "enable", "a", "b")
    assert done.exit_code == 0
    assert "a is enabled; it is no longer marked as signed out" in done.stdout
    assert "b is enabled\n" in done.stdout
    assert listed(run)["a"]["state"] == "ready"
    assert run("accounts", "disable", "a", "a").exit_code == 0
    assert listed(run)["a"]["state"] == "disabled"
    assert stores.account("a").secrets.refresh_token == f"{TOKEN}a"


def test_enabling_ends_the_pauses_of_an_account_and_no_others(run: Run, stores: Stores) -> None:
    ends = time.time() + 86_400
    for name in ("a", "b"):
        account = kept(stores, name).id
        for model, blame in (("", "suspicious"), ("some", "model")):
            row = cooldowns.CooldownRow(account_id=account, model=model, blame=blame, began_at=1.0, until=ends)
            stores.writing(lambda connection, row=row: cooldowns.put(connection, row))
    assert listed(run)["a"]["state"] != "ready"
    assert "a is enabled; it is no longer paused" in run("accounts", "enable", "a").stdout
    states = {name: account["state"] for name, account in listed(run).items()}
    assert states["a"] == "ready"
    assert states["b"] != "ready"
    left = stores.reading(cooldowns.all_cooldowns)
    assert {row.account_id for row in left} == {stores.account("b").id}, left


def test_an_unknown_name_changes_nothing_and_says_what_was_meant(run: Run, stores: Stores) -> None:
    kept(stores, "work")
    done = run("accounts", "disable", "work", "wrok")
    assert done.exit_code == 1
    assert "there is no account wrok; did you mean work?" in done.stderr
    assert listed(run)["work"]["state"] == "ready", "all or nothing"
    assert "`kirotrio accounts` lists all" in run("accounts", "test", "zzz").stderr
    with pytest.raises(SettingsError):
        stores.account("zzz")


def test_renaming_keeps_the_account_and_no_name_is_given_twice(run: Run, stores: Stores) -> None:
    before = kept(stores, "old")
    kept(stores, "other")
    assert run("accounts", "rename", "old", "new").exit_code == 0
    assert stores.account("new").id == before.id
    taken = run("accounts", "rename", "new", "other")
    assert taken.exit_code == 1
    assert "other" in taken.stderr
    assert run("accounts", "rename", "new", "a/b").exit_code == 2


def test_removing_has_to_be_meant(run: Run, stores: Stores) -> None:
    kept(stores, "work")
    kept(stores, "followed", follows=following("ide", "/x"))
    unasked = run("accounts", "remove", "work")
    assert unasked.exit_code == 2
    assert "--yes" in unasked.stderr
    assert "work" in listed(run)
    done = run("accounts", "remove", "work", "followed", "--yes")
    assert "work is removed; its sign-in at Kiro remains" in done.stdout
    assert "its tokens stay with the program that it followed" in done.stdout
    assert listed(run) == {}


def test_values_of_one_account_are_set_and_given_back(run: Run, stores: Stores) -> None:
    kept(stores, "work")
    values = {
        "--region": "eu-central-1",
        "--flavour": "runtime",
        "--endpoint": "http://box:1",
        "--proxy": "socks5://me:swordfish@box:2",
        "--max-concurrent": "0",
        "--per-minute": "12",
        "--priority": "3",
    }
    done = run("accounts", "set", "work", *(word for pair in values.items() for word in pair))
    assert done.exit_code == 0, done.output
    assert "swordfish" not in done.output
    record = stores.account("work")
    assert (record.region, record.flavour, record.endpoint) == ("eu-central-1", "runtime", "http://box:1")
    assert (record.max_concurrent, record.per_minute, record.priority) == (0, 12, 3)
    assert record.secrets.proxy_url == "socks5://me:swordfish@box:2"
    assert record.secrets.refresh_token == f"{TOKEN}work", "the token stays beside the new proxy"
    assert listed(run)["work"]["proxy"] == "own"
    done = run("accounts", "set", "work", *(word for name in values for word in (name, "default")))
    assert done.exit_code == 0, done.output
    for name in values:
        assert name.removeprefix("--") in done.stdout
    record = stores.account("work")
    assert record.priority == 100
    assert (record.region, record.flavour, record.endpoint, record.secrets.proxy_url) == ("", "", "", "")
    assert (record.max_concurrent, record.per_minute) == (None, None)
    assert run("accounts", "set", "work", "--proxy", "none").exit_code == 0
    assert listed(run)["work"]["proxy"] == "none"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--region", "moon"),
        ("--flavour", "sour"),
        ("--endpoint", "box"),
        ("--endpoint", "https://me:swordfish@box/x"),
        ("--proxy", "ftp://box"),
        ("--proxy", "http://me:sword@fish@box:1"),
        ("--proxy", "http://me:swordfish%zz@box:1"),
        ("--proxy", ""),
        ("--priority", "-1"),
        ("--max-concurrent", "-1"),
        ("--per-minute", "many"),
    ],
)
def test_wrong_values_are_wrong_usage(arguments: tuple[str, ...], run: Run, stores: Stores) -> None:
    kept(stores, "work")
    done = run("accounts", "set", "work", *arguments)
    assert done.exit_code == 2
    assert "fish" not in done.output


def test_a_token_goes_in_by_standard_input_alone(run: Run, stores: Stores) -> None:
    assert "standard input" in run("accounts", "add").stderr
    assert "only 5 characters" in run("accounts", "add", stdin=b"short\n").stderr
    assert "accounts import -" in run("accounts", "add", stdin=b'{"refreshToken": "x"}\n').stderr
    assert listed(run) == {}


def test_a_place_is_followed_with_its_tokens_left_there(run: Run, stores: Stores, home: Path) -> None:
    path = home / "token.json"
    token = {"refreshToken": TOKEN, "accessToken": "a", "expiresAt": "2030-01-01T00:00:00Z", "authMethod": "social"}
    path.write_text(json.dumps(token))
    nobody = {"KIROTRIO_UPSTREAM_URL": "http://127.0.0.1:1", "KIROTRIO_AUTH_URL": "http://127.0.0.1:1"}
    assert run("accounts", "add", "--follow", str(path), "--name", "ide", **nobody).exit_code == 0
    record = stores.account("ide")
    assert json.loads(record.follows) == {"store": "ide", "path": str(path)}
    assert record.secrets.refresh_token == ""
    again = run("accounts", "add", "--follow", str(path), **nobody)
    assert "is the account ide already" in again.stdout
    gone = run("accounts", "add", "--follow", "kiro-cli", **nobody)
    assert gone.exit_code == 1
    assert "run `kiro-cli login`, then try again" in gone.stderr


def test_a_followed_database_is_not_imported_once_more(run: Run, stores: Stores, home: Path) -> None:
    path = home / "data.sqlite3"
    token = {"refresh_token": TOKEN, "access_token": "a", "expires_at": "2020-01-01T00:00:00Z"}
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT)")
        database.execute("INSERT INTO auth_kv VALUES ('kirocli:social:token', ?)", [json.dumps(token)])
        database.commit()
    nobody = {"KIROTRIO_UPSTREAM_URL": "http://127.0.0.1:1", "KIROTRIO_AUTH_URL": "http://127.0.0.1:1"}
    assert run("accounts", "add", "--follow", str(path), "--name", "cli", **nobody).exit_code == 0
    done = run("accounts", "import", "--follow", str(path), **nobody)
    assert done.stdout.splitlines()[-1] == "1 already there", "two accounts would use one refresh token up"


def test_a_token_that_is_followed_is_not_added_or_imported_as_a_copy(run: Run, stores: Stores, home: Path) -> None:
    path = home / "token.json"
    path.write_text(json.dumps({"refreshToken": TOKEN, "authMethod": "social"}))
    nobody = {"KIROTRIO_UPSTREAM_URL": "http://127.0.0.1:1", "KIROTRIO_AUTH_URL": "http://127.0.0.1:1"}
    assert run("accounts", "add", "--follow", str(path), "--name", "ide", **nobody).exit_code == 0
    for arguments in (["--copy", str(path)], ["--dry-run", str(path)], ["--no-check", str(path)]):
        (entry,) = json.loads(run("accounts", "import", "--json", *arguments, **nobody).stdout)["entries"]
        assert (entry["outcome"], entry["account"]) == ("already_there", "ide")
    added = run("accounts", "add", stdin=f"{TOKEN}\n".encode(), **nobody)
    assert "This sign-in is the account ide already" in added.stdout
    assert list(listed(run)) == ["ide"]


@pytest.mark.parametrize("refreshed", [True, False])
def test_what_was_copied_before_it_is_followed_stays_one_account(
    run: Run, stores: Stores, home: Path, refreshed: bool
) -> None:
    path = home / "token.json"
    path.write_text(json.dumps({"refreshToken": f"{TOKEN}work", "authMethod": "social"}))
    record = kept(stores, "work")
    if refreshed:
        newer = attrs.evolve(record.secrets, refresh_token=f"{TOKEN}successor")
        stores.writing(lambda connection: rows.update(connection, stores.vault, record.id, secrets=newer))
    nobody = {"KIROTRIO_UPSTREAM_URL": "http://127.0.0.1:1", "KIROTRIO_AUTH_URL": "http://127.0.0.1:1"}
    done = run("accounts", "add", "--follow", str(path), **nobody)
    assert "is the account work already" in done.stdout
    (account,) = stores.accounts()
    held = f"{TOKEN}successor" if refreshed else ""
    assert account.secrets.refresh_token == held, "the token in the file was used up, and the one that is good is lost"


def test_the_table_of_an_import_is_not_too_wide_without_a_terminal(run: Run, stores: Stores, home: Path) -> None:
    document = home / f"{'long-' * 20}name.json"
    document.write_text(
        json.dumps([{"refreshToken": "cut...", "name": "n" * 60}, {"refreshToken": TOKEN, "priority": -1}])
    )
    done = run("accounts", "import", "--dry-run", "--no-check", str(document))
    assert max(map(len, done.stdout.splitlines())) <= 140
    assert "whole of" in " ".join(done.stdout.split()), "a part of the reason is missing"


def test_every_change_is_in_the_audit_log_without_its_secrets(run: Run, stores: Stores) -> None:
    from kirotrio.store.audit_rows import entries
    from kirotrio.store.listing import Listing

    kept(stores, "work")
    changes: list[tuple[str, ...]] = [
        ("set", "work", "--priority", "3", "--proxy", "http://me:hunter2@box:8080"),
        ("set", "work", "--private"),
        ("disable", "work"),
        ("enable", "work"),
        ("rename", "work", "office"),
        ("remove", "office", "--yes"),
    ]
    for change in changes:
        done = run("accounts", *change)
        assert done.exit_code == 0, done.output
    log = stores.reading(lambda connection: entries(connection, Listing())).rows
    assert sorted((entry.action, entry.subject) for entry in log) == [
        ("account.change", "work"),
        ("account.change", "work"),
        ("account.disable", "work"),
        ("account.enable", "work"),
        ("account.remove", "office"),
        ("account.rename", "office"),
    ]
    assert {entry.actor for entry in log} == {f"command line ({getpass.getuser()})"}
    assert {entry.address for entry in log} == {socket.gethostname()}
    assert "hunter2" not in repr(log), "a proxy's password is no one's to read"


def test_an_account_is_a_users_or_the_gateways_own_and_lent_or_not(run: Run, stores: Stores) -> None:
    record = kept(stores, "work")
    made = run("users", "create", "anna", "--role", "member", stdin=b"a long passphrase\n")
    assert made.exit_code == 0, made.output
    done = run("accounts", "set", "work", "--owner", "anna", "--private")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == "work: lending, owner changed"
    owned = stores.account("work")
    assert owned.owner_id
    assert owned.owner_id != record.owner_id
    assert not owned.lent
    (told,) = json.loads(run("accounts", "list", "--json").stdout)
    assert (told["owner"], told["lent"]) == ("anna", False)
    assert "anna (private)" in run("accounts", "list").stdout
    refused = run("accounts", "set", "work", "--owner", "bert")
    assert refused.exit_code == 1
    assert "there is no user bert" in refused.output
    assert run("accounts", "set", "work", "--owner", "none", "--lent").exit_code == 0
    assert (stores.account("work").owner_id, stores.account("work").lent) == ("", True)
    (told,) = json.loads(run("accounts", "list", "--json").stdout)
    assert (told["owner"], told["lent"]) == ("", True)
