"""`kirotrio keys show`."""

from __future__ import annotations

import functools
import json
import sys
import time
from typing import TYPE_CHECKING

import click

from kirotrio.cli.first_run import KEY_FILE, kept_key
from kirotrio.cli.keys.keeping import described, moment, state_of, the_key, told_limits, with_keys
from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.terminal import printable
from kirotrio.config import LoadedSettings
from kirotrio.errors import SettingsError

if TYPE_CHECKING:
    from kirotrio.access.key_admin import Keys, WindowUse
    from kirotrio.store.key_record import KeyRecord


@click.command(short_help="Print the gateway's own key, or tell of another.")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Tell of the key NAME in JSON. Default: no.")
@with_settings(*DATA)
def show(loaded: LoadedSettings, name: str | None, as_json: bool) -> int:
    """Print the key that was made on first run; or tell what the key NAME may do and what it has used.

    The first is printed on a terminal only, so that it does not end up in a log. Programs read the file client-key in
    the data folder. A key that was given out is shown when it is made, and never again.
    """
    if name is not None:
        _tell(*with_keys(loaded, functools.partial(_look, name)), as_json)
        return 0
    if as_json:
        raise click.UsageError("--json goes with the name of a key")
    folder = loaded.settings.data.dir
    if loaded.settings.server.api_key:
        # A key of an earlier run may lie there still: the gateway does not take it while this one is configured.
        origin = loaded.origins["server.api_key"]
        raise SettingsError(f"the key that clients send is the configured one ({origin}), which is not shown here")
    key = kept_key(folder) if folder is not None else ""
    if folder is None or not key:
        raise SettingsError(f"there is no key in {folder} yet; `kirotrio serve` makes one on its first run")
    if not sys.stdout.isatty():
        raise SettingsError(f"the key is printed on a terminal only; programs read it from {folder / KEY_FILE}")
    click.echo(key)
    return 0


async def _look(name: str, keys: Keys) -> tuple[KeyRecord, tuple[WindowUse, ...]]:
    record = await the_key(keys, name, revoked=True)
    return record, await keys.usage(record.id)


def _tell(record: KeyRecord, uses: tuple[WindowUse, ...], as_json: bool) -> None:
    now = time.time()
    if as_json:
        used = {
            use.window.value: {
                "requests": use.used.requests,
                "tokens": use.used.tokens,
                "credits": use.used.credits,
                "ends_at": use.ends_at,
            }
            for use in uses
        }
        click.echo(json.dumps({**described(record, now), "used": used}, indent=2, ensure_ascii=False))
        return
    last = f"{moment(record.last_used_at)} from {record.last_address or 'here'}" if record.last_used_at else "never"
    told = {
        "name": record.name,
        "begins with": record.prefix,
        "owner": record.owner or "the gateway",
        "state": state_of(record, now),
        "created": moment(record.created_at),
        "expires": moment(record.expires_at) if record.expires_at is not None else "never",
        "last used": last,
        "models": ", ".join(record.models) or "all",
        "surfaces": ", ".join(record.surfaces) or "all",
        "networks": ", ".join(record.networks) or "all",
        "account": record.account or "any",
        "limits": told_limits(record) or "none",
    }
    for use in uses:
        amounts = f"{use.used.requests:,} requests, {use.used.tokens:,} tokens, {use.used.credits:g} credits"
        told[f"this {use.window.value}"] = f"{amounts}; the next begins at {moment(use.ends_at)}"
    width = max(map(len, told))
    for heading, value in told.items():
        click.echo(f"{heading:{width}}  {printable(value)}")
