"""Rows that gateways on one database share, each function within one transaction: who is alive, ledgers, homes, news.
What each of them tells of itself is in `posted_rows`.

A ledger is locked by whoever changes it until its transaction ends, which is milliseconds: those who would wait for
something leave first and look again. All times are the server's (this machine's on SQLite).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, delete, func, select, text, update

from kirotrio.store.columns import fitted, insertion, upsert
from kirotrio.store.holders import is_dead
from kirotrio.store.posted_rows import LIVE, take_down
from kirotrio.store.schema import gateways, homes, leases, ledgers, news

_NEWS = "news"
"""The ledger whose lock puts news in the order of their commits."""


def clock(connection: Connection) -> float:
    """Epoch seconds, now and not when the transaction began."""
    if connection.dialect.name == "sqlite":
        return time.time()
    return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


def hurry(connection: Connection, seconds: float) -> None:
    """Have the server end this transaction where we are not heard of for so long: others wait for its locks."""
    if connection.dialect.name != "sqlite":
        name = "idle_in_transaction_session_timeout"
        connection.execute(select(func.set_config(name, str(int(seconds * 1000)), True)))


# Who is alive


def alive(connection: Connection, now: float) -> set[str]:
    return set(connection.execute(select(gateways.c.holder).where(gateways.c.until > now)).scalars())


def renew(connection: Connection, holder: str, now: float, seconds: float) -> bool:
    """Say that `holder` is alive, for so many seconds; False where it had to be taken for gone, or is new."""
    mine = (gateways.c.holder == holder) & (gateways.c.until > now)
    if connection.execute(update(gateways).where(mine).values(until=now + seconds)).rowcount:
        return True
    upsert(connection, gateways, {"holder": holder, "until": now + seconds}, ["holder"])
    return False


def bury(connection: Connection, holder: str, now: float) -> list[str]:
    """Remove the gateways that are gone: not renewed in time, or processes of this machine that no longer run.

    Leases of the latter are given back; of the former nobody knows whether they run."""
    rows = connection.execute(select(gateways.c.holder, gateways.c.until)).all()
    dead = sorted(row.holder for row in rows if is_dead(row.holder, holder, others_alone=True))
    gone = sorted({*dead, *(row.holder for row in rows if row.until <= now)})
    if dead:
        connection.execute(delete(leases).where(leases.c.holder.in_(dead)))
    if gone:
        connection.execute(delete(gateways).where(gateways.c.holder.in_(gone)))
        take_down(connection, [LIVE + one for one in gone])
    return gone


def leave(connection: Connection, holder: str) -> None:
    """What it held is free from now on."""
    connection.execute(delete(gateways).where(gateways.c.holder == holder))
    take_down(connection, [LIVE + holder])


# Ledgers


def make(connection: Connection, names: Iterable[str]) -> None:
    """Empty ones where there are none. In a transaction of its own: it waits for others that make the same."""
    now = clock(connection)
    for name in sorted(names):
        fresh = insertion(connection, ledgers).values(name=name, content="", at=now)
        connection.execute(fresh.on_conflict_do_nothing())


def lock(connection: Connection, names: Collection[str]) -> dict[str, str] | None:
    """What stands in them, which nobody else changes or locks until the transaction ends. None where one is missing.

    Always in the same order, so that no two wait for each other.
    """
    wanted = select(ledgers.c.name, ledgers.c.content).where(ledgers.c.name.in_(sorted(names)))
    found = {
        row.name: row.content for row in connection.execute(wanted.order_by(ledgers.c.name).with_for_update()).all()
    }
    return found if len(found) == len(names) else None


def save(connection: Connection, contents: Mapping[str, str], now: float) -> None:
    for name, content in contents.items():
        connection.execute(update(ledgers).where(ledgers.c.name == name).values(content=content, at=now))


def forget_idle(connection: Connection, before: float) -> int:
    """Ledgers that were not changed since; how many. Whoever needs one makes it anew. What a gateway tells of itself
    stands for as long as it lives."""
    idle = (ledgers.c.at < before) & (ledgers.c.name != _NEWS) & ~ledgers.c.name.startswith(LIVE)
    return connection.execute(delete(ledgers).where(idle)).rowcount


# Sessions


def home_of(connection: Connection, sessions: Collection[str]) -> dict[str, tuple[str, float]]:
    """The account of each session that is on one, and when that was noted last."""
    if not sessions:
        return {}
    found = connection.execute(select(homes).where(homes.c.session.in_(sorted(sessions))))
    return {row.session: (row.account_key, row.at) for row in found}


def bind(connection: Connection, bound: Mapping[str, str], now: float) -> None:
    """These sessions are on these accounts from now on."""
    for session, account in sorted(bound.items()):
        row = fitted(homes, {"session": session, "account_key": account, "at": now})
        upsert(connection, homes, row, ["session"])


def forget_homes(connection: Connection, before: float) -> int:
    return connection.execute(delete(homes).where(homes.c.at < before)).rowcount


# News


def tell(connection: Connection, teller: str, contents: Iterable[str]) -> None:
    """Under a lock, taken after all others, so that whoever has heard of one number has heard of all before it."""
    contents = list(contents)
    if not contents:
        return
    locked = lock(connection, [_NEWS])
    if locked is None:
        make(connection, [_NEWS])
        locked = lock(connection, [_NEWS])
    assert locked is not None  # noqa: S101 - it was just made
    now = clock(connection)
    number = int(locked[_NEWS] or 0)
    for content in contents:
        number += 1
        row = {"number": number, "at": now, "teller": teller, "content": content}
        connection.execute(insertion(connection, news).values(**row))
    save(connection, {_NEWS: str(number)}, now)


def newest(connection: Connection, before: float) -> int:
    """The number of the last one that was told before that time, 0 if there is none."""
    return connection.execute(select(func.max(news.c.number)).where(news.c.at < before)).scalar() or 0


def hear(connection: Connection, holder: str, seen: int) -> tuple[int, list[str]]:
    """What others have told since, in order, and the number up to which that is."""
    later = select(news.c.number, news.c.teller, news.c.content).where(news.c.number > seen).order_by(news.c.number)
    rows = connection.execute(later).all()
    return (rows[-1].number if rows else seen), [row.content for row in rows if row.teller != holder]


def forget_news(connection: Connection, before: float) -> int:
    return connection.execute(delete(news).where(news.c.at < before)).rowcount
