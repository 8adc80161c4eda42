"""Successors of refresh tokens that a setting names or a client keeps sending (CONTRACT, Keys).

Each lies under the SHA-256 of the token that was given, sealed by the caller with that token itself.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection, delete, select, update

from kirotrio.store.columns import insertion
from kirotrio.store.schema import successors


def get(connection: Connection, digest: str) -> bytes | None:
    """The sealed successor, or None."""
    sealed = connection.execute(select(successors.c.sealed).where(successors.c.digest == digest)).scalar()
    return bytes(sealed) if sealed is not None else None


def put(
    connection: Connection, digest: str, sealed: bytes, *, expected: bytes | None, now: float | None = None
) -> bool:
    """Put it in the place of `expected`, which is what `get` gave (None: there was none).

    False, with nothing changed, where something else lies there by now.
    """
    at = time.time() if now is None else now
    if expected is None:
        statement = insertion(connection, successors).values(digest=digest, sealed=sealed, updated_at=at)
        statement = statement.on_conflict_do_nothing()
        return connection.execute(statement.returning(successors.c.digest)).first() is not None
    same = (successors.c.digest == digest) & (successors.c.sealed == expected)
    return connection.execute(update(successors).where(same).values(sealed=sealed, updated_at=at)).rowcount > 0


def remove_older(connection: Connection, before: float) -> int:
    """Those last written before that time; how many there were."""
    return connection.execute(delete(successors).where(successors.c.updated_at < before)).rowcount
