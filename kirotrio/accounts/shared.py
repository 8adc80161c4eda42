"""What all gateways on one store know together: the accounts, their pauses, whose turn it is to refresh, what the
upstream last said of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path

from attrs import define, field, frozen
from sqlalchemy import Connection

from kirotrio.accounts.cooldowns import Change, Cooldown
from kirotrio.accounts.tokens.turns import Turns
from kirotrio.errors import Blame, StoreUnavailable
from kirotrio.store import accounts as rows
from kirotrio.store import cooldowns, leases, snapshots, successors
from kirotrio.store.accounts import AccountRecord
from kirotrio.store.cooldowns import CooldownRow
from kirotrio.store.database import Database
from kirotrio.store.revisions import begin_change, bump
from kirotrio.store.sealing import Sealer
from kirotrio.store.snapshots import Snapshot

_FORGOTTEN = 180 * 86_400.0
"""Seconds after which the successor of a token is of no use any more."""


@frozen
class Known:
    """All that the store holds of the accounts at one moment."""

    revision: int
    records: tuple[AccountRecord, ...]
    cooldowns: tuple[tuple[str, Cooldown], ...]
    """Of accounts by id; a mark is a cooldown that a person ends."""


@define(eq=False)
class Shared:
    """`turn_lasts`: seconds after which the turn of a process that died is another's. All methods raise
    StoreUnavailable unless they say otherwise; cancellation is noticed before and after the database's work."""

    database: Database
    sealer: Sealer
    turn_lasts: float
    old_successors: Path
    """Where earlier versions kept successors, each in a file of its own."""
    holder: str = field(factory=leases.new_holder)

    async def known(self, seen: int | None) -> Known | None:
        """What there is; None where nothing was changed since the revision `seen`."""

        def read(connection: Connection) -> Known | None:
            revision = rows.revision(connection)
            if revision == seen:
                return None
            records = rows.all_accounts(connection, self.sealer)
            return Known(revision, tuple(records), tuple(_cooldowns(records, cooldowns.all_cooldowns(connection))))

        return await self.database.read(read)

    async def write(self, changes: Iterable[Change], now: float) -> None:
        """Keep what changed, and forget what is over."""

        def put(connection: Connection) -> None:
            for change in changes:
                _put(connection, change)
            cooldowns.remove_expired(connection, now)

        await self.database.write(put)

    def tidy(self, connection: Connection) -> None:
        """Give turns back that were taken by processes of this machine which no longer run, and forget successors that
        nobody has used for so long that they are over."""
        leases.release_dead(connection, self.holder)
        successors.remove_older(connection, time.time() - _FORGOTTEN)

    def turns(self) -> Turns:
        return _StoredTurns(self)


@frozen
class _StoredTurns:
    shared: Shared

    async def take(self, name: str) -> bool:
        shared = self.shared
        return await shared.database.write(
            lambda connection: leases.take(connection, name, shared.holder, shared.turn_lasts)
        )

    async def give_back(self, name: str) -> None:
        try:
            await self.shared.database.write(lambda connection: leases.release(connection, name, self.shared.holder))
        except StoreUnavailable:
            return  # it ends by itself


@frozen
class StoredSnapshots:
    """`remembered.Snapshots` in the store. `ids`: an account's id by its name; others are not kept."""

    database: Database
    ids: dict[str, str]

    async def save(self, account: str, topic: str, content: str, fetched_at: float) -> None:
        account_id = self.ids.get(account)
        if account_id is not None:
            snapshot = Snapshot(account_id=account_id, topic=topic, content=content, fetched_at=fetched_at)
            await self.database.write(lambda connection: snapshots.put(connection, snapshot))

    async def load(self, account: str, topic: str) -> tuple[str, float] | None:
        account_id = self.ids.get(account)
        if account_id is None:
            return None
        kept = await self.database.read(lambda connection: snapshots.get(connection, account_id, topic))
        return (kept.content, kept.fetched_at) if kept is not None else None


@frozen
class StoredSuccessors:
    """`configured.Successors` in the store. `folder` is where earlier versions kept each in a file of its own."""

    database: Database
    folder: Path

    @property
    def where(self) -> str:
        return self.database.where

    def get(self, digest: str) -> bytes | None:
        kept = self.database.reading(lambda connection: successors.get(connection, digest))
        return kept if kept is not None else self._earlier(digest)

    def put(self, digest: str, sealed: bytes, *, in_place_of: bytes | None) -> bool:
        def put(connection: Connection) -> bool:
            there = successors.get(connection, digest)
            if (there if there is not None else self._earlier(digest)) != in_place_of:
                return False
            return successors.put(connection, digest, sealed, expected=there)

        return self.database.writing(put)

    def obstacle(self) -> str | None:
        return None

    def _earlier(self, digest: str) -> bytes | None:
        try:
            return (self.folder / f"{digest}.json").read_bytes()
        except FileNotFoundError:
            return None


def _cooldowns(records: Iterable[AccountRecord], kept: Iterable[CooldownRow]) -> Iterable[tuple[str, Cooldown]]:
    for record in records:
        if record.mark:
            blame = _blame(record.mark)
            yield record.id, Cooldown(blame, record.mark_reason, record.marked_at or 0.0, math.inf)
    marked = {record.id for record in records if record.mark}
    for row in kept:
        if row.model or row.account_id not in marked:
            yield row.account_id, Cooldown(_blame(row.blame), row.reason, row.began_at, row.until, row.model)


def _put(connection: Connection, change: Change) -> None:
    there = cooldowns.get(connection, change.account, change.model)
    if there is not None and there.began_at < change.ended_before:
        cooldowns.remove(connection, change.account, change.model)
        there = None
    if not change.model:
        rows.clear_mark(connection, change.account, marked_before=change.ended_before)
    cooldown = change.cooldown
    if cooldown is None:
        return
    if cooldown.needs_person:
        # Whoever signed in anew or enabled it meanwhile has ended what was met before. If not, it is met again.
        if not rows.set_mark(
            connection, change.account, cooldown.blame.value, cooldown.reason, unless_changed_since=cooldown.began_at
        ):
            begin_change(connection)
            bump(connection)  # so that this gateway reads what stands there instead
    elif there is None or there.until < cooldown.until:
        row = CooldownRow(
            account_id=change.account,
            model=change.model,
            blame=cooldown.blame.value,
            reason=cooldown.reason,
            began_at=cooldown.began_at,
            until=cooldown.until,
        )
        cooldowns.put(connection, row)


def _blame(value: str) -> Blame:
    """What an older or a newer version wrote counts too, as something that is not told more closely."""
    try:
        return Blame(value)
    except ValueError:
        return Blame.ACCESS
