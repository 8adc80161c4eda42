"""Content parts of Chat messages as parts of a turn.

A part type that nobody here knows is noted and left out: guessing at its meaning would put words into the
conversation. What is known and cannot be carried (audio, stored files) is refused with its path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from kirotrio.conversation.request import Document, Image, Json, RemoteFile, Text
from kirotrio.dialects.fields import member, optional_string, string, typed_entries
from kirotrio.dialects.files import file_of
from kirotrio.dialects.media import checked_address, image_of_url
from kirotrio.dialects.reading import Reading
from kirotrio.dialects.structure import JsonObject
from kirotrio.errors import BodyInvalid

ContentPart: TypeAlias = Text | Image | Document | RemoteFile
"""All that a content part can become: a part of a turn as well as of a tool result."""
PartReader: TypeAlias = Callable[[JsonObject, str, Reading], ContentPart]


def read_content(content: Json, path: str, reading: Reading) -> tuple[ContentPart, ...]:
    """`content` of a user, assistant or tool message: a string or a list of parts. Raises BodyInvalid."""
    if type(content) is str:
        return (Text(content),)
    return _read_parts(content, path, reading, _PARTS)


def read_texts(content: Json, path: str, reading: Reading) -> tuple[str, ...]:
    """`content` of a system or developer message: a string or a list of text parts. Raises BodyInvalid."""
    if type(content) is str:
        return (content,)
    parts = _read_parts(content, path, reading, _TEXT_PARTS)
    return tuple(part.text for part in parts if isinstance(part, Text))


def _read_parts(
    content: Json, path: str, reading: Reading, readers: Mapping[str, PartReader]
) -> tuple[ContentPart, ...]:
    parts: list[ContentPart] = []
    for here, kind, part in typed_entries(content, path, "content part", "text"):
        read = readers.get(kind)
        if read is not None:
            if not part.keys() <= _FIELDS:
                reading.note_unknown(here, part, _FIELDS, f"a {kind} part")
            parts.append(read(part, here, reading))
        elif kind in _PARTS:
            raise BodyInvalid(f"{here}.type", 'must be "text" in a system or developer message')
        else:
            reading.note(here, f"content part type {kind[:80]!r} is not known here: left out")
    return tuple(parts)


def _text(part: JsonObject, path: str, _: Reading) -> ContentPart:
    return Text(string(part, "text", path))


def _refusal(part: JsonObject, path: str, _: Reading) -> ContentPart:
    return Text(string(part, "refusal", path))


def _image(part: JsonObject, path: str, reading: Reading) -> ContentPart:
    where = f"{path}.image_url"
    named = part.get("image_url")
    if type(named) is str:
        return image_of_url(named, where)
    source = member(part, "image_url", path)
    if source.get("detail") not in (None, "auto"):
        reading.note(f"{where}.detail", "ignored: the upstream sees every image as it is sent")
    return image_of_url(string(source, "url", where), f"{where}.url")


def _audio(_part: JsonObject, path: str, _: Reading) -> ContentPart:
    raise BodyInvalid(path, "audio cannot be sent: the upstream takes text, images and documents; send a transcript")


def _file(part: JsonObject, path: str, _: Reading) -> ContentPart:
    file, where = member(part, "file", path), f"{path}.file"
    data, here = file.get("file_data"), f"{where}.file_data"
    if data is None and file.get("file_id") is not None:
        raise BodyInvalid(
            f"{where}.file_id", "there is no store of files here; send the file itself in file_data, as a data URL"
        )
    data = string(file, "file_data", where, filled=True)
    name = optional_string(file, "filename", where)
    if data[:8].lower().startswith(("http://", "https://")):
        return RemoteFile(checked_address(data, here), "document", title=name, path=here)
    return file_of(data, name, here)


_TEXT_PARTS: Mapping[str, PartReader] = {"text": _text, "input_text": _text}
_PARTS: Mapping[str, PartReader] = {
    **_TEXT_PARTS,
    "output_text": _text,  # the names that the Responses API gives its texts, which some clients use in either
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}
_FIELDS: Final = frozenset(
    {"type", "text", "refusal", "image_url", "file", "prompt_cache_breakpoint", "cache_control", "annotations"}
)
"""Fields of the newest SDK types; caching is the upstream's own, and the rest is read above."""
