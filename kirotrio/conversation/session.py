"""Which requests belong together: the client's session, and the turns in which a person spoke.

Choice of account, conversation ids and continuation ids all rest on this one reading of a conversation.
"""

from __future__ import annotations

import hashlib

from kirotrio.conversation.request import Conversation, Document, Image, RemoteFile, Text, ToolResult, Turn

_OPENING = "<system-reminder>"
_CLOSING = "</system-reminder>"
"""Claude Code puts notes of its own between these, beside tool results too, and changes them with every request."""


def session_identity(conversation: Conversation) -> str:
    """32 hexadecimal digits, the same for all requests of one session and whichever gateway computes them.

    The session is the client's own (`Conversation.session`); where it names none, the conversations that began with the
    same words of a person. A digest, so that it is short and tells nothing of either.
    """
    session = conversation.session
    origin = (
        f"session\0{session.id}" if session else f"first\0{words_of(first) if (first := _first(conversation)) else ''}"
    )
    # A lone surrogate must not raise here.
    return hashlib.sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def spoken_turns(conversation: Conversation) -> list[Turn]:
    """The user turns that say something, so neither tool results alone nor with nothing but a client's notes."""
    return [turn for turn in conversation.turns if turn.role == "user" and _says_something(turn)]


def words_of(turn: Turn) -> str:
    """What identifies a turn: its texts without the client's notes; without any, its files, or the notes after all."""
    texts = [part.text for part in turn.parts if isinstance(part, Text)]
    spoken = [words for text in texts if (words := _without_notes(text))]
    files = [_content(part) for part in turn.parts if isinstance(part, Image | Document | RemoteFile)]
    return "\0".join(spoken or files or texts)


def _first(conversation: Conversation) -> Turn | None:
    return next((turn for turn in conversation.turns if turn.role == "user" and _says_something(turn)), None)


def _says_something(turn: Turn) -> bool:
    kinds = set(map(type, turn.parts))
    if ToolResult not in kinds:
        return bool(kinds)
    return len(kinds) > 1 and any(
        _without_notes(part.text) != "" if isinstance(part, Text) else not isinstance(part, ToolResult)
        for part in turn.parts
    )


def _content(part: Image | Document | RemoteFile) -> str:
    return part.url if isinstance(part, RemoteFile) else part.data


def _without_notes(text: str) -> str:
    """Linear in the text, whatever stands in it; a note that does not end is none."""
    kept: list[str] = []
    at = 0
    while (opening := text.find(_OPENING, at)) >= 0 and (closing := text.find(_CLOSING, opening)) >= 0:
        kept.append(text[at:opening])
        at = closing + len(_CLOSING)
    kept.append(text[at:])
    return "".join(kept).strip()
