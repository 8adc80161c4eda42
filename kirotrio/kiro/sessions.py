"""Ids that tell the upstream which requests belong together (KIRO_PROTOCOL 2.2, 2.9, trap 31)."""

from __future__ import annotations

import hashlib
import os
import uuid

from kirotrio.conversation.request import Conversation
from kirotrio.conversation.session import session_identity, spoken_turns, words_of

_NAMESPACE = uuid.UUID("6f0a2d5e-4c0b-5d7e-9b64-2c1d8c1f3a57").bytes


def session_ids(conversation: Conversation, account_hash: str, identity: str = "") -> tuple[str, str]:
    """(conversation id, continuation id), both UUIDs, the same for the same conversation whenever they are computed.

    The first is that of the client's session on this account, or, where the client names none, of the conversation's
    first user turn. The second is that of the latest user turn that says something, so it stays while tools run.
    `identity`: its `session_identity`, where that is known already.
    """
    conversation_id = _uuid5(_NAMESPACE, f"{account_hash}\0{identity or session_identity(conversation)}")
    spoken = spoken_turns(conversation)
    latest = words_of(spoken[-1]) if spoken else ""
    return _spelled(conversation_id), _spelled(_uuid5(conversation_id, f"{len(spoken)}\0{latest}"))


def new_invocation_id() -> str:
    """A random UUID: of one call, and of the attempts that repeat it."""
    drawn = os.urandom(16)
    return _spelled(b"%b%c%b%c%b" % (drawn[:6], drawn[6] & 0x0F | 0x40, drawn[7:8], drawn[8] & 0x3F | 0x80, drawn[9:]))


def _uuid5(namespace: bytes, name: str) -> bytes:
    """`uuid.uuid5` in less than half of the time, as bytes; a lone surrogate does not raise."""
    digest = hashlib.sha1(namespace + name.encode("utf-8", "replace"), usedforsecurity=False).digest()
    return b"%b%c%b%c%b" % (digest[:6], digest[6] & 0x0F | 0x50, digest[7:8], digest[8] & 0x3F | 0x80, digest[9:16])


def _spelled(id: bytes) -> str:
    digits = id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
