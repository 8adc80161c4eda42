"""A folder of files of which only the newest stay: never more than so many, and never more bytes than so many.

Each file is written as a whole or not at all (`write_atomic`), and room is made before it, under the folder's lock: so
the bounds hold at every moment, for several processes together, and a process that dies leaves a folder that can be
read. All of it blocks; call it from a thread.
"""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import Final, final

from kirotrio.classes import frozen
from kirotrio.store.files import private_folder, write_atomic
from kirotrio.store.folder_lock import folder_locked

_NAME: Final = re.compile(r"(\d{13})-([A-Za-z0-9_-]{1,80})\.json")
_DRAFT: Final = re.compile(r"\..*\.new")
_STALE: Final = 600.0
"""Seconds after which a draft is what a process left behind that died."""
_PATIENCE: Final = 10.0


@frozen
class Entry:
    """One file: `at` is epoch seconds, `size` bytes."""

    id: str
    at: float
    size: int
    path: Path


@final
class Ring:
    """`most` files and `most_bytes` in all. What other files there are is let be."""

    def __init__(self, folder: Path, most: int, most_bytes: int) -> None:
        self.folder = folder
        self._most = most
        self._most_bytes = most_bytes

    def put(self, id: str, at: float, content: bytes) -> bool:
        """Keep it; the oldest make room. False where it is larger than all that may be kept. Raises OSError."""
        if self._most < 1 or len(content) > self._most_bytes:
            return False
        private_folder(self.folder)
        with folder_locked(self.folder, _PATIENCE):
            self._sweep()
            kept = entries(self.folder)
            size = sum(entry.size for entry in kept)
            while kept and (len(kept) >= self._most or size + len(content) > self._most_bytes):
                oldest = kept.pop()
                size -= oldest.size
                oldest.path.unlink(missing_ok=True)
            write_atomic(self.folder / f"{max(0, round(at * 1000)):013}-{id}.json", content)
        return True

    def _sweep(self) -> None:
        for path in self.folder.iterdir():
            if _DRAFT.fullmatch(path.name):
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime < time.time() - _STALE:
                        path.unlink()


def entries(folder: Path) -> list[Entry]:
    """What a ring's folder holds, the newest first; nothing where there is no folder."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            if named := _NAME.fullmatch(path.name):
                with contextlib.suppress(FileNotFoundError):  # it made room meanwhile
                    found.append(Entry(named[2], int(named[1]) / 1000, path.stat().st_size, path))
    return sorted(found, key=lambda entry: (entry.at, entry.id), reverse=True)


def named(folder: Path, id: str) -> list[Entry]:
    """Those whose id is this, or else begins so."""
    kept = entries(folder)
    return [entry for entry in kept if entry.id == id] or [entry for entry in kept if entry.id.startswith(id)]
