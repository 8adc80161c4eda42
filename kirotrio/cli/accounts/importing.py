"""`kirotrio accounts import`: takes over accounts that other programs have."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from kirotrio.cli.options import DATA, with_settings
from kirotrio.config import LoadedSettings

if TYPE_CHECKING:
    from kirotrio.accounts.importing.book import AccountBook
    from kirotrio.accounts.importing.gathering import Gathered
    from kirotrio.accounts.importing.report import ImportReport


_WIDEST = 140
"""Columns of the table where no terminal says how wide it is."""


@click.command(
    "import",
    short_help="Take over accounts of other programs.",
    epilog="Like `kirotrio accounts import --dry-run accounts.json`, then the same without --dry-run.",
)
@click.option(
    "--follow/--copy",
    default=None,
    help="Leave the tokens where they are and read them there, or copy them. Default: follow the IDE and kiro-cli, "
    "copy from files.",
)
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing. Default: no.")
@click.option("--check/--no-check", default=True, help="Try each sign-in before it is kept. Default: yes.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON instead of a table. Default: no.")
@with_settings(*DATA, "proxy_url")
@click.argument("sources", nargs=-1, metavar="[ide | kiro-cli | FILE | -]...")
def import_(
    loaded: LoadedSettings,
    sources: tuple[str, ...],
    follow: bool | None,
    dry_run: bool,
    check: bool,
    as_json: bool,
) -> int:
    """Take over accounts from the Kiro IDE (ide), from kiro-cli or Amazon Q (kiro-cli), or from a FILE with JSON, JSON
    Lines or a database of theirs. A minus sign reads standard input. Without a source, whatever the IDE and kiro-cli
    have.

    Each account is told: imported, renewed, already there, or refused and why; the exit code is 1 if any was refused.
    A sign-in whose access token has expired is refreshed once, which uses a copied refresh token up: the program that
    it was copied from is signed out then. Tokens that are followed are left alone.
    """
    from kirotrio.accounts.importing.gathering import gather
    from kirotrio.cli.surroundings import places_of_user

    gathered = gather(sources, places_of_user(), _standard_input, follow)
    report, interrupted = _run(loaded, gathered, dry_run=dry_run, check=check)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    else:
        _print(report)
    if interrupted:
        raise KeyboardInterrupt
    return 0 if report.clean else 1


def _standard_input() -> BinaryIO:
    if sys.stdin.isatty():
        click.echo("Paste the JSON, then press Ctrl-D on a line of its own (Windows: Ctrl-Z, Enter).", err=True)
    return sys.stdin.buffer


def _run(loaded: LoadedSettings, gathered: Gathered, *, dry_run: bool, check: bool) -> tuple[ImportReport, bool]:
    from kirotrio.accounts.importing.book import Rehearsal, StoredAccounts
    from kirotrio.cli.stores import with_store
    from kirotrio.cli.terminal import run_to_end

    settings, folder = loaded.settings, loaded.settings.data.dir
    absent = not settings.store.url and (folder is None or not (folder / "kirotrio.db").exists())
    if dry_run and absent:
        return run_to_end(lambda: _import(loaded, gathered, Rehearsal(None), dry_run=True, check=check))
    with with_store(loaded) as stores:
        book = StoredAccounts(stores.database, stores.vault, stores.note)
        return run_to_end(lambda: _import(loaded, gathered, book, dry_run=dry_run, check=check))


async def _import(
    loaded: LoadedSettings, gathered: Gathered, book: AccountBook, *, dry_run: bool, check: bool
) -> tuple[ImportReport, bool]:
    """The report, and whether Ctrl-C ended it before its time."""
    import trio

    from kirotrio.accounts.importing.run import Import
    from kirotrio.kiro.client import Transport

    settings = loaded.settings
    interrupted = False

    async def listen(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        # As an exception it could arise within the keeping of a rotated token, shield or not.
        nonlocal interrupted
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            task_status.started()
            async for _ in signals:
                interrupted = True
                nursery.cancel_scope.cancel()

    async with Transport(settings.upstream, settings.deadlines) as transport, trio.open_nursery() as nursery:
        run = Import(gathered.items, book, transport, settings, dry_run=dry_run, check=check)
        await nursery.start(listen)
        await run.run()
        nursery.cancel_scope.cancel()
    return run.report, interrupted


def _print(report: ImportReport) -> None:
    from rich import box
    from rich.table import Table

    from kirotrio.cli.terminal import console_of_output

    console = console_of_output()
    terminal = sys.stdout.isatty()
    table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, highlight=False)
    for heading in ("outcome", "account", "kind", "from", "detail"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("outcome", "account"))
    for entry in report.entries:
        detail = entry.detail or ("Kiro accepts it" if entry.checked else "")
        table.add_row(
            *map(_plain, (entry.outcome.value, entry.account or "-", entry.kind or "-", entry.where, detail or "-"))
        )
    if report.entries:
        console.print(table, width=None if terminal else _WIDEST)
    click.echo(report.summary)


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)
