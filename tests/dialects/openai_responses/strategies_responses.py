"""Arbitrary Responses request bodies, valid ones and others, and arbitrary runs of generation events."""

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
    redactions,
    signatures,
    texts,
    thoughts,
    weighted,
    words,
)

from kirotrio.conversation.events import (
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
    ToolCall,
    Usage,
)
from kirotrio.errors import (
    ContextOverflow,
    KirotrioError,
    QuotaExhausted,
    RateLimited,
    TooLarge,
    UpstreamFailed,
    UpstreamOverloaded,
)

filled = st.text(min_size=1, max_size=8)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
ids = st.from_regex(r"call_[a-c]", fullmatch=True)


def shape(kind: str | None, required: dict[str, Any], **optional: Any) -> st.SearchStrategy[Any]:
    fixed = {} if kind is None else {"type": st.just(kind)}
    return st.fixed_dictionaries({**fixed, **required}, optional=optional)


input_text = shape("input_text", {"text": words})
input_image = shape("input_image", {"image_url": image_urls}, detail=st.sampled_from(["auto", "low", "high"]))
input_file = st.one_of(
    shape("input_file", {"file_data": encoded.map(lambda data: f"data:application/pdf;base64,{data}")}, filename=words),
    shape("input_file", {"file_data": encoded, "filename": st.just("a.PDF")}),
    shape("input_file", {"file_url": st.just("https://example.com/a.pdf")}),
)
contents = words | st.lists(input_text | input_image | input_file, max_size=3)
output_text = shape("output_text", {"text": words, "annotations": st.just([])}, logprobs=st.just([]))
said = words | st.lists(output_text | shape("refusal", {"refusal": words}), max_size=2)
arguments = json_objects.map(json.dumps) | st.sampled_from(["", "{}", "[]", '{"a": 1'])
status = st.sampled_from(["completed", "in_progress"])
optional_id = {"id": names, "status": status}

items = st.one_of(
    shape(None, {"role": st.just("user"), "content": contents}),
    shape("message", {"role": st.sampled_from(["user"]), "content": contents}, **optional_id),
    shape("message", {"role": st.sampled_from(["system", "developer"]), "content": words}),
    shape("message", {"role": st.just("assistant"), "content": said}, phase=st.just("commentary"), **optional_id),
    shape(
        "reasoning",
        {"summary": st.lists(shape("summary_text", {"text": words}), max_size=2)},
        encrypted_content=st.none() | words | words.map(lambda text: f"ktr.{text}"),
        content=st.none() | st.lists(shape("reasoning_text", {"text": words}), max_size=1),
        **optional_id,
    ),
    shape("function_call", {"call_id": ids, "name": names, "arguments": arguments}, namespace=names, **optional_id),
    shape("function_call_output", {"call_id": ids, "output": contents}, **optional_id),
    shape("custom_tool_call", {"call_id": ids, "name": names, "input": words}, **optional_id),
    shape("custom_tool_call_output", {"call_id": ids, "output": contents}),
    shape(
        "local_shell_call",
        {
            "id": ids,
            "call_id": ids,
            "status": st.just("completed"),
            "action": shape("exec", {"command": st.lists(words, max_size=2), "env": st.just({})}),
        },
    ),
    shape("local_shell_call_output", {"id": ids, "output": words}),
    shape("shell_call", {"call_id": ids, "action": shape(None, {"commands": st.lists(words, max_size=2)})}),
    shape("shell_call_output", {"call_id": ids, "output": st.lists(json_objects, max_size=2)}),
    shape("apply_patch_call", {"call_id": ids, "operation": shape("delete_file", {"path": words})}),
    shape("apply_patch_call_output", {"call_id": ids, "status": st.sampled_from(["completed", "failed"])}),
    shape("web_search_call", {"id": names, "action": shape("search", {"query": words})}, status=status),
    shape("file_search_call", {"id": names, "queries": st.lists(words, max_size=2)}, results=st.none() | json_values),
    shape("computer_call", {"call_id": ids, "action": json_objects}),
    shape("computer_call_output", {"call_id": ids, "output": shape("computer_screenshot", {"image_url": image_urls})}),
    shape("mcp_call", {"id": names, "server_label": words, "name": words, "arguments": arguments}, output=words),
    shape("compaction", {"encrypted_content": words}),
    shape("configuration_update", {"reasoning": st.just({"effort": "low"})}),
)
function_tools = shape(
    "function",
    {"name": names, "parameters": st.none() | st.just({"type": "object", "properties": {}})},
    description=st.none() | words,
    strict=st.none() | st.booleans(),
)
custom_tools = shape(
    "custom",
    {"name": names},
    description=words,
    format=st.sampled_from([{"type": "text"}, {"type": "grammar", "syntax": "lark", "definition": 'start: "a"'}]),
)
other_tools = st.sampled_from(
    [
        {"type": "web_search", "external_web_access": True, "filters": {"allowed_domains": ["example.com"]}},
        {"type": "web_search_preview", "user_location": {"type": "approximate", "city": "Graz"}},
        {"type": "local_shell"},
        {"type": "shell", "environment": {"type": "local"}},
        {"type": "shell", "environment": {"type": "container_auto"}},
        {"type": "apply_patch"},
        {"type": "tool_search", "execution": "client"},
        {"type": "file_search", "vector_store_ids": []},
        {"type": "mcp", "server_label": "a"},
        {"type": "unheard_of"},
    ]
)
named_tools = st.lists(function_tools | custom_tools, max_size=3, unique_by=lambda tool: str(tool["name"]))
namespaces = shape(
    "namespace", {"name": st.sampled_from(["agents", "files__"]), "tools": named_tools}, description=words
)
tool_lists = st.tuples(
    named_tools,
    st.lists(namespaces, max_size=2, unique_by=lambda tool: str(tool["name"])),
    st.lists(other_tools, max_size=2),
).map(lambda lists: [tool for tools in lists for tool in tools])
valid_bodies = st.fixed_dictionaries(
    {"model": names, "input": filled | st.lists(items, min_size=1, max_size=6)},
    optional={
        "instructions": st.none() | words,
        "tools": tool_lists,
        "tool_choice": st.sampled_from(["auto", "none"]),
        "parallel_tool_calls": st.booleans(),
        "max_output_tokens": st.none() | st.integers(1, 128_000),
        "text": st.sampled_from(
            [{"format": {"type": "text"}}, {"format": {"type": "json_object"}, "verbosity": "low"}]
        ),
        "reasoning": st.fixed_dictionaries(
            {}, optional={"effort": st.sampled_from(["low", "none", "odd", None]), "summary": st.sampled_from(["auto"])}
        ),
        "include": st.lists(st.sampled_from(["reasoning.encrypted_content", "web_search_call.action.sources"])),
        "metadata": st.dictionaries(words, words, max_size=2),
        "store": st.booleans(),
        "stream": st.booleans(),
        "truncation": st.sampled_from(["auto", "disabled"]),
        "temperature": st.floats(0, 2),
        "service_tier": st.just("auto"),
        "user": words,
        "an_unheard_of_field": json_values,
    },
)


broken_bodies = broken(valid_bodies)

usages = st.builds(Usage, *[st.integers(0, 300_000)] * 5)
finishes = st.builds(Finish, st.sampled_from(StopCause), st.none() | words, usages)
failures: st.SearchStrategy[KirotrioError] = st.sampled_from(
    [
        UpstreamFailed("cut"),
        RateLimited("slow down", retry_after=1.2),
        ContextOverflow(5, 4),
        QuotaExhausted("used up"),
        UpstreamOverloaded("busy"),
        TooLarge("too large"),
        KirotrioError("secret"),
    ]
)
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "Read", "parameters": {"type": "object", "properties": {}}},
    {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "regex", "definition": "a+"}},
    {"type": "namespace", "name": "agents", "description": "Agents.", "tools": [{"type": "function", "name": "spawn"}]},
    {"type": "local_shell"},
    {"type": "shell", "environment": {"type": "local"}},
    {"type": "apply_patch"},
    {"type": "tool_search", "execution": "client", "description": "Finds.", "parameters": {"type": "object"}},
    {"type": "web_search"},
]
"""One of each kind that a call can be of; the strategies below call them by the conversation's names."""
good_calls: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "Read": json_objects,
    "Unknown": json_objects,
    "patch": shape(None, {"input": words}),
    "agents__spawn": json_objects,
    "local_shell": shape(None, {"command": st.lists(words, max_size=2)}, timeout_ms=st.integers(0, 9)),
    "shell": shape(None, {"commands": st.lists(words, max_size=2)}),
    "apply_patch": shape("update_file", {"path": words, "diff": words}) | shape("delete_file", {"path": words}),
    "tool_search": json_objects,
}
calls = st.sampled_from(sorted(good_calls)).flatmap(
    lambda name: st.builds(ToolCall, call_ids, st.just(name), good_calls[name].map(json.dumps))
)
odd_calls = st.builds(
    ToolCall,
    call_ids,
    st.sampled_from([*good_calls, ""]),
    json_objects.map(json.dumps)
    | st.sampled_from(["", '{"a": 1', "[]", '{"n": 1e3}', '{"input": 5}', '{"input": "\\ud800"}']),
)
search_ids = st.sampled_from(["s1", "s2"])
server_calls = st.builds(
    ServerToolCall,
    search_ids,
    st.sampled_from(["web_search", "web_fetch"]),
    st.sampled_from([{"query": "q"}, {"url": "https://example.com"}, {}, {"query": 5}]),
)
search_ends = st.builds(
    SearchFinished,
    search_ids,
    st.lists(st.builds(SearchResult, any_text, any_text), max_size=2).map(tuple),
    st.sampled_from(["", "", "unavailable"]),
) | st.builds(FetchFinished, search_ids, words, error=st.sampled_from(["", "url_not_allowed"]))
citations = st.builds(Citation, any_text, any_text, words, st.integers(0, 30), st.integers(0, 30))
alive = st.just(KeepAlive())


content_events = weighted(
    texts, texts, texts, thoughts, thoughts, signatures, redactions, calls, odd_calls,
    server_calls, search_ends, citations, citations, alive,
)  # fmt: skip
endings = finishes | st.builds(Failed, failures)
measurements = st.sampled_from([ContextMeasured(9), CreditsMetered(0.5)])
events = weighted(*[content_events] * 12, measurements, endings)


batches = cut(long_lists(events, 24))
