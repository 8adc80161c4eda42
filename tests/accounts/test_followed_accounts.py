"""Accounts whose tokens live with the Kiro IDE or kiro-cli: both programs use one sign-in, and neither loses it."""

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
from support.gateways import until
from support.sign_in_service import SignInService, refresh_token

from kirotrio.accounts.account import Account
from kirotrio.accounts.credential import Social
from kirotrio.accounts.lending import upkeep
from kirotrio.accounts.lending.pool import Pool
from kirotrio.accounts.opening import open_pool, open_shared
from kirotrio.accounts.records import following, record_of
from kirotrio.accounts.sources.places import Places
from kirotrio.config.settings import AccountSettings, Settings, StoreSettings
from kirotrio.errors import AccountUnavailable, Blame
from kirotrio.store import accounts as rows
from kirotrio.telemetry.log import RecordingLog

NOW = 1_800_000_000.0
ARN = "arn:aws:codewhisperer:us-east-1:111:profile/ABC"
_KEY = "kirocli:social:token"


@attrs.frozen
class Theirs:
    """The place of another program, as that program uses it."""

    kind: str
    path: Path

    def sign_in(self, name: str, *, expires_at: float = NOW + 3600, profile_arn: str = ARN) -> None:
        tokens = {"access": f"access of {name}", "refresh": refresh_token(name)}
        if self.kind == "ide":
            entry = {f"{use}Token": token for use, token in tokens.items()}
            entry |= {"expiresAt": expires_at, "profileArn": profile_arn, "theirs": "stays"}
            self.path.write_text(json.dumps(entry))
            return
        entry = {f"{use}_token": token for use, token in tokens.items()}
        entry |= {"expires_at": expires_at, "profile_arn": profile_arn, "theirs": "stays"}
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("CREATE TABLE IF NOT EXISTS auth_kv (key TEXT PRIMARY KEY, value TEXT)")
            database.execute("REPLACE INTO auth_kv VALUES (?, ?)", (_KEY, json.dumps(entry)))
            database.commit()

    def entry(self) -> dict[str, Any]:
        if self.kind == "ide":
            return dict(json.loads(self.path.read_text()))
        with closing(sqlite3.connect(self.path)) as database:
            return dict(json.loads(database.execute("SELECT value FROM auth_kv").fetchone()[0]))

    def tokens(self) -> tuple[str, str]:
        entry = self.entry()
        ours = ("accessToken", "refreshToken") if self.kind == "ide" else ("access_token", "refresh_token")
        return entry[ours[0]], entry[ours[1]]


@pytest.fixture(params=["ide", "cli"])
def theirs(request: pytest.FixtureRequest, tmp_path: Path) -> Theirs:
    return Theirs(request.param, tmp_path / ("token.json" if request.param == "ide" else "data.sqlite3"))


@attrs.define
class Scene:
    pool: Pool
    log: RecordingLog
    clock: list[float]

    @property
    def account(self) -> Account:
        (member,) = self.pool.present()
        return member.account

    async def token(self) -> str:
        return (await self.account.credentials()).access_token

    def pauses(self) -> list[Blame]:
        (member,) = self.pool.present()
        return [cooldown.blame for cooldown in self.pool.cooldowns.of(member.key, self.pool.now())]

    def at(self, time: float) -> None:
        self.clock[0] = time


@asynccontextmanager
async def followed(
    theirs: Theirs, service: SignInService, *, write_back: bool = True, looks: bool = False
) -> AsyncIterator[Scene]:
    """A pool with one account that follows this place; `looks`: and the task that looks at it."""
    settings = Settings(
        accounts=AccountSettings(write_back=write_back),
        store=StoreSettings(key_source="file", look_every=0.01),
    )
    folder, log, clock = theirs.path.parent / "data", RecordingLog(), [NOW]
    shared = await trio.to_thread.run_sync(open_shared, settings, folder)
    record = record_of("work", Social(refresh_token="x" * 140), follows=following(theirs.kind, str(theirs.path)))
    try:
        shared.database.writing(lambda connection: rows.add(connection, shared.sealer, record))
        async with trio.open_nursery() as nursery:
            places = Places(folder / "home")
            pool = open_pool(settings, service, log, nursery, shared, places, now=lambda: clock[0])
            await pool.look()
            if looks:
                nursery.start_soon(upkeep.keep_in_step, pool)
            yield Scene(pool, log, clock)
            nursery.cancel_scope.cancel()
    finally:
        shared.database.close()


async def test_what_is_rotated_here_is_written_back_there(theirs: Theirs) -> None:
    theirs.sign_in("first", expires_at=NOW - 1)
    service = SignInService(refresh_token("first"))
    async with followed(theirs, service) as s:
        assert await s.token() == "access-1"
    assert theirs.tokens() == ("access-1", service.valid)
    assert theirs.entry()["theirs"] == "stays"


async def test_what_may_not_be_written_back_is_used_to_its_end_and_not_rotated(theirs: Theirs) -> None:
    theirs.sign_in("first", expires_at=NOW + 100)
    before = theirs.entry()
    service = SignInService(refresh_token("first"))
    async with followed(theirs, service, write_back=False) as s:
        assert await s.token() == "access of first"
        s.at(NOW + 200)
        with pytest.raises(AccountUnavailable, match=r"accounts\.write_back is off"):
            await s.token()
        theirs.sign_in("first", expires_at=NOW + 3600)  # the other program has renewed it
        assert await s.token() == "access of first"
    assert service.calls == []
    assert before | {key: theirs.entry()[key] for key in before if "xpires" in key} == theirs.entry()


async def test_it_is_read_again_before_every_refresh(theirs: Theirs) -> None:
    theirs.sign_in("first")
    service = SignInService(refresh_token("second"))
    async with followed(theirs, service) as s:
        assert await s.token() == "access of first"
        theirs.sign_in("second", expires_at=NOW + 7200)  # nobody looks
        assert await s.token() == "access of first"
        s.at(NOW + 3600)
        assert await s.token() == "access of second"
        assert service.calls == []
        s.at(NOW + 7200)
        assert await s.token() == "access-1"
        assert service.refreshes == 1


async def test_a_change_is_noticed_by_itself(theirs: Theirs) -> None:
    theirs.sign_in("first")
    service = SignInService(refresh_token("first"))
    async with followed(theirs, service, looks=True) as s:
        (member,) = s.pool.present()
        assert await s.token() == "access of first"
        await until(lambda: member.stamp is not None)
        theirs.sign_in("second", expires_at=NOW + 7200)
        await until(lambda: s.account.expires_at == NOW + 7200)
        assert await s.token() == "access of second"
    assert service.calls == []


@pytest.mark.parametrize("whose_counts", ["theirs", "both"])
async def test_the_other_program_rotates_at_the_same_time(theirs: Theirs, whose_counts: str) -> None:
    theirs.sign_in("first", expires_at=NOW - 1)
    # It was quicker, so that ours is refused; or the service gave new tokens to both, and its own stay there.
    service = SignInService(refresh_token("theirs" if whose_counts == "theirs" else "first"))
    call = service.call

    async def meanwhile(*given: Any, **named: Any) -> Any:
        theirs.sign_in("theirs", expires_at=NOW + 3600)
        return await call(*given, **named)

    service.call = meanwhile
    async with followed(theirs, service) as s:
        assert await s.token() == "access of theirs"
        assert s.pauses() == []
    assert service.refreshes == 1
    assert theirs.tokens() == ("access of theirs", refresh_token("theirs"))


async def test_another_person_signs_in_there(theirs: Theirs) -> None:
    theirs.sign_in("first")
    async with followed(theirs, SignInService("none"), looks=True) as s:
        (member,) = s.pool.present()
        lent = await s.account.credentials()
        assert (lent.access_token, lent.profile_arn, lent.region) == ("access of first", ARN, "us-east-1")
        await until(lambda: member.stamp is not None)
        other = "arn:aws:codewhisperer:eu-central-1:222:profile/DEF"
        theirs.sign_in("other", expires_at=NOW + 7200, profile_arn=other)
        await until(lambda: s.account.expires_at == NOW + 7200)
        lent = await s.account.credentials()
        assert (lent.access_token, lent.profile_arn, lent.region) == ("access of other", other, "eu-central-1")


async def test_a_place_that_is_gone_and_back(theirs: Theirs) -> None:
    theirs.sign_in("first")
    service = SignInService("none")
    async with followed(theirs, service, looks=True) as s:
        assert await s.token() == "access of first"
        theirs.path.unlink()
        s.at(NOW + 3550)  # to be refreshed, and good for a while
        assert await s.token() == "access of first"
        s.at(NOW + 3600)
        with pytest.raises(AccountUnavailable, match="No sign-in is in") as gone:
            await s.token()
        assert "sign in again in the Kiro IDE" in gone.value.message or "kiro-cli login" in gone.value.message
        theirs.sign_in("again", expires_at=NOW + 7200)
        assert await s.token() == "access of again"
    assert service.calls == []


@pytest.mark.parametrize("meanwhile", [False, True], ids=["looked at", "nobody looked"])
async def test_a_new_sign_in_there_ends_the_mark(theirs: Theirs, meanwhile: bool) -> None:
    theirs.sign_in("first", expires_at=NOW - 1)
    async with followed(theirs, SignInService("another")) as s, trio.open_nursery() as nursery:
        (member,) = s.pool.present()
        with pytest.raises(AccountUnavailable, match="is over") as over:
            await s.token()
        s.pool.cooldowns.note(member.key, over.value, s.pool.now())
        assert s.pauses() == [Blame.SIGN_IN]
        s.at(NOW + 1)
        if not meanwhile:  # else it is a gateway that has just started, and the mark is from before
            nursery.start_soon(upkeep.keep_in_step, s.pool)
            await until(lambda: member.stamp is not None)
            assert s.pauses() == [Blame.SIGN_IN]
        theirs.sign_in("again")
        if meanwhile:
            nursery.start_soon(upkeep.keep_in_step, s.pool)
        await until(lambda: s.pauses() == [])
        assert await s.token() == "access of again"
        nursery.cancel_scope.cancel()
