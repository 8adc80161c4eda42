"""Numbers that grow with every change of something, and the order in which such changes happen.

`ACCOUNTS` counts the changes of accounts, `KEYS` those of keys and of what their owners may do. Of `RESPONSES` only the
order counts. Whoever takes more than one takes them in this order.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select, update

from kirotrio.store.columns import insertion
from kirotrio.store.schema import meta

ACCOUNTS: Final = "revision"
KEYS: Final = "keys_revision"
RESPONSES: Final = "responses_revision"


def revision(connection: Connection, of: str = ACCOUNTS) -> int:
    """Of what is committed; gateways that look at it know whether to read the accounts again."""
    value = connection.execute(select(meta.c.value).where(meta.c.name == of)).scalar()
    return int(value) if value is not None else 0


def begin_change(connection: Connection, of: str = ACCOUNTS) -> None:
    """Wait until every other change of accounts is committed. The first statement of each change.

    SQLite has one writer anyhow. On PostgreSQL it is this lock, always taken first, that makes what is read next true
    until the commit, lets no two changes wait for each other, and lets the number grow in the order of commits.
    """
    connection.execute(insertion(connection, meta).values(name=of, value="0").on_conflict_do_nothing())
    connection.execute(select(meta.c.value).where(meta.c.name == of).with_for_update())


def bump(connection: Connection, of: str = ACCOUNTS) -> None:
    """Count a change. The caller has begun it with `begin_change`."""
    connection.execute(update(meta).where(meta.c.name == of).values(value=str(revision(connection, of) + 1)))
