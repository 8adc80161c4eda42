"""`kirotrio accounts set`, `rename`, `enable`, `disable` and `remove`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs
import click

from kirotrio.classes import frozen
from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.stores import Stores, unknown_account, with_store
from kirotrio.cli.terminal import can_ask
from kirotrio.cli.values import ProxyValue, account_name
from kirotrio.config import LoadedSettings
from kirotrio.config.options import options
from kirotrio.config.values import Refused, parse
from kirotrio.errors import SettingsError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from kirotrio.store.account_record import AccountRecord

_DEFAULT_PRIORITY = 100
_LAST_PRIORITY = 1_000_000


@frozen
class Own:
    """A value of an account's own; "" and None stand for the settings' one."""

    value: Any


class OwnValue(click.ParamType[Own]):
    """An account's own value of what a setting says for all, or `default`."""

    name = "value"

    def __init__(self, setting: str, default: str | None) -> None:
        self._setting = setting
        self._default = default

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Own:
        if isinstance(value, Own):
            return value
        if str(value).strip().lower() == "default":
            return Own(self._default)
        try:
            parsed = parse(options()[self._setting], value)
        except Refused as refused:
            self.fail(f"{refused}, or default", param, ctx)
        return Own(parsed)


class Priority(click.ParamType[int]):
    """A number, or `default`."""

    name = "priority"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if str(value).strip().lower() == "default":
            return _DEFAULT_PRIORITY
        return click.IntRange(0, _LAST_PRIORITY).convert(value, param, ctx)


@click.command(
    "set",
    short_help="Change what holds for one account.",
    epilog="Like `kirotrio accounts set work --priority 10 --proxy socks5://127.0.0.1:1080`.",
)
@click.option(
    "--region",
    type=OwnValue("upstream.region", ""),
    metavar="NAME|default",
    help="Region of its data calls, where its profile names none.",
)
@click.option(
    "--flavour",
    type=OwnValue("upstream.flavour", ""),
    metavar="rest|rpc|runtime|default",
    help="Protocol that it speaks.",
)
@click.option(
    "--endpoint",
    type=OwnValue("upstream.url", ""),
    metavar="URL|default",
    help="Replaces scheme and host of its data calls; its path goes in front.",
)
@click.option(
    "--proxy",
    type=ProxyValue(default=True),
    metavar="URL|none|default",
    help="Its own proxy, for all of its calls; none: no proxy at all.",
)
@click.option(
    "--priority",
    type=Priority(),
    metavar="NUMBER|default",
    help=f"For the strategy `priority`: the smallest is first; default: {_DEFAULT_PRIORITY}, as a new account has it.",
)
@click.option(
    "--max-concurrent",
    type=OwnValue("accounts.max_concurrent", None),
    metavar="NUMBER|default",
    help="Requests that it answers at one time; 0: any number.",
)
@click.option(
    "--per-minute",
    type=OwnValue("accounts.per_minute", None),
    metavar="NUMBER|default",
    help="Answers that it begins in a minute; 0: any number.",
)
@click.option("--owner", metavar="USER|none", help="The user whose account it is; none: the gateway's own.")
@click.option("--lent/--private", default=None, help="Whether others than its owner may use it, too.")
@with_settings(*DATA)
@click.argument("name", metavar="NAME")
def set_(
    loaded: LoadedSettings,
    name: str,
    proxy: str | None,
    priority: int | None,
    owner: str | None,
    lent: bool | None,
    **own: Own | None,
) -> int:
    """Change what holds for the account NAME alone.

    The word default gives a value back to the settings. A gateway that is running takes the change up by itself.
    """
    changes: dict[str, Any] = {option: value.value for option, value in own.items() if value is not None}
    if priority is not None:
        changes["priority"] = priority
    if lent is not None:
        changes["lent"] = lent
    if not changes and proxy is None and owner is None:
        raise click.UsageError("say what to change, like --region eu-central-1")
    with with_store(loaded) as stores:
        _change(stores, name, changes, proxy, owner)
    others = {"proxy": proxy, "owner": owner}
    changed = [*(_called(option) for option in changes), *(option for option in others if others[option] is not None)]
    click.echo(f"{name}: {', '.join(changed)} changed")
    return 0


@click.command(short_help="Give an account another name.")
@with_settings(*DATA)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW", callback=account_name)
def rename(loaded: LoadedSettings, old: str, new: str) -> int:
    """Call the account OLD by the name NEW. Requests that name it (/a/OLD/...) have to be changed, too."""
    from kirotrio.store import accounts as rows

    with with_store(loaded) as stores:
        record = stores.account(old)

        def work(connection: Connection) -> None:
            rows.rename(connection, record.id, new)
            stores.noted(connection, "account.rename", [new], before=old)

        stores.writing(work)
    click.echo(f"{old} is called {new} now")
    return 0


@click.command(short_help="Let accounts serve again.")
@with_settings(*DATA)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def enable(loaded: LoadedSettings, names: tuple[str, ...]) -> int:
    """Let the accounts serve again that were disabled, paused, or marked as suspended or signed out.

    A pause has its reason: if that still holds, the next request begins another. Nobody is signed in by this: where
    the sign-in is over, `kirotrio login --again NAME` does that, and ends the mark as well.
    """
    from kirotrio.store import accounts as rows
    from kirotrio.store import cooldowns

    with with_store(loaded) as stores:
        records = stores.named(names)

        def work(connection: Connection) -> set[str]:
            paused = {row.account_id for row in cooldowns.all_cooldowns(connection) if row.until > time.time()}
            for record in records:
                rows.clear_mark(connection, record.id)
                rows.set_enabled(connection, record.id, True)
                cooldowns.remove_of(connection, record.id)
            stores.noted(connection, "account.enable", [record.name for record in records])
            return paused

        paused = stores.writing(work)
        for record in records:
            ended = [f"no longer marked as {told_mark(record.mark)}"] if record.mark else []
            ended += ["no longer paused"] if record.id in paused else []
            click.echo(f"{record.name} is enabled" + (f"; it is {' and '.join(ended)}" if ended else ""))
    return 0


@click.command(short_help="Keep accounts from serving.")
@with_settings(*DATA)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def disable(loaded: LoadedSettings, names: tuple[str, ...]) -> int:
    """Keep accounts from serving until `kirotrio accounts enable`. They stay signed in."""
    from kirotrio.store import accounts as rows

    with with_store(loaded) as stores:
        records = stores.named(names)

        def work(connection: Connection) -> None:
            for record in records:
                rows.set_enabled(connection, record.id, False)
            stores.noted(connection, "account.disable", [record.name for record in records])

        stores.writing(work)
        for record in records:
            click.echo(f"{record.name} is disabled")
    return 0


@click.command(short_help="Forget accounts.")
@click.option("--yes", is_flag=True, help="Do not ask. Default: ask on a terminal, refuse elsewhere.")
@with_settings(*DATA)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def remove(loaded: LoadedSettings, names: tuple[str, ...], yes: bool) -> int:
    """Forget accounts, with their tokens and all that is known of them.

    The sign-in at Kiro itself remains; it ends there when its tokens do, or when you sign out in the Kiro portal.
    """
    from kirotrio.store import accounts as rows

    with with_store(loaded) as stores:
        records = stores.named(names)
        if not yes and not _agreed(records):
            click.echo("nothing was removed")
            return 0

        def work(connection: Connection) -> None:
            for record in records:
                rows.remove(connection, record.id)
            stores.noted(connection, "account.remove", [record.name for record in records])

        stores.writing(work)
        for record in records:
            rest = (
                "its tokens stay with the program that it followed" if record.follows else "its sign-in at Kiro remains"
            )
            click.echo(f"{record.name} is removed; {rest}")
    return 0


def told_mark(mark: str) -> str:
    """A mark in words."""
    return {"sign_in": "signed out", "access": "not admitted"}.get(mark, mark.replace("_", " "))


def _agreed(records: Iterable[AccountRecord]) -> bool:
    named = ", ".join(record.name for record in records)
    if not can_ask():
        raise click.UsageError(f"to remove {named} without being asked, say --yes")
    return click.confirm(f"Remove {named}?")


def _called(option: str) -> str:
    return {"lent": "lending"}.get(option, option.replace("_", "-"))


def _change(stores: Stores, name: str, changes: dict[str, Any], proxy: str | None, owner: str | None) -> None:
    from kirotrio.store import accounts as rows
    from kirotrio.store.revisions import begin_change

    def work(connection: Connection) -> None:
        begin_change(connection)  # a token that a gateway rotates meanwhile is not to be put back with the proxy
        record = rows.find(connection, stores.vault, name)
        if record is None or record.name != name:
            raise SettingsError(unknown_account(name, rows.names(connection)))
        made = dict(changes)
        if proxy is not None:
            made["secrets"] = attrs.evolve(record.secrets, proxy_url=proxy)
        if owner is not None:
            made["owner_id"] = _user_id(connection, owner)
        rows.update(connection, stores.vault, record.id, **made)
        # A proxy's address may have a password in it.
        told = {**changes, **({"proxy": "changed"} if proxy is not None else {}), **({"owner": owner} if owner else {})}
        stores.noted(connection, "account.change", [name], **told)

    stores.writing(work)


def _user_id(connection: Connection, name: str) -> str:
    from kirotrio.store import user_rows

    if name == "none":
        return ""
    user = user_rows.named(connection, name)
    if user is None:
        raise SettingsError(f"there is no user {name}; `kirotrio users` lists all")
    return user.id
