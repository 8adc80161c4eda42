"""Arbitrary Anthropic request bodies, valid ones and others, and arbitrary runs of generation events."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from support.arbitrary import (
    any_text,
    broken,
    call_ids,
    cut,
    encoded,
    json_objects,
    json_values,
    long_lists,
    redactions,
    signatures,
    texts,
    thoughts,
    weighted,
    words,
)

from kirotrio.conversation.events import (
    Accepted,
    Citation,
    ContextMeasured,
    CreditsMetered,
    Failed,
    FetchFinished,
    Finish,
    KeepAlive,
    SearchFinished,
    SearchResult,
    ServerToolCall,
    StopCause,
    TokensMeasured,
    ToolCall,
    Usage,
)
from kirotrio.errors import ContextOverflow, KirotrioError, RateLimited, UpstreamFailed

names = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
ids = st.from_regex(r"toolu_[a-zA-Z0-9]{4}", fullmatch=True)


def block(kind: str, required: dict[str, Any], optional: dict[str, Any] | None = None) -> st.SearchStrategy[Any]:
    cache = {"cache_control": st.none() | st.just({"type": "ephemeral"})}
    return st.fixed_dictionaries({"type": st.just(kind), **required}, optional={**cache, **(optional or {})})


text_blocks = block("text", {"text": words}, {"citations": st.none() | st.just([])})
images = block(
    "image",
    {
        "source": st.fixed_dictionaries(
            {
                "type": st.just("base64"),
                "media_type": st.sampled_from(["image/jpeg", "image/png", "image/gif", "image/webp"]),
                "data": encoded,
            }
        )
    },
)
document_sources = st.one_of(
    st.fixed_dictionaries({"type": st.just("base64"), "media_type": st.just("application/pdf"), "data": encoded}),
    st.fixed_dictionaries({"type": st.just("text"), "media_type": st.just("text/plain"), "data": words}),
    st.fixed_dictionaries({"type": st.just("content"), "content": words | st.lists(text_blocks | images, max_size=2)}),
)
documents = block(
    "document",
    {"source": document_sources},
    {"title": st.none() | words, "context": st.none() | words, "citations": st.just({"enabled": True})},
)
search_results = block("search_result", {"title": words, "source": words, "content": st.lists(text_blocks, max_size=2)})
result_content = words | st.lists(
    st.one_of(text_blocks, images, documents, search_results, block("tool_reference", {"tool_name": names})), max_size=3
)
tool_results = block(
    "tool_result", {"tool_use_id": ids}, {"content": result_content, "is_error": st.none() | st.booleans()}
)
assistant_blocks = st.one_of(
    text_blocks,
    block("thinking", {"thinking": words, "signature": words}),
    block("redacted_thinking", {"data": words}),
    block("tool_use", {"id": ids, "name": names, "input": json_objects}, {"caller": st.just({"type": "direct"})}),
    block("server_tool_use", {"id": ids, "name": st.just("web_search"), "input": json_objects}),
    block("web_search_tool_result", {"tool_use_id": ids, "content": st.lists(json_objects, max_size=2)}),
    block("mcp_tool_use", {"id": ids, "name": names, "server_name": names, "input": json_objects}),
    block("mcp_tool_result", {"tool_use_id": ids}, {"content": words}),
    block("compaction", {}, {"content": st.none() | words}),
)
user_blocks = st.one_of(text_blocks, images, documents, search_results, tool_results)
messages = st.one_of(
    st.fixed_dictionaries({"role": st.just("user"), "content": words | st.lists(user_blocks, max_size=3)}),
    st.fixed_dictionaries({"role": st.just("assistant"), "content": words | st.lists(assistant_blocks, max_size=3)}),
    st.fixed_dictionaries(
        {"role": st.just("system"), "content": words | st.lists(text_blocks, max_size=2)},
        optional={"output_config": st.just({"effort": "low"}), "clear_at": st.sampled_from(["next_user_message"])},
    ),
)
client_tools = st.fixed_dictionaries(
    {"name": names},
    optional={
        "description": words,
        "input_schema": st.just({"type": "object", "properties": {}}),
        "type": st.none() | st.just("custom"),
        "defer_loading": st.booleans(),
        "eager_input_streaming": st.booleans(),
        "strict": st.booleans(),
    },
)
domains = st.lists(st.sampled_from(["example.com", "b.org/blog"]), max_size=2)
server_tools = st.fixed_dictionaries(
    {"type": st.sampled_from(["web_search_20250305", "web_search_20260209"]), "name": st.just("web_search")},
    optional={
        "max_uses": st.none() | st.integers(1, 9),
        "blocked_domains": st.none() | domains,
        "user_location": st.just({"type": "approximate", "city": "Bern", "country": None}),
    },
) | st.fixed_dictionaries(
    {"type": st.sampled_from(["web_fetch_20250910", "web_fetch_20260318"]), "name": st.just("web_fetch")},
    optional={
        "allowed_domains": st.none() | domains,
        "max_content_tokens": st.none() | st.integers(1, 9999),
        "citations": st.none() | st.just({"enabled": True}),
        "use_cache": st.booleans(),
    },
)
tools = st.lists(client_tools | server_tools, max_size=4, unique_by=lambda tool: str(tool["name"]))
valid_bodies = st.fixed_dictionaries(
    {"model": names, "max_tokens": st.integers(1, 128_000), "messages": st.lists(messages, min_size=1, max_size=4)},
    optional={
        "system": words | st.lists(text_blocks, max_size=2),
        "tools": tools,
        "tool_choice": st.sampled_from([{"type": "auto"}, {"type": "none"}]),
        "thinking": st.sampled_from(
            [{"type": "adaptive"}, {"type": "disabled"}, {"type": "enabled", "budget_tokens": 9}]
        ),
        "stream": st.booleans(),
        "stop_sequences": st.lists(words, max_size=2),
        "temperature": st.floats(0, 1),
        "metadata": st.just({"user_id": "somebody"}),
        "output_config": st.just({"effort": "high"}),
        "context_management": json_objects,
        "an_unheard_of_field": json_values,
    },
)


broken_bodies = broken(valid_bodies)

few = st.integers(0, 3)
usages = st.builds(Usage, *[st.integers(0, 300_000)] * 4, web_searches=few, web_fetches=few)
call_arguments = json_objects.map(json.dumps) | st.sampled_from(["{}", "", '{"a": 1', "[]", "no json", '{"n": 1e3}'])
finishes = st.builds(Finish, st.sampled_from(StopCause), st.none() | words, usages)
failures: st.SearchStrategy[KirotrioError] = st.sampled_from(
    [UpstreamFailed("cut"), RateLimited("slow down", retry_after=1.2), ContextOverflow(5, 4), KirotrioError("secret")]
)


def _queried(query: str) -> dict[str, str]:
    return {"query": query}


calls = st.builds(ToolCall, call_ids, st.sampled_from(["Bash", "Read"]), json_objects.map(json.dumps))
odd_calls = st.builds(ToolCall, call_ids, st.sampled_from(["Bash", ""]), call_arguments)
measurements = st.sampled_from([ContextMeasured(9), TokensMeasured(1, 2), CreditsMetered(0.5)])
alive = st.just(KeepAlive())
server_ids = st.sampled_from(["a1", "b2", "c-3|", ""])
urls = st.sampled_from(["https://example.com/a", "http://b.org/?q=1"])
server_calls = st.builds(
    ServerToolCall, server_ids, st.sampled_from(["web_search", "web_fetch"]), json_objects | any_text.map(_queried)
)
results = st.builds(SearchResult, urls | any_text, any_text, any_text, st.none() | st.just("January 2, 2006"))
search_errors = st.sampled_from(["unavailable", "max_uses_exceeded", "query_too_long", "a_new_one"])
searches = st.builds(SearchFinished, server_ids, st.lists(results, max_size=2).map(tuple)) | st.builds(
    SearchFinished, server_ids, error=search_errors
)
fetches = st.builds(FetchFinished, server_ids, urls, any_text, any_text, retrieved_at=st.just("")) | st.builds(
    FetchFinished, server_ids, urls, error=st.sampled_from(["url_not_allowed", "query_too_long", "unavailable"])
)
citations = st.builds(Citation, urls, any_text, any_text, few, few)


content_events = weighted(
    *[texts, texts, thoughts, thoughts, signatures, redactions, calls, odd_calls, alive],
    *[server_calls, searches, fetches, citations, citations],
)
endings = finishes | st.builds(Failed, failures)
accepted = st.just(Accepted())
events = weighted(*[content_events] * 12, measurements, accepted, endings)


batches = cut(long_lists(events, 24))
