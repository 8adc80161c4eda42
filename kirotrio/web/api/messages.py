"""Anthropic Messages: live at `/v1`, buffered at `/cc/v1`, and the token count of both."""

from __future__ import annotations

import secrets
from typing import Any, cast

import orjson
import trio
from attrs import frozen
from quart import Quart, Response, request

from kirotrio.dialects.anthropic import (
    DecodedRequest,
    MessageBody,
    MessageStream,
    decode_count_tokens,
    decode_request,
    error_body,
)
from kirotrio.errors import KirotrioError
from kirotrio.relay.answer import Answer
from kirotrio.relay.ports import BodyEncoder, Refusal, StreamEncoder
from kirotrio.relay.request import LARGE, AnswerRequest, Mode
from kirotrio.web.connection import SCOPE_INTAKE, PushResponse, new_request_id
from kirotrio.web.gateway import Gateway
from kirotrio.web.intake import BodyIntake
from kirotrio.web.reading import admit, read_body

_BUFFERED = "/cc/v1/messages"


@frozen
class AnthropicAnswer:
    """One request's view of the dialect (`relay.ports.Dialect`): both encoders carry one message id."""

    model: str
    message_id: str
    request_id: str

    def stream(self) -> StreamEncoder:
        return MessageStream(self.model, self.message_id)

    def body(self) -> BodyEncoder:
        return MessageBody(self.model, self.message_id)

    def refusal(self, error: KirotrioError) -> Refusal:
        return Refusal(*error_body(error, self.request_id))


def register(app: Quart, gateway: Gateway) -> None:
    @app.post("/v1/messages")
    async def live() -> Response:
        # One header moves a client that cannot change its base URL to the buffered mode; other values mean nothing.
        return await _answer(gateway, buffered=request.headers.get("x-endpoint") == _BUFFERED)

    @app.post("/cc/v1/messages")
    async def buffered() -> Response:
        return await _answer(gateway, buffered=True)

    @app.post("/v1/messages/count_tokens")
    @app.post("/cc/v1/messages/count_tokens")
    async def count_tokens() -> Response:
        return await _count_tokens(gateway)


async def _answer(gateway: Gateway, *, buffered: bool) -> Response:
    grant = admit(gateway)
    betas, session = _headers()
    body = await read_body(gateway)

    def decode() -> DecodedRequest:
        return decode_request(
            body, betas=betas, session_header=session, default_thinking=gateway.settings.thinking.default
        )

    decoded = await trio.to_thread.run_sync(decode, abandon_on_cancel=True) if len(body) > LARGE else decode()
    mode = (Mode.BUFFERED if buffered else Mode.LIVE) if decoded.stream else Mode.JSON
    cast(BodyIntake, cast(Any, request.scope)[SCOPE_INTAKE]).release()
    request_id = new_request_id()
    dialect = AnthropicAnswer(decoded.conversation.model, "msg_" + secrets.token_hex(12), request_id)
    asked = AnswerRequest(decoded.conversation, mode, request_id, grant.credential, grant.key_id, len(body))
    return PushResponse(Answer(gateway.relay, asked, dialect))


async def _count_tokens(gateway: Gateway) -> Response:
    grant = admit(gateway)
    betas, _ = _headers()
    body = await read_body(gateway)

    try:
        account = (await gateway.relay.lender.lend(grant.credential)).name
    except KirotrioError:
        account = ""  # counting needs nobody's subscription

    def count() -> int:
        conversation = decode_count_tokens(body, betas=betas).conversation
        names = gateway.settings.models
        model = gateway.relay.models.known(account).resolve(
            conversation.model, aliases=names.alias, default=names.default
        )
        return gateway.relay.estimator.estimate(conversation, model.family)

    tokens = await trio.to_thread.run_sync(count, abandon_on_cancel=True)
    return Response(orjson.dumps({"input_tokens": tokens}), 200, {"x-kirotrio-usage": "estimate"}, "application/json")


def _headers() -> tuple[tuple[str, ...], str | None]:
    """The betas that the client names, and its session."""
    named = ",".join(request.headers.getlist("anthropic-beta"))
    betas = tuple(beta for part in named.split(",") if (beta := part.strip()))
    return betas, cast(Any, request.headers).get("x-claude-code-session-id")
