"""`accounts test`, `accounts add` and `doctor` with accounts of the store, against the simulator."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import attrs
import pytest
import trio
from support.desk import Desk, a_desk

from kirotrio.accounts.credential import Oidc, Social
from kirotrio.accounts.records import record_of
from kirotrio.cli.stores import with_store
from kirotrio.config import Folders, load_settings
from kirotrio.simulator import DEMO_ACCESS_TOKEN, DEMO_API_KEY, DEMO_REFRESH_TOKEN
from kirotrio.store import accounts as rows
from kirotrio.store.account_record import AccountRecord
from kirotrio.store.audit_rows import entries
from kirotrio.store.listing import Listing


def change(desk: Desk, *records: AccountRecord) -> None:
    overrides = {"data.dir": desk.home / "data", "store.key_source": "file"}
    with with_store(load_settings(overrides=overrides, environ={}, folders=Folders())) as stores:
        for record in records:
            stores.writing(lambda connection, record=record: rows.add(connection, stores.vault, record))


def token_of(desk: Desk, name: str) -> str:
    overrides = {"data.dir": desk.home / "data", "store.key_source": "file"}
    with with_store(load_settings(overrides=overrides, environ={}, folders=Folders())) as stores:
        return stores.account(name).secrets.refresh_token


def noted(desk: Desk) -> list[tuple[str, str]]:
    """What the audit log says, the oldest first."""
    overrides = {"data.dir": desk.home / "data", "store.key_source": "file"}
    with with_store(load_settings(overrides=overrides, environ={}, folders=Folders())) as stores:
        found = stores.reading(lambda connection: entries(connection, Listing())).rows
    return [(entry.action, entry.subject) for entry in reversed(found)]


def demo(name: str, **changes: object) -> AccountRecord:
    good = Social(refresh_token=DEMO_REFRESH_TOKEN, access_token=DEMO_ACCESS_TOKEN, expires_at=time.time() + 3600)
    return attrs.evolve(record_of(name, good), **changes)


async def test_a_question_shows_answer_seconds_and_credits(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await trio.to_thread.run_sync(change, desk, demo("work"))
        done = await desk.run("accounts", "test", "work", "--json")
        assert done.returncode == 0, done.stderr.decode()
        told = json.loads(done.stdout)
        assert told["answer"]
        assert told["credits"] > 0
        assert told["rate"] is not None
        assert told["token_refreshed"] is False
        assert token_of(desk, "work") == DEMO_REFRESH_TOKEN, "a token that is good is not rotated"
        text = (await desk.run("accounts", "test", "work")).stdout.decode()
        assert "work answers: " in text
        assert "credits spent" in text


async def test_a_refused_token_is_replaced_once_and_kept(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await trio.to_thread.run_sync(change, desk, demo("work"))
        desk.simulator.book.expire_access_tokens()
        done = await desk.run("accounts", "test", "work", "--json")
        assert done.returncode == 0, done.stderr.decode()
        assert json.loads(done.stdout)["token_refreshed"] is True
        assert token_of(desk, "work") != DEMO_REFRESH_TOKEN, "the successor has to be kept"


async def test_a_refresh_token_is_kept_under_its_persons_name_and_a_dead_one_is_not(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        for account in desk.simulator.book.accounts:
            account.email, account.user_id = "me@example.com", "u-1"
        done = await desk.run("accounts", "add", stdin=DEMO_REFRESH_TOKEN.encode())
        assert done.returncode == 0, done.stderr.decode()
        (account,) = await desk.accounts()
        assert account["name"] == "me" if account["email"] else "social"
        assert token_of(desk, account["name"]) != DEMO_REFRESH_TOKEN
        again = await desk.run("accounts", "add", stdin=DEMO_REFRESH_TOKEN.encode())
        assert again.returncode == 0
        assert b"already" in again.stdout, "the token that was given is known, though its successor is in its place"
        dead = await desk.run("accounts", "add", stdin=b"r" * 120)
        assert dead.returncode == 1
        assert b"nothing was kept" in dead.stderr
        assert (await desk.run("accounts", "add", "--name", "key", stdin=DEMO_API_KEY.encode())).returncode == 0
        assert sorted(kept["kind"] for kept in await desk.accounts()) == ["api-key", "social"]
        name = account["name"]
        renamed = [("account.rename", name)] if name != "social" else []
        tried = [("account.add", "social-2" if name == "social" else "social")]
        dead_one = [*tried, ("account.remove", tried[0][1])]
        assert noted(desk) == [("account.add", "social"), *renamed, *dead_one, ("account.add", "key")]


async def test_the_doctor_looks_at_every_account_and_rotates_nothing(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        soon = Oidc(
            refresh_token="o" * 120, client_id="c", client_secret="s", registration_expires_at=time.time() + 86_400
        )
        await trio.to_thread.run_sync(
            change,
            desk,
            demo("good"),
            attrs.evolve(record_of("expired", Social(refresh_token="e" * 120, access_token="x", expires_at=1.0))),
            demo(
                "locked",
                mark="suspended",
                mark_reason="Kiro has locked it",
                secrets=attrs.evolve(demo("x").secrets, refresh_token="l" * 120),
            ),
            record_of("soon", soon),
            attrs.evolve(record_of("off", Social(refresh_token="f" * 120)), enabled=False),
        )
        os.chmod(tmp_path / "data" / "kirotrio.db", 0o644)
        done = await desk.run("doctor")
        text = done.stdout.decode()
        lines = text.splitlines()
        assert done.returncode == 1
        assert any(line.startswith("ok     account good: good can use") for line in lines), text
        assert any(line.startswith("ok     account expired: ") and "not here" in line for line in lines), text
        assert any(line.startswith("WRONG  account locked: suspended; Kiro has locked it") for line in lines), text
        assert any(line.startswith("note   account soon: ") and "--again soon" in line for line in lines), text
        assert any(line.startswith("ok     account off: disabled") for line in lines), text
        assert any(line.startswith("ok     store: ") and "5 accounts" in line for line in lines), text
        assert any("chmod 600" in line and "kirotrio.db can be read" in line for line in lines), text
        assert text.count("WRONG") == 2, text
        assert text.count("  clock: ") == 1, text
        paths = [request["path"] for request in await requests(desk)]
        assert paths, "the doctor asked nobody at all"
        assert not [path for path in paths if "oken" in path], "a health check rotates nothing"


async def requests(desk: Desk) -> list[dict[str, str]]:
    import httpx

    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        return list((await http.get(f"{desk.environ['KIROTRIO_UPSTREAM_URL']}/_sim/requests")).json())


async def test_an_account_is_reached_through_its_own_proxy(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await trio.to_thread.run_sync(change, desk, demo("work"))
        await desk.run("accounts", "set", "work", "--proxy", "http://me:swordfish@127.0.0.1:1")
        done = await desk.run("doctor")
        text = done.stdout.decode() + done.stderr.decode()
        assert "(work): " in text
        assert "`kirotrio accounts set work --proxy`" in text
        assert "swordfish" not in text


@pytest.mark.parametrize("broken", ["key", "database"])
async def test_a_store_that_cannot_be_used_is_a_finding(broken: str, tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await trio.to_thread.run_sync(change, desk, demo("work"))
        if broken == "key":
            (tmp_path / "data" / "store.key").unlink()
        else:
            (tmp_path / "data" / "kirotrio.db").write_bytes(b"no database " * 1000)
        done = await desk.run("doctor")
        assert done.returncode == 1
        assert b"WRONG  store: " in done.stdout, done.stdout.decode()
