"""Whether an address came up in a conversation before: the rule of Anthropic's `web_fetch` tool.

A model that may fetch whatever it makes up can be talked into carrying secrets out inside an address. So only those
may be fetched that the person, the client's tools, or an earlier search or fetch have named; what the model itself
wrote does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from kirotrio.conversation.request import (
    Conversation,
    Document,
    Json,
    Part,
    RemoteFile,
    ResultPart,
    ServerToolResult,
    Text,
    ToolResult,
    Turn,
)

_GOES_ON: Final = re.compile(r"[.,;:!?'*_~)\]}]*(?:$|[^\w.,;:!?'*~()\[\]{}%/#&=+@$-])", re.ASCII)
"""What may stand behind a whole address: marks of the sentence, then something that no address has."""
_BEGINS: Final = re.compile(r"[\w.@%/-]")
"""What stands ahead of an address only where it is a part of a longer one."""


def mentioned(url: str, conversation: Conversation) -> bool:
    """Whether the address stands somewhere in what was given to the model.

    Scheme, fragment and a slash at the end make no difference, nor the case of the host. A part of a longer address is
    no mention of it. Linear in the conversation's text.
    """
    core = _core(url)
    return bool(core) and any(_stands_in(core, text) for text in _texts(conversation))


def _core(url: str) -> str:
    scheme, marks, rest = url.strip().partition("://")
    if marks and scheme.lower() not in ("http", "https"):
        return ""
    bare = (rest if marks else scheme).partition("#")[0]
    host, slash, path = bare.partition("/")
    return (host.lower() + slash + path).rstrip("/")


def _stands_in(core: str, text: str) -> bool:
    host, _, rest = core.partition("/")
    lowered = text.lower()
    # Lower case may change the length of foreign letters; then only the spelling as it is counts.
    haystack = lowered if len(lowered) == len(text) else text
    at = haystack.find(host)
    while at >= 0:
        behind = at + len(host)
        begins = at == 0 or haystack[max(0, at - 3) : at] == "://" or not _BEGINS.match(haystack[at - 1])
        if begins and (not rest or text.startswith("/" + rest, behind)):
            end = behind + (len(rest) + 1 if rest else 0)
            if text.startswith("/", end):
                end += 1
            if text.startswith("#", end) or _GOES_ON.match(text, end):
                return True
        at = haystack.find(host, at + 1)
    return False


def _texts(conversation: Conversation) -> Iterator[str]:
    yield from conversation.system
    for turn in conversation.turns:
        for part in turn.parts:
            yield from _given(part, turn)


def _given(part: Part | ResultPart, turn: Turn) -> Iterator[str]:
    match part:
        case Text(text) if turn.role != "assistant":
            yield text
        case ToolResult(_, content):
            for inner in content:
                yield from _result(inner)
        case ServerToolResult(_, _, content):
            yield from _strings(content)
        case Document() | RemoteFile() if turn.role != "assistant":
            yield from _result(part)
        case _:
            pass


def _result(part: Part | ResultPart) -> Iterator[str]:
    match part:
        case Text(text):
            yield text
        case Document(_, contents, title, context):
            yield from (text for text in (title, context) if text)
            if part.is_text:
                yield contents
        case RemoteFile(url):
            yield url
        case _:
            pass


def _strings(value: Json) -> Iterator[str]:
    """Every string of a JSON value, without recursion: its depth is the client's choice."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, Mapping):
            waiting += inner.values()
        elif isinstance(inner, list | tuple):
            waiting += inner
