"""Entries of `tools` that the server runs: web search and web fetch, of any version (KIRO_PROTOCOL 9).

The versions differ in fields only, and no field changes its meaning from one to the next; so the date in the type is
not looked at. A field that changes nothing here (nested calls, a cache) is known and left alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

import attrs

from kirotrio.conversation.request import WebFetch, WebSearch
from kirotrio.dialects.anthropic.schema import (
    AnthropicUserLocation,
    AnthropicWebFetchTool,
    AnthropicWebSearchTool,
)
from kirotrio.dialects.reading import Reading
from kirotrio.dialects.search_settings import domain_lists, place_in_words, positive
from kirotrio.dialects.structure import JsonObject, structure
from kirotrio.errors import BodyInvalid

ServerTool: TypeAlias = WebSearch | WebFetch

WEB_SEARCH = re.compile(r"web_search_\d{8}", re.ASCII)
WEB_FETCH = re.compile(r"web_fetch_\d{8}", re.ASCII)

_OF_ANY = frozenset({"name", "type", "description", "cache_control", "strict"})
_OF_SEARCH = _OF_ANY | {field.name for field in attrs.fields(AnthropicWebSearchTool)}
_OF_FETCH = _OF_ANY | {field.name for field in attrs.fields(AnthropicWebFetchTool)}


def read_server_tool(name: str, kind: str, body: JsonObject, path: str, reading: Reading) -> ServerTool | None:
    """The tool that `kind` names; None where it is of another kind. Raises BodyInvalid with the path."""
    if WEB_SEARCH.fullmatch(kind):
        return _web_search(name, body, path, reading)
    if WEB_FETCH.fullmatch(kind):
        return _web_fetch(name, body, path, reading)
    return None


def _web_search(name: str, body: JsonObject, path: str, reading: Reading) -> WebSearch:
    tool = structure(body, AnthropicWebSearchTool, path)
    reading.note_unknown(path, body, _OF_SEARCH, "a web search tool")
    _note_callers(tool.allowed_callers, tool.defer_loading, path, reading)
    allowed, blocked = domain_lists(tool.allowed_domains, tool.blocked_domains, path)
    return WebSearch(
        name=name,
        max_uses=positive(tool.max_uses, f"{path}.max_uses"),
        allowed_domains=allowed,
        blocked_domains=blocked,
        location=_location(tool.user_location, f"{path}.user_location"),
        path=path,
    )


def _web_fetch(name: str, body: JsonObject, path: str, reading: Reading) -> WebFetch:
    tool = structure(body, AnthropicWebFetchTool, path)
    reading.note_unknown(path, body, _OF_FETCH, "a web fetch tool")
    _note_callers(tool.allowed_callers, tool.defer_loading, path, reading)
    if tool.url_sources:
        reading.note(f"{path}.url_sources", "where an address comes from is not told apart here: not enforced")
    allowed, blocked = domain_lists(tool.allowed_domains, tool.blocked_domains, path)
    return WebFetch(
        name=name,
        max_uses=positive(tool.max_uses, f"{path}.max_uses"),
        allowed_domains=allowed,
        blocked_domains=blocked,
        max_tokens=positive(tool.max_content_tokens, f"{path}.max_content_tokens"),
        citations=tool.citations is not None and bool(tool.citations.enabled),
        path=path,
    )


def _note_callers(callers: Sequence[str] | None, deferred: bool | None, path: str, reading: Reading) -> None:
    if callers is not None and "direct" not in callers:
        reading.note(f"{path}.allowed_callers", "there is no code execution here: the model calls the tool itself")
    if deferred:
        reading.note(f"{path}.defer_loading", "a tool that the server runs is offered from the beginning")


def _location(location: AnthropicUserLocation | None, path: str) -> str:
    if location is None:
        return ""
    if location.type != "approximate":
        raise BodyInvalid(f"{path}.type", 'must be "approximate"')
    return place_in_words(location.city, location.region, location.country, location.timezone)
