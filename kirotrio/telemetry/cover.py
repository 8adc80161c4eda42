"""What is taken out of a recording before it touches the disk: secrets always, texts unless they shall be kept. Pure.

Texts that came in pieces (the deltas of a stream) are looked at in one, so that neither a secret nor a mark that steers
a parser escapes by lying on an edge. Doing it twice changes nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import orjson

from kirotrio.classes import frozen
from kirotrio.telemetry.masking import in_one, mask_document, mask_json, mask_sentence, mask_text
from kirotrio.telemetry.redact import Redactor

Path: TypeAlias = tuple[str | int, ...]
Piece: TypeAlias = tuple[Path, tuple[Any, ...], bool]
"""Where a piece of a text stands in an event, which text it is of, and whether that text is JSON."""


@frozen
class Cover:
    """`redactor` keeps lengths. `masks`: texts are masked, too."""

    redactor: Redactor
    masks: bool

    def text(self, text: str) -> str:
        text = self.redactor.text(text)
        return mask_text(text) if self.masks else text

    def sentence(self, text: str) -> str:
        text = self.redactor.text(text)
        return mask_sentence(text) if self.masks else text

    def json(self, text: str) -> str:
        text = self.redactor.text(text)
        return mask_json(text) if self.masks else text

    def document(self, value: Any) -> Any:
        value = self.redactor.value(value)
        return mask_document(value) if self.masks else value

    def events(self, documents: Sequence[Any], pieces_of: Callable[[Any], Iterator[Piece]]) -> list[Any]:
        """The events of a stream, whose texts may be in pieces."""
        pieces: dict[tuple[Any, ...], list[tuple[int, Path, str]]] = {}
        are_json: dict[tuple[Any, ...], bool] = {}
        for at, document in enumerate(documents):
            for path, of, is_json in pieces_of(document):
                pieces.setdefault(of, []).append((at, path, _at(document, path)))
                are_json[of] = is_json
        covered = [self.document(document) for document in documents]
        for of, places in pieces.items():
            change = self.json if are_json[of] else self.text
            for (at, path, _), text in zip(places, in_one([place[2] for place in places], change), strict=True):
                _put(covered[at], path, text)
        return covered

    def body(self, raw: bytes) -> Any:
        """A JSON body as a value, any other as text."""
        try:
            return self.document(orjson.loads(raw))
        except orjson.JSONDecodeError:
            return self.json(raw.decode("utf-8", "replace"))

    def answer(self, raw: bytes) -> str:
        """What a client was sent: a stream of events or a JSON body. What nothing was taken from is as it was."""
        text = raw.decode("utf-8", "replace")
        if not text.startswith(("event:", "data:", ":")):
            try:
                document = orjson.loads(raw)
            except orjson.JSONDecodeError:
                return self.json(text)
            covered = self.document(document)
            return text if covered == document else orjson.dumps(covered).decode()
        lines = text.split("\n")
        found: list[tuple[int, Any]] = []
        for number, line in enumerate(lines):
            if line.startswith("data:") and line.strip() != "data: [DONE]":
                try:
                    found.append((number, orjson.loads(line[5:])))
                except orjson.JSONDecodeError:  # the last one, cut off
                    lines[number] = "data:" + self.json(line[5:])
            elif line and not line.startswith(("event:", "data:", ":")):
                lines[number] = self.text(line)
        covered_all = self.events([document for _, document in found], pieces_of_answer)
        for (number, document), covered in zip(found, covered_all, strict=True):
            if covered != document:
                lines[number] = "data: " + orjson.dumps(covered).decode()
        return "\n".join(lines)


def pieces_of_answer(event: Any) -> Iterator[Piece]:
    """Of an event of any of the three dialects."""
    if not isinstance(event, dict):
        return
    delta = event.get("delta")
    if isinstance(delta, str):  # Responses
        kind = str(event.get("type"))
        of = (kind, event.get("item_id"), event.get("content_index"), event.get("summary_index"))
        yield ("delta",), of, "arguments" in kind
    elif isinstance(delta, dict):  # Messages
        for member in ("text", "thinking", "partial_json"):
            if isinstance(delta.get(member), str):
                yield ("delta", member), (event.get("index"), member), member == "partial_json"
    choices = event.get("choices")
    for at, choice in enumerate(choices if isinstance(choices, list) else ()):
        if isinstance(choice, dict) and isinstance(choice.get("delta"), dict):
            yield from _of_chat(at, choice["delta"])


def _of_chat(at: int, delta: dict[str, Any]) -> Iterator[Piece]:
    where = ("choices", at, "delta")
    for member in ("content", "reasoning_content"):
        if isinstance(delta.get(member), str):
            yield (*where, member), (at, member), False
    for number, call in enumerate(delta.get("tool_calls") or ()):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("arguments"), str):
            path = (*where, "tool_calls", number, "function", "arguments")
            yield path, (at, "tool_calls", call.get("index")), True


def _at(document: Any, path: Path) -> str:
    for step in path:
        document = document[step]
    return str(document)


def _put(document: Any, path: Path, text: str) -> None:
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = text
