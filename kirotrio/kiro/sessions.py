"""Ids that tell the upstream which requests belong together (KIRO_PROTOCOL 2.2, 2.9, trap 31)."""

from __future__ import annotations

import uuid

from kirotrio.conversation.request import Conversation, Image, Text, ToolResult, Turn

_NAMESPACE = uuid.UUID("6f0a2d5e-4c0b-5d7e-9b64-2c1d8c1f3a57")


def session_ids(conversation: Conversation, account_hash: str) -> tuple[str, str]:
    """(conversation id, continuation id), both UUIDs, the same for the same conversation whenever they are computed.

    The first is that of the client's session on this account, or, where the client names none, of the conversation's
    first user turn. The second is that of the latest user turn that says something, so it stays while tools run.
    """
    session = conversation.session
    spoken = [turn for turn in conversation.turns if turn.role == "user" and _says_something(turn)]
    origin = f"session\0{session.id}" if session else f"first\0{_words(spoken[0]) if spoken else ''}"
    conversation_id = _id(_NAMESPACE, f"{account_hash}\0{origin}")
    latest = _words(spoken[-1]) if spoken else ""
    return str(conversation_id), str(_id(conversation_id, f"{len(spoken)}\0{latest}"))


def _id(namespace: uuid.UUID, name: str) -> uuid.UUID:
    # uuid5 encodes strictly; a lone surrogate must not raise here.
    return uuid.uuid5(namespace, name.encode("utf-8", "replace").decode())


def _says_something(turn: Turn) -> bool:
    """Whether the turn holds anything but tool results."""
    return any(not isinstance(part, ToolResult) for part in turn.parts)


def _words(turn: Turn) -> str:
    """What identifies a turn: its texts, or, without any, its images."""
    texts = [part.text for part in turn.parts if isinstance(part, Text)]
    return "\0".join(texts or [part.data for part in turn.parts if isinstance(part, Image)])
