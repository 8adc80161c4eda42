"""Ids that tell the upstream which requests belong together (KIRO_PROTOCOL 2.2, 2.9, trap 31)."""

from __future__ import annotations

import uuid

from kirotrio.conversation.request import Conversation
from kirotrio.conversation.session import session_identity, spoken_turns, words_of

_NAMESPACE = uuid.UUID("6f0a2d5e-4c0b-5d7e-9b64-2c1d8c1f3a57")


def session_ids(conversation: Conversation, account_hash: str) -> tuple[str, str]:
    """(conversation id, continuation id), both UUIDs, the same for the same conversation whenever they are computed.

    The first is that of the client's session on this account, or, where the client names none, of the conversation's
    first user turn. The second is that of the latest user turn that says something, so it stays while tools run.
    """
    conversation_id = uuid.uuid5(_NAMESPACE, f"{account_hash}\0{session_identity(conversation)}")
    spoken = spoken_turns(conversation)
    latest = words_of(spoken[-1]) if spoken else ""
    # uuid5 encodes strictly; a lone surrogate must not raise here.
    latest = latest.encode("utf-8", "replace").decode()
    return str(conversation_id), str(uuid.uuid5(conversation_id, f"{len(spoken)}\0{latest}"))
