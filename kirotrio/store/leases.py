"""Leases: who alone may do something, among tasks, processes and gateways, until when.

A lease is a row with a holder and an end. Its end is measured by one clock: the server's on PostgreSQL, this machine's
on SQLite, which all that share the file have. A lease that nobody released ends by itself.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import time
from pathlib import Path

from sqlalchemy import Connection, Float, cast, delete, extract, func, literal, or_, select
from sqlalchemy.sql.elements import ColumnElement

from kirotrio.store.columns import insertion
from kirotrio.store.schema import leases

_LONGEST = 3600.0
"""Seconds that nobody takes a lease for."""


def new_holder() -> str:
    """A name for this run of this program: `host:pid:nonce`."""
    return f"{_host()}:{os.getpid()}:{secrets.token_hex(8)}"


def take(connection: Connection, name: str, holder: str, seconds: float) -> bool:
    """Whether `holder` has the lease now, until `seconds` from now; one that it has already is prolonged.

    Atomic: of several that take a free lease, one has it.
    """
    now = _now(connection)
    statement = insertion(connection, leases).values(name=name, holder=holder, until=now + seconds)
    # One that would last longer than any was taken before this machine's clock was set back.
    free = or_(leases.c.until <= now, leases.c.holder == holder, leases.c.until > now + max(_LONGEST, 10 * seconds))
    statement = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"holder": statement.excluded.holder, "until": statement.excluded.until},
        where=free,
    )
    return connection.execute(statement.returning(leases.c.name)).first() is not None


def release(connection: Connection, name: str, holder: str) -> bool:
    """Give it back; False where it was not the holder's any more."""
    mine = (leases.c.name == name) & (leases.c.holder == holder)
    return connection.execute(delete(leases).where(mine)).rowcount > 0


def holder_of(connection: Connection, name: str) -> str | None:
    """Who has it now."""
    lasting = (leases.c.name == name) & (leases.c.until > _now(connection))
    return connection.execute(select(leases.c.holder).where(lasting)).scalar()


def release_dead(connection: Connection, holder: str) -> list[str]:
    """Give back what processes of this machine hold that no longer run, and what an earlier process of our own id held.

    `holder` is our own (`new_holder`). Returns the names of the leases. A holder on another machine, in another
    container or before the last boot is not known to be dead: its lease runs to its end.
    """
    dead = [
        (row.name, row.holder)
        for row in connection.execute(select(leases.c.name, leases.c.holder))
        if _is_dead(row.holder, holder)
    ]
    return sorted(name for name, of in dead if release(connection, name, of))


def _now(connection: Connection) -> ColumnElement[float]:
    if connection.dialect.name == "sqlite":
        return literal(time.time())
    return cast(extract("epoch", func.clock_timestamp()), Float(53))


def _is_dead(holder: str, ours: str) -> bool:
    host, pid, nonce = _parts(holder)
    our_host, our_pid, our_nonce = _parts(ours)
    if not pid or host != our_host:
        return False
    return nonce != our_nonce if pid == our_pid else not _runs(int(pid))


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
