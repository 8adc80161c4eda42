"""What keys have used, as rows: a row for each key and window in which something of it is limited.

Exact also where many ask at one moment, on both engines and from several gateways: a request is counted by one
statement, which counts it only where something is left, so nobody reads a number that another is about to change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
from sqlalchemy import Connection, delete, func, select, update

from kirotrio.store.columns import upsert, worded
from kirotrio.store.key_record import Ceiling, Charge
from kirotrio.store.schema import key_holds, key_usage, keys

_MOST = 2**62
"""Stands for any number."""


def count_request(connection: Connection, key_id: str, ceiling: Ceiling) -> bool:
    """Count one request where something is left of everything in this window; False, and nothing counted, if not.

    A ceiling of 0 counts where nothing was counted before: whoever asks looks at that. Raises IntegrityError for a key
    that is gone.
    """
    wanted = {
        "key_id": key_id,
        "window": ceiling.window,
        "began_at": ceiling.began_at,
        "requests": _MOST if ceiling.requests is None else ceiling.requests,
        "tokens": _MOST if ceiling.tokens is None else ceiling.tokens,
        "credits": float(_MOST) if ceiling.credits is None else ceiling.credits,
    }
    return connection.execute(_COUNTING, wanted).first() is not None


def count_requests(connection: Connection, key_id: str, ceilings: Iterable[Ceiling]) -> bool:
    """The same in all of these windows, or no further than the first that refuses; then undo the transaction."""
    return all(count_request(connection, key_id, one) for one in sorted(ceilings, key=_in_line))


def _in_line(one: Ceiling | Charge) -> tuple[str, int]:
    """The order in which whoever changes several rows of a key comes to them, or two would wait for each other."""
    return one.window, one.began_at


_COUNTING = worded(
    """
    INSERT INTO key_usage (key_id, "window", began_at, requests, tokens, credits)
    VALUES (:key_id, :window, :began_at, 1, 0, 0)
    ON CONFLICT (key_id, "window", began_at) DO UPDATE
    SET requests = key_usage.requests + 1
    WHERE key_usage.requests < :requests AND key_usage.tokens < :tokens AND key_usage.credits < :credits
    RETURNING key_usage.requests
    """,
    key_usage,
    ("key_id", "window", "began_at", "requests", "tokens", "credits"),
)
_CHARGING = worded(
    """
    INSERT INTO key_usage (key_id, "window", began_at, requests, tokens, credits)
    VALUES (:key_id, :window, :began_at, 0, :tokens, :credits)
    ON CONFLICT (key_id, "window", began_at) DO UPDATE
    SET tokens = key_usage.tokens + excluded.tokens, credits = key_usage.credits + excluded.credits
    """,
    key_usage,
    ("key_id", "window", "began_at", "tokens", "credits"),
)


def charge(connection: Connection, charges: Iterable[Charge]) -> None:
    """Add what was used. Keys that are gone are passed over."""
    charges = sorted(charges, key=lambda one: (one.key_id, *_in_line(one)))
    there = set(connection.execute(select(keys.c.id).where(keys.c.id.in_({one.key_id for one in charges}))).scalars())
    for one in charges:
        if one.key_id in there:
            connection.execute(_CHARGING, attrs.asdict(one))


def used(connection: Connection, key_id: str, began: Mapping[str, int]) -> dict[str, tuple[int, int, float]]:
    """Requests, tokens and credits in the windows that began at these times, as far as anything was counted there."""
    rows = connection.execute(select(key_usage).where(key_usage.c.key_id == key_id))
    return {
        row.window: (row.requests, row.tokens, row.credits) for row in rows if began.get(row.window) == row.began_at
    }


def prune(connection: Connection, before: Mapping[str, int]) -> None:
    """Forget windows that began before these times, by the window's name."""
    for window, time in before.items():
        connection.execute(delete(key_usage).where((key_usage.c.window == window) & (key_usage.c.began_at < time)))


def take_hold(connection: Connection, key_id: str, hold: str, most: int, now: float, until: float) -> bool:
    """Whether this request of the key may run beside those that run: at most `most` do. The first of its transaction.

    It counts until it is given back, or until `until` where nobody renews it.
    """
    # Of several that ask at one moment each sees what the one before has taken. Not a lock against who only uses the
    # row's key, as counting does.
    locked = select(keys.c.id).where(keys.c.id == key_id).with_for_update(key_share=True)
    if connection.execute(locked).first() is None:
        return False
    connection.execute(delete(key_holds).where((key_holds.c.key_id == key_id) & (key_holds.c.until <= now)))
    running = connection.execute(select(func.count()).select_from(key_holds).where(key_holds.c.key_id == key_id))
    if (running.scalar() or 0) >= most:
        return False
    upsert(connection, key_holds, {"key_id": key_id, "hold": hold, "until": until}, keys=["key_id", "hold"])
    return True


def give_back(connection: Connection, key_id: str, hold: str) -> None:
    connection.execute(delete(key_holds).where((key_holds.c.key_id == key_id) & (key_holds.c.hold == hold)))


def renew(connection: Connection, holds: Iterable[tuple[str, str]], until: float) -> None:
    """Holds of requests that still run, by key and name, count on until then."""
    for key_id, hold in sorted(holds):
        mine = (key_holds.c.key_id == key_id) & (key_holds.c.hold == hold)
        connection.execute(update(key_holds).where(mine).values(until=until))
