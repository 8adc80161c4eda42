"""Whose key a request came with: one that was given out, or the playground's of a user, which has no row of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select, case, literal, select

from kirotrio.store.columns import as_text
from kirotrio.store.key_record import PLAYGROUND
from kirotrio.store.schema import keys, requests, users

_players = users.alias("players")
_player_id = literal(PLAYGROUND) + _players.c.id
_player_name = literal("playground (") + _players.c.name + literal(")")


def with_keys(rows: Select[Any]) -> Select[Any]:
    """`rows` of requests, joined to what `key_name` reads."""
    given_out = rows.outerjoin(keys, keys.c.id == requests.c.key_id)
    return given_out.outerjoin(_players, requests.c.key_id == _player_id)


def key_name() -> ColumnElement[Any]:
    """What a request's key is called; NULL for one that is no more, and for the gateway's own."""
    return case((_players.c.id.is_not(None), _player_name), else_=keys.c.name)


def names_of(connection: Connection, key_ids: Sequence[str]) -> dict[str, str]:
    """What these keys are called, by id, without those of which `key_name` says NULL."""
    named = select(keys.c.id, keys.c.name).where(keys.c.id.in_(key_ids))
    players = select(_player_id, _player_name).where(_player_id.in_(key_ids))
    rows = connection.execute(named.union_all(players)).all() if key_ids else ()
    return {row[0]: row[1] for row in rows}


def key_ids_of(owner_id: str) -> CompoundSelect[Any]:
    """The ids of all keys that are this user's."""
    given_out = select(keys.c.id).where(keys.c.owner_id == as_text(owner_id))
    return given_out.union_all(select(literal(PLAYGROUND + as_text(owner_id))))
