"""Reading server-sent events back."""

from __future__ import annotations

from typing import Any

import orjson


def pairs_of(body: bytes) -> list[tuple[str, Any]]:
    """Event names with their decoded data, strictly: every event is `event:`, `data:`, blank line."""
    assert body.endswith(b"\n\n"), f"the stream ends in the middle of an event: {body[-80:]!r}"
    found = []
    for block in body.decode("utf-8").split("\n\n")[:-1]:
        name, data = block.split("\n")
        assert name.startswith("event: "), block
        assert data.startswith("data: "), block
        found.append((name.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))))
    return found


def names_of(body: bytes) -> list[str]:
    return [name for name, _ in pairs_of(body)]


def events_of(body: bytes) -> list[Any]:
    return [data for _, data in pairs_of(body)]


def text_of(body: bytes) -> str:
    """All text deltas, joined."""
    deltas = (data["delta"] for name, data in pairs_of(body) if name == "content_block_delta")
    return "".join(delta["text"] for delta in deltas if delta["type"] == "text_delta")
