"""`kirotrio keys list`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from kirotrio.cli.keys.keeping import described, moment, state_of, told_limits, with_keys
from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.terminal import console_of_output, printable
from kirotrio.config import LoadedSettings

if TYPE_CHECKING:
    from kirotrio.access.key_admin import Keys
    from kirotrio.store.key_record import KeyRecord

_HEADINGS = ("name", "begins with", "owner", "state", "limits", "last used", "expires")
_FIRST = ("begins with", "state", "owner", "limits", "last used", "expires")


@click.command("list", short_help="List the keys that were given out.")
@click.option("--all", "with_revoked", is_flag=True, help="Also those that were revoked. Default: no.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table. Default: no.")
@with_settings(*DATA)
def list_(loaded: LoadedSettings, with_revoked: bool, as_json: bool) -> int:
    """List the keys that were given out: whose each is, what it is limited to, when it was used last.

    The gateway's own key is not among them; `kirotrio keys show` prints it.
    """
    now = time.time()
    records = with_keys(loaded, _all)
    records = [record for record in records if with_revoked or record.revoked_at is None]
    if as_json:
        click.echo(json.dumps([described(record, now) for record in records], indent=2, ensure_ascii=False))
    elif records:
        _print(records, now)
    else:
        click.echo("no keys were given out; `kirotrio keys create NAME` makes one")
    return 0


async def _all(keys: Keys) -> list[KeyRecord]:
    from kirotrio.store.listing import LARGEST_PAGE, Listing

    records: list[KeyRecord] = []
    page = 1
    while True:
        listed = await keys.list(Listing(page=page, size=LARGEST_PAGE, sort="name"))
        records += listed.rows
        if page >= listed.pages:
            return records
        page += 1


def _print(records: list[KeyRecord], now: float) -> None:
    from rich import box
    from rich.text import Text

    from kirotrio.cli.tables import NOTHING, print_table

    rows = []
    for record in records:
        cells = (
            printable(record.name),
            record.prefix,
            printable(record.owner) or NOTHING,
            state_of(record, now),
            told_limits(record) or NOTHING,
            moment(record.last_used_at) if record.last_used_at is not None else NOTHING,
            moment(record.expires_at) if record.expires_at is not None else NOTHING,
        )
        rows.append([Text(cell, style="" if cells[3] == "ready" else "dim") for cell in cells])
    console = console_of_output()
    print_table(console, _HEADINGS, rows, first=_FIRST, box=box.SIMPLE_HEAD if console.is_terminal else None)
