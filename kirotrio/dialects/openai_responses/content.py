"""Content parts of Responses messages and of tool outputs as parts of a turn.

A part type that nobody here knows is noted and left out: guessing at its meaning would put words into the
conversation. What is known and cannot be carried (stored files, sound) is refused, with what to send instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from kirotrio.conversation.request import Document, Image, Json, RemoteFile, Text
from kirotrio.dialects.fields import optional_string, string, typed_entries
from kirotrio.dialects.files import file_of
from kirotrio.dialects.media import checked_address, image_of_url
from kirotrio.dialects.reading import Reading
from kirotrio.dialects.structure import JsonObject
from kirotrio.errors import BodyInvalid

ContentPart: TypeAlias = Text | Image | Document | RemoteFile
ContentParts: TypeAlias = tuple[ContentPart, ...]
PartReader: TypeAlias = Callable[[JsonObject, str], ContentPart]


def read_content(content: Json, path: str, reading: Reading) -> ContentParts:
    """A message's `content` or a tool's `output`: a string or a list of parts. Raises BodyInvalid with the path."""
    if type(content) is str:
        return (Text(content),)
    parts: list[ContentPart] = []
    for here, kind, part in typed_entries(content, path, "content part", "input_text"):
        read = _PARTS.get(kind)
        if read is None:
            reading.note(here, f"content part type {kind[:80]!r} is not known here: left out")
            continue
        if not part.keys() <= _FIELDS:
            reading.note_unknown(here, part, _FIELDS, f"a {kind} part")
        parts.append(read(part, here))
    return tuple(parts)


def read_texts(content: Json, path: str, reading: Reading) -> tuple[str, ...]:
    """The same for what can only be text. Raises BodyInvalid."""
    texts: list[str] = []
    for part in read_content(content, path, reading):
        if not isinstance(part, Text):
            raise BodyInvalid(path, "can only hold text")
        texts.append(part.text)
    return tuple(texts)


def read_image(part: JsonObject, path: str) -> ContentPart:
    """An image part: `image_url` as a `data:` URL or an address. Raises BodyInvalid."""
    url, where = part.get("image_url"), f"{path}.image_url"
    if url is None and part.get("file_id") is not None:
        raise BodyInvalid(
            f"{path}.file_id", "there is no store of files here; send the image itself as a data URL in image_url"
        )
    if type(url) is dict:  # as Chat Completions spells it
        return image_of_url(string(url, "url", where), f"{where}.url")
    return image_of_url(string(part, "image_url", path, filled=True), where)


def _text(part: JsonObject, path: str) -> ContentPart:
    return Text(string(part, "text", path))


def _refusal(part: JsonObject, path: str) -> ContentPart:
    return Text(string(part, "refusal", path))


def _file(part: JsonObject, path: str) -> ContentPart:
    name = optional_string(part, "filename", path)
    if part.get("file_data") is not None:
        return file_of(string(part, "file_data", path, filled=True), name, f"{path}.file_data")
    if part.get("file_url") is not None:
        where = f"{path}.file_url"
        return RemoteFile(checked_address(string(part, "file_url", path), where), "document", title=name, path=where)
    if part.get("file_id") is not None:
        raise BodyInvalid(
            f"{path}.file_id", "there is no store of files here; send the file itself as a data URL in file_data"
        )
    raise BodyInvalid(f"{path}.file_data", "field required: the file as a data URL (or file_url: its address)")


def _audio(_: JsonObject, path: str) -> ContentPart:
    raise BodyInvalid(path, "sound cannot be sent: the upstream takes text, images and documents; send a transcript")


_PARTS: Final[Mapping[str, PartReader]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "summary_text": _text,
    "reasoning_text": _text,
    "refusal": _refusal,
    "input_image": read_image,
    "computer_screenshot": read_image,
    "image_url": read_image,
    "input_file": _file,
    "input_audio": _audio,
}
_FIELDS: Final = frozenset(
    {
        *("type", "text", "refusal", "annotations", "logprobs", "image_url", "file_id", "detail"),
        *("file_data", "file_url", "filename", "prompt_cache_breakpoint"),
    }
)
"""Fields of the newest SDK types; all but those read above change nothing that the upstream could be told."""
