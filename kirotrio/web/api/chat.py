"""OpenAI Chat Completions: live at `/v1`, buffered at `/cc/v1`."""

from __future__ import annotations

import secrets
import time

from attrs import frozen
from quart import Quart, Response

from kirotrio.dialects.body import read_object
from kirotrio.dialects.openai_chat import ChatBody, ChatStream, DecodedChat, decode_chat
from kirotrio.dialects.openai_errors import error_body
from kirotrio.dialects.openai_responses import decode_responses
from kirotrio.errors import KirotrioError
from kirotrio.relay.ports import BodyEncoder, Refusal, StreamEncoder
from kirotrio.web.gateway import Gateway
from kirotrio.web.reading import answer, mode_of, session_header, take


@frozen
class ChatAnswer:
    """One request's view of the dialect (`relay.ports.Dialect`): both encoders carry one id and one time."""

    asked: DecodedChat
    completion_id: str
    created: int
    request_id: str
    eager: bool = False

    def stream(self) -> StreamEncoder:
        asked = self.asked
        return ChatStream(
            asked.conversation.model,
            self.completion_id,
            self.created,
            asked.include_usage,
            custom_tools=asked.custom_tools,
            legacy_functions=asked.legacy_functions,
        )

    def body(self) -> BodyEncoder:
        asked = self.asked
        return ChatBody(
            asked.conversation.model,
            self.completion_id,
            self.created,
            custom_tools=asked.custom_tools,
            legacy_functions=asked.legacy_functions,
        )

    def refusal(self, error: KirotrioError) -> Refusal:
        return Refusal(*error_body(error, self.request_id))


def register(app: Quart, gateway: Gateway) -> None:
    @app.post("/v1/chat/completions")
    async def chat_live() -> Response:
        return await _answer(gateway, buffered=False)

    @app.post("/cc/v1/chat/completions")
    async def chat_buffered() -> Response:
        return await _answer(gateway, buffered=True)


async def _answer(gateway: Gateway, *, buffered: bool) -> Response:
    asked = await take(gateway)
    session = session_header()

    decoded = await asked.work(lambda: decode(asked.body, session, gateway.settings.thinking.default))
    dialect = ChatAnswer(decoded, "chatcmpl-" + secrets.token_hex(12), int(time.time()), asked.request_id)
    return answer(gateway, asked, decoded.conversation, mode_of(stream=decoded.stream, buffered=buffered), dialect)


def decode(body: bytes, session: str | None, default_thinking: bool) -> DecodedChat:
    """The request, also in the form of the Responses API, which Cursor sends here at times (CLIENTS B 5.3).

    Raises BodyInvalid.
    """
    sent = {} if b'"messages"' in body else read_object(body)[0]
    if sent.get("input") is None:
        return decode_chat(body, session_header=session, default_thinking=default_thinking)
    asked = decode_responses({**sent, "store": False}, session_header=session, default_thinking=default_thinking)
    custom = frozenset(name for name, bridge in asked.echo.bridges.items() if bridge.kind == "custom")
    return DecodedChat(asked.conversation, asked.stream, include_usage=True, custom_tools=custom)
