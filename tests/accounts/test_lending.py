"""Which account answers, where it is looked for, and what a person is told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.lowlevel
from support.gateways import until
from support.sign_in_service import SignInService, refresh_token
from trio.testing import MockClock

from kirotrio.accounts.account import Account
from kirotrio.accounts.credential import Credential
from kirotrio.accounts.finding import SourceReport
from kirotrio.accounts.lending import pool
from kirotrio.accounts.lending.pool import Pool
from kirotrio.accounts.lending.wish import Wish
from kirotrio.accounts.opening import open_pool, open_shared
from kirotrio.accounts.sources.configured import ConfiguredStore
from kirotrio.accounts.sources.places import Places
from kirotrio.config.settings import AccountSettings, Settings, StoreSettings, UpstreamSettings
from kirotrio.errors import AccountUnavailable, NotFound
from kirotrio.telemetry.log import SilentLog

FIRST = refresh_token("first")
ARN = "arn:aws:codewhisperer:eu-central-1:222:profile/DEF"
NOW = 1_800_000_000.0


@attrs.frozen
class Lender:
    pool: Pool

    async def lend(self, credential: str | None = None) -> Account:
        """The account that a request would be answered by."""
        (member,) = await self.pool.members(Wish(credential))
        return member.account

    async def describe(self) -> list[SourceReport]:
        return await self.pool.finder.describe()


@asynccontextmanager
async def accounts(
    home: Path,
    service: SignInService | None = None,
    *,
    environment: dict[str, str] | None = None,
    region: str = "us-east-1",
    **configured: Any,
) -> AsyncIterator[Lender]:
    settings = Settings(
        accounts=AccountSettings(**configured),
        store=StoreSettings(key_source="file"),
        upstream=UpstreamSettings(region=region),
    )
    places = Places(home, environment or {}, platform="linux")
    shared = await trio.to_thread.run_sync(open_shared, settings, home / "data")
    try:
        async with trio.open_nursery() as nursery:
            http = service or SignInService(FIRST)
            yield Lender(open_pool(settings, http, SilentLog(), nursery, shared, places, now=lambda: NOW))
            nursery.cancel_scope.cancel()
    finally:
        shared.database.close()


def successors_in(home: Path) -> list[bytes]:
    with closing(sqlite3.connect(home / "data" / "kirotrio.db")) as database:
        return [sealed for (sealed,) in database.execute("SELECT sealed FROM successors")]


def leave(path: Path, name: str, *, expires_at: float = NOW + 3600) -> str:
    """A sign-in as the Kiro IDE leaves it; gives its access token."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {"accessToken": f"access of {name}", "refreshToken": refresh_token(name), "expiresAt": expires_at}
    path.write_text(json.dumps(entry))
    return f"access of {name}"


def ide_file(home: Path) -> Path:
    return Places(home, platform="linux").ide_token


async def lent_token(lender: Lender, personal: str | None = None) -> str:
    return (await (await lender.lend(personal)).credentials()).access_token


async def test_what_is_named_beats_what_is_found(tmp_path: Path) -> None:
    found = leave(ide_file(tmp_path), "ide")
    named = leave(tmp_path / "creds.json", "file")
    async with accounts(tmp_path) as lender:
        assert await lent_token(lender) == found
    async with accounts(tmp_path, creds_file=str(tmp_path / "creds.json")) as lender:
        assert await lent_token(lender) == named
    async with accounts(tmp_path, creds_file="~/creds.json", api_key="ksk_abc") as lender:
        assert await lent_token(lender) == "ksk_abc"
    async with accounts(tmp_path, creds_file="~/creds.json", api_key="ksk_abc", refresh_token=FIRST) as lender:
        assert await lent_token(lender) == "access-1"


async def test_nothing_anywhere_says_where_and_what_to_do(tmp_path: Path) -> None:
    async with accounts(tmp_path) as lender:
        with pytest.raises(AccountUnavailable) as error:
            await lender.lend()
        for said in ("kiro-cli login", "accounts.refresh_token", "kiro-auth-token.json", "kiro-cli/data.sqlite3"):
            assert said in error.value.message
        # A sign-in that is made meanwhile is found.
        found = leave(ide_file(tmp_path), "ide")
        assert await lent_token(lender) == found


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        ({"creds_file": "~/missing.json"}, "no sign-in is there: correct the path"),
        ({"creds_file": "~/broken.json"}, "broken.json: not readable as JSON"),
        ({"refresh_token": "cut..."}, "accounts.refresh_token: the refresh token was cut"),
        ({"refresh_token": FIRST, "client_id": "x"}, "accounts.client_secret is not"),
        ({"refresh_token": FIRST, "client_secret": "x"}, "accounts.client_id is not"),
    ],
)
async def test_a_mistake_in_what_is_named_is_no_reason_to_use_another_account(
    tmp_path: Path, autojump_clock: MockClock, configured: dict[str, Any], said: str
) -> None:
    leave(ide_file(tmp_path), "ide")
    (tmp_path / "broken.json").write_text("{")
    async with accounts(tmp_path, **configured) as lender:
        with pytest.raises(AccountUnavailable) as error:
            await lender.lend()
        assert said in error.value.message


async def test_a_damaged_place_that_was_only_found_does_not_hide_the_next(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    ide_file(tmp_path).parent.mkdir(parents=True)
    ide_file(tmp_path).write_text("{")
    async with accounts(tmp_path) as lender:
        with pytest.raises(AccountUnavailable, match="not readable as JSON"):
            await lender.lend()
    found = leave(tmp_path / "named.json", "file")
    async with accounts(tmp_path, environment={"KIRO_CLI_DATABASE": "/nowhere/db.sqlite3"}) as lender:
        with pytest.raises(AccountUnavailable, match="KIRO_CLI_DATABASE names"):
            await lender.lend()
    async with accounts(tmp_path, creds_file=str(tmp_path / "named.json")) as lender:
        assert await lent_token(lender) == found


def counted_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every reading of a token that was given."""
    reads: list[str] = []
    real = ConfiguredStore.read

    def read(store: ConfiguredStore) -> Credential:
        reads.append("read")
        return real(store)

    monkeypatch.setattr(ConfiguredStore, "read", read)
    return reads


async def test_a_hundred_first_requests_get_one_account_and_one_refresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = SignInService(FIRST)
    reads = counted_reads(monkeypatch)
    async with accounts(tmp_path, service, refresh_token=FIRST) as lender:
        lent: list[object] = []

        async def ask() -> None:
            account = await lender.lend()
            await account.credentials()
            lent.append(account)

        async with trio.open_nursery() as callers:
            for _ in range(100):
                callers.start_soon(ask)
        assert len(lent) == 100
        assert len({id(account) for account in lent}) == 1
        assert service.refreshes == 1
        assert len(reads) == 3, (
            "once to choose it, once to see whether it needs a refresh, once more when it is its turn"
        )


async def test_the_successor_of_a_configured_token_survives_a_restart(tmp_path: Path) -> None:
    service = SignInService(FIRST)
    async with accounts(tmp_path, service, refresh_token=FIRST) as lender:
        assert await lent_token(lender) == "access-1"
    async with accounts(tmp_path, service, refresh_token=FIRST) as lender:
        assert await lent_token(lender) == "access-1"
        assert service.refreshes == 1
        await (await lender.lend()).refused("access-1")
        assert await lent_token(lender) == "access-2"
    (kept,) = successors_in(tmp_path)
    assert service.valid.encode() not in kept


async def test_a_configured_token_outlives_a_service_that_forgot_its_successors(tmp_path: Path) -> None:
    """A simulator that was started anew, for one."""
    async with accounts(tmp_path, SignInService(FIRST), refresh_token=FIRST) as lender:
        await lent_token(lender)
    anew = SignInService(FIRST)
    async with accounts(tmp_path, anew, refresh_token=FIRST) as lender:
        await (await lender.lend()).credentials()
        await (await lender.lend()).refused("access-1")
        assert await lent_token(lender) == "access-1"
        assert anew.rotations == 1


async def test_an_oidc_client_in_the_settings_refreshes_at_the_region_of_the_upstream(tmp_path: Path) -> None:
    service = SignInService(FIRST)
    oidc = {"refresh_token": FIRST, "client_id": "c", "client_secret": "s"}
    async with accounts(tmp_path, service, region="eu-central-1", **oidc) as lender:
        await lent_token(lender)
    assert service.calls[0][0] == "https://oidc.eu-central-1.amazonaws.com/token"


async def test_a_found_sign_in_is_refreshed_and_written_back_where_it_was(tmp_path: Path) -> None:
    leave(ide_file(tmp_path), "first", expires_at=NOW - 1)
    service = SignInService(FIRST)
    async with accounts(tmp_path, service) as lender:
        assert await lent_token(lender) == "access-1"
    kept = json.loads(ide_file(tmp_path).read_text())
    assert (kept["accessToken"], kept["refreshToken"]) == ("access-1", service.valid)
    assert successors_in(tmp_path) == [], "a copy of somebody else's token was made"


async def test_without_leave_to_write_back_nothing_is_rotated(tmp_path: Path) -> None:
    leave(ide_file(tmp_path), "first", expires_at=NOW - 1)
    service = SignInService(FIRST)
    async with accounts(tmp_path, service, write_back=False) as lender:
        with pytest.raises(AccountUnavailable, match=r"accounts\.write_back") as error:
            await lent_token(lender)
    assert str(ide_file(tmp_path)) in error.value.message
    assert service.calls == []


async def test_a_sign_in_that_moves_is_followed(tmp_path: Path) -> None:
    leave(ide_file(tmp_path), "first", expires_at=NOW - 1)
    async with accounts(tmp_path, SignInService("another")) as lender:
        with pytest.raises(AccountUnavailable, match="is over"):
            await lent_token(lender)
        ide_file(tmp_path).unlink()
        for _ in range(2):
            with pytest.raises(AccountUnavailable, match="No sign-in is in"):
                await lent_token(lender)
        again = leave(ide_file(tmp_path), "again")
        assert await lent_token(lender) == again


# A person's own token behind the gateway key


async def test_a_token_that_comes_with_a_request_is_its_own_account(tmp_path: Path) -> None:
    leave(ide_file(tmp_path), "ide")
    service = SignInService(FIRST)
    async with accounts(tmp_path, service, profile_arn="arn:aws:codewhisperer:us-east-1:111:profile/ABC") as lender:
        account = await lender.lend(f" {FIRST}\n")
        lent = await account.credentials()
        assert lent.access_token == "access-1"
        assert lent.profile_arn == "", "the profile of the configured account was given to another person"
        assert account.name.startswith("personal-")
        assert await lender.lend(FIRST) is account
        assert await lender.lend() is not account


async def test_the_token_that_a_client_keeps_sending_goes_on_working(tmp_path: Path) -> None:
    service = SignInService(FIRST)
    async with accounts(tmp_path, service) as lender:
        await lent_token(lender, FIRST)
    assert service.valid != FIRST
    async with accounts(tmp_path, service) as lender:
        assert await lent_token(lender, FIRST) == "access-1"
        await (await lender.lend(FIRST)).refused("access-1")
        assert await lent_token(lender, FIRST) == "access-2"


async def test_a_token_that_a_setting_and_a_request_give_at_one_moment_is_refreshed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one sign-in with two users: whichever sent it a second time would be told that it is over."""
    reads = counted_reads(monkeypatch)
    service = SignInService(FIRST)
    service.script = [None]
    async with accounts(tmp_path, service, refresh_token=FIRST) as lender, trio.open_nursery() as nursery:
        tokens: list[str] = []

        async def use(personal: str | None) -> None:
            tokens.append(await lent_token(lender, personal))

        nursery.start_soon(use, None)
        await until(lambda: service.calls)
        nursery.start_soon(use, FIRST)
        seen = len(reads)
        await until(lambda: len(reads) >= seen + 3 or len(service.calls) > 1)
        service.release.set()
    assert (tokens, service.refreshes) == (["access-1", "access-1"], 1)


async def test_a_cut_token_behind_the_key_is_named_and_never_becomes_the_gateways_account(tmp_path: Path) -> None:
    leave(ide_file(tmp_path), "ide")
    async with accounts(tmp_path) as lender:
        for token in ("", "short", "x" * 99):
            with pytest.raises(AccountUnavailable, match="the refresh token behind the gateway key"):
                await lender.lend(token)


async def test_a_personal_sign_in_that_is_over_says_where_the_new_one_goes(tmp_path: Path) -> None:
    async with accounts(tmp_path, SignInService("another")) as lender:
        with pytest.raises(AccountUnavailable, match="behind the gateway key") as error:
            await lent_token(lender, FIRST)
        assert FIRST not in error.value.message
    assert successors_in(tmp_path) == [], "something was kept for a token that never worked"


async def test_personal_accounts_are_bounded_and_the_busy_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "PERSONAL_ACCOUNTS", 3)
    service = SignInService(FIRST)
    service.script = [None]  # the first refresh hangs
    async with accounts(tmp_path, service) as lender, trio.open_nursery() as callers:
        busy = await lender.lend(FIRST)
        callers.start_soon(busy.credentials)
        while not service.calls:
            await trio.lowlevel.checkpoint()
        others = [await lender.lend(refresh_token(f"other {number}")) for number in range(6)]
        assert await lender.lend(FIRST) is busy, "a second refresh of the same token could begin"
        assert len(lender.pool._personal) == 3
        assert await lender.lend(refresh_token("other 5")) is others[5]
        assert await lender.lend(refresh_token("other 0")) is not others[0]
        callers.cancel_scope.cancel()
        service.release.set()  # a call that has left cannot be cancelled


# For doctor


async def test_every_place_is_described_without_a_secret(tmp_path: Path, autojump_clock: MockClock) -> None:
    leave(ide_file(tmp_path), "ide", expires_at=NOW + 60)
    database = tmp_path / ".local/share/kiro-cli/data.sqlite3"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"this is no database at all, but it is long enough to be looked at" * 20)
    async with accounts(tmp_path) as lender:
        reports = await lender.describe()
    assert [(report.name, report.state, report.chosen) for report in reports] == [
        ("kiro-ide", "found", True),
        ("kiro-cli", "unreadable", False),
        ("kiro-cli", "absent", False),
    ]
    assert (reports[0].kind, reports[0].expires_at, reports[0].problem) == ("social", NOW + 60, "")
    assert "not a database" in reports[1].problem
    assert refresh_token("ide") not in repr(reports)
    assert "access of ide" not in repr(reports)


async def test_the_description_says_what_lend_would_do(tmp_path: Path) -> None:
    leave(ide_file(tmp_path), "ide")
    async with accounts(tmp_path, creds_file="~/missing.json", write_back=False) as lender:
        missing, ide, *_ = await lender.describe()
    assert (missing.setting, missing.state) == ("accounts.creds_file", "absent")
    assert "no sign-in is there; correct the path" in missing.problem
    assert not ide.chosen, "lend() would not use it, since another was named"
    assert "accounts.write_back" in ide.problem
    async with accounts(tmp_path, api_key="ksk_abc") as lender:
        key, ide, *_ = await lender.describe()
    assert (key.sign_in_url, key.refreshable) == ("", False)
    async with accounts(tmp_path, refresh_token=FIRST, client_id="c", client_secret="s", profile_arn=ARN) as lender:
        oidc, *_ = await lender.describe()
    assert (oidc.sign_in_url, oidc.region) == ("https://oidc.us-east-1.amazonaws.com/token", "eu-central-1")
    assert (key.kind, key.chosen, key.expires_at, ide.chosen) == ("api-key", True, None, False)
    assert "ksk_abc" not in repr(key)


@pytest.mark.parametrize(
    ("configured", "setting"),
    [
        ({"refresh_token": FIRST}, "accounts.refresh_token (REFRESH_TOKEN)"),
        ({"api_key": "ksk_0123456789"}, "accounts.api_key (KIRO_API_KEY)"),
        ({"creds_file": "~/named.json"}, "accounts.creds_file (KIRO_CREDS_FILE)"),
    ],
)
async def test_a_path_cannot_name_an_account_beside_a_sign_in_that_a_setting_names(
    configured: dict[str, str], setting: str, tmp_path: Path
) -> None:
    leave(tmp_path / "named.json", "first")
    async with accounts(tmp_path, **configured) as lender:
        with pytest.raises(NotFound) as told:
            await lender.pool.members(Wish(account="home"))
    assert f"the account 'home' cannot answer while {setting} is set" in told.value.message
    assert "take it out and start the gateway again" in told.value.message
    assert not [value for value in configured.values() if value in told.value.message], "no value is shown"


async def test_what_is_said_to_name_a_sign_in_is_what_is_looked_at_first(tmp_path: Path) -> None:
    for configured, environment in (({"api_key": "k"}, {}), ({}, {"KIRO_CLI_DATABASE": "cli.sqlite3"}), ({}, {})):
        async with accounts(tmp_path, environment=environment, **configured) as lender:
            finder, reports = lender.pool.finder, await lender.describe()
        assert finder.named_by.partition(" ")[0] == reports[0].setting
        assert finder.is_named == bool(reports[0].setting)


async def test_an_account_that_there_is_not_is_told_with_where_to_look(tmp_path: Path) -> None:
    leave(tmp_path / ".aws/sso/cache/kiro-auth-token.json", "ide")
    async with accounts(tmp_path) as lender:
        with pytest.raises(NotFound, match="`kirotrio accounts` lists those there are"):
            await lender.pool.members(Wish(account="x" * 5000))
