"""Sign-ins that the store keeps: accounts as rows, and accounts whose tokens live in another program's store."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kirotrio.accounts.credential import Credential, Refreshable
from kirotrio.accounts.credential_json import Unreadable
from kirotrio.accounts.records import credential_of, secret_of
from kirotrio.accounts.sources.ide import IdeStore
from kirotrio.accounts.sources.kiro_cli import CliStore
from kirotrio.accounts.sources.source import Source
from kirotrio.classes import frozen
from kirotrio.errors import AccountUnavailable
from kirotrio.store.account_record import AccountRecord
from kirotrio.store.database import Database
from kirotrio.store.sealer import Sealer

if TYPE_CHECKING:
    from sqlalchemy import Connection


@frozen
class KeptStore:
    """One account's row. `account_id` finds it whatever it is called by now."""

    database: Database
    sealer: Sealer
    account_id: str
    name: str

    @property
    def where(self) -> str:
        return f"the account {self.name}"

    @property
    def remedy(self) -> str:
        return f"run `kirotrio login --again {self.name}`"

    def read(self) -> Credential | None:
        from kirotrio.store.accounts import find

        record = self.database.reading(lambda connection: find(connection, self.sealer, self.account_id))
        try:
            return credential_of(record) if record is not None else None
        except ValueError as error:
            raise Unreadable(f"{self.where} cannot be used: {error}") from None

    def watched(self) -> tuple[Path, ...]:
        return ()

    def original(self) -> Refreshable | None:
        return None

    def obstacle(self) -> str | None:
        return None

    def write_back(self, old_refresh_token: str, new: Refreshable) -> bool:
        from kirotrio.store.accounts import rotate

        def put(connection: Connection) -> bool:
            return rotate(
                connection,
                self.sealer,
                self.account_id,
                old_refresh_token,
                refresh_token=new.refresh_token,
                access_token=new.access_token,
                expires_at=new.expires_at,
                profile_arn=new.profile_arn,
            )

        return self.database.writing(put)


def kept_source(record: AccountRecord, database: Database, sealer: Sealer, *, write_back: bool) -> Source:
    """Where this account's tokens are: in its row, or where it says that they are followed.

    `write_back` is `accounts.write_back`. Raises Unreadable where its row names no place that is known here.
    """
    if not record.follows:
        return Source(KeptStore(database, sealer, record.id, record.name))
    return Source(followed_store(record, write_back=write_back))


async def followed_tokens(records: Iterable[AccountRecord]) -> dict[str, str]:
    """What the followed places hold now: refresh token or key -> name of the account that follows it.

    The store has no digest of them, since their rows hold none. A place that cannot be read holds nothing.
    """
    held: dict[str, str] = {}
    for record in records:
        if record.follows:
            with contextlib.suppress(AccountUnavailable):
                credential = await Source(followed_store(record, write_back=False)).read()
                if credential is not None:
                    held[secret_of(credential)] = record.name
    return held


async def missing_sign_in(record: AccountRecord) -> str:
    """Why the place that this account follows has no sign-in now, as a sentence with what to run; "" if it has one,
    or if the account follows none."""
    if not record.follows:
        return ""
    again = f"`kirotrio login --again {record.name}`"
    try:
        store = followed_store(record, write_back=False)
        if await Source(store).read() is not None:
            return ""
    except AccountUnavailable as error:
        return f"the sign-in that it follows cannot be used ({error.message}); mend it there, or run {again}"
    return f"no sign-in is in {store.where} any more, which it follows; {store.remedy}, or run {again}"


def followed_store(record: AccountRecord, *, write_back: bool) -> IdeStore | CliStore:
    """The store of another program that this account follows. Raises Unreadable."""
    try:
        place = json.loads(record.follows)
        kind, path = place["store"], Path(place["path"])
    except (ValueError, TypeError, KeyError):
        raise Unreadable(f"the account {record.name} follows a place that cannot be read; add it anew") from None
    if kind == "ide":
        return IdeStore(path, name=record.name, may_write=write_back)
    if kind == "cli":
        return CliStore(path, name=record.name, may_write=write_back, key=str(place.get("key") or ""))
    raise Unreadable(f"the account {record.name} follows a place of a kind that is not known here, {kind!r}")
