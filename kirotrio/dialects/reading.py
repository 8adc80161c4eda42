"""What one pass over a request body leaves behind beside the conversation itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field

from kirotrio.classes import define
from kirotrio.conversation.request import Diagnostic, Json

NOTES_MAX = 100
"""A body can hold any number of unknown fields; the notes about them stay readable and bounded."""


@define
class Reading:
    """Notes, changes of the tool list made between messages, and whether the history shows thinking.

    A note is kept at the first place it applies to: what a client does, it does in every message.
    """

    thinking_seen: bool = False
    tool_changes: list[tuple[str, dict[str, Any]]] = field(factory=list)
    _notes: dict[str, str] = field(factory=dict)

    def note(self, path: str, message: str) -> None:
        if len(self._notes) < NOTES_MAX:
            self._notes.setdefault(message, path)

    def note_unknown(self, path: str, present: Iterable[Any], known: frozenset[str], what: str) -> None:
        """Notes the fields of an object that nobody here knows."""
        for name in (str(key)[:80] for key in present if key not in known):
            self.note(f"{path}.{name}" if path else name, f"unknown field {name!r} of {what}: ignored")

    @property
    def notes(self) -> Mapping[str, str]:
        """Where each was noted first."""
        return self._notes

    def recall(self, notes: Mapping[str, str], *, thinking_seen: bool = False) -> None:
        """What another pass had noted; it comes behind what this one has."""
        for message, path in notes.items():
            self.note(path, message)
        self.thinking_seen = self.thinking_seen or thinking_seen

    def take_over(self, other: Reading) -> None:
        """All that a pass over a part of the body left behind."""
        self.recall(other.notes, thinking_seen=other.thinking_seen)
        self.tool_changes = other.tool_changes

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return tuple(Diagnostic(path, message) for message, path in self._notes.items())


def kind_of(value: Json) -> str:
    """The JSON name of a value's type, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"
