"""Chat messages as the turns of a conversation.

System and developer messages ahead of all others are the system text, later ones keep their place. Tool results that
follow each other, and those of the older `function` role, are one turn of the user: they answer one assistant turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kirotrio.conversation.request import Json, Part, Text, Thinking, ToolResult, ToolUse, Turn
from kirotrio.dialects.call_arguments import read_arguments
from kirotrio.dialects.fields import member, string
from kirotrio.dialects.openai_chat.content import read_content, read_texts
from kirotrio.dialects.reading import Reading, kind_of
from kirotrio.dialects.structure import JsonObject
from kirotrio.errors import BodyInvalid

ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")

_COMMON: Final = frozenset({"role", "content", "name", "cache_control"})
_ASSISTANT: Final = _COMMON | {
    "tool_calls", "function_call", "refusal", "audio", "annotations", "reasoning_content", "reasoning",
    "reasoning_details", "parsed",
}  # fmt: skip
_FIELDS: Final = {
    "assistant": _ASSISTANT,
    "tool": _COMMON | {"tool_call_id"},
}


def read_messages(sent: Sequence[JsonObject], reading: Reading) -> tuple[tuple[str, ...], tuple[Turn, ...]]:
    """The system texts and the turns. Raises BodyInvalid with the path of what is wrong."""
    if not sent:
        raise BodyInvalid("messages", "at least one message is required")
    messages = _Messages(reading)
    for index, message in enumerate(sent):
        messages.add(message, f"messages.{index}")
    return messages.end()


class _Messages:
    """Takes the messages in order and builds the turns."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._system: list[tuple[str, tuple[str, ...]]] = []
        self._turns: list[Turn] = []
        self._results: list[Part] | None = None
        """The results of the turn that is still open."""
        self._results_path = ""
        self._function_calls: list[tuple[str, str]] = []
        """Id and name of the calls in the older form that have no result yet."""

    def add(self, message: JsonObject, path: str) -> None:
        role = message.get("role")
        if type(role) is not str or role not in ROLES:
            raise BodyInvalid(f"{path}.role", f"must be one of {', '.join(ROLES)}")
        known = _FIELDS.get(role, _COMMON)
        if not message.keys() <= known:
            self._reading.note_unknown(path, message, known, "a message")
        if message.get("name") is not None and role != "function":
            self._reading.note(f"{path}.name", "ignored: the upstream does not tell participants apart by name")
        if role in ("tool", "function"):
            if self._results is None:
                self._results, self._results_path = [], path
            self._results.append(self._tool_result(message, path) if role == "tool" else self._outcome(message, path))
            return
        self._close_results()
        if role == "user":
            self._turns.append(
                Turn("user", read_content(self._content(message, path), f"{path}.content", self._reading), path)
            )
        elif role == "assistant":
            self._turns.append(Turn("assistant", self._assistant(message, path), path))
        else:
            texts = read_texts(self._content(message, path), f"{path}.content", self._reading)
            if self._turns:
                self._turns.append(_system_turn(texts, path))
            else:
                self._system.append((path, texts))

    def end(self) -> tuple[tuple[str, ...], tuple[Turn, ...]]:
        self._close_results()
        if not self._turns and self._system:
            # Nobody else says anything: the last message is what is to be answered.
            path, texts = self._system.pop()
            self._turns.append(_system_turn(texts, path))
        return tuple(text for _, texts in self._system for text in texts), tuple(self._turns)

    def _close_results(self) -> None:
        if self._results is not None:
            self._turns.append(Turn("user", tuple(self._results), self._results_path))
            self._results = None

    def _content(self, message: JsonObject, path: str) -> Json:
        content = message.get("content")
        if content is None:
            raise BodyInvalid(f"{path}.content", "field required: a string or a list of content parts")
        return content

    def _assistant(self, message: JsonObject, path: str) -> tuple[Part, ...]:
        if message.get("audio") is not None:
            raise BodyInvalid(f"{path}.audio", "no audio is kept here; send what was said as the message's content")
        parts: list[Part] = []
        for key in ("reasoning_content", "reasoning"):
            thought = message.get(key)
            if type(thought) is str and thought:
                parts.append(Thinking(thought))
                break
        content = message.get("content")
        if content is not None:
            parts += read_content(content, f"{path}.content", self._reading)
        if message.get("refusal") is not None:
            parts.append(Text(string(message, "refusal", path)))
        calls = message.get("tool_calls")
        if calls is not None:
            if type(calls) is not list:
                raise BodyInvalid(f"{path}.tool_calls", f"must be a list, not {kind_of(calls)}")
            parts += [self._tool_call(call, f"{path}.tool_calls.{index}") for index, call in enumerate(calls)]
        if message.get("function_call") is not None:
            parts.append(self._function_call(message, path))
        return tuple(parts)

    def _tool_call(self, call: Json, path: str) -> ToolUse:
        if type(call) is not dict:
            raise BodyInvalid(path, f"must be a tool call (an object), not {kind_of(call)}")
        identifier = string(call, "id", path, filled=True)
        kind = call.get("type")
        if kind == "custom":
            custom = member(call, "custom", path)
            name = string(custom, "name", f"{path}.custom", filled=True)
            return ToolUse(identifier, name, {"input": string(custom, "input", f"{path}.custom")})
        if kind not in (None, "function"):
            raise BodyInvalid(f"{path}.type", 'must be "function" or "custom"')
        function = member(call, "function", path)
        name = string(function, "name", f"{path}.function", filled=True)
        where = f"{path}.function.arguments"
        return ToolUse(identifier, name, read_arguments(function.get("arguments"), where, self._reading))

    def _function_call(self, message: JsonObject, path: str) -> ToolUse:
        call, where = member(message, "function_call", path), f"{path}.function_call"
        name = string(call, "name", where, filled=True)
        identifier = f"function_call_{path.rpartition('.')[2]}"  # the older form has no ids; a call's place is its own
        self._function_calls.append((identifier, name))
        return ToolUse(identifier, name, read_arguments(call.get("arguments"), f"{where}.arguments", self._reading))

    def _tool_result(self, message: JsonObject, path: str) -> ToolResult:
        identifier = string(message, "tool_call_id", path, filled=True)
        content = message.get("content")
        return ToolResult(
            identifier, () if content is None else read_content(content, f"{path}.content", self._reading)
        )

    def _outcome(self, message: JsonObject, path: str) -> ToolResult:
        """A message of the role `function`: the result of the last call of that name that has none."""
        name = string(message, "name", path, filled=True)
        content = message.get("content")
        parts = () if content is None else read_content(content, f"{path}.content", self._reading)
        for index in reversed(range(len(self._function_calls))):
            if self._function_calls[index][1] == name:
                return ToolResult(self._function_calls.pop(index)[0], parts)
        return ToolResult(f"function_{path.rpartition('.')[2]}", parts)


def _system_turn(texts: Sequence[str], path: str) -> Turn:
    return Turn("system", tuple(Text(text) for text in texts), path)
