"""Recordings of requests as they lie in the data folder, found and read. What is in one says `relay.recorded`.

All of it blocks; call it from a thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from kirotrio.errors import KirotrioError
from kirotrio.store.ring import Entry, entries

FOLDER: Final = "recorder"
"""Of the data folder."""
FORMAT: Final = 1


class NotReadable(KirotrioError):
    """A file that is no recording, or one of another version."""


def recorded(folder: Path, request_id: str) -> Entry | None:
    """The recording of the request of exactly this id, None where there is none (any more)."""
    return next((entry for entry in entries(folder) if entry.id == request_id), None)


def read(entry: Entry) -> dict[str, Any]:
    """Raises NotReadable, and FileNotFoundError where it has made room for others meanwhile."""
    import orjson

    try:
        told = orjson.loads(entry.path.read_bytes())
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise NotReadable(f"{entry.path} is no recording that this version of kirotrio reads")
    return told
