"""`messages` as turns, and what of that holds as well for the next request of the same conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, field

from kirotrio.classes import frozen
from kirotrio.conversation.growing import LATEST
from kirotrio.conversation.request import Json, Part, Role, ToolResult, Turn
from kirotrio.dialects.anthropic.content import read_parts
from kirotrio.dialects.anthropic.schema import MESSAGE_FIELDS, AnthropicMessage
from kirotrio.dialects.anthropic.tools import ToolOffer
from kirotrio.dialects.reading import Reading
from kirotrio.errors import BodyInvalid

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


class NeedsWhole(Exception):
    """What is known of the beginning of a body is not enough to read the rest."""


@frozen
class Remembered:
    """What the first messages were read as, one turn each, and the tools that were sent beside them.

    `notes` and `thinking_seen` are those of `Reading`, of these messages. None of them is such that what follows could
    change it, or that it changes anything about what follows.
    """

    turns: tuple[Turn, ...]
    notes: Mapping[str, str]
    thinking_seen: bool
    tools: bytes = b""
    """As JSON; b"": not remembered."""
    offer: ToolOffer | None = None
    tool_notes: Mapping[str, str] = field(factory=dict)

    def with_tools(self, tools: bytes, offer: ToolOffer, notes: Mapping[str, str]) -> Remembered:
        return evolve(self, tools=tools, offer=offer, tool_notes=notes)


class Messages:
    """Reads messages: all of a body, or those behind what is `known`. Afterwards `reading` has what there was to note,
    and `kept` what may be remembered of all but the latest; None where that is no more than before."""

    def __init__(self, known: Remembered | None) -> None:
        self.reading = Reading()
        self.kept: Remembered | None = None
        self._known = known

    def read(self, messages: list[AnthropicMessage], sent: list[dict[str, Any]]) -> tuple[tuple[Turn, ...], Json]:
        """The turns, and the effort that a system message set for the turn at hand (None: none did).

        `sent` are the same messages as they came. Raises BodyInvalid.
        """
        known, reading = self._known, self.reading
        turns: list[Turn] = []
        if known is not None:
            turns += known.turns
            reading.recall(known.notes, thinking_seen=known.thinking_seen)
        begun = len(turns)
        if not messages and not begun:
            raise BodyInvalid("messages", "at least one message is required")
        # None of those that are known asks for it.
        last_user = max((index for index, message in enumerate(messages, begun) if message.role == "user"), default=-1)
        effort: Json = None
        cut = begun + len(messages) - LATEST
        lasting = cut > begun
        for index, message in enumerate(messages, begun):
            if lasting and index == cut and len(turns) == index and effort is None and not reading.tool_changes:
                self.kept = Remembered(tuple(turns), dict(reading.notes), reading.thinking_seen)
            path = f"messages.{index}"
            role = _ROLES.get(message.role)
            if role is None:
                raise BodyInvalid(f"{path}.role", f"must be one of {', '.join(_ROLES)}")
            of_message = sent[index - begun]
            if not of_message.keys() <= MESSAGE_FIELDS:
                reading.note_unknown(path, of_message, MESSAGE_FIELDS, "a message")
            if message.content is None:
                if role != "system" or not message.output_config:
                    raise BodyInvalid(f"{path}.content", "field required: a string or a list of content blocks")
                parts: tuple[Part, ...] = ()
            else:
                parts = read_parts(message.content, f"{path}.content", reading)
            if effort is not None and role == "user" and any(type(part) is not ToolResult for part in parts):
                effort = None  # a new turn of the user; mere tool results continue the turn before
            elif role == "system" and message.output_config is not None:
                effort = message.output_config.get("effort", effort)
            if message.clear_at is not None:
                lasting = False
            outlived = message.clear_at == "next_user_message" and index < last_user
            if not outlived and (parts or role != "system"):
                turns.append(Turn(role, parts, path))
        return tuple(turns), effort
