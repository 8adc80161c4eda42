"""Tools as the Anthropic dialect reads them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirotrio.conversation.request import Tool
from kirotrio.dialects.anthropic import AnthropicTool, decode_request
from kirotrio.dialects.anthropic.schema import structure

tool_names = st.from_regex(r"[a-zA-Z0-9_-]{1,128}", fullmatch=True)
descriptions = st.none() | st.text(max_size=40)


def tools_of(*tools: Any) -> tuple[Tool, ...]:
    sent = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], "tools": list(tools)}
    return decode_request(sent).conversation.tools


# Feature: merge-main-to-release, Property 6: AnthropicTool optional input_schema
@settings(max_examples=200)
@given(tool_names, descriptions, st.sampled_from([None, "custom", "web_search_20250305"]))
def test_a_tool_without_input_schema_is_a_tool(name: str, description: str | None, kind: str | None) -> None:
    sent = {"name": name, "description": description, "type": kind}
    tool = structure(sent, AnthropicTool)
    assert (tool.name, tool.description, tool.type) == (name, description, kind)
    assert tool.input_schema is None
    assert structure({"name": name}, AnthropicTool) == AnthropicTool(name=name, input_schema=None)
    (offered,) = tools_of(sent)
    assert offered.name == name
    assert offered.input_schema is None


@given(tool_names, st.dictionaries(st.text(), st.integers()))
def test_a_schema_that_is_given_is_kept_as_it_is(name: str, schema: dict[str, int]) -> None:
    (offered,) = tools_of({"name": name, "input_schema": schema})
    assert offered == Tool(name, input_schema=schema, path="tools.0")


@pytest.mark.parametrize("kind", [None, "", "custom"])
def test_a_tool_that_the_client_runs_has_no_kind(kind: str | None) -> None:
    (offered,) = tools_of({"name": "a", "type": kind, "cache_control": {"type": "ephemeral"}, "strict": True})
    assert offered == Tool("a", path="tools.0")


def test_a_typed_tool_keeps_its_type_and_its_settings() -> None:
    sent = {"name": "computer", "type": "computer_20250124", "display_width_px": 800, "display_height_px": 600}
    (offered,) = tools_of(sent)
    assert offered.kind == "computer_20250124"
    assert offered.options == {"display_width_px": 800, "display_height_px": 600}


def test_null_in_optional_fields_is_as_good_as_nothing() -> None:
    sent = {"name": "a", "type": None, "description": None, "input_schema": None, "defer_loading": None}
    assert tools_of(sent) == (Tool("a", path="tools.0"),)
