"""The tools of a request as the upstream takes them (KIRO_PROTOCOL 2.4, 2.8; traps 2, 6, 7, 8).

Upstream knows neither a tool choice nor a server tool, wants a specification for every tool that the history used,
and takes names, descriptions and schemas of a certain form only. What cannot be said in a specification is said in
text: long descriptions in the system text, a tool choice in one line at the end of the message to be answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kirotrio.classes import frozen
from kirotrio.conversation.request import (
    Conversation,
    Diagnostic,
    Json,
    Tool,
    ToolChoice,
)
from kirotrio.conversation.tool_loading import loaded_tools
from kirotrio.kiro.names import upstream_tool_names
from kirotrio.kiro.schema import sanitise_schema
from kirotrio.kiro.wellformed import quoted, repair_noted, repair_text

HEAD_LENGTH = 500
"""Characters of a long description that stay with its tool, at most."""
_SPECIFICATION: Final = "specification"


@frozen
class ToolOffer:
    """`specifications`: `tools[]`. `names`: client's name → name sent, for every tool offered or used before.

    `system`: texts to append to the system text. `instruction`: a line for the end of the message, or "".
    """

    specifications: list[dict[str, Any]]
    names: Mapping[str, str]
    system: tuple[str, ...]
    instruction: str


def offer_tools(
    conversation: Conversation, historic: Mapping[str, str], *, description_max_length: int, notes: list[Diagnostic]
) -> ToolOffer:
    """What to send for the conversation's tools. `historic`: every name that the history uses → where it does first."""
    declared = _offered(conversation, historic, notes)
    withheld = conversation.tool_choice.mode == "none"
    offered = [] if withheld else declared
    names = upstream_tool_names((tool.name for tool in declared), historic)
    system: list[str] = []
    specifications = [_specification(tool, names[tool.name], description_max_length, system, notes) for tool in offered]
    present = {names[tool.name] for tool in offered}
    for name, path in historic.items():
        sent = names[name]
        if sent not in present:
            present.add(sent)
            if not withheld:
                notes.append(Diagnostic(path, f"the tool {name!r} is used here but no longer offered; sent by name"))
            specifications.append(_placeholder(name, sent))
    if withheld and declared:
        notes.append(Diagnostic("tool_choice", "none: the tools are not sent"))
    offered_names = {tool.name: names[tool.name] for tool in offered}
    instruction = _instruction(conversation.tool_choice, offered_names, bool(specifications), notes)
    return ToolOffer(specifications, names, tuple(system), instruction)


def _offered(conversation: Conversation, historic: Mapping[str, str], notes: list[Diagnostic]) -> list[Tool]:
    """The client's own tools that the model may see: each name once, deferred ones only if something loaded them."""
    loaded = loaded_tools(conversation) | historic.keys()
    offered: dict[str, Tool] = {}
    for number, tool in enumerate(conversation.tools):
        path = tool.path or f"tools.{number}"
        if tool.kind and tool.input_schema is None:
            # A type with a schema beside it is a client's tool all the same.
            notes.append(Diagnostic(path, f"upstream has no tools of type {tool.kind}; left out"))
        elif tool.name in offered:
            notes.append(Diagnostic(path, f"a second tool of the name {tool.name!r}; left out"))
        elif tool.deferred and tool.name not in loaded:
            notes.append(Diagnostic(path, "loading is deferred and nothing has loaded this tool yet; left out"))
        else:
            offered[tool.name] = tool if tool.path else _at(tool, path)
    return list(offered.values())


def _at(tool: Tool, path: str) -> Tool:
    return Tool(tool.name, tool.description, tool.input_schema, deferred=tool.deferred, path=path)


def _specification(
    tool: Tool, sent: str, description_max_length: int, system: list[str], notes: list[Diagnostic]
) -> dict[str, Any]:
    """One entry of `tools[]`, the same object for the same tool where there is nothing to say beside it."""
    asked = (sent, description_max_length)
    known: tuple[tuple[str, int], dict[str, Any]] | None = tool.worked_out.get(_SPECIFICATION)
    if known is not None and known[0] == asked:
        return known[1]
    said = len(system), len(notes)
    made = _make_specification(tool, sent, description_max_length, system, notes)
    if said == (len(system), len(notes)):
        tool.worked_out[_SPECIFICATION] = asked, made
    return made


def _make_specification(
    tool: Tool, sent: str, description_max_length: int, system: list[str], notes: list[Diagnostic]
) -> dict[str, Any]:
    description = repair_noted(tool.description, f"{tool.path}.description", notes)
    if not description or description.isspace():
        description = f"Tool {repair_text(tool.name) or sent}"
    elif len(description) > description_max_length:
        notes.append(
            Diagnostic(
                f"{tool.path}.description",
                f"{len(description)} characters, more than {description_max_length}; moved to the system text",
            )
        )
        system.append(f"<tool_description name={quoted(sent)}>\n{description}\n</tool_description>")
        description = _head(description, sent, description_max_length)
    return _tool(sent, description, sanitise_schema(tool.input_schema, f"{tool.path}.input_schema", notes))


def _head(description: str, sent: str, length: int) -> str:
    """The first paragraph, if there is room for it, and where the whole stands."""
    reference = f"The full description of this tool is in the system text, in <tool_description name={quoted(sent)}>."
    room = min(HEAD_LENGTH, length - len(reference) - 2)
    head = description.lstrip().partition("\n\n")[0][: max(room, 0)].rstrip()
    return f"{head}\n\n{reference}" if head else reference


def _placeholder(name: str, sent: str) -> dict[str, Any]:
    text = f"Tool {repair_text(name) or sent}, used earlier in this conversation and not available now."
    return _tool(sent, text, {"type": "object", "properties": {}})


def _tool(name: str, description: str, schema: dict[str, Json]) -> dict[str, Any]:
    return {"toolSpecification": {"name": name, "description": description, "inputSchema": {"json": schema}}}


def _instruction(choice: ToolChoice, offered: Mapping[str, str], any_sent: bool, notes: list[Diagnostic]) -> str:
    """The tool choice as one line, since upstream has no member for it (KIRO_PROTOCOL 2.1)."""
    if choice.mode == "none":
        return "Answer without calling a tool." if any_sent else ""
    lines: list[str] = []
    if choice.mode == "tool" and choice.name is not None and choice.name in offered:
        lines.append(f"Call the tool {offered[choice.name]}.")
    elif choice.mode == "any" and offered:
        lines.append("Call one of the tools.")
    elif choice.forced:
        notes.append(Diagnostic("tool_choice", "asks for a tool that is not among those sent; left out"))
    if not choice.parallel and offered:
        lines.append("Call at most one tool.")
    if lines:
        notes.append(Diagnostic("tool_choice", "upstream has no tool choice; asked for in text, not enforced"))
    return " ".join(lines)
