"""Where tests keep their files: in memory where there is room, since what they write is never read after them.

Databases are made and synced by the thousand, and no test cuts the power: a process that is killed loses nothing that
it wrote, on a disk or in memory alike. Whoever sets TMPDIR has it his own way.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 2 << 30
"""Bytes that have to be free. What a run leaves behind is some tens of megabytes."""


def keep_in_memory() -> None:
    """For this process and those that it starts; does nothing where memory has no folder or too little room."""
    if not os.environ.get("TMPDIR") and _has_room(MEMORY):
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # what has been found out already


def _has_room(folder: Path) -> bool:
    try:
        found = os.statvfs(folder)
    except (OSError, AttributeError):  # there is no such folder, or no such call on this system
        return False
    # Some tests run programs that they write.
    runs = not found.f_flag & getattr(os, "ST_NOEXEC", 0)
    return runs and os.access(folder, os.W_OK) and found.f_bavail * found.f_frsize >= ROOM
