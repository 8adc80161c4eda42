"""`kirotrio keys`: who may ask."""

from __future__ import annotations

import sys

import click

from kirotrio.cli.first_run import KEY_FILE, kept_key
from kirotrio.cli.options import DATA, with_settings
from kirotrio.config import LoadedSettings
from kirotrio.errors import SettingsError


@click.group(short_help="Show the key that clients send.")
def keys() -> None:
    """The keys that clients send to the gateway."""


@keys.command()
@with_settings(*DATA)
def show(loaded: LoadedSettings) -> int:
    """Print the key that was made on first run.

    It is printed on a terminal only, so that it does not end up in a log. Programs read the file client-key in the
    data folder.
    """
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
