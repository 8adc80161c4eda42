"""The Responses request as attrs classes; items, tools and settings are read by hand, in `items`, `tools`, `decode`."""

from __future__ import annotations

import attrs

from kirotrio.classes import frozen
from kirotrio.conversation.request import Json
from kirotrio.dialects.structure import JsonObject


@frozen
class ResponsesTextFormat:
    type: str
    name: str | None = None
    schema: JsonObject | None = None
    strict: bool | None = None
    description: str | None = None


@frozen
class ResponsesText:
    format: ResponsesTextFormat | None = None
    verbosity: Json = None


@frozen
class ResponsesReasoning:
    """What cannot be understood here is noted, not refused: models and their words for it change."""

    effort: Json = None
    summary: Json = None
    generate_summary: Json = None
    context: Json = None
    mode: Json = None


@frozen
class ResponsesRequest:
    """The body of `POST /v1/responses` as far as it can be carried to the upstream."""

    model: str
    input: Json = None
    instructions: str | None = None
    tools: list[JsonObject] | None = None
    tool_choice: Json = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    text: ResponsesText | None = None
    reasoning: ResponsesReasoning | None = None
    include: list[str] | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    background: bool | None = None
    conversation: Json = None
    prompt: Json = None
    metadata: JsonObject | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    truncation: str | None = None
    temperature: float | None = None
    top_p: float | None = None


REQUEST_FIELDS = frozenset(field.name for field in attrs.fields(ResponsesRequest))
REASONING_FIELDS = frozenset(field.name for field in attrs.fields(ResponsesReasoning))
TEXT_FIELDS = frozenset(field.name for field in attrs.fields(ResponsesText))
