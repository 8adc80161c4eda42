"""What a client got then and would get today, line by line, without what is different each time. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any, Final

import orjson

from kirotrio.telemetry.cover import Cover
from kirotrio.telemetry.redact import MASK, Redactor

_LOT: Final = re.compile(r"\b(srvtoolu|msg|rs|fc|ws|resp|chatcmpl|req|ctc|toolu|call)_[0-9a-f]{16,}")
_CLOCK: Final = frozenset({"created", "created_at", "completed_at", "sequence_number", "age", "retrieved_at"})
_COUNTS: Final = frozenset(
    {"input_tokens", "output_tokens", "total_tokens", "prompt_tokens", "completion_tokens", "reasoning_tokens"}
    | {"thinking_tokens"}
)
_ALIVE: Final = ("ping", "response.in_progress")


def difference(then: str, now: str, *, masked: bool, left: bool = False) -> list[str]:
    """A unified diff of the events, empty where they are the same. `masked`: texts are masked. Where they are, and
    where a secret was taken out of them, counts of tokens that nobody measured are left out. `left`: the client did not
    wait for the end, so what would have come is not compared."""
    cover = Cover(Redactor(personal=True, same_length=True), masked)
    uncounted = masked or MASK in then
    before, after = (_events(cover.answer(text.encode("utf-8", "replace")), uncounted) for text in (then, now))
    if left:
        after = after[: len(before)]
    return list(difflib.unified_diff(before, after, "then", "today", lineterm="", n=2))


def _events(answer: str, uncounted: bool) -> list[str]:
    names: dict[str, str] = {}

    def by_place(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"{match[1]}_{len(names) + 1}")

    lines: list[str] = []
    for line in answer.split("\n"):
        if not line.strip() or line.startswith((":", "event:")):
            continue
        told = line.removeprefix("data:").strip()
        try:
            document = orjson.loads(told)
        except orjson.JSONDecodeError:
            lines.append(told)
            continue
        if isinstance(document, dict) and document.get("type") in _ALIVE:
            continue
        shown = orjson.dumps(_without(document, _COUNTS if uncounted else frozenset()), option=orjson.OPT_SORT_KEYS)
        lines.append(_LOT.sub(by_place, shown.decode()))
    return lines


def _without(value: Any, counts: frozenset[str]) -> Any:
    again: Callable[[Any], Any] = lambda part: _without(part, counts)  # noqa: E731 - for both kinds
    if isinstance(value, dict):
        return {name: again(part) for name, part in value.items() if name not in _CLOCK and name not in counts}
    return [again(part) for part in value] if isinstance(value, list) else value
