"""One run of the program as the week has it: its long-lived parts, its tasks, and their end."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import define, field
from sqlalchemy import event
from support.sign_in_service import wall_clock
from support.week_service import WatchedService
from support.week_watch import Watch, asking

from kirotrio.accounts.lending import upkeep
from kirotrio.accounts.lending.choice import Candidate, Choice
from kirotrio.accounts.lending.lender import Lending
from kirotrio.accounts.lending.members import Member
from kirotrio.accounts.lending.pool import Pool
from kirotrio.accounts.opening import open_pool
from kirotrio.accounts.shared import Shared
from kirotrio.accounts.sources.places import Places
from kirotrio.accounts.worth import usage_book
from kirotrio.config.settings import Settings
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.relay.request import Relay
from kirotrio.store.database import Database
from kirotrio.store.request_record import RequestRecord
from kirotrio.store.request_records import RecordWriter
from kirotrio.telemetry.log import Log


@define(eq=False)
class Gateway:
    """The long-lived parts of one run of the program."""

    shared: Shared
    pool: Pool
    relay: Relay
    records: RecordWriter
    own: trio.Nursery
    stop: trio.Event = field(factory=trio.Event)

    def member(self, name: str) -> Member:
        return next(member for member in self.pool.present() if member.name == name)

    def is_free(self, name: str) -> bool:
        return self.member(name).gate.is_free

    def leftovers(self) -> list[str]:
        """What should be gone when nobody asks for anything any more."""
        gates = {member.name: member.gate.busy + member.gate.waiting for member in self.pool.present()}
        left = [f"places were not given back: {gates}"] if any(gates.values()) else []
        if len(self.relay.streams):
            left.append("answers are still registered")
        if len(self.records) or self.records.dropped:
            left.append(f"{self.records.dropped} records were lost, {len(self.records)} not written")
        if self.own.child_tasks:
            left.append(f"tasks are left: {self.own.child_tasks}")
        return left


@asynccontextmanager
async def gateway_on(
    shared: Shared, settings: Settings, service: WatchedService, watch: Watch, estimator: TokenEstimator, log: Log
) -> AsyncIterator[Gateway]:
    """The program from its start to its end; what it leaves behind is complained of."""
    http: Any = service
    async with trio.open_nursery() as own:
        places = Places(shared.old_successors.parent / "home")
        pool = open_pool(settings, http, log, own, shared, places, now=wall_clock)
        await pool.look()
        records = RecordWriter(shared.database, settings, log, wall_clock)
        relay = Relay(settings, http, Lending(pool), pool.models, estimator, log, _recording(records))
        gateway = Gateway(shared, pool, relay, records, own)
        pool.choice = WatchedChoice(settings.accounts.strategy, gateway, watch)
        own.start_soon(upkeep.keep_in_step, pool)
        own.start_soon(upkeep.refresh_ahead, pool)
        own.start_soon(usage_book.keep_known, pool.accounts, pool.usage, pool.models, log)
        own.start_soon(records.run)
        yield gateway
        own.cancel_scope.cancel()
    await upkeep.finish(pool)
    for left in gateway.leftovers():
        watch.complain(left)


def make_flaky(database: Database, is_away: Callable[[], bool]) -> None:
    """Nothing can be begun there while it is away; and it does not wait for the disk, for no power fails here."""

    @event.listens_for(database.engine, "connect")
    def hurry(connection: sqlite3.Connection, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    @event.listens_for(database.engine, "begin")
    def begin(_: Any) -> None:
        if is_away():
            raise sqlite3.OperationalError("the disk is away")


class WatchedChoice(Choice):
    """Tells the watch who could serve, each time that one is chosen."""

    def __init__(self, strategy: str, gateway: Gateway, watch: Watch) -> None:
        super().__init__(strategy)
        self._gateway = gateway
        self._watch = watch

    def pick(self, candidates: Iterable[Candidate], session: str) -> list[Candidate]:
        order = super().pick(candidates, session)
        self._watch.picked([candidate.name for candidate in order], session, self._gateway.is_free)
        return order


def _recording(records: RecordWriter) -> Callable[[RequestRecord], None]:
    def note(record: RequestRecord) -> None:
        trace = asking.get()
        assert trace is not None
        trace.record = record
        records.put(record)

    return note
