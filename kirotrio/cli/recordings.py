"""The recordings of a data folder, as the command line finds them."""

from __future__ import annotations

from pathlib import Path

from kirotrio.config import LoadedSettings
from kirotrio.errors import KirotrioError, SettingsError
from kirotrio.store.recordings import FOLDER
from kirotrio.store.ring import Entry, entries, named


def recorder_folder(loaded: LoadedSettings) -> Path:
    """Raises SettingsError where there is no data folder."""
    folder = loaded.settings.data.dir
    if folder is None:
        raise SettingsError("there is no data folder; give one with --data-dir")
    return folder / FOLDER


def find(folder: Path, id: str) -> Entry:
    """The one of this id, or of which it is the beginning. Raises KirotrioError."""
    found = named(folder, id)
    if len(found) == 1:
        return found[0]
    if found:
        raise KirotrioError(f"{id!r} is the beginning of {len(found)} recordings; give more of it")
    there = len(entries(folder))
    tell = "`kirotrio replay` lists them" if there else "--set recorder.requests=100 makes `kirotrio serve` record"
    raise KirotrioError(f"there is no recording {id!r} among the {there} in {folder}; {tell}")
