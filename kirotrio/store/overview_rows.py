"""Requests added up in the database: over time, and by model, account, key or surface; `overview` says what is what.

One statement for each of these, the same for both engines. What is looked at is found by an index: of a span of time
by `at`, of one key or user by `key_id` and `at`, of one account by `account` and `at`.

Of a large span most of the time goes where rows are sorted one by one. So the engine counts requests by their time to
the first token, rounded to two digits, and ranks are taken here, from those counts: rounding keeps an order, so that a
rank's value is what rounding the exact one gives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from attrs import evolve
from sqlalchemy import ColumnElement, Connection, Integer, Row, Select, case, cast, func, select

from kirotrio.store.columns import as_text
from kirotrio.store.ending_columns import ended_as
from kirotrio.store.overview import By, Chosen, Overview, Point, Share, Sums
from kirotrio.store.request_endings import Ending
from kirotrio.store.request_keys import key_ids_of, names_of
from kirotrio.store.schema import requests

_SHARES = 20


def overview(connection: Connection, chosen: Chosen, shares: int = _SHARES) -> Overview:
    """All that the console's first page shows of the past. `shares`: how many of each kind at most."""
    steps = _counted(connection, chosen, _step(connection, chosen))
    return Overview(
        _added(steps),
        _points(chosen, steps),
        shares_of(connection, chosen, By.MODEL, shares),
        shares_of(connection, chosen, By.ACCOUNT, shares),
        shares_of(connection, chosen, By.KEY, shares),
    )


def over_time(connection: Connection, chosen: Chosen) -> list[Point]:
    """The sums of each step, in order; of a step without a request as well."""
    return _points(chosen, _counted(connection, chosen, _step(connection, chosen)))


def shares_of(connection: Connection, chosen: Chosen, by: By, most: int = _SHARES) -> list[Share]:
    """The sums of each model, account, key or surface; `most` of them, those with most requests first."""
    each = _each(_counted(connection, chosen, requests.c[by.value]))
    first = sorted(each.items(), key=lambda one: (-one[1].requests, one[0]))[:most]
    names = names_of(connection, [what for what, _ in first]) if by is By.KEY else {}
    return [Share(what, names.get(what, what), sums) for what, sums in first]


def choices(connection: Connection, chosen: Chosen, by: By, most: int = 200) -> list[tuple[str, str]]:
    """Ids and names of what there is of a kind (model, account or key), those with most requests first: what one may
    choose to look at alone. What is chosen of this kind already does not count."""
    changes: dict[str, Any] = {by.name.lower(): ""}
    chosen = evolve(chosen, **changes)
    what = requests.c[by.value]
    counted = _where(select(what.label("what")), chosen).group_by(what).order_by(func.count().desc(), what)
    found = [row.what for row in connection.execute(counted.limit(most)) if row.what]
    names = names_of(connection, found) if by is By.KEY else {}
    return [(one, names.get(one, one)) for one in found]


def key_name_of(connection: Connection, key_id: str, owner: str | None = None) -> str:
    """What this key is called, for whom it concerns (`owner` as in `Chosen`); what is not theirs, or is none, is called
    as it was asked for."""
    known = key_ids_of(owner).subquery() if owner is not None else None
    if known is not None and connection.execute(select(known).where(known.c[0] == as_text(key_id))).first() is None:
        return key_id
    return names_of(connection, [as_text(key_id)]).get(key_id, key_id)


def any_at_all(connection: Connection, owner: str | None = None) -> bool:
    """Whether there is one request, of whatever time; `owner` as in `Chosen`."""
    found = select(requests.c.id)
    if owner is not None:
        found = found.where(requests.c.key_id.in_(key_ids_of(owner)))
    return connection.execute(found.limit(1)).first() is not None


def _step(connection: Connection, chosen: Chosen) -> ColumnElement[Any]:
    """The number of the step that a request falls into."""
    return _whole(connection, requests.c.at / chosen.step)


def _counted(connection: Connection, chosen: Chosen, what: ColumnElement[Any]) -> Sequence[Row[Any]]:
    """A row of sums for each value of `what` and each rounded time to the first token."""
    return connection.execute(_counts(connection, chosen, what)).all()


def _counts(connection: Connection, chosen: Chosen, what: ColumnElement[Any]) -> Select[Any]:
    table = requests.c
    columns = what.label("what"), _first(connection).label("first"), ended_as(Ending.FAILED.value).label("failed")
    # Apart, so that each expression, which has values bound to it, stands in the statement once.
    one = _where(select(*columns, table.input_tokens, table.output_tokens, table.credits), chosen).subquery().c
    return select(
        one.what,
        one.first,
        func.count().label("requests"),
        func.sum(case((one.failed, 1), else_=0)).label("failures"),
        func.coalesce(func.sum(one.input_tokens), 0).label("input_tokens"),
        func.coalesce(func.sum(one.output_tokens), 0).label("output_tokens"),
        func.coalesce(func.sum(one.credits), 0.0).label("credits"),
    ).group_by(one.what, one.first)


def _first(connection: Connection) -> ColumnElement[Any]:
    """The time to the first token in hundredths of a second, rounded to two digits."""
    value = requests.c.first_event_seconds

    def rounded(unit: int) -> ColumnElement[Any]:
        return _whole(connection, value * 100 / unit + 0.5) * unit

    return case((value < 1, rounded(1)), (value < 10, rounded(10)), (value < 100, rounded(100)), else_=rounded(1000))


def _whole(connection: Connection, value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Of a number that is not negative the whole part."""
    # A cast of PostgreSQL's rounds, and not every SQLite has a floor; its cast cuts off.
    return cast(value if connection.dialect.name == "sqlite" else func.floor(value), Integer)


def _where(rows: Select[Any], chosen: Chosen) -> Select[Any]:
    rows = rows.where(requests.c.at >= chosen.since, requests.c.at < chosen.until)
    if chosen.owner is not None:
        rows = rows.where(requests.c.key_id.in_(key_ids_of(chosen.owner)))
    for name, value in (("account", chosen.account), ("model", chosen.model), ("key_id", chosen.key)):
        if value:
            rows = rows.where(requests.c[name] == as_text(value))
    return rows


def _points(chosen: Chosen, counted: Sequence[Row[Any]]) -> list[Point]:
    found = _each(counted)
    return [Point(at, found.get(at // chosen.step, Sums())) for at in chosen.steps]


def _each(counted: Sequence[Row[Any]]) -> dict[Any, Sums]:
    """The sums of each `what`."""
    rows: dict[Any, list[Row[Any]]] = {}
    for row in counted:
        rows.setdefault(row.what, []).append(row)
    return {what: _added(own) for what, own in rows.items()}


def _added(rows: Sequence[Row[Any]]) -> Sums:
    times: Counter[int] = Counter()
    for row in rows:
        if row.first is not None:
            times[row.first] += row.requests
    return Sums(
        requests=sum(row.requests for row in rows),
        failures=sum(int(row.failures) for row in rows),
        input_tokens=sum(int(row.input_tokens) for row in rows),
        output_tokens=sum(int(row.output_tokens) for row in rows),
        credits=float(sum(row.credits for row in rows)),
        first_p50=_rank(times, 50),
        first_p95=_rank(times, 95),
    )


def _rank(times: Counter[int], percent: int) -> float | None:
    """Of times in hundredths of a second the one, in seconds, that so many of 100 do not exceed."""
    left = times.total() * percent
    for time in sorted(times):
        left -= 100 * times[time]
        if left <= 0:
            return time / 100
    return None
