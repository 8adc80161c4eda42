"""What a metric may be told by: few values, whatever clients and upstreams send."""

from __future__ import annotations

import re
from typing import Final, final

OTHER: Final = "other"

SURFACES: Final = frozenset(
    {"messages", "chat", "responses", "models", "count_tokens", "operations", "console", "metrics"}
)

_CLASSES: Final = ("auto", "deepseek", "glm", "gpt", "kimi", "minimax", "qwen")
"""Makers' names that a model's begins with."""
_CLAUDE: Final = re.compile(r"claude-(?:[0-9.-]*-)?(opus|sonnet|haiku|fable)\b")

MODEL_CLASSES: Final = frozenset(
    {*_CLASSES, *(f"claude-{kind}" for kind in ("opus", "sonnet", "haiku", "fable")), "claude", OTHER, ""}
)


def surface_label(surface: str) -> str:
    return surface if surface in SURFACES else OTHER


def model_class(model: str) -> str:
    """The family of a model, `claude-sonnet`; "" for none, where a request came to no model."""
    if not model:
        return ""
    name = model[:128].lower()
    if match := _CLAUDE.match(name):
        return f"claude-{match[1]}"
    if name.startswith("claude"):
        return "claude"
    return next((maker for maker in _CLASSES if name.startswith(maker)), OTHER)


@final
class Bounded:
    """Lets the first `most` different values through as they are; all that follow become `other`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        value = value[:64]
        if value not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(value)
        return value
