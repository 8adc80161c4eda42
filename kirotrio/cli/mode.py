"""`kirotrio mode`: for whom the gateway works at present."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.person import whoever_calls
from kirotrio.config import LoadedSettings

_MODES = ("open", "self-use", "maintenance")


@click.command(short_help="Say or change for whom the gateway works.")
@click.argument("mode", required=False, type=click.Choice(_MODES), metavar="[open|self-use|maintenance]")
@click.option(
    "--message", metavar="SENTENCE", help="What those who are refused read. Default: a sentence that says why."
)
@with_settings(*DATA)
def mode(loaded: LoadedSettings, mode: str | None, message: str | None) -> int:
    """Say for whom the gateway works, or change it: open (all keys), self-use (the gateway's own key and those of its
    operators), maintenance (no API is answered; what runs already goes on).

    Gateways that run follow within seconds (store.look_every), and it holds until it is changed again.
    """
    from kirotrio.access import modes
    from kirotrio.cli.stores import with_store

    if mode is None and message is not None:
        raise click.UsageError("--message goes with a mode, like `kirotrio mode maintenance --message …`")
    said = modes.read_message(message or "")
    with with_store(loaded, needs_key=False) as stores:
        if mode is None:
            standing = stores.reading(modes.standing)
        else:
            wanted, now = modes.ServiceMode(mode), time.time()
            standing = stores.writing(lambda connection: modes.change(connection, whoever_calls(), wanted, said, now))
    since = datetime.fromtimestamp(standing.since, UTC).strftime(" since %Y-%m-%d %H:%M UTC") if standing.since else ""
    click.echo(f"{standing.mode.value}{since}{f': {standing.message}' if standing.message else ''}")
    return 0
