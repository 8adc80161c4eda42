"""What an operator tells all who use the console: kept in the store, each change noted in the audit log.

Who may change them is for the caller to see to. A change is a function of a connection, for `Database.write`.
"""

from __future__ import annotations

import math
import uuid
from typing import TYPE_CHECKING, Final

import attrs

from kirotrio.access.audit import Actor
from kirotrio.classes import frozen
from kirotrio.errors import BodyInvalid, NotFound
from kirotrio.store.announcement import SEVERITIES, Announcement

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from kirotrio.store.database import Database
    from kirotrio.store.listing import Listed, Listing

LONGEST_TITLE: Final = 200
LONGEST_BODY: Final = 10_000
"""Characters."""
SHOWN: Final = 5
"""Announcements that a page has room for."""
_LAST: Final = 253_402_300_799.0
"""The end of the year 9999, beyond which nothing has a date."""


@frozen
class Draft:
    """What a person wrote. Times are epoch seconds; `until_at` None: until it is removed."""

    title: str
    body: str = ""
    severity: str = "info"
    from_at: float = 0.0
    until_at: float | None = None

    def checked(self) -> Draft:
        """The same with its ends trimmed. Raises BodyInvalid, whose path is the field."""
        title, body = self.title.strip(), self.body.replace("\r\n", "\n").strip()
        if not title:
            raise BodyInvalid("title", "an announcement needs a title")
        if len(title) > LONGEST_TITLE:
            raise BodyInvalid("title", f"it has {len(title)} characters; {LONGEST_TITLE} are allowed")
        if not title.isprintable():
            raise BodyInvalid("title", "it has characters in it that cannot be shown; write one line of plain text")
        if len(body) > LONGEST_BODY:
            raise BodyInvalid("body", f"it has {len(body)} characters; {LONGEST_BODY} are allowed")
        if any(ord(char) < 0x20 and char not in "\n\t" for char in body) or not _is_text(body):
            raise BodyInvalid("body", "it has characters in it that cannot be shown")
        if self.severity not in SEVERITIES:
            raise BodyInvalid("severity", f"it must be one of {', '.join(SEVERITIES)}")
        for name, at in (("from_at", self.from_at), ("until_at", self.until_at)):
            if at is not None and not (math.isfinite(at) and 0 <= at <= _LAST):
                raise BodyInvalid(name, "it must be a time between the years 1970 and 9999")
        if self.until_at is not None and self.until_at <= self.from_at:
            raise BodyInvalid("until_at", "it must be later than the beginning")
        return attrs.evolve(self, title=title, body=body)


def create(connection: Connection, actor: Actor, draft: Draft, now: float) -> Announcement:
    """Raises BodyInvalid."""
    from kirotrio.store import announcement_rows, audit_rows

    made = Announcement(
        id=str(uuid.uuid4()),
        created_by=actor.id,
        created_at=now,
        updated_at=now,
        **attrs.asdict(draft.checked()),
    )
    announcement_rows.put_in(connection, made)
    audit_rows.note(connection, actor.entry("announcement.create", made.title, now, _detail(made)))
    return made


def edit(connection: Connection, actor: Actor, announcement_id: str, draft: Draft, now: float) -> Announcement:
    """Raises BodyInvalid, and NotFound."""
    from kirotrio.store import announcement_rows, audit_rows

    made = attrs.evolve(one(connection, announcement_id), updated_at=now, **attrs.asdict(draft.checked()))
    announcement_rows.replace(connection, made)
    audit_rows.note(connection, actor.entry("announcement.edit", made.title, now, _detail(made)))
    return made


def remove(connection: Connection, actor: Actor, announcement_id: str, now: float) -> None:
    """Raises NotFound."""
    from kirotrio.store import announcement_rows, audit_rows

    gone = one(connection, announcement_id)
    announcement_rows.remove(connection, announcement_id)
    audit_rows.note(connection, actor.entry("announcement.remove", gone.title, now, _detail(gone)))


def one(connection: Connection, announcement_id: str) -> Announcement:
    """Raises NotFound."""
    from kirotrio.store import announcement_rows

    found = announcement_rows.one(connection, announcement_id)
    if found is None:
        raise NotFound("there is no such announcement; it may have been removed")
    return found


async def due(database: Database, now: float) -> tuple[Announcement, ...]:
    """Those to be shown at this moment, the most severe first. Raises StoreUnavailable."""

    def read(connection: Connection) -> tuple[Announcement, ...]:
        from kirotrio.store import announcement_rows

        return announcement_rows.due(connection, now, SHOWN)

    return await database.read(read)


async def listed(database: Database, listing: Listing) -> Listed[Announcement]:
    """A page of all of them, as `store.announcement_rows.all_of` gives it. Raises StoreUnavailable."""

    def read(connection: Connection) -> Listed[Announcement]:
        from kirotrio.store import announcement_rows

        return announcement_rows.all_of(connection, listing)

    return await database.read(read)


def _detail(announcement: Announcement) -> dict[str, object]:
    shown = ("id", "severity", "from_at", "until_at")
    return {name: getattr(announcement, name) for name in shown}


def _is_text(text: str) -> bool:
    """Whether it has no half of a surrogate pair, which no store takes."""
    return not any(0xD800 <= ord(char) <= 0xDFFF for char in text)
