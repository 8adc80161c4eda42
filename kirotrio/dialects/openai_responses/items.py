"""Input items as the turns of a conversation (CLIENTS A and B 5.2).

A turn gathers the items of one side: what an answer thought, said and called is one turn of the assistant, the outputs
of its calls are one turn of the user. Outputs that share a call's id become one result. Calls that a service ran by
itself stay as such, and what nobody here can read (another service's summaries) is noted and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import orjson
from attrs import field

from kirotrio.classes import define
from kirotrio.conversation.request import (
    Json,
    Part,
    Role,
    ServerToolResult,
    ServerToolUse,
    Text,
    ToolResult,
    ToolUse,
    Turn,
)
from kirotrio.dialects.call_arguments import read_arguments
from kirotrio.dialects.fields import optional_list, optional_object, optional_string, string
from kirotrio.dialects.openai_responses.bridges import BridgeKind, typed_arguments
from kirotrio.dialects.openai_responses.content import (
    ContentParts,
    read_content,
    read_image,
    read_texts,
)
from kirotrio.dialects.openai_responses.hosted import HOSTED, hosted_id
from kirotrio.dialects.openai_responses.reasoning import unseal
from kirotrio.dialects.openai_responses.tools import Toolbox
from kirotrio.dialects.reading import Reading, kind_of
from kirotrio.dialects.structure import JsonObject
from kirotrio.errors import BodyInvalid

_ROLES: Final[Mapping[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}


def item_type(item: JsonObject) -> Json:
    """The item's type, also where the API lets it be left out (messages, references)."""
    kind = item.get("type")
    if kind is None:
        return "message" if "role" in item else "item_reference" if "id" in item else None
    return kind


@define
class _Draft:
    role: Role
    path: str
    parts: list[Part]
    outputs: bool = False


@define
class Transcript:
    """Takes items in order. `settings` holds what items have set for the answers after them."""

    reading: Reading
    tools: Toolbox
    referenced: Mapping[str, JsonObject]
    system: list[str] = field(factory=list)
    settings: JsonObject = field(factory=dict)
    _drafts: list[_Draft] = field(factory=list)
    _results: dict[str, tuple[list[Part], int]] = field(factory=dict)
    _shell_calls: dict[str, str] = field(factory=dict)
    """The id of a local shell call's item → that of the call: its output names either."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        return tuple(Turn(draft.role, tuple(draft.parts), draft.path) for draft in self._drafts)

    def read(self, items: Sequence[Json], path: str) -> list[JsonObject]:
        """Adds the items; gives them back with references replaced by what they refer to. Raises BodyInvalid."""
        resolved: list[JsonObject] = []
        for index, item in enumerate(items):
            here = f"{path}.{index}"
            if type(item) is not dict:
                raise BodyInvalid(here, f"must be an input item (an object with a type), not {kind_of(item)}")
            kind = item_type(item)
            if kind == "item_reference":
                name = string(item, "id", here, filled=True)
                known = self.referenced.get(name)
                if known is None:
                    raise BodyInvalid(f"{here}.id", f"no item {name[:80]!r} is stored here; send the item itself")
                item, kind = known, item_type(known)
            if type(kind) is not str:
                raise BodyInvalid(f"{here}.type", 'must be a string that names the item type, such as "message"')
            resolved.append(item)
            read = _ITEMS.get(kind)
            if read is None:
                self.reading.note(here, f"input item type {kind[:80]!r} is not known here: left out")
                continue
            if not item.keys() <= _FIELDS:
                self.reading.note_unknown(here, item, _FIELDS, f"a {kind} item")
            read(self, item, here)
        return resolved

    # What the sides say

    def _message(self, item: JsonObject, path: str) -> None:
        role = _ROLES.get(string(item, "role", path))
        where = f"{path}.content"
        if role is None:
            raise BodyInvalid(f"{path}.role", f"must be one of {', '.join(_ROLES)}")
        if role == "system":
            texts = read_texts(item.get("content"), where, self.reading)
            if self._drafts:
                self._drafts.append(_Draft("system", path, [Text(text) for text in texts]))
            else:
                self.system += texts
            return
        parts = read_content(item.get("content"), where, self.reading)
        if role == "user":
            self._drafts.append(_Draft("user", path, [*parts]))
            return
        last = self._drafts[-1] if self._drafts else None
        if last is not None and last.role == "assistant" and last.parts and isinstance(last.parts[-1], Text):
            # Two messages are two texts, while texts that follow each other in one turn are one.
            self._drafts.append(_Draft("assistant", path, [*parts]))
        else:
            self._assistant(path, *parts)

    def _reasoning(self, item: JsonObject, path: str) -> None:
        self.reading.thinking_seen = True
        encrypted = optional_string(item, "encrypted_content", path) or ""
        said = [
            text
            for key in ("content", "summary")
            if (text := "\n\n".join(read_texts(optional_list(item, key, path), f"{path}.{key}", self.reading)))
        ]
        if said or encrypted:
            self._assistant(path, unseal(said[0] if said else "", encrypted))

    def _assistant(self, path: str, *parts: Part) -> None:
        if not self._drafts or self._drafts[-1].role != "assistant":
            self._drafts.append(_Draft("assistant", path, []))
        self._drafts[-1].parts += parts

    # Calls and their outputs

    def _call(self, path: str, call_id: str, name: str, arguments: Mapping[str, Json]) -> None:
        self._results.pop(call_id, None)  # what follows is the output of this call, not of an earlier one
        self._assistant(path, ToolUse(call_id, name, arguments))

    def _output(self, path: str, call_id: str, content: ContentParts, *, failed: bool = False) -> None:
        held = self._results.get(call_id)
        if held is not None:
            parts, index = held
            first = cast(ToolResult, parts[index])
            parts[index] = ToolResult(call_id, (*first.content, *content), first.is_error or failed)
            return
        if not self._drafts or not self._drafts[-1].outputs:
            self._drafts.append(_Draft("user", path, [], outputs=True))
        parts = self._drafts[-1].parts
        self._results[call_id] = (parts, len(parts))
        parts.append(ToolResult(call_id, content, failed))

    def _function_call(self, item: JsonObject, path: str) -> None:
        name = string(item, "name", path, filled=True)
        own = self.tools.name_of(name, optional_string(item, "namespace", path))
        arguments = read_arguments(item.get("arguments"), f"{path}.arguments", self.reading)
        self._call(path, string(item, "call_id", path, filled=True), own, arguments)

    def _custom_call(self, item: JsonObject, path: str) -> None:
        name = string(item, "name", path, filled=True)
        own = self.tools.name_of(name, optional_string(item, "namespace", path))
        self._call(path, string(item, "call_id", path, filled=True), own, {"input": string(item, "input", path)})

    def _typed_call(self, item: JsonObject, path: str, kind: BridgeKind, members: Mapping[str, Json]) -> None:
        call_id = string(item, "call_id", path, filled=True)
        if kind == "local_shell" and type(item.get("id")) is str:
            self._shell_calls[item["id"]] = call_id
        self._call(path, call_id, self.tools.name_of(kind, kind=kind), members)

    def _local_shell_call(self, item: JsonObject, path: str) -> None:
        self._typed_call(item, path, "local_shell", typed_arguments(_required(item, "action", path), "type"))

    def _shell_call(self, item: JsonObject, path: str) -> None:
        self._typed_call(item, path, "shell", typed_arguments(_required(item, "action", path)))

    def _apply_patch_call(self, item: JsonObject, path: str) -> None:
        self._typed_call(item, path, "apply_patch", typed_arguments(_required(item, "operation", path)))

    def _computer_call(self, item: JsonObject, path: str) -> None:
        call_id = string(item, "call_id", path, filled=True)
        actions = {key: item[key] for key in ("action", "actions") if item.get(key) is not None}
        self._call(path, call_id, self.tools.name_of("computer"), actions)

    def _tool_search_call(self, item: JsonObject, path: str) -> None:
        arguments = read_arguments(item.get("arguments"), f"{path}.arguments", self.reading)
        if item.get("call_id") is None:
            self._assistant(path, ServerToolUse(hosted_id(item, path), "tool_search", arguments))
        else:
            self._typed_call(item, path, "tool_search", arguments)

    def _function_output(self, item: JsonObject, path: str) -> None:
        content, failed = self._read_output(item.get("output"), f"{path}.output")
        if item.get("call_id") is None and item.get("name") is not None:
            self.reading.note(path, "an output without a call_id: carried as what the user says")
            self._drafts.append(_Draft("user", path, [*content]))
            return
        self._output(path, string(item, "call_id", path, filled=True), content, failed=failed)

    def _read_output(self, output: Json, path: str) -> tuple[ContentParts, bool]:
        """Also in the form of older Codex versions, which say whether the call went well."""
        if type(output) is dict and "content" in output:
            failed = output.get("success") is False
            return read_content(output["content"], f"{path}.content", self.reading), failed
        return read_content(output, path, self.reading), False

    def _local_shell_output(self, item: JsonObject, path: str) -> None:
        named = optional_string(item, "call_id", path) or string(item, "id", path, filled=True)
        content, failed = self._read_output(item.get("output"), f"{path}.output")
        self._output(path, self._shell_calls.get(named, named), content, failed=failed)

    def _shell_output(self, item: JsonObject, path: str) -> None:
        if type(item.get("output")) is str:
            content: ContentParts = (Text(item["output"]),)
        else:
            content = tuple(
                Text(_dump(chunk, f"{path}.output.{index}"))
                for index, chunk in enumerate(optional_list(item, "output", path))
            )
        self._output(path, string(item, "call_id", path, filled=True), content)

    def _patch_output(self, item: JsonObject, path: str) -> None:
        said = optional_string(item, "output", path)
        content: ContentParts = () if said is None else (Text(said),)
        call_id = string(item, "call_id", path, filled=True)
        self._output(path, call_id, content, failed=item.get("status") == "failed")

    def _computer_output(self, item: JsonObject, path: str) -> None:
        content = (read_image(_required(item, "output", path), f"{path}.output"),)
        self._output(path, string(item, "call_id", path, filled=True), content)

    def _tool_search_output(self, item: JsonObject, path: str) -> None:
        found = self.tools.add_all(optional_list(item, "tools", path), f"{path}.tools", again=True)
        if item.get("call_id") is not None:
            said = f"Tools that are available now: {', '.join(found)}" if found else "No tool was found."
            self._output(path, string(item, "call_id", path, filled=True), (Text(said),))

    def _hosted(self, item: JsonObject, path: str) -> None:
        self._assistant(path, *HOSTED[item["type"]](item, path, self.reading))

    def _mcp_approval_response(self, item: JsonObject, path: str) -> None:
        answered = string(item, "approval_request_id", path)
        said = {key: item[key] for key in ("approve", "reason") if item.get(key) is not None}
        self._drafts.append(_Draft("user", path, [ServerToolResult(answered, item["type"], said)]))

    # What changes the request

    def _additional_tools(self, item: JsonObject, path: str) -> None:
        self.tools.add_all(optional_list(item, "tools", path), f"{path}.tools", again=True)

    def _configuration_update(self, item: JsonObject, path: str) -> None:
        reasoning = optional_object(item, "reasoning", path)
        if "effort" in reasoning:
            self.settings["effort"] = reasoning["effort"]
        text = optional_object(item, "text", path)
        if text.get("format") is not None:
            self.settings["format"] = (text["format"], f"{path}.text.format")

    def _compaction_trigger(self, item: JsonObject, path: str) -> None:
        raise BodyInvalid(path, "a conversation cannot be compacted here; ask for a summary in a message instead")

    def _left_out(self, item: JsonObject, path: str) -> None:
        self.reading.note(path, f"a {item['type']} item has nothing that the upstream could be told: left out")


def _required(item: JsonObject, key: str, path: str) -> JsonObject:
    if item.get(key) is None:
        raise BodyInvalid(f"{path}.{key}", "field required: an object")
    return optional_object(item, key, path)


def _dump(value: Any, path: str) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        raise BodyInvalid(path, "must be plain JSON") from None


ItemReader: TypeAlias = Callable[[Transcript, JsonObject, str], None]
_ITEMS: Final[Mapping[str, ItemReader]] = {
    "message": Transcript._message,
    "reasoning": Transcript._reasoning,
    "function_call": Transcript._function_call,
    "function_call_output": Transcript._function_output,
    "custom_tool_call": Transcript._custom_call,
    "custom_tool_call_output": Transcript._function_output,
    "local_shell_call": Transcript._local_shell_call,
    "local_shell_call_output": Transcript._local_shell_output,
    "shell_call": Transcript._shell_call,
    "shell_call_output": Transcript._shell_output,
    "apply_patch_call": Transcript._apply_patch_call,
    "apply_patch_call_output": Transcript._patch_output,
    "computer_call": Transcript._computer_call,
    "computer_call_output": Transcript._computer_output,
    "tool_search_call": Transcript._tool_search_call,
    "tool_search_output": Transcript._tool_search_output,
    **dict.fromkeys(HOSTED, Transcript._hosted),
    "mcp_approval_response": Transcript._mcp_approval_response,
    "additional_tools": Transcript._additional_tools,
    "configuration_update": Transcript._configuration_update,
    "compaction_trigger": Transcript._compaction_trigger,
    "compaction": Transcript._left_out,
    "compaction_summary": Transcript._left_out,
    "mcp_list_tools": Transcript._left_out,
    "ghost_snapshot": Transcript._left_out,
}
_FIELDS: Final = frozenset(
    {
        *("type", "id", "status", "role", "content", "phase", "summary", "encrypted_content", "created_by"),
        *("call_id", "name", "namespace", "arguments", "input", "output", "caller", "async", "action", "actions"),
        *("operation", "environment", "max_output_length", "execution", "tools", "queries", "results", "code"),
        *("container_id", "outputs", "result", "revised_prompt", "output_format", "server_label", "error", "approve"),
        *("approval_request_id", "reason", "fingerprint", "pending_safety_checks", "acknowledged_safety_checks"),
        *("reasoning", "text", "background", "quality", "size", "svg_usage", "ghost_commit"),
    }
)
"""Fields of the newest SDK types and of Codex; those not read above change nothing that the upstream could be told."""
