"""`tools`, the changes that messages make to them, and `tool_choice`."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from kirotrio.conversation.request import Tool, ToolChoice
from kirotrio.dialects.anthropic.reading import Reading
from kirotrio.dialects.anthropic.schema import (
    TOOL_FIELDS,
    AnthropicTool,
    AnthropicToolChoice,
    JsonObject,
    structure,
)
from kirotrio.errors import BodyInvalid

_SILENT = TOOL_FIELDS | {"cache_control", "eager_input_streaming", "allowed_callers", "input_examples", "strict"}
"""Fields of a client's tool that change nothing which the upstream could be told."""

_CHOICES = ("auto", "any", "tool", "none")


def read_tools(tools: Sequence[AnthropicTool], bodies: Sequence[JsonObject], reading: Reading) -> list[Tool]:
    """The tools offered to the model; `bodies` are the same entries as sent. Raises BodyInvalid."""
    offered: dict[str, Tool] = {}
    for index, (tool, body) in enumerate(zip(tools, bodies, strict=True)):
        read = _read_tool(tool, body, f"tools.{index}", reading)
        if read is None:
            continue
        if read.name in offered:
            raise BodyInvalid(
                f"tools.{index}.name",
                f"Tool names must be unique: {read.name!r} is also the name of {offered[read.name].path}",
            )
        offered[read.name] = read
    for path, change in reading.tool_changes:
        _apply(change, path, offered, reading)
    return list(offered.values())


def _read_tool(tool: AnthropicTool, body: JsonObject, path: str, reading: Reading) -> Tool | None:
    kind = "" if tool.type in (None, "", "custom") else str(tool.type)
    if not tool.name:
        if not kind or "toolset" not in kind:
            raise BodyInvalid(f"{path}.name", "field required: the tool's name")
        reading.note(path, f"a {kind} is expanded by Anthropic's servers and is not available here: left out")
        return None
    if not kind:
        reading.note_unknown(path, body, _SILENT, "a tool")
        if body.get("strict"):
            reading.note(f"{path}.strict", "arguments cannot be bound to the schema upstream: taken as a wish")
    elif tool.input_schema is None:
        reading.note(path, f"a tool of type {kind} brings no input_schema of its own: carried by its type")
    return Tool(
        name=tool.name,
        description=tool.description or "",
        input_schema=tool.input_schema,
        kind=kind,
        options={key: value for key, value in body.items() if key not in TOOL_FIELDS} if kind else {},
        deferred=bool(tool.defer_loading),
        path=path,
    )


def _apply(change: JsonObject, path: str, offered: dict[str, Tool], reading: Reading) -> None:
    """`tool_addition` and `tool_removal`: what counts for the next answer is the list after all of them."""
    subject, where = change["tool"], f"{path}.tool"
    kind, name = subject.get("type"), subject.get("name")
    if kind == "tool_definition" and change["type"] == "tool_addition":
        body = subject.get("definition")
        tool = structure(body, AnthropicTool, f"{where}.definition")
        added = _read_tool(tool, body, f"{where}.definition", reading)
        if added is not None:
            offered[added.name] = added
    elif kind == "tool_reference" and isinstance(name, str) and name in offered:
        if change["type"] == "tool_removal":
            del offered[name]
        else:
            offered[name] = attrs.evolve(offered[name], deferred=False)
    else:
        reading.note(where, f"a {change['type']} names a tool that this request does not define: ignored")


def read_tool_choice(choice: AnthropicToolChoice | None, tools: Sequence[Tool]) -> ToolChoice:
    """Raises BodyInvalid where a tool is demanded that is not offered."""
    if choice is None:
        return ToolChoice()
    match choice.type:
        case "tool":
            if not choice.name:
                raise BodyInvalid("tool_choice.name", "field required: the name of the tool to call")
            if all(tool.name != choice.name for tool in tools):
                raise BodyInvalid("tool_choice.name", f"Tool {choice.name!r} not found in provided tools")
        case "any":
            if not tools:
                raise BodyInvalid("tool_choice", 'type "any" may only be specified while providing tools')
        case "auto" | "none":
            pass
        case _:
            raise BodyInvalid("tool_choice.type", f"must be one of {', '.join(_CHOICES)}")
    parallel = not choice.disable_parallel_tool_use
    name = choice.name if choice.type == "tool" else None
    return ToolChoice(mode=choice.type, name=name, parallel=parallel)
