"""Putting a sign-in into the store: a new account, or the one that is there already of the same person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import attrs
import orjson

from kirotrio.accounts.records import person_among, same_person, token_of
from kirotrio.accounts.worth.usage_book import TOPIC
from kirotrio.classes import frozen
from kirotrio.conversation.request import Json
from kirotrio.errors import SettingsError
from kirotrio.store.account_record import AccountRecord
from kirotrio.store.sealer import Sealer

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


class AnotherPerson(SettingsError):
    """The sign-in is not that of the account which it was to be put into. `what` is a clause that says so, `name` the
    account that it is, "" if it is none; nothing was changed."""

    def __init__(self, what: str, remedy: str, name: str = "") -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.name = name


class NotTheirs(SettingsError):
    """The sign-in is that of an account which is somebody else's here; nothing was changed."""

    def __init__(self) -> None:
        super().__init__(
            "this sign-in is an account already that is not yours here, so nothing was changed; an operator can give "
            "it to you"
        )


def keep_sign_in(
    connection: Connection, sealer: Sealer, record: AccountRecord, *, again: str = "", of: str | None = None
) -> Kept:
    """Put `record`, made of a new sign-in, into the store, in one transaction.

    Where that person's account is there already, or `again` names one, it gets the new tokens and profile, and loses
    its mark; its name and settings stay. `of`: the id of the user whose accounts alone may be changed, None for all.
    Raises AnotherPerson where the account `again` is of another kind or person, NotTheirs where it is another user's,
    SettingsError where there is none of that name, NameTaken where the name of a new one is taken.
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
        _check_owner(known[again], of)
        _check_person(known[again], record, known.values(), holder or "")
        there: AccountRecord | None = known[again]
    else:
        there = known[holder] if holder else person_among(known.values(), record)
    if there is None:
        return Kept(add(connection, sealer, record), "added")
    _check_owner(there, of)
    changes = {name: getattr(record, name) for name in _SIGN_IN}
    changes |= {name: getattr(record, name) for name in _PERSON if getattr(record, name)}
    proxy_url = record.secrets.proxy_url or there.secrets.proxy_url
    secrets = attrs.evolve(record.secrets, proxy_url=proxy_url)
    after = update(connection, sealer, there.id, **changes, secrets=secrets)
    clear_mark(connection, there.id)
    assert after is not None  # noqa: S101 - it was read in this very transaction
    after = attrs.evolve(after, mark="", mark_reason="", marked_at=None)
    return Kept(after, "again" if again else "known")


def _check_owner(there: AccountRecord, of: str | None) -> None:
    if of is not None and there.owner_id != of:
        raise NotTheirs


def _follower(known: Iterable[AccountRecord], record: AccountRecord) -> str:
    """The account that follows the same place."""
    return next((account.name for account in known if record.follows and account.follows == record.follows), "")


def _check_person(there: AccountRecord, record: AccountRecord, known: Iterable[AccountRecord], holder: str) -> None:
    """Raises AnotherPerson where the sign-in `record` is not one of the account `there`. `holder`: the account that its
    token is known to belong to."""
    others = [account for account in known if account.id != there.id]
    now = attrs.evolve(record, profile_arn=record.profile_arn or there.profile_arn)
    other = next((account for account in others if account.name == holder), None)
    if other is None and not same_person(there, now):
        other = person_among(others, now)
    if other is not None:
        raise AnotherPerson(
            f"this sign-in is the account {other.name} already, not {there.name} ({_told(there)})",
            f"to sign that one in anew, run `kirotrio login --again {other.name}`",
            other.name,
        )
    if not _may_be(there, record):
        raise AnotherPerson(
            f"this sign-in is not that of the account {there.name} ({_told(there)}, not {_told(record)})",
            "to add it as another account, run `kirotrio login` without --again",
        )


def _may_be(there: AccountRecord, record: AccountRecord) -> bool:
    """Whether nothing that both say speaks against it: kind, user, else e-mail and provider."""
    if there.kind != record.kind:
        return False
    if there.user_id and record.user_id:
        return there.user_id.lower() == record.user_id.lower()
    pairs = [(there.email, record.email), (there.provider, record.provider)]
    return all(before.lower() == now.lower() for before, now in pairs if before and now)


def _told(record: AccountRecord) -> str:
    provider = record.provider if record.kind == "social" else ""
    return ", ".join(part for part in (record.kind, provider, record.email or record.user_id) if part)


def keep_usage(connection: Connection, account_id: str, document: Json, fetched_at: float) -> None:
    """Put what Kiro said of the account's worth where the gateway and `kirotrio accounts` look for it."""
    from kirotrio.store import snapshots

    content = orjson.dumps(document).decode()
    snapshot = snapshots.Snapshot(account_id=account_id, topic=TOPIC, content=content, fetched_at=fetched_at)
    snapshots.put(connection, snapshot)
