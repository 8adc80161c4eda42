"""What accounts are worth, as rows: the figures that a `usage` snapshot comes to (`schema.worth`)."""

from __future__ import annotations

import attrs
from sqlalchemy import Connection, select

from kirotrio.store.account_record import Worth
from kirotrio.store.columns import fitted, insertion
from kirotrio.store.schema import snapshots, worth

USAGE = "usage"


def put(connection: Connection, account_id: str, figures: Worth) -> None:
    """Keep it, unless newer figures are kept. The caller has seen that the account is there, and holds it
    (`snapshots.put`)."""
    values = fitted(worth, {"account_id": account_id, **attrs.asdict(figures)})
    statement = insertion(connection, worth).values(**values)
    rest = {name: statement.excluded[name] for name in values if name != "account_id"}
    newer = worth.c.fetched_at <= statement.excluded.fetched_at
    connection.execute(statement.on_conflict_do_update(index_elements=["account_id"], set_=rest, where=newer))


def unread(connection: Connection) -> list[tuple[str, str, float]]:
    """The usage snapshots that no figures stand beside, as of an earlier version: account's id, content, time."""
    rows = (
        select(snapshots.c.account_id, snapshots.c.content, snapshots.c.fetched_at)
        .outerjoin(worth, worth.c.account_id == snapshots.c.account_id)
        .where(snapshots.c.topic == USAGE, worth.c.account_id.is_(None))
    )
    return [(row.account_id, row.content, row.fetched_at) for row in connection.execute(rows)]
