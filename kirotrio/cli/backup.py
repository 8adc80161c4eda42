"""`kirotrio backup`: everything that must last, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kirotrio.cli.options import DATA, with_settings
from kirotrio.config import LoadedSettings

if TYPE_CHECKING:
    from kirotrio.store.backup import Manifest
    from kirotrio.store.vault import Vault


@click.command(short_help="Write accounts and records into one file.")
@click.option(
    "--with-key",
    is_flag=True,
    help="Put the key to the secrets in as well. Whoever has the file then has your accounts. Default: no.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there already. Default: no.")
@with_settings(*DATA)
@click.argument("target", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
def backup(loaded: LoadedSettings, target: Path, with_key: bool, force: bool) -> int:
    """Write everything that must last into FILE: accounts, what is known of them, and records of requests.

    A gateway may run meanwhile. Secrets stay sealed in the file; without --with-key, `kirotrio restore` also needs the
    key that they are sealed with. The file is the same for SQLite and PostgreSQL, and goes from one to the other.
    """
    from kirotrio.cli.stores import with_store
    from kirotrio.store.backup import back_up, key_ids_in

    if str(target) == "-":
        raise click.UsageError("a backup is a file and does not go to standard output; name a file")
    with with_store(loaded, needs_key=with_key) as stores:
        keys = [stores.vault.key(key_id) for key_id in stores.reading(key_ids_in)] if with_key else []
        manifest = back_up(stores.database, target, keys=keys, overwrite=force)
        stores.writing(lambda link: stores.noted(link, "store.backup", [target.name], with_key=with_key))
        click.echo(f"{target}: {contents(manifest)}")
        if note := _about_the_key(manifest, stores.vault):
            click.echo(f"kirotrio: {note}", err=True)
    return 0


def contents(manifest: Manifest) -> str:
    """What is in a backup, for a person."""
    accounts, requests = manifest.counts.get("accounts", 0), manifest.counts.get("requests", 0)
    return f"{counted(accounts, 'account')}, {counted(requests, 'record')} of requests"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _about_the_key(manifest: Manifest, vault: Vault) -> str:
    from kirotrio.store.sealing import KeyMissing

    if not manifest.key_ids:
        return ""
    if manifest.keys:
        return "the file holds the key to the secrets in it: whoever has the file has your accounts, so keep it safe"
    key_id = manifest.key_ids[-1]
    try:
        place = f"lies in {vault.keys.place_of(key_id)[0].where}"
    except KeyMissing:
        place = "is not on this machine"
    return (
        f"the secrets in the file are sealed with the key {key_id}, which {place} and is needed to restore them: keep "
        "a copy of it apart from the file, or make the backup with --with-key"
    )
