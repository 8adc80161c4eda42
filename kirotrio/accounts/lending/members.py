"""One account of the pool, with what the pool has to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kirotrio.accounts.account import Account
from kirotrio.classes import define
from kirotrio.errors import AccountUnavailable
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

    def is_open_to(self, owner: str) -> bool:
        """Whether keys of this user may use it: it is the gateway's or theirs, or lent. `owner`: "" for nobody's."""
        record = self.record
        return record is None or record.lent or record.owner_id in ("", owner)


def open_to(owner: str, members: Sequence[Member]) -> list[Member]:
    """Those that keys of this user may use. Raises AccountUnavailable where there is none."""
    usable = [member for member in members if member.is_open_to(owner)]
    if not usable:
        raise AccountUnavailable(
            "there is no account that this key may use: those there are belong to users who keep them private; add one "
            "with `kirotrio login`, or have one lent"
        )
    return usable


def is_another(before: AccountRecord, after: AccountRecord) -> bool:
    """Whether what an `Account` holds in memory may not be used on."""
    return (before.kind, before.follows) != (after.kind, after.follows)
