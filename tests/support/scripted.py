"""A scripted upstream without sockets, so that minutes pass in milliseconds on a mock clock.

A `Script` is what one HTTP call meets: a delay to the head, a status, then steps: bytes after a pause, and an end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import orjson
import trio
from attrs import define, field, frozen
from support.in_memory import Asking, InMemory

from kirotrio.accounts.lending.wish import Wish
from kirotrio.accounts.worth.model_lists import ModelLists
from kirotrio.config.settings import ModelSettings
from kirotrio.errors import KirotrioError, Recovery, UpstreamFailed
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.eventstream import encode_event, encode_exception
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.kiro.models import STATIC_CATALOGUE, ModelProfile


def event(kind: str, **payload: Any) -> bytes:
    return encode_event(kind, orjson.dumps(payload))


def text(*pieces: str) -> list[bytes]:
    return [event("assistantResponseEvent", content=piece) for piece in pieces]


def tail(percentage: float = 3.4, stop: str = "END_TURN") -> list[bytes]:
    """The normal end of an answer (KIRO_PROTOCOL 3.4)."""
    return [
        event("metadataEvent", stopReason=stop),
        event("contextUsageEvent", contextUsagePercentage=percentage),
        event("meteringEvent", unit="credit", unitPlural="credits", usage=0.0386),
    ]


def exception(kind: str, message: str = "", **payload: Any) -> bytes:
    return encode_exception(kind, orjson.dumps({"message": message, **payload}))


@frozen
class Script:
    """`steps`: bytes, or seconds of silence.

    `end`: "clean", "cut" (network error), "hang" (for ever) or "fault" (an exception that nobody expects).
    """

    steps: Sequence[bytes | float] = ()
    status: int = 200
    head_after: float = 0.0
    end: str = "clean"
    headers: Mapping[str, str] = field(
        factory=lambda: {"content-type": "application/vnd.amazon.eventstream", "x-amzn-requestid": "upstream-1"}
    )


def answering(*steps: bytes | float | Iterable[bytes], **options: Any) -> Script:
    """A script whose steps may be lists of frames."""
    flat: list[bytes | float] = []
    for step in steps:
        flat.extend([step] if isinstance(step, bytes | int | float) else step)
    return Script(flat, **options)


def refusing(status: int, **body: Any) -> Script:
    return Script([orjson.dumps(body)], status=status, headers={"content-type": "application/json"})


class ScriptedTransport(InMemory["ScriptedStream"]):
    """Plays one script per call, the last one again and again. Records what it was sent and how calls ended."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self.bodies: list[Any] = []
        self.streams: list[ScriptedStream] = []
        self.headers: list[Mapping[str, str]] = []
        self.called_at: list[float] = []
        self.urls: list[str] = []
        self.plain_urls: list[str] = []
        """Where plain calls went."""
        self.plain: dict[str, Any] = {}
        """Answers to plain calls, by a piece of their URL; every other plain call fails.

        JSON, or an async function of the call's body and headers that returns an HttpAnswer.
        """
        self.open = 0
        self.closed_at: list[float] = []

    async def called(self, asking: Asking) -> HttpAnswer:
        await trio.lowlevel.checkpoint()
        self.plain_urls.append(asking.url)
        for piece, answer in self.plain.items():
            if piece in asking.url:
                if callable(answer):
                    with trio.fail_after(asking.deadline or 0.0):
                        return await answer(orjson.loads(asking.body or b"null"), asking.headers)
                return HttpAnswer(200, {}, orjson.dumps(answer))
        raise UpstreamFailed("the script has no answer to this", recovery=Recovery.RETRY)

    def streamed(self, asking: Asking) -> ScriptedStream:
        self.bodies.append(orjson.loads(asking.body or b"{}"))
        self.headers.append(asking.headers)
        self.urls.append(asking.url)
        self.called_at.append(trio.current_time())
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        self.streams.append(ScriptedStream(self, script))
        return self.streams[-1]


@define
class ScriptedStream:
    transport: ScriptedTransport
    script: Script
    _position: int = 0

    async def __aenter__(self) -> Self:
        self.transport.open += 1
        try:
            await trio.sleep(self.script.head_after)
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self.transport.open -= 1
        self.transport.closed_at.append(trio.current_time())

    @property
    def status(self) -> int:
        return self.script.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self.script.headers

    async def receive(self, take_now: object = None) -> bytes:
        await trio.lowlevel.checkpoint()
        while self._position < len(self.script.steps):
            step = self.script.steps[self._position]
            self._position += 1
            if isinstance(step, bytes):
                return step
            await trio.sleep(step)
        if self.script.end == "hang":
            await trio.sleep_forever()
        if self.script.end == "cut":
            raise UpstreamFailed("the connection to the upstream broke", recovery=Recovery.RETRY)
        if self.script.end == "fault":
            raise RuntimeError("a fault in the transport")
        return b""

    async def read(self, ceiling: int) -> bytes:
        pieces = []
        while piece := await self.receive():
            pieces.append(piece)
        return b"".join(pieces)


@define
class ScriptedAccount:
    """An account whose token is always good; `refusals` counts how often it was told otherwise.

    `resolved` counts how often its profile was looked up, which brings `found_profile`.
    """

    name: str = "scripted"
    refusals: int = 0
    refused_tokens: list[str] = field(factory=list)
    profile_arn: str = ""
    region: str = "us-east-1"
    flavour: str = "rest"
    url: str = ""
    found_profile: str = ""
    resolved: int = 0
    answers: int = 0
    wanted: str = "claude-sonnet-4.5"
    """What the client called the model that it asked for."""
    models: ModelLists | None = None
    names: ModelSettings = field(factory=ModelSettings)

    async def credentials(self) -> Credentials:
        return Credentials(
            f"token-{self.refusals}",
            account=self.name,
            profile_arn=self.profile_arn,
            region=self.region,
            flavour=self.flavour,
            url=self.url,
        )

    async def refused(self, token: str) -> None:
        self.refusals += 1
        self.refused_tokens.append(token)

    async def resolve_profile(self) -> None:
        self.resolved += 1
        self.profile_arn = self.found_profile

    @property
    def model(self) -> ModelProfile:
        catalogue = self.models.known(self.name) if self.models is not None else STATIC_CATALOGUE
        return catalogue.resolve(self.wanted, aliases=self.names.alias, default=self.names.default)

    @property
    def has_other(self) -> bool:
        return False

    async def pace(self, *, again: bool = False) -> None:
        return

    def served(self) -> None:
        self.answers += 1

    async def blamed(self, error: KirotrioError) -> KirotrioError:
        return error

    async def switch(self) -> bool:
        return False

    def told(self, error: KirotrioError) -> KirotrioError:
        return error

    @asynccontextmanager
    async def borrow(self, wish: Wish) -> AsyncIterator[Self]:
        self.wanted = wish.model
        _ = self.model  # an unknown one is refused here
        yield self


@define
class RecordingSink:
    """A client that takes everything: what was sent, and when."""

    status: int = 0
    headers: dict[str, str] = field(factory=dict)
    pieces: list[tuple[float, bytes]] = field(factory=list)
    finished: bool = False

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        assert self.status == 0, "a second head was sent"
        self.status, self.headers = status, dict(headers)

    async def write(self, piece: bytes) -> None:
        assert self.status, "bytes were sent before the head"
        assert not self.finished, "bytes were sent after the end"
        await trio.lowlevel.checkpoint()
        self.pieces.append((trio.current_time(), piece))

    async def finish(self, piece: bytes) -> None:
        await self.write(piece)
        self.finished = True

    @property
    def body(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)
