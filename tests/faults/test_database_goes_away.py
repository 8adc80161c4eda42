"""The database is lost under a running gateway, and comes back (docs/store.md): locked by another program, or a
PostgreSQL that is really stopped."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import attrs
import pytest
import trio
from sqlalchemy import Connection
from support.engines import Place, PostgresServer
from support.forks import Nest
from support.gateways import Local, World, hold_refreshes, until, world
from support.several import kept

from kirotrio.accounts.opening import open_shared
from kirotrio.accounts.tokens import renewal
from kirotrio.errors import Blame
from kirotrio.store import accounts as rows
from kirotrio.store.account_record import AccountRecord
from kirotrio.store.cooldowns import all_cooldowns
from kirotrio.store.request_rows import recent


class Outage(Protocol):
    def begin(self) -> None: ...

    def end(self) -> None: ...


@attrs.define
class Locked:
    """Another program writes and does not come to an end."""

    path: Path
    _other: sqlite3.Connection | None = None

    def begin(self) -> None:
        self._other = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._other.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        if self._other is not None:
            self._other.close()  # nothing was written
            self._other = None


@attrs.define
class Stopped:
    server: PostgresServer
    _away: bool = False

    def begin(self) -> None:
        self._away = True
        self.server.stop()

    def end(self) -> None:
        if self._away:
            self.server.start()
            self._away = False


@pytest.fixture
def outage(place: Place, request: pytest.FixtureRequest) -> Iterator[Outage]:
    sqlite = Locked(place.data_dir / "kirotrio.db")
    outage: Outage = sqlite if place.is_sqlite else Stopped(request.getfixturevalue("postgresql"))
    yield outage
    outage.end()  # others use the server too


SETTINGS: dict[str, dict[str, Any]] = {"store": {"look_every": 0.05}, "deadlines": {"store": 0.3}}


def kept_of(w: World) -> tuple[dict[str, AccountRecord], list[Any], list[str]]:
    """What the database holds: accounts by name, cooldowns, ids of requests."""
    shared = open_shared(w.settings, w.data_dir)

    def read(connection: Connection) -> tuple[dict[str, AccountRecord], list[Any], list[str]]:
        records = {record.name: record for record in rows.all_accounts(connection, shared.sealer)}
        return records, list(all_cooldowns(connection)), [one.id for one in recent(connection)]

    try:
        return shared.database.reading(read)
    finally:
        shared.database.close()


def change(w: World, name: str, **changes: Any) -> None:
    """As `kirotrio accounts set` does."""
    shared = open_shared(w.settings, w.data_dir)

    def put(connection: Connection) -> None:
        (record,) = [record for record in rows.all_accounts(connection, shared.sealer) if record.name == name]
        rows.update(connection, shared.sealer, record.id, **changes)

    try:
        shared.database.writing(put)
    finally:
        shared.database.close()


def live_token(w: World, name: str) -> str:
    """The one refresh token of this account that the service takes."""
    (token,) = [token for token, account in w.simulator.book._refresh.items() if account.name == name]
    return token


async def rotate_and_lose_the_database(w: World, outage: Outage, gateway: Local) -> None:
    """The token of `work` is refreshed, and the database is away when the answer is there."""
    began, go_on = hold_refreshes(gateway)
    before = live_token(w, "work")
    async with trio.open_nursery() as nursery:
        # Its access token is to be refreshed, and good for a while.
        nursery.start_soon(gateway.ask, "Say hi", "work")
        await began.wait()
        await trio.to_thread.run_sync(outage.begin)
        go_on.set()
    await until(lambda: w.refreshes)  # which the request does not wait for: its token is good
    assert w.refreshes == ["rotated"]
    assert gateway.member("work").account.busy, "the new token is still to be written"
    assert live_token(w, "work") != before


async def test_everything_goes_on_and_is_written_when_it_is_back(
    place: Place, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "QUIET", 3600.0)  # by which a refresh ahead of time would write it too, in the end
    accounts = [kept("work"), kept("late"), kept("slow"), kept("marked")]
    async with world(place.data_dir, *accounts, url=place.url, **SETTINGS) as w:
        await w.keep(*accounts)
        gateway = await w.gateway()
        for name in ("work", "late"):
            assert (await gateway.ask("Say hi", name)).status_code == 200
        work, late = gateway.member("work"), gateway.member("late")
        make_due(work.account)
        await rotate_and_lose_the_database(w, outage, gateway)

        assert (await gateway.ask("Say hi", "work")).status_code == 200, "the token before is good to its end"
        assert (await gateway.ask("Say hi", "late")).status_code == 200, "its token is in memory"
        assert (await gateway.get("/ready")).status_code == 200
        assert (await gateway.get("/health")).status_code == 200
        # What is learned of accounts holds here at once.
        assert (await gateway.ask("[[status=CREDIT_CONSUMPTION_RATE_EXCEEDED]] hi", "slow")).status_code == 429
        assert (await gateway.ask("[[status=TEMPORARILY_SUSPENDED]] hi", "marked")).status_code in (403, 503)
        await until(lambda: gateway.logged("going on without the database"))
        # Nobody knows whose turn it is, so a token that is over stays so.
        w.simulator.revoke(accounts[1].account.access_token)
        late.account.terms = attrs.evolve(late.account.terms, turn=0.3)
        refused = await gateway.ask("Say hi", "late")
        assert refused.status_code == 503
        message = refused.json()["error"]["message"]
        assert message.startswith("The token of the account late is used up and cannot be refreshed now"), message
        assert "does not answer" in message, message
        assert "kirotrio.db" not in message, "a client is told where the database is"
        assert "retry-after" in refused.headers
        assert w.refreshes == ["rotated"], "no refresh is begun without a turn"

        await trio.to_thread.run_sync(outage.end)
        await until(lambda: gateway.logged("the database answers again"))
        await until(lambda: not work.account.busy)
        assert (await gateway.ask("Say hi", "late")).status_code == 200
        assert w.refreshes == ["rotated", "rotated"]
        assert len(gateway.logged("going on without the database")) == 1, "it is said once"
        await trio.to_thread.run_sync(lambda: change(w, "work", priority=7))
        await until(lambda: gateway.member("work").priority == 7)
        await gateway.end()

        records, cooldowns, requests = await trio.to_thread.run_sync(kept_of, w)
        for name in ("work", "late"):
            assert records[name].secrets.refresh_token == live_token(w, name), "what was rotated is kept"
        assert records["marked"].mark == Blame.SUSPENDED.value
        assert [one.account_id for one in cooldowns] == [records["slow"].id]
        assert len(requests) == len(set(requests)) == w.asked, "each request is recorded, and once"


async def test_a_gateway_that_stops_meanwhile_says_what_is_lost(place: Place, outage: Outage) -> None:
    account = kept("work")
    async with world(place.data_dir, account, url=place.url, **SETTINGS) as w:
        await w.keep(account)
        gateway = await w.gateway()
        assert (await gateway.ask("Say hi", "work")).status_code == 200
        make_due(gateway.member("work").account)
        await rotate_and_lose_the_database(w, outage, gateway)
        # The first one's record may have been written by now; this one's cannot be.
        assert (await gateway.ask("Say hi", "work")).status_code == 200
        await gateway.end()
        (lost,) = gateway.logged("a rotated token is lost, and the sign-in with it")
        assert lost["account"] == "work"
        assert lost["to_go_on"] == "run `kirotrio login --again work`"
        assert gateway.logged("records of requests are lost")


async def test_a_gateway_that_stops_when_it_is_back_loses_nothing(tmp_path: Path) -> None:
    account, outage = kept("work"), Locked(tmp_path / "kirotrio.db")
    sections = {**SETTINGS, "store": {"look_every": 3600.0}}
    async with world(tmp_path, account, **sections) as w:
        await w.keep(account)
        gateway = await w.gateway()
        assert (await gateway.ask("Say hi", "work")).status_code == 200
        make_due(gateway.member("work").account)
        await rotate_and_lose_the_database(w, outage, gateway)
        outage.end()
        await gateway.end()  # before anything else has tried again
        records, _, _ = kept_of(w)
        assert records["work"].secrets.refresh_token == live_token(w, "work")


def make_due(account: Any) -> None:
    """Its token is to be refreshed at the next request, and good until then."""
    account._token._due = 0.0


@pytest.mark.parametrize("trouble", ["locked", "no file", "no server"])
async def test_a_start_without_the_database_is_one_sentence(tmp_path: Path, nest: Nest, trouble: str) -> None:
    url = "postgresql://me:hunter2@127.0.0.1:1/kirotrio" if trouble == "no server" else ""
    path = tmp_path / "kirotrio.db"
    other = Locked(path)
    async with world(tmp_path, url=url, **SETTINGS) as w:
        if trouble == "no file":
            path.mkdir()
        elif trouble == "locked":
            await w.keep()
            other.begin()
        process = w.start(nest, options=["--set", "deadlines.store=0.3"])
        try:
            assert await process.ended() == 1
        finally:
            other.end()
    (line,) = process.said.splitlines()
    assert "Traceback" not in line
    assert "hunter2" not in line
    assert "does not answer" in line, line
    assert (url.rpartition("@")[2] or str(path)) in line, line
