"""Who holds a lease: a name for this run of this program, and whether the run of such a name is over."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from pathlib import Path


def new_holder(family: str = "") -> str:
    """A name for this run of this program: `host:pid:nonce`. `family`: what the processes of one gateway have in
    common, where it has several."""
    mark = f"{hashlib.sha256(family.encode()).hexdigest()[:12]}." if family else ""
    return f"{_host()}:{os.getpid()}:{mark}{secrets.token_hex(8)}"


def are_family(one: str, other: str) -> bool:
    """Whether both are processes of the same gateway."""
    (host, _, nonce), (other_host, _, other_nonce) = _parts(one), _parts(other)
    mark, dot, _ = nonce.partition(".")
    return one == other or (bool(dot) and host == other_host and mark == other_nonce.partition(".")[0])


def mark_of(holder: str) -> str:
    """40 signs that all processes of one gateway have in common, and those of no other."""
    host, pid, nonce = _parts(holder)
    mark, dot, _ = nonce.partition(".")
    run = f"{host}:{mark}" if dot else f"{host}:{pid}:{nonce}"
    return hashlib.sha256(run.encode()).hexdigest()[:40]


def same_machine() -> str:
    """What all processes have in common that `is_dead` could tell to be dead, and no others."""
    return _host()


def is_dead(holder: str, ours: str, *, others_alone: bool = False) -> bool:
    """Whether `holder` was a process of this machine that no longer runs. `ours`: our own name (`new_holder`).

    One of our own process id was an earlier process, or with `others_alone` perhaps another gateway in this one."""
    host, pid, nonce = _parts(holder)
    our_host, our_pid, our_nonce = _parts(ours)
    if not pid or host != our_host:
        return False
    if pid == our_pid:
        return nonce != our_nonce and not others_alone
    return not _runs(int(pid))


def _parts(holder: str) -> tuple[str, str, str]:
    host, _, rest = holder.partition(":")
    pid, _, nonce = rest.partition(":")
    return host, pid if pid.isdecimal() else "", nonce


def _runs(pid: int) -> bool:
    if os.name == "nt":
        return True  # asking would interrupt it there
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _host() -> str:
    """Names what a process id belongs to: this machine since its boot, and the container where there is one."""
    name = "".join(sign for sign in socket.gethostname() if sign.isalnum() or sign in ".-")[:40]
    marks = [_read("/proc/sys/kernel/random/boot_id"), _link("/proc/self/ns/pid")]
    return f"{name}-{hashlib.sha256(repr(marks).encode()).hexdigest()[:12]}" if any(marks) else name


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
