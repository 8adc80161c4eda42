"""What the store holds of the accounts, as values: made of its rows, whoever has read them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from kirotrio.accounts.cooldowns import Cooldown
from kirotrio.classes import frozen
from kirotrio.errors import Blame
from kirotrio.store.account_record import AccountRecord, CooldownRow


@frozen
class Known:
    """All that the store holds of the accounts at one moment."""

    revision: int
    records: tuple[AccountRecord, ...]
    cooldowns: tuple[tuple[str, Cooldown], ...]
    """Of accounts by id; a mark is a cooldown that a person ends."""


def known_of(revision: int, records: Iterable[AccountRecord], kept: Iterable[CooldownRow]) -> Known:
    """What these rows say together. The records come in the order of their names."""
    records = tuple(sorted(records, key=lambda record: record.name))
    return Known(revision, records, tuple(_cooldowns(records, kept)))


def _cooldowns(records: Iterable[AccountRecord], kept: Iterable[CooldownRow]) -> Iterable[tuple[str, Cooldown]]:
    for record in records:
        if record.mark:
            blame = _blame(record.mark)
            yield record.id, Cooldown(blame, record.mark_reason, record.marked_at or 0.0, math.inf)
    marked = {record.id for record in records if record.mark}
    for row in kept:
        if row.model or row.account_id not in marked:
            yield row.account_id, Cooldown(_blame(row.blame), row.reason, row.began_at, row.until, row.model)


def _blame(value: str) -> Blame:
    """What an older or a newer version wrote counts too, as something that is not told more closely."""
    try:
        return Blame(value)
    except ValueError:
        return Blame.ACCESS
