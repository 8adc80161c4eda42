"""Requests added up in the database: over time, and by model, account, key or surface; `overview` says what is what.

One statement for each of these, the same for both engines. What is looked at is found by an index: of a span of time
by `at`, of one key or user by `key_id` and `at`, of one account by `account` and `at`.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Integer, Select, case, cast, func, literal, select

from kirotrio.errors import Cause
from kirotrio.store.columns import as_text
from kirotrio.store.overview import By, Chosen, Overview, Point, Share, Sums
from kirotrio.store.schema import keys, requests

FAILED: Final = (*(cause.value for cause in Cause), "stopped")
"""Outcomes that count as failures. A client that left has its own reasons, and so has who ended an answer."""

_SHARES = 20


def overview(connection: Connection, chosen: Chosen, shares: int = _SHARES) -> Overview:
    """All that the console's first page shows of the past. `shares`: how many of each kind at most."""
    return Overview(
        total(connection, chosen),
        over_time(connection, chosen),
        shares_of(connection, chosen, By.MODEL, shares),
        shares_of(connection, chosen, By.ACCOUNT, shares),
        shares_of(connection, chosen, By.KEY, shares),
    )


def total(connection: Connection, chosen: Chosen) -> Sums:
    """The sums of all of them."""
    for row in connection.execute(_sums(chosen, literal(0))):
        return _read(row)
    return Sums()


def over_time(connection: Connection, chosen: Chosen) -> list[Point]:
    """The sums of each step, in order; of a step without a request as well."""
    at = requests.c.at / chosen.step
    # A cast of PostgreSQL's rounds, and not every SQLite has a floor; its cast cuts off.
    number = cast(at if connection.dialect.name == "sqlite" else func.floor(at), Integer)
    found = {row.what * chosen.step: _read(row) for row in connection.execute(_sums(chosen, number))}
    return [Point(at, found.get(at, Sums())) for at in chosen.steps]


def shares_of(connection: Connection, chosen: Chosen, by: By, most: int = _SHARES) -> list[Share]:
    """The sums of each model, account, key or surface; `most` of them, those with most requests first."""
    sums = _sums(chosen, requests.c[by.value])
    rows = connection.execute(sums.order_by(sums.selected_columns.requests.desc(), "what").limit(most)).all()
    names = _names(connection, [row.what for row in rows]) if by is By.KEY else {}
    return [Share(row.what, names.get(row.what, row.what), _read(row)) for row in rows]


def _sums(chosen: Chosen, what: ColumnElement[Any]) -> Select[Any]:
    """A row of sums for each value of `what`."""
    table = requests.c
    columns = [what.label("what"), table.outcome, table.input_tokens, table.output_tokens, table.credits]
    for name in ("first_event_seconds", "seconds"):
        # Those without one are ranked apart: the engines do not agree on which end of an order they stand at.
        value = table[name]
        columns += [
            value,
            func.row_number().over(partition_by=(what, value.is_(None)), order_by=value).label(f"{name}_rank"),
            func.count(value).over(partition_by=what).label(f"{name}_count"),
        ]
    each = _where(select(*columns), chosen).subquery().c

    def percentile(name: str, part: float) -> ColumnElement[Any]:
        reached = each[f"{name}_rank"] >= part * each[f"{name}_count"]
        return func.min(case((reached, each[name])))

    return select(
        each.what,
        func.count().label("requests"),
        func.sum(case((each.outcome.in_(FAILED), 1), else_=0)).label("failures"),
        func.coalesce(func.sum(each.input_tokens), 0).label("input_tokens"),
        func.coalesce(func.sum(each.output_tokens), 0).label("output_tokens"),
        func.coalesce(func.sum(each.credits), 0.0).label("credits"),
        percentile("first_event_seconds", 0.5).label("first_p50"),
        percentile("first_event_seconds", 0.95).label("first_p95"),
        percentile("seconds", 0.5).label("seconds_p50"),
        percentile("seconds", 0.95).label("seconds_p95"),
    ).group_by(each.what)


def _where(rows: Select[Any], chosen: Chosen) -> Select[Any]:
    rows = rows.where(requests.c.at >= chosen.since, requests.c.at < chosen.until)
    if chosen.owner is not None:
        theirs = select(keys.c.id).where(keys.c.owner_id == as_text(chosen.owner))
        rows = rows.where(requests.c.key_id.in_(theirs))
    for name, value in (("account", chosen.account), ("model", chosen.model), ("key_id", chosen.key)):
        if value:
            rows = rows.where(requests.c[name] == as_text(value))
    return rows


def _names(connection: Connection, ids: list[str]) -> dict[str, str]:
    named = select(keys.c.id, keys.c.name).where(keys.c.id.in_(ids))
    return {row.id: row.name for row in connection.execute(named)} if ids else {}


def _read(row: Any) -> Sums:
    return Sums(
        requests=int(row.requests),
        failures=int(row.failures),
        input_tokens=int(row.input_tokens),
        output_tokens=int(row.output_tokens),
        credits=float(row.credits),
        first_p50=row.first_p50,
        first_p95=row.first_p95,
        seconds_p50=row.seconds_p50,
        seconds_p95=row.seconds_p95,
    )
