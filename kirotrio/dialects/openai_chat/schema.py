"""The Chat Completions request as attrs classes; messages are read by hand, in `messages` and `content`."""

from __future__ import annotations

import attrs

from kirotrio.classes import frozen
from kirotrio.conversation.request import Json
from kirotrio.dialects.structure import JsonObject


@frozen
class ChatFunction:
    """A function as `tools[].function` and the older `functions[]` describe it."""

    name: str = ""
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


@frozen
class ChatCustom:
    """A tool that takes free-form text, perhaps of a grammar."""

    name: str = ""
    description: str | None = None
    format: JsonObject | None = None


@frozen
class ChatTool:
    type: str | None = None
    function: ChatFunction | None = None
    custom: ChatCustom | None = None


@frozen
class ChatStreamOptions:
    include_usage: bool | None = None


@frozen
class ChatJsonSchema:
    name: str | None = None
    schema: JsonObject | None = None
    strict: bool | None = None
    description: str | None = None


@frozen
class ChatResponseFormat:
    type: str
    json_schema: ChatJsonSchema | None = None


@frozen
class ChatWebSearchOptions:
    search_context_size: Json = None
    user_location: JsonObject | None = None


@frozen
class ChatWebSearchTool:
    """What an entry of `tools` that asks for a web search says, in the words of OpenAI's other API and of Anthropic's.

    `name` is not looked at: OpenAI's has none, and what the client calls the search changes nothing.
    """

    max_uses: int | None = None
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    filters: JsonObject | None = None
    user_location: JsonObject | None = None
    search_context_size: Json = None
    external_web_access: bool | None = None


@frozen
class ChatCompletionRequest:
    """The body of `POST /v1/chat/completions` as far as it can be carried to the upstream.

    `thinking` and `reasoning` are no fields of OpenAI's; clients of several vendors send them all the same.
    """

    model: str
    messages: list[JsonObject]
    tools: list[ChatTool] | None = None
    tool_choice: Json = None
    functions: list[ChatFunction] | None = None
    function_call: Json = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: ChatStreamOptions | None = None
    stop: Json = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    modalities: list[str] | None = None
    reasoning_effort: Json = None
    reasoning: Json = None
    thinking: Json = None
    response_format: ChatResponseFormat | None = None
    web_search_options: ChatWebSearchOptions | None = None
    prompt_cache_key: str | None = None
    user: Json = None


REQUEST_FIELDS = frozenset(field.name for field in attrs.fields(ChatCompletionRequest))
FUNCTION_FIELDS = frozenset(field.name for field in attrs.fields(ChatFunction))
SEARCH_FIELDS = frozenset({"type", "name", *(field.name for field in attrs.fields(ChatWebSearchTool))})
