"""Which image some bytes are: what they begin with tells more than what a client or a server calls them."""

from __future__ import annotations

import binascii
from typing import Final

_LONGEST_MARK: Final = 12


def shown_type(content: bytes) -> str | None:
    """The media type that the first bytes show, if it is one that the upstream takes (KIRO_PROTOCOL 2.3)."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content.startswith(b"RIFF") and content[8:_LONGEST_MARK] == b"WEBP":
        return "image/webp"
    return None


def shown_in_base64(data: str) -> str | None:
    """`shown_type` of valid base64 without line breaks; all but its beginning is passed over."""
    return shown_type(binascii.a2b_base64(data[: _LONGEST_MARK // 3 * 4]))
