"""A finished sign-in as an account: the row that it becomes, and putting it into the store. Pure but for the store."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import attrs

from kirotrio.accounts.bringing.noting import Note
from kirotrio.accounts.keeping import Kept, keep_sign_in, keep_usage
from kirotrio.accounts.records import free_name, record_of
from kirotrio.accounts.sign_in.values import SignedIn, SignInPlan
from kirotrio.store.account_record import AccountRecord
from kirotrio.store.sealer import Sealer

if TYPE_CHECKING:
    from sqlalchemy import Connection


def account_of(
    signed: SignedIn,
    plan: SignInPlan,
    taken: Collection[str],
    *,
    name: str = "",
    email: str = "",
    profile: str = "",
    proxy_url: str = "",
) -> AccountRecord:
    """The row for a sign-in. `name`: what it is to be called, "" for a free name made of its person; `taken` are the
    names there are. `email`: the person's, as it may be shown. `profile` stands where none could be looked up."""
    return record_of(
        name or free_name(email or plan.provider.lower() or plan.kind, taken),
        signed.credential,
        email=email,
        user_id=signed.user_id,
        profile_arn=signed.profile_arn or profile,
        proxy_url=proxy_url,
    )


def put(
    connection: Connection,
    sealer: Sealer,
    record: AccountRecord,
    signed: SignedIn,
    note: Note,
    *,
    again: str = "",
    of: str | None = None,
) -> Kept:
    """Keep it, with what Kiro said of its worth, and note it. `again` and `of` as in `keep_sign_in`, which says what is
    raised."""
    kept = keep_sign_in(connection, sealer, record, again=again, of=of)
    if signed.usage is not None:
        keep_usage(connection, kept.record.id, signed.usage, signed.usage_at)
    noted(connection, note, kept)
    return kept


def noted(connection: Connection, note: Note, kept: Kept) -> None:
    """What has become of it, as the audit log has it."""
    action = "account.add" if kept.how == "added" else "account.renew"
    note(connection, action, kept.record.name, {"kind": kept.record.kind})


def with_owner(record: AccountRecord, owner_id: str, *, lent: bool) -> AccountRecord:
    """The same as this user's, "" for the team's, which is always lent."""
    return attrs.evolve(record, owner_id=owner_id, lent=lent or not owner_id)
