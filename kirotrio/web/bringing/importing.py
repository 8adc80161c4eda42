"""An import from the console: first what would become of each account, then, if its person wants that, the accounts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio
from attrs import evolve, field

from kirotrio.accounts.bringing.sentences import for_page
from kirotrio.accounts.importing.entries import Entry, Refusal
from kirotrio.accounts.importing.report import EntryReport, ImportReport, Outcome
from kirotrio.classes import frozen
from kirotrio.errors import KirotrioError
from kirotrio.web.bringing.signing_in import Bringer, shown
from kirotrio.web.bringing.tasks import Task
from kirotrio.web.gateway import Gateway

if TYPE_CHECKING:
    from kirotrio.accounts.importing.book import AccountBook

Items: TypeAlias = Sequence[Entry | Refusal]

MOST_TOLD: Final = 500
"""Accounts that a page tells one by one; of more, how many there are."""


@frozen
class ImportOrder:
    """`read` gives what is to be imported; it blocks, and raises nothing. `check`: each is tried at Kiro first."""

    read: Callable[[], Items] = field(repr=False)
    bringer: Bringer
    check: bool = True


async def bring_import(gateway: Gateway, order: ImportOrder, task: Task) -> None:
    """Tell what would happen, ask, and do it. Cancellation ends it soon: a refresh under way is finished, and what it
    brought is kept."""
    from kirotrio.accounts.importing.run import Import

    pool = gateway.accounts
    items = [_own(item, order.bringer) for item in await trio.to_thread.run_sync(order.read)]
    book = await trio.to_thread.run_sync(_book, gateway, order.bringer)

    def run(*, dry_run: bool) -> Import:
        return Import(items, book, pool.http, gateway.settings, dry_run=dry_run, check=order.check, now=pool.now)

    task.show("checking", count=len(items))
    preview = await run(dry_run=True).run()
    told = report_of(preview)
    if not (preview.count(Outcome.IMPORTED) or preview.count(Outcome.RENEWED)):
        task.end("nothing", report=told)
        return
    await task.ask("preview", ("take",), gateway.settings.deadlines.login, report=told)
    task.show("taking", count=len(items))
    await pool.shared.database.read(order.bringer.check)
    taking = run(dry_run=False)
    try:
        await taking.run()
    finally:
        task.show("taking", count=len(items), report=report_of(taking.report))
        with trio.CancelScope(shield=True), contextlib.suppress(KirotrioError):  # the pool looks again by itself
            await pool.look()
    task.end("imported", report=report_of(taking.report))


def _book(gateway: Gateway, bringer: Bringer) -> AccountBook:
    """Where the accounts go. Its first use waits for SQLAlchemy."""
    from kirotrio.accounts.importing.book import StoredAccounts
    from kirotrio.accounts.importing.owned import OwnedAccounts

    pool = gateway.accounts
    stored = StoredAccounts(pool.shared.database, pool.shared.sealer, bringer.note(pool.now()))
    return OwnedAccounts(stored, bringer.owner_id, lent=bringer.lent, of=bringer.of)


def _own(item: Entry | Refusal, bringer: Bringer) -> Entry | Refusal:
    """What a member brings goes by the gateway's own proxy: the one in a document could be any machine that the gateway
    reaches, and they do not."""
    if isinstance(item, Refusal) or bringer.of is None or not item.proxy_url:
        return item
    return evolve(item, proxy_url="", notes=(*item.notes, "its own proxy was left out"))


def report_of(report: ImportReport) -> dict[str, Any]:
    """As JSON can hold it, for the page."""
    return {
        "counts": {outcome.name.lower(): report.count(outcome) for outcome in Outcome if report.count(outcome)},
        "entries": [_told(entry) for entry in report.entries[:MOST_TOLD]],
        "more": max(0, len(report.entries) - MOST_TOLD),
    }


def _told(entry: EntryReport) -> dict[str, Any]:
    return {
        "outcome": entry.outcome.name.lower(),
        "account": entry.account,
        "kind": entry.kind,
        "source": shown(entry.source),
        "path": shown(entry.path),
        "detail": for_page(entry.detail),
        "checked": entry.checked,
    }
