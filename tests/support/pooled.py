"""A pool of accounts and the relay above it on a mock clock: the service is the simulator, asked in memory.

Nothing waits for a socket or a thread, which a mock clock would take for idleness: what belongs into a thread is done
in place. The database is a real one. Tests ask for `autojump_clock` beside it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs
import orjson
import pytest
import trio
from attrs import define, field, frozen
from sqlalchemy import Connection
from support.in_memory import Asking, InMemory
from support.scripted import RecordingSink
from support.several import Kept, keep
from support.sign_in_service import wall_clock
from support.stack import changed

from kirotrio.accounts.cooldowns import Cooldown
from kirotrio.accounts.lending.colleagues import Colleagues
from kirotrio.accounts.lending.lender import Lending
from kirotrio.accounts.lending.members import Member
from kirotrio.accounts.lending.pool import Pool
from kirotrio.accounts.lending.wish import Wish
from kirotrio.accounts.opening import open_pool, open_shared
from kirotrio.accounts.shared import Shared
from kirotrio.accounts.sources.places import Places
from kirotrio.config.settings import Settings, SimulatorSettings
from kirotrio.conversation.request import Conversation, Limits, Text, ThinkingSetting, Turn
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.errors import Blame, Recovery, UpstreamFailed
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.relay.answer import Answer
from kirotrio.relay.request import AnswerRequest, Mode, Relay
from kirotrio.simulator import Simulator
from kirotrio.simulator.answers import Answer as Said
from kirotrio.simulator.answers import Call, Ending, Reply, Step, Stream
from kirotrio.store import accounts as rows
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.api.messages import AnthropicAnswer

MODEL = "claude-sonnet-4.5"


@frozen
class Asked:
    """One generation that the service was asked for. `body` is the request's."""

    account: str
    at: float
    body: Any = field(repr=False)

    @property
    def conversation(self) -> str:
        return str(self.body["conversationState"]["conversationId"])

    @property
    def continuation(self) -> str:
        return str(self.body["conversationState"]["agentContinuationId"])


@define
class Told:
    """What a client was told."""

    sink: RecordingSink

    @property
    def status(self) -> int:
        return self.sink.status

    @property
    def body(self) -> Any:
        return orjson.loads(self.sink.body)

    @property
    def message(self) -> str:
        """Of the error; fails where there is none."""
        return str(self.body["error"]["message"])

    @property
    def text(self) -> str:
        return "".join(block.get("text", "") for block in self.body["content"])

    @property
    def retry_after(self) -> int:
        return int(self.sink.headers["retry-after"])


@define(eq=False)
class Scene:
    """`down`: calls of these paths do not get through. `slow`: those of these take so many seconds."""

    folder: Path
    simulator: Simulator
    settings: Settings
    shared: Shared
    pool: Pool
    relay: Relay
    log: RecordingLog
    asked: list[Asked] = field(factory=list)
    calls: list[tuple[str, str]] = field(factory=list)
    """Every other call: its path and whose it was."""
    down: set[str] = field(factory=set)
    slow: dict[str, float] = field(factory=dict)
    _numbers: Iterator[int] = field(factory=lambda: itertools.count(1))

    @property
    def names(self) -> str:
        """The accounts that were asked to generate, in order, since the last time that this was asked."""
        names = "".join(asked.account for asked in self.asked)
        self.asked.clear()
        return names

    def member(self, name: str) -> Member:
        return next(member for member in self.pool.present() if member.name == name)

    def pauses(self, name: str) -> list[Cooldown]:
        return self.pool.cooldowns.of(self.member(name).key, self.pool.now())

    def blames(self, name: str) -> list[Blame]:
        return [pause.blame for pause in self.pauses(name)]

    def refreshes(self) -> int:
        return sum(path == "/refreshToken" for path, _ in self.calls)

    async def ask(
        self, text: str = "Say hi", *, mode: Mode = Mode.JSON, session: str = "s", turns: Any = (), **wish: Any
    ) -> Told:
        """One request of a client. `wish` is the rest of a Wish; `more`: the rest of a Conversation."""
        conversation = Conversation(
            model=wish.pop("model", MODEL),
            turns=turns or (Turn("user", (Text(text),), "messages.0"),),
            thinking=wish.pop("thinking", ThinkingSetting(enabled=False)),
            limits=Limits(max_tokens=64_000),
            **wish.pop("more", {}),
        )
        name = f"req_{next(self._numbers)}"
        wanted = Wish(session=session, model=conversation.model, **wish)
        request = AnswerRequest(conversation, mode, name, wanted)
        sink = RecordingSink()
        await Answer(self.relay, request, AnthropicAnswer(conversation.model, f"msg_{name}", name)).run(sink)
        return Told(sink)

    async def know_models(self) -> None:
        for member in self.pool.present():
            await self.pool.models.current(member.name, member.account.credentials)

    async def know_usage(self) -> None:
        """Look at what each account is worth, whenever that was looked at last."""
        for member in self.pool.present():
            await self.pool.usage.current(member.name, member.account.credentials, anew=True)

    async def change(self, name: str, work: Callable[[Connection, str], object]) -> None:
        """Change an account's row, as a command beside the gateway does, and let the gateway see it."""
        account_id = self.member(name).key
        await self.shared.database.write(lambda connection: work(connection, account_id))
        await self.pool.look()

    async def update(self, name: str, **fields: Any) -> None:
        """The same with `kirotrio accounts set`."""
        sealer = self.shared.sealer
        await self.change(name, lambda connection, account: rows.update(connection, sealer, account, **fields))

    async def put(self, *accounts: Kept) -> None:
        """These come into the store too, as `kirotrio login` puts them there."""
        keep(accounts, self.settings, self.folder)
        await self.pool.look()


@contextmanager
def _mocked_time() -> Iterator[None]:
    real = time.time

    def now() -> float:
        return wall_clock() if trio.lowlevel.in_trio_run() else real()

    async def in_place(work: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return work(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", now)
        patch.setattr(trio.to_thread, "run_sync", in_place)
        yield


@asynccontextmanager
async def pooled(
    folder: Path,
    estimator: TokenEstimator,
    *accounts: Kept,
    later: Iterable[Kept] = (),
    simulator: Simulator | None = None,
    colleagues: Colleagues | None = None,
    **sections: dict[str, Any],
) -> AsyncIterator[Scene]:
    """These accounts are the simulator's and in the store; without any, the store stays as it is. `later`: accounts
    that are the simulator's alone. `simulator`: one that goes on from another scene, or beside it. All other `sections`
    change settings."""
    known = [attrs.evolve(one.account) for one in (*accounts, *later)]  # the service keeps its books in them
    simulator = simulator or Simulator(
        SimulatorSettings(events=1),
        accounts=known,
        clock=trio.current_time,
        wall=wall_clock,
    )
    sections["store"] = {"key_source": "file", **sections.get("store", {})}
    settings = changed(Settings(), sections)
    log = RecordingLog()
    upstream = _Upstream()
    with _mocked_time():
        if accounts:
            keep(accounts, settings, folder)
        shared = open_shared(settings, folder)
        try:
            async with trio.open_nursery() as own:
                places = Places(folder / "home")
                pool = open_pool(settings, upstream, log, own, shared, places, now=wall_clock, colleagues=colleagues)
                await pool.look()
                relay = Relay(settings, upstream, Lending(pool), pool.models, estimator, log)
                scene = upstream.scene = Scene(folder, simulator, settings, shared, pool, relay, log)
                yield scene
                busy = {member.name: (member.gate.busy, member.gate.waiting) for member in pool.everyone()}
                assert set(busy.values()) <= {(0, 0)}, f"places were not given back: {busy}"
                assert not len(relay.streams), "answers are still registered"
                own.cancel_scope.cancel()
        finally:
            shared.database.close()


class _Upstream(InMemory["_Stream"]):
    """What a `Transport` does, in memory."""

    scene: Scene

    async def called(self, asking: Asking) -> HttpAnswer:
        call = asking.call
        self.scene.calls.append((call.path, self.whose(call)))
        await trio.sleep(self.scene.slow.get(call.path, 0.0))
        if call.path in self.scene.down:
            raise UpstreamFailed("the service cannot be reached", recovery=Recovery.RETRY)
        reply = self.scene.simulator.answer(call)
        assert isinstance(reply, Reply), "a plain call has a plain answer"
        return HttpAnswer(reply.status, dict(reply.headers), reply.body)

    def streamed(self, asking: Asking) -> _Stream:
        call = asking.call
        self.scene.asked.append(Asked(self.whose(call), trio.current_time(), orjson.loads(call.body)))
        return _Stream(self.scene.simulator.answer(call))

    def whose(self, call: Call) -> str:
        _, account = self.scene.simulator.book.identify(call.headers.get("authorization", "").partition(" ")[2])
        return account.name if account is not None else "?"


class _Stream:
    """What `client.UpstreamStream` does, in memory."""

    def __init__(self, answer: Said) -> None:
        self._delay: float | None = answer.head_delay if isinstance(answer, Stream) else answer.delay
        if isinstance(answer, Stream):
            self._pieces: Iterator[Step | Ending] = answer.steps
        else:
            self._pieces = iter([Step(0.0, answer.body, 0)])
        self.status = 200 if isinstance(answer, Stream) else answer.status
        self.headers = answer.headers

    async def __aenter__(self) -> Self:
        if self._delay is None:
            await trio.sleep_forever()
        await trio.sleep(self._delay)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    async def receive(self, take_now: object = None) -> bytes:
        match next(self._pieces, Ending.FINISH):
            case Step(pause, frames):
                await trio.sleep(pause)
                return frames
            case Ending.STALL:
                await trio.sleep_forever()
                raise AssertionError("it slept for ever")
            case Ending.FINISH:
                await trio.lowlevel.checkpoint()
                return b""
            case _:
                raise UpstreamFailed("the connection to the upstream broke", recovery=Recovery.RETRY)

    async def read(self, ceiling: int) -> bytes:
        pieces = []
        while piece := await self.receive():
            pieces.append(piece)
        return b"".join(pieces)
