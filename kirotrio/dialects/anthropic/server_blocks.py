"""What the server's own tools found, as blocks of an Anthropic answer (KIRO_PROTOCOL 9).

The shapes are those of the newest SDK types. `caller` says that the model made the call itself, which here it always
does. Blocks are given as JSON bytes, which both the stream and the body hold as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

from kirotrio.conversation.events import Citation, FetchFinished, SearchFinished, ServerToolCall
from kirotrio.conversation.snippets import seal
from kirotrio.dialects.text_json import mended

_CALLER = {"type": "direct"}
_SEARCH_ERRORS = frozenset(
    {"unavailable", "max_uses_exceeded", "too_many_requests", "invalid_tool_input", "query_too_long"}
)
_FETCH_ERRORS = frozenset(
    {
        "unavailable",
        "max_uses_exceeded",
        "too_many_requests",
        "invalid_tool_input",
        "url_too_long",
        "url_not_allowed",
        "url_not_accessible",
        "unsupported_content_type",
    }
)
"""Codes that clients know; any other failure is `unavailable` to them."""

_FOREIGN = re.compile(r"[^a-zA-Z0-9_]")


class ServerToolIds:
    """Ids of the server's calls as clients know them; no two calls of one answer have the same."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()

    def new(self, id: str) -> str:
        """For the call of this id."""
        wanted = self.of(id)
        given, count = wanted, 1
        while given in self._taken:
            count += 1
            given = f"{wanted}_{count}"
        self._taken.add(given)
        self._given[id] = given
        return given

    def of(self, id: str) -> str:
        """For the result that belongs to it."""
        return self._given.get(id) or "srvtoolu_" + _FOREIGN.sub("_", id)


def call_block(event: ServerToolCall, id: str, input: bytes) -> bytes:
    """`input` is JSON: that of the call in a body, `{}` at the start of a stream's block."""
    # The name is the type's: what the client calls the tool is its own affair, and its SDK knows only this one.
    return b'{"type":"server_tool_use","id":"%b","name":"%b","input":%b,"caller":{"type":"direct"}}' % (
        id.encode(),
        event.tool.encode(),
        input,
    )


def call_input(event: ServerToolCall) -> bytes:
    return _dumped(dict(event.input))


def search_block(event: SearchFinished, id: str) -> bytes:
    content: Any
    if event.error:
        content = _error("web_search_tool_result_error", event.error, _SEARCH_ERRORS)
    else:
        content = [
            {
                "type": "web_search_result",
                "url": result.url,
                "title": result.title,
                "encrypted_content": seal(result.snippet),
                "page_age": result.page_age,
            }
            for result in event.results
        ]
    return _dumped({"type": "web_search_tool_result", "tool_use_id": id, "content": content, "caller": _CALLER})


def fetch_block(event: FetchFinished, id: str) -> bytes:
    content: Any
    if event.error:
        content = _error("web_fetch_tool_result_error", event.error, _FETCH_ERRORS)
    else:
        content = {
            "type": "web_fetch_result",
            "url": event.url,
            "retrieved_at": event.retrieved_at or None,
            "content": {
                "type": "document",
                # The text of the page or file, whatever it was made of: the SDK knows text and whole PDFs only.
                "source": {"type": "text", "media_type": "text/plain", "data": event.text},
                "title": event.title or None,
                "citations": None,
            },
        }
    return _dumped({"type": "web_fetch_tool_result", "tool_use_id": id, "content": content, "caller": _CALLER})


def citation_object(event: Citation) -> bytes:
    return _dumped(
        {
            "type": "web_search_result_location",
            "url": event.url,
            "title": event.title,
            "encrypted_index": seal(event.url),
            "cited_text": event.cited_text,
        }
    )


def _error(kind: str, code: str, known: frozenset[str]) -> dict[str, str]:
    return {"type": kind, "error_code": code if code in known else "unavailable"}


def _dumped(value: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # halves of surrogate pairs, or numbers that orjson does not write
        return json.dumps(_mended(value), ensure_ascii=False, separators=(",", ":")).encode()


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, Mapping):
        return {mended(str(key)): _mended(inner) for key, inner in value.items()}
    return [_mended(inner) for inner in value] if isinstance(value, (list, tuple)) else value
