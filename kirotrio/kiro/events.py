"""What Kiro says in an answer: frames to typed events (KIRO_PROTOCOL 3.2 and 3.5).

A frame's `:event-type` chooses one reader of its payload; a type that is not in the table is ignored with its payload
unread, since the service adds types without notice. A frame that is intact while its payload is not the JSON that
its type promises becomes a `BrokenPayload`: what that means for the answer is the translator's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from types import MappingProxyType

import orjson

from kirotrio.classes import frozen
from kirotrio.conversation.request import Json
from kirotrio.kiro.event_types import (
    AssistantText,
    AssistantTexts,
    BrokenPayload,
    Citation,
    Code,
    CodeReference,
    CodeReferences,
    ContextUsage,
    DryRunSucceeded,
    FollowupPrompt,
    InitialResponse,
    Intents,
    InteractionComponents,
    InvalidState,
    KiroEvent,
    MessageMetadata,
    Metadata,
    Metering,
    ModelUnavailable,
    Reasoning,
    ReasoningTexts,
    StreamException,
    TokenUsage,
    ToolOutcome,
    ToolUseFragment,
    UnmodelledUsage,
    WebLink,
    WebLinks,
)
from kirotrio.kiro.eventstream import Frame, HeaderValue, encode_headers, event_headers

__all__ = [
    "EXPECTED_KINDS",
    "AssistantText",
    "AssistantTexts",
    "BrokenPayload",
    "Citation",
    "Code",
    "CodeReference",
    "CodeReferences",
    "ContextUsage",
    "DryRunSucceeded",
    "EventKind",
    "FollowupPrompt",
    "InitialResponse",
    "Intents",
    "InteractionComponents",
    "InvalidState",
    "KiroEvent",
    "MessageMetadata",
    "Metadata",
    "Metering",
    "ModelUnavailable",
    "Reasoning",
    "ReasoningTexts",
    "StreamException",
    "TokenUsage",
    "ToolOutcome",
    "ToolUseFragment",
    "UnmodelledUsage",
    "WebLink",
    "WebLinks",
    "decode_event",
    "decode_payload",
    "kind_of",
]


class _WrongShape(ValueError):
    """A member is not what the event's type promises."""


def _text(payload: Mapping[str, Json], key: str) -> str | None:
    """A member that matters: a string, or nothing."""
    value = payload.get(key)
    if value is None or type(value) is str:
        return value
    raise _WrongShape(key)


def _needed_text(payload: Mapping[str, Json], key: str) -> str:
    value = payload[key]
    if type(value) is str:
        return value
    raise _WrongShape(key)


def _aside(payload: Mapping[str, Json], key: str) -> str | None:
    """A member whose absence or odd shape spoils nothing."""
    value = payload.get(key)
    return value if type(value) is str else None


def _count(payload: Mapping[str, Json], key: str) -> int:
    value = payload.get(key)
    if value is None:
        return 0
    if type(value) is int and value >= 0:
        return value
    raise _WrongShape(key)


def _number(value: Json) -> float:
    if (type(value) is float or type(value) is int) and value >= 0 and isfinite(value):
        return value
    raise _WrongShape("number")


def _object(value: Json) -> dict[str, Json]:
    if type(value) is dict:
        return value
    raise _WrongShape("object")


def _array(value: Json) -> list[Json]:
    if type(value) is list:
        return value
    raise _WrongShape("array")


def _assistant_text(payload: dict[str, Json]) -> KiroEvent:
    content = payload.get("content")
    if type(content) is not str:
        if content is not None:
            raise _WrongShape("content")
        content = ""  # no text was carried, so none is lost
    elif len(payload) == 1:
        return AssistantText(content)
    model = payload.get("modelId")
    if type(model) is not str:
        model = None
    if "stopReason" in payload or "conversationId" in payload:
        return AssistantText(content, model, _aside(payload, "conversationId"), _aside(payload, "stopReason"))
    return AssistantText(content, model)


def _reasoning(payload: dict[str, Json]) -> KiroEvent:
    return Reasoning(_text(payload, "text"), _text(payload, "signature"), _text(payload, "redactedContent"))


def _tool_use(payload: dict[str, Json]) -> KiroEvent:
    call_id = payload["toolUseId"]
    given = payload.get("input")
    stop = payload.get("stop")
    if type(call_id) is not str or not call_id:
        raise _WrongShape("toolUseId")
    if given is not None and type(given) is not str and type(given) is not dict:
        raise _WrongShape("input")
    if stop is not None and type(stop) is not bool:
        raise _WrongShape("stop")
    return ToolUseFragment(call_id, _text(payload, "name") or None, given, stop is True)


def _context_usage(payload: dict[str, Json]) -> KiroEvent:
    return ContextUsage(_number(payload["contextUsagePercentage"]))


def _metering(payload: dict[str, Json]) -> KiroEvent:
    return Metering(_number(payload["usage"]), _aside(payload, "unit"))


def _metadata(payload: dict[str, Json]) -> KiroEvent:
    usage = payload.get("tokenUsage")
    return Metadata(
        _text(payload, "stopReason"),
        None if usage is None else _token_usage(_object(usage)),
        _aside(payload, "requestId"),
        _aside(payload, "conversationId"),
    )


def _token_usage(usage: dict[str, Json]) -> TokenUsage:
    for required in ("uncachedInputTokens", "outputTokens"):
        if usage[required] is None:
            raise _WrongShape(required)
    percentage = usage.get("contextUsagePercentage")
    return TokenUsage(
        _count(usage, "uncachedInputTokens"),
        _count(usage, "outputTokens"),
        _count(usage, "totalTokens"),
        _count(usage, "cacheReadInputTokens"),
        _count(usage, "cacheWriteInputTokens"),
        None if percentage is None else _number(percentage),
    )


def _message_metadata(payload: dict[str, Json]) -> KiroEvent:
    return MessageMetadata(_aside(payload, "conversationId"), _aside(payload, "utteranceId"))


def _initial_response(payload: dict[str, Json]) -> KiroEvent:
    return InitialResponse(_aside(payload, "requestId"), _aside(payload, "conversationId"))


def _web_links(payload: dict[str, Json]) -> KiroEvent:
    links = [_object(link) for link in _array(payload.get("supplementaryWebLinks", []))]
    return WebLinks(
        tuple(
            WebLink(_needed_text(link, "url"), _aside(link, "title") or "", _aside(link, "snippet")) for link in links
        )
    )


def _citation(payload: dict[str, Json]) -> KiroEvent:
    target = _object(payload["target"])
    link, text = _needed_text(payload, "citationLink"), _aside(payload, "citationText")
    if "location" in target:
        return Citation(link, text, _count(target, "location"))
    span = _object(target["range"])
    return Citation(link, text, _count(span, "start"), _count(span, "end"))


def _code_references(payload: dict[str, Json]) -> KiroEvent:
    references = [_object(reference) for reference in _array(payload.get("references", []))]
    return CodeReferences(
        tuple(
            CodeReference(_aside(reference, "licenseName"), _aside(reference, "repository"), _aside(reference, "url"))
            for reference in references
        )
    )


def _code(payload: dict[str, Json]) -> KiroEvent:
    return Code(_needed_text(payload, "content"))


def _tool_outcome(payload: dict[str, Json]) -> KiroEvent:
    result = _object(payload["toolResult"])
    content = tuple(_array(result.get("content", [])))
    return ToolOutcome(_needed_text(result, "toolUseId"), _aside(result, "status"), content)


def _followup_prompt(payload: dict[str, Json]) -> KiroEvent:
    prompt = _object(payload["followupPrompt"])
    return FollowupPrompt(_needed_text(prompt, "content"), _aside(prompt, "userIntent"))


def _intents(payload: dict[str, Json]) -> KiroEvent:
    return Intents(_object(payload.get("intents", {})))


def _interaction_components(payload: dict[str, Json]) -> KiroEvent:
    return InteractionComponents(tuple(_array(payload.get("interactionComponentEntries", []))))


def _dry_run_succeeded(_payload: dict[str, Json]) -> KiroEvent:
    return DryRunSucceeded()


def _unmodelled_usage(payload: dict[str, Json]) -> KiroEvent:
    return UnmodelledUsage(payload)


def _model_unavailable(payload: dict[str, Json]) -> KiroEvent:
    return ModelUnavailable(_aside(payload, "message") or "", _aside(payload, "recommendedModel"))


def _invalid_state(payload: dict[str, Json]) -> KiroEvent:
    return InvalidState(_aside(payload, "reason") or "", _aside(payload, "message") or "")


_READERS: dict[object, Callable[[dict[str, Json]], KiroEvent]] = {
    "assistantResponseEvent": _assistant_text,
    "reasoningContentEvent": _reasoning,
    "reasoningEvent": _reasoning,
    "toolUseEvent": _tool_use,
    "contextUsageEvent": _context_usage,
    "meteringEvent": _metering,
    "metadataEvent": _metadata,
    "messageMetadataEvent": _message_metadata,
    "initial-response": _initial_response,
    "supplementaryWebLinksEvent": _web_links,
    "citationEvent": _citation,
    "codeReferenceEvent": _code_references,
    "codeEvent": _code,
    "toolResultEvent": _tool_outcome,
    "followupPromptEvent": _followup_prompt,
    "intentsEvent": _intents,
    "interactionComponentsEvent": _interaction_components,
    "dryRunSucceedEvent": _dry_run_succeeded,
    "usageEvent": _unmodelled_usage,
    "metricsEvent": _unmodelled_usage,
    "modelTemporarilyUnavailableEvent": _model_unavailable,
    "modelUnavailableEvent": _model_unavailable,
    "invalidStateEvent": _invalid_state,
}


_RUNS: dict[Callable[[dict[str, Json]], KiroEvent], str] = {
    _assistant_text: "content",
    _reasoning: "text",
    _tool_use: "input",
}


@frozen(eq=False)
class EventKind:
    """What a frame's headers say of it."""

    headers: Mapping[str, HeaderValue]
    message_type: HeaderValue
    event_type: HeaderValue | None
    read: Callable[[dict[str, Json]], KiroEvent] | None
    """The reader of the payload, once that is known to be an object; None where there is nothing to read."""
    run: str
    """The member of the payload whose texts may be put together into a run; "" for what stands alone."""


def kind_of(headers: Mapping[str, HeaderValue]) -> EventKind:
    """A frame without `:message-type` counts as an event (KIRO_PROTOCOL 3.1)."""
    message_type = headers.get(":message-type", "event")
    event_type = headers.get(":event-type")
    read = _READERS.get(event_type) if message_type == "event" else None
    return EventKind(headers, message_type, event_type, read, "" if read is None else _RUNS.get(read, ""))


EXPECTED_KINDS: Mapping[bytes, EventKind] = MappingProxyType(
    {
        encode_headers(headers): kind_of(headers)
        for headers in (event_headers(event_type) for event_type in _READERS if isinstance(event_type, str))
    }
)
"""By their bytes, the header blocks that Kiro sends with events: most answers hold no other."""


def decode_payload(kind: EventKind, payload: bytes) -> KiroEvent | None:
    """The event of a frame of this kind; None for a type that is not known.

    Raises nothing: damage becomes `BrokenPayload`.
    """
    read = kind.read
    if read is None:
        if kind.message_type != "event":
            return _failure(kind.headers, kind.message_type, payload)
        return _union_error(payload) if kind.event_type == "error" else None
    try:
        return read(_object(orjson.loads(payload)))
    except (ValueError, KeyError):
        return BrokenPayload(str(kind.event_type))


def decode_event(frame: Frame) -> KiroEvent | None:
    """The same for a frame by itself."""
    return decode_payload(kind_of(frame.headers), frame.payload)


def _failure(headers: Mapping[str, HeaderValue], message_type: object, payload: bytes) -> StreamException | None:
    if message_type == "exception":
        return _exception(headers.get(":exception-type"), payload)
    if message_type == "error":
        told = headers.get(":error-message")
        return _exception(headers.get(":error-code"), payload, told if type(told) is str else "")
    return None


def _union_error(payload: bytes) -> StreamException:
    """The union's member `error` is an InternalServerException that travels as an event."""
    return _exception("InternalServerException", payload)


def _exception(kind: object, payload: bytes, message: str = "") -> StreamException:
    """Whatever the payload is, a failure stays a failure: one that is not JSON is quoted as text."""
    reason: str | None = None
    try:
        body = _object(orjson.loads(payload))
    except ValueError:
        message = message or payload[:500].decode(errors="replace")
    else:
        message = message or _aside(body, "message") or _aside(body, "Message") or ""
        reason = _aside(body, "reason")
        kind = kind or _aside(body, "__type")
    name = kind if type(kind) is str else "Exception"
    return StreamException(name.rpartition("#")[2], message, reason)
