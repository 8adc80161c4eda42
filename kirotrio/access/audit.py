"""Who changed what, when, from where: every change names its actor, and is noted with it.

A change is a function of a connection; it calls `store.audit_rows.note(connection, actor.entry(...))` in the same
transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from kirotrio.classes import frozen
from kirotrio.store.audit_entry import Entry

if TYPE_CHECKING:
    from kirotrio.store.database import Database
    from kirotrio.store.listing import Listed, Listing


@frozen
class Actor:
    """Who acts. `id` is the user's, "" for who is none; `address` is the client's, "" where there is none."""

    id: str
    name: str
    address: str = ""

    def entry(self, action: str, subject: str, at: float, detail: Mapping[str, Any] | None = None) -> Entry:
        """The line for what this one does now. `detail` has no secrets in it, and is of JSON's kinds."""
        return Entry(
            action=action,
            subject=subject,
            detail=detail or {},
            actor_id=self.id,
            actor=self.name,
            address=self.address,
            at=at,
        )


COMMAND_LINE: Final = Actor("", "command line", "")
"""Who sits at the machine that the store lies on, where nothing more is known of them."""


async def note(database: Database, entry: Entry) -> None:
    """Put in a line of its own: of what changes nothing else that the store has. Raises StoreUnavailable."""

    def write(connection: Any) -> None:
        from kirotrio.store.audit_rows import note

        note(connection, entry)

    await database.write(write)


async def entries(database: Database, listing: Listing) -> Listed[Entry]:
    """A page of the log, as `store.audit_rows.entries` gives it. Raises StoreUnavailable."""

    def read(connection: Any) -> Listed[Entry]:
        from kirotrio.store.audit_rows import entries

        return entries(connection, listing)

    return await database.read(read)
