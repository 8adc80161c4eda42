"""Kiro's events as values: one type per member of KIRO_PROTOCOL 3.2, named after what it says.

A member that is `str | None` may be missing on the wire; nothing here has been interpreted yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from kirotrio.classes import define, frozen
from kirotrio.conversation.request import Json

# The types that are not frozen are values like all the others, and nobody changes them; but they are made once a delta,
# and a frozen class of attrs takes twice as long to make.


@define(unsafe_hash=True)
class AssistantText:
    """`assistantResponseEvent`: a piece of text, possibly "", possibly equal to the one before."""

    content: str
    model_id: str | None = None
    conversation_id: str | None = None
    stop_reason: str | None = None


@define
class AssistantTexts:
    """Several `assistantResponseEvent`s in a row that hold nothing but text; each is a piece of its own."""

    contents: list[str]


@define(unsafe_hash=True)
class Reasoning:
    """`reasoningContentEvent`: native thinking. `redacted` is base64 (KIRO_PROTOCOL 8.2)."""

    text: str | None = None
    signature: str | None = None
    redacted: str | None = None


@define
class ReasoningTexts:
    """Several `reasoningContentEvent`s in a row that hold nothing but text; each is a piece of its own."""

    texts: list[str]


@define(unsafe_hash=True)
class ToolUseFragment:
    """`toolUseEvent`: a piece of a call's arguments as text, or a snapshot of them as an object (3.3)."""

    id: str
    name: str | None = None
    input: str | Mapping[str, Json] | None = None
    stop: bool = False


@frozen
class ContextUsage:
    """`contextUsageEvent`: the whole context in percent of the model's window; may exceed 100."""

    percentage: float


@frozen
class Metering:
    """`meteringEvent`: what the answer cost, normally in credits. Not tokens."""

    usage: float
    unit: str | None = None


@frozen
class TokenUsage:
    """Exact counts; `uncached_input` excludes what was read from or written to a cache."""

    uncached_input: int
    output: int
    total: int
    cache_read: int = 0
    cache_write: int = 0
    context_percentage: float | None = None


@frozen
class Metadata:
    """`metadataEvent`: the terminal marker (3.4)."""

    stop_reason: str | None = None
    token_usage: TokenUsage | None = None
    request_id: str | None = None
    conversation_id: str | None = None


@frozen
class MessageMetadata:
    """`messageMetadataEvent`, near the start."""

    conversation_id: str | None = None
    utterance_id: str | None = None


@frozen
class InitialResponse:
    """`initial-response`: the RPC flavours' opening frame."""

    request_id: str | None = None
    conversation_id: str | None = None


@frozen
class WebLink:
    url: str
    title: str = ""
    snippet: str | None = None


@frozen
class WebLinks:
    """`supplementaryWebLinksEvent`."""

    links: tuple[WebLink, ...]


@frozen
class Citation:
    """`citationEvent`. `start` and `end` are character offsets; a bare location has `end` None."""

    link: str
    text: str | None
    start: int
    end: int | None = None


@frozen
class CodeReference:
    license_name: str | None
    repository: str | None
    url: str | None


@frozen
class CodeReferences:
    """`codeReferenceEvent`: licensed code that the answer resembles."""

    references: tuple[CodeReference, ...]


@frozen
class Code:
    """`codeEvent`; no client of the service is known to show it."""

    content: str


@frozen
class ToolOutcome:
    """`toolResultEvent`: the result of a tool that the service itself ran."""

    tool_use_id: str
    status: str | None
    content: tuple[Json, ...]


@frozen
class FollowupPrompt:
    """`followupPromptEvent`."""

    content: str
    intent: str | None = None


@frozen
class Intents:
    """`intentsEvent`: by kind, as sent."""

    intents: Mapping[str, Json]


@frozen
class InteractionComponents:
    """`interactionComponentsEvent`: the console's own widgets, as sent."""

    entries: tuple[Json, ...]


@frozen
class DryRunSucceeded:
    """`dryRunSucceedEvent`."""


@frozen
class UnmodelledUsage:
    """`usageEvent`, `metricsEvent`: counts in no agreed spelling, as sent; nothing is read out of them."""

    counts: Mapping[str, Json]


@frozen
class ModelUnavailable:
    """`modelTemporarilyUnavailableEvent`: the service names a model to use in its place."""

    message: str
    recommended_model: str | None = None


@frozen
class InvalidState:
    """`invalidStateEvent`: the service gives the answer up."""

    reason: str
    message: str


@frozen
class StreamException:
    """An exception or error frame (3.5). `type` has no namespace before it."""

    type: str
    message: str
    reason: str | None = None


@frozen
class BrokenPayload:
    """An intact frame of a known type whose payload is not JSON or lacks the shape of that type."""

    event_type: str


KiroEvent: TypeAlias = (
    AssistantText
    | AssistantTexts
    | Reasoning
    | ReasoningTexts
    | ToolUseFragment
    | ContextUsage
    | Metering
    | Metadata
    | MessageMetadata
    | InitialResponse
    | WebLinks
    | Citation
    | CodeReferences
    | Code
    | ToolOutcome
    | FollowupPrompt
    | Intents
    | InteractionComponents
    | DryRunSucceeded
    | UnmodelledUsage
    | ModelUnavailable
    | InvalidState
    | StreamException
    | BrokenPayload
)
