"""What each gateway on one database tells the others of itself: each row is written by one of them, and read by all.

They stand among the ledgers, under names of their own: what a gateway answers at present, which goes with it, and the
sign-ins and imports that it runs, which are sealed.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, literal, select

from kirotrio.classes import frozen
from kirotrio.store.columns import upsert
from kirotrio.store.schema import gateways, ledgers

LIVE = "live/"
"""With the holder behind it: what that one answers."""
TASKS = "tasks/"
"""With digests behind it: a sign-in or an import."""


@frozen
class Posted:
    """`age`: seconds since its gateway has said so, or that it is still so."""

    holder: str
    content: str
    age: float


def post(connection: Connection, name: str, content: str, now: float) -> None:
    upsert(connection, ledgers, {"name": name, "content": content, "at": now}, ["name"])


def take_down(connection: Connection, names: Collection[str]) -> None:
    if names:
        connection.execute(delete(ledgers).where(ledgers.c.name.in_(sorted(names))))


def read(connection: Connection, name: str) -> str | None:
    return connection.execute(select(ledgers.c.content).where(ledgers.c.name == name)).scalar()


def read_all(connection: Connection, prefix: str) -> list[tuple[str, str]]:
    """Names and what stands there."""
    wanted = select(ledgers.c.name, ledgers.c.content).where(ledgers.c.name.startswith(prefix, autoescape=True))
    return [(row.name, row.content) for row in connection.execute(wanted.order_by(ledgers.c.name))]


def live(connection: Connection, now: float, lapse: float) -> list[Posted]:
    """What the gateways that live tell of their answers. A row is written where it has changed, each time that its
    gateway says that it lives: for `lapse` seconds from then on."""
    wanted = (
        select(gateways.c.holder, gateways.c.until, ledgers.c.content, ledgers.c.at)
        .join(ledgers, ledgers.c.name == literal(LIVE).concat(gateways.c.holder))
        .where(gateways.c.until > now)
        .order_by(gateways.c.holder)
    )
    rows = connection.execute(wanted).all()
    return [Posted(row.holder, row.content, max(now - max(row.at, row.until - lapse), 0.0)) for row in rows]


def forget_tasks(connection: Connection, before: float) -> int:
    """Those of gateways that are gone: one that runs takes its own down. How many."""
    old = ledgers.c.name.startswith(TASKS) & (ledgers.c.at < before)
    return connection.execute(delete(ledgers).where(old)).rowcount
