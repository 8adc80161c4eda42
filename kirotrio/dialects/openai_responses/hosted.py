"""Items of calls that a service ran by itself, as parts of the assistant's turn: the call, and what it brought."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from kirotrio.conversation.request import Json, Part, ServerToolResult, ServerToolUse
from kirotrio.dialects.call_arguments import read_arguments
from kirotrio.dialects.fields import optional_object, optional_string, string
from kirotrio.dialects.media import checked_base64, image_of
from kirotrio.dialects.openai_responses.bridges import typed_arguments
from kirotrio.dialects.reading import Reading
from kirotrio.dialects.structure import JsonObject

Parts: TypeAlias = tuple[Part, ...]


def hosted_id(item: JsonObject, path: str) -> str:
    """The item's own id, or whatever else tells it from others."""
    return optional_string(item, "id", path) or optional_string(item, "call_id", path) or path


def _ran(item: JsonObject, path: str, name: str, arguments: Mapping[str, Json], *results: Json) -> Parts:
    own = hosted_id(item, path)
    brought = (ServerToolResult(own, item["type"], result) for result in results if result is not None and result != [])
    return (ServerToolUse(own, name, arguments), *brought)


def _web_search(item: JsonObject, path: str, _: Reading) -> Parts:
    action = optional_object(item, "action", path)
    asked = typed_arguments(action, "sources", *(["type"] if action.get("type") == "search" else []))
    return _ran(item, path, "web_search", asked, action.get("sources"), item.get("results"))


def _file_search(item: JsonObject, path: str, _: Reading) -> Parts:
    return _ran(item, path, "file_search", {"queries": item.get("queries")}, item.get("results"))


def _code_interpreter(item: JsonObject, path: str, _: Reading) -> Parts:
    return _ran(item, path, "code_interpreter", {"code": item.get("code")}, item.get("outputs"))


def _image_generation(item: JsonObject, path: str, _: Reading) -> Parts:
    ran = _ran(item, path, "image_generation", typed_arguments({"prompt": item.get("revised_prompt")}))
    result, form = item.get("result"), item.get("output_format") or "png"
    if type(result) is str and result and form in ("png", "webp", "jpeg", "gif"):
        return (*ran, image_of(f"image/{form}", checked_base64(result, f"{path}.result"), path))
    return ran


def _mcp(item: JsonObject, path: str, reading: Reading) -> Parts:
    arguments = read_arguments(item.get("arguments"), f"{path}.arguments", reading)
    return _ran(item, path, _mcp_name(item, path), arguments, item.get("output"), item.get("error"))


def _mcp_approval(item: JsonObject, path: str, reading: Reading) -> Parts:
    arguments = read_arguments(item.get("arguments"), f"{path}.arguments", reading)
    return _ran(item, path, "mcp_approval_request", {"tool": _mcp_name(item, path), "arguments": arguments})


def _mcp_name(item: JsonObject, path: str) -> str:
    return f"{string(item, 'server_label', path)}.{string(item, 'name', path)}"


def _program(item: JsonObject, path: str, _: Reading) -> Parts:
    return _ran(item, path, "program", {"code": item.get("code")})


def _program_output(item: JsonObject, path: str, _: Reading) -> Parts:
    return (ServerToolResult(hosted_id(item, path), item["type"], item.get("result")),)


HOSTED: Final[Mapping[str, Callable[[JsonObject, str, Reading], Parts]]] = {
    "web_search_call": _web_search,
    "file_search_call": _file_search,
    "code_interpreter_call": _code_interpreter,
    "image_generation_call": _image_generation,
    "mcp_call": _mcp,
    "mcp_approval_request": _mcp_approval,
    "program": _program,
    "program_output": _program_output,
}
