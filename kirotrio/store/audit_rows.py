"""The audit log as rows. A change notes itself in its own transaction, so that there is never one without the other."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select

from kirotrio.store.audit_entry import Entry as Entry
from kirotrio.store.columns import fitted
from kirotrio.store.listing import Listed, Listing
from kirotrio.store.listing_rows import listed
from kirotrio.store.schema import audit


def note(connection: Connection, entry: Entry) -> None:
    """Put a line in, its texts cut to what the columns hold."""
    values = {
        "at": entry.at,
        "actor_id": entry.actor_id,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": json.dumps(dict(entry.detail), ensure_ascii=False) if entry.detail else "",
        "address": entry.address,
    }
    connection.execute(insert(audit).values(**fitted(audit, values)))


def entries(connection: Connection, listing: Listing) -> Listed[Entry]:
    """A page, the newest first.

    Sorted by `at`, `actor`, `action`, `subject` or `address`; sought in all texts; filtered by `actor` (a name or id),
    `action` (`user.disable`, or `user` for all that begin so), `subject`, `address`, `since` and `until` (epoch
    seconds).
    """
    return listed(
        connection,
        select(audit),
        listing,
        _entry,
        sorts={name: audit.c[name] for name in ("at", "actor", "action", "subject", "address")},
        order=(audit.c.id.desc(),),
        searched=(audit.c.actor, audit.c.action, audit.c.subject, audit.c.detail, audit.c.address),
        filters={
            "actor": lambda value: or_(audit.c.actor == value, audit.c.actor_id == value),
            "action": lambda value: or_(
                audit.c.action == value, audit.c.action.startswith(f"{value}.", autoescape=True)
            ),
            "subject": lambda value: audit.c.subject == value,
            "address": lambda value: audit.c.address == value,
            "since": lambda value: audit.c.at >= _time(value, 0.0),
            "until": lambda value: audit.c.at < _time(value, float(2**53)),
        },
    )


def prune(connection: Connection, before: float) -> int:
    """Remove the lines of before that time; how many there were."""
    return connection.execute(delete(audit).where(audit.c.at < before)).rowcount


def _time(value: str, otherwise: float) -> float:
    try:
        return float(value)
    except ValueError:
        return otherwise


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        action=row.action,
        subject=row.subject,
        detail=json.loads(row.detail) if row.detail else {},
        actor_id=row.actor_id,
        actor=row.actor,
        address=row.address,
        at=row.at,
        number=row.id,
    )
