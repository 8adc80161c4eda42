"""Accounts as lists have them: sought, sorted, filtered and cut in the database, without their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, case, exists, false, func, select

from kirotrio.classes import frozen
from kirotrio.store.account_record import FIELDS, AccountRecord, ListedAccount, Worth
from kirotrio.store.columns import as_text
from kirotrio.store.listing import Listed, Listing
from kirotrio.store.listing_rows import listed
from kirotrio.store.schema import accounts, cooldowns, requests, users, worth

GATEWAY: Final = "gateway"
"""The filter's word for accounts that nobody has brought."""
_MOST_CHOICES = 200
_FIGURES = ("credits_used", "credits_limit", "credits_left", "resets_at", "fetched_at")


@frozen
class Choices:
    """What a list may be filtered by: the plans that there are, and the owners' names by their ids."""

    plans: tuple[str, ...]
    owners: Mapping[str, str]


def page(connection: Connection, listing: Listing, now: float, owner_id: str | None = None) -> Listed[ListedAccount]:
    """In their order, then by name. `owner_id`: only this user's; None for all.

    Sorted by `name`, `order`, `state`, `plan`, `left`, `reset` or `last_used`; sought in names, addresses and ids;
    filtered by `state` (`usable`, `cooling`, `marked`, `disabled`: each account has one), `plan`, `owner` (a user's
    id, or `gateway`) and `lent` (`yes`, `no`; of accounts that a user has brought).
    """
    states = _states(now)
    rank = case((states["disabled"], 3), (states["marked"], 2), (states["cooling"], 1), else_=0)
    lent = {"yes": accounts.c.lent, "no": ~accounts.c.lent}
    return listed(
        connection,
        _rows(owner_id),
        listing,
        _listed,
        sorts={
            "name": func.lower(accounts.c.name),
            "order": accounts.c.priority,
            "state": rank,
            "plan": func.nullif(worth.c.plan, ""),
            "left": worth.c.credits_left,
            "reset": worth.c.resets_at,
            "last_used": _last_used(),
        },
        order=(accounts.c.priority, func.lower(accounts.c.name), accounts.c.id),
        searched=(accounts.c.name, accounts.c.email, worth.c.email, accounts.c.id),
        filters={
            "state": lambda value: states.get(value, false()),
            "plan": lambda value: worth.c.plan == value,
            "owner": lambda value: accounts.c.owner_id == ("" if value == GATEWAY else value),
            "lent": lambda value: (accounts.c.owner_id != "") & lent[value] if value in lent else false(),
        },
    )


def find(connection: Connection, account_id: str, owner_id: str | None = None) -> ListedAccount | None:
    """One of those that `page` has."""
    row = connection.execute(_rows(owner_id).where(accounts.c.id == as_text(account_id))).one_or_none()
    return _listed(row) if row is not None else None


def choices(connection: Connection, owner_id: str | None = None) -> Choices:
    """Of the accounts that `page` has."""
    mine = accounts.c.owner_id == owner_id if owner_id is not None else accounts.c.id.is_not(None)
    plans = select(worth.c.plan).join(accounts, accounts.c.id == worth.c.account_id).where(mine, worth.c.plan != "")
    owners = select(users.c.name, users.c.id).join(accounts, accounts.c.owner_id == users.c.id).where(mine)
    found = connection.execute(owners.distinct().order_by(users.c.name).limit(_MOST_CHOICES))
    return Choices(
        tuple(connection.execute(plans.distinct().order_by(worth.c.plan).limit(_MOST_CHOICES)).scalars()),
        {row.id: row.name for row in found},
    )


def _states(now: float) -> dict[str, ColumnElement[bool]]:
    """Each account is in one of them. A pause of a single model keeps it from nothing else, and is none of them; a
    client's registration that has expired needs a person as a mark does."""
    whole = (cooldowns.c.account_id == accounts.c.id) & (cooldowns.c.model == "") & (cooldowns.c.until > now)
    pauses = exists().where(whole).correlate(accounts)
    ended = accounts.c.registration_expires_at
    is_marked = (accounts.c.mark != "") | (ended.is_not(None) & (ended <= now))
    return {
        "usable": accounts.c.enabled & ~is_marked & ~pauses,
        "cooling": accounts.c.enabled & ~is_marked & pauses,
        "marked": accounts.c.enabled & is_marked,
        "disabled": ~accounts.c.enabled,
    }


def _last_used() -> ColumnElement[Any]:
    """When its last request began; what was before it was made is another's that had its name."""
    its = (requests.c.account == accounts.c.name) & (requests.c.at >= accounts.c.created_at)
    return select(func.max(requests.c.at)).where(its).correlate(accounts).scalar_subquery()


def _rows(owner_id: str | None) -> Select[Any]:
    columns = [accounts.c[name] for name in sorted(FIELDS)]
    figures = [worth.c[name].label(f"worth_{name}") for name in ("plan", "email", *_FIGURES)]
    rows = (
        select(*columns, *figures, users.c.name.label("owner"), _last_used().label("last_used_at"))
        .outerjoin(worth, worth.c.account_id == accounts.c.id)
        .outerjoin(users, users.c.id == accounts.c.owner_id)
    )
    return rows if owner_id is None else rows.where(accounts.c.owner_id == owner_id)


def _listed(row: Row[Any]) -> ListedAccount:
    values = row._asdict()
    figures = {name: values[f"worth_{name}"] for name in ("plan", "email", *_FIGURES)}
    return ListedAccount(
        AccountRecord(**{name: values[name] for name in FIELDS}),
        values["owner"] or "",
        None if figures["fetched_at"] is None else Worth(**figures),
        values["last_used_at"],
    )
