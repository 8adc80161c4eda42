"""Names of tools and ids of tool uses, as the upstream accepts them (KIRO_PROTOCOL 2.8, trap 7).

Both mappings depend on nothing but the names themselves, so a growing conversation keeps its prefix, and two
gateways agree.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

TOOL_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*")
TOOL_NAME_LENGTH = 63
"""One below the documented 64, which some paths count differently."""

TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
TOOL_USE_ID_LENGTH = 64

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def is_tool_name(name: str) -> bool:
    return len(name) <= TOOL_NAME_LENGTH and TOOL_NAME.fullmatch(name) is not None


def hashed_tool_name(name: str, salt: str = "") -> str:
    """A fit name for an unfit one: what can be kept of it, "_", and eight hex digits of its SHA-256."""
    kept = _UNFIT.sub("_", name)
    if not TOOL_NAME.match(kept):
        kept = "t" + kept
    return f"{kept[: TOOL_NAME_LENGTH - 9]}_{_digest(name + salt)}"


def upstream_tool_names(declared: Iterable[str], historic: Iterable[str]) -> dict[str, str]:
    """The name to send upstream for every client's name, in the order given, tools of the request first.

    No two declared tools share a sent name, in any case: upstream compares without regard to case. A name that only
    the history knows and that differs from a known one in nothing but case is that tool.
    """
    sent: dict[str, str] = {}
    owners: dict[str, str] = {}
    unfit: list[str] = []
    for name in dict.fromkeys(declared):
        if is_tool_name(name) and name.lower() not in owners:
            sent[name] = name
            owners[name.lower()] = name
        else:
            unfit.append(name)
    for name in dict.fromkeys(historic):
        if name in sent or name in unfit:
            continue
        if not is_tool_name(name):
            unfit.append(name)
        elif name.lower() in owners:
            sent[name] = sent[owners[name.lower()]]
        else:
            sent[name] = name
            owners[name.lower()] = name
    for name in unfit:
        salt = 0
        candidate = hashed_tool_name(name)
        while candidate.lower() in owners:
            salt += 1
            candidate = hashed_tool_name(name, f"\0{salt}")
        sent[name] = candidate
        owners[candidate.lower()] = name
    return sent


def upstream_tool_use_id(identifier: str, occurrence: int = 0) -> str:
    """A fit tool use id; `occurrence` counts earlier uses that bore the same id and must not share it."""
    if occurrence == 0 and TOOL_USE_ID.fullmatch(identifier):
        return identifier
    kept = _UNFIT.sub("_", identifier)[: TOOL_USE_ID_LENGTH - 9]
    return f"{kept}_{_digest(f'{identifier} {occurrence}' if occurrence else identifier)}"
