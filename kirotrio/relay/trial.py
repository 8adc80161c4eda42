"""The cheapest question that an account can be asked, to see whether it answers."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final, Protocol

import orjson

from kirotrio.classes import frozen
from kirotrio.config.settings import Settings
from kirotrio.conversation.events import Batch, Finish, TextDelta, singly
from kirotrio.conversation.request import Conversation, Text, ThinkingSetting, Turn
from kirotrio.conversation.tokens import quick_count
from kirotrio.conversation.usage import UsageLedger
from kirotrio.errors import KirotrioError, Recovery
from kirotrio.kiro.client import Transport
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.endpoints import endpoints, headers_for
from kirotrio.kiro.errors import from_response
from kirotrio.kiro.models import STATIC_CATALOGUE, ModelProfile, parse_models
from kirotrio.kiro.sessions import new_invocation_id
from kirotrio.relay.attempt import generate_alone
from kirotrio.relay.estimate import Estimate
from kirotrio.relay.generation import prepare_generation
from kirotrio.relay.request import Mode
from kirotrio.telemetry.log import Log

QUESTION: Final = "Reply with the one word: ok"
_USUAL: Final = "claude-sonnet-4.5"
"""Asked where no rate is known: every plan has it."""


@frozen
class Trial:
    """What a question came to. `first` and `seconds` are since it was sent: until the first text (None where the answer
    has none), and until its end. `credits` is None where the upstream did not say what it cost."""

    account: str
    model: str
    rate: float | None
    answer: str
    seconds: float
    credits: float | None
    first: float | None = None
    refreshed: bool = False


class Tried(Protocol):
    """An account, as far as a question needs it (`accounts.account.Account`)."""

    @property
    def name(self) -> str: ...

    async def credentials(self) -> Credentials: ...

    async def refused(self, token: str) -> None: ...

    async def resolve_profile(self) -> None: ...


async def ask_once(account: Tried, transport: Transport, settings: Settings, log: Log, asked: list[str]) -> Trial:
    """Ask the model with the lowest rate. A refused token is replaced once, a missing profile looked up once.

    `asked` takes the model's name in before it is asked. Raises KirotrioError, which nobody has noted yet. Cancellation
    ends the call, never a refresh under way.
    """
    repaired: set[Recovery] = set()
    while True:
        credentials = await account.credentials()
        try:
            model = cheapest(await list_models(transport, credentials, settings))
            asked.append(model.id)
            trial = await _ask(transport, credentials, model, settings, log)
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
        answer, first, seconds, spent = trial
        refreshed = Recovery.REFRESH_TOKEN in repaired
        return Trial(account.name, model.id, model.rate, answer, seconds, spent, first, refreshed)


async def list_models(transport: Transport, credentials: Credentials, settings: Settings) -> list[ModelProfile]:
    """The models that the account may be asked for; it rotates nothing. Raises KirotrioError."""
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
    rated = [(model.rate, model.id, model) for model in models if model.rate is not None]
    if rated:
        return min(rated)[2]
    return STATIC_CATALOGUE.resolve(_USUAL, aliases={})


async def _ask(
    transport: Transport, credentials: Credentials, model: ModelProfile, settings: Settings, log: Log
) -> tuple[str, float | None, float, float | None]:
    """The answer's text, the seconds to its first piece and to its end, and its credits."""
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
    texts: list[str] = []
    first: float | None = None
    began = time.monotonic()

    async def take(batch: Batch) -> None:
        nonlocal first
        said = [event.text for event in singly(batch) if isinstance(event, TextDelta)]
        if said and first is None:
            first = time.monotonic() - began
        texts.extend(said)

    last = await generate_alone(
        transport, generation.call, generation.pipeline, estimate, take, generation.patience, log
    )
    await take(last)
    seconds = time.monotonic() - began
    spent = next((event.usage.credits for event in last if isinstance(event, Finish)), None)
    return "".join(texts), first, seconds, spent
