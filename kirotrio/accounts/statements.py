"""What `shared` does to the rows of the store, each within one transaction.

It has a file of its own because it needs SQLAlchemy, which a start does without: `shared` imports it in the thread that
does the first such work.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from sqlalchemy import Connection

from kirotrio.accounts.cooldowns import Change
from kirotrio.accounts.known import Known, known_of
from kirotrio.accounts.worth.usage import figures_of, read_document
from kirotrio.errors import KirotrioError
from kirotrio.store import accounts as rows
from kirotrio.store import cooldowns, leases, snapshots, successors, worth_rows
from kirotrio.store.account_record import CooldownRow
from kirotrio.store.revisions import begin_change, bump
from kirotrio.store.sealer import Sealer

__all__ = ["keep_snapshot", "known", "leases", "snapshots", "successors", "tidy", "write"]


def known(connection: Connection, sealer: Sealer, seen: int | None) -> Known | None:
    """What there is; None where nothing was changed since the revision `seen`."""
    revision = rows.revision(connection)
    if revision == seen:
        return None
    return known_of(revision, rows.all_accounts(connection, sealer), cooldowns.all_cooldowns(connection))


def write(connection: Connection, changes: Iterable[Change], now: float) -> None:
    """Keep what changed, and forget what is over."""
    for change in changes:
        _put(connection, change)
    cooldowns.remove_expired(connection, now)


def tidy(connection: Connection, holder: str, forgotten: float) -> None:
    """Give back what dead processes of this machine hold, forget the successors of before that time, and read the
    figures of what an earlier version was told of the accounts."""
    leases.release_dead(connection, holder)
    successors.remove_older(connection, forgotten)
    for account_id, content, fetched_at in worth_rows.unread(connection):
        _keep_worth(connection, account_id, content, fetched_at)


def keep_snapshot(connection: Connection, account_id: str, topic: str, content: str, fetched_at: float) -> None:
    """Keep what the upstream said of an account, and of its usage the figures that lists are sorted by."""
    kept = snapshots.put(
        connection, snapshots.Snapshot(account_id=account_id, topic=topic, content=content, fetched_at=fetched_at)
    )
    if kept and topic == worth_rows.USAGE:
        _keep_worth(connection, account_id, content, fetched_at)


def _keep_worth(connection: Connection, account_id: str, content: str, fetched_at: float) -> None:
    try:
        usage = read_document(orjson.loads(content), fetched_at)
    except (KirotrioError, ValueError):
        return  # of another version; it is asked anew when it is needed
    worth_rows.put(connection, account_id, figures_of(usage))


def _put(connection: Connection, change: Change) -> None:
    there = cooldowns.get(connection, change.account, change.model)
    if there is not None and there.began_at < change.ended_before:
        cooldowns.remove(connection, change.account, change.model)
        there = None
    if not change.model:
        rows.clear_mark(connection, change.account, marked_before=change.ended_before)
    cooldown = change.cooldown
    if cooldown is None:
        return
    if cooldown.needs_person:
        # Whoever signed in anew or enabled it meanwhile has ended what was met before. If not, it is met again.
        if not rows.set_mark(
            connection, change.account, cooldown.blame.value, cooldown.reason, unless_changed_since=cooldown.began_at
        ):
            begin_change(connection)
            bump(connection)  # so that this gateway reads what stands there instead
    elif there is None or there.until < cooldown.until:
        row = CooldownRow(
            account_id=change.account,
            model=change.model,
            blame=cooldown.blame.value,
            reason=cooldown.reason,
            began_at=cooldown.began_at,
            until=cooldown.until,
        )
        cooldowns.put(connection, row)
