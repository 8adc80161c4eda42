"""`kirotrio accounts test`: one cheap question to one account."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

import click

from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.stores import Stores, with_store
from kirotrio.cli.terminal import run_to_end
from kirotrio.config import LoadedSettings

if TYPE_CHECKING:
    from kirotrio.relay.trial import Trial
    from kirotrio.store.account_record import AccountRecord


@click.command(short_help="Ask an account one cheap question.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines. Default: no.")
@with_settings(*DATA, "proxy_url")
@click.argument("name", metavar="NAME")
def test(loaded: LoadedSettings, name: str, as_json: bool) -> int:
    """Ask the account NAME one cheap question, and show its answer, the time it took and the credits spent.

    It is asked of the model with the lowest rate, with the account's own region, flavour, endpoint and proxy. A token
    that has expired or is refused is refreshed, as the gateway would do. What a refusal says of the account, as that it
    is suspended, is kept for all gateways on this store.
    """
    with with_store(loaded) as stores:
        record = stores.account(name)
        trial = run_to_end(functools.partial(_try, loaded, stores, record))
    click.echo(_as_json(trial) if as_json else _told(trial))
    return 0


async def _try(loaded: LoadedSettings, stores: Stores, record: AccountRecord) -> Trial:
    import trio

    from kirotrio.cli.probing import Refusals, kept_account, try_account
    from kirotrio.kiro.client import Transport
    from kirotrio.telemetry.log import SilentLog

    settings = loaded.settings
    async with Transport(settings.upstream, settings.deadlines) as transport, trio.open_nursery() as nursery:
        account = kept_account(loaded, stores, record, transport, nursery)
        refusals = Refusals(loaded, stores, transport)
        trial = await try_account(account, record, refusals, SilentLog())
        nursery.cancel_scope.cancel()
    return trial


def _told(trial: Trial) -> str:
    rate = f" (rate {trial.rate:g})" if trial.rate is not None else ""
    spent = f"{trial.credits:g} credits spent" if trial.credits is not None else "the credits spent are not known"
    refreshed = "; its token was refreshed" if trial.refreshed else ""
    return (
        f"{trial.account} answers: {trial.answer.strip()}\n"
        f"{trial.model}{rate}, {trial.seconds:.1f} seconds, {spent}{refreshed}"
    )


def _as_json(trial: Trial) -> str:
    return json.dumps(
        {
            "account": trial.account,
            "model": trial.model,
            "rate": trial.rate,
            "answer": trial.answer,
            "seconds": round(trial.seconds, 3),
            "credits": round(trial.credits, 6) if trial.credits is not None else None,
            "token_refreshed": trial.refreshed,
        },
        indent=2,
        ensure_ascii=False,
    )
