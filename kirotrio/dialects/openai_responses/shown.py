"""A stored response as its client may see it: what has to be asked for is left out where it was not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def shown(response: dict[str, Any], include: Sequence[str]) -> dict[str, Any]:
    """The response without sealed thinking and without the sources of searches, unless `include` names them."""
    thinking = "reasoning.encrypted_content" in include
    sources = "web_search_call.action.sources" in include
    output = [_shown(item, thinking, sources) for item in response.get("output", [])]
    return {**response, "output": output}


def _shown(item: dict[str, Any], thinking: bool, sources: bool) -> dict[str, Any]:
    if item.get("type") == "reasoning" and not thinking:
        return {name: value for name, value in item.items() if name != "encrypted_content"}
    if item.get("type") == "web_search_call" and not sources:
        action = {name: value for name, value in item["action"].items() if name != "sources"}
        return {**item, "action": action}
    return item
