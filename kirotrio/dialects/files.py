"""Files as OpenAI's clients write them into JSON: a `data:` URL or base64, with a name that tells the type."""

from __future__ import annotations

import binascii
from typing import Final

from kirotrio.conversation.request import Document, Image
from kirotrio.dialects.media import checked_base64, document_of, image_of, read_data_url
from kirotrio.errors import BodyInvalid

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_UNTOLD: Final = ("", "application/octet-stream")
_ENDINGS: Final = {
    "csv": "text/csv",
    "docx": f"{_OFFICE}.wordprocessingml.document",
    "gif": "image/gif",
    "htm": "text/html",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": f"{_OFFICE}.presentationml.presentation",
    "txt": "text/plain",
    "webp": "image/webp",
    "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}
"""Written down here: Python's own table differs by version and by machine."""


def file_of(data: str, name: str | None, path: str) -> Document | Image:
    """The file in `data`: an image by its type, a document otherwise; text where nothing else is told and it is text.

    Raises BodyInvalid at `path`.
    """
    media_type = ""
    if data[:5].lower() == "data:":
        media_type, data = read_data_url("data:" + data[5:], path)
    else:
        data = checked_base64(data, path)
    if media_type in _UNTOLD:
        media_type = _ENDINGS.get((name or "").rpartition(".")[2].lower(), "")
    if not media_type:
        if not _is_text(data):
            raise BodyInvalid(
                path,
                "must be a data URL that names the media type, or come with a filename that ends in .pdf, .docx, …",
            )
        media_type = "text/plain"
    if media_type.startswith("image/"):
        return image_of(media_type, data, path)
    return document_of(media_type, data, path, title=name)


def _is_text(data: str) -> bool:
    try:
        binascii.a2b_base64(data).decode()
    except UnicodeDecodeError:
        return False
    return True
