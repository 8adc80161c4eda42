"""What a reasoning item's `encrypted_content` holds here: the signature of the thinking, or thinking that is hidden.

To the client it is opaque, and comes back as it was given. What other services encrypted is passed on as a foreign
signature, which the upstream's room does not send on.
"""

from __future__ import annotations

from typing import Final

from kirotrio.conversation.request import RedactedThinking, Thinking

_SIGNATURE: Final = "kts."
_REDACTED: Final = "ktr."


def seal_signature(signature: str) -> str:
    return _SIGNATURE + signature


def seal_redacted(data: str) -> str:
    return _REDACTED + data


def unseal(text: str, encrypted: str) -> Thinking | RedactedThinking:
    """The thinking part of a reasoning item with this text and this `encrypted_content` ("" if none)."""
    if encrypted.startswith(_REDACTED):
        return RedactedThinking(encrypted[len(_REDACTED) :])
    return Thinking(text, encrypted.removeprefix(_SIGNATURE))
