"""Leases: who alone may do something, among tasks, processes and gateways, until when.

A lease is a row with a holder and an end. Its end is measured by one clock: the server's on PostgreSQL, this machine's
on SQLite, which all that share the file have. A lease that nobody released ends by itself.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection, Float, cast, delete, extract, func, literal, or_, select
from sqlalchemy.sql.elements import ColumnElement

from kirotrio.store.columns import insertion
from kirotrio.store.holders import is_dead
from kirotrio.store.holders import new_holder as new_holder
from kirotrio.store.schema import leases

_LONGEST = 3600.0
"""Seconds that nobody takes a lease for."""


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
        if is_dead(row.holder, holder)
    ]
    return sorted(name for name, of in dead if release(connection, name, of))


def _now(connection: Connection) -> ColumnElement[float]:
    if connection.dialect.name == "sqlite":
        return literal(time.time())
    return cast(extract("epoch", func.clock_timestamp()), Float(53))
