"""Accounts as verbs use them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from kirotrio.classes import frozen
from kirotrio.errors import Blame, KirotrioError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import trio

    from kirotrio.accounts.account import Account
    from kirotrio.accounts.cooldowns import Cooldown
    from kirotrio.accounts.finding import Finder
    from kirotrio.accounts.shared import Shared
    from kirotrio.cli.stores import Stores
    from kirotrio.config import LoadedSettings
    from kirotrio.kiro.client import Transport
    from kirotrio.kiro.credentials import Credentials
    from kirotrio.relay.trial import Trial
    from kirotrio.store.account_record import AccountRecord
    from kirotrio.telemetry.log import Log

_OF_REQUESTS: Final = (Blame.RATE, Blame.ACCESS, Blame.MODEL)
"""What a look at usage or models that is refused does not say of requests: those may be admitted all the same."""


def shared(loaded: LoadedSettings, stores: Stores) -> Shared:
    """What this verb knows together with the gateways on the same store; its turns keep them from refreshing twice."""
    from kirotrio.accounts.shared import Shared
    from kirotrio.accounts.terms import turn_lasts

    return Shared(stores.database, stores.vault, turn_lasts(loaded.settings), stores.old_successors)


def kept_account(
    loaded: LoadedSettings, stores: Stores, record: AccountRecord, transport: Transport, nursery: trio.Nursery
) -> Account:
    """An account of the store, as the gateway uses it. Raises AccountUnavailable where what it follows is unknown."""
    from kirotrio.accounts.account import Account
    from kirotrio.accounts.records import terms_of
    from kirotrio.accounts.sources.kept import kept_source
    from kirotrio.telemetry.log import SilentLog

    settings = loaded.settings
    return Account(
        kept_source(record, stores.database, stores.vault, write_back=settings.accounts.write_back),
        transport,
        nursery,
        terms_of(record, settings),
        SilentLog(),
        name=record.name,
        turns=shared(loaded, stores).turns(),
        turn=f"refresh:{record.id}",
    )


def finder(loaded: LoadedSettings, stores: Stores) -> Finder:
    """Looks for the sign-in that answers without being kept in the store."""
    from kirotrio.accounts.finding import Finder
    from kirotrio.accounts.shared import StoredSuccessors
    from kirotrio.cli.surroundings import places_of_user

    return Finder(loaded.settings, places_of_user(), StoredSuccessors(stores.database, stores.old_successors))


@frozen
class Refusals:
    """What is refused while verbs ask accounts is kept as a gateway keeps what its requests meet, so that every gateway
    on this store knows it and `kirotrio accounts` shows it."""

    loaded: LoadedSettings
    stores: Stores
    transport: Transport

    async def met(
        self,
        record: AccountRecord,
        error: KirotrioError,
        credentials: Callable[[], Awaitable[Credentials]],
        *,
        model: str = "",
    ) -> Cooldown | None:
        """Keep what `error` says of the account; what holds because of it, None if nothing does.

        `model`: the one that was asked, "" where the account was only looked at. For a subscription that is used up
        the date of the reset is asked for. A store that takes nothing in is told to the person, and is no failure.
        """
        from kirotrio.accounts.cooldowns import Cooldowns

        if error.blame in _OF_REQUESTS and not model:
            return None
        resets_at = await self._next_reset(record, credentials) if error.blame is Blame.QUOTA else None
        cooldowns, now = Cooldowns(self.loaded.settings.accounts), time.time()
        cooldown = cooldowns.note(record.id, error, now, model=model, resets_at=resets_at)
        if cooldown is not None:
            try:
                await shared(self.loaded, self.stores).write(cooldowns.changes(), now)
            except KirotrioError as trouble:
                told = f"kirotrio: {record.name}: what was refused could not be kept for others: {trouble.in_full}"
                click.echo(told, err=True)
        return cooldown

    async def _next_reset(
        self, record: AccountRecord, credentials: Callable[[], Awaitable[Credentials]]
    ) -> float | None:
        from kirotrio.accounts.shared import StoredSnapshots
        from kirotrio.accounts.worth.usage_book import UsageBook
        from kirotrio.telemetry.log import SilentLog

        snapshots = StoredSnapshots(self.stores.database, {record.name: record.id})
        book = UsageBook(self.transport, self.loaded.settings, SilentLog(), snapshots=snapshots)
        await book.recall(record.name)
        return await book.next_reset(record.name, credentials)


async def try_account(account: Account, record: AccountRecord, refusals: Refusals, log: Log) -> Trial:
    """Ask `account` one cheap question. A refused token is replaced once, a missing profile looked up once.

    Raises KirotrioError, whose meaning for the account is kept. Cancellation ends the call, never a refresh under way.
    """
    from kirotrio.relay.trial import ask_once

    asked: list[str] = []
    try:
        return await ask_once(account, refusals.transport, refusals.loaded.settings, log, asked)
    except KirotrioError as error:
        await refusals.met(record, error, account.credentials, model=asked[-1] if asked else "")
        raise
