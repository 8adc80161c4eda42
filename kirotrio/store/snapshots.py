"""The upstream's last word on an account, so that a gateway that starts knows it before it has asked."""

from __future__ import annotations

from sqlalchemy import Connection, select

from kirotrio.classes import frozen
from kirotrio.store.columns import insertion
from kirotrio.store.schema import accounts, snapshots


@frozen(kw_only=True)
class Snapshot:
    """`topic` is `usage` or `models`, `content` the answer as it came, `fetched_at` epoch seconds."""

    account_id: str
    topic: str
    content: str
    fetched_at: float


def put(connection: Connection, snapshot: Snapshot) -> bool:
    """Keep it, unless a newer one is kept. False where that is so, or the account is gone."""
    # Shared: the account cannot be removed before the commit.
    there = select(accounts.c.id).where(accounts.c.id == snapshot.account_id).with_for_update(read=True, key_share=True)
    if connection.execute(there).first() is None:
        return False
    statement = insertion(connection, snapshots).values(
        account_id=snapshot.account_id,
        topic=snapshot.topic,
        content=snapshot.content.replace("\0", ""),
        fetched_at=snapshot.fetched_at,
    )
    newer = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=["account_id", "topic"],
        set_={"content": newer.content, "fetched_at": newer.fetched_at},
        where=snapshots.c.fetched_at <= newer.fetched_at,
    )
    return connection.execute(statement.returning(snapshots.c.topic)).first() is not None


def get(connection: Connection, account_id: str, topic: str) -> Snapshot | None:
    wanted = (snapshots.c.account_id == account_id) & (snapshots.c.topic == topic)
    row = connection.execute(select(snapshots).where(wanted)).one_or_none()
    return Snapshot(**row._mapping) if row is not None else None


def all_snapshots(connection: Connection, topic: str | None = None) -> list[Snapshot]:
    """Of all accounts; of one topic or of all."""
    statement = select(snapshots).order_by(snapshots.c.account_id, snapshots.c.topic)
    if topic is not None:
        statement = statement.where(snapshots.c.topic == topic)
    return [Snapshot(**row._mapping) for row in connection.execute(statement)]
