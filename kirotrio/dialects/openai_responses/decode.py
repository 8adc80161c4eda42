"""The body of `POST /v1/responses` as a Conversation (CLIENTS A and B 5.2).

What is known but has no channel upstream, and what is not known at all, is noted in the conversation's diagnostics.
Refused is what is malformed, and what would change the answer if it were ignored: answers in the background, stored
conversations and prompts, files by id; always with the path and with what would be right.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

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
from kirotrio.dialects.openai_responses.echo import ResponseEcho, plain
from kirotrio.dialects.openai_responses.items import Transcript, item_type
from kirotrio.dialects.openai_responses.schema import (
    REASONING_FIELDS,
    REQUEST_FIELDS,
    TEXT_FIELDS,
    ResponsesRequest,
    ResponsesTextFormat,
)
from kirotrio.dialects.openai_responses.tools import Toolbox
from kirotrio.dialects.reading import Reading, kind_of
from kirotrio.dialects.structure import JsonObject, structure
from kirotrio.errors import BodyInvalid

SESSION_HEADER: Final = "session-id"
"""Codex names its session in it."""

_IGNORED: Final = {
    "access_programs": "the upstream has no such programs",
    "context_management": "the history is sent as it is",
    "image": "the upstream sees every image as it is sent",
    "moderation": "the upstream has no such channel",
    "prompt_cache_options": "the upstream caches by itself",
    "prompt_cache_retention": "the upstream caches by itself",
    "service_tier": "the upstream has one tier",
    "stream_options": "events are sent without padding",
    "top_logprobs": "the upstream tells no probabilities",
}
"""Parameters of the newest SDK types that have no channel upstream, and why."""

_REFUSED: Final = {
    "background": "answers in the background are not kept here; ask with stream or wait for the answer",
    "conversation": "conversations are not stored here; send the whole input, or continue with previous_response_id",
    "prompt": "prompt templates are not stored here; send the prompt's text as instructions and input",
}
_SILENT: Final = frozenset({"client_metadata"})
_KNOWN: Final = REQUEST_FIELDS | _IGNORED.keys() | _SILENT
_INCLUDED: Final = frozenset(
    {
        *("reasoning.encrypted_content", "web_search_call.action.sources"),
        *("message.input_image.image_url", "computer_call_output.output.image_url"),
    }
)
_SUMMARIES: Final = ("auto", "concise", "detailed")
_SESSIONS: Final = ("session_id", "thread_id", "conversation_id")
_ID_PREFIXES: Final = {"message": "msg", "reasoning": "rs", "function_call": "fc", "function_call_output": "fco"}


@frozen
class References:
    """What a request names of earlier ones."""

    previous_response_id: str | None = None
    item_ids: tuple[str, ...] = ()


@frozen
class DecodedResponses:
    """`input_items` are the items to keep so that the response can be continued: in the API's JSON, with their ids."""

    conversation: Conversation
    stream: bool
    store: bool
    echo: ResponseEcho
    input_items: tuple[JsonObject, ...]


def read_request(body: bytes) -> JsonObject:
    """The body as a JSON object. Raises BodyInvalid."""
    return read_object(body)[0]


def references(body: JsonObject) -> References:
    """What has to be looked up before the body can be decoded; what is malformed is left to the decoding."""
    previous, given = body.get("previous_response_id"), body.get("input")
    items = given if type(given) is list else []
    named = [item.get("id") for item in items if type(item) is dict and item_type(item) == "item_reference"]
    return References(
        previous if type(previous) is str and previous else None,
        tuple(dict.fromkeys(name for name in named if type(name) is str)),
    )


def decode_responses(
    body: JsonObject,
    *,
    session_header: str | None = None,
    default_thinking: bool = True,
    earlier: Sequence[JsonObject] = (),
    referenced: Mapping[str, JsonObject] = {},
) -> DecodedResponses:
    """Decodes a request. `earlier`: input and output items of the response that is continued, oldest first.

    `referenced`: the items that `references` named, by id. `session_header` is `session-id`, `default_thinking` the
    setting for a client that says nothing about thinking. Raises BodyInvalid, whose message begins with the path.
    """
    request = structure(body, ResponsesRequest)
    reading = Reading()
    _note_ignored(body, request, reading)
    if not request.model:
        raise BodyInvalid("model", "must not be empty")
    tools = Toolbox(reading)
    tools.add_all(request.tools or (), "tools")
    transcript = Transcript(reading, tools, referenced)
    if request.instructions:
        transcript.system.append(request.instructions)
    transcript.read(earlier, "previous_response_id")
    items = transcript.read(_input(request, continued=bool(earlier)), "input")
    tools.name_search(request.max_tool_calls)
    parallel = request.parallel_tool_calls is not False
    choice, choice_echo = tools.choose(request.tool_choice, parallel=parallel)
    thinking = _read_thinking(request, transcript.settings, reading, default_thinking)
    schema, format_echo = _read_format(request, transcript.settings)
    included = frozenset(request.include or ())
    conversation = Conversation(
        model=request.model,
        turns=transcript.turns,
        system=tuple(transcript.system),
        tools=tuple(tools.tools.values()),
        tool_choice=choice,
        web_search=tools.web_search,
        thinking=thinking,
        limits=Limits(_positive(request.max_output_tokens, "max_output_tokens")),
        session=_read_session(request, session_header),
        output_schema=schema,
        diagnostics=reading.diagnostics,
    )
    echo = ResponseEcho(
        fields=_echo(request, tools.echo, choice_echo, thinking, format_echo),
        bridges=tools.bridges,
        encrypted="reasoning.encrypted_content" in included,
        sources="web_search_call.action.sources" in included,
    )
    return DecodedResponses(
        conversation, bool(request.stream), request.store is not False, echo, tuple(map(_identified, items))
    )


def _note_ignored(body: JsonObject, request: ResponsesRequest, reading: Reading) -> None:
    for name, instead in _REFUSED.items():
        if body.get(name) not in (None, False):
            raise BodyInvalid(name, instead)
    reading.note_unknown("", body, _KNOWN, "the request")
    for name, why in _IGNORED.items():
        if body.get(name) is not None:
            reading.note(name, f"ignored: {why}")
    for name in ("temperature", "top_p"):
        if getattr(request, name) is not None:
            reading.note(name, f"ignored: the upstream has no channel for {name}")
    if request.truncation not in (None, "disabled"):
        reading.note("truncation", "ignored: nothing of the history is dropped; what does not fit is an error")
    if request.text is not None:
        reading.note_unknown("text", body["text"], TEXT_FIELDS, "the text settings")
        if request.text.verbosity is not None:
            reading.note("text.verbosity", "ignored: the upstream has no channel for it")
    if request.reasoning is not None:
        reading.note_unknown("reasoning", body["reasoning"], REASONING_FIELDS, "the reasoning settings")
    for index, name in enumerate(request.include or ()):
        if name not in _INCLUDED:
            reading.note(f"include.{index}", f"{name[:80]!r} is nothing that an answer has here")


def _input(request: ResponsesRequest, *, continued: bool) -> list[Json]:
    given = request.input
    if type(given) is str:
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    if given is None and continued:
        return []
    if type(given) is not list:
        what = "field required" if given is None else f"must not be {kind_of(given)}"
        raise BodyInvalid("input", f"{what}: a string or a list of input items")
    if not given and not continued:
        raise BodyInvalid("input", "at least one item is required")
    return given


def _positive(value: int | None, path: str) -> int | None:
    if value is not None and value < 1:
        raise BodyInvalid(path, "must be at least 1")
    return value


def _read_thinking(request: ResponsesRequest, settings: JsonObject, reading: Reading, default: bool) -> ThinkingSetting:
    """An effort asks for thinking; a summary asks to see it. Every client of this API takes reasoning items."""
    wanted = request.reasoning
    effort = settings.get("effort", wanted.effort if wanted is not None else None)
    asked = isinstance(effort, str) and effort.lower() in {level.value for level in Effort if level is not Effort.NONE}
    setting, sentences = read_thinking(True if asked else None, default=default, effort=effort, accepted=True)
    for sentence in sentences:
        reading.note("reasoning", sentence)
    return attrs.evolve(setting, display="summarized" if _summary(request) else "omitted")


def _summary(request: ResponsesRequest) -> str | None:
    wanted = request.reasoning
    summary = None if wanted is None else wanted.summary or wanted.generate_summary
    return summary if summary in _SUMMARIES else None


def _read_format(request: ResponsesRequest, settings: JsonObject) -> tuple[OutputSchema | None, JsonObject]:
    """The schema that the text has to meet, and how the API repeats it. Raises BodyInvalid."""
    path, wanted = "text.format", request.text.format if request.text is not None else None
    if "format" in settings:
        given, path = settings["format"]
        wanted = structure(given, ResponsesTextFormat, path)
    if wanted is None or wanted.type == "text":
        return None, {"type": "text"}
    if wanted.type == "json_object":
        return OutputSchema(None, path=path), {"type": "json_object"}
    if wanted.type != "json_schema":
        raise BodyInvalid(f"{path}.type", 'must be "text", "json_object" or "json_schema"')
    if wanted.schema is None:
        raise BodyInvalid(f"{path}.schema", "field required: a JSON schema")
    name, strict = wanted.name or "response", bool(wanted.strict)
    schema = OutputSchema(wanted.schema, name, strict, path)
    echo: JsonObject = {"type": "json_schema", "name": name, "schema": wanted.schema, "strict": strict}
    if wanted.description is not None:
        echo["description"] = wanted.description
    return schema, echo


def _read_session(request: ResponsesRequest, header: str | None) -> ClientSession | None:
    """Who goes on talking: the header, the key of the client's cache, or what its metadata calls a session."""
    if header and header.strip():
        return ClientSession(header.strip(), SESSION_HEADER)
    if request.prompt_cache_key and request.prompt_cache_key.strip():
        return ClientSession(request.prompt_cache_key.strip(), "prompt_cache_key")
    metadata = request.metadata or {}
    for name in _SESSIONS:
        if isinstance(metadata.get(name), str) and metadata[name].strip():
            return ClientSession(metadata[name].strip(), f"metadata.{name}")
    return None


def _identified(item: JsonObject) -> JsonObject:
    if type(item.get("id")) is str and item["id"]:
        return item
    prefix = _ID_PREFIXES.get(str(item_type(item)), "item")
    return {**item, "id": f"{prefix}_{secrets.token_hex(12)}"}


def _echo(
    request: ResponsesRequest, tools: list[JsonObject], choice: Json, thinking: ThinkingSetting, text_format: JsonObject
) -> dict[str, Any]:
    verbosity = request.text.verbosity if request.text is not None else None
    return {
        name: plain(value)
        for name, value in {
            "background": False,
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "max_tool_calls": request.max_tool_calls,
            "metadata": {key: value for key, value in (request.metadata or {}).items() if type(value) is str},
            "model": request.model,
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "previous_response_id": request.previous_response_id,
            "prompt_cache_key": request.prompt_cache_key,
            "reasoning": {
                "effort": None if thinking.effort is None else thinking.effort.value,
                "summary": _summary(request),
            },
            "safety_identifier": request.safety_identifier,
            "service_tier": "default",
            "store": request.store is not False,
            "temperature": request.temperature,
            "text": {
                "format": text_format,
                "verbosity": verbosity if verbosity in ("low", "medium", "high") else None,
            },
            "tool_choice": choice,
            "tools": tools,
            "top_logprobs": None,
            "top_p": request.top_p,
            "truncation": request.truncation if request.truncation in ("auto", "disabled") else "disabled",
            "user": request.user,
        }.items()
    }
