"""The store as a verb uses it: opened once, blocking, closed at the end."""

from __future__ import annotations

import contextlib
import difflib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kirotrio.classes import frozen
from kirotrio.cli.first_run import open_data_folder
from kirotrio.cli.person import whoever_calls
from kirotrio.config import LoadedSettings
from kirotrio.errors import SettingsError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from kirotrio.store.account_record import AccountRecord
    from kirotrio.store.database import Database
    from kirotrio.store.vault import Vault

_T = TypeVar("_T")


@frozen
class Stores:
    """The open database and what seals its secrets."""

    database: Database
    vault: Vault
    folder: Path
    """The data folder."""

    @property
    def old_successors(self) -> Path:
        """Where earlier versions kept the successors of given refresh tokens."""
        return self.folder / "accounts"

    def reading(self, work: Callable[[Connection], _T]) -> _T:
        """Blocking. Raises StoreUnavailable."""
        return self.database.reading(work)

    def writing(self, work: Callable[[Connection], _T]) -> _T:
        """Blocking; all of it or nothing. Raises StoreUnavailable."""
        return self.database.writing(work)

    def noted(self, connection: Connection, action: str, names: Iterable[str], **detail: Any) -> None:
        """Have the audit log say, with the change that the connection makes, that the command line did this to them."""
        from kirotrio.store.audit_rows import note

        for name in names:
            note(connection, whoever_calls().entry(action, name, time.time(), detail))

    def note(self, connection: Connection, action: str, name: str, detail: Mapping[str, Any]) -> None:
        """`noted`, as those call it who bring accounts (`accounts.bringing`)."""
        self.noted(connection, action, [name], **detail)

    def prepare(self) -> None:
        """Prove that a secret can be kept, before somebody signs in for nothing. Makes the key if there is none.
        Raises SettingsError."""
        from kirotrio.store.sealing import seal_in

        self.writing(lambda connection: seal_in(connection, self.vault, b"", "probe"))

    def accounts(self) -> list[AccountRecord]:
        """All of them, by name. Raises SettingsError where the key to their secrets is not to be had."""
        from kirotrio.store.accounts import all_accounts

        records = self.reading(lambda connection: all_accounts(connection, self.vault))
        return sorted(records, key=lambda record: record.name.lower())

    def account(self, name: str) -> AccountRecord:
        """The account of this name. Raises SettingsError, which names what comes close."""
        return self.named([name])[0]

    def named(self, names: Iterable[str]) -> list[AccountRecord]:
        """The accounts of these names, each once, in their order. Raises SettingsError for one that there is not."""
        known = {record.name: record for record in self.accounts()}
        for name in names:
            if name not in known:
                raise SettingsError(unknown_account(name, known))
        return [known[name] for name in dict.fromkeys(names)]


def unknown_account(name: str, known: Iterable[str]) -> str:
    """The sentence for a name that no account has."""
    known = list(known)
    if not known:
        return f"there is no account {name}, nor any other yet; `kirotrio login` signs one in"
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]}?" if close else "`kirotrio accounts` lists all"
    return f"there is no account {name}; {meant}"


@contextlib.contextmanager
def with_store(loaded: LoadedSettings, *, needs_key: bool = True) -> Iterator[Stores]:
    """The store of these settings: made where there is none yet, migrated where it is of an older program.

    With `needs_key` the key to its secrets has to be there. Raises SettingsError where it cannot be used,
    StoreUnavailable where it does not answer.
    """
    from kirotrio.store.migrate import open_store
    from kirotrio.store.vault import open_vault, vault_of

    settings, folder = loaded.settings, open_data_folder(loaded)
    database = open_store(settings.store.url, folder, deadline=settings.deadlines.store)
    try:
        vault = open_vault(database, settings.store, folder) if needs_key else vault_of(settings.store, folder)
        yield Stores(database, vault, folder)
    finally:
        database.close()
