"""From what a client named to what a model can be given: the step between decoding and the first generation.

Conversation in, Conversation out. A conversation that names no remote file and no document is given back as it is;
what the others need (fetching, processes that read documents) is `preparing`, which is loaded with the first of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from kirotrio.conversation.request import (
    Conversation,
    Document,
    Part,
    RemoteFile,
    ResultPart,
    Text,
    ToolResult,
    ToolUse,
)
from kirotrio.relay.prepared_files import Pending
from kirotrio.relay.request import Relay


async def prepare(conversation: Conversation, relay: Relay) -> Conversation:
    """The conversation with every remote file fetched and every document as text.

    Raises BodyInvalid, with the path, for what cannot be fetched or read, and DeadlineExceeded where all of it takes
    longer than `deadlines.prepare`. Cancellation ends every fetch and every process that reads a document.
    """
    parts = list(_pending(conversation))
    if not parts:
        return conversation
    from kirotrio.relay.preparing import with_files

    return await with_files(conversation, parts, relay)


_NEVER: Final = frozenset({Text, ToolUse})
"""Most of a long conversation: passed over without a closer look."""


def _is_pending(part: Part | ResultPart) -> bool:
    if isinstance(part, Document):
        from kirotrio.kiro.parts import is_textual
        from kirotrio.relay.documents import is_html

        return is_html(part.media_type) or not (part.is_text or is_textual(part.media_type))
    return isinstance(part, RemoteFile)


def _pending(conversation: Conversation) -> Iterator[Pending]:
    for turn in conversation.turns:
        for part in turn.parts:
            if type(part) in _NEVER:
                continue
            for within in part.content if isinstance(part, ToolResult) else (part,):
                if _is_pending(within):
                    yield cast("Pending", within)
