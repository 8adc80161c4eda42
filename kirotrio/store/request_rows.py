"""Records of requests as rows; `request_records` says what one is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, func, select

from kirotrio.store.columns import fitting, insertion
from kirotrio.store.request_record import RequestRecord
from kirotrio.store.schema import requests


def recent(connection: Connection, limit: int = 100) -> list[RequestRecord]:
    """The newest first."""
    newest = select(requests).order_by(requests.c.at.desc(), requests.c.id).limit(limit)
    return [RequestRecord(**row._mapping) for row in connection.execute(newest)]


def last_used(connection: Connection) -> dict[str, float]:
    """When each account's last request began, by the account's name; epoch seconds."""
    latest = select(requests.c.account, func.max(requests.c.at).label("at")).where(requests.c.account != "")
    return {row.account: row.at for row in connection.execute(latest.group_by(requests.c.account))}


def prune(connection: Connection, before: float) -> int:
    """Remove those of before that time; how many there were."""
    return connection.execute(delete(requests).where(requests.c.at < before)).rowcount


def insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Put them in, cut to what the columns hold.

    A batch may come twice, where the connection was lost in its commit: what is there already stays.
    """
    if rows:
        fit = fitting(requests, rows[0])
        connection.execute(insertion(connection, requests).on_conflict_do_nothing(), [fit(row) for row in rows])
