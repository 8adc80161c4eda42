"""Anthropic Messages: live at `/v1`, buffered at `/cc/v1`, and the token count of both."""

from __future__ import annotations

import secrets

import trio

from kirotrio.classes import frozen
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
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming, Reply, Route, json_reply
from kirotrio.web.reading import answer, granted_model, mode_of, take, wish_of

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


async def live(gateway: Gateway, incoming: Incoming) -> Answer:
    # One header moves a client that cannot change its base URL to the buffered mode; other values mean nothing.
    return await _answer(gateway, incoming, buffered=incoming.headers.get("x-endpoint") == _BUFFERED)


async def buffered(gateway: Gateway, incoming: Incoming) -> Answer:
    return await _answer(gateway, incoming, buffered=True)


async def _answer(gateway: Gateway, incoming: Incoming, *, buffered: bool) -> Answer:
    asked = await take(gateway, incoming)
    betas, session = _headers(incoming)

    def decode() -> DecodedRequest:
        thinking = gateway.settings.thinking.default
        return decode_request(
            asked.body,
            betas=betas,
            session_header=session,
            default_thinking=thinking,
            memory=gateway.conversations,
        )

    decoded = await asked.work(decode)
    dialect = AnthropicAnswer(decoded.conversation.model, "msg_" + secrets.token_hex(12), asked.request_id)
    return answer(
        gateway, asked, decoded.conversation, mode_of(stream=decoded.stream, buffered=buffered), dialect, "messages"
    )


async def count_tokens(gateway: Gateway, incoming: Incoming) -> Reply:
    asked = await take(gateway, incoming, asks=False)
    betas, _ = _headers(incoming)

    # Counting needs nobody's subscription: what is known without asking is enough.
    catalogue = gateway.accounts.known_models(wish_of(asked.grant, incoming.account))

    def count() -> int:
        conversation = decode_count_tokens(asked.body, betas=betas).conversation
        names = gateway.settings.models
        granted_model(gateway, asked.grant, incoming.account, conversation.model)
        model = catalogue.resolve(conversation.model, aliases=names.alias, default=names.default)
        return gateway.relay.estimator.estimate_closely(conversation, model.family)

    tokens = await trio.to_thread.run_sync(count, abandon_on_cancel=True)
    return json_reply({"input_tokens": tokens}, headers={"x-kirotrio-usage": "estimate"})


def _headers(incoming: Incoming) -> tuple[tuple[str, ...], str | None]:
    """The betas that the client names, and its session."""
    headers = incoming.headers
    named = ",".join(incoming.all("anthropic-beta")) if "anthropic-beta" in headers else ""
    betas = tuple(beta for part in named.split(",") if (beta := part.strip()))
    return betas, headers.get("x-claude-code-session-id")


ROUTES = (
    Route("POST", "/v1/messages", live),
    Route("POST", "/cc/v1/messages", buffered),
    Route("POST", "/v1/messages/count_tokens", count_tokens),
    Route("POST", "/cc/v1/messages/count_tokens", count_tokens),
)
