"""What the simulated model sees of a body that has passed validation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from kirotrio.classes import frozen

IMAGE_TOKENS = 1500
UPSTREAM_PROMPT_TOKENS = 2000
"""The service adds several thousand tokens of its own (KIRO_PROTOCOL 7.2)."""
BYTES_PER_TOKEN = 4


@frozen
class Tool:
    name: str
    schema: Any


@frozen
class Prompt:
    """The last user message, and what around it decides the answer."""

    message: str
    results: list[str]
    """The text of each tool result that the message carries."""
    spoken: str
    """The last message without tool results: the one that a person wrote."""
    answered: int
    """How many messages with tool results have come since."""
    tools: list[Tool]
    fields: Mapping[str, Any] | None
    thinking_tags: bool
    """Whether the prompt asks for thinking in tags (8.1)."""
    conversation: str
    input_tokens: int
    wanted_json: Mapping[str, Any] | None = None
    """The schema of the JSON that the prompt asks for in words; {} where any object will do."""
    wanted_tool: str | None = None
    """The tool that the message tells the model to call; "" for any of them."""

    @property
    def native_thinking(self) -> bool:
        """Whether the request's own fields ask for native thinking (2.5)."""
        if not self.fields:
            return False
        thinking = self.fields.get("thinking")
        if isinstance(thinking, Mapping):
            return bool(thinking.get("type") != "disabled")
        reasoning = self.fields.get("reasoning")
        return isinstance(reasoning, Mapping) and reasoning.get("effort") != "none"

    @property
    def omits_thinking(self) -> bool:
        thinking = (self.fields or {}).get("thinking")
        return isinstance(thinking, Mapping) and thinking.get("display") == "omitted"


def read_prompt(body: Mapping[str, Any], size: int) -> Prompt:
    """The prompt in a valid body of `size` bytes."""
    state = body["conversationState"]
    current = state["currentMessage"]["userInputMessage"]
    context = current.get("userInputMessageContext") or {}
    history = state.get("history") or []
    first = history[0].get("userInputMessage", {}) if history else current
    beginning = str(first.get("content", ""))
    spoken, answered = _spoken(body)
    return Prompt(
        message=current.get("content", ""),
        results=[result_text(result) for result in context.get("toolResults") or []],
        spoken=spoken,
        answered=answered,
        tools=[
            Tool(specification["name"], (specification.get("inputSchema") or {}).get("json"))
            for tool in context.get("tools") or []
            if isinstance(specification := tool.get("toolSpecification"), dict)
        ],
        fields=body.get("additionalModelRequestFields"),
        thinking_tags="<thinking_mode>enabled" in beginning or "<thinking_mode>adaptive" in beginning,
        conversation=state.get("conversationId") or "",
        input_tokens=estimate_tokens(body, size),
        wanted_json=_wanted_json(beginning),
        wanted_tool=_wanted_tool(str(current.get("content", ""))),
    )


def _wanted_json(text: str) -> Mapping[str, Any] | None:
    """A model follows such an instruction: JSON against a schema that stands on the next line, or just an object."""
    found = _WANTED_JSON.search(text)
    if found is None:
        return None
    if found["schema"] is None:
        return {}
    try:
        schema = orjson.loads(found["schema"])
    except orjson.JSONDecodeError:
        return None
    return schema if isinstance(schema, dict) else None


def _wanted_tool(message: str) -> str | None:
    """A model follows such an instruction, too, where it is the last thing that it is told."""
    found = _WANTED_TOOL.search(message)
    return None if found is None else found[1] or ""


_WANTED_TOOL = re.compile(
    r"^Call (?:the tool ([A-Za-z0-9_-]+)|one of the tools)\.(?: Call at most one tool\.)?\s*\Z", re.MULTILINE
)
_WANTED_JSON = re.compile(
    r"^Answer with one JSON (?:object\b|value\b[^\n]*\bJSON schema\b[^\n]*\n(?P<schema>\{[^\n]*))", re.MULTILINE
)


def _spoken(body: Mapping[str, Any]) -> tuple[str, int]:
    spoken, answered = "", 0
    for message in each_user_message(body):
        if (message.get("userInputMessageContext") or {}).get("toolResults"):
            answered += 1
        else:
            spoken, answered = str(message.get("content", "")), 0
    return spoken, answered


def estimate_tokens(body: Mapping[str, Any], size: int) -> int:
    """About four bytes a token; an image counts 1500 whatever its length."""
    images = list(each_image(body))
    pixels = sum(len(str((image.get("source") or {}).get("bytes", ""))) for image in images)
    return UPSTREAM_PROMPT_TOKENS + (size - pixels) // BYTES_PER_TOKEN + len(images) * IMAGE_TOKENS


def each_user_message(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The user messages of the history, then the current one."""
    state = body["conversationState"]
    for entry in [*(state.get("history") or []), state["currentMessage"]]:
        if isinstance(message := entry.get("userInputMessage"), dict):
            yield message


def each_image(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for message in each_user_message(body):
        yield from message.get("images") or []


def result_text(result: Mapping[str, Any]) -> str:
    """The texts of one tool result; a JSON part is shown as it stands."""
    return "\n".join(
        str(part["text"]) if "text" in part else str(part.get("json", "")) for part in result.get("content") or []
    )
