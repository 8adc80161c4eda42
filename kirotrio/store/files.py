"""Files that hold secrets: private to their owner, and replaced as a whole or not at all.

A replaced file is written under another name in the same folder, forced to the disk, and renamed over the old
one, so that a reader sees the old bytes or the new ones and a power cut leaves one of the two.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

PRIVATE = 0o600


def write_atomic(path: Path, content: bytes, *, keep_mode: bool = False) -> None:
    """Put `content` in place of what `path` holds. Blocking; raises OSError, and then the old file still stands.

    The new file has mode 0600; with `keep_mode` it takes mode and owner of the file that it replaces, which then
    still belongs to whoever made it. A symbolic link is followed: what it points to is replaced, not the link.
    """
    target = Path(os.path.realpath(path))
    before = _stat(target) if keep_mode else None
    draft = target.parent / f".{target.name}.{secrets.token_hex(6)}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if before is not None:
                _take_after(file.fileno(), before)
            os.fsync(file.fileno())
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def private_folder(path: Path) -> Path:
    """Make `path` and its parents; what is made can be entered by its owner alone. Raises OSError."""
    if not path.is_dir():
        private_folder(path.parent)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
    return path


def obstacle_to_replacing(path: Path) -> str | None:
    """Why this existing file could not be replaced, or None. Looks at permissions only and changes nothing."""
    target = Path(os.path.realpath(path))
    if not os.access(target, os.W_OK):
        return f"{target} is not writable"
    if not os.access(target.parent, os.W_OK | os.X_OK):
        return f"the folder {target.parent} is not writable"
    return None


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _take_after(descriptor: int, before: os.stat_result) -> None:
    if os.name == "nt":
        return
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        # Only root may give a file away; for anybody else the rename itself decides whether it is allowed.
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def sync_folder(folder: Path) -> None:
    """Make a renaming in `folder` last."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some file systems (network shares) refuse this for folders; the rename itself has happened.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
