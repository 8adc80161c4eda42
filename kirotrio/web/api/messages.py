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
from kirotrio.relay.ports import BodyEncoder, Refusal, StreamEncoder
from kirotrio.web.gateway import Gateway
from kirotrio.web.reading import answer, mode_of, take, wish_of

_BUFFERED = "/cc/v1/messages"


@frozen
class AnthropicAnswer:
    """One request's view of the dialect (`relay.ports.Dialect`): both encoders carry one message id."""

    model: str
    message_id: str
    request_id: str
    eager: bool = False

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
    asked = await take(gateway)
    betas, session = _headers()

    def decode() -> DecodedRequest:
        thinking = gateway.settings.thinking.default
        return decode_request(asked.body, betas=betas, session_header=session, default_thinking=thinking)

    decoded = await asked.work(decode)
    dialect = AnthropicAnswer(decoded.conversation.model, "msg_" + secrets.token_hex(12), asked.request_id)
    return answer(
        gateway, asked, decoded.conversation, mode_of(stream=decoded.stream, buffered=buffered), dialect, "messages"
    )


async def _count_tokens(gateway: Gateway) -> Response:
    asked = await take(gateway)
    betas, _ = _headers()

    # Counting needs nobody's subscription: what is known without asking is enough.
    catalogue = gateway.accounts.known_models(wish_of(asked.grant, asked.account))

    def count() -> int:
        conversation = decode_count_tokens(asked.body, betas=betas).conversation
        names = gateway.settings.models
        model = catalogue.resolve(conversation.model, aliases=names.alias, default=names.default)
        return gateway.relay.estimator.estimate_closely(conversation, model.family)

    tokens = await trio.to_thread.run_sync(count, abandon_on_cancel=True)
    return Response(orjson.dumps({"input_tokens": tokens}), 200, {"x-kirotrio-usage": "estimate"}, "application/json")


def _headers() -> tuple[tuple[str, ...], str | None]:
    """The betas that the client names, and its session."""
    named = ",".join(request.headers.getlist("anthropic-beta"))
    betas = tuple(beta for part in named.split(",") if (beta := part.strip()))
    return betas, cast(Any, request.headers).get("x-claude-code-session-id")
