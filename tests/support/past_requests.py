"""Requests of the last days, as they would lie in the store, for pages that show them."""

from __future__ import annotations

import random
import time
from typing import Any

import attrs
from sqlalchemy import Connection

from kirotrio.store import request_rows
from kirotrio.store.request_record import RequestRecord
from kirotrio.store.schema import keys, users

MODELS = ("claude-sonnet-4.5", "claude-opus-4.5", "claude-haiku-4.5")


def record(number: int, **changes: Any) -> RequestRecord:
    """One that was asked now."""
    told = {"id": f"req_{number}", "at": time.time(), "outcome": "end_turn", "seconds": 4.0, **changes}
    return RequestRecord(**told)


def put(connection: Connection, *records: RequestRecord) -> None:
    request_rows.insert(connection, [attrs.asdict(one) for one in records])


def have_key(connection: Connection, key_id: str, name: str, owner: str) -> None:
    """A key of this user, who is there already."""
    owner_id = connection.scalar(users.select().where(users.c.name == owner).with_only_columns(users.c.id))
    assert owner_id, f"there is no user {owner}"
    made = {"id": key_id, "prefix": key_id, "digest": key_id, "name": name, "owner_id": owner_id}
    connection.execute(keys.insert().values(**made, created_at=0.0, updated_at=0.0))


def some_days(count: int = 600, days: float = 2.0) -> list[RequestRecord]:
    """A team at work: three models, two accounts, three keys, a few failures; the same each time but for the hour."""
    dice, now, made = random.Random(7), time.time(), []
    for number in range(count):
        failed = dice.random() < 0.06
        first = 0.4 + dice.expovariate(0.8)
        made.append(
            record(
                number,
                at=now - days * 86_400 * dice.random(),
                key_id=dice.choice(["k-laptop", "k-server", "default"]),
                account=dice.choice(["work", "home"]),
                model=dice.choices(MODELS, [5, 2, 2])[0],
                outcome="upstream_failed" if failed else "end_turn",
                error="the upstream broke off" if failed else "",
                first_event_seconds=None if failed else first,
                seconds=first + dice.expovariate(0.1),
                input_tokens=None if failed else dice.randrange(200, 90_000),
                output_tokens=None if failed else dice.randrange(20, 4000),
                credits=None if failed else dice.random(),
            )
        )
    return made
