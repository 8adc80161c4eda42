"""Arbitrary Chat request bodies, valid ones and others, and arbitrary runs of generation events."""

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
    image_urls,
    json_objects,
    json_values,
    long_lists,
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
    RedactedThinkingBlock,
    SearchFinished,
    SearchResult,
    ServerToolCall,
    StopCause,
    ThinkingSignature,
    TokensMeasured,
    ToolCall,
    Usage,
)
from kirotrio.errors import ContextOverflow, KirotrioError, RateLimited, UpstreamFailed

names = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
ids = st.from_regex(r"call_[a-zA-Z0-9]{4}", fullmatch=True)


def part(kind: str, **members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"type": st.just(kind), **members})


text_parts = part("text", text=words)
images = part("image_url", image_url=image_urls | st.fixed_dictionaries({"url": image_urls, "detail": st.just("low")}))
files = part(
    "file",
    file=st.fixed_dictionaries(
        {
            "file_data": encoded.map(lambda data: f"data:application/pdf;base64,{data}") | encoded,
            "filename": st.just("a.pdf"),
        }
    ),
)
call_functions = st.fixed_dictionaries({"name": names, "arguments": json_objects.map(json.dumps) | st.just("")})
tool_calls = st.fixed_dictionaries(
    {"id": ids, "type": st.just("function"), "function": call_functions}
) | st.fixed_dictionaries(
    {"id": ids, "type": st.just("custom"), "custom": st.fixed_dictionaries({"name": names, "input": words})}
)
messages = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "developer"]), "content": words | st.lists(text_parts)}),
    st.fixed_dictionaries(
        {"role": st.just("user"), "content": words | st.lists(text_parts | images | files, max_size=3)},
        optional={"name": names},
    ),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": st.none() | words | st.lists(text_parts, max_size=2)},
        optional={
            "tool_calls": st.lists(tool_calls, max_size=3),
            "function_call": call_functions,
            "refusal": st.none() | words,
            "reasoning_content": st.none() | words,
        },
    ),
    st.fixed_dictionaries(
        {
            "role": st.just("tool"),
            "tool_call_id": ids,
            "content": words | st.lists(text_parts | images | files, max_size=2),
        }
    ),
    st.fixed_dictionaries({"role": st.just("function"), "name": names, "content": st.none() | words}),
)
functions = st.fixed_dictionaries(
    {"name": names},
    optional={
        "description": words,
        "parameters": st.just({"type": "object", "properties": {"a": {"type": "string"}}}),
        "strict": st.booleans(),
    },
)
tools = st.lists(
    st.fixed_dictionaries({"type": st.just("function"), "function": functions})
    | st.fixed_dictionaries({"type": st.just("custom"), "custom": st.fixed_dictionaries({"name": names})}),
    max_size=4,
    unique_by=lambda tool: str(tool[tool["type"]]["name"]),
)
valid_bodies = st.fixed_dictionaries(
    {"model": names, "messages": st.lists(messages, min_size=1, max_size=5)},
    optional={
        "tools": tools,
        "tool_choice": st.sampled_from(["auto", "none"]),
        "parallel_tool_calls": st.booleans(),
        "stream": st.booleans(),
        "stream_options": st.sampled_from([None, {}, {"include_usage": True}]),
        "stop": st.none() | words | st.lists(words, max_size=5),
        "max_tokens": st.integers(1, 128_000),
        "max_completion_tokens": st.integers(1, 128_000),
        "reasoning_effort": st.sampled_from(["none", "low", "xhigh"]),
        "response_format": st.sampled_from(
            [
                {"type": "text"},
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
            ]
        ),
        "web_search_options": st.sampled_from([{}, {"search_context_size": "low"}]),
        "temperature": st.floats(0, 1),
        "user": words,
        "n": st.just(1),
        "an_unheard_of_field": json_values,
    },
)


broken_bodies = broken(valid_bodies)

usages = st.builds(Usage, *[st.integers(0, 300_000)] * 5)
call_arguments = json_objects.map(json.dumps) | st.sampled_from(["{}", "", '{"a": 1', "[]", "no json", '{"n": 1e3}'])
finishes = st.builds(Finish, st.sampled_from(StopCause), st.none() | words, usages)
failures: st.SearchStrategy[KirotrioError] = st.sampled_from(
    [UpstreamFailed("cut"), RateLimited("slow down", retry_after=1.2), ContextOverflow(5, 4), KirotrioError("secret")]
)
calls = st.builds(ToolCall, call_ids, st.sampled_from(["Bash", "Read"]), json_objects.map(json.dumps))
odd_calls = st.builds(ToolCall, call_ids, st.sampled_from(["Bash", ""]), call_arguments)
citations = st.builds(Citation, words, any_text, words, st.integers(0, 50), st.integers(0, 50))
server_events = st.sampled_from(
    [
        ServerToolCall("s1", "web_search", {"query": "q"}),
        SearchFinished("s1", (SearchResult("https://x", "X"),)),
        SearchFinished("s1", error="unavailable"),
        ServerToolCall("s2", "web_fetch", {"url": "https://x"}),
        FetchFinished("s2", "https://x", text="t"),
    ]
)
hidden = st.sampled_from(
    [ThinkingSignature("s"), ThinkingSignature(""), RedactedThinkingBlock("r"), Accepted(), KeepAlive()]
)
measurements = st.sampled_from([ContextMeasured(9), TokensMeasured(1, 2), CreditsMetered(0.5)])


content_events = weighted(texts, texts, thoughts, hidden, calls, odd_calls, citations, server_events)
endings = finishes | st.builds(Failed, failures)
events = weighted(*[content_events] * 12, measurements, endings)


batches = cut(long_lists(events, 24))
