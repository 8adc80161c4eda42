"""Tokens are refreshed ahead of time, each at its own moment; what ends a sign-in, what does not; and who never
refreshes."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from sqlalchemy import Connection
from support.forks import Nest
from support.gateways import World, until, world
from support.several import kept
from support.sign_in_service import DirectSource, MemoryStore, SignInService, answer, refresh_token, wall_clock
from trio.testing import MockClock

from kirotrio.accounts.account import Account
from kirotrio.accounts.cooldowns import Cooldowns
from kirotrio.accounts.credential import Social
from kirotrio.accounts.keeping import keep_sign_in
from kirotrio.accounts.lending import upkeep
from kirotrio.accounts.lending.gate import Gate, GateLimits
from kirotrio.accounts.lending.members import Member
from kirotrio.accounts.lending.pool import SPREAD, Pool
from kirotrio.accounts.opening import open_shared
from kirotrio.accounts.records import record_of
from kirotrio.accounts.terms import Terms
from kirotrio.accounts.worth import usage_book
from kirotrio.config.settings import AccountSettings, Settings
from kirotrio.errors import AccountUnavailable, Blame
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web import serving

HOUR = 3600.0
AHEAD = Settings().accounts.refresh_ahead
HOW_MANY = 6


@attrs.define
class Several:
    """What `refresh_ahead` needs of a pool: accounts that all signed in at one moment, each with its own service."""

    nursery: trio.Nursery
    spreads: list[float]
    services: list[SignInService] = attrs.field(factory=list)
    members: list[Member] = attrs.field(factory=list)
    log: RecordingLog = attrs.field(factory=RecordingLog)
    cooldowns: Cooldowns = attrs.field(factory=lambda: Cooldowns(AccountSettings()))
    is_kept_fresh = Pool.is_kept_fresh

    def __attrs_post_init__(self) -> None:
        for number, spread in enumerate(self.spreads):
            service = SignInService(refresh_token(f"{number}"), lifetime=HOUR)
            expires_at = wall_clock() + HOUR
            held = Social(refresh_token=refresh_token(f"{number}"), access_token="held", expires_at=expires_at)
            source, terms = DirectSource(MemoryStore(held)), Terms.of(Settings())
            account = Account(source, service, self.nursery, terms, self.log, spread=spread, now=wall_clock)
            record = record_of(f"{number}", held)
            self.services.append(service)
            self.members.append(Member(f"{number}", account, Gate(GateLimits(1, 0, 1)), record))

    def now(self) -> float:
        return wall_clock()

    def present(self) -> list[Member]:
        return self.members

    async def seek(self) -> str:
        return ""


async def refreshed(spreads: list[float], hours: float, prepare: Any = None) -> Several:
    """After so many hours of `refresh_ahead`."""
    async with trio.open_nursery() as nursery:
        pool = Several(nursery, spreads)
        for member in pool.members:
            await member.account.look()
        if prepare is not None:
            prepare(pool)
        nursery.start_soon(upkeep.refresh_ahead, pool)
        await trio.sleep(hours * HOUR)
        nursery.cancel_scope.cancel()
    return pool


def gaps(pool: Several) -> list[float]:
    times = sorted(at for service in pool.services for at in service.times)
    return [after - before for before, after in pairwise(times)]


async def test_no_two_accounts_are_refreshed_at_one_moment_and_none_too_late(autojump_clock: MockClock) -> None:
    spreads = [SPREAD * number / HOW_MANY for number in range(HOW_MANY)]
    pool = await refreshed(spreads, 2.5)
    for service, spread in zip(pool.services, spreads, strict=True):
        assert service.refreshes >= 2
        ends = HOUR
        for at in service.times:
            ahead = ends - at
            assert AHEAD - 0.1 <= ahead <= AHEAD * (1 + spread) + 0.1, (spread, ahead)
            ends = at + HOUR
    assert min(gaps(pool)) >= upkeep.APART


async def test_accounts_that_are_due_at_one_moment_are_refreshed_one_after_the_other(autojump_clock: MockClock) -> None:
    pool = await refreshed([0.0] * HOW_MANY, 1)
    assert [service.refreshes for service in pool.services] == [1] * HOW_MANY
    assert min(gaps(pool)) >= upkeep.APART
    assert max(service.times[0] for service in pool.services) <= HOUR - AHEAD + HOW_MANY * 2 * upkeep.APART


async def test_switched_off_and_marked_accounts_are_left_alone(autojump_clock: MockClock) -> None:
    def prepare(pool: Several) -> None:
        off, marked, paused, _ = pool.members
        assert off.record is not None
        off.record = attrs.evolve(off.record, enabled=False)
        pool.cooldowns.note(marked.key, AccountUnavailable("over", blame=Blame.SIGN_IN), wall_clock())
        pool.cooldowns.note(paused.key, AccountUnavailable("slow down", blame=Blame.RATE), wall_clock())

    pool = await refreshed([0.0] * 4, 1.5, prepare)
    off, marked, paused, usual = (service.refreshes for service in pool.services)
    assert (off, marked) == (0, 0)
    assert paused
    assert usual


@pytest.mark.parametrize(
    "refusal",
    [
        answer(400, {"error": "invalid_grant"}),
        answer(401, {"__type": "com.amazon#InvalidClientException"}),
        answer(401, {"error": "expired_client"}),
    ],
    ids=["grant", "client unknown", "registration expired"],
)
async def test_what_is_final_marks_the_account_and_is_not_asked_again(autojump_clock: MockClock, refusal: Any) -> None:
    def prepare(pool: Several) -> None:
        pool.services[0].script = [refusal] * 5

    pool = await refreshed([0.0], 3, prepare)
    assert pool.services[0].refreshes == 1
    (cooldown,) = pool.cooldowns.of("0", wall_clock())
    assert (cooldown.blame, cooldown.needs_person) == (Blame.SIGN_IN, True)
    assert "To go on, sign in again" in cooldown.reason


async def test_what_passes_backs_off_and_never_marks(autojump_clock: MockClock) -> None:
    def prepare(pool: Several) -> None:
        pool.services[0].script = [answer(503, {})] * 12

    pool = await refreshed([0.0], 1.5, prepare)
    service = pool.services[0]
    assert pool.cooldowns.of("0", wall_clock()) == []
    assert (service.refreshes, service.rotations) == (13, 1)
    rounds = service.times[::3]
    assert min(later - earlier for earlier, later in pairwise(rounds)) >= 20


# A running gateway


def sign_in_again(w: World, name: str) -> None:
    """What `kirotrio login --again NAME` does to the store."""
    grant = w.simulator.book.grant(next(account for account in w.simulator.book.accounts if account.name == name))
    new = Social(
        refresh_token=grant.refresh_token,
        access_token=grant.access_token,
        expires_at=time.time() + HOUR,
        profile_arn=grant.account.profile_arn,
        provider="Google",
    )
    shared = open_shared(w.settings, w.data_dir)

    def keep(connection: Connection) -> None:
        keep_sign_in(connection, shared.sealer, record_of("new", new), again=name)

    try:
        shared.database.writing(keep)
    finally:
        shared.database.close()


async def test_a_new_sign_in_takes_effect_on_a_running_gateway(tmp_path: Path) -> None:
    account = kept("work", row={"expires_at": time.time() - 1})
    async with world(tmp_path, account, store={"look_every": 0.05}) as w:
        w.simulator.revoke(account.account.refresh_token)
        await w.keep(account)
        gateway = await w.gateway()
        refused = await gateway.ask()
        assert refused.status_code == 503
        assert "kirotrio login --again work" in refused.json()["error"]["message"]
        assert (await gateway.get("/ready")).status_code == 503
        await trio.to_thread.run_sync(sign_in_again, w, "work")
        member = gateway.member()
        await until(lambda: (member.account.expires_at or 0.0) > time.time())
        await until(lambda: gateway.pool.cooldowns.of(member.key, gateway.pool.now()) == [])
        assert (await gateway.ask()).status_code == 200
        assert (await gateway.get("/ready")).status_code == 200
        assert w.refreshes == ["RefreshTokenDead"]


async def test_nothing_that_only_looks_refreshes(tmp_path: Path, nest: Nest, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: Pool) -> None:
        await trio.sleep_forever()

    looks: list[str] = []
    peek = Account.peek

    async def counted(self: Account) -> Any:
        looks.append(self.name)
        return await peek(self)

    monkeypatch.setattr(serving, "refresh_ahead", never)  # which is there to refresh, and would
    monkeypatch.setattr(usage_book, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(Account, "peek", counted)
    accounts = [kept("over", row={"expires_at": time.time() - 1}), kept("due", row={"expires_at": time.time() + 60})]
    async with world(tmp_path, *accounts) as w:
        await w.keep(*accounts)
        gateway = await w.gateway()
        for _ in range(3):
            assert (await gateway.get("/ready")).status_code == 200
            assert (await gateway.get("/health")).status_code == 200
        await until(lambda: looks.count("over") >= 3 and looks.count("due") >= 3)
        doctor = w.run(nest, "doctor")
        assert await doctor.ended() in (0, 1)
        assert "due" in doctor.out, doctor.said
        assert w.refreshes == []
        assert not [request for request in w.simulator.ledger.requests if request.call.path == "/refreshToken"]
