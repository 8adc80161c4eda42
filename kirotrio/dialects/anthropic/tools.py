"""`tools`, the changes that messages make to them, and `tool_choice`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias, TypeVar

import attrs

from kirotrio.classes import frozen
from kirotrio.conversation.request import Tool, ToolChoice, WebFetch, WebSearch
from kirotrio.dialects.anthropic.schema import (
    TOOL_FIELDS,
    AnthropicTool,
    AnthropicToolChoice,
)
from kirotrio.dialects.anthropic.server_tools import ServerTool, read_server_tool
from kirotrio.dialects.reading import Reading
from kirotrio.dialects.structure import JsonObject, structure
from kirotrio.errors import BodyInvalid

_SILENT = TOOL_FIELDS | {"cache_control", "eager_input_streaming", "allowed_callers", "input_examples", "strict"}
"""Fields of a client's tool that change nothing which the upstream could be told."""

_CHOICES = ("auto", "any", "tool", "none")

_Offered: TypeAlias = Tool | ServerTool
_Kind = TypeVar("_Kind", Tool, WebSearch, WebFetch)


@frozen
class ToolOffer:
    """All that is offered to the model: the client's tools and those that the server runs."""

    tools: tuple[Tool, ...] = ()
    web_search: WebSearch | None = None
    web_fetch: WebFetch | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(tool.name for tool in (*self.tools, self.web_search, self.web_fetch) if tool is not None)


def read_tools(tools: Sequence[AnthropicTool], bodies: Sequence[JsonObject], reading: Reading) -> ToolOffer:
    """The tools offered to the model; `bodies` are the same entries as sent. Raises BodyInvalid."""
    offered: dict[str, _Offered] = {}
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
    return ToolOffer(
        tuple(_of(Tool, offered)),
        _only(_of(WebSearch, offered), "web search"),
        _only(_of(WebFetch, offered), "web fetch"),
    )


def _of(kind: type[_Kind], offered: dict[str, _Offered]) -> list[_Kind]:
    return [tool for tool in offered.values() if isinstance(tool, kind)]


def _only(found: Sequence[_Kind], what: str) -> _Kind | None:
    if len(found) > 1:
        raise BodyInvalid(found[1].path, f"only one {what} tool may be given: {found[0].path} is one already")
    return found[0] if found else None


def _read_tool(tool: AnthropicTool, body: JsonObject, path: str, reading: Reading) -> _Offered | None:
    kind = "" if tool.type in (None, "", "custom") else str(tool.type)
    if not tool.name:
        if not kind or "toolset" not in kind:
            raise BodyInvalid(f"{path}.name", "field required: the tool's name")
        reading.note(path, f"a {kind} is expanded by Anthropic's servers and is not available here: left out")
        return None
    server_tool = read_server_tool(tool.name, kind, body, path, reading)
    if server_tool is not None:
        return server_tool
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


def _apply(change: JsonObject, path: str, offered: dict[str, _Offered], reading: Reading) -> None:
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
        elif isinstance(loaded := offered[name], Tool):
            offered[name] = attrs.evolve(loaded, deferred=False)
    else:
        reading.note(where, f"a {change['type']} names a tool that this request does not define: ignored")


def read_tool_choice(choice: AnthropicToolChoice | None, names: Collection[str]) -> ToolChoice:
    """`names` are those of all tools offered. Raises BodyInvalid where one is demanded that is not among them."""
    if choice is None:
        return ToolChoice()
    match choice.type:
        case "tool":
            if not choice.name:
                raise BodyInvalid("tool_choice.name", "field required: the name of the tool to call")
            if choice.name not in names:
                raise BodyInvalid("tool_choice.name", f"Tool {choice.name!r} not found in provided tools")
        case "any":
            if not names:
                raise BodyInvalid("tool_choice", 'type "any" may only be specified while providing tools')
        case "auto" | "none":
            pass
        case _:
            raise BodyInvalid("tool_choice.type", f"must be one of {', '.join(_CHOICES)}")
    parallel = not choice.disable_parallel_tool_use
    name = choice.name if choice.type == "tool" else None
    return ToolChoice(mode=choice.type, name=name, parallel=parallel)
