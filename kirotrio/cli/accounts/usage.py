"""`kirotrio accounts usage` and `kirotrio accounts models`: what the accounts are worth, and which models they have."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import click

from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.stores import Stores, with_store
from kirotrio.cli.terminal import console_of_output, run_to_end
from kirotrio.config import LoadedSettings
from kirotrio.errors import KirotrioError, Recovery, SettingsError

if TYPE_CHECKING:
    from kirotrio.accounts.account import Account
    from kirotrio.accounts.worth.remembered import Snapshots
    from kirotrio.cli.accounts.worth import ModelsOf, Worth
    from kirotrio.kiro.client import Transport
    from kirotrio.kiro.credentials import Credentials
    from kirotrio.store.account_record import AccountRecord

    Opened: TypeAlias = Callable[[], Account]

_T = TypeVar("_T")

AT_ONE_TIME = 3
"""Accounts that are asked together."""


@click.command(short_help="Show what the accounts are worth.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all figures, instead of a table. Default: no.")
@click.option("--refresh", is_flag=True, help="Ask Kiro now, however new the figures are. Default: no.")
@with_settings(*DATA, "proxy_url")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def usage(loaded: LoadedSettings, names: tuple[str, ...], as_json: bool, refresh: bool) -> int:
    """Show plan, credits, trial, bonus, overage, reset date, e-mail and state of all accounts, or of those named.

    Figures older than accounts.usage_every are asked for anew; a token that has expired is refreshed for that, as the
    gateway would do. What a refusal says of the account, as that it is suspended, is kept for all gateways on this
    store. The exit code is 1 if an account cannot be asked.
    """
    from kirotrio.cli.accounts.worth import print_worth, worth_as_json

    with with_store(loaded) as stores:
        records = _records(stores, names)
        worth = run_to_end(functools.partial(_worth, loaded, stores, records, anew=refresh))
    now = time.time()
    if as_json:
        click.echo(json.dumps([worth_as_json(one, now) for one in worth], indent=2, ensure_ascii=False))
    else:
        print_worth(console_of_output(), worth, now)
        _complain([(one.record.name, one.problem) for one in worth])
    return 1 if any(one.problem is not None for one in worth) else 0


@click.command(short_help="Show the models of the accounts and where each value comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table. Default: no.")
@click.option("--refresh", is_flag=True, help="Ask Kiro now, however new the list is. Default: no.")
@with_settings(*DATA, "proxy_url")
@click.argument("name", required=False, default="")
def models(loaded: LoadedSettings, name: str, as_json: bool, refresh: bool) -> int:
    """Show the models of the account NAME, or what all enabled accounts have together: window, output limit, thinking,
    rate, and where each value comes from.

    Of several accounts that have a model, the smallest values are shown: a request may meet any of them.
    """
    from kirotrio.cli.accounts.worth import models_as_json, print_models

    with with_store(loaded) as stores:
        records = _records(stores, (name,) if name else ())
        enabled = [record for record in records if name or record.enabled]
        if not enabled:
            raise SettingsError("no account is enabled; enable one with `kirotrio accounts enable NAME`")
        lists = run_to_end(functools.partial(_models, loaded, stores, enabled, anew=refresh))
    now = time.time()
    if as_json:
        click.echo(json.dumps(models_as_json(lists, now), indent=2, ensure_ascii=False))
    else:
        print_models(console_of_output(), lists, now)
        _complain([(one.record.name, one.problem) for one in lists])
    return 1 if any(one.problem is not None for one in lists) else 0


def _records(stores: Stores, names: Sequence[str]) -> list[AccountRecord]:
    records = stores.named(names) if names else stores.accounts()
    if not records:
        raise SettingsError(
            "there is no account yet; `kirotrio login` signs one in, `kirotrio accounts import` takes those of other "
            "programs"
        )
    return records


def _complain(problems: Sequence[tuple[str, KirotrioError | None]]) -> None:
    for name, problem in problems:
        if problem is not None:
            click.echo(f"kirotrio: {name}: {problem.message}", err=True)


async def _worth(
    loaded: LoadedSettings, stores: Stores, records: Sequence[AccountRecord], *, anew: bool
) -> list[Worth]:
    from kirotrio.accounts.worth.usage_book import UsageBook
    from kirotrio.cli.accounts.states import state_of
    from kirotrio.cli.accounts.worth import Worth
    from kirotrio.cli.probing import Refusals, shared
    from kirotrio.telemetry.log import SilentLog

    known = await shared(loaded, stores).known(None)
    pauses = known.cooldowns if known is not None else ()

    async def look(transport: Transport, snapshots: Snapshots, record: AccountRecord, account: Opened) -> Worth:
        book = UsageBook(transport, loaded.settings, SilentLog(), snapshots=snapshots)
        problem = await _mended(account, functools.partial(book.refresh, record.name), anew=anew)
        own = [pause for account_id, pause in pauses if account_id == record.id]
        if problem is not None:
            await book.recall(record.name)
            met = await Refusals(loaded, stores, transport).met(record, problem, _credentials(account))
            own += [met] if met is not None else []
        standing = state_of(record, own, time.time())
        return Worth(record, standing, book.known(record.name), problem)

    return await _each(loaded, stores, records, look)


async def _models(
    loaded: LoadedSettings, stores: Stores, records: Sequence[AccountRecord], *, anew: bool
) -> list[ModelsOf]:
    from kirotrio.accounts.worth.model_lists import ModelLists
    from kirotrio.cli.accounts.worth import ModelsOf
    from kirotrio.cli.probing import Refusals
    from kirotrio.telemetry.log import SilentLog

    async def look(transport: Transport, snapshots: Snapshots, record: AccountRecord, account: Opened) -> ModelsOf:
        lists = ModelLists(transport, loaded.settings, SilentLog(), snapshots=snapshots)
        problem = await _mended(account, functools.partial(lists.refresh, record.name), anew=anew)
        if problem is not None:
            await lists.recall(record.name)
            await Refusals(loaded, stores, transport).met(record, problem, _credentials(account))
        return ModelsOf(record, lists.known(record.name), lists.fetched_at(record.name), problem)

    return await _each(loaded, stores, records, look)


async def _mended(opened: Opened, look: Callable[..., Awaitable[object]], *, anew: bool) -> KirotrioError | None:
    """Look; once more where the token or the profile was refused and can be replaced. What is wrong in the end."""
    lent: list[Credentials] = []

    async def credentials() -> Credentials:
        lent.append(await opened().credentials())
        return lent[-1]

    try:
        try:
            await look(credentials, anew=anew)
        except KirotrioError as error:
            if not lent or error.recovery not in (Recovery.REFRESH_TOKEN, Recovery.RESOLVE_PROFILE):
                raise
            if error.recovery is Recovery.REFRESH_TOKEN:
                await opened().refused(lent[-1].access_token)
            else:
                await opened().resolve_profile()
            await look(credentials, anew=True)
    except KirotrioError as error:
        return error
    return None


def _credentials(opened: Opened) -> Callable[[], Awaitable[Credentials]]:
    """Opening it fails when the credentials are asked for, not before."""

    async def credentials() -> Credentials:
        return await opened().credentials()

    return credentials


async def _each(
    loaded: LoadedSettings,
    stores: Stores,
    records: Sequence[AccountRecord],
    look: Callable[[Transport, Snapshots, AccountRecord, Opened], Awaitable[_T]],
) -> list[_T]:
    """What `look` finds of each account, in their order. It is given the account unopened, since that may fail too."""
    import trio

    from kirotrio.accounts.shared import StoredSnapshots
    from kirotrio.cli.probing import kept_account
    from kirotrio.kiro.client import Transport

    settings = loaded.settings
    snapshots = StoredSnapshots(stores.database, {record.name: record.id for record in records})
    found: dict[str, _T] = {}
    places = trio.CapacityLimiter(AT_ONE_TIME)

    async with Transport(settings.upstream, settings.deadlines) as transport, trio.open_nursery() as own_tasks:

        async def one(record: AccountRecord) -> None:
            opened = functools.cache(lambda: kept_account(loaded, stores, record, transport, own_tasks))
            async with places:
                found[record.name] = await look(transport, snapshots, record, opened)

        async with trio.open_nursery() as nursery:
            for record in records:
                nursery.start_soon(one, record)
        own_tasks.cancel_scope.cancel()
    return [found[record.name] for record in records]
