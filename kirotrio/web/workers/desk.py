"""The desk: where the workers of one gateway ask for what only one of them may have.

A process of its own, which holds what a single gateway process holds in memory: who has a place on which account and
who waits for one, how many requests each key has made, which session is on which account, who pauses, what Responses
clients may continue. The very parts of the single process do it here, so the limits are the same, exact, and whoever
waits is served in the order of coming. Places belong to the connection of the worker that took them: where a worker
dies, they come back at once.

Why not in the database, which other gateways share too: a place that is taken and given back is two transactions, which
cost 1.9 to 4.5 ms of a processor (SQLite through SQLAlchemy Core, from a thread); by messages it costs 0.1 ms in the
worker and 0.18 in the desk, measured in the same hour, and nobody has to ask again and again whether it is his turn.
"""

from __future__ import annotations

import contextlib
import socket
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import trio
from attrs import field

from kirotrio.access.rate import RatePerMinute
from kirotrio.accounts.lending.choice import SESSIONS
from kirotrio.accounts.lending.gate import Gate, GateLimits
from kirotrio.classes import define
from kirotrio.config.settings import Settings
from kirotrio.errors import RateLimited
from kirotrio.store.responses import ResponseMemory, ResponseMissing, StoredResponse
from kirotrio.web.workers.link import Link

GATES = 1000
"""How many accounts are remembered; of more, those that nobody uses are forgotten."""
PAUSES = 2000
"""How many pauses are told to a worker that starts; a refused model counts as one."""
ROUNDS = 100
"""Questions to all workers that may be open; beyond, the oldest is answered with what is there."""


COUNTED = 1000
"""Processes whose counts are remembered once they are gone."""


@define(eq=False)
class _Stay:
    """One request's hold on a place, from the moment when it was asked for."""

    scope: trio.CancelScope = field(factory=trio.CancelScope)
    left: trio.Event = field(factory=trio.Event)
    used: bool = True
    is_inside: bool = False


@define(eq=False)
class _Visitor:
    """A worker, as long as it is connected. What it holds ends with `nursery`."""

    link: Link
    nursery: trio.Nursery
    stays: dict[int, _Stay] = field(factory=dict)


@define(eq=False)
class _Round:
    """A question to all workers: who has not answered yet, and what the others said."""

    asker: _Visitor
    number: int
    missing: set[_Visitor]
    what: str = ""
    answers: list[Any] = field(factory=list)


class Desk:
    """Everything that the workers of one gateway have in common."""

    def __init__(self, settings: Settings) -> None:
        kept = settings.responses
        self._rate = RatePerMinute(settings.server.rate_per_minute)
        self._gates: OrderedDict[str, Gate] = OrderedDict()
        self._homes: OrderedDict[str, str] = OrderedDict()
        self._pauses: OrderedDict[tuple[str, str], list[Any]] = OrderedDict()
        self._responses = ResponseMemory(kept.max_memory, kept.keep, trio.current_time)
        self._visitors: set[_Visitor] = set()
        self._rounds: dict[int, _Round] = {}
        self._counted: OrderedDict[str, dict[str, Any]] = OrderedDict()
        """What each worker counted, as it was last told."""
        self._round = 0
        self._verbs: dict[str, Callable[..., None]] = {
            "enter": self._enter,
            "leave": self._leave,
            "limits": self._limits,
            "rate": self._admit,
            "home": self._home,
            "bind": self._bind,
            "pause": self._pause,
            "keep": self._keep,
            "response": self._response,
            "delete": self._delete,
            "chain": self._chain,
            "items": self._items,
            "everyone": self._everyone,
            "answered": self._answered,
        }

    @property
    def is_alone(self) -> bool:
        """Whether no worker is connected."""
        return not self._visitors

    async def serve(self, listener: socket.socket) -> None:
        """Attend to every worker that connects, until cancelled."""
        listener.setblocking(False)
        async with trio.open_nursery() as nursery:
            while True:
                await trio.lowlevel.wait_readable(listener)
                with contextlib.suppress(BlockingIOError):
                    connected, _ = listener.accept()
                    nursery.start_soon(self._attend, Link(connected))

    async def _attend(self, link: Link) -> None:
        with contextlib.closing(link):
            async with trio.open_nursery() as nursery:
                visitor = _Visitor(link, nursery)
                nursery.start_soon(link.pour)
                for told in self._pauses.values():
                    link.say(0, *told)
                self._visitors.add(visitor)
                try:
                    while messages := await link.hear():
                        for verb, *rest in messages:
                            self._verbs[verb](visitor, *rest)
                finally:
                    self._visitors.remove(visitor)
                    for number in list(self._rounds):
                        self._answered(visitor, number, None)
                nursery.cancel_scope.cancel()

    # Places on accounts

    def _enter(
        self, visitor: _Visitor, number: int, key: str, name: str, limits: list[int], deadline: float, place: bool
    ) -> None:
        gate = self._gate(key, name, limits)
        stay = visitor.stays[number] = _Stay()
        visitor.nursery.start_soon(self._hold, visitor, number, stay, gate, deadline, place)

    async def _hold(
        self, visitor: _Visitor, number: int, stay: _Stay, gate: Gate, deadline: float, wants_place: bool
    ) -> None:
        try:
            with stay.scope:
                if not wants_place:
                    await gate.pace(deadline)
                    visitor.link.say(number, True)
                    return
                async with gate.place(deadline) as place:
                    stay.is_inside = True
                    visitor.link.say(number, True)
                    try:
                        await stay.left.wait()
                    finally:
                        place.used = stay.used
        except RateLimited as error:
            visitor.link.say(number, None, error.message, error.retry_after)
        finally:
            visitor.stays.pop(number, None)

    def _leave(self, visitor: _Visitor, number: int, used: bool) -> None:
        stay = visitor.stays.get(number)
        if stay is None:
            return
        stay.used = used
        if stay.is_inside:
            stay.left.set()
        else:
            stay.scope.cancel()

    def _limits(self, _: _Visitor, key: str, limits: list[int]) -> None:
        if key in self._gates:
            self._gates[key].limits = GateLimits(*limits)

    def _gate(self, key: str, name: str, limits: list[int]) -> Gate:
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(GateLimits(*limits), name)
            if len(self._gates) > GATES:
                idle = next((one for one, its in self._gates.items() if not its.busy and not its.waiting), None)
                if idle not in (None, key):
                    del self._gates[idle]
        self._gates.move_to_end(key)
        gate.rename(name)
        return gate

    # Keys

    def _admit(self, visitor: _Visitor, number: int, key_id: str) -> None:
        try:
            self._rate.admit(key_id)
        except RateLimited as error:
            visitor.link.say(number, None, error.message, error.retry_after)
        else:
            visitor.link.say(number, True)

    # Sessions and pauses

    def _home(self, visitor: _Visitor, number: int, session: str) -> None:
        if session in self._homes:
            self._homes.move_to_end(session)
        visitor.link.say(number, self._homes.get(session, ""))

    def _bind(self, _: _Visitor, session: str, key: str) -> None:
        self._homes[session] = key
        self._homes.move_to_end(session)
        if len(self._homes) > SESSIONS:
            self._homes.popitem(last=False)

    def _pause(self, visitor: _Visitor, *told: Any) -> None:
        """Tell all others at once, and whoever starts later (`accounts.told.told_of` has the order of the values)."""
        account, model, blame, *_, ended_before, _ = told
        if blame is not None or ended_before is not None:
            self._pauses[account, model] = list(told)
            self._pauses.move_to_end((account, model))
            if len(self._pauses) > PAUSES:
                self._pauses.popitem(last=False)
        for other in self._visitors:
            if other is not visitor:
                other.link.say(0, *told)

    # What all of them know together

    def _everyone(self, visitor: _Visitor, number: int, what: str, argument: Any) -> None:
        """Ask every worker, the asker among them; the answers go back as one list once all have answered. One that
        hangs is not waited for here: the asker's own patience ends."""
        self._round += 1
        self._rounds[self._round] = _Round(visitor, number, set(self._visitors), what)
        if len(self._rounds) > ROUNDS:
            self._close(next(iter(self._rounds)))
        for one in self._visitors:
            one.link.say(-1, self._round, what, argument)

    def _answered(self, visitor: _Visitor, number: int, answer: Any) -> None:
        asked = self._rounds.get(number)
        if asked is None:
            return
        if visitor in asked.missing and answer is not None:
            asked.answers.append(answer)
            if asked.what == "metrics":
                self._remember(answer)
        asked.missing.discard(visitor)
        if not asked.missing:
            self._close(number)

    def _remember(self, counted: dict[str, Any]) -> None:
        """What a process has counted stays counted when it is gone: a sum must not fall."""
        self._counted[counted["process"]] = {**counted, "gone": True}
        self._counted.move_to_end(counted["process"])
        if len(self._counted) > COUNTED:
            self._counted.popitem(last=False)

    def _close(self, number: int) -> None:
        asked = self._rounds.pop(number)
        if asked.what == "metrics":
            here = {answer["process"] for answer in asked.answers}
            asked.answers += [counted for process, counted in self._counted.items() if process not in here]
        asked.asker.link.say(asked.number, asked.answers)

    # Responses

    def _keep(
        self, _: _Visitor, owner: str, response: dict[str, Any], items: list[dict[str, Any]], previous: str | None
    ) -> None:
        self._responses.put(owner, StoredResponse(response, tuple(items), previous))

    def _response(self, visitor: _Visitor, number: int, owner: str, response_id: str) -> None:
        stored = self._responses.get(owner, response_id)
        told = None if stored is None else [stored.response, stored.input_items, stored.previous]
        visitor.link.say(number, told)

    def _delete(self, visitor: _Visitor, number: int, owner: str, response_id: str) -> None:
        visitor.link.say(number, self._responses.delete(owner, response_id))

    def _chain(self, visitor: _Visitor, number: int, owner: str, response_id: str) -> None:
        try:
            visitor.link.say(number, self._responses.chain(owner, response_id))
        except ResponseMissing as error:
            visitor.link.say(number, error.missing)

    def _items(self, visitor: _Visitor, number: int, owner: str, wanted: list[str]) -> None:
        visitor.link.say(number, self._responses.items(owner, wanted))
