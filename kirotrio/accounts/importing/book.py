"""Where imported accounts are kept, as the import sees it; and the store's own tables behind that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import attrs
from attrs import field
from sqlalchemy import Connection

from kirotrio.accounts.bringing.noting import Note
from kirotrio.accounts.records import free_name
from kirotrio.classes import define, frozen
from kirotrio.store import accounts as rows
from kirotrio.store.account_record import AccountRecord
from kirotrio.store.database import Database
from kirotrio.store.sealing import Sealer

_OWN = frozenset({"id", "name", "created_at", "updated_at"})


class AccountBook(Protocol):
    """Every method is one step: done or not done, whatever happens. Raises StoreUnavailable or SettingsError."""

    async def all(self) -> Sequence[AccountRecord]: ...

    async def known(self, token: str) -> str | None:
        """The name of the account that this refresh token or API key belongs to, or once belonged to."""

    async def is_anothers(self, record: AccountRecord) -> bool:
        """Whether its person's account is there already, and is somebody's whose accounts are not seen here."""

    async def add(self, record: AccountRecord, *, former: str = "") -> AccountRecord:
        """Put it in, under a free name made of its own; `former` is the token that its own has replaced.

        Raises AlreadyThere.
        """

    async def change(
        self, record: AccountRecord, *, called: str = "", former: str = "", instead_of: str = ""
    ) -> AccountRecord | None:
        """All but its name as `record` says; with `called` also that, or one like it that is free. `instead_of` is the
        id of an account whose place it takes, which is removed. None where the account is gone."""

    async def remove(self, account_id: str) -> None: ...


@frozen
class StoredAccounts:
    """The book in the database, which notes what is changed. Cancellation is noticed before and after a step, never in
    between."""

    database: Database
    sealer: Sealer
    note: Note
    _brought: set[str] = field(factory=set, init=False)
    """Ids of those that this book has noted: what is done to them after that is still the same import."""

    async def all(self) -> Sequence[AccountRecord]:
        return await self.database.read(lambda connection: rows.all_accounts(connection, self.sealer))

    async def known(self, token: str) -> str | None:
        return await self.database.read(lambda connection: rows.known_digest(connection, token))

    async def is_anothers(self, record: AccountRecord) -> bool:
        return False  # all are seen

    async def add(self, record: AccountRecord, *, former: str = "") -> AccountRecord:
        def work(connection: Connection) -> AccountRecord:
            named = attrs.evolve(record, name=free_name(record.name, rows.names(connection)))
            self.note(connection, "account.import", named.name, {"kind": named.kind})
            if not former:
                return rows.add(connection, self.sealer, named)
            # Both are remembered: the document that holds the former one may be imported again.
            before = attrs.evolve(named, secrets=attrs.evolve(named.secrets, refresh_token=former))
            added = rows.add(connection, self.sealer, before)
            return rows.update(connection, self.sealer, added.id, secrets=named.secrets) or named

        added = await self.database.write(work)
        self._brought.add(added.id)
        return added

    async def change(
        self, record: AccountRecord, *, called: str = "", former: str = "", instead_of: str = ""
    ) -> AccountRecord | None:
        def work(connection: Connection) -> AccountRecord | None:
            if instead_of:
                self._remove(connection, instead_of)
            if former:
                before = attrs.evolve(record.secrets, refresh_token=former)
                rows.update(connection, self.sealer, record.id, secrets=before)
            changes = _changes(record)
            if called:
                others = (known for known in rows.names(connection) if known != record.name)
                changes["name"] = free_name(called, set(others))
            changed = rows.update(connection, self.sealer, record.id, **changes)
            if changed is not None and record.id not in self._brought:
                self.note(connection, "account.renew", changed.name, {"kind": changed.kind})
            elif changed is not None and changed.name != record.name:
                self.note(connection, "account.rename", changed.name, {"before": record.name})
            return changed

        changed = await self.database.write(work)
        self._brought.add(record.id)
        return changed

    async def remove(self, account_id: str) -> None:
        await self.database.write(lambda connection: self._remove(connection, account_id))

    def _remove(self, connection: Connection, account_id: str) -> None:
        there = rows.find(connection, self.sealer, account_id)
        rows.remove(connection, account_id)
        if there is not None:
            self.note(connection, "account.remove", there.name, {})


@define
class Rehearsal:
    """A book for a dry run: what is written is there for the rest of the run alone. `of`: the real one, None where
    there is none yet."""

    of: AccountBook | None
    _added: list[AccountRecord] = field(factory=list)

    async def all(self) -> Sequence[AccountRecord]:
        return [*(await self.of.all() if self.of is not None else ()), *self._added]

    async def known(self, token: str) -> str | None:
        return await self.of.known(token) if self.of is not None else None

    async def is_anothers(self, record: AccountRecord) -> bool:
        return self.of is not None and await self.of.is_anothers(record)

    async def add(self, record: AccountRecord, *, former: str = "") -> AccountRecord:
        record = attrs.evolve(record, name=free_name(record.name, [known.name for known in await self.all()]))
        self._added.append(record)
        return record

    async def change(
        self, record: AccountRecord, *, called: str = "", former: str = "", instead_of: str = ""
    ) -> AccountRecord | None:
        return record

    async def remove(self, account_id: str) -> None:
        self._added = [record for record in self._added if record.id != account_id]


def _changes(record: AccountRecord) -> dict[str, Any]:
    values = attrs.asdict(record, recurse=False)
    return {name: value for name, value in values.items() if name not in _OWN}
