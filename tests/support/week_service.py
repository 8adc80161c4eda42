"""The simulator, asked in memory and watched: what a `Transport` does, without sockets and threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import orjson
import trio
from attrs import define, evolve, field
from support.in_memory import Asking, InMemory
from support.sign_in_service import EPOCH
from support.week_watch import Watch

from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.simulator import Account, Simulator
from kirotrio.simulator.answers import Answer, Call, Ending, Reply, Step, Stream

WAY = 0.2
"""Seconds to the service, and as many back."""


@define(eq=False)
class WatchedService(InMemory["WatchedStream"]):
    """`tells`: seconds of the `Retry-After` that an account's refusals bring."""

    simulator: Simulator
    watch: Watch
    tells: dict[str, float] = field(factory=dict)

    async def called(self, asking: Asking) -> HttpAnswer:
        call = asking.call
        await trio.sleep(WAY)
        owner = self._owner(call)
        if owner:
            self.simulator.book.expires_in = int(self.watch.lives[owner])
        reply = self.simulator.answer(call)
        assert isinstance(reply, Reply), "a plain call has a plain answer"
        if owner:
            self.watch.refreshed(owner, reply.status, _said(reply).get("error", ""))
        await trio.sleep(WAY)
        return HttpAnswer(reply.status, dict(reply.headers), reply.body)

    def _owner(self, call: Call) -> str:
        """Whose refresh this is; "" for other calls."""
        if call.path == "/refreshToken":
            return "social"
        if call.path == "/token":
            client_id = orjson.loads(call.body)["clientId"]
            return next(account.name for account in self.simulator.book.accounts if account.client_id == client_id)
        return ""

    def streamed(self, asking: Asking) -> WatchedStream:
        return WatchedStream(self, asking.call)

    def answer(self, call: Call, account: Account) -> Answer:
        answer = self.simulator.answer(call)
        if isinstance(answer, Reply) and account.name in self.tells:
            return evolve(answer, headers={**answer.headers, "retry-after": f"{self.tells[account.name]:.0f}"})
        return answer


class WatchedStream:
    """What `client.UpstreamStream` does."""

    def __init__(self, service: WatchedService, call: Call) -> None:
        self._service = service
        self._call = call
        self._pieces: Iterator[Step | Ending] = iter(())
        self._account: Account | None = None
        self.status = 0
        self.headers: Mapping[str, str] = {}

    async def __aenter__(self) -> Self:
        watch = self._service.watch
        bearer = self._call.headers["authorization"].partition(" ")[2]
        account = self._service.simulator.book.identify(bearer)[1]
        assert account is not None, "a token that nobody gave out"
        watch.asked(account.name)
        self._account = account
        try:
            await trio.sleep(WAY)
            answer = self._service.answer(self._call, account)
            if isinstance(answer, Stream):
                await trio.sleep(answer.head_delay or 0.0)
                self.status, self._pieces = 200, answer.steps
            else:
                self.status, self._pieces = answer.status, iter([Step(0.0, answer.body, 0), Ending.FINISH])
            self.headers = {**answer.headers, "x-amzn-requestid": self._call.request_id}
            self._note(account, answer)
        except BaseException:
            self._close()
            raise
        return self

    def _note(self, account: Account, answer: Answer) -> None:
        said = _said(answer) if isinstance(answer, Reply) else {}
        retry_after = float(answer.headers.get("retry-after") or (said.get("retryAfterMilliseconds") or 0) / 1000)
        reason = said.get("reason") or str(self.status)
        plan = account.subscription
        resets_at = plan.resets_at - EPOCH if plan is not None and plan.resets_at is not None else None
        self._service.watch.answered(account.name, self.status, reason, retry_after, resets_at)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._account is not None:
            self._service.watch.ended(self._account.name)
            self._account = None

    async def receive(self, take_now: object = None) -> bytes:
        await trio.lowlevel.checkpoint()
        piece = next(self._pieces)
        return piece.frames if isinstance(piece, Step) else b""

    async def read(self, ceiling: int) -> bytes:
        return await self.receive()


def _said(reply: Reply) -> dict[str, Any]:
    said = orjson.loads(reply.body)
    assert isinstance(said, dict)
    return said
