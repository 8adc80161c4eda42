"""A worker's seat at the desk: what it asks there, as the parts of a gateway ask for it.

Where the desk is gone for a moment, whoever needs it waits, and is told to ask again where that takes too long.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import orjson
import trio
from attrs import field

from kirotrio.accounts.cooldowns import News
from kirotrio.accounts.lending.gate import GateLimits, Place
from kirotrio.accounts.lending.remote_gate import RemoteGate
from kirotrio.accounts.told import news_of, told_of
from kirotrio.classes import define
from kirotrio.config.settings import Settings
from kirotrio.errors import KirotrioError, LimitReached, Overloaded, RateLimited, Recovery
from kirotrio.store.responses import ResponseMissing, StoredResponse
from kirotrio.telemetry.log import Log
from kirotrio.web.workers.link import Link

_MARGIN = 5.0
"""Seconds that an answer of the desk may take beyond what was to be waited for."""
_AGAIN = 0.05
_LOOKS = (0.01, 0.03, 0.1)
"""Seconds between looks for a response that is not there: another worker may be handing it in at this moment."""


@define(eq=False)
class _Call:
    """A question that is not answered yet. `answer` stays None where the connection ends before."""

    done: trio.Event = field(factory=trio.Event)
    answer: list[Any] | None = None


class Seat:
    """`path` is the desk's socket, `worker` this one's number. Questions may be asked once `run` has started."""

    def __init__(self, path: Path, worker: int, settings: Settings, log: Log) -> None:
        self.worker = worker
        self.desk = str(path)
        """What all workers of this gateway have in common, and nobody else."""
        self._path = path
        self._log = log
        self._largest = settings.responses.max_memory
        self.counts_requests = settings.server.rate_per_minute > 0
        self._link: Link | None = None
        self._there = trio.Event()
        self._number = 0
        self._calls: dict[int, _Call] = {}
        self._hear: Callable[[News], None] | None = None
        self._unheard: list[News] = []
        self.answers: dict[str, Callable[[Any], Any]] = {}
        """What this worker says where all of them are asked, by what is asked: called with the question's argument, it
        gives what JSON can hold, and None for nothing."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Stay connected until cancelled."""
        started = False
        while True:
            connected = await self._connect()
            with contextlib.closing(Link(connected)) as link:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(link.pour)
                    self._link = link
                    self._there.set()
                    if not started:
                        started = True
                        task_status.started()
                    try:
                        while messages := await link.hear():
                            for number, *answer in messages:
                                self._take(number, answer)
                    finally:
                        self._lose()
                    nursery.cancel_scope.cancel()
            self._log.warning("the gateway's processes have lost each other; connecting again")

    async def _connect(self) -> socket.socket:
        while True:
            connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connected.connect(str(self._path))  # local: it succeeds or fails at once
            except OSError:
                connected.close()
                await trio.sleep(_AGAIN)
            else:
                return connected

    def _lose(self) -> None:
        self._link, self._there = None, trio.Event()
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.done.set()

    def _take(self, number: int, answer: list[Any]) -> None:
        if number < 0:
            self._answer(*answer)
        elif not number:
            news = news_of(answer)
            if self._hear is None:
                self._unheard.append(news)
            else:
                self._hear(news)
        elif (call := self._calls.pop(number, None)) is not None:
            call.answer = answer
            call.done.set()

    def _answer(self, asked: int, what: str, argument: Any) -> None:
        told = None
        try:
            told = self.answers[what](argument) if what in self.answers else None
        except Exception as error:  # one look must not part this worker from the others
            self._log.error("a question of another worker failed", exc_info=error, what=what)
        self._say("answered", asked, told)

    # Asking

    async def _begin(self, verb: str, *arguments: Any) -> tuple[int, _Call]:
        if self._link is None:
            with trio.move_on_after(_MARGIN):
                await self._there.wait()
        if self._link is None:
            raise _lost()
        self._number += 1
        call = self._calls[self._number] = _Call()
        self._link.say(verb, self._number, *arguments)
        return self._number, call

    async def _end(self, number: int, call: _Call, patience: float = 0.0) -> Any:
        """The answer. Raises RateLimited as the desk does, Overloaded where it does not answer."""
        try:
            with trio.move_on_after(patience + _MARGIN):
                await call.done.wait()
        finally:
            self._calls.pop(number, None)
        if call.answer is None:
            raise _lost()
        if len(call.answer) == 3:
            _, message, retry_after = call.answer
            raise RateLimited(message, retry_after=retry_after)
        return call.answer[0]

    async def _ask(self, verb: str, *arguments: Any) -> Any:
        return await self._end(*await self._begin(verb, *arguments))

    def _say(self, verb: str, *arguments: Any) -> None:
        if self._link is not None:
            self._link.say(verb, *arguments)

    # Accounts (`Colleagues`)

    def gate(self, key: str, limits: GateLimits, name: str) -> SharedGate:
        return SharedGate(self, key, limits, name)

    async def home(self, session: str) -> str:
        return str(await self._ask("home", session))

    def bind(self, session: str, key: str) -> None:
        self._say("bind", session, key)

    def tell(self, news: News) -> None:
        self._say("pause", *told_of(news))

    def listen(self, hear: Callable[[News], None]) -> None:
        self._hear = hear
        for news in self._unheard:
            hear(news)
        self._unheard.clear()

    # All workers

    async def everyone(self, what: str, argument: Any = None) -> list[Any]:
        """What each worker has to say to this, this one included, in any order. Raises Overloaded where they do not
        answer in time."""
        return list(await self._ask("everyone", what, argument))

    # Keys

    async def admit(self, key_id: str) -> None:
        """Count one request of this key. Raises LimitReached, and Overloaded where the desk does not answer."""
        try:
            await self._ask("rate", key_id)
        except RateLimited as error:  # on its way here it has lost whose limit it is
            raise LimitReached(error.message, retry_after=error.retry_after) from None

    # Responses, as `ResponseMemory` has them

    def put(self, owner: str, stored: StoredResponse) -> bool:
        payload = orjson.dumps([stored.response, stored.input_items])
        if len(payload) > self._largest:
            return False
        self._say("keep", owner, stored.response, stored.input_items, stored.previous)
        return True

    async def get(self, owner: str, response_id: str) -> StoredResponse | None:
        found = await self._look("response", lambda found: found is not None, owner, response_id)
        return None if found is None else StoredResponse(found[0], tuple(found[1]), found[2])

    async def delete(self, owner: str, response_id: str) -> bool:
        return bool(await self._look("delete", bool, owner, response_id))

    async def chain(self, owner: str, response_id: str) -> list[dict[str, Any]]:
        """Raises ResponseMissing."""
        found = await self._look("chain", lambda found: isinstance(found, list), owner, response_id)
        if isinstance(found, list):
            return found
        raise ResponseMissing(str(found))

    async def items(self, owner: str, wanted: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        if not wanted:
            return {}
        found: dict[str, dict[str, Any]] = await self._look(
            "items", lambda found: set(found) >= set(wanted), owner, list(wanted)
        )
        return found

    async def _look(self, verb: str, is_there: Callable[[Any], bool], *arguments: Any) -> Any:
        found = await self._ask(verb, *arguments)
        for pause in _LOOKS:
            if is_there(found):
                break
            await trio.sleep(pause)
            found = await self._ask(verb, *arguments)
        return found


class SharedGate(RemoteGate[int]):
    """A `Gate` (see there) that all workers share. What it counts itself is this worker's part."""

    def __init__(self, seat: Seat, key: str, limits: GateLimits, name: str) -> None:
        super().__init__(limits)
        self._seat = seat
        self._key = key
        self._name = name

    def rename(self, name: str) -> None:
        self._name = name

    def _tell_limits(self) -> None:
        self._seat._say("limits", self._key, attrs.astuple(self._limits))

    @asynccontextmanager
    async def place(self, deadline: float) -> AsyncIterator[Place]:
        number = await self._enter(deadline, wants_place=True)
        place = Place(used=False)
        self._taken += 1
        try:
            place.used = True
            yield place
        finally:
            self._taken -= 1
            self._seat._say("leave", number, place.used)

    async def _enter(self, deadline: float, *, wants_place: bool) -> int:
        # A place that nobody would wait for is no line to stand in.
        self._waiting += wants_place
        try:
            number, call = await self._seat._begin(
                "enter", self._key, self._name, attrs.astuple(self._limits), deadline, wants_place
            )
            try:
                await self._seat._end(number, call, deadline)
            except RateLimited as refused:
                refused.recovery = Recovery.SWITCH_ACCOUNT
                raise
            except BaseException:
                self._seat._say("leave", number, False)
                raise
        finally:
            self._waiting -= wants_place
        return number


def _lost() -> KirotrioError:
    return Overloaded("the gateway's processes cannot reach each other for a moment; ask again", retry_after=1.0)
