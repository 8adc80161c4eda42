"""Which of the tools whose loading is deferred the conversation has loaded (CLIENTS A)."""

from __future__ import annotations

from collections.abc import Mapping

from kirotrio.conversation.request import Conversation, Json, ServerToolResult, ToolReference, ToolResult, ToolUse


def loaded_tools(conversation: Conversation) -> set[str]:
    """Names that a tool search has found, that were called before, or that the client demands now.

    Empty where no tool is deferred, since then all are there anyway.
    """
    if not any(tool.deferred for tool in conversation.tools):
        return set()
    names: set[str] = {conversation.tool_choice.name} if conversation.tool_choice.name else set()
    for turn in conversation.turns:
        for part in turn.parts:
            if isinstance(part, ToolResult):
                names.update(item.tool_name for item in part.content if isinstance(item, ToolReference))
            elif isinstance(part, ServerToolResult) and isinstance(part.content, Mapping):
                names.update(_referenced(part.content.get("tool_references")))
            elif isinstance(part, ToolUse):
                names.add(part.name)
    return names


def _referenced(references: Json) -> set[str]:
    entries = references if isinstance(references, list) else []
    names = (entry.get("tool_name") for entry in entries if isinstance(entry, Mapping))
    return {name for name in names if isinstance(name, str)}
