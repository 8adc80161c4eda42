"""Whatever another gateway or a person changes in the store, a look later the pool is what the store says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, field
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from support.sign_in_service import SignInService, refresh_token

from kirotrio.accounts.credential import Social
from kirotrio.accounts.lending.pool import Pool
from kirotrio.accounts.opening import open_pool, open_shared
from kirotrio.accounts.records import record_of, terms_of
from kirotrio.accounts.shared import Shared
from kirotrio.accounts.sources.places import Places
from kirotrio.config.settings import AccountSettings, Settings, StoreSettings
from kirotrio.errors import AccountUnavailable, Blame, RateLimited
from kirotrio.store import accounts as rows
from kirotrio.store import cooldowns
from kirotrio.store.accounts import AccountRecord
from kirotrio.store.cooldowns import CooldownRow
from kirotrio.telemetry.log import SilentLog

NOW = 1_800_000_000.0
SETTINGS = Settings(accounts=AccountSettings(max_concurrent=4, per_minute=30), store=StoreSettings(key_source="file"))
NAMES = ("ada", "bob", "cyd")
MODELS = ("", "claude-opus-4.5")

Act = Callable[["World"], Any]


@define(eq=False)
class World:
    """`theirs` is the store as another gateway has it open, `pool` the one that has to follow."""

    theirs: Shared
    pool: Pool
    rotations: int = 0
    now: float = NOW
    seen: set[str] = field(factory=set)
    """Ids of all accounts that there ever were."""

    def records(self) -> list[AccountRecord]:
        return self.theirs.database.reading(lambda connection: rows.all_accounts(connection, self.theirs.sealer))

    def change(self, name: str, work: Callable[[Connection, AccountRecord], Any]) -> None:
        """Of the account of that name, if there is one."""
        record = next((record for record in self.records() if record.name == name), None)
        if record is not None:
            self.theirs.database.writing(lambda connection: work(connection, record))

    def token(self) -> str:
        self.rotations += 1
        return refresh_token(f"{self.rotations}")


def add(name: str) -> Act:
    def act(world: World) -> None:
        token = world.token()
        sign_in = Social(refresh_token=token, access_token=f"access-of-{token}", expires_at=NOW + 90_000)
        record = record_of(name, sign_in, created_at=NOW)
        if name not in {known.name for known in world.records()}:
            world.seen.add(record.id)
            sealer = world.theirs.sealer
            world.theirs.database.writing(lambda connection: rows.add(connection, sealer, record))

    return act


def remove(name: str) -> Act:
    return lambda world: world.change(name, lambda connection, record: rows.remove(connection, record.id))


def rename(name: str, other: str) -> Act:
    def act(world: World) -> None:
        if other not in {record.name for record in world.records()}:
            world.change(name, lambda connection, record: rows.rename(connection, record.id, other))

    return act


def switch(name: str, on: bool) -> Act:
    return lambda world: world.change(name, lambda connection, record: rows.set_enabled(connection, record.id, on))


def arrange(name: str, changes: dict[str, Any]) -> Act:
    """A person's settings of the account."""
    return lambda world: world.change(
        name, lambda connection, record: rows.update(connection, world.theirs.sealer, record.id, **changes)
    )


def rotate(name: str) -> Act:
    """Another gateway has refreshed it."""

    def act(world: World) -> None:
        token = world.token()

        def work(connection: Connection, record: AccountRecord) -> None:
            assert rows.rotate(
                connection,
                world.theirs.sealer,
                record.id,
                record.secrets.refresh_token,
                refresh_token=token,
                access_token=f"access-of-{token}",
                expires_at=NOW + 90_000 + world.rotations,
            )

        world.change(name, work)

    return act


def mark(name: str, blame: Blame) -> Act:
    return lambda world: world.change(
        name, lambda connection, record: rows.set_mark(connection, record.id, blame.value, "as it said", now=world.now)
    )


def clear(name: str) -> Act:
    return lambda world: world.change(name, lambda connection, record: rows.clear_mark(connection, record.id))


def cool(name: str, model: str, seconds: float) -> Act:
    """Another gateway has met a refusal."""

    def work(world: World) -> Callable[[Connection, AccountRecord], Any]:
        return lambda connection, record: cooldowns.put(
            connection,
            CooldownRow(
                account_id=record.id,
                model=model,
                blame=(Blame.MODEL if model else Blame.RATE).value,
                reason="elsewhere",
                began_at=world.now,
                until=world.now + seconds,
            ),
        )

    return lambda world: world.change(name, work(world))


def lift(name: str) -> Act:
    return lambda world: world.change(name, lambda connection, record: cooldowns.remove_of(connection, record.id))


def meet(name: str, seconds: float) -> Act:
    """This gateway has met a refusal."""

    def act(world: World) -> None:
        error = RateLimited("here", blame=Blame.RATE, retry_after=seconds)
        for member in world.pool.present():
            if member.name == name:
                world.pool.cooldowns.note(member.key, error, world.now)

    return act


def serve(name: str) -> Act:
    """This gateway has had an answer."""

    def act(world: World) -> None:
        for member in world.pool.present():
            if member.name == name:
                world.pool.cooldowns.served(member.key, MODELS[1], world.now)

    return act


def wait(seconds: float) -> Act:
    def act(world: World) -> None:
        world.now += seconds

    return act


def use(name: str) -> Act:
    """This gateway holds its token from now on, unless it is gone from the store and has to be read there."""

    async def act(world: World) -> None:
        for member in world.pool.present():
            if member.name == name:
                try:
                    await member.account.credentials()
                except AccountUnavailable:
                    assert member.key not in {record.id for record in world.records()}

    return act


def look(world: World) -> Any:
    return world.pool.look()


def write(world: World) -> Any:
    return world.pool.write()


_name = st.sampled_from(NAMES)
_limit = st.one_of(st.none(), st.integers(0, 9))
_arrangement = st.fixed_dictionaries(
    {},
    optional={
        "max_concurrent": _limit,
        "per_minute": _limit,
        "priority": st.integers(1, 9),
        "region": st.sampled_from(("", "eu-central-1")),
        "profile_arn": st.just("arn:aws:codewhisperer:us-east-1:1:profile/A"),
    },
)
_change = st.one_of(
    st.builds(add, _name),
    st.builds(remove, _name),
    st.builds(rename, _name, _name),
    st.builds(switch, _name, st.booleans()),
    st.builds(arrange, _name, _arrangement),
    st.builds(rotate, _name),
    st.builds(mark, _name, st.sampled_from((Blame.SUSPENDED, Blame.SIGN_IN))),
    st.builds(clear, _name),
    st.builds(cool, _name, st.sampled_from(MODELS), st.floats(1, 5000)),
    st.builds(lift, _name),
    st.builds(meet, _name, st.floats(1, 5000)),
    st.builds(serve, _name),
    st.builds(wait, st.floats(1, 3000)),
    st.builds(use, _name),
    st.just(write),
)
_steps = st.lists(st.tuples(_change, st.booleans()), min_size=15, max_size=40)
"""Each with whether the pool looks after it."""


@pytest.fixture(scope="module")
def shared_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shared, Shared, Path]]:
    """One store, opened twice."""
    folder = tmp_path_factory.mktemp("store")
    first, second = open_shared(SETTINGS, folder), open_shared(SETTINGS, folder)
    yield first, second, folder
    first.database.close()
    second.database.close()


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.explicit, Phase.generate])
@given(steps=_steps)
@example(steps=[(meet("ada", 600.0), False), (remove("ada"), True)])
@example(steps=[(use("ada"), True), (rotate("ada"), True)])
@example(steps=[(remove("ada"), False), (wait(3000.0), False), (wait(3000.0), False), (use("ada"), True)])
@example(steps=[(cool("ada", "", 600.0), True), (lift("ada"), True)])
def test_the_pool_is_what_the_store_says(
    shared_pair: tuple[Shared, Shared, Path], steps: list[tuple[Act, bool]]
) -> None:
    ours, theirs, folder = shared_pair
    for record in theirs.database.reading(lambda connection: rows.all_accounts(connection, theirs.sealer)):
        theirs.database.writing(lambda connection, record=record: rows.remove(connection, record.id))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            service, places = SignInService(refresh_token("none")), Places(folder / "home")
            pool = open_pool(SETTINGS, service, SilentLog(), nursery, ours, places, now=lambda: world.now)
            world = World(theirs, pool)
            for name in NAMES[:2]:
                add(name)(world)
            await look(world)
            for change, looks in steps:
                if (more := change(world)) is not None:
                    await more
                if looks:
                    await look(world)
            await write(world)
            await look(world)
            await check(world)
            assert service.calls == [], "somebody was asked, though only the store was read"
            nursery.cancel_scope.cancel()

    with in_place():
        trio.run(main)


async def check(world: World) -> None:
    pool, records = world.pool, {record.id: record for record in world.records()}
    present = {member.key: member for member in pool.present()}
    assert present.keys() == records.keys(), "other accounts are lent than there are"
    assert pool.ids == {record.name: record.id for record in records.values()}
    stored = _cooldowns_of(world, records)
    for account_id, record in records.items():
        member = present[account_id]
        limits = member.gate.limits
        assert (member.name, member.enabled, member.priority) == (record.name, record.enabled, record.priority)
        assert limits.max_concurrent == (4 if record.max_concurrent is None else record.max_concurrent)
        assert limits.per_minute == (30 if record.per_minute is None else record.per_minute)
        assert member.account.terms == terms_of(record, SETTINGS)
        credentials = await member.account.credentials()
        assert credentials.access_token == record.secrets.access_token, f"{record.name} is used with an old token"
        held = {(cool.model, cool.blame, cool.until) for cool in pool.cooldowns.of(account_id, world.now)}
        assert held == stored[account_id], f"{record.name} pauses here otherwise than in the store"
    for gone in world.seen - records.keys():
        assert pool.cooldowns.of(gone, world.now) == [], "a removed account is still remembered"


def _cooldowns_of(world: World, records: dict[str, AccountRecord]) -> dict[str, set[tuple[str, Blame, float]]]:
    """What the store says of each account's pauses that are in force: a mark stands above a pause of its own."""
    kept: dict[str, set[tuple[str, Blame, float]]] = {account_id: set() for account_id in records}
    for row in world.theirs.database.reading(cooldowns.all_cooldowns):
        if row.until > world.now and (row.model or not records[row.account_id].mark):
            kept[row.account_id].add((row.model, Blame(row.blame), row.until))
    for record in records.values():
        if record.mark:
            kept[record.id].add(("", Blame(record.mark), math.inf))
    return kept


@contextmanager
def in_place() -> Iterator[None]:
    """Threads are done without: each hop would cost more than what is done there."""

    async def run(work: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return work(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio.to_thread, "run_sync", run)
        yield
