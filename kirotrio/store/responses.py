"""Responses that can be continued (`previous_response_id`) and referred to (`item_reference`), in memory.

Each response holds its own items alone; what came before it is found by walking the chain. Entries are kept as JSON,
which is a fraction of what the same objects take, so that the ceiling in bytes is what it says.

One order serves both limits, least recently used first: the front is what expires first and what is dropped first,
and continuing a conversation renews all of its chain, so that no conversation in use loses its beginning.
Every operation is constant in the number of entries; a chain costs its length.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from kirotrio.classes import frozen

DEEPEST = 1000
"""Responses in one chain at most."""


@frozen
class StoredResponse:
    """A finished response as the API shows it, and the input items that this one request brought, with their ids."""

    response: dict[str, Any]
    input_items: tuple[dict[str, Any], ...] = ()
    previous: str | None = None


class ResponseMissing(Exception):
    """A response, or a link of its chain, is not there (any more). `missing` is its id."""

    def __init__(self, missing: str) -> None:
        super().__init__(missing)
        self.missing = missing


@frozen
class _Entry:
    payload: bytes
    previous: str | None
    item_ids: tuple[str, ...]
    used_at: float


class ResponseMemory:
    """`max_bytes` for all owners together; `keep` in seconds since the last use; `clock` in seconds.

    An owner never sees another's responses. Not safe for use from several threads.
    """

    def __init__(self, max_bytes: int, keep: float, clock: Callable[[], float]) -> None:
        self._max_bytes = max_bytes
        self._keep = keep
        self._clock = clock
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._items: dict[tuple[str, str], str] = {}
        """Owner and item id to the id of the response that holds the item, the newest where several do."""
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, owner: str, stored: StoredResponse) -> bool:
        """Keep it, dropping what was not used for longest; False for what is larger than all there may be."""
        payload = orjson.dumps([stored.response, stored.input_items])
        response_id = str(stored.response["id"])
        self._drop((owner, response_id))
        if len(payload) > self._max_bytes:
            return False
        ids = tuple(item["id"] for item in items_of(stored) if isinstance(item.get("id"), str))
        self._entries[owner, response_id] = _Entry(payload, stored.previous, ids, self._clock())
        self._items.update(dict.fromkeys(((owner, item_id) for item_id in ids), response_id))
        self.size += len(payload)
        self._tidy()
        return True

    def get(self, owner: str, response_id: str) -> StoredResponse | None:
        """A copy of its own, or None."""
        entry = self._use((owner, response_id))
        if entry is None:
            return None
        response, input_items = orjson.loads(entry.payload)
        return StoredResponse(response, tuple(input_items), entry.previous)

    def delete(self, owner: str, response_id: str) -> bool:
        """Whether it was there."""
        self._tidy()
        return self._drop((owner, response_id))

    def chain(self, owner: str, response_id: str) -> list[dict[str, Any]]:
        """Input and output items of this response and all before it, oldest first. Raises ResponseMissing."""
        links: list[StoredResponse] = []
        following: str | None = response_id
        while following is not None:
            stored = self.get(owner, following)
            if stored is None or len(links) == DEEPEST:
                raise ResponseMissing(following)
            links.append(stored)
            following = stored.previous
        return [item for stored in reversed(links) for item in items_of(stored)]

    def items(self, owner: str, wanted: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """Those of the wanted items that are there, by id."""
        found: dict[str, dict[str, Any]] = {}
        for item_id in wanted:
            holder = self._items.get((owner, item_id))
            if item_id in found or holder is None or (stored := self.get(owner, holder)) is None:
                continue
            for item in items_of(stored):
                if isinstance(item.get("id"), str):
                    found.setdefault(item["id"], item)
        return {item_id: found[item_id] for item_id in wanted if item_id in found}

    def _use(self, key: tuple[str, str]) -> _Entry | None:
        self._tidy()
        entry = self._entries.pop(key, None)
        if entry is not None:
            entry = self._entries[key] = _Entry(entry.payload, entry.previous, entry.item_ids, self._clock())
        return entry

    def _tidy(self) -> None:
        """Drop what is too old, and what is too much."""
        expired = self._clock() - self._keep
        while self._entries:
            key, oldest = next(iter(self._entries.items()))
            if oldest.used_at > expired and self.size <= self._max_bytes:
                return
            self._drop(key)

    def _drop(self, key: tuple[str, str]) -> bool:
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        owner, response_id = key
        self.size -= len(entry.payload)
        for item_id in entry.item_ids:
            if self._items.get((owner, item_id)) == response_id:
                del self._items[owner, item_id]
        return True


class ResponseStore(Protocol):
    """A `ResponseMemory` that may be another process's. All but `put` raise Overloaded where that does not answer."""

    def put(self, owner: str, stored: StoredResponse) -> bool: ...

    async def get(self, owner: str, response_id: str) -> StoredResponse | None: ...

    async def delete(self, owner: str, response_id: str) -> bool: ...

    async def chain(self, owner: str, response_id: str) -> list[dict[str, Any]]: ...

    async def items(self, owner: str, wanted: Sequence[str]) -> Mapping[str, dict[str, Any]]: ...


@frozen
class OwnResponses:
    """The `ResponseStore` of a process that is alone. Nothing in it waits."""

    memory: ResponseMemory

    def put(self, owner: str, stored: StoredResponse) -> bool:
        return self.memory.put(owner, stored)

    async def get(self, owner: str, response_id: str) -> StoredResponse | None:
        return self.memory.get(owner, response_id)

    async def delete(self, owner: str, response_id: str) -> bool:
        return self.memory.delete(owner, response_id)

    async def chain(self, owner: str, response_id: str) -> list[dict[str, Any]]:
        return self.memory.chain(owner, response_id)

    async def items(self, owner: str, wanted: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        return self.memory.items(owner, wanted)


def items_of(stored: StoredResponse) -> list[dict[str, Any]]:
    """Of this one request and its answer."""
    return [*stored.input_items, *(stored.response.get("output") or ())]
