"""Accounts as verbs use them, and the cheapest question that one can be asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from kirotrio.classes import frozen
from kirotrio.cli.first_run import DEFAULT_MODEL
from kirotrio.errors import Blame, KirotrioError, Recovery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    import trio

    from kirotrio.accounts.account import Account
    from kirotrio.accounts.cooldowns import Cooldown
    from kirotrio.accounts.finding import Finder
    from kirotrio.accounts.shared import Shared
    from kirotrio.cli.stores import Stores
    from kirotrio.config import LoadedSettings
    from kirotrio.config.settings import Settings
    from kirotrio.conversation.events import Batch
    from kirotrio.kiro.client import Transport
    from kirotrio.kiro.credentials import Credentials
    from kirotrio.kiro.models import ModelProfile
    from kirotrio.store.account_record import AccountRecord
    from kirotrio.telemetry.log import Log

QUESTION = "Reply with the one word: ok"
_OF_REQUESTS: Final = (Blame.RATE, Blame.ACCESS, Blame.MODEL)
"""What a look at usage or models that is refused does not say of requests: those may be admitted all the same."""


@frozen
class Trial:
    """What a question came to. `credits` is None where the upstream did not say what it cost."""

    account: str
    model: str
    rate: float | None
    answer: str
    seconds: float
    credits: float | None
    refreshed: bool = False


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
                told = f"kirotrio: {record.name}: what was refused could not be kept for others: {trouble.message}"
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
    asked: list[str] = []
    try:
        return await _tried(account, refusals.transport, refusals.loaded.settings, log, asked)
    except KirotrioError as error:
        await refusals.met(record, error, account.credentials, model=asked[-1] if asked else "")
        raise


async def _tried(account: Account, transport: Transport, settings: Settings, log: Log, asked: list[str]) -> Trial:
    """`asked` takes the model in before it is asked."""
    repaired: set[Recovery] = set()
    while True:
        credentials = await account.credentials()
        try:
            model = cheapest(await list_models(transport, credentials, settings))
            asked.append(model.id)
            answer, seconds, spent = await _ask(transport, credentials, model, settings, log)
        except KirotrioError as error:
            if error.recovery in repaired:
                raise
            if error.recovery is Recovery.REFRESH_TOKEN:
                await account.refused(credentials.access_token)
            elif error.recovery is Recovery.RESOLVE_PROFILE:
                await account.resolve_profile()
            else:
                raise
            repaired.add(error.recovery)
            continue
        refreshed = Recovery.REFRESH_TOKEN in repaired
        return Trial(account.name, model.id, model.rate, answer, seconds, spent, refreshed)


async def list_models(transport: Transport, credentials: Credentials, settings: Settings) -> list[ModelProfile]:
    """The models that the account may be asked for; it rotates nothing. Raises KirotrioError."""
    import orjson

    from kirotrio.kiro.endpoints import endpoints, headers_for
    from kirotrio.kiro.errors import from_response
    from kirotrio.kiro.models import parse_models

    upstream = settings.upstream
    endpoint = endpoints(credentials.flavour, credentials.region, credentials.url).models(
        origin=upstream.origin, profile_arn=credentials.profile_arn
    )
    answer = await transport.call(
        endpoint.method,
        endpoint.url,
        headers=headers_for(credentials, endpoint, user_agent=upstream.user_agent),
        body=endpoint.body,
        deadline=settings.deadlines.lookup,
        proxy_url=credentials.proxy_url,
    )
    if answer.status != 200:
        raise from_response(answer.status, answer.headers, answer.body, now=time.time(), account=credentials.account)
    return [model for model in parse_models(orjson.loads(answer.body)) if model.listed]


def cheapest(models: Iterable[ModelProfile]) -> ModelProfile:
    """The model of the lowest known rate; one that every plan has where no rate is known."""
    from kirotrio.kiro.models import STATIC_CATALOGUE

    rated = [(model.rate, model.id, model) for model in models if model.rate is not None]
    if rated:
        return min(rated)[2]
    return STATIC_CATALOGUE.resolve(DEFAULT_MODEL, aliases={})


async def _ask(
    transport: Transport, credentials: Credentials, model: ModelProfile, settings: Settings, log: Log
) -> tuple[str, float, float | None]:
    """The answer's text, the seconds that it took, and its credits."""
    from kirotrio.conversation.events import Finish, TextDelta, singly
    from kirotrio.conversation.request import Conversation, Text, ThinkingSetting, Turn
    from kirotrio.conversation.tokens import quick_count
    from kirotrio.conversation.usage import UsageLedger
    from kirotrio.kiro.sessions import new_invocation_id
    from kirotrio.relay.attempt import generate_alone
    from kirotrio.relay.estimate import Estimate
    from kirotrio.relay.generation import prepare_generation
    from kirotrio.relay.request import Mode

    conversation = Conversation(model.id, (Turn("user", (Text(QUESTION),)),), thinking=ThinkingSetting(enabled=False))
    generation = prepare_generation(
        conversation,
        model,
        credentials,
        settings,
        UsageLedger(),
        quick_count,
        Mode.JSON,
        attempt=1,
        invocation_id=new_invocation_id(),
        strip_signatures=False,
    )
    estimate = Estimate()
    estimate.set(quick_count(QUESTION))
    batches: list[Batch] = []

    async def take(batch: Batch) -> None:
        batches.append(batch)

    began = time.monotonic()
    last = await generate_alone(
        transport, generation.call, generation.pipeline, estimate, take, generation.patience, log
    )
    seconds = time.monotonic() - began
    events = [event for batch in [*batches, last] for event in singly(batch)]
    spent = next((event.usage.credits for event in events if isinstance(event, Finish)), None)
    return "".join(event.text for event in events if isinstance(event, TextDelta)), seconds, spent
