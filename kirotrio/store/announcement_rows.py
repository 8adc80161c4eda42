"""Announcements as rows."""

from __future__ import annotations

from typing import Any

import attrs
from sqlalchemy import Connection, Row, case, delete, insert, or_, select, update

from kirotrio.store.announcement import SEVERITIES, Announcement
from kirotrio.store.listing import Listed, Listing
from kirotrio.store.listing_rows import listed
from kirotrio.store.schema import announcements

_WEIGHT = case({name: place for place, name in enumerate(SEVERITIES)}, value=announcements.c.severity, else_=0)


def put_in(connection: Connection, announcement: Announcement) -> None:
    connection.execute(insert(announcements).values(**attrs.asdict(announcement)))


def replace(connection: Connection, announcement: Announcement) -> bool:
    """Put it in place of the one that has its id; False where there is none."""
    values = attrs.asdict(announcement)
    where = announcements.c.id == values.pop("id")
    return connection.execute(update(announcements).where(where).values(**values)).rowcount > 0


def remove(connection: Connection, announcement_id: str) -> bool:
    """False where there is none."""
    return connection.execute(delete(announcements).where(announcements.c.id == announcement_id)).rowcount > 0


def one(connection: Connection, announcement_id: str) -> Announcement | None:
    row = connection.execute(select(announcements).where(announcements.c.id == announcement_id)).first()
    return None if row is None else _announcement(row)


def due(connection: Connection, now: float, limit: int) -> tuple[Announcement, ...]:
    """Those to be shown at this moment, the most severe first, of those the newest; `limit` at most."""
    shown = (
        select(announcements)
        .where(announcements.c.from_at <= now, or_(announcements.c.until_at.is_(None), announcements.c.until_at > now))
        .order_by(_WEIGHT.desc(), announcements.c.from_at.desc(), announcements.c.id)
        .limit(limit)
    )
    return tuple(_announcement(row) for row in connection.execute(shown))


def all_of(connection: Connection, listing: Listing) -> Listed[Announcement]:
    """A page, those that begin last first.

    Sorted by `title`, `severity`, `from_at`, `until_at` or `updated_at`; sought in title and body; filtered by
    `severity`.
    """
    columns = announcements.c
    sorts = {name: columns[name] for name in ("title", "from_at", "until_at", "updated_at")}
    return listed(
        connection,
        select(announcements),
        listing,
        _announcement,
        sorts={**sorts, "severity": _WEIGHT},
        order=(columns.from_at.desc(), columns.id),
        searched=(columns.title, columns.body),
        filters={"severity": lambda value: columns.severity == value},
    )


def _announcement(row: Row[Any]) -> Announcement:
    return Announcement(**row._mapping)
