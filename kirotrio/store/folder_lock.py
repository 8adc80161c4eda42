"""One process at a time changes what lies in a folder. The system lets go of the lock when its holder ends."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_LOOK_EVERY = 0.01


@contextlib.contextmanager
def folder_locked(folder: Path, deadline: float) -> Iterator[None]:
    """Blocking; raises TimeoutError (an OSError) after `deadline` seconds. Not for nesting.

    Where the file system knows no locks, there is none.
    """
    if sys.platform == "win32":
        # A folder cannot be opened there, so a file in it stands for it.
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    else:
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        ends = time.monotonic() + deadline
        while not _taken(descriptor):
            if time.monotonic() > ends:
                raise TimeoutError(f"another process has been changing files in {folder} for too long")
            time.sleep(_LOOK_EVERY)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    """Whether the lock is ours now, or there are none to be had."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
