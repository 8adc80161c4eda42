"""Keys that were given out, as rows. Each function takes the connection of one transaction.

Every change adds one to a revision, which is what gateways look at to learn that they have to read again. What a key
has used is no change of it (`key_usage_rows`), nor is when it was used last.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, false, insert, or_, select, update

from kirotrio.errors import SettingsError
from kirotrio.store.columns import misfits
from kirotrio.store.key_record import KeyRecord
from kirotrio.store.listing import Listed, Listing
from kirotrio.store.listing_rows import listed
from kirotrio.store.revisions import KEYS
from kirotrio.store.revisions import begin_change as begin_any
from kirotrio.store.revisions import bump as bump_any
from kirotrio.store.revisions import revision as revision_of
from kirotrio.store.schema import accounts, keys, users

_JSON: Final = ("models", "surfaces", "networks", "limits")
_READ: Final = ("owner", "owner_active")
CHANGEABLE: Final = frozenset(
    {"name", "expires_at", "models", "surfaces", "networks", "account", "max_concurrent", "limits"}
)


def revision(connection: Connection) -> int:
    """Grows with every change of a key, or of what its owner may do."""
    return revision_of(connection, KEYS)


def begin_change(connection: Connection) -> None:
    """Wait until every other change of keys is committed: the first statement of each."""
    begin_any(connection, KEYS)


def bump(connection: Connection) -> None:
    """Have all gateways read the keys again; for whoever changes what an owner may do. After `begin_change`."""
    bump_any(connection, KEYS)


def all_keys(connection: Connection) -> list[KeyRecord]:
    """All of them, those that were revoked too."""
    return [_record(row) for row in connection.execute(_select())]


def page(connection: Connection, listing: Listing) -> Listed[KeyRecord]:
    """A page, the newest first.

    Sorted by `name`, `owner`, `created`, `last_used` or `expires`; sought in names, beginnings and owners; filtered by
    `owner_id` (`gateway` for the gateway's own) and `state` (`revoked`, `expired`, or `usable` for neither).
    """
    now = time.time()
    expired = keys.c.expires_at.is_not(None) & (keys.c.expires_at <= now)
    states = {
        "usable": keys.c.revoked_at.is_(None) & ~expired,
        "revoked": keys.c.revoked_at.is_not(None),
        "expired": keys.c.revoked_at.is_(None) & expired,
    }
    return listed(
        connection,
        _select(),
        listing,
        _record,
        sorts={
            "name": keys.c.name,
            "owner": users.c.name,
            "created": keys.c.created_at,
            "last_used": keys.c.last_used_at,
            "expires": keys.c.expires_at,
        },
        order=(keys.c.created_at.desc(), keys.c.id),
        searched=(keys.c.name, keys.c.prefix, users.c.name),
        filters={
            "owner_id": lambda value: keys.c.owner_id == value if value != "gateway" else keys.c.owner_id.is_(None),
            "state": lambda value: states.get(value, false()),
        },
    )


def find(connection: Connection, key_id: str) -> KeyRecord | None:
    row = connection.execute(_select().where(keys.c.id == key_id)).one_or_none()
    return _record(row) if row is not None else None


def named(connection: Connection, name: str) -> list[KeyRecord]:
    """Those of this name, id or beginning. Of one name there may be several: of different owners, and revoked ones."""
    fits = or_(keys.c.name == name, keys.c.id == name, keys.c.prefix == name)
    return [_record(row) for row in connection.execute(_select().where(fits).order_by(keys.c.created_at))]


def ids_of(connection: Connection, owner_id: str) -> set[str]:
    """The ids of all keys of this user, revoked ones too."""
    return set(connection.execute(select(keys.c.id).where(keys.c.owner_id == owner_id)).scalars())


def bound_to(connection: Connection, account: str) -> tuple[str, ...]:
    """The names of the keys that this account alone answers and that are not revoked, in order."""
    bound = select(keys.c.name).where(keys.c.account == account, keys.c.revoked_at.is_(None))
    return tuple(connection.execute(bound.order_by(keys.c.name, keys.c.id)).scalars())


def names_of(connection: Connection, owner_id: str) -> list[str]:
    """Of the keys of this user, revoked ones too, in order."""
    return sorted(connection.execute(select(keys.c.name).where(keys.c.owner_id == owner_id)).scalars())


def is_taken(connection: Connection, name: str, owner_id: str, *, but: str = "") -> bool:
    """Whether this owner has another key of that name that is not revoked. `but`: the id of one that does not count."""
    of_owner = keys.c.owner_id == owner_id if owner_id else keys.c.owner_id.is_(None)
    fits = (keys.c.name == name) & of_owner & keys.c.revoked_at.is_(None) & (keys.c.id != but)
    return connection.execute(select(keys.c.id).where(fits)).first() is not None


def may_use(connection: Connection, account: str, owner_id: str) -> bool:
    """Whether there is an account of this name that keys of this owner may use: the gateway's, theirs, or lent."""
    is_open = or_(accounts.c.owner_id.in_(("", owner_id)), accounts.c.lent)
    return connection.execute(select(accounts.c.id).where(accounts.c.name == account, is_open)).first() is not None


def add(connection: Connection, record: KeyRecord) -> None:
    """Put it in. The caller has begun the change. Raises SettingsError for a value that has no room."""
    values = {name: getattr(record, name) for name in keys.c.keys()}  # noqa: SIM118 - of columns, not of a dict
    connection.execute(insert(keys).values(**_row(values), owner_id=record.owner_id or None))
    bump(connection)


def change(connection: Connection, key_id: str, changes: Mapping[str, Any], now: float) -> bool:
    """Put other values in place of its own. The caller has begun the change. False where the key is gone.

    Raises SettingsError for a value that has no room.
    """
    values = {**_row(changes), "updated_at": now}
    changed = connection.execute(update(keys).where(keys.c.id == key_id).values(**values)).rowcount > 0
    if changed:
        bump(connection)
    return changed


def owner_changed(connection: Connection) -> None:
    """Whose keys these are may do something else from now on, or is gone: all gateways read the keys again."""
    begin_change(connection)
    bump(connection)


def repin(connection: Connection, old: str, new: str) -> None:
    """The account `old` is called `new` from now on: keys that only it answers follow it."""
    begin_change(connection)
    if connection.execute(update(keys).where(keys.c.account == old).values(account=new)).rowcount:
        bump(connection)


def remove(connection: Connection, key_id: str) -> bool:
    """With all that it has used. The caller has begun the change."""
    gone = connection.execute(delete(keys).where(keys.c.id == key_id)).rowcount > 0
    if gone:
        bump(connection)
    return gone


def touch(connection: Connection, uses: Mapping[str, tuple[float, str]]) -> None:
    """Note when and from where keys were used last, by id. No change that anybody has to read again."""
    for key_id, (at, address) in sorted(uses.items()):  # in one order, so that no two gateways wait for each other
        later = (keys.c.id == key_id) & or_(keys.c.last_used_at.is_(None), keys.c.last_used_at < at)
        connection.execute(update(keys).where(later).values(last_used_at=at, last_address=address[:64]))


def _select() -> Select[Any]:
    owner = [users.c.name.label("owner"), (users.c.state == "active").label("owner_active")]
    return select(keys, *owner).select_from(keys.outerjoin(users, users.c.id == keys.c.owner_id))


def _record(row: Row[Any]) -> KeyRecord:
    values = dict(row._mapping)
    for name in _JSON:
        read = json.loads(values[name])
        values[name] = tuple(read) if isinstance(read, list) else read
    values["owner_id"] = values["owner_id"] or ""
    values["owner"] = values["owner"] or ""
    values["owner_active"] = not values["owner_id"] or bool(values["owner_active"])
    return KeyRecord(**values)


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: value for name, value in values.items() if name not in (*_READ, "owner_id")}
    for name in row.keys() & set(_JSON):
        value = row[name]
        row[name] = json.dumps(list(value) if isinstance(value, Sequence) else value, sort_keys=True)
    for clause in misfits(keys, row):
        raise SettingsError(f"the key cannot be kept: {clause}")
    return row
