"""What a response object repeats of its request, and the object itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from attrs import field

from kirotrio.classes import frozen
from kirotrio.conversation.events import Usage
from kirotrio.conversation.request import Json
from kirotrio.dialects.openai_responses.bridges import Bridge
from kirotrio.dialects.text_json import mended


@frozen
class ResponseEcho:
    """`fields` are the members of every response object that come from the request (`model`, `tools`, …), plain JSON.

    `bridges`: how the calls of the conversation's tools leave. `encrypted` and `sources`: whether the client included
    `reasoning.encrypted_content` and `web_search_call.action.sources`.
    """

    fields: Mapping[str, Any]
    bridges: Mapping[str, Bridge] = field(factory=dict)
    encrypted: bool = False
    sources: bool = False


def response_object(
    echo: ResponseEcho,
    response_id: str,
    created_at: int,
    status: str,
    output: Sequence[Json] = (),
    usage: Usage | None = None,
    *,
    incomplete: str | None = None,
    error: Mapping[str, str] | None = None,
    completed_at: int | None = None,
) -> dict[str, Any]:
    """A response as the API gives it; `created_at` and `completed_at` in seconds since 1970."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "status": status,
        "completed_at": completed_at,
        "error": error,
        "incomplete_details": None if incomplete is None else {"reason": incomplete},
        **echo.fields,
        "output": list(output),
        "usage": None if usage is None else usage_object(usage),
    }


def usage_object(usage: Usage) -> dict[str, Any]:
    """The counts; the API's input count has the cached tokens in it."""
    given = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "input_tokens": given,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.thinking_tokens},
        "total_tokens": given + usage.output_tokens,
    }


def plain(value: Json) -> Json:
    """`value` if it can be written as UTF-8, else a copy in which halves of surrogate pairs became U+FFFD."""
    try:
        orjson.dumps(value)
    except TypeError:
        return _mended(value)
    return value


def _mended(value: Json) -> Json:
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, dict):
        return {mended(str(key)): _mended(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mended(inner) for inner in value]
    return value
