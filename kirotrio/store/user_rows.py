"""Users as rows. Every change waits for the other ones (`begin_change`), so that what is checked first is still true
when it is committed; the last active operator is kept in this way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from kirotrio.errors import KirotrioError, SettingsError
from kirotrio.store.columns import as_text, misfits
from kirotrio.store.key_rows import owner_changed
from kirotrio.store.listing import Listed, Listing
from kirotrio.store.listing_rows import listed
from kirotrio.store.revisions import begin_change
from kirotrio.store.schema import identities, users
from kirotrio.store.user_record import Identity, Role, User, UserState

_SHOWN = [column for column in users.c if column.name not in ("password", "sealed")]
_COLUMNS = (*_SHOWN, (users.c.password != "").label("has_password"))


class UserNameTaken(SettingsError):
    """There is a user of that name."""


class LastOperator(SettingsError):
    """Without this one nobody could look after the gateway any more."""

    def __init__(self) -> None:
        super().__init__(
            "this is the last operator who can sign in; make another user one first (`kirotrio users set-role`)"
        )


class UserGone(KirotrioError):
    """The user was removed meanwhile."""


def user_of(values: dict[str, Any]) -> User:
    return User(**{**values, "role": Role(values["role"]), "state": UserState(values["state"])})


def _user(row: Row[Any]) -> User:
    return user_of(row._asdict())


def find(connection: Connection, user_id: str) -> User | None:
    row = connection.execute(select(*_COLUMNS).where(users.c.id == as_text(user_id))).one_or_none()
    return _user(row) if row is not None else None


def credentials(connection: Connection, name: str) -> tuple[User, str] | None:
    """The user of that name with the hash of the password, "" for none: one step, whoever there is."""
    row = connection.execute(select(*_COLUMNS, users.c.password).where(users.c.name == name)).one_or_none()
    if row is None:
        return None
    values = row._asdict()
    hashed: str = values.pop("password")
    return user_of(values), hashed


def named(connection: Connection, name: str) -> User | None:
    """The user of that name, as it is kept (`names.normalised`)."""
    row = connection.execute(select(*_COLUMNS).where(users.c.name == name)).one_or_none()
    return _user(row) if row is not None else None


def with_email(connection: Connection, email: str) -> list[User]:
    """Those of this address, in any case of letters."""
    rows = connection.execute(select(*_COLUMNS).where(func.lower(users.c.email) == email.lower()))
    return [_user(row) for row in rows]


def names(connection: Connection) -> list[str]:
    return sorted(connection.execute(select(users.c.name)).scalars())


def names_by_id(connection: Connection) -> dict[str, str]:
    return {row.id: row.name for row in connection.execute(select(users.c.id, users.c.name))}


def password_of(connection: Connection, user_id: str) -> str:
    """The hash, "" for none."""
    return connection.scalar(select(users.c.password).where(users.c.id == user_id)) or ""


def sealed_of(connection: Connection, user_id: str) -> bytes | None:
    value = connection.scalar(select(users.c.sealed).where(users.c.id == user_id))
    return bytes(value) if value else None


def keep_sealed(connection: Connection, user_id: str, sealed: bytes | None) -> None:
    connection.execute(update(users).where(users.c.id == user_id).values(sealed=sealed))


def rehash(connection: Connection, user_id: str, before: str, after: str) -> None:
    """The same password at another cost, unless it was changed meanwhile."""
    wanted = (users.c.id == user_id, users.c.password == before)
    connection.execute(update(users).where(*wanted).values(password=after))


def page(connection: Connection, listing: Listing) -> Listed[User]:
    """By name. Sorted by `name`, `email`, `role`, `state`, `created_at` or `last_sign_in_at`; filtered by `role` and
    `state`; sought in names and addresses."""
    sorts: Sequence[str] = ("name", "email", "role", "state", "created_at", "last_sign_in_at")
    return listed(
        connection,
        select(*_COLUMNS),
        listing,
        _user,
        sorts={name: users.c[name] for name in sorts},
        order=(users.c.name, users.c.id),
        searched=(users.c.name, users.c.display, users.c.email),
        filters={"role": lambda value: users.c.role == value, "state": lambda value: users.c.state == value},
    )


def count(connection: Connection, *, state: UserState | None = None) -> int:
    counted = select(func.count()).select_from(users)
    return connection.scalar(counted.where(users.c.state == state.value) if state else counted) or 0


def has_operator(connection: Connection) -> bool:
    """Whether there is one at all, whatever their state."""
    return (
        connection.execute(select(users.c.id).where(users.c.role == Role.OPERATOR.value).limit(1)).first() is not None
    )


def add(connection: Connection, user: User, password: str) -> User:
    """Put a new one in, with the hash of a password or "". Raises UserNameTaken; SettingsError where it has no room."""
    begin_change(connection)
    if named(connection, user.name) is not None:
        raise UserNameTaken(f"there is a user named {user.name} already; choose another name")
    values = {column.name: getattr(user, column.name) for column in _SHOWN}
    values |= {"role": user.role.value, "state": user.state.value, "password": password}
    for clause in misfits(users, values):
        raise SettingsError(f"the user cannot be kept: {clause}")
    connection.execute(insert(users).values(**values))
    found = find(connection, user.id)
    assert found is not None  # noqa: S101 - it has just been put in
    return found


def change(connection: Connection, user_id: str, now: float, *, voids: bool = False, **values: Any) -> User:
    """Change columns of a user. `voids`: all sign-ins of before end with it.

    Raises UserGone, and LastOperator where nobody would be an active operator any more who is one now.
    """
    begin_change(connection)
    before = find(connection, user_id)
    if before is None:
        raise UserGone("there is no such user any more")
    for clause in misfits(users, values):
        raise SettingsError(f"the user cannot be kept: {clause}")
    if voids:
        values["version"] = before.version + 1
    connection.execute(update(users).where(users.c.id == user_id).values(**values, updated_at=now))
    after = find(connection, user_id)
    assert after is not None  # noqa: S101 - its row is locked
    if _serves(before) and not _serves(after):
        _keep_one_operator(connection)
    if before.is_active != after.is_active or before.name != after.name:
        owner_changed(connection)
    return after


def remove(connection: Connection, user_id: str) -> User:
    """With all that belongs to the user alone: sign-ins, identities, keys. Raises UserGone, LastOperator."""
    begin_change(connection)
    before = find(connection, user_id)
    if before is None:
        raise UserGone("there is no such user any more")
    connection.execute(delete(users).where(users.c.id == user_id))
    owner_changed(connection)
    if _serves(before):
        _keep_one_operator(connection)
    return before


def signed_in(connection: Connection, user_id: str, now: float) -> None:
    connection.execute(update(users).where(users.c.id == user_id).values(last_sign_in_at=now))


def _serves(user: User) -> bool:
    return user.is_operator and user.is_active


def _keep_one_operator(connection: Connection) -> None:
    wanted = (users.c.role == Role.OPERATOR.value, users.c.state == UserState.ACTIVE.value)
    if connection.execute(select(users.c.id).where(*wanted).limit(1)).first() is None:
        raise LastOperator


# -- who users are elsewhere


def identity(connection: Connection, provider: str, subject: str) -> Identity | None:
    wanted = (identities.c.provider == provider, identities.c.subject == subject)
    row = connection.execute(select(identities).where(*wanted)).one_or_none()
    return Identity(**row._asdict()) if row is not None else None


def identities_of(connection: Connection, user_id: str) -> tuple[Identity, ...]:
    rows = connection.execute(
        select(identities).where(identities.c.user_id == user_id).order_by(identities.c.provider, identities.c.subject)
    )
    return tuple(Identity(**row._asdict()) for row in rows)


def attach(connection: Connection, made: Identity) -> bool:
    """False where that identity is somebody's already. Raises SettingsError where it has no room."""
    begin_change(connection)
    there = identity(connection, made.provider, made.subject)
    if there is not None:
        return there.user_id == made.user_id
    values = {
        "provider": made.provider,
        "subject": made.subject,
        "user_id": made.user_id,
        "shown": made.shown[:320],
        "created_at": made.created_at,
    }
    for clause in misfits(identities, values):
        raise SettingsError(f"this identity cannot be kept: {clause}")
    connection.execute(insert(identities).values(**values))
    return True


def detach(connection: Connection, user_id: str, provider: str, subject: str) -> bool:
    begin_change(connection)
    wanted = (identities.c.user_id == user_id, identities.c.provider == provider, identities.c.subject == subject)
    return connection.execute(delete(identities).where(*wanted)).rowcount > 0
