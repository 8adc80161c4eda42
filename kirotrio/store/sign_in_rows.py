"""Sign-ins to the console, and how failed ones are slowed down, as rows. Of a token only its SHA-256 is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from kirotrio.classes import frozen
from kirotrio.store.columns import as_text, fitted, insertion
from kirotrio.store.schema import sign_ins, throttles, users
from kirotrio.store.user_record import Session
from kirotrio.store.user_rows import user_of

_LONGEST_AGENT = 300
MOST_SESSIONS = 50
"""Of one user; beyond, the one that was used longest ago ends."""

_SESSION = [column.label(f"session_{column.name}") for column in sign_ins.c if column.name != "digest"]
_USER = [column.label(f"user_{column.name}") for column in users.c if column.name not in ("password", "sealed")]
_JOINED = select(*_SESSION, *_USER, (users.c.password != "").label("user_has_password")).join(
    users, users.c.id == sign_ins.c.user_id
)


def add(connection: Connection, digest: str, session: Session) -> None:
    """Keep a sign-in, made under its user's present version."""
    values = {
        "id": session.id,
        "digest": digest,
        "user_id": session.user.id,
        "version": session.user.version,
        "csrf": session.csrf,
        "created_at": session.created_at,
        "seen_at": session.seen_at,
        "expires_at": session.expires_at,
        "confirmed_at": session.confirmed_at,
        "second_factor_at": session.second_factor_at,
        "address": session.address,
        "agent": session.agent[:_LONGEST_AGENT],
    }
    connection.execute(insert(sign_ins).values(**fitted(sign_ins, values)))
    mine = select(sign_ins.c.id).where(sign_ins.c.user_id == session.user.id)
    surplus = connection.execute(mine.order_by(sign_ins.c.seen_at.desc(), sign_ins.c.id).offset(MOST_SESSIONS))
    for row_id in surplus.scalars().all():
        connection.execute(delete(sign_ins).where(sign_ins.c.id == row_id))


def find(connection: Connection, digest: str, now: float, idle: float) -> Session | None:
    """The sign-in of this token, if it still holds: not over, not unused for too long, of the user's present version,
    and of an active user."""
    return _held(connection.execute(_JOINED.where(sign_ins.c.digest == digest)).one_or_none(), now, idle)


def find_by_id(connection: Connection, session_id: str, now: float, idle: float) -> Session | None:
    """The same by the sign-in's id, which is no secret: for who has proved otherwise to be of this sign-in."""
    return _held(connection.execute(_JOINED.where(sign_ins.c.id == as_text(session_id))).one_or_none(), now, idle)


def of_user(connection: Connection, user_id: str, now: float, idle: float) -> tuple[Session, ...]:
    """Those that hold, the one used last first."""
    rows = connection.execute(
        _JOINED.where(sign_ins.c.user_id == user_id).order_by(sign_ins.c.seen_at.desc(), sign_ins.c.id)
    )
    return tuple(session for row in rows if (session := _held(row, now, idle)) is not None)


def touch(connection: Connection, session_id: str, **values: Any) -> None:
    connection.execute(update(sign_ins).where(sign_ins.c.id == session_id).values(**values))


def remove(connection: Connection, session_id: str, user_id: str | None = None) -> bool:
    """With `user_id`: only one of theirs."""
    wanted = delete(sign_ins).where(sign_ins.c.id == as_text(session_id))
    return connection.execute(wanted if user_id is None else wanted.where(sign_ins.c.user_id == user_id)).rowcount > 0


def remove_of(connection: Connection, user_id: str, besides: str = "") -> int:
    """All of a user's, `besides` one; how many there were."""
    wanted = (sign_ins.c.user_id == user_id, sign_ins.c.id != besides)
    return connection.execute(delete(sign_ins).where(*wanted)).rowcount


def prune(connection: Connection, now: float, idle: float) -> int:
    """Those that are over."""
    over = or_(sign_ins.c.expires_at <= now, sign_ins.c.seen_at <= now - idle)
    return connection.execute(delete(sign_ins).where(over)).rowcount


def _held(row: Row[Any] | None, now: float, idle: float) -> Session | None:
    if row is None:
        return None
    values = row._asdict()
    user = user_of({name[5:]: value for name, value in values.items() if name.startswith("user_")})
    own = {name[8:]: value for name, value in values.items() if name.startswith("session_")}
    version = own.pop("version")
    del own["user_id"]
    session = Session(user=user, **own)
    over = session.expires_at <= now or session.seen_at + idle <= now
    return None if over or version != user.version or not user.is_active else session


# -- slowing down


@frozen
class Slowing:
    """How failures of one name or address are slowed down: after `free` of them the next attempt waits 2 seconds, then
    twice as long each time, `longest` at most."""

    name: str
    free: int
    longest: float

    def delay(self, failures: int) -> float:
        beyond = failures - self.free
        return 0.0 if beyond < 0 else min(self.longest, 2.0 ** min(beyond + 1, 32))


FORGOTTEN = 3600.0
"""Seconds without an attempt after which earlier failures count no more."""


def begin_attempt(connection: Connection, slowed: Iterable[Slowing], now: float) -> float:
    """Count an attempt as failed before it is made, so that many at one time are as slow as one after the other.

    Returns 0, or the seconds that are to be waited; then nothing is counted.
    """
    slowed = sorted(slowed, key=lambda one: one.name)  # always in the same order, so that none waits for the other
    for one in slowed:
        fresh = {"name": one.name, "failures": 0, "until": 0.0, "updated_at": now}
        # An update even where there is nothing to change: it holds the row, which another could remove otherwise.
        kept = insertion(connection, throttles).values(**fresh)
        connection.execute(kept.on_conflict_do_update(index_elements=["name"], set_={"name": kept.excluded.name}))
    rows = {one.name: connection.execute(select(throttles).where(throttles.c.name == one.name)).one() for one in slowed}
    wait = max((row.until - now for row in rows.values()), default=0.0)
    if wait > 0:
        return wait
    for one in slowed:
        row = rows[one.name]
        failures = 1 + (row.failures if max(row.updated_at, row.until) > now - FORGOTTEN else 0)
        changed = {"failures": failures, "until": now + one.delay(failures), "updated_at": now}
        connection.execute(update(throttles).where(throttles.c.name == one.name).values(**changed))
    return 0.0


def take_back(connection: Connection, cleared: str, undone: str) -> None:
    """An attempt has succeeded: `cleared` counts from nought again, `undone` as before it ("" for none)."""
    connection.execute(delete(throttles).where(throttles.c.name == cleared))
    if undone:
        one_less = {"failures": throttles.c.failures - 1, "until": 0.0}
        wanted = (throttles.c.name == undone, throttles.c.failures > 0)
        connection.execute(update(throttles).where(*wanted).values(**one_less))


def wait_of(connection: Connection, names: Iterable[str], now: float) -> float:
    """Seconds until another attempt is taken."""
    until = connection.execute(select(throttles.c.until).where(throttles.c.name.in_(list(names)))).scalars()
    return max(0.0, max(until, default=0.0) - now)


def prune_throttles(connection: Connection, now: float) -> int:
    wanted = (throttles.c.updated_at < now - FORGOTTEN, throttles.c.until < now - FORGOTTEN)
    return connection.execute(delete(throttles).where(*wanted)).rowcount
