"""Pauses of accounts, so that they outlast a restart and every gateway keeps them."""

from __future__ import annotations

import attrs
from sqlalchemy import ColumnElement, Connection, delete, select

from kirotrio.store.account_record import CooldownRow as CooldownRow
from kirotrio.store.columns import fitted, upsert
from kirotrio.store.revisions import begin_change, bump
from kirotrio.store.schema import accounts, cooldowns


def put(connection: Connection, row: CooldownRow) -> bool:
    """Keep it, in place of what was kept for the same account and model. False where the account is gone.

    Changes of cooldowns count as changes of accounts (`revisions.revision`).
    """
    begin_change(connection)
    if connection.execute(select(accounts.c.id).where(accounts.c.id == row.account_id)).first() is None:
        return False
    upsert(connection, cooldowns, fitted(cooldowns, attrs.asdict(row)), ("account_id", "model"))
    bump(connection)
    return True


def get(connection: Connection, account_id: str, model: str = "") -> CooldownRow | None:
    wanted = (cooldowns.c.account_id == account_id) & (cooldowns.c.model == model)
    row = connection.execute(select(cooldowns).where(wanted)).one_or_none()
    return CooldownRow(**row._mapping) if row is not None else None


def all_cooldowns(connection: Connection) -> list[CooldownRow]:
    """Those that are over among them, until they are removed."""
    rows = connection.execute(select(cooldowns).order_by(cooldowns.c.account_id, cooldowns.c.model))
    return [CooldownRow(**row._mapping) for row in rows]


def remove(connection: Connection, account_id: str, model: str = "") -> bool:
    """Whether there was one."""
    return _remove(connection, (cooldowns.c.account_id == account_id) & (cooldowns.c.model == model)) > 0


def remove_of(connection: Connection, account_id: str) -> int:
    """All of one account, those of its models too; how many there were."""
    return _remove(connection, cooldowns.c.account_id == account_id)


def remove_expired(connection: Connection, now: float) -> int:
    """How many were over."""
    return _remove(connection, cooldowns.c.until <= now)


def _remove(connection: Connection, which: ColumnElement[bool]) -> int:
    begin_change(connection)
    removed = connection.execute(delete(cooldowns).where(which)).rowcount
    if removed:
        bump(connection)
    return removed
