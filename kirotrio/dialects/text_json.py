"""Text as JSON, whatever is in it."""

from __future__ import annotations

import orjson


def quoted(text: str) -> bytes:
    """`text` as a JSON string in UTF-8; halves of surrogate pairs, which UTF-8 cannot hold, become U+FFFD."""
    try:
        return orjson.dumps(text)
    except TypeError:
        return orjson.dumps(mended(text))


def mended(text: str) -> str:
    """`text` as it will read after a round trip through UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
