"""OpenAI Chat Completions: live at `/v1`, buffered at `/cc/v1`."""

from __future__ import annotations

import secrets
import time

from attrs import evolve

from kirotrio.classes import frozen
from kirotrio.dialects.body import read_object
from kirotrio.dialects.openai_chat import ChatBody, ChatStream, DecodedChat, decode_chat
from kirotrio.dialects.openai_errors import error_body
from kirotrio.dialects.openai_responses import decode_responses
from kirotrio.errors import BodyInvalid, KirotrioError
from kirotrio.relay.answer import Answer
from kirotrio.relay.ports import BodyEncoder, Refusal, StreamEncoder
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming, Route
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


async def live(gateway: Gateway, incoming: Incoming) -> Answer:
    return await _answer(gateway, incoming, buffered=False)


async def buffered(gateway: Gateway, incoming: Incoming) -> Answer:
    return await _answer(gateway, incoming, buffered=True)


async def _answer(gateway: Gateway, incoming: Incoming, *, buffered: bool) -> Answer:
    asked = await take(gateway, incoming)
    session = session_header(incoming)

    decoded = await asked.work(lambda: decode(asked.body, session, gateway.settings.thinking.default))
    dialect = ChatAnswer(decoded, "chatcmpl-" + secrets.token_hex(12), int(time.time()), asked.request_id)
    return answer(
        gateway, asked, decoded.conversation, mode_of(stream=decoded.stream, buffered=buffered), dialect, "chat"
    )


def decode(body: bytes, session: str | None, default_thinking: bool) -> DecodedChat:
    """The request, also with `input` in place of `messages`, as Cursor sends it here at times (CLIENTS B 5.3).

    Raises BodyInvalid.
    """
    sent, _ = read_object(body)
    if sent.get("messages") is not None or sent.get("input") is None:
        return decode_chat(sent, session_header=session, default_thinking=default_thinking)
    if sent.get("previous_response_id") is not None:
        raise BodyInvalid("previous_response_id", "stored responses are continued at /v1/responses, not here")
    # What was said is read as the Responses API has it, all else as Chat has it.
    said = decode_responses({name: sent[name] for name in ("model", "input", "instructions") if name in sent})
    rest = {name: value for name, value in sent.items() if name not in ("input", "instructions", "text")}
    if "max_output_tokens" in rest:
        rest.setdefault("max_completion_tokens", rest.pop("max_output_tokens"))
    form = _response_format(sent.get("text"))
    if form is not None:
        rest.setdefault("response_format", form)
    rest["messages"] = [{"role": "user", "content": "in input"}]
    asked = decode_chat(rest, session_header=session, default_thinking=default_thinking)
    conversation = evolve(
        asked.conversation,
        turns=said.conversation.turns,
        system=said.conversation.system,
        diagnostics=(*asked.conversation.diagnostics, *said.conversation.diagnostics),
    )
    return evolve(asked, conversation=conversation)


def _response_format(text: object) -> object | None:
    """`text.format` as Chat's `response_format`."""
    form = text.get("format") if isinstance(text, dict) else None
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        return form
    return {"type": "json_schema", "json_schema": {name: value for name, value in form.items() if name != "type"}}


ROUTES = (
    Route("POST", "/v1/chat/completions", live),
    Route("POST", "/cc/v1/chat/completions", buffered),
)
