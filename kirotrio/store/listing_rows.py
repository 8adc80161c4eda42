"""Pages of lists, sought, sorted and cut in the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select

from kirotrio.store.columns import as_text
from kirotrio.store.listing import Listed, Listing

_T = TypeVar("_T")

_LONGEST_SEARCH = 200


def listed(
    connection: Connection,
    rows: Select[Any],
    listing: Listing,
    made: Callable[[Row[Any]], _T],
    *,
    sorts: Mapping[str, ColumnElement[Any]],
    order: Sequence[ColumnElement[Any]],
    searched: Sequence[ColumnElement[Any]] = (),
    filters: Mapping[str, Callable[[str], ColumnElement[bool]]] | None = None,
) -> Listed[_T]:
    """The page of `rows` that `listing` asks for.

    `sorts`: what it may be sorted by. `order`: its own order, which also decides between equals; its last column has
    to tell any two rows apart. `searched`: where the text that is sought may stand, in any case of letters. `filters`:
    a condition for each filter's value.
    """
    for name, condition in (filters or {}).items():
        if value := as_text(listing.filters.get(name, "")):
            rows = rows.where(condition(value))
    if searched and (sought := as_text(listing.search.strip())[:_LONGEST_SEARCH]):
        rows = rows.where(or_(*(column.icontains(sought, autoescape=True) for column in searched)))
    total = connection.scalar(select(func.count()).select_from(rows.order_by(None).subquery())) or 0
    chosen = sorts.get(listing.sort)
    if chosen is not None:
        rows = rows.order_by((chosen.desc() if listing.descending else chosen.asc()).nulls_last())
    page = connection.execute(rows.order_by(*order).limit(listing.limit).offset(listing.offset))
    return Listed(tuple(made(row) for row in page), total, listing)
