"""What fits into a table's columns. SQLite takes anything and PostgreSQL does not; here both take the same."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Float, Integer, String, Table, TextClause, bindparam, text

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

_LARGEST = 2**31 - 1
_UNFIT = {ord("\0"): None, **dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")}
"""PostgreSQL knows no NUL in a text, and neither engine half of a surrogate pair."""


def misfits(table: Table, values: Mapping[str, Any]) -> Iterator[str]:
    """A clause for each value that its column cannot hold: "email is longer than 320 characters"."""
    for name, value in values.items():
        kind = table.c[name].type
        if isinstance(value, str):
            if value.translate(_UNFIT) != value:
                yield f"{name} has characters in it that are no text"
            elif isinstance(kind, String) and kind.length is not None and len(value) > kind.length:
                yield f"{name} is longer than {kind.length} characters"
        elif isinstance(kind, Integer) and isinstance(value, int) and abs(value) > _LARGEST:
            yield f"{name} is larger than {_LARGEST}"
        elif isinstance(kind, Float) and isinstance(value, float) and math.isnan(value):
            yield f"{name} is no number"


def fitted(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values cut to what their columns hold, for what is only looked at."""
    return fitting(table, values)(values)


def fitting(table: Table, names: Iterable[str]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """`fitted` for many rows of these columns: looking a column up takes longer than fitting a value."""
    kinds = [(name, table.c[name].type) for name in names]
    return lambda values: {name: _fitted(kind, values[name]) for name, kind in kinds}


def _fitted(kind: Any, value: Any) -> Any:
    if isinstance(value, str):
        plain = value.isascii() and "\0" not in value
        text = value if plain else value.translate(_UNFIT)
        return text[: kind.length] if isinstance(kind, String) and kind.length is not None else text
    if isinstance(kind, Integer) and isinstance(value, int) and not isinstance(value, bool):
        return max(-_LARGEST, min(value, _LARGEST))
    if isinstance(kind, Float) and isinstance(value, float) and math.isnan(value):
        return None if value is None else 0.0
    return value


def as_text(value: str) -> str:
    """What can stand in a statement: what is sought may have anything in it."""
    return value.translate(_UNFIT)


def insertion(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing`, which both engines spell alike."""
    # Each dialect is large, and a gateway has one of the two.
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert

        return insert(table)
    from sqlalchemy.dialects.postgresql import insert as insert_there

    return insert_there(table)


def upsert(connection: Connection, table: Table, values: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Put a whole row in, or in place of the one that has the same `keys`."""
    connection.execute(_upserting(table, tuple(values), tuple(keys)), values)


@functools.cache
def _upserting(table: Table, names: tuple[str, ...], keys: tuple[str, ...]) -> TextClause:
    if missing := sorted({column.name for column in table.c} - set(names)):
        raise ValueError(f"{table.name}: {', '.join(missing)} not given, and defaults are not filled in here")
    replaced = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
    given = ", ".join(f":{name}" for name in names)
    put = f"INSERT INTO {table.name} ({_quoted(names)}) VALUES ({given})"  # noqa: S608 - names of the schema's own
    return worded(f"{put} ON CONFLICT ({_quoted(keys)}) DO UPDATE SET {replaced}", table, names)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def worded(statement: str, table: Table, names: Iterable[str]) -> TextClause:
    """A statement in words that both engines take, whose parameters are of the columns of these names.

    For what is done often and has ON CONFLICT: built of `insertion`, it would be compiled anew each time, which takes
    longer than running it.
    """
    return text(statement).bindparams(*(bindparam(name, type_=table.c[name].type) for name in names))
