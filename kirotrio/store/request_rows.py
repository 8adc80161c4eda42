"""Records of requests as rows; `request_records` says what one is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, or_, select, update

from kirotrio.store.columns import as_text, fitting, insertion
from kirotrio.store.ending_columns import ended_as
from kirotrio.store.listing import Listed, Listing
from kirotrio.store.listing_rows import listed
from kirotrio.store.request_keys import key_ids_of, key_name, with_keys
from kirotrio.store.request_record import RequestRecord, ShownRequest
from kirotrio.store.schema import requests


def recent(connection: Connection, limit: int = 100) -> list[RequestRecord]:
    """The newest first."""
    newest = select(requests).order_by(requests.c.at.desc(), requests.c.id).limit(limit)
    return [RequestRecord(**row._mapping) for row in connection.execute(newest)]


def page(
    connection: Connection,
    listing: Listing,
    owner_id: str | None = None,
    span: tuple[float, float] | None = None,
) -> Listed[ShownRequest]:
    """The newest first. `owner_id`: only those that came with keys of this user; None for all.

    Sorted by `at`, `key`, `account`, `model`, `seconds`, `first`, `input`, `output` or `credits`; sought in ids,
    models, accounts, keys, clients and errors; filtered by `account`, `key` (its name or id), `model` and `result`
    (the value of an `Ending`). `span`: only those from the first of two times to before the second; epoch seconds.
    """
    rows = _shown(owner_id)
    if span is not None:
        rows = rows.where(requests.c.at >= span[0], requests.c.at < span[1])
    return listed(
        connection,
        rows,
        listing,
        _request,
        sorts={
            "at": requests.c.at,
            "key": key_name(),
            "account": requests.c.account,
            "model": requests.c.model,
            "seconds": requests.c.seconds,
            "first": requests.c.first_event_seconds,
            "input": requests.c.input_tokens,
            "output": requests.c.output_tokens,
            "credits": requests.c.credits,
        },
        order=(requests.c.at.desc(), requests.c.id),
        searched=(
            requests.c.id,
            requests.c.upstream_id,
            requests.c.model,
            requests.c.account,
            key_name(),
            requests.c.client,
            requests.c.error,
        ),
        filters={
            "account": lambda value: requests.c.account == value,
            "key": lambda value: or_(key_name() == value, requests.c.key_id == value),
            "model": lambda value: requests.c.model == value,
            "result": ended_as,
        },
    )


def find(connection: Connection, request_id: str, owner_id: str | None = None) -> ShownRequest | None:
    """One of those that `page` has."""
    wanted = _shown(owner_id).where(requests.c.id == as_text(request_id))
    row = connection.execute(wanted).one_or_none()
    return _request(row) if row is not None else None


def _shown(owner_id: str | None) -> Select[Any]:
    rows = with_keys(select(requests, key_name().label("key")))
    return rows if owner_id is None else rows.where(requests.c.key_id.in_(key_ids_of(owner_id)))


def _request(row: Row[Any]) -> ShownRequest:
    values = row._asdict()
    key = values.pop("key")
    return ShownRequest(RequestRecord(**values), key or "")


def last_used(connection: Connection) -> dict[str, float]:
    """When each account's last request began, by the account's name; epoch seconds."""
    latest = select(requests.c.account, func.max(requests.c.at).label("at")).where(requests.c.account != "")
    return {row.account: row.at for row in connection.execute(latest.group_by(requests.c.account))}


def reassign(connection: Connection, old: str, new: str) -> None:
    """The account `old` is called `new` from now on: what was asked of it is found under the new name, in the attempts
    as well. Names of accounts are letters, digits and `._-`, so that they stand in JSON as they are."""
    before, after = (f'"account":"{name}"' for name in (old, new))
    told = requests.c.tries.contains(before, autoescape=True)
    tries = func.replace(requests.c.tries, before, after)
    connection.execute(update(requests).where(told).values(tries=tries))
    connection.execute(update(requests).where(requests.c.account == old).values(account=new))


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
