"""How parts without an equivalent upstream are put into text or into `images` (KIRO_PROTOCOL 2.3, 2.8, section 9).

Every function returns what is to be sent and, where something could not be carried over, a sentence about it; the
caller knows the path and makes the diagnostic.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import orjson

from kirotrio.conversation.request import Document, Image, Json, RemoteFile, ServerToolResult, ServerToolUse
from kirotrio.conversation.snippets import unseal
from kirotrio.kiro.wellformed import quoted, repair_json, repair_text

EMPTY_RESULT = "(empty result)"
EMPTY_ASSISTANT = "(empty)"
EMPTY_USER = "(no text)"
MOVED_RESULT = "(the result of a tool call, placed above, directly after its call)"
CONTINUE = "Continue exactly where your last message ended."
"""Fillers: upstream rejects a message without text (KIRO_PROTOCOL 2.8)."""

FAILED_RESULT = "[the tool call failed]"
"""Ahead of a failed result, since `status` never reaches the model (KIRO_PROTOCOL 2.4)."""
MISSING_RESULT = "[the tool call was interrupted: there is no result]"

_LEFT_OUT = "(content not transmitted)"

IMAGE_FORMATS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}

_TEXTUAL_TYPES = frozenset(
    {
        "application/json",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/javascript",
        "application/sql",
    }
)
"""Types outside `text/` whose bytes are nevertheless text."""


def _essence(media_type: str) -> str:
    """`image/png` of `Image/PNG; x=y`."""
    return media_type.partition(";")[0].strip().lower()


def is_textual(media_type: str) -> bool:
    """Whether it is one of the types outside `text/` that are text nevertheless."""
    return _essence(media_type) in _TEXTUAL_TYPES


def image_block(image: Image) -> tuple[dict[str, Any] | None, str]:
    """The `images[]` entry, or None and why there is none."""
    kind = IMAGE_FORMATS.get(_essence(image.media_type))
    if kind is None:
        return None, f"images of type {image.media_type!r} are not supported upstream (png, jpeg, gif and webp are)"
    if not image.data:
        return None, "the image has no data"
    return {"format": kind, "source": {"bytes": image.data}}, ""


def image_placeholder(image: Image) -> str:
    """What stands in the text where an image could not be sent."""
    return f"[image of type {repair_text(image.media_type) or 'unknown'}: not transmitted]"


def remote_placeholder(file: RemoteFile) -> str:
    """What stands in the text for a file that was not fetched."""
    return f"[{file.kind} at {repair_text(file.url)}: not transmitted]"


def _document_text(document: Document) -> str | None:
    if document.is_text:
        return document.data
    if is_textual(document.media_type):
        try:
            return base64.b64decode(document.data, validate=True).decode()
        except (binascii.Error, ValueError):
            return None
    return None


def document_text(document: Document) -> tuple[str, str]:
    """A document as text; the second value is empty unless its content could not be carried over.

    The `documents` member is in none of the service's models (KIRO_PROTOCOL 2.3), so only what is text is sent.
    """
    title = f" title={quoted(repair_text(document.title))}" if document.title else ""
    context = f"<context>{repair_text(document.context)}</context>\n" if document.context else ""
    text = _document_text(document)
    if text is not None:
        return f"<document{title}>\n{context}{repair_text(text)}\n</document>", ""
    kind = repair_text(document.media_type)
    return (
        f"<document{title} type={quoted(kind)}>\n{context}{_LEFT_OUT}\n</document>",
        f"documents of type {kind} cannot be sent upstream; only the document's name and context were",
    )


def _compact(value: Json) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # lone surrogates, or nested more deeply than orjson goes
        return json.dumps(repair_json(value), ensure_ascii=False)


def server_use_text(use: ServerToolUse) -> str:
    return f"<server_tool_use name={quoted(repair_text(use.name))}>{_compact(use.input)}</server_tool_use>"


def server_result_text(result: ServerToolResult) -> str:
    """The result of a server tool; what a search or a fetch found as text, anything else as its JSON.

    The opaque `encrypted_content` of a search result holds its text where it is of our own making; another service's
    means nothing here and is left out.
    """
    content = result.content
    if isinstance(content, list) and content and all(isinstance(item, dict) and "url" in item for item in content):
        body = "\n".join(map(_found_text, content))
    elif isinstance(content, str):
        body = content
    else:
        body = _fetched_text(content) or _compact(content)
    kind = quoted(repair_text(result.kind))
    return f"<server_tool_result type={kind}>\n{repair_text(body)}\n</server_tool_result>"


def _found_text(item: dict[str, Json]) -> str:
    """One search result: a line that names it, then the text that was found."""
    head = " ".join(str(item[key]) for key in ("title", "url", "page_age") if item.get(key))
    snippet = unseal(item.get("encrypted_content"))
    return f"{head}\n{snippet}" if snippet else head


def _fetched_text(content: Json) -> str | None:
    """A fetched page or file: a line that names it, then its text, or a note where it is no text; None for the rest."""
    document = content.get("content") if isinstance(content, dict) else None
    if not isinstance(document, dict):
        return None
    source = document.get("source")
    if not isinstance(source, dict) or not isinstance(source.get("data"), str):
        return None
    if source.get("type") == "text":
        text = source["data"]
    elif source.get("type") == "base64":
        text = _LEFT_OUT
    else:
        return None
    head = " ".join(str(part) for part in (document.get("title"), content.get("url")) if part)
    return f"{head}\n{text}"


def reference_text(tool_name: str) -> str:
    return f"[tool loaded: {repair_text(tool_name)}]"
