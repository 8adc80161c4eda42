"""`kirotrio settings`: every setting with unit, default, present value and where it came from."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from kirotrio.cli.options import ACCOUNT, DATA, LOGGING, SERVING, with_settings
from kirotrio.config import LoadedSettings
from kirotrio.config.loading import CONFIG_FILE
from kirotrio.config.options import Option, options, shown, value_of
from kirotrio.config.process import wants_colour
from kirotrio.config.sources import near_miss

_WIDE = 10_000
"""Columns of a page that is not a terminal: lines are for other programs, which want them whole."""


@click.command(short_help="Show every setting and where it came from.")
@with_settings(*SERVING, *DATA, *ACCOUNT, *LOGGING)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table. Default: no.")
@click.option("--meaning", is_flag=True, help="Add what each setting means to the table. Default: no.")
@click.argument("names", nargs=-1, metavar="[SECTION | SECTION.NAME]...")
def settings(loaded: LoadedSettings, names: tuple[str, ...], as_json: bool, meaning: bool) -> int:
    """Show every setting, or those named: unit, default, present value, and where it came from.

    Secrets are never shown, only whether they are set. Each setting has three spellings: server.port,
    KIROTRIO_SERVER_PORT in the environment, and port below [server] in the TOML file.
    """
    sections = dict.fromkeys(name.partition(".")[0] for name in options())
    for name in names:
        if name not in options() and name not in sections:
            raise click.UsageError(f"there is no setting {name}{near_miss(name, [*options(), *sections])}")
    chosen = [option for option in options().values() if _chosen(option.name, names)]
    if as_json:
        click.echo(json.dumps([_described(option, loaded) for option in chosen], indent=2, ensure_ascii=False))
    else:
        _print_table(chosen, loaded, meaning=meaning)
        for notice in loaded.notices:
            click.echo(f"kirotrio: {notice}", err=True)
    return 0


def _chosen(name: str, names: tuple[str, ...]) -> bool:
    return not names or any(name == wanted or name.startswith(f"{wanted}.") for wanted in names)


def _described(option: Option, loaded: LoadedSettings) -> dict[str, Any]:
    value = value_of(loaded.settings, option.name)
    if option.secret:
        value, default = shown(option, value), ""
    else:
        value, default = (str(part) if isinstance(part, Path) else part for part in (value, option.default))
    return {
        "name": option.name,
        "variable": option.variable,
        "value": value,
        "default": default,
        "unit": option.unit,
        "choices": list(option.choices),
        "from": loaded.origins[option.name],
        "meaning": option.help,
        "secret": option.secret,
    }


def _print_table(chosen: list[Option], loaded: LoadedSettings, *, meaning: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, highlight=False)
    for heading in ("setting", "value", "unit", "default", "from", *(("meaning",) if meaning else ())):
        table.add_column(heading, overflow="fold", no_wrap=heading == "setting" or not terminal)
    for option in chosen:
        origin = loaded.origins[option.name]
        changed = origin != "default"
        cells = [
            option.name,
            shown(option, value_of(loaded.settings, option.name)),
            option.unit or "-",
            shown(option, option.default),
            origin,
            *((_meaning(option),) if meaning else ()),
        ]
        table.add_row(*map(_plain, cells), style="bold" if changed else None)
    console = Console(
        file=sys.stdout,
        width=None if terminal else _WIDE,
        no_color=not wants_colour(sys.stdout),
        highlight=False,
        soft_wrap=not terminal,
    )
    console.print(table)
    if loaded.config_file is not None:
        click.echo(f"TOML file: {loaded.config_file}")
    else:
        click.echo(f"TOML file: none (--config FILE, or {CONFIG_FILE} in the platform's configuration folder)")


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)


def _meaning(option: Option) -> str:
    return option.help + (f" ({', '.join(choice for choice in option.choices if choice)})" if option.choices else "")
