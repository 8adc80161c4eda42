"""Conversations without what was said in them: every text keeps its length and shape, and nothing of its words. Pure.

A letter becomes `x` or `X`, a digit `0`, any other character beyond ASCII one that takes as many bytes; blanks and
punctuation stay, and so do the few marks that steer a parser (thinking tags, fences of code). So a mask of pieces is
the pieces of the mask, and what is done to a masked conversation ends as it did before. In JSON, members stay, and
strings that are names of the protocol; what was said or handed to a tool does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

_ASCII: Final = str.maketrans(
    {chr(code): "x" for code in range(ord("a"), ord("z") + 1)}
    | {chr(code): "X" for code in range(ord("A"), ord("Z") + 1)}
    | {chr(code): "0" for code in range(ord("0"), ord("9") + 1)}
)
_BEYOND: Final = re.compile(r"[^\x00-\x7f]")
_BY_BYTES: Final = {2: "ø", 3: "文", 4: "𠀀"}
_STEERING: Final = re.compile(
    r"</?(?:thinking|thinking_mode|max_thinking_length|thinking_effort)>|```(?:json)?|^(?:data:[a-z]+/[a-z0-9.+-]+;base64,"
    r"|https?://)",
    re.IGNORECASE,
)

_TOKENS: Final = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*(?:"|$))(?P<key>\s*:)?|(?P<number>-?\d[\d.eE+-]*)|(?P<word>true|false|null)|'
    r"(?P<other>[A-Za-z]|[^\x00-\x7f])",
    re.DOTALL,
)
_ESCAPES: Final = re.compile(r"\\u[0-9a-fA-F]{0,4}|\\.", re.DOTALL)
_KEY: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.-]{0,63}")
_WORD: Final = re.compile(r"[A-Za-z0-9_./:+-]{1,100}")
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")

_NAMES: Final = re.compile(
    r"""
    type|role|model|id|object|status|name|format|mode|method|phase|event|code|param|reason|required|include|detail|ttl
    |tool_use_id|tool_call_id|call_id|item_id|response_id|previous_response_id|stop_reason|finish_reason|media_type
    |effort|display|summary|verbosity|truncation|service_tier|tool_choice|unit|origin|jsonrpc|modalities
    |system_fingerprint|encoding_format|modelId|toolUseId|chatTriggerType|agentTaskType|stopReason|conversationId
    |agentContinuationId|utteranceId|messageId|requestId|envState|operatingSystem
    """,
    re.VERBOSE,
)
"""Members whose strings are the protocol's own, where they look like names."""
_OPAQUE: Final = frozenset({"input", "output", "arguments", "args", "default", "enum", "const", "examples", "json"})
"""Members that hold what a caller put there: no string in them is anybody's name."""
_SENTENCES: Final = frozenset({"message"})
"""Members that hold a sentence of ours or the upstream's; what it quotes is masked."""


def mask_text(text: str) -> str:
    """Of the same length in characters and bytes."""
    out: list[str] = []
    at = 0
    for steering in _STEERING.finditer(text):
        out += (_masked(text[at : steering.start()]), steering[0])
        at = steering.end()
    return "".join([*out, _masked(text[at:])]) if at else _masked(text)


def _masked(text: str) -> str:
    text = text.translate(_ASCII)
    return text if text.isascii() else _BEYOND.sub(_of_as_many_bytes, text)


def _of_as_many_bytes(match: re.Match[str]) -> str:
    return _BY_BYTES[len(match[0].encode("utf-8", "surrogatepass"))]


def mask_json(text: str) -> str:
    """JSON as text, perhaps cut off: the same JSON with other strings and numbers, of the same length."""
    return _TOKENS.sub(_masked_token, text)


def _masked_token(match: re.Match[str]) -> str:
    if (string := match["string"]) is not None:
        key = match["key"]
        if key is not None and _KEY.fullmatch(string[1:-1]):
            return match[0]
        return _mask_escaped(string) + (key or "")
    if (number := match["number"]) is not None:
        return re.sub(r"\d", "1", number)
    return match[0] if match["word"] is not None else _masked(match[0])


def _mask_escaped(string: str) -> str:
    out: list[str] = []
    at = 0
    for escape in _ESCAPES.finditer(string):
        out.append(_masked(string[at : escape.start()]))
        code = escape[0]
        # A digit stands for a digit and a letter for one, so that it is a code still; never half of a pair.
        out.append(
            re.sub(r"\d", "0", re.sub(r"[a-fA-F]", "a", code[2:])).join(("\\u", "")) if code[1:2] == "u" else code
        )
        at = escape.end()
    return "".join([*out, _masked(string[at:])])


def mask_document(value: Any, member: str = "", *, opaque: bool = False) -> Any:
    """A JSON value without what was said in it. `member`: where it stands; `opaque`: in what a caller handed over."""
    if isinstance(value, str):
        return _mask_string(value, member, opaque)
    if isinstance(value, Mapping):
        inside = opaque or member in _OPAQUE
        speaker = "role" in value
        return {
            _mask_key(key): mask_document(part, "" if speaker and key == "name" else key, opaque=inside)
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        inside = opaque or member in ("enum", "examples")
        return [mask_document(part, member, opaque=inside) for part in value]
    if opaque and isinstance(value, int | float) and not isinstance(value, bool):
        return 1
    return value


def _mask_key(key: str) -> str:
    return key if _KEY.fullmatch(key) else mask_text(key)


def _mask_string(text: str, member: str, opaque: bool) -> str:
    if opaque:
        return mask_text(text)
    if _NAMES.fullmatch(member) and _WORD.fullmatch(text):
        return text
    if member == "arguments":
        return mask_json(text)
    if member in _SENTENCES:
        return mask_sentence(text)
    return mask_text(text)


def mask_sentence(text: str) -> str:
    """A sentence of a program: what it quotes is masked."""
    return _QUOTED.sub(lambda quoted: mask_text(quoted[0]), text)


def in_one(pieces: Iterable[str], change: Callable[[str], str]) -> list[str]:
    """What `change`, which keeps the length, makes of the pieces together, cut as they were: what is found by its shape
    is found across their edges too."""
    given = list(pieces)
    whole = change("".join(given))
    out, at = [], 0
    for piece in given:
        out.append(whole[at : at + len(piece)])
        at += len(piece)
    return out
