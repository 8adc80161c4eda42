"""Invitations as rows. Of what is handed out only the SHA-256 is kept, and each is accepted once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, select, update

from kirotrio.errors import SettingsError
from kirotrio.store.columns import as_text, misfits
from kirotrio.store.listing import Listed, Listing
from kirotrio.store.listing_rows import listed
from kirotrio.store.schema import invitations
from kirotrio.store.user_record import Invitation, Role

_COLUMNS = [column for column in invitations.c if column.name != "digest"]


def add(connection: Connection, digest: str, made: Invitation) -> None:
    """Raises SettingsError where it has no room."""
    values = {column.name: getattr(made, column.name) for column in _COLUMNS} | {"role": made.role.value}
    for clause in misfits(invitations, values):
        raise SettingsError(f"the invitation cannot be kept: {clause}")
    connection.execute(insert(invitations).values(**values, digest=digest))


def find(connection: Connection, digest: str, now: float) -> Invitation | None:
    """The one that can be accepted now."""
    row = connection.execute(select(*_COLUMNS).where(_open(now), invitations.c.digest == digest)).one_or_none()
    return _invitation(row) if row is not None else None


def accept(connection: Connection, digest: str, user_id: str, now: float) -> bool:
    """Use it up. False where it was used, has expired or was taken back: of several who try, one succeeds."""
    wanted = update(invitations).where(_open(now), invitations.c.digest == digest)
    return connection.execute(wanted.values(used_at=now, used_by=user_id)).rowcount > 0


def page(connection: Connection, listing: Listing) -> Listed[Invitation]:
    """The newest first. Sorted by `created_at`, `expires_at`, `email` or `role`; filtered by `role`."""
    return listed(
        connection,
        select(*_COLUMNS),
        listing,
        _invitation,
        sorts={name: invitations.c[name] for name in ("created_at", "expires_at", "email", "role")},
        order=(invitations.c.created_at.desc(), invitations.c.id),
        searched=(invitations.c.email,),
        filters={"role": lambda value: invitations.c.role == value},
    )


def remove(connection: Connection, invitation_id: str) -> Invitation | None:
    """Take it back; what it was."""
    invitation_id = as_text(invitation_id)
    row = connection.execute(select(*_COLUMNS).where(invitations.c.id == invitation_id)).one_or_none()
    connection.execute(delete(invitations).where(invitations.c.id == invitation_id))
    return _invitation(row) if row is not None else None


def prune(connection: Connection, before: float) -> int:
    """Those that ended before that time."""
    return connection.execute(delete(invitations).where(invitations.c.expires_at < before)).rowcount


def _open(now: float) -> Any:
    return and_(invitations.c.used_at.is_(None), invitations.c.expires_at > now)


def _invitation(row: Row[Any]) -> Invitation:
    return Invitation(**{**row._asdict(), "role": Role(row.role)})
