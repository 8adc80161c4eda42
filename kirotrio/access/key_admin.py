"""Keys as those who look after them have them: made, changed, rotated, revoked, listed, with what each has used.

Every change notes itself in the audit log in its own transaction, and holds in this process at once, in others within
`store.look_every`. Cancellation is noticed between steps: a change has happened wholly or not at all.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

import attrs

from kirotrio.access.audit import Actor
from kirotrio.access.budget import Amount, Budget, Used, budget_of
from kirotrio.access.key_terms import checked
from kirotrio.access.keys import SHOWN, digest_of, new_key
from kirotrio.access.windows import Window
from kirotrio.classes import frozen
from kirotrio.errors import SettingsError, StoreUnavailable
from kirotrio.store.database import Database
from kirotrio.store.key_record import KeyRecord
from kirotrio.store.listing import Listed, Listing

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from kirotrio.access.book import Book


class KeyGone(SettingsError):
    """There is no such key, or it is not one of this owner's."""


@frozen
class MadeKey:
    """A key that was just made: `secret` is shown now and never again."""

    record: KeyRecord
    secret: str = attrs.field(repr=False)


@frozen
class WindowUse:
    """What a key has used in the present span of one window, of what it may. `ends_at`: epoch seconds."""

    window: Window
    used: Used
    limit: Amount
    ends_at: int


@final
class Keys:
    """`book`: this process's, to which changes are told at once; None where it serves no requests.

    `of` in the methods is a user's id: then a key of anybody else counts as one that there is not. Everything may raise
    StoreUnavailable.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time, book: Book | None = None) -> None:
        self._database = database
        self._clock = clock
        self._book = book

    async def create(
        self,
        actor: Actor,
        name: str,
        *,
        owner_id: str = "",
        expires_at: float | None = None,
        models: tuple[str, ...] = (),
        surfaces: tuple[str, ...] = (),
        networks: tuple[str, ...] = (),
        account: str = "",
        max_concurrent: int = 0,
        budget: Budget = Budget(),  # noqa: B008 - a value that nobody changes
    ) -> MadeKey:
        """Make a key; `owner_id` "" makes one of the gateway's own. Raises SettingsError."""
        now, secret = self._clock(), new_key()
        terms = checked(
            {
                "name": name,
                "expires_at": expires_at,
                "models": models,
                "surfaces": surfaces,
                "networks": networks,
                "account": account,
                "max_concurrent": max_concurrent,
                "budget": budget,
            }
        )
        record = KeyRecord(
            id=str(uuid.uuid4()),
            prefix=secret[:SHOWN],
            digest=digest_of(secret),
            owner_id=owner_id,
            created_at=now,
            updated_at=now,
            **terms,
        )

        def make(connection: Connection) -> KeyRecord:
            from kirotrio.store import audit_rows, key_rows

            key_rows.begin_change(connection)
            _check(connection, record, now)
            key_rows.add(connection, record)
            made = key_rows.find(connection, record.id)
            assert made is not None  # noqa: S101 - it has just been put in
            audit_rows.note(connection, actor.entry("key.create", _subject(made), now, _detail(made)))
            return made

        made = await self._write(make)
        return MadeKey(made, secret)

    async def rotate(self, actor: Actor, key_id: str, *, of: str | None = None) -> MadeKey:
        """Another secret for the same key; the old one is refused from then on. Raises KeyGone, SettingsError."""
        now, secret = self._clock(), new_key()
        changes = {"prefix": secret[:SHOWN], "digest": digest_of(secret)}
        record = await self._change(actor, "key.rotate", key_id, changes, now, of)
        return MadeKey(record, secret)

    async def revoke(self, actor: Actor, key_id: str, *, of: str | None = None) -> KeyRecord:
        """Refuse it from now on; what runs already goes on. Raises KeyGone, SettingsError where it is revoked."""
        now = self._clock()
        return await self._change(actor, "key.revoke", key_id, {"revoked_at": now}, now, of)

    async def update(self, actor: Actor, key_id: str, *, of: str | None = None, **terms: Any) -> KeyRecord:
        """Change what it is called or may do: arguments of `create` other than its owner.

        Raises KeyGone, SettingsError, TypeError for what is none of these.
        """
        return await self._change(actor, "key.change", key_id, checked(terms), self._clock(), of)

    async def find(self, key_id: str, *, of: str | None = None) -> KeyRecord:
        """Raises KeyGone."""

        def find(connection: Connection) -> KeyRecord:
            return _found(connection, key_id, of)

        return await self._database.read(find)

    async def named(self, name: str) -> list[KeyRecord]:
        """Those of this name, id or beginning."""

        def named(connection: Connection) -> list[KeyRecord]:
            from kirotrio.store import key_rows

            return key_rows.named(connection, name)

        return await self._database.read(named)

    async def user_id(self, name: str) -> str:
        """The id of the user of this name, for `owner_id`. Raises SettingsError."""

        def find(connection: Connection) -> str | None:
            from kirotrio.store import user_rows

            user = user_rows.named(connection, name)
            return user.id if user is not None else None

        user_id = await self._database.read(find)
        if user_id is None:
            raise SettingsError(f"there is no user {name!r}; `kirotrio users list` shows those there are")
        return user_id

    async def list(self, listing: Listing, *, of: str | None = None) -> Listed[KeyRecord]:
        """A page of them (`key_rows.page` says what it sorts and filters by)."""
        asked = listing
        if of is not None:
            asked = attrs.evolve(listing, filters={**listing.filters, "owner_id": of or "gateway"})

        def page(connection: Connection) -> Listed[KeyRecord]:
            from kirotrio.store import key_rows

            # Whose they are was not asked for by whoever may see no others.
            return attrs.evolve(key_rows.page(connection, asked), listing=listing)

        return await self._database.read(page)

    async def usage(self, key_id: str, *, of: str | None = None) -> tuple[WindowUse, ...]:
        """Of each window that something is limited in, what was used of it by now. Raises KeyGone."""
        now = self._clock()

        def use(connection: Connection) -> tuple[WindowUse, ...]:
            from kirotrio.store import key_usage_rows

            budget = budget_of(_found(connection, key_id, of).limits)
            used = key_usage_rows.used(connection, key_id, {window.value: window.begin(now) for window in Window})
            return tuple(
                WindowUse(window, Used(*used.get(window.value, ())), budget.windows[window], window.end(now))
                for window in budget.limited
            )

        return await self._database.read(use)

    async def _change(
        self, actor: Actor, action: str, key_id: str, changes: dict[str, Any], now: float, of: str | None
    ) -> KeyRecord:
        def change(connection: Connection) -> KeyRecord:
            from kirotrio.store import audit_rows, key_rows

            key_rows.begin_change(connection)
            before = _found(connection, key_id, of)
            if before.revoked_at is not None:
                raise SettingsError(f"the key {before.name} was revoked; make another one")
            changed = {name: value for name, value in changes.items() if value != getattr(before, name)}
            if not changed:
                return before
            _check(connection, attrs.evolve(before, **changed), now, only=changed.keys())
            key_rows.change(connection, key_id, changed, now)
            after = _found(connection, key_id, None)
            detail = _differences(before, after) if action == "key.change" else {"prefix": after.prefix}
            audit_rows.note(connection, actor.entry(action, _subject(after), now, detail))
            return after

        return await self._write(change)

    async def _write(self, work: Callable[[Connection], KeyRecord]) -> KeyRecord:
        record = await self._database.write(work)
        if self._book is not None:
            # It has happened: a secret that was made may not be lost because a look at it failed.
            with contextlib.suppress(StoreUnavailable):
                await self._book.look()
        return record


def _found(connection: Connection, key_id: str, of: str | None) -> KeyRecord:
    from kirotrio.store import key_rows

    record = key_rows.find(connection, key_id)
    if record is None or (of is not None and record.owner_id != of):
        raise KeyGone("there is no such key (any more)")
    return record


def _check(
    connection: Connection, record: KeyRecord, now: float, *, only: Any = ("name", "expires_at", "account", "owner_id")
) -> None:
    """What takes a look at others. Raises SettingsError."""
    from kirotrio.store import key_rows, user_rows

    if "owner_id" in only and record.owner_id and user_rows.find(connection, record.owner_id) is None:
        raise SettingsError("there is no such user; a key belongs to the gateway or to one of its users")
    if "name" in only and key_rows.is_taken(connection, record.name, record.owner_id, but=record.id):
        raise SettingsError(f"name: there is a key named {record.name} already; choose another name")
    if "expires_at" in only and record.expires_at is not None and record.expires_at <= now:
        raise SettingsError("expires_at: this moment is over; name one that is still to come")
    if "account" in only and record.account and not key_rows.may_use(connection, record.account, record.owner_id):
        raise SettingsError(
            f"account: there is no account named {record.account!r} that this key may use; `kirotrio accounts` lists "
            "those there are, of which one that settings name (accounts.*) cannot be chosen: it answers every key"
        )


def _subject(record: KeyRecord) -> str:
    return f"{record.name} ({record.prefix}…)"


_TERMS = ("name", "owner", "expires_at", "models", "surfaces", "networks", "account", "max_concurrent", "limits")


def _detail(record: KeyRecord) -> dict[str, Any]:
    """What it may do, as far as it differs from everything."""
    return {name: _plain(value) for name in _TERMS[1:] if (value := getattr(record, name))}


def _differences(before: KeyRecord, after: KeyRecord) -> dict[str, Any]:
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in _TERMS)
    return {name: [_plain(old), _plain(new)] for name, old, new in pairs if old != new}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
