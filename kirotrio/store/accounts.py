"""Accounts as rows: what is known of each, and its secrets, sealed.

Every function takes the connection of one transaction (`Database.write`), so that several of them happen together or
not at all. Every change adds one to the revision, which is what gateways look at to learn that they have to read again.
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import Any

import attrs
import orjson
from sqlalchemy import Connection, delete, insert, or_, select
from sqlalchemy import update as update_rows

from kirotrio.errors import SettingsError
from kirotrio.store.account_record import FIELDS, record_of, secrets_of
from kirotrio.store.account_record import AccountRecord as AccountRecord
from kirotrio.store.account_record import Secrets as Secrets
from kirotrio.store.account_record import purpose as purpose
from kirotrio.store.columns import insertion, misfits
from kirotrio.store.key_rows import repin
from kirotrio.store.request_rows import reassign
from kirotrio.store.revisions import begin_change, bump
from kirotrio.store.revisions import revision as revision
from kirotrio.store.schema import accounts, token_digests
from kirotrio.store.sealing import Sealer, seal_in

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FIXED = frozenset({"id", "created_at", "updated_at"})


class NameTaken(SettingsError):
    """There is an account of that name."""


class AlreadyThere(SettingsError):
    """The refresh token or API key belongs, or did once belong, to an account that is here. `name` is its name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"this sign-in is the account {name} already")
        self.name = name


def digest(token: str) -> str:
    """What is kept of a refresh token or API key to know it again: its SHA-256."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def all_accounts(connection: Connection, sealer: Sealer) -> list[AccountRecord]:
    """All of them by name. Raises SettingsError where the key to the secrets is not to be had."""
    rows = connection.execute(select(accounts)).all()
    return [record_of(row._asdict(), sealer) for row in sorted(rows, key=lambda row: str(row.name))]


def find(connection: Connection, sealer: Sealer, name_or_id: str) -> AccountRecord | None:
    """The account of that name, else the one of that id."""
    wanted = or_(accounts.c.name == name_or_id, accounts.c.id == name_or_id)
    rows = connection.execute(select(accounts).where(wanted)).all()
    rows = sorted(rows, key=lambda row: row.name != name_or_id)
    return record_of(rows[0]._asdict(), sealer) if rows else None


def names(connection: Connection) -> list[str]:
    """The names alone, in order; needs no key."""
    return sorted(connection.execute(select(accounts.c.name)).scalars())


def add(connection: Connection, sealer: Sealer, record: AccountRecord, *, now: float | None = None) -> AccountRecord:
    """Put it in, and remember the digest of its refresh token or API key. The record comes back with its times.

    Raises NameTaken, AlreadyThere, and SettingsError for a value that has no room.
    """
    now = time.time() if now is None else now
    record = attrs.evolve(record, created_at=record.created_at or now, updated_at=now)
    begin_change(connection)
    _check_name(connection, record.name)
    row = _row(record)
    for token in _tokens(record.secrets):
        if (holder := known_digest(connection, token)) is not None:
            raise AlreadyThere(holder)
    connection.execute(insert(accounts).values(**row, sealed=_sealed(connection, record.secrets, record.id, sealer)))
    for token in _tokens(record.secrets):
        _remember(connection, record.id, token)
    bump(connection)
    return record


def rotate(
    connection: Connection,
    sealer: Sealer,
    account_id: str,
    old_refresh_token: str,
    *,
    refresh_token: str,
    access_token: str,
    expires_at: float | None,
    profile_arn: str = "",
    now: float | None = None,
) -> bool:
    """Put the tokens of a refresh in the place of `old_refresh_token`; False, with nothing changed, where the row holds
    another one by now or is gone. "" in `refresh_token` or `profile_arn` leaves what is there (KIRO_PROTOCOL 5.2)."""
    begin_change(connection)
    row = connection.execute(select(accounts).where(accounts.c.id == account_id)).one_or_none()
    if row is None:
        return False
    before = secrets_of(row._asdict(), sealer)
    if before.refresh_token != old_refresh_token:
        return False
    after = attrs.evolve(before, refresh_token=refresh_token or before.refresh_token, access_token=access_token)
    changes: dict[str, Any] = {"expires_at": expires_at, **({"profile_arn": profile_arn} if profile_arn else {})}
    _change(connection, account_id, {**changes, "sealed": _sealed(connection, after, account_id, sealer)}, now)
    _remember(connection, account_id, after.refresh_token)
    return True


def update(
    connection: Connection, sealer: Sealer, account_id: str, *, now: float | None = None, **changes: Any
) -> AccountRecord | None:
    """Change fields of an AccountRecord, `secrets` (a Secrets, in place of the whole) among them.

    Returns the account as it is then, None where it is gone. Raises NameTaken, SettingsError for a value that has no
    room, TypeError for a field that there is not.
    """
    if unknown := changes.keys() - FIELDS - {"secrets"} or changes.keys() & _FIXED:
        raise TypeError(f"an account has no field to change called {', '.join(sorted(unknown))}")
    begin_change(connection)
    row = connection.execute(select(accounts).where(accounts.c.id == account_id)).one_or_none()
    if row is None:
        return None
    if changes.get("name", row.name) != row.name:
        _check_name(connection, changes["name"])
    secrets: Secrets | None = changes.pop("secrets", None)
    if secrets is not None:
        for token in _tokens(secrets):
            holder = known_digest(connection, token)
            if holder is not None and holder != row.name:
                raise AlreadyThere(holder)
            _remember(connection, account_id, token)
        changes["sealed"] = _sealed(connection, secrets, account_id, sealer)
    _change(connection, account_id, changes, now)
    return find(connection, sealer, account_id)


def set_mark(
    connection: Connection,
    account_id: str,
    mark: str,
    reason: str,
    *,
    unless_changed_since: float | None = None,
    now: float | None = None,
) -> bool:
    """Keep it from serving until a person acts. False where the account is gone, here and below.

    With `unless_changed_since`: only what is as it was at that time, which the mark bears then.
    """
    at = time.time() if now is None else now
    if unless_changed_since is not None:
        begin_change(connection)
        at = unless_changed_since
        changed_at = connection.execute(select(accounts.c.updated_at).where(accounts.c.id == account_id)).scalar()
        if changed_at is None or changed_at > at:
            return False
    return _alter(connection, account_id, {"mark": mark, "mark_reason": reason, "marked_at": at}, now)


def clear_mark(
    connection: Connection, account_id: str, *, marked_before: float | None = None, now: float | None = None
) -> bool:
    """With `marked_before`: only a mark of before that time."""
    if marked_before is not None:
        begin_change(connection)
        marked_at = connection.execute(select(accounts.c.marked_at).where(accounts.c.id == account_id)).scalar()
        if marked_at is None or marked_at >= marked_before:
            return False
    return _alter(connection, account_id, {"mark": "", "mark_reason": "", "marked_at": None}, now)


def set_enabled(connection: Connection, account_id: str, enabled: bool, *, now: float | None = None) -> bool:
    return _alter(connection, account_id, {"enabled": enabled}, now)


def rename(connection: Connection, account_id: str, name: str, *, now: float | None = None) -> bool:
    """Raises NameTaken, and SettingsError for what is no name."""
    begin_change(connection)
    if connection.execute(select(accounts.c.name).where(accounts.c.id == account_id)).scalar() == name:
        return True
    _check_name(connection, name)
    return _alter(connection, account_id, {"name": name}, now)


def remove(connection: Connection, account_id: str) -> bool:
    """With all that is kept of it: cooldowns, snapshots, digests of its tokens."""
    begin_change(connection)
    gone = connection.execute(delete(accounts).where(accounts.c.id == account_id)).rowcount > 0
    if gone:
        bump(connection)
    return gone


def known_digest(connection: Connection, token: str) -> str | None:
    """The name of the account that this refresh token or API key belongs to, or once belonged to."""
    joined = select(accounts.c.name).join(token_digests, token_digests.c.account_id == accounts.c.id)
    return connection.execute(joined.where(token_digests.c.digest == digest(token))).scalar()


def _check_name(connection: Connection, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r} cannot be the name of an account: up to 64 letters, digits, dots, dashes and underscores can"
        )
    if connection.execute(select(accounts.c.id).where(accounts.c.name == name)).first() is not None:
        raise NameTaken(f"there is an account named {name} already; choose another name")


def _alter(connection: Connection, account_id: str, changes: dict[str, Any], now: float | None) -> bool:
    begin_change(connection)
    return _change(connection, account_id, changes, now)


def _change(connection: Connection, account_id: str, changes: dict[str, Any], now: float | None) -> bool:
    changes = {**changes, "updated_at": time.time() if now is None else now}
    if "name" in changes:
        before = connection.execute(select(accounts.c.name).where(accounts.c.id == account_id)).scalar()
        if before and before != changes["name"]:
            repin(connection, before, changes["name"])
            reassign(connection, before, changes["name"])

    _check_room(changes)
    changed = connection.execute(update_rows(accounts).where(accounts.c.id == account_id).values(**changes))
    if changed.rowcount:
        bump(connection)
    return changed.rowcount > 0


def _check_room(values: dict[str, Any]) -> None:
    for clause in misfits(accounts, values):
        raise SettingsError(f"the account cannot be kept: {clause}")


def _remember(connection: Connection, account_id: str, token: str) -> None:
    values = {"digest": digest(token), "account_id": account_id}
    connection.execute(insertion(connection, token_digests).values(**values).on_conflict_do_nothing())


def _tokens(secrets: Secrets) -> list[str]:
    return [token for token in (secrets.refresh_token, secrets.api_key) if token]


def _row(record: AccountRecord) -> dict[str, Any]:
    row = attrs.asdict(record, recurse=False, filter=lambda attribute, _: attribute.name != "secrets")
    _check_room(row)
    return row


def _sealed(connection: Connection, secrets: Secrets, account_id: str, sealer: Sealer) -> bytes:
    held = {name: value for name, value in attrs.asdict(secrets).items() if value}
    return seal_in(connection, sealer, orjson.dumps(held), purpose(account_id))
