"""What all gateways on one store know together: the accounts, their pauses, whose turn it is to refresh, what the
upstream last said of them. The statements are those of `statements`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field

from kirotrio.accounts.cooldowns import Change
from kirotrio.accounts.known import Known as Known
from kirotrio.accounts.tokens.turns import Turns
from kirotrio.classes import define, frozen
from kirotrio.errors import StoreUnavailable
from kirotrio.store.database import Database
from kirotrio.store.holders import new_holder
from kirotrio.store.sealer import Sealer

if TYPE_CHECKING:
    from sqlalchemy import Connection

_FORGOTTEN = 180 * 86_400.0
"""Seconds after which the successor of a token is of no use any more."""


@define(eq=False)
class Shared:
    """`turn_lasts`: seconds after which the turn of a process that died is another's. All methods raise
    StoreUnavailable unless they say otherwise; cancellation is noticed before and after the database's work."""

    database: Database
    sealer: Sealer
    turn_lasts: float
    old_successors: Path
    """Where earlier versions kept successors, each in a file of its own."""
    holder: str = field(factory=new_holder)
    opened: Known | None = field(default=None, init=False)
    """What was there when the store was opened, if that was read already; handed out once, and no more after the
    database was used otherwise."""
    mode: str | None = field(default=None, init=False)
    """The gateway's mode as it lay there then (`store.mode_rows`), if that was read."""
    _taken: dict[str, Turns] = field(factory=dict, init=False)
    """Turns of this process, by name. In the store they are the process's, whichever of its accounts took them."""

    async def known(self, seen: int | None) -> Known | None:
        """What there is; None where nothing was changed since the revision `seen`."""
        opened, self.opened = self.opened, None
        if opened is not None and seen is None and not self.database.is_used:
            return opened

        def read(connection: Connection) -> Known | None:
            from kirotrio.accounts import statements

            return statements.known(connection, self.sealer, seen)

        return await self.database.read(read)

    async def write(self, changes: Iterable[Change], now: float) -> None:
        """Keep what changed, and forget what is over."""

        def put(connection: Connection) -> None:
            from kirotrio.accounts import statements

            statements.write(connection, changes, now)

        await self.database.write(put)

    def tidy(self, connection: Connection) -> None:
        """Give turns back that were taken by processes of this machine which no longer run, and forget successors that
        nobody has used for so long that they are over."""
        from kirotrio.accounts import statements

        statements.tidy(connection, self.holder, forgotten_before())

    def turns(self) -> Turns:
        return _StoredTurns(self, self._taken)


def forgotten_before() -> float:
    """The moment since which the successor of a token has to have been used to be kept."""
    return time.time() - _FORGOTTEN


@define(eq=False)
class _StoredTurns:
    shared: Shared
    taken: dict[str, Turns]

    async def take(self, name: str) -> bool:
        held = self.taken.get(name)
        if held is not None:
            return held is self and await self._take(name)
        self.taken[name] = self
        taken = False
        try:
            taken = await self._take(name)
        finally:
            if not taken:
                del self.taken[name]
        return taken

    async def give_back(self, name: str) -> None:
        if self.taken.get(name) is self:
            try:
                await self._give_back(name)
            finally:
                del self.taken[name]

    async def _take(self, name: str) -> bool:
        shared = self.shared

        def take(connection: Connection) -> bool:
            from kirotrio.accounts.statements import leases

            return leases.take(connection, name, shared.holder, shared.turn_lasts)

        return await shared.database.write(take)

    async def _give_back(self, name: str) -> None:
        def release(connection: Connection) -> bool:
            from kirotrio.accounts.statements import leases

            return leases.release(connection, name, self.shared.holder)

        try:
            await self.shared.database.write(release)
        except StoreUnavailable:
            return  # it ends by itself


@frozen
class StoredSnapshots:
    """`remembered.Snapshots` in the store. `ids`: an account's id by its name; others are not kept."""

    database: Database
    ids: dict[str, str]

    async def save(self, account: str, topic: str, content: str, fetched_at: float) -> None:
        account_id = self.ids.get(account)
        if account_id is None:
            return

        def put(connection: Connection) -> None:
            from kirotrio.accounts import statements

            statements.keep_snapshot(connection, account_id, topic, content, fetched_at)

        await self.database.write(put)

    async def load(self, account: str, topic: str) -> tuple[str, float] | None:
        account_id = self.ids.get(account)
        if account_id is None:
            return None

        def get(connection: Connection) -> tuple[str, float] | None:
            from kirotrio.accounts.statements import snapshots

            kept = snapshots.get(connection, account_id, topic)
            return (kept.content, kept.fetched_at) if kept is not None else None

        return await self.database.read(get)


@frozen
class StoredSuccessors:
    """`configured.Successors` in the store. `folder` is where earlier versions kept each in a file of its own."""

    database: Database
    folder: Path

    @property
    def where(self) -> str:
        return self.database.where

    def get(self, digest: str) -> bytes | None:
        from kirotrio.accounts.statements import successors

        kept = self.database.reading(lambda connection: successors.get(connection, digest))
        return kept if kept is not None else self._earlier(digest)

    def put(self, digest: str, sealed: bytes, *, in_place_of: bytes | None) -> bool:
        from kirotrio.accounts.statements import successors

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
