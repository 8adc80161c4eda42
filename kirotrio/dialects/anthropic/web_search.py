"""The request that is nothing but a web search, as Claude Code sends it (CLIENTS A, KIRO_PROTOCOL 9)."""

from __future__ import annotations

from kirotrio.conversation.request import Json
from kirotrio.dialects.anthropic.schema import AnthropicMessagesRequest
from kirotrio.dialects.anthropic.server_tools import WEB_SEARCH

QUERY_PREFIX = "Perform a web search for the query:"


def has_web_search_tool(request: AnthropicMessagesRequest) -> bool:
    """Whether web search is the only tool of the request.

    The type tells: a function of the client's own may be called `web_search` too.
    """
    tools = request.tools or []
    return len(tools) == 1 and WEB_SEARCH.fullmatch(tools[0].type or "") is not None


def extract_search_query(request: AnthropicMessagesRequest) -> str | None:
    """The first message's first text, without Claude Code's prefix and the blank behind it where it begins so.

    None where that message has no text, or none behind the prefix.
    """
    text = _first_text(request)
    if text is not None and text.startswith(QUERY_PREFIX):
        text = text.removeprefix(QUERY_PREFIX).removeprefix(" ")
    return text or None


def direct_query(request: AnthropicMessagesRequest) -> str | None:
    """What a request asks to be searched for without a model; None where a model is to answer it."""
    if not has_web_search_tool(request) or not request.messages or request.messages[0].role != "user":
        return None
    if not (_first_text(request) or "").startswith(QUERY_PREFIX):
        return None
    return (extract_search_query(request) or "").strip() or None


def _first_text(request: AnthropicMessagesRequest) -> str | None:
    content: Json = request.messages[0].content if request.messages else None
    if isinstance(content, str):
        return content
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str):
            text: str = block["text"]
            return text
    return None
