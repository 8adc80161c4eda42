"""`kirotrio store`: the database beneath, and the key to the secrets in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kirotrio.cli.options import DATA, with_settings
from kirotrio.config import LoadedSettings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from kirotrio.cli.stores import Stores


@click.group(short_help="Look at the database, and change the key to its secrets.")
def store() -> None:
    """The database that accounts and records lie in, and the key that their secrets are sealed with."""


@store.command(short_help="Say where the database and the key to its secrets are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines. Default: no.")
@with_settings(*DATA)
def info(loaded: LoadedSettings, as_json: bool) -> int:
    """Say where the database is, what is in it, and where the key to its secrets lies."""
    from kirotrio.cli.stores import with_store

    with with_store(loaded, needs_key=False) as stores:
        facts = _facts(stores)
    if as_json:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        wide = max(map(len, facts))
        for name, value in facts.items():
            click.echo(f"{name:<{wide}}  {_shown(value)}")
    return 0 if facts["key missing"] is None else 1


@store.command("rotate-key", short_help="Seal all secrets with a new key.")
@with_settings(*DATA)
def rotate_key(loaded: LoadedSettings) -> int:
    """Seal all secrets with a new key, and drop the old one.

    A gateway may run meanwhile. Backups that were made before still need the old key, so make a new one afterwards.
    """
    from kirotrio.cli.backup import counted
    from kirotrio.cli.stores import with_store
    from kirotrio.store.rekeying import rotate_key as rotate

    with with_store(loaded) as stores:
        done = rotate(stores.database, stores.vault)
        stores.writing(lambda link: stores.noted(link, "store.rotate-key", [done.new_id], dropped=list(done.old_ids)))
        click.echo(f"The new key {done.new_id} lies in {done.where}; {counted(done.resealed, 'secret')} sealed anew.")
        if done.old_ids:
            click.echo(
                f"Dropped: {', '.join(done.old_ids)}. Backups that were made before need it; make a new one with "
                "`kirotrio backup FILE`."
            )
        if not stores.database.is_sqlite:
            click.echo("Gateways on other machines that use this database need the new key as well.")
    return 0


@store.command("forget-secrets", short_help="Give up secrets whose key is lost.")
@click.option("--yes", is_flag=True, help="Do not ask. Default: ask on a terminal, refuse elsewhere.")
@with_settings(*DATA)
def forget_secrets(loaded: LoadedSettings, yes: bool) -> int:
    """Give up the secrets whose key is lost, so that the accounts can be signed in anew.

    The accounts keep their names and settings. What you have as a backup with its key is better restored.
    """
    from kirotrio.cli.stores import with_store
    from kirotrio.store.rekeying import forget_secrets as forget

    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("this gives up every sign-in that is kept here; say --yes to do so")
        click.confirm("Give up every sign-in that is kept here?", abort=True, err=True)
    with with_store(loaded, needs_key=False) as stores:
        names = forget(stores.database)
        stores.writing(lambda link: stores.noted(link, "store.forget-secrets", names))
    if not names:
        click.echo("No account had secrets here.")
    for name in names:
        click.echo(f"{name}: sign in anew with `kirotrio login --again {name}`")
    return 0


def _facts(stores: Stores) -> dict[str, Any]:
    from kirotrio.store.backup import counts_of
    from kirotrio.store.migrate import stored_revision
    from kirotrio.store.sealing import KeyMissing, holds_secrets, key_named

    database = stores.database
    counts = stores.reading(counts_of)
    key_id, sealed = stores.reading(lambda connection: (key_named(connection), holds_secrets(connection)))
    where, missing = None, None
    if key_id:
        try:
            where = stores.vault.keys.place_of(key_id)[0].where
        except KeyMissing as error:
            missing = error.message if sealed else None
    return {
        "engine": "SQLite" if database.is_sqlite else "PostgreSQL",
        "place": database.where,
        "revision": stores.reading(stored_revision),
        "bytes": stores.reading(lambda connection: _size(connection, database.path)),
        "accounts": counts["accounts"],
        "requests": counts["requests"],
        "key": key_id or None,
        "key lies in": where,
        "key missing": missing,
        "last failure": database.trouble,
    }


def _size(connection: Connection, path: Path | None) -> int:
    if path is None:
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def _shown(value: object) -> str:
    return "-" if value is None else str(value)
