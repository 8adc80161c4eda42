"""The gateway's mode as a row of `meta`, and who its operators are; `access.modes` says what a mode is."""

from __future__ import annotations

from sqlalchemy import Connection, select

from kirotrio.store.columns import upsert
from kirotrio.store.glance import MODE
from kirotrio.store.schema import meta, users


def mode_text(connection: Connection) -> str:
    """As it was put there, "" where nobody ever did."""
    return connection.scalar(select(meta.c.value).where(meta.c.name == MODE)) or ""


def put_mode_text(connection: Connection, text: str) -> None:
    upsert(connection, meta, {"name": MODE, "value": text}, ["name"])


def operators(connection: Connection) -> frozenset[str]:
    """The ids of the users who run this gateway."""
    rows = select(users.c.id).where(users.c.role == "operator", users.c.state == "active")
    return frozenset(connection.scalars(rows))
