"""What every surface does: see who asks, read what is asked, have it decoded, hand it to the relay."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio
from attrs import field

from kirotrio.access.grant import Grant
from kirotrio.access.keys import Key
from kirotrio.accounts.lending.wish import Wish
from kirotrio.classes import frozen
from kirotrio.config.networks import read_address
from kirotrio.conversation.request import Conversation
from kirotrio.conversation.session import session_identity
from kirotrio.errors import BodyInvalid
from kirotrio.relay.answer import Answer
from kirotrio.relay.ports import Dialect
from kirotrio.relay.request import LARGE, AnswerRequest, Mode
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming
from kirotrio.web.naming import surface_of

_T = TypeVar("_T")

_ALIASES = 5
"""Aliases that may hide each other."""
_SESSION = ("session-id", "session_id", "x-session-id")


async def admit(gateway: Gateway, incoming: Incoming, *, asks: bool = False, counted: bool = True) -> Grant:
    """The caller's grant. Raises AuthenticationFailed, PermissionDenied, RateLimited, StoreUnavailable.

    One that `asks` for an answer is refused where a limit of its key is known to be used up; all others are free. One
    that is not `counted` is none of the requests a minute that any key may make (`server.rate_per_minute`) either.
    """
    grant = await gateway.keyring.admit(incoming.headers)
    incoming.passage.key_id, incoming.passage.key_name = grant.key_id, grant.key_name
    if grant.key is not None:
        _check(gateway, incoming, grant.key, asks=asks)
    if not counted:
        return grant
    others = gateway.several or gateway.seat
    if others is None:
        gateway.rate.admit(grant.key_id)
    elif others.counts_requests:
        await others.admit(grant.key_id)
    return grant


def _check(gateway: Gateway, incoming: Incoming, key: Key, *, asks: bool) -> None:
    """What is known of a key that was given out, as far as it takes no wait. Raises PermissionDenied, RateLimited."""
    gateway.modes.now.check_owner(key.owner)
    address = gateway.client_address(incoming)
    key.check_place(surface_of(incoming.path), read_address(address))
    if gateway.counting is not None:
        gateway.counting.used(key.id, address)
        if asks:
            gateway.counting.check(key)


@frozen
class Asked:
    """One request that was let in, with its whole body."""

    grant: Grant
    incoming: Incoming
    body: bytes = field(repr=False)

    @property
    def request_id(self) -> str:
        return self.incoming.passage.request_id

    async def work(self, decode: Callable[[], _T]) -> _T:
        """Run what looks at the whole body: a large one in a thread, so that it keeps nobody else waiting.

        Cancelling leaves the thread to end by itself.
        """
        if len(self.body) <= LARGE:
            return decode()
        return await trio.to_thread.run_sync(decode, abandon_on_cancel=True)


async def take(gateway: Gateway, incoming: Incoming, *, asks: bool = True) -> Asked:
    """Who asks, and what. `asks`: for an answer. Raises what `admit` does, TooLarge, Overloaded, DeadlineExceeded."""
    grant = await admit(gateway, incoming, asks=asks)
    encoding = incoming.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise BodyInvalid("content-encoding", f"{encoding[:40]!r} is not read here; send the body uncompressed")
    return Asked(grant, incoming, await incoming.intake.whole(gateway.settings.deadlines.prepare))


def wish_of(grant: Grant, account: str) -> Wish:
    """Which accounts may serve this caller."""
    return Wish(credential=grant.credential, account=account, allowed=grant.accounts, owner=grant.owner)


def granted_model(gateway: Gateway, grant: Grant, account: str, name: str) -> str:
    """The name of a model as the accounts are to be asked for it. Raises PermissionDenied, NotFound.

    A key that may not use all models is bound to what the name means, as far as is known without asking: an account
    that would take it for another model is asked for this one.
    """
    key = grant.key
    if key is None or not key.models:
        return name
    names = gateway.settings.models
    known = gateway.accounts.known_models(wish_of(grant, account))
    meant, asked = known.resolve(name, aliases=names.alias, default=names.default), ""
    for _ in range(_ALIASES):
        if meant.id == asked:
            break
        # An alias may hide the very model that was found: what counts is what an account is going to read.
        asked = meant.id
        meant = known.resolve(asked, aliases=names.alias, default=names.default)
    key.check_model(meant.id)
    return meant.id


def session_header(incoming: Incoming) -> str | None:
    """The session that an OpenAI client names beside its body: Codex and those that took its name for it."""
    return next((value for name in _SESSION if (value := incoming.headers.get(name))), None)


def mode_of(*, stream: bool, buffered: bool) -> Mode:
    if not stream:
        return Mode.JSON
    return Mode.BUFFERED if buffered else Mode.LIVE


def answer(
    gateway: Gateway, asked: Asked, conversation: Conversation, mode: Mode, dialect: Dialect, surface: str
) -> Answer:
    """The relay's answer. The body's bytes count as held no longer: the conversation has what is needed of it."""
    asked.incoming.intake.release()
    grant, size, account = asked.grant, len(asked.body), asked.incoming.account
    wish = Wish(
        credential=grant.credential,
        account=account,
        allowed=grant.accounts,
        session=session_identity(conversation),
        model=granted_model(gateway, grant, account, conversation.model),
        owner=grant.owner,
    )
    incoming = asked.incoming
    wanted = AnswerRequest(
        conversation,
        mode,
        asked.request_id,
        wish,
        grant.key_id,
        size,
        surface,
        client=incoming.agent,
        address=gateway.client_address(incoming),
        traceparent=incoming.headers.get("traceparent", ""),
        spending=grant.spending(gateway.counting, asked.request_id),
        taken_at=incoming.passage.began_at,
        key_name=grant.key_name,
    )
    incoming.passage.is_relayed = True
    if gateway.recording is not None:
        return gateway.recording.answer(gateway.relay, wanted, dialect, incoming, asked.body)
    return Answer(gateway.relay, wanted, dialect)
