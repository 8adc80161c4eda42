"""`kirotrio keys create`, `set`, `rotate` and `revoke`."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from kirotrio.cli.keys.keeping import described, the_key, with_keys
from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.person import whoever_calls
from kirotrio.config import LoadedSettings
from kirotrio.errors import SettingsError

if TYPE_CHECKING:
    from kirotrio.access.key_admin import Keys, MadeKey
    from kirotrio.store.key_record import KeyRecord

_SPAN = re.compile(r"(\d+)\s*([mhdw])")
_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_LONGEST = 1000 * 365 * 86_400.0
_NONE = "none"
_NAMED = {
    "models": ("--model", "the name of a model", "for all of them"),
    "surfaces": ("--surface", "messages, chat or responses", "for all of them"),
    "networks": ("--network", "a network like 10.0.0.0/8", "for everywhere"),
    "limits": ("--limit", "a limit like day:requests=100", "for no limit"),
    "account": ("--account", "the name of an account", "for any of them"),
}
"""By what is meant: the option, what stands behind it, and what `none` means there."""


class Expiry(click.ParamType[float]):
    """When a key ends: after a span, on a date, or never. Epoch seconds, 0.0 for never."""

    name = "expiry"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        if text in (_NONE, "never"):
            return 0.0
        if span := _SPAN.fullmatch(text):
            at_most = float(span[1]) * _SECONDS[span[2]] if len(span[1]) < 16 else math.inf
            if at_most > _LONGEST:
                self.fail(f"{value!r} is too far away; a key ends within 1000 years, or never", param, ctx)
            return time.time() + at_most
        try:
            at = datetime.fromisoformat(text.upper())
            return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
        except ValueError:
            self.fail(f"{value!r} is neither a span like 30d or 12h, nor a date like 2027-01-31, nor never", param, ctx)
        except OverflowError:
            self.fail(f"{value!r} is too far away; for a key that does not end, say never", param, ctx)


def _terms(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what a key may do."""
    for option in reversed(
        (
            click.option("--expires", type=Expiry(), metavar="WHEN", help="30d, 12h, 2027-01-31 (UTC), or never."),
            click.option("--model", "models", multiple=True, metavar="NAME", help="Only this model; * stands for any."),
            click.option(
                "--surface", "surfaces", multiple=True, metavar="NAME", help="Only this API: messages, chat, responses."
            ),
            click.option(
                "--network", "networks", multiple=True, metavar="NETWORK", help="Only from there, like 10.0.0.0/8."
            ),
            click.option("--account", metavar="NAME", help="Only this account answers it."),
            click.option(
                "--limit",
                "limits",
                multiple=True,
                metavar="WINDOW:WHAT=NUMBER",
                help="At most so many requests, tokens or credits in each minute, day or month: day:requests=100.",
            ),
            click.option(
                "--max-concurrent",
                type=click.IntRange(0, 1_000_000),
                metavar="NUMBER",
                help="Requests at one time; 0: any number.",
            ),
        )
    ):
        verb = option(verb)
    return verb


@click.command(
    short_help="Make a key, and print it.",
    epilog="Like `kirotrio keys create ci --expires 30d --limit day:requests=500 --limit month:credits=50`.",
)
@click.argument("name")
@click.option("--owner", metavar="USER", help="The user whose key it is. Default: the gateway's own.")
@_terms
@click.option("--json", "as_json", is_flag=True, help="Print JSON. Default: the key alone.")
@with_settings(*DATA)
def create(loaded: LoadedSettings, name: str, owner: str | None, as_json: bool, **given: Any) -> int:
    """Make a key and print it. It is shown this once: of a key only its SHA-256 is kept.

    Without options it may do everything. The options for models, surfaces, networks and limits may be given several
    times. Gateways that run take it at once.
    """

    terms = _read(given)

    async def make(keys: Keys) -> MadeKey:
        owner_id = await keys.user_id(owner) if owner is not None else ""
        return await keys.create(whoever_calls(), name, owner_id=owner_id, **terms)

    _tell(with_keys(loaded, make), as_json)
    return 0


@click.command("set", short_help="Change what a key may do.", epilog="Like `kirotrio keys set ci --limit none`.")
@click.argument("name")
@click.option("--name", "new_name", metavar="NAME", help="What it is called from now on.")
@_terms
@with_settings(*DATA)
def set_(loaded: LoadedSettings, name: str, new_name: str | None, **given: Any) -> int:
    """Change what the key NAME may do. What is not named stays as it is.

    A list (models, surfaces, networks, limits) takes the place of the whole former one; `none` empties it, and takes
    the account away. Gateways that run follow within seconds (store.look_every).
    """

    terms = _read(given)
    if new_name is not None:
        terms["name"] = new_name
    if not terms:
        raise click.UsageError("name what is to change, like --limit day:requests=100")

    async def change(keys: Keys) -> KeyRecord:
        record = await the_key(keys, name)
        return await keys.update(whoever_calls(), record.id, **terms)

    click.echo(f"changed the key {with_keys(loaded, change).name}")
    return 0


@click.command(short_help="Give a key another secret.")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON. Default: the key alone.")
@with_settings(*DATA)
def rotate(loaded: LoadedSettings, name: str, as_json: bool) -> int:
    """Make another secret for the key NAME and print it. What the key may do and has used stays.

    The old secret is refused from now on, by gateways that run within seconds (store.look_every).
    """

    async def change(keys: Keys) -> MadeKey:
        return await keys.rotate(whoever_calls(), (await the_key(keys, name)).id)

    _tell(with_keys(loaded, change), as_json)
    return 0


@click.command(short_help="Refuse a key from now on.")
@click.argument("name")
@with_settings(*DATA)
def revoke(loaded: LoadedSettings, name: str) -> int:
    """Refuse the key NAME (or the one that begins so) from now on. Answers that run go on to their end.

    Gateways that run follow within seconds (store.look_every).
    """

    async def change(keys: Keys) -> KeyRecord:
        return await keys.revoke(whoever_calls(), (await the_key(keys, name)).id)

    click.echo(f"revoked the key {with_keys(loaded, change).name}")
    return 0


def _read(given: dict[str, Any]) -> dict[str, Any]:
    """What was named, as `Keys.create` takes it. Raises SettingsError."""
    from kirotrio.access.key_terms import budget_from, read_limit

    terms: dict[str, Any] = {}
    for name in ("models", "surfaces", "networks", "limits"):
        values = given[name]
        if not values:
            continue
        _check_named(name, *values)
        if _NONE in values and len(values) > 1:
            raise SettingsError(f"{name}: none stands alone")
        values = () if values == (_NONE,) else values
        if name == "limits":
            terms["budget"] = budget_from(map(read_limit, values))
        else:
            terms[name] = values
    if given["account"] is not None:
        _check_named("account", given["account"])
        terms["account"] = "" if given["account"] == _NONE else given["account"]
    if given["max_concurrent"] is not None:
        terms["max_concurrent"] = given["max_concurrent"]
    if given["expires"] is not None:
        terms["expires_at"] = given["expires"] or None
    return terms


def _check_named(name: str, *values: str) -> None:
    """An empty value, as a script's variable may be that was never set, is no wish for a key that may do everything.

    Raises SettingsError.
    """
    if not all(value.strip() for value in values):
        option, what, meaning = _NAMED[name]
        raise SettingsError(f"{option}: an empty value names nothing; say {what}, or none {meaning}")


def _tell(made: MadeKey, as_json: bool) -> None:
    """The key goes to standard output, also into a pipe: nobody can ask for it again."""
    if as_json:
        click.echo(
            json.dumps({"key": made.secret, **described(made.record, time.time())}, indent=2, ensure_ascii=False)
        )
        return
    click.echo(made.secret)
    click.echo(f"This is the key {made.record.name}. It is not shown again; keep it now.", err=True)
