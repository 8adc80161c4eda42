"""Images and documents as clients write them into JSON: base64, `data:` URLs, addresses."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_to_bytes, urlsplit

from kirotrio.conversation.images import shown_in_base64
from kirotrio.conversation.request import Document, Image, RemoteFile
from kirotrio.errors import BodyInvalid

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def checked_base64(data: str, path: str) -> str:
    """`data` without line breaks. Raises BodyInvalid at `path` where it is no base64."""
    if data.startswith("data:"):
        raise BodyInvalid(path, "must be the bare base64 text, without a `data:…;base64,` prefix")
    if not data:
        raise BodyInvalid(path, "must not be empty")
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        data = "".join(data.split())  # wrapped lines are base64 too; the upstream wants it in one
        try:
            binascii.a2b_base64(data, strict_mode=True)
        except ValueError as error:
            raise BodyInvalid(path, f"must be valid base64 ({error})") from None
    return data


def image_of(media_type: str, data: str, path: str) -> Image:
    """An image from checked base64, of the type that its first bytes show; of `media_type` where they show none.

    Raises BodyInvalid at `path` where neither is a type that the upstream takes.
    """
    return Image(shown_in_base64(data) or _image_type(media_type, path), data)


def _image_type(media_type: str, path: str) -> str:
    """The type as the upstream spells it. Raises BodyInvalid at `path` for what is no image that it takes."""
    media_type = media_type.partition(";")[0].strip().lower()
    if media_type == "image/jpg":
        media_type = "image/jpeg"
    if media_type not in IMAGE_TYPES:
        raise BodyInvalid(path, f"must be one of {', '.join(IMAGE_TYPES)}")
    return media_type


def read_data_url(url: str, path: str) -> tuple[str, str]:
    """Media type, "" where none is told, and base64 data of a `data:` URL. Raises BodyInvalid at `path`."""
    head, comma, data = url.removeprefix("data:").partition(",")
    if not comma:
        raise BodyInvalid(path, "must be a data URL of the form data:image/png;base64,…")
    media_type, *parameters = head.split(";")
    if parameters and parameters[-1].strip().lower() == "base64":
        return media_type.strip().lower(), checked_base64(data, path)
    raw = unquote_to_bytes(data)
    if not raw:
        raise BodyInvalid(path, "must not be empty")
    return media_type.strip().lower(), base64.b64encode(raw).decode()


def image_of_url(url: str, path: str) -> Image | RemoteFile:
    """The image that a `data:` URL holds, or that an address names. Raises BodyInvalid at `path`."""
    if url[:5].lower() == "data:":
        media_type, data = read_data_url("data:" + url[5:], path)
        return image_of(media_type, data, path)
    return RemoteFile(checked_address(url, path), "image", path=path)


def checked_address(url: str, path: str) -> str:
    """`url`, if it is an address that can be fetched. Raises BodyInvalid at `path`."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # raises where it is no port
    except ValueError:
        usable = False
    if not usable:
        raise BodyInvalid(path, "must be an address that begins with http:// or https://, or a data URL")
    return url


def document_of(
    media_type: str, data: str, path: str, *, title: str | None = None, context: str | None = None
) -> Document:
    """A document from base64. Text becomes text here. Raises BodyInvalid at `path`."""
    media_type = media_type.lower()
    content = checked_base64(data, path)
    if media_type.startswith("text/"):
        try:
            content = binascii.a2b_base64(content).decode()
        except UnicodeDecodeError:
            raise BodyInvalid(path, f"must be UTF-8 for media type {media_type}") from None
    return Document(media_type, content, title, context, path)
