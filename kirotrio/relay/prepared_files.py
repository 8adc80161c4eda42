"""Files that were fetched and read for earlier requests: a client sends its whole history again with every turn."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from attrs import field

from kirotrio.classes import define, frozen
from kirotrio.conversation.request import Document, Image, RemoteFile

if TYPE_CHECKING:
    from kirotrio.relay.documents import Extracted

Pending: TypeAlias = RemoteFile | Document
"""A part that is to be fetched, or read."""


@frozen
class FileKey:
    """What makes two files the same: a kind and an address, or a media type and a digest of the contents."""

    kind: str
    source: str

    @classmethod
    def of(cls, part: Pending) -> FileKey:
        """Takes about a millisecond for each megabyte of a document."""
        if isinstance(part, RemoteFile):
            return cls(part.kind, part.url)
        return cls(part.media_type, hashlib.sha256(part.data.encode("utf-8", "surrogatepass")).hexdigest())


@frozen
class _Entry:
    ready: Image | Extracted
    size: int
    made_at: float


@define(eq=False)
class PreparedFiles:
    """At most `max_bytes` of them, each for at most `keep` seconds since it was made; the least recently used go first.

    Not safe for use from several threads.
    """

    max_bytes: int
    keep: float
    clock: Callable[[], float]
    size: int = 0
    _entries: OrderedDict[FileKey, _Entry] = field(factory=OrderedDict)

    def get(self, key: FileKey) -> Image | Extracted | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self.clock() - entry.made_at >= self.keep:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.ready

    def put(self, key: FileKey, ready: Image | Extracted) -> None:
        """What is larger than all there may be is not kept."""
        if key in self._entries:
            self._drop(key)
        size = len(ready.data if isinstance(ready, Image) else ready.text)
        if size > self.max_bytes or self.keep <= 0:
            return
        self._entries[key] = _Entry(ready, size, self.clock())
        self.size += size
        while self.size > self.max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: FileKey) -> None:
        self.size -= self._entries.pop(key).size
