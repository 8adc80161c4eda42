"""Web search as the upstream offers it: one JSON-RPC call and what its answer holds (KIRO_PROTOCOL 6.5, 9). Pure."""

from __future__ import annotations

import datetime
from typing import Any, Final

import orjson

from kirotrio.conversation.events import SearchResult
from kirotrio.conversation.request import Json
from kirotrio.errors import KirotrioError, UpstreamFailed

LONGEST_QUERY: Final = 200
"""Characters of one query."""

INVALID_PARAMS: Final = "-32602"
"""JSON-RPC's code for arguments that are not taken; it stands in `upstream_reason`."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_QUOTE = 300
"""Characters of the upstream's prose that a message repeats."""


def search_body(query: str, call_id: str) -> dict[str, Any]:
    """The JSON-RPC request of one search; the `runtime` flavour puts the profile beside it."""
    return {
        "jsonrpc": "2.0",
        "id": call_id,
        "method": "tools/call",
        "params": {"name": "web_search", "arguments": {"query": query}},
    }


def read_search(answer: bytes) -> tuple[SearchResult, ...]:
    """What was found, in the upstream's order. A result without an address is left out, nothing is filled in.

    Raises UpstreamFailed where the answer reports an error, with a JSON-RPC error's code in `upstream_reason`, and
    where it cannot be read.
    """
    document = _object(_parsed(answer))
    error = document.get("error")
    if error is not None:
        raise _reported(error)
    result = _object(document.get("result"))
    texts = [
        part["text"]
        for part in _list(result.get("content"))
        if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    ]
    if result.get("isError"):
        raise UpstreamFailed(_told("\n".join(texts)))
    found: list[SearchResult] = []
    for text in texts:
        inner = _object(_parsed(text))
        if inner.get("error"):
            raise UpstreamFailed(_told(inner["error"]))
        found += [read for entry in _list(inner.get("results")) if (read := _result(entry)) is not None]
    if not texts:
        raise _unreadable()
    return tuple(found)


def page_age(published: Json) -> str | None:
    """`January 2, 2006`, in UTC, from milliseconds since 1970; None for what is no such number."""
    if isinstance(published, bool) or not isinstance(published, int | float):
        return None
    try:
        day = datetime.datetime.fromtimestamp(published / 1000, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    # Not strftime: its month names are those of the machine's language.
    return f"{_MONTHS[day.month - 1]} {day.day}, {day.year}"


def _result(entry: Json) -> SearchResult | None:
    if not isinstance(entry, dict):
        return None
    url, title, snippet = (value if isinstance(value := entry.get(name), str) else "" for name in _TEXTS)
    return SearchResult(url, title, snippet, page_age(entry.get("publishedDate"))) if url else None


_TEXTS = ("url", "title", "snippet")


def _reported(error: Json) -> KirotrioError:
    code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, error)
    numbered = isinstance(code, int) and not isinstance(code, bool)
    return UpstreamFailed(_told(message), upstream_reason=str(code) if numbered else None)


def _told(prose: Json) -> str:
    said = " ".join(prose.split()) if isinstance(prose, str) else ""
    if len(said) > _QUOTE:
        said = said[:_QUOTE] + "…"
    return f"Kiro's web search failed: {said}" if said else "Kiro's web search failed and does not say why."


def _unreadable() -> KirotrioError:
    return UpstreamFailed("The answer of Kiro's web search could not be read.")


def _parsed(text: bytes | str) -> Json:
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise _unreadable() from error


def _object(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise _unreadable()
    return value


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
