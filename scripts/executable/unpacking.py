"""Runtime hook of the executable: files that wait in its archive are written when their owner is imported.

They go where the bootloader would have put them, into the folder that it removes at the end, so that nobody who looks
for them sees a difference. Several threads and processes may come here for the same files: each is written beside its
place and then moved there, whole.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Unpacking:
    """Stands in front of all that finds modules, and finds none.

    `wanted`: by a module's name, the groups of files that it needs. `files`: a group's, by their places below
    `folder`. An import raises OSError where they cannot be written.
    """

    def __init__(
        self, folder: str, wanted: Mapping[str, Sequence[str]], files: Callable[[str], Mapping[str, bytes]]
    ) -> None:
        self._folder = folder
        self._wanted = wanted
        self._files = files
        self._done: set[str] = set()

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        for group in self._wanted.get(name, ()):
            self.unpack(group)

    def unpack(self, group: str) -> None:
        if group in self._done:
            return
        for place, content in self._files(group).items():
            self._write(os.path.join(self._folder, *place.split("/")), content)
        self._done.add(group)

    def _write(self, path: str, content: bytes) -> None:
        if os.path.exists(path):
            return
        parent = os.path.dirname(path)
        os.makedirs(parent, mode=0o700, exist_ok=True)
        beside = f"{path}.{os.getpid()}-{get_ident()}"
        with open(
            os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o700), "wb"
        ) as file:
            file.write(content)
        os.replace(beside, path)
        # Whoever has listed the folder need not notice within the resolution of its clock.
        sys.path_importer_cache.pop(parent, None)


def _files(group: str) -> Mapping[str, bytes]:
    try:
        files: Mapping[str, bytes] = __import__(group).FILES
    finally:
        sys.modules.pop(group, None)  # megabytes
    return files


def install(folder: str, table: Any) -> None:
    """Have files of `folder` written from now on as `table` (`packing.TABLE`) says."""
    unpacking = Unpacking(folder, table.WANTED, _files)
    for group in table.AT_ONCE.get(sys.argv[1] if len(sys.argv) == 2 else "", ()):
        unpacking.unpack(group)
    sys.meta_path.insert(0, unpacking)


if (_unpacked := getattr(sys, "_MEIPASS", None)) is not None:
    install(_unpacked, __import__("later"))
