"""Tools that the client knows in another form than as a function with JSON arguments, and the way there and back.

Upstream knows only such functions. A free-form tool becomes one with a single string; the shells, the patch tool and
the client's own tool search become ones with the members of their calls. A call of the answer leaves as the item that
the client waits for, and comes back in the history as the call that it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs
import orjson

from kirotrio.classes import frozen
from kirotrio.conversation.request import Json
from kirotrio.dialects.structure import JsonObject, structure
from kirotrio.dialects.text_json import mended
from kirotrio.errors import BodyInvalid

BridgeKind: TypeAlias = Literal["function", "custom", "local_shell", "shell", "apply_patch", "tool_search"]


@frozen
class Bridge:
    """How a call of one tool leaves: as a `kind` of item, under the client's own `name` and `namespace`."""

    kind: BridgeKind
    name: str
    namespace: str | None = None


@frozen
class LocalShellArguments:
    command: list[str]
    working_directory: str | None = None
    timeout_ms: int | None = None
    env: JsonObject = attrs.field(factory=dict)
    user: str | None = None


@frozen
class ShellArguments:
    commands: list[str]
    timeout_ms: int | None = None
    max_output_length: int | None = None


@frozen
class PatchArguments:
    type: str
    path: str
    diff: str | None = None


@frozen
class TypedTool:
    """A tool that a client names by its type alone: what the model is told about it, since the type says it nothing."""

    description: str
    schema: Mapping[str, Json]


def _object(required: tuple[str, ...], **properties: Json) -> JsonObject:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_WORDS: Final = {"type": "array", "items": {"type": "string"}}
_TIMEOUT: Final = {"type": "integer", "description": "Milliseconds after which the command is ended."}

TYPED_TOOLS: Final[Mapping[BridgeKind, TypedTool]] = {
    "local_shell": TypedTool(
        "Runs a command on the user's machine and returns its output.",
        _object(
            ("command",),
            command={**_WORDS, "description": 'The program and its arguments, such as ["bash", "-lc", "ls -la"].'},
            working_directory={"type": "string", "description": "The folder to run it in."},
            timeout_ms=_TIMEOUT,
            env={"type": "object", "description": "Environment variables to set.", "properties": {}},
        ),
    ),
    "shell": TypedTool(
        "Runs shell commands on the user's machine, one after the other, and returns their output.",
        _object(
            ("commands",),
            commands={**_WORDS, "description": "Command lines for the shell, in order."},
            timeout_ms=_TIMEOUT,
            max_output_length={"type": "integer", "description": "Characters of output to return at most."},
        ),
    ),
    "apply_patch": TypedTool(
        "Creates, updates or deletes one file of the user's workspace.",
        _object(
            ("type", "path"),
            type={"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
            path={"type": "string", "description": "The file, relative to the workspace's root."},
            diff={
                "type": "string",
                "description": "The change in the V4A diff format; for a new file every line with a leading +. "
                "Left out for delete_file.",
            },
        ),
    ),
    "tool_search": TypedTool(
        "Searches for further tools and makes those found available.",
        _object(("query",), query={"type": "string", "description": "What the tool shall be able to do."}),
    ),
}

CUSTOM_SCHEMA: Final = _object(
    ("input",), input={"type": "string", "description": "The whole input of the tool, as plain text."}
)


def call_item(bridge: Bridge, call_id: str, arguments: str) -> JsonObject:
    """The output item of a call, but for its id and status. `arguments` is the text of a JSON object, or "".

    Where the item has no place for such arguments, the call leaves as one of a function by the tool's name: the client
    then sees what was generated, and can say what is wrong with it.
    """
    named: JsonObject = {"name": mended(bridge.name)}
    if bridge.namespace is not None:
        named["namespace"] = mended(bridge.namespace)
    function = {"type": "function_call", "call_id": call_id, **named, "arguments": mended(arguments or "{}")}
    if bridge.kind == "function":
        return function
    given = orjson.loads(arguments or "{}")
    if bridge.kind == "custom":
        # What the model wrote, in whatever wrapping: the tool itself says best what it does not understand.
        text = given.get("input", arguments if given else "")
        return {
            "type": "custom_tool_call",
            "call_id": call_id,
            **named,
            "input": text if isinstance(text, str) else mended(arguments),
        }
    if bridge.kind == "tool_search":
        return {"type": "tool_search_call", "call_id": call_id, "execution": "client", "arguments": given}
    try:
        return {"call_id": call_id, **_typed_call(bridge.kind, given)}
    except BodyInvalid:
        return function


def _typed_call(kind: BridgeKind, given: Any) -> JsonObject:
    if kind == "local_shell":
        action = attrs.asdict(structure(given, LocalShellArguments))
        if not all(type(value) is str for value in action["env"].values()):
            raise BodyInvalid("env", "must hold strings")
        return {"type": "local_shell_call", "action": {"type": "exec", **action}}
    if kind == "shell":
        return {
            "type": "shell_call",
            "action": attrs.asdict(structure(given, ShellArguments)),
            "environment": {"type": "local"},
        }
    patch = structure(given, PatchArguments)
    if patch.type not in ("create_file", "update_file", "delete_file"):
        raise BodyInvalid("type", "names no change of a file")
    operation = {"type": patch.type, "path": patch.path}
    if patch.type != "delete_file":
        if patch.diff is None:
            raise BodyInvalid("diff", "field required")
        operation["diff"] = patch.diff
    return {"type": "apply_patch_call", "operation": operation}


def typed_arguments(members: JsonObject, *left_out: str) -> JsonObject:
    """The arguments that such a call was made with, from the members of its item."""
    return {key: value for key, value in members.items() if value is not None and key not in left_out}
