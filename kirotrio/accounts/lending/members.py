"""One account of the pool, with what the pool has to know of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kirotrio.accounts.account import Account
from kirotrio.classes import define
from kirotrio.store.account_record import AccountRecord

if TYPE_CHECKING:
    from kirotrio.accounts.lending.colleagues import Entrance


@define(eq=False)
class Member:
    """One account of the pool. `key` is the same in every gateway, and stays when the account is renamed."""

    key: str
    account: Account
    gate: Entrance
    record: AccountRecord | None = None
    """Its row; None for one that is not kept here."""
    gone: bool = False
    """It was removed; what it is answering goes on to its end."""
    stamp: object = None
    """Of the other program's file that it follows, when it was last looked at."""

    @property
    def name(self) -> str:
        return self.account.name

    @property
    def enabled(self) -> bool:
        return self.record is None or self.record.enabled

    @property
    def priority(self) -> int:
        return self.record.priority if self.record is not None else 100


def is_another(before: AccountRecord, after: AccountRecord) -> bool:
    """Whether what an `Account` holds in memory may not be used on."""
    return (before.kind, before.follows) != (after.kind, after.follows)
