"""Reading server-sent events back, and the validator that no stream of the tests can be kept from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import orjson
import pytest
from attrs import define, field
from check_sse import check

import kirotrio.relay.answer
from kirotrio.relay.drain import Outgoing
from kirotrio.relay.ports import Dialect, Sink


def dialect_of(body: bytes) -> str:
    """The validator's name of the dialect that a stream is in, from its first event."""
    first = next(block for block in body.decode().split("\n\n") if not block.startswith(":"))
    if not first.startswith("event:"):
        return "chat"
    return "responses" if '"sequence_number":' in first else "anthropic"


# What OpenAI's types, which the validator goes by, do not know and its clients do.
CODEX_CODE = re.compile(
    r"event \d+ \(response\.failed\): schema: response\.error\.code: .*"
    r"\(got '(context_length_exceeded|insufficient_quota)'\)"
)
FREE_FORM_CALL = re.compile(r"(chunk \d+): schema: choices\.0\.delta\.tool_calls\.0\.type: .*\(got 'custom'\)")


@lru_cache(maxsize=64)
def problems_of(body: bytes) -> tuple[str, ...]:
    """What the validator has against a whole stream. One that ends in the dialect's own error is legal, and so are
    signs of life ahead of the message (the buffered mode has nothing else to send).

    Two things are excepted: error codes that only Codex reads (CLIENTS 5.2), and calls of free-form tools in Chat
    Completions, of which there is a type for whole answers and none for chunks.
    """
    found = check(dialect_of(body), body, terminal_error=True, early_ping=True)
    free_form = [match[1] for match in map(FREE_FORM_CALL.fullmatch, found) if match]
    untyped = tuple(f"{chunk}: first piece of tool call" for chunk in free_form)
    return tuple(
        problem
        for problem in found
        if not (CODEX_CODE.fullmatch(problem) or FREE_FORM_CALL.fullmatch(problem) or problem.startswith(untyped))
    )


def valid(body: bytes) -> bytes:
    """The same stream; fails where the validator has something against it."""
    assert not problems_of(body), "\n".join([*problems_of(body), body[-2000:].decode(errors="replace")])
    return body


@define
class WatchedSink:
    """Hands everything on, and shows `whole` what left once a stream was handed over to its end."""

    sink: Sink
    whole: Callable[[bytes], None]
    _streams: bool = False
    _left: list[bytes] = field(factory=list)

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        self._streams = headers["content-type"].startswith("text/event-stream")
        await self.sink.start(status, headers)

    async def write(self, piece: bytes) -> None:
        await self.sink.write(piece)
        self._left.append(piece)

    async def finish(self, piece: bytes) -> None:
        await self.sink.finish(piece)
        if self._streams:
            self.whole(b"".join([*self._left, piece]))


@contextmanager
def every_stream_validated() -> Iterator[None]:
    """Every stream that a relay in this process hands over to its end meanwhile, whoever reads it, must be valid.

    A stream that its client leaves has no end to judge.
    """
    found: list[str] = []

    def judge(body: bytes) -> None:
        if problems_of(body):
            found.append("\n".join([*problems_of(body), body[-2000:].decode(errors="replace")]))

    def watched(sink: Sink, dialect: Dialect, identity: Callable[[], Mapping[str, str]], **more: Any) -> Outgoing:
        return Outgoing(WatchedSink(sink, judge), dialect, identity, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kirotrio.relay.answer, "Outgoing", watched)
        yield
    assert not found, "the validator refuses what was streamed:\n" + "\n\n".join(found)


def pairs_of(body: bytes) -> list[tuple[str, Any]]:
    """Event names with their decoded data, strictly: every event is `event:`, `data:`, blank line."""
    assert body.endswith(b"\n\n"), f"the stream ends in the middle of an event: {body[-80:]!r}"
    found = []
    for block in valid(body).decode("utf-8").split("\n\n")[:-1]:
        name, data = block.split("\n")
        assert name.startswith("event: "), block
        assert data.startswith("data: "), block
        found.append((name.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))))
    return found


def names_of(body: bytes) -> list[str]:
    return [name for name, _ in pairs_of(body)]


def events_of(body: bytes) -> list[Any]:
    return [data for _, data in pairs_of(body)]


def text_of(body: bytes) -> str:
    """All text deltas, joined."""
    deltas = (data["delta"] for name, data in pairs_of(body) if name == "content_block_delta")
    return "".join(delta["text"] for delta in deltas if delta["type"] == "text_delta")
