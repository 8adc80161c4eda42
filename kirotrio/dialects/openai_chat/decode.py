"""The body of `POST /v1/chat/completions` as a Conversation (CLIENTS A and B 5.3).

Bodies are open lists: what is known but has no channel upstream, and what is not known at all, is noted in the
conversation's diagnostics. Refused is only what is malformed, and what would change the answer if it were ignored
(several choices, audio, stored files); always with the path.
"""

from __future__ import annotations

from typing import Any, Final

from kirotrio.classes import frozen
from kirotrio.conversation.request import (
    ClientSession,
    Conversation,
    Effort,
    Json,
    Limits,
    OutputSchema,
    ThinkingSetting,
)
from kirotrio.conversation.thinking import read_thinking
from kirotrio.dialects.body import read_object
from kirotrio.dialects.openai_chat.messages import read_messages
from kirotrio.dialects.openai_chat.schema import REQUEST_FIELDS, ChatCompletionRequest, ChatResponseFormat
from kirotrio.dialects.openai_chat.tools import read_tools
from kirotrio.dialects.reading import Reading, kind_of
from kirotrio.dialects.structure import JsonObject, structure
from kirotrio.errors import BodyInvalid

_IGNORED: Final = {
    "audio": "the answer is text",
    "frequency_penalty": "the upstream has no channel for it",
    "logit_bias": "the upstream has no channel for it",
    "logprobs": "the upstream tells no probabilities",
    "metadata": "no answers are kept here",
    "moderation": "the upstream moderates by itself",
    "prediction": "the upstream takes no predictions",
    "presence_penalty": "the upstream has no channel for it",
    "prompt_cache_options": "the upstream caches by itself",
    "prompt_cache_retention": "the upstream caches by itself",
    "safety_identifier": "the upstream knows the subscription only",
    "seed": "the upstream has no channel for it",
    "service_tier": "the upstream has one tier",
    "store": "no chat answers are kept here",
    "temperature": "the upstream has no channel for it",
    "top_k": "the upstream has no channel for it",
    "top_logprobs": "the upstream tells no probabilities",
    "top_p": "the upstream has no channel for it",
    "verbosity": "the upstream has no channel for it",
}
"""Fields of the newest SDK types, and one that many clients send, that have no channel upstream, and why."""

_KNOWN: Final = REQUEST_FIELDS | _IGNORED.keys()
_ASKING: Final = frozenset(effort.value for effort in Effort) - {Effort.NONE.value}


@frozen
class DecodedChat:
    """`custom_tools` and `legacy_functions` are for the encoders: how the calls of this answer are written."""

    conversation: Conversation
    stream: bool = False
    include_usage: bool = False
    custom_tools: frozenset[str] = frozenset()
    legacy_functions: bool = False


def decode_chat(body: bytes | Json, *, session_header: str | None = None, default_thinking: bool = True) -> DecodedChat:
    """Decodes a Chat Completions request; `body` is the bytes as received, or the JSON already decoded.

    `session_header` is the value of a header that names the client's session, `default_thinking` the setting for a
    client that says nothing about thinking. Raises BodyInvalid, whose message begins with the path.
    """
    sent, mended = read_object(body)
    request = structure(sent, ChatCompletionRequest)
    reading = Reading()
    if mended:
        reading.note("", "halves of surrogate pairs in the body's texts were replaced by U+FFFD")
    _note_ignored(sent, reading)
    _refuse_what_cannot_be(request)
    system, turns = read_messages(request.messages, reading)
    tools = read_tools(request, sent, reading)
    conversation = Conversation(
        model=request.model,
        turns=turns,
        system=system,
        tools=tools.tools,
        tool_choice=tools.choice,
        web_search=tools.web_search,
        thinking=_read_thinking(request, default_thinking, reading),
        limits=_read_limits(request, reading),
        session=_read_session(request, session_header),
        output_schema=_read_format(request.response_format),
        diagnostics=reading.diagnostics,
    )
    options = request.stream_options
    return DecodedChat(
        conversation,
        stream=bool(request.stream),
        include_usage=options is not None and bool(options.include_usage),
        custom_tools=tools.custom,
        legacy_functions=tools.legacy,
    )


def _note_ignored(sent: JsonObject, reading: Reading) -> None:
    reading.note_unknown("", sent, _KNOWN, "the request")
    for name, why in _IGNORED.items():
        if sent.get(name) is not None:
            reading.note(name, f"{name} is ignored: {why}")


def _refuse_what_cannot_be(request: ChatCompletionRequest) -> None:
    if not request.model:
        raise BodyInvalid("model", "must not be empty")
    if request.n is not None and request.n != 1:
        raise BodyInvalid("n", "must be 1: the upstream gives one answer to one request")
    for index, modality in enumerate(request.modalities or ()):
        if modality != "text":
            raise BodyInvalid(f"modalities.{index}", 'must be "text": the upstream answers in text only')


def _read_thinking(request: ChatCompletionRequest, default: bool, reading: Reading) -> ThinkingSetting:
    """An effort other than none asks for thinking; whoever takes Chat answers takes `reasoning_content`."""
    effort, config = request.reasoning_effort, request.thinking
    if effort is None and type(request.reasoning) is dict:
        effort = request.reasoning.get("effort")
    if config is None and type(effort) is str and effort.lower() in _ASKING:
        config = True
    setting, sentences = read_thinking(config, default=default, effort=effort, accepted=True)
    for sentence in sentences:
        reading.note("thinking" if request.thinking is not None else "reasoning_effort", sentence)
    return setting


def _read_limits(request: ChatCompletionRequest, reading: Reading) -> Limits:
    name, most = "max_completion_tokens", request.max_completion_tokens
    if most is None:
        name, most = "max_tokens", request.max_tokens
    if most is not None and most < 1:
        raise BodyInvalid(name, "must be at least 1")
    given: Any = request.stop
    if given is None:
        return Limits(most)
    if type(given) is str:
        given = [given]
    elif type(given) is not list:
        raise BodyInvalid("stop", f"must be a string or a list of strings, not {kind_of(given)}")
    for index, sequence in enumerate(given):
        if type(sequence) is not str:
            raise BodyInvalid(f"stop.{index}", f"must be a string, not {kind_of(sequence)}")
    # An empty sequence would stop every answer before it begins.
    sequences = tuple(dict.fromkeys(filter(None, given)))
    if len(sequences) < len(given):
        reading.note("stop", "empty and repeated sequences are left out")
    return Limits(most, sequences)


def _read_session(request: ChatCompletionRequest, header: str | None) -> ClientSession | None:
    """Who goes on talking, from what says it best to what says it least."""
    named = (("header", header), ("prompt_cache_key", request.prompt_cache_key), ("user", request.user))
    for source, value in named:
        if type(value) is str and value.strip():
            return ClientSession(value.strip(), source)
    return None


def _read_format(wanted: ChatResponseFormat | None) -> OutputSchema | None:
    """What the text has to be; the relay checks the schema itself, in a thread, before anything is generated."""
    path = "response_format"
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return OutputSchema(None, path=path)
    if wanted.type != "json_schema":
        raise BodyInvalid(f"{path}.type", 'must be "text", "json_object" or "json_schema"')
    given, where = wanted.json_schema, f"{path}.json_schema"
    if given is None:
        raise BodyInvalid(where, "field required: an object with name and schema")
    if given.schema is None:
        raise BodyInvalid(f"{where}.schema", "field required: a JSON schema")
    return OutputSchema(given.schema, given.name or "", bool(given.strict), path)
