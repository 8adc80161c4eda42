"""The Anthropic request as attrs classes; content blocks and settings are read by hand, in `content` and `decode`."""

from __future__ import annotations

import attrs

from kirotrio.classes import frozen
from kirotrio.conversation.request import Json
from kirotrio.dialects.structure import JsonObject


@frozen
class AnthropicTool:
    """One entry of `tools`. Only tools that the client runs need a schema; a tool set has no name of its own."""

    name: str = ""
    description: str | None = None
    input_schema: JsonObject | None = None
    type: str | None = None
    defer_loading: bool | None = None


@frozen
class AnthropicUserLocation:
    type: str
    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None


@frozen
class AnthropicWebSearchTool:
    """What an entry of `tools` of type `web_search_YYYYMMDD` says beside its name and type, in all its versions."""

    max_uses: int | None = None
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    user_location: AnthropicUserLocation | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    response_inclusion: str | None = None


@frozen
class AnthropicCitationsSetting:
    enabled: bool | None = None


@frozen
class AnthropicWebFetchTool:
    """The same of type `web_fetch_YYYYMMDD`."""

    max_uses: int | None = None
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    max_content_tokens: int | None = None
    citations: AnthropicCitationsSetting | None = None
    url_sources: JsonObject | None = None
    use_cache: bool | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    response_inclusion: str | None = None


@frozen
class AnthropicToolChoice:
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


@frozen
class AnthropicMessage:
    """One entry of `messages`; `content` is a string or a list of blocks, read by `content.read_parts`."""

    role: str
    content: Json = None
    output_config: JsonObject | None = None
    clear_at: str | None = None


@frozen
class AnthropicOutputFormat:
    type: str
    schema: JsonObject | None = None


@frozen
class AnthropicOutputConfig:
    effort: Json = None
    format: AnthropicOutputFormat | None = None
    task_budget: Json = None


@frozen
class AnthropicMessagesRequest:
    """The body of `POST /v1/messages` as far as it can be carried to the upstream."""

    model: str
    messages: list[AnthropicMessage]
    max_tokens: int | None = None
    system: Json = None
    tools: list[AnthropicTool] | None = None
    tool_choice: AnthropicToolChoice | None = None
    thinking: Json = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: Json = None
    output_config: AnthropicOutputConfig | None = None
    output_format: AnthropicOutputFormat | None = None


REQUEST_FIELDS = frozenset(field.name for field in attrs.fields(AnthropicMessagesRequest))
TOOL_FIELDS = frozenset(field.name for field in attrs.fields(AnthropicTool))
MESSAGE_FIELDS = frozenset(field.name for field in attrs.fields(AnthropicMessage))
