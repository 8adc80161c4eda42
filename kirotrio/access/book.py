"""The keys that were given out, as one process knows them: in memory by digest, in step with the store.

They are read when the first of them is offered, not before, and again when a revision in the store says that one was
changed. A key that is not known is looked for there at once, so that a new one works everywhere as soon as it is made;
whoever comes with something that is none waits for a look that others share, so that nobody can have the store asked
more often than it answers.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio
from attrs import field

from kirotrio.access.keys import Key, digest_of, is_key, key_of
from kirotrio.classes import define
from kirotrio.errors import StoreUnavailable
from kirotrio.store.database import Database
from kirotrio.store.key_record import KeyRecord
from kirotrio.telemetry.log import Log

if TYPE_CHECKING:
    from sqlalchemy import Connection

_UNKNOWN = 1000
"""How many digests that are no key's are remembered for a moment."""


@define(eq=False)
class Book:
    """`every`: seconds between two looks at the store, within which what was changed elsewhere holds here. `changed` is
    called after each look that found something new."""

    _database: Database
    _log: Log
    _every: float
    clock: Callable[[], float] = time.time
    changed: Callable[[], None] | None = None
    _keys: dict[str, Key] = field(factory=dict, init=False)
    """By digest."""
    _revision: int | None = field(default=None, init=False)
    """None until the keys were read."""
    _unknown: OrderedDict[str, float] = field(factory=OrderedDict, init=False)
    """Digests that were looked for in vain, and until when nobody looks again."""
    _looking: trio.Lock = field(factory=trio.Lock, init=False)
    _looks: int = field(default=0, init=False)
    """How many have begun."""
    _looked: int = field(default=0, init=False)
    """The number of the last one that was done."""

    async def find(self, offered: str) -> tuple[Key, str | None] | None:
        """The key that `offered` is, or begins with before a colon, and what comes after that; None if it is none.

        Raises AuthenticationFailed for one that was revoked or has expired, StoreUnavailable where it is not known here
        and nobody can say.
        """
        secret, colon, rest = offered.partition(":")
        if not is_key(secret):
            return None
        digest = digest_of(secret)
        key = self._keys.get(digest)
        if key is None:
            key = await self._look_for(digest)
        if key is None:
            return None
        key.check_valid(self.clock())
        return key, rest if colon and rest else None

    async def look(self) -> None:
        """Take over what was changed, by whomever, before this was called. Raises StoreUnavailable."""
        seen = self._looks
        async with self._looking:
            if self._looked > seen:  # somebody else's look began since, and is done
                return
            self._looks = number = self._looks + 1
            await self._read()
            self._looked = number

    async def keep(self) -> None:
        """Until cancelled: take over what was changed elsewhere. Where the store is away, what is known goes on."""
        away = False
        while True:
            await trio.sleep(self._every)
            if self._revision is None:  # nobody has asked for a key yet
                continue
            try:
                await self.look()
                away = False
            except StoreUnavailable as error:
                if not away:
                    self._log.warning("keys are not read anew", error=error.in_full)
                away = True
            except Exception as error:  # a look in the background never ends the process
                self._log.error("looking at the keys failed", exc_info=error)

    async def _look_for(self, digest: str) -> Key | None:
        now = trio.current_time()
        if self._unknown.get(digest, 0.0) > now:
            return None
        await self.look()
        key = self._keys.get(digest)
        if key is None:
            self._unknown[digest] = now + self._every
            self._unknown.move_to_end(digest)
            if len(self._unknown) > _UNKNOWN:
                self._unknown.popitem(last=False)
        return key

    async def _read(self) -> None:
        seen = self._revision

        def read(connection: Connection) -> tuple[int, list[KeyRecord]] | None:
            from kirotrio.store import key_rows

            revision = key_rows.revision(connection)
            return None if revision == seen else (revision, key_rows.all_keys(connection))

        found = await self._database.read(read)
        if found is None:
            return
        self._revision, records = found
        self._keys = {record.digest: key_of(record) for record in records}
        self._unknown.clear()
        if self.changed is not None:
            self.changed()
