"""Arbitrary conversations: whatever a client's schema allows, in any order, well formed or not."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st
from support.arbitrary import json_of, scalars_of

from kirotrio.conversation.request import (
    ClientSession,
    Conversation,
    Document,
    Effort,
    Image,
    Limits,
    OutputSchema,
    RedactedThinking,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ThinkingSetting,
    Tool,
    ToolChoice,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
)
from kirotrio.kiro.thinking import TAG_SIGNATURE, wrap_signature

ACCOUNT_HASH = "0a1b2c3d"
MODEL_IDS = ("claude-opus-4.8", "claude-opus-5.5", "claude-sonnet-4.5", "gpt-5.6-sol", "glm-5", "auto")

_characters = st.characters(exclude_categories=())
"""Surrogates too: JSON can spell them, alone or in pairs."""

texts = st.one_of(
    st.text(_characters, max_size=12),
    st.sampled_from(
        [
            "",
            " ",
            "\n\n",
            "\ud83d",
            "\ud83d\ude00",
            "a\udc00b",
            "Hello",
            "</thinking>",
            "x-anthropic-billing-header: a=1",
        ]
    ),
)
plain_texts = st.text(max_size=12)

tool_names = st.one_of(
    st.sampled_from(
        ["Read", "read", "READ", "Bash", "mcp__a.b__c d", "1st", "", "工具", "\ud800", "x" * 64, "y" * 200]
    ),
    st.from_regex(r"[a-zA-Z][a-zA-Z0-9_-]{0,20}", fullmatch=True),
)
"""Names from a small pool collide often; the others are well formed."""

tool_use_ids = st.one_of(
    st.sampled_from(["a", "b", "c", "toolu_1", "call_x|fc_y", "", "z" * 65, "\ud800"]),
    st.from_regex(r"toolu_[a-z0-9]{1,4}", fullmatch=True),
)

scalars = scalars_of(texts)
json_values = json_of(texts)
json_objects = st.dictionaries(texts, json_values, max_size=3)

encoded = st.binary(min_size=1, max_size=6).map(lambda raw: base64.b64encode(raw).decode())
images = st.builds(
    Image,
    media_type=st.sampled_from(["image/png", "image/jpg", "image/jpeg", "image/webp", "IMAGE/GIF", "image/tiff", ""]),
    data=encoded | st.just(""),
)
documents = st.builds(
    Document,
    media_type=st.sampled_from(["text/plain", "text/markdown", "application/pdf", "application/json"]),
    data=plain_texts | encoded,
    title=st.none() | texts,
    context=st.none() | texts,
)

signatures = st.sampled_from(
    ["", TAG_SIGNATURE, "foreign", "kt1."]
    + [wrap_signature(model, account, "c2ln") for model in MODEL_IDS[:3] for account in (ACCOUNT_HASH, "ffffffff")]
)
tool_references = st.builds(ToolReference, tool_names)
result_parts = st.one_of(st.builds(Text, texts), images, documents, tool_references)
tool_uses = st.builds(ToolUse, tool_use_ids, tool_names, json_objects)
tool_results = st.builds(
    ToolResult, tool_use_ids, st.lists(result_parts, max_size=3).map(tuple), is_error=st.booleans()
)
search_hits = st.fixed_dictionaries({"url": plain_texts, "title": texts | st.none(), "encrypted_content": plain_texts})

parts = st.one_of(
    st.builds(Text, texts),
    images,
    documents,
    st.builds(Thinking, texts, signatures),
    st.builds(RedactedThinking, signatures),
    tool_uses,
    tool_results,
    st.builds(ServerToolUse, tool_use_ids, tool_names, json_objects),
    st.builds(
        ServerToolResult,
        tool_use_ids,
        st.sampled_from(["web_search_tool_result", "tool_search_tool_result"]),
        json_values | st.lists(search_hits, max_size=2),
    ),
)

turns = st.builds(
    Turn,
    role=st.sampled_from(["user", "assistant", "user", "assistant", "system"]),
    parts=st.lists(parts, max_size=4).map(tuple),
)


@st.composite
def round_trips(draw: st.DrawFn) -> list[Turn]:
    """An assistant turn with calls and the user turn that answers them, sometimes not all, sometimes more."""
    uses = draw(st.lists(tool_uses, min_size=1, max_size=3))
    answered = draw(st.lists(st.sampled_from(uses), max_size=4))
    results = [
        ToolResult(use.id, tuple(draw(st.lists(result_parts, max_size=2))), draw(st.booleans())) for use in answered
    ]
    said = draw(st.lists(parts, max_size=2))
    return [Turn("assistant", (*said, *uses)), Turn("user", (*results, *draw(st.lists(parts, max_size=1))))]


conversations_turns = st.lists(turns.map(lambda turn: [turn]) | round_trips(), max_size=5).map(
    lambda runs: tuple(turn for run in runs for turn in run)
)

_references = st.sampled_from(["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/nowhere", "other.json", 7])


def _schema_objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["a", "b", "c d", "$filter", "x" * 65, ""])
    members = {
        "type": st.sampled_from(["object", "array", "string", "String", "any", None, ["string", "null"], []]),
        "properties": st.none() | st.dictionaries(names, inner, max_size=3) | json_values,
        "required": st.none() | st.lists(names | scalars, max_size=3),
        "items": inner | st.lists(inner, max_size=2),
        "anyOf": st.none() | st.lists(inner, max_size=2),
        "oneOf": st.lists(inner, max_size=2),
        "allOf": st.lists(inner, max_size=2),
        "not": inner,
        "enum": st.none() | st.lists(scalars, max_size=3),
        "default": json_values,
        "description": texts | st.none() | json_values,
        "additionalProperties": inner | st.booleans() | st.none(),
        "patternProperties": st.dictionaries(texts, inner, max_size=1) | st.none(),
        "exclusiveMinimum": st.booleans() | st.integers(0, 9),
        "minimum": st.integers(0, 9),
        "$ref": _references,
        "$defs": st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
        "$schema": st.sampled_from(["https://json-schema.org/draft/2020-12/schema", "", None]),
    }
    return st.fixed_dictionaries({}, optional=members)


schemas = st.recursive(st.booleans() | st.none() | st.just({}) | json_values, _schema_objects, max_leaves=10)
"""JSON schemas of any draft, broken in every way that authors break them."""
object_schemas = _schema_objects(schemas)

tools = st.builds(
    Tool,
    name=tool_names,
    description=texts | st.just("first line\n\n" + "long " * 30),
    input_schema=st.none() | object_schemas | json_objects,
    kind=st.sampled_from(["", "", "", "web_search_20250305"]),
    deferred=st.booleans(),
)
tool_choices = st.builds(
    ToolChoice,
    mode=st.sampled_from(["auto", "any", "tool", "none"]),
    name=st.none() | tool_names,
    parallel=st.booleans(),
)
thinking_settings = st.builds(
    ThinkingSetting,
    enabled=st.booleans(),
    budget=st.integers(1, 200_000),
    asked=st.booleans(),
    display=st.sampled_from([None, "summarized", "omitted", "updates"]),
    effort=st.none() | st.sampled_from(Effort),
)

conversations = st.builds(
    Conversation,
    model=st.just("any"),
    turns=conversations_turns,
    system=st.lists(texts, max_size=3).map(tuple),
    tools=st.lists(tools, max_size=3).map(tuple),
    tool_choice=tool_choices,
    thinking=thinking_settings,
    limits=st.builds(Limits, max_tokens=st.none() | st.integers(1, 200_000)),
    session=st.none() | st.builds(ClientSession, texts, st.just("metadata")),
    output_schema=st.none() | st.builds(OutputSchema, json_objects),
)
"""One request of any shape. Its model is to be chosen beside it (`MODEL_IDS`)."""
