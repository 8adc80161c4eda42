"""What holds an answer back until it is whole, in each of the forms that leave then.

Nothing of a held answer has been sent, so a restart empties it, and what a client is shown at its head can be the
measured count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from kirotrio.conversation.events import (
    Batch,
    FetchFinished,
    Finish,
    RedactedThinkingBlock,
    SearchFinished,
    TextDelta,
    TextDeltas,
    ThinkingDelta,
    ThinkingDeltas,
    ToolCall,
    Usage,
)
from kirotrio.errors import KirotrioError
from kirotrio.relay.ports import BodyEncoder, Dialect
from kirotrio.relay.request import Mode

STREAM_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}
JSON_HEADERS: Final = {"content-type": "application/json"}


class Spool(Protocol):
    """A held answer. `size` is in bytes."""

    size: int
    headers: Mapping[str, str]

    def add(self, batch: Batch) -> None: ...

    def restart(self) -> None:
        """What was added so far is void."""

    def begin(self) -> bytes:
        """What may leave before the answer is there, once."""

    def whole(self, finish: Finish) -> tuple[Mapping[str, str], bytes]:
        """What leaves at the end: headers that are known only now, and all bytes."""

    def keep_alive(self) -> bytes: ...

    def failure(self, error: KirotrioError) -> bytes: ...


class StreamSpool:
    """The bytes of a stream whose head is written last (they are smaller than the events, and leave in one piece)."""

    headers: Mapping[str, str] = STREAM_HEADERS

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.restart()

    def restart(self) -> None:
        self._encoder = self._dialect.stream()
        self._encoder.start(Usage())  # a stand-in: the head is encoded once the usage is known
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, batch: Batch) -> None:
        piece = self._encoder.encode(batch)
        self._pieces.append(piece)
        self.size += len(piece)

    def begin(self) -> bytes:
        return b""

    def whole(self, finish: Finish) -> tuple[Mapping[str, str], bytes]:
        return {}, b"".join([self._dialect.stream().start(finish.usage), *self._pieces])

    def keep_alive(self) -> bytes:
        return self._dialect.stream().keep_alive()

    def failure(self, error: KirotrioError) -> bytes:
        return self._dialect.stream().failure(error)


class EagerSpool:
    """The events of a stream whose head has left, and whose signs of life are numbered together with its events."""

    headers: Mapping[str, str] = STREAM_HEADERS

    def __init__(self, dialect: Dialect) -> None:
        self._encoder = dialect.stream()
        self._begun = False
        self.restart()

    def restart(self) -> None:
        self._batches: list[Batch] = []
        self.size = 0

    def add(self, batch: Batch) -> None:
        self._batches.append(batch)
        self.size += _size(batch)

    def begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return self._encoder.start(Usage())

    def whole(self, finish: Finish) -> tuple[Mapping[str, str], bytes]:
        return {}, b"".join([self.begin(), *map(self._encoder.encode, self._batches)])

    def keep_alive(self) -> bytes:
        return self.begin() + self._encoder.keep_alive()

    def failure(self, error: KirotrioError) -> bytes:
        return self.begin() + self._encoder.failure(error)


class BodySpool:
    """The parts of one JSON body."""

    headers: Mapping[str, str] = JSON_HEADERS

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.restart()

    def restart(self) -> None:
        self._encoder: BodyEncoder = self._dialect.body()
        self.size = 0

    def add(self, batch: Batch) -> None:
        self._encoder.add(batch)
        self.size += _size(batch)

    def begin(self) -> bytes:
        return b""

    def whole(self, finish: Finish) -> tuple[Mapping[str, str], bytes]:
        body = self._encoder.body()
        return {"content-length": str(len(body))}, body

    def keep_alive(self) -> bytes:
        return b" "

    def failure(self, error: KirotrioError) -> bytes:
        return self._dialect.refusal(error).body


def open_spool(dialect: Dialect, mode: Mode) -> Spool:
    """What holds an answer of this dialect in one of the two modes that hold it."""
    if mode is Mode.JSON:
        return BodySpool(dialect)
    return EagerSpool(dialect) if dialect.eager else StreamSpool(dialect)


def _size(batch: Batch) -> int:
    """The bytes of the batch's texts."""
    size = 0
    for event in batch:
        match event:
            case TextDelta(held) | ThinkingDelta(held) | RedactedThinkingBlock(held) | ToolCall(_, _, held):
                size += _bytes(held)
            case TextDeltas(texts) | ThinkingDeltas(texts):
                size += _bytes("".join(texts))
            case FetchFinished(text=held):
                size += len(held.encode("utf-8", "surrogatepass"))
            case SearchFinished(results=results):
                size += sum(len(result.snippet) + len(result.url) + len(result.title) for result in results)
            case _:
                pass
    return size


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
