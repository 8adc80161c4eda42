"""What every surface does: see who asks, read what is asked, have it decoded, hand it to the relay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import attrs
import trio
from attrs import field, frozen
from quart import Response, request

from kirotrio.access.grant import Grant
from kirotrio.accounts.lending.wish import Wish
from kirotrio.conversation.request import Conversation
from kirotrio.conversation.session import session_identity
from kirotrio.errors import BodyInvalid
from kirotrio.relay.answer import Answer
from kirotrio.relay.ports import Dialect
from kirotrio.relay.request import LARGE, AnswerRequest, Mode
from kirotrio.web.bridge import SCOPE_INTAKE
from kirotrio.web.connection import PushResponse, new_request_id
from kirotrio.web.gateway import Gateway
from kirotrio.web.intake import BodyIntake
from kirotrio.web.naming import SCOPE_ACCOUNT

_T = TypeVar("_T")

_SESSION = ("session-id", "session_id", "x-session-id")


async def admit(gateway: Gateway) -> Grant:
    """The caller's grant. Raises AuthenticationFailed, RateLimited."""
    grant = gateway.keyring.admit({name.lower(): value for name, value in request.headers.items()})
    seat = gateway.seat
    if seat is None:
        gateway.rate.admit(grant.key_id)
    elif seat.counts_requests:
        await seat.admit(grant.key_id)
    return grant


@frozen
class Asked:
    """One request that was let in, with its whole body. `account` is the one that its path names, "" if none."""

    grant: Grant
    account: str
    body: bytes = field(repr=False)
    request_id: str = field(factory=new_request_id)

    async def work(self, decode: Callable[[], _T]) -> _T:
        """Run what looks at the whole body: a large one in a thread, so that it keeps nobody else waiting.

        Cancelling leaves the thread to end by itself.
        """
        if len(self.body) <= LARGE:
            return decode()
        return await trio.to_thread.run_sync(decode, abandon_on_cancel=True)


async def take(gateway: Gateway) -> Asked:
    """Who asks, and what. Raises AuthenticationFailed, RateLimited, TooLarge, Overloaded, DeadlineExceeded."""
    grant = await admit(gateway)
    encoding = cast(Any, request.headers).get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise BodyInvalid("content-encoding", f"{encoding[:40]!r} is not read here; send the body uncompressed")
    return Asked(grant, named_account(), await _intake().whole(gateway.settings.deadlines.prepare))


def named_account() -> str:
    """The account that the path names, "" if none."""
    return cast(str, cast(Any, request.scope)[SCOPE_ACCOUNT])


def wish_of(grant: Grant, account: str) -> Wish:
    """Which accounts may serve this caller."""
    return Wish(credential=grant.credential, account=account, allowed=grant.accounts)


def session_header() -> str | None:
    """The session that an OpenAI client names beside its body: Codex and those that took its name for it."""
    headers = cast(Any, request.headers)
    return next((value for name in _SESSION if (value := headers.get(name))), None)


def mode_of(*, stream: bool, buffered: bool) -> Mode:
    if not stream:
        return Mode.JSON
    return Mode.BUFFERED if buffered else Mode.LIVE


def answer(
    gateway: Gateway, asked: Asked, conversation: Conversation, mode: Mode, dialect: Dialect, surface: str
) -> Response:
    """The relay's answer. The body's bytes count as held no longer: the conversation has what is needed of it."""
    _intake().release()
    grant, size = asked.grant, len(asked.body)
    wish = attrs.evolve(wish_of(grant, asked.account), session=session_identity(conversation), model=conversation.model)
    wanted = AnswerRequest(conversation, mode, asked.request_id, wish, grant.key_id, size, surface)
    return PushResponse(Answer(gateway.relay, wanted, dialect))


def _intake() -> BodyIntake:
    return cast(BodyIntake, cast(Any, request.scope)[SCOPE_INTAKE])
