"""Responses that can be continued, kept in the database for all gateways on it: a `ResponseStore`.

They are people's conversations, so they are sealed with the key to the secrets. Each is written by a task beside the
requests, a moment after it was put; until then this gateway finds it in memory, and another one looks again for a
moment. What cannot be opened, since the key was changed, is missing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
import trio
from attrs import field

from kirotrio.classes import define, frozen
from kirotrio.errors import SettingsError, StoreUnavailable
from kirotrio.store.database import Database
from kirotrio.store.responses import DEEPEST, ResponseMissing, StoredResponse, items_of
from kirotrio.store.sealer import KeyMissing, SealBroken, Sealer, purpose_of
from kirotrio.telemetry.log import Log

if TYPE_CHECKING:
    from sqlalchemy import Connection

_T = TypeVar("_T")

_LOOKS = (0.02, 0.06, 0.2)
"""Seconds between looks for one that is not there: another gateway may be writing it at this moment."""
_PAUSE = 2.0
"""Seconds between two tries to write, where the database is away."""


@frozen
class _Pending:
    owner: str
    stored: StoredResponse
    payload: bytes


@define(eq=False)
class SharedResponses:
    """`max_bytes` for all gateways together; `keep` in seconds since the last use. All methods but `put` raise
    StoreUnavailable."""

    database: Database
    sealer: Sealer
    max_bytes: int
    keep: float
    log: Log
    _pending: OrderedDict[tuple[str, str], _Pending] = field(factory=OrderedDict, init=False)
    """Not yet written, by owner and id."""
    _size: int = field(default=0, init=False)
    _arrived: trio.Event = field(factory=trio.Event, init=False)

    def put(self, owner: str, stored: StoredResponse) -> bool:
        """Keep it; False for what is larger than all there may be. Never waits."""
        payload = orjson.dumps([stored.response, stored.input_items, stored.previous])
        if len(payload) > self.max_bytes:
            return False
        key = (owner, str(stored.response["id"]))
        self._take(key)
        self._pending[key] = _Pending(owner, stored, payload)
        self._size += len(payload)
        while self._size > self.max_bytes:
            self._take(next(iter(self._pending)))
        self._arrived.set()
        return True

    async def get(self, owner: str, response_id: str) -> StoredResponse | None:
        """A copy of its own, or None."""
        try:
            links = await self._links(owner, response_id, 1)
        except ResponseMissing:
            return None
        return links[0]

    async def delete(self, owner: str, response_id: str) -> bool:
        """Whether it was there."""
        was_pending = self._take((owner, response_id)) is not None

        def delete(connection: Connection) -> int:
            from kirotrio.store import response_rows as rows

            return rows.remove(connection, [rows.digest_of(owner, response_id)])

        removed = await self.database.write(delete)
        for pause in () if was_pending or removed else _LOOKS:
            await trio.sleep(pause)
            if removed := await self.database.write(delete):
                break
        return was_pending or removed > 0

    async def chain(self, owner: str, response_id: str) -> list[dict[str, Any]]:
        """Input and output items of this response and all before it, oldest first. Raises ResponseMissing."""
        links = await self._links(owner, response_id, DEEPEST)
        return [item for stored in reversed(links) for item in items_of(stored)]

    async def items(self, owner: str, wanted: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """Those of the wanted items that are there, by id."""
        found: dict[str, dict[str, Any]] = {}
        for pause in (0.0, *_LOOKS):
            missing = [name for name in wanted if name not in found]
            if not missing:
                break
            if pause:
                await trio.sleep(pause)
            for pending in [one for one in self._pending.values() if one.owner == owner]:
                _note(found, pending.stored)
            for stored in await self._holders(owner, missing):
                _note(found, stored)
        return {name: found[name] for name in wanted if name in found}

    async def run(self) -> None:
        """Write until cancelled; what waits then is written within a step of the database, or lost."""
        away = False
        try:
            while True:
                await self._arrived.wait()
                self._arrived = trio.Event()
                try:
                    await self._write_all()
                except StoreUnavailable as error:
                    if not away:
                        self.log.warning("stored responses wait for the database", error=error.in_full)
                    away = True
                    await trio.sleep(_PAUSE)
                    self._arrived.set()
                else:
                    away = False
        finally:
            with trio.move_on_after(self.database.deadline, shield=True):
                try:
                    await self._write_all()
                except StoreUnavailable as error:
                    self.log.warning("stored responses are lost", waiting=len(self._pending), error=error.in_full)

    # Writing

    async def _write_all(self) -> None:
        while self._pending:
            key, pending = next(iter(self._pending.items()))
            try:
                await self.database.write(self._putting(pending))
            except StoreUnavailable:
                raise
            except Exception as error:  # one that cannot be kept is not in the way of the others
                told = error.message if isinstance(error, SettingsError) else repr(error)
                self.log.error("a response was not stored", error=told)
            if self._pending.get(key) is pending:
                self._take(key)

    def _putting(self, pending: _Pending) -> Callable[[Connection], None]:
        def put(connection: Connection) -> None:
            from kirotrio.store import response_rows as rows
            from kirotrio.store.gateway_rows import clock

            owner, stored, now = pending.owner, pending.stored, clock(connection)
            digest = rows.digest_of(owner, str(stored.response["id"]))
            previous = rows.digest_of(owner, stored.previous) if stored.previous else ""
            names = [item["id"] for item in items_of(stored) if isinstance(item.get("id"), str)]
            items = [rows.digest_of(owner, name) for name in names]
            rows.put(connection, self.sealer, digest, previous, pending.payload, items, now)
            rows.prune(connection, now - self.keep, self.max_bytes)

        return put

    def _take(self, key: tuple[str, str]) -> _Pending | None:
        pending = self._pending.pop(key, None)
        if pending is not None:
            self._size -= len(pending.payload)
        return pending

    # Reading

    async def _links(self, owner: str, response_id: str, most: int) -> list[StoredResponse]:
        """This one and those before it, `most` of them, the newest first. Raises ResponseMissing."""
        for pause in _LOOKS:
            try:
                return await self._follow(owner, response_id, most)
            except ResponseMissing:
                await trio.sleep(pause)
        return await self._follow(owner, response_id, most)

    async def _follow(self, owner: str, response_id: str, most: int) -> list[StoredResponse]:
        links: list[StoredResponse] = []
        following: str | None = response_id
        while following is not None and len(links) < most:
            pending = self._pending.get((owner, following))
            if pending is not None:
                links.append(_copy(pending.payload))
            else:
                links += await self._read(owner, following, most - len(links))
            following = links[-1].previous
        if following is not None and most == DEEPEST:
            raise ResponseMissing(following)
        return links

    async def _read(self, owner: str, response_id: str, most: int) -> list[StoredResponse]:
        """At least one. Raises ResponseMissing."""

        def read(connection: Connection) -> list[StoredResponse]:
            from kirotrio.store import response_rows as rows
            from kirotrio.store.gateway_rows import clock

            now = clock(connection)
            rest = rows.chain(connection, rows.digest_of(owner, response_id), most, now - self.keep)
            rows.touch(connection, [digest for digest, _, _ in rest], now)
            found = []
            for digest, _, sealed in rest:
                stored = self._opened(digest, sealed)
                if stored is None:
                    break
                found.append(stored)
            return found

        found = await self.database.write(read)
        if not found:
            raise ResponseMissing(response_id)
        return found

    async def _holders(self, owner: str, wanted: Sequence[str]) -> list[StoredResponse]:
        def read(connection: Connection) -> list[StoredResponse]:
            from kirotrio.store import response_rows as rows
            from kirotrio.store.gateway_rows import clock

            now = clock(connection)
            found = rows.holders(connection, [rows.digest_of(owner, name) for name in wanted], now - self.keep)
            rows.touch(connection, list(found), now)
            opened = [self._opened(digest, sealed) for digest, sealed in found.items()]
            return [stored for stored in opened if stored is not None]

        return await self.database.write(read)

    def _opened(self, digest: str, sealed: bytes) -> StoredResponse | None:
        try:
            return _copy(self.sealer.open(sealed, purpose_of("responses", digest)))
        except (KeyMissing, SealBroken):
            return None


def _copy(payload: bytes) -> StoredResponse:
    response, input_items, previous = orjson.loads(payload)
    return StoredResponse(response, tuple(input_items), previous)


def _note(found: dict[str, dict[str, Any]], stored: StoredResponse) -> None:
    for item in items_of(stored):
        if isinstance(item.get("id"), str):
            found.setdefault(item["id"], item)
