"""`kirotrio restore`: a backup in place of what is there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kirotrio.cli.options import DATA, with_settings
from kirotrio.config import LoadedSettings

if TYPE_CHECKING:
    from kirotrio.store.restore import Restored


@click.command(short_help="Put a backup in place of what is there.")
@click.option("--dry-run", is_flag=True, help="Check FILE and say what would change; change nothing. Default: no.")
@with_settings(*DATA)
@click.argument("source", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
def restore(loaded: LoadedSettings, source: Path, dry_run: bool) -> int:
    """Put what `kirotrio backup` wrote into FILE in place of everything that is there.

    FILE is checked first. The state before is kept as another backup, whose path is printed. A gateway may run
    meanwhile and takes over what is new. With another database configured (store.url), this moves everything there.
    """
    from kirotrio.cli.backup import contents
    from kirotrio.cli.first_run import open_data_folder
    from kirotrio.store import restore as restoring
    from kirotrio.store.vault import vault_of

    settings, folder = loaded.settings, open_data_folder(loaded)
    done = restoring.restore(
        source,
        settings.store.url,
        folder,
        vault_of(settings.store, folder),
        deadline=settings.deadlines.store,
        dry_run=dry_run,
    )
    made_at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(done.manifest.made_at))
    click.echo(f"{'Would restore' if dry_run else 'Restored'} {contents(done.manifest)}, as of {made_at}.")
    for line in _lines(done, dry_run=dry_run):
        click.echo(line)
    return 0


def _lines(done: Restored, *, dry_run: bool) -> list[str]:
    changes = done.changes
    lines = [
        f"  {heading}: {', '.join(names)}"
        for heading, names in (
            ("added", changes.added),
            ("removed", changes.removed),
            ("changed", changes.changed),
            ("the same", changes.same),
        )
        if names
    ]
    match done.key:
        case "installed" if dry_run:
            lines.append("The key to the secrets would be taken from the backup.")
        case "installed":
            lines.append(f"The key to the secrets was taken from the backup; it lies in {done.key_where}.")
        case "resealed":
            sealed = "would be sealed anew" if dry_run else "are sealed anew"
            lines.append(f"The secrets came sealed with another key; they {sealed} with the one in use here.")
    if done.previous is not None:
        lines.append(f"The state before is kept in {done.previous}")
    if done.damaged is not None:
        lines.append(f"The damaged database was put aside: {done.damaged}. Restart gateways that run.")
    if done.newer is not None:
        lines.append(f"The database of a newer kirotrio was put aside, as it was: {done.newer}")
    return lines
