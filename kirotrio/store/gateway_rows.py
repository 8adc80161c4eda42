"""Rows that gateways on one database share, each function within one transaction: who is alive, ledgers, homes, news.
What each of them tells of itself is in `posted_rows`.

A ledger is locked by whoever changes it until its transaction ends, which is milliseconds: those who would wait for
something leave first and look again. All times are the server's (this machine's on SQLite).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection, delete, func, select, text, update

from kirotrio.classes import frozen
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


# A turn: its journeys to PostgreSQL are few, and its statements ready, because it is done for each request


@frozen
class Look:
    """What a turn begins with. `found`: what stands in the ledgers, which are locked; `gateways`: until when each is
    alive; the rest as `home_of` and `hear` have it."""

    found: dict[str, str]
    now: float
    gateways: dict[str, float]
    homes: dict[str, tuple[str, float]]
    news: tuple[int, list[str]]

    def alive(self) -> set[str]:
        return {holder for holder, until in self.gateways.items() if until > self.now}


def begin_turn(
    connection: Connection, holder: str, names: Collection[str], sessions: Collection[str], seen: int, seconds: float
) -> Look | None:
    """Lock ledgers, and then see the rest as it is by that time. None where a ledger is missing.

    The first of a transaction, which the server ends where we are not heard of for so many seconds.
    """
    if connection.dialect.name == "sqlite":
        found = lock(connection, names) if names else {}
        if found is None:
            return None
        known = {row.holder: row.until for row in connection.execute(select(gateways)).all()}
        now = clock(connection)
        return Look(found, now, known, home_of(connection, sessions), hear(connection, holder, seen))
    from kirotrio.store.postgresql import together

    statements = [_HURRY, *([_LOCK] if names else []), _GATEWAYS, _NEWS_SINCE, *([_HOMES] if sessions else [])]
    values = {"idle": str(int(seconds * 1000)), "names": sorted(names), "seen": seen, "sessions": sorted(sessions)}
    _, *rows = together(connection, "; ".join(statements), values)
    locked = dict(rows.pop(0)) if names else {}
    if len(locked) < len(names):
        return None
    living, news_rows, *rest = rows
    return Look(
        locked,
        living[0][2] if living else 0.0,
        {name: until for name, until, _ in living},
        {session: (account, at) for session, account, at in rest[0]} if rest else {},
        _heard(news_rows, holder, seen),
    )


def end_turn(
    connection: Connection, contents: Mapping[str, str], now: float, holder: str, until: float | None, *, last: bool
) -> None:
    """Write the ledgers, and until when `holder` is alive unless that is None. `last`: nothing follows, so the same
    journey may end the transaction."""
    if connection.dialect.name == "sqlite":
        save(connection, contents, now)
        if until is not None:
            connection.execute(update(gateways).where(gateways.c.holder == holder).values(until=until))
        return
    from kirotrio.store.postgresql import together

    values: dict[str, object] = {"now": now, "holder": holder, "until": until}
    statements = [_RENEW] if until is not None else []
    for number, (name, content) in enumerate(sorted(contents.items())):
        statements.append(_SAVE.format(number=number))
        values |= {f"name{number}": name, f"content{number}": content}
    if last:
        statements.append("COMMIT")
    if statements:
        together(connection, "; ".join(statements), values)


_HURRY = "SELECT set_config('idle_in_transaction_session_timeout', %(idle)s, true)"
_LOCK = "SELECT name, content FROM ledgers WHERE name = ANY(%(names)s) ORDER BY name FOR UPDATE"
_GATEWAYS = "SELECT holder, until, extract(epoch FROM clock_timestamp())::float8 FROM gateways"
_NEWS_SINCE = "SELECT number, teller, content FROM news WHERE number > %(seen)s ORDER BY number"
_HOMES = "SELECT session, account_key, at FROM homes WHERE session = ANY(%(sessions)s)"
_RENEW = "UPDATE gateways SET until = %(until)s WHERE holder = %(holder)s"
_SAVE = "UPDATE ledgers SET content = %(content{number})s, at = %(now)s WHERE name = %(name{number})s"


# Who is alive


def alive(connection: Connection, now: float) -> set[str]:
    return set(connection.execute(select(gateways.c.holder).where(gateways.c.until > now)).scalars())


def renew(connection: Connection, holder: str, until: float) -> None:
    """Say that `holder` is alive until then; one that had to be taken for gone, or is new, is so again."""
    upsert(connection, gateways, {"holder": holder, "until": until}, ["holder"])


def bury(connection: Connection, holder: str, now: float, known: Mapping[str, float] | None = None) -> list[str]:
    """Remove the gateways that are gone: not renewed in time, or processes of this machine that no longer run.

    Leases of the latter are given back; of the former nobody knows whether they run. `known`: as in `Look`, if that has
    been read.
    """
    if known is None:
        known = {row.holder: row.until for row in connection.execute(select(gateways)).all()}
    dead = sorted(one for one in known if is_dead(one, holder, others_alone=True))
    gone = sorted({*dead, *(one for one, until in known.items() if until <= now)})
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
    return _heard([tuple(row) for row in connection.execute(later).all()], holder, seen)


def _heard(rows: Sequence[tuple[int, str, str]], holder: str, seen: int) -> tuple[int, list[str]]:
    return (rows[-1][0] if rows else seen), [content for _, teller, content in rows if teller != holder]


def forget_news(connection: Connection, before: float) -> int:
    return connection.execute(delete(news).where(news.c.at < before)).rowcount
