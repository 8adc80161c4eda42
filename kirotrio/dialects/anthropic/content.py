"""Content blocks of Anthropic messages as parts of a turn.

Read by hand, one function per block type, since this is where a large body spends its time; the path of a block
is known while it is read, so that what is wrong needs no second pass. A block type that nobody here knows is
noted and left out: guessing at its meaning would put words into the conversation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

import orjson

from kirotrio.conversation.request import (
    Document,
    Json,
    Part,
    RedactedThinking,
    RemoteFile,
    ResultPart,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolReference,
    ToolResult,
    ToolUse,
)
from kirotrio.dialects.fields import optional_string, string, typed_entries
from kirotrio.dialects.media import checked_address, checked_base64, document_of, image_of
from kirotrio.dialects.reading import Reading, kind_of
from kirotrio.dialects.structure import JsonObject
from kirotrio.errors import BodyInvalid

Parts: TypeAlias = tuple[Part, ...]
BlockReader: TypeAlias = Callable[[JsonObject, str, Reading], Parts]


def read_parts(content: Json, path: str, reading: Reading) -> Parts:
    """A message's `content`: a string or a list of blocks. Raises BodyInvalid with the path of what is wrong."""
    if type(content) is str:
        return (Text(content),)
    return _read_blocks(content, path, reading, _BLOCKS)


def read_texts(content: Json, path: str, reading: Reading) -> tuple[str, ...]:
    """`system`: a string or a list of text blocks. Raises BodyInvalid."""
    if type(content) is str:
        return (content,)
    parts = _read_blocks(content, path, reading, _TEXT_BLOCKS)
    return tuple(part.text for part in parts if isinstance(part, Text))


def _read_blocks(content: Json, path: str, reading: Reading, readers: dict[str, BlockReader]) -> Parts:
    parts: list[Part] = []
    for here, kind, block in typed_entries(content, path, "content block", "text"):
        read = readers.get(kind)
        if read is not None:
            known = _FIELDS[kind]
            if not block.keys() <= known:
                reading.note_unknown(here, block, known, f"a {kind} block")
            parts += read(block, here, reading)
        elif kind.endswith("_tool_result") and readers is _BLOCKS:
            parts.append(_server_tool_result(block, here))
        else:
            reading.note(here, f"content block type {kind[:80]!r} is not known here: left out")
    return tuple(parts)


def _input(block: JsonObject, path: str) -> JsonObject:
    value = block.get("input")
    if value is None:  # the one case where `{}` may stand for what is absent
        return {}
    if type(value) is not dict:
        raise BodyInvalid(f"{path}.input", f"must be an object, not {kind_of(value)}")
    return value


def _text(block: JsonObject, path: str, _: Reading) -> Parts:
    return (Text(string(block, "text", path)),)


def _thinking(block: JsonObject, path: str, reading: Reading) -> Parts:
    reading.thinking_seen = True
    return (Thinking(string(block, "thinking", path), optional_string(block, "signature", path) or ""),)


def _redacted_thinking(block: JsonObject, path: str, reading: Reading) -> Parts:
    reading.thinking_seen = True
    return (RedactedThinking(string(block, "data", path)),)


def _tool_use(block: JsonObject, path: str, _: Reading) -> Parts:
    name = string(block, "name", path, filled=True)
    return (ToolUse(string(block, "id", path, filled=True), name, _input(block, path)),)


def _server_tool_use(block: JsonObject, path: str, _: Reading) -> Parts:
    name = string(block, "name", path, filled=True)
    return (ServerToolUse(string(block, "id", path, filled=True), name, _input(block, path)),)


def _server_tool_result(block: JsonObject, path: str) -> Part:
    return ServerToolResult(string(block, "tool_use_id", path, filled=True), block["type"], block.get("content"))


def _tool_result(block: JsonObject, path: str, reading: Reading) -> Parts:
    tool_use_id = string(block, "tool_use_id", path, filled=True)
    content = block.get("content")
    is_error = block.get("is_error")
    if is_error is not None and type(is_error) is not bool:
        raise BodyInvalid(f"{path}.is_error", f"must be true or false, not {kind_of(is_error)}")
    parts: Parts
    if type(content) is str:
        parts = (Text(content),)
    else:
        parts = () if content is None else _read_blocks(content, f"{path}.content", reading, _RESULT_BLOCKS)
    return (ToolResult(tool_use_id, cast("tuple[ResultPart, ...]", parts), bool(is_error)),)


def _tool_reference(block: JsonObject, path: str, _: Reading) -> Parts:
    # The type system says Part; the cast in `_tool_result` is where it becomes the ResultPart that it is.
    return (cast(Part, ToolReference(string(block, "tool_name", path, filled=True))),)


def _image(block: JsonObject, path: str, _: Reading) -> Parts:
    source = _source(block, path, "image", "image/png")
    where = f"{path}.source"
    if source.get("type") == "url":
        return (RemoteFile(checked_address(string(source, "url", where), f"{where}.url"), "image", path=where),)
    if source.get("type") != "base64":
        raise BodyInvalid(f"{where}.type", 'must be "base64" or "url"')
    media_type, data = string(source, "media_type", where), string(source, "data", where)
    return (image_of(media_type, checked_base64(data, f"{where}.data"), f"{where}.media_type"),)


def _document(block: JsonObject, path: str, reading: Reading) -> Parts:
    title = optional_string(block, "title", path)
    context = optional_string(block, "context", path)
    source = _source(block, path, "document", "application/pdf")
    where = f"{path}.source"
    kind = source.get("type")
    if kind == "text":
        return (Document("text/plain", string(source, "data", where), title, context),)
    if kind == "url":
        address = checked_address(string(source, "url", where), f"{where}.url")
        return (RemoteFile(address, "document", title, context, where),)
    if kind == "base64":
        media_type = string(source, "media_type", where, filled=True)
        data = string(source, "data", where)
        return (document_of(media_type, data, f"{where}.data", title=title, context=context),)
    if kind != "content":
        raise BodyInvalid(f"{where}.type", 'must be "base64", "text", "content" or "url"')
    inner = source.get("content")
    if type(inner) is str:
        return (Document("text/plain", inner, title, context),)
    parts: list[Part] = []
    for part in _read_blocks(inner, f"{where}.content", reading, _SOURCE_BLOCKS):
        if isinstance(part, Text):
            # The first piece carries the names; images between texts keep their place.
            first = not any(isinstance(earlier, Document) for earlier in parts)
            part = Document("text/plain", part.text, title if first else None, context if first else None)
        parts.append(part)
    return tuple(parts)


def _source(block: JsonObject, path: str, what: str, example: str) -> JsonObject:
    source = block.get("source")
    if type(source) is not dict:
        raise BodyInvalid(
            f"{path}.source",
            "field required: an object" if source is None else f"must be an object, not {kind_of(source)}",
        )
    if source.get("type") == "file":
        raise BodyInvalid(
            f"{path}.source",
            f"{what} sources by file id are not supported: there is no store of files here; send the {what} itself: "
            f'{{"type": "base64", "media_type": "{example}", "data": "…"}}',
        )
    return source


def _search_result(block: JsonObject, path: str, reading: Reading) -> Parts:
    head = [string(block, "title", path), f"Source: {string(block, 'source', path)}"]
    texts = _read_blocks(block.get("content"), f"{path}.content", reading, _TEXT_BLOCKS)
    return (Text("\n".join([*head, "", *(part.text for part in texts if isinstance(part, Text))])),)


def _browser_state(block: JsonObject, path: str, reading: Reading) -> Parts:
    reading.note(path, "a browser_state block is carried as the JSON text that it is")
    state = {key: block[key] for key in ("tabs", "state_changes") if block.get(key) is not None}
    try:
        return (Text(orjson.dumps(state).decode()),)
    except TypeError:
        raise BodyInvalid(path, "must be plain JSON") from None


def _compaction(block: JsonObject, path: str, reading: Reading) -> Parts:
    """A summary that stands for the messages it replaced: dropping it would lose them."""
    summary = optional_string(block, "content", path)
    changes = block.get("tool_changes")
    if changes is not None:
        _read_blocks(changes, f"{path}.tool_changes", reading, _TOOL_CHANGES)
    if not summary:
        reading.note(path, "a compaction block without readable content: left out")
        return ()
    return (Text(summary),)


def _tool_change(block: JsonObject, path: str, reading: Reading) -> Parts:
    if type(block.get("tool")) is not dict:
        raise BodyInvalid(f"{path}.tool", "field required: an object that names or defines a tool")
    reading.tool_changes.append((path, block))
    return ()


def _left_out(block: JsonObject, path: str, reading: Reading) -> Parts:
    reading.note(path, f"a {block['type']} block has nothing that the upstream could be told: left out")
    return ()


_TEXT_BLOCKS: dict[str, BlockReader] = {"text": _text}
_SOURCE_BLOCKS: dict[str, BlockReader] = {"text": _text, "image": _image}
_TOOL_CHANGES: dict[str, BlockReader] = {"tool_addition": _tool_change, "tool_removal": _tool_change}
_RESULT_BLOCKS: dict[str, BlockReader] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_reference": _tool_reference,
    "browser_state": _browser_state,
}
_BLOCKS: dict[str, BlockReader] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted_thinking,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "server_tool_use": _server_tool_use,
    "mcp_tool_use": _server_tool_use,
    "compaction": _compaction,
    "container_upload": _left_out,
    "mcp_tool_listing": _left_out,
    "fallback": _left_out,
    **_TOOL_CHANGES,
}

_FIELDS: dict[str, frozenset[str]] = {
    kind: frozenset({"type", "cache_control", *fields.split()})
    for kind, fields in {
        "text": "text citations parsed_output",
        "image": "source transformations",
        "document": "source citations context title",
        "search_result": "content source title citations",
        "thinking": "thinking signature",
        "redacted_thinking": "data",
        "tool_use": "id input name caller toolset_name",
        "tool_result": "tool_use_id content is_error toolset_name",
        "tool_reference": "tool_name",
        "browser_state": "tabs state_changes",
        "server_tool_use": "id input name caller",
        "mcp_tool_use": "id input name server_name",
        "compaction": "content encrypted_content signature tool_changes",
        "container_upload": "file_id",
        "mcp_tool_listing": "mcp_server_name tools",
        "fallback": "from to trigger",
        "tool_addition": "tool",
        "tool_removal": "tool",
    }.items()
}
"""The fields of the newest SDK types; all but those read above change nothing that the upstream could be told."""
