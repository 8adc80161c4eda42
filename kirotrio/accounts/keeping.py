"""Putting a sign-in into the store: a new account, or the one that is there already of the same person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import attrs
from attrs import frozen

from kirotrio.accounts.records import person_among, token_of
from kirotrio.errors import SettingsError
from kirotrio.store.account_record import AccountRecord
from kirotrio.store.sealing import Sealer

if TYPE_CHECKING:
    from sqlalchemy import Connection

_SIGN_IN = (
    "kind",
    "provider",
    "follows",
    "sign_in_region",
    "start_url",
    "client_id",
    "token_endpoint",
    "scope",
    "expires_at",
    "registration_expires_at",
)
"""Fields that a sign-in brings; the others of an account are its settings."""
_PERSON = ("email", "user_id", "profile_arn")
"""What a sign-in may not tell; what was known is kept then."""


@frozen
class Kept:
    """`how`: `added`; `again`, the account that was named; `known`, one of the same person that was there already."""

    record: AccountRecord
    how: Literal["added", "again", "known"]


def keep_sign_in(connection: Connection, sealer: Sealer, record: AccountRecord, *, again: str = "") -> Kept:
    """Put `record`, made of a new sign-in, into the store, in one transaction.

    Where that person's account is there already, or `again` names one, it gets the new tokens and profile, and loses
    its mark; its name and settings stay. Raises SettingsError where `again` names no account or another person's,
    NameTaken where the name of a new one is taken.
    """
    from kirotrio.store.accounts import add, all_accounts, clear_mark, known_digest, update
    from kirotrio.store.revisions import begin_change

    begin_change(connection)
    known = {account.name: account for account in all_accounts(connection, sealer)}
    token = token_of(record)
    holder = (known_digest(connection, token) if token else None) or _follower(known.values(), record)
    if again:
        if again not in known:
            raise SettingsError(f"there is no account {again} any more; sign in without --again to add it")
        _check_person(known[again], record)
        there: AccountRecord | None = known[again]
    else:
        there = known[holder] if holder else person_among(known.values(), record)
    if there is None:
        return Kept(add(connection, sealer, record), "added")
    changes = {name: getattr(record, name) for name in _SIGN_IN}
    changes |= {name: getattr(record, name) for name in _PERSON if getattr(record, name)}
    proxy_url = record.secrets.proxy_url or there.secrets.proxy_url
    secrets = attrs.evolve(record.secrets, proxy_url=proxy_url)
    after = update(connection, sealer, there.id, **changes, secrets=secrets)
    clear_mark(connection, there.id)
    assert after is not None  # noqa: S101 - it was read in this very transaction
    after = attrs.evolve(after, mark="", mark_reason="", marked_at=None)
    return Kept(after, "again" if again else "known")


def _follower(known: Iterable[AccountRecord], record: AccountRecord) -> str:
    """The account that follows the same place."""
    return next((account.name for account in known if record.follows and account.follows == record.follows), "")


def _check_person(there: AccountRecord, record: AccountRecord) -> None:
    for name in ("user_id", "email"):
        before, now = getattr(there, name), getattr(record, name)
        if before and now:
            if before.lower() == now.lower():
                return
            mails = f" ({there.email or 'its user'}, not {record.email or 'this one'})"
            raise SettingsError(
                f"this sign-in is not that of the account {there.name}{mails}; to add it as another account, sign in "
                "without --again"
            )
