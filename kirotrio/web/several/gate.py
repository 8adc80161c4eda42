"""A `Gate` (see there) that several gateways share. What it counts itself is this gateway's part."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from kirotrio.accounts.lending import pacing
from kirotrio.accounts.lending.gate import Place
from kirotrio.accounts.lending.pacing import GateLimits
from kirotrio.accounts.lending.remote_gate import RemoteGate
from kirotrio.errors import RateLimited
from kirotrio.web.several.batch import Answer, Told
from kirotrio.web.several.clerk import Clerk

_UNTOLD = 5.0
"""Seconds after which to ask again, while nobody knows how long this account's answers take."""
_SHARE = 0.2
"""Of the latest answer in the mean of how long answers take."""


class SharedGate(RemoteGate[str]):
    """`ledger` is the account's, the same in every gateway; `name` is for messages. Without limits it costs nothing."""

    def __init__(self, clerk: Clerk, ledger: str, limits: GateLimits, name: str) -> None:
        super().__init__(limits)
        self._clerk = clerk
        self._ledger = ledger
        self.rename(name)
        self._mean: float | None = None

    def rename(self, name: str) -> None:
        self._who = f"the account {name!r}" if name else "the account"

    def _tell_limits(self) -> None:
        self._clerk.look(self._ledger, self._limits)

    @asynccontextmanager
    async def place(self, deadline: float) -> AsyncIterator[Place]:
        hold = await self._enter(deadline, wants_place=True)
        place, entered = Place(used=False), trio.current_time()
        self._taken += 1
        try:
            place.used = True
            yield place
        finally:
            self._taken -= 1
            if place.used:
                held = trio.current_time() - entered
                self._mean = held if self._mean is None else self._mean + _SHARE * (held - self._mean)
            if hold:
                self._clerk.leave(self._ledger, self._limits, hold, used=place.used)

    async def _enter(self, deadline: float, *, wants_place: bool) -> str:
        if self._limits.is_none:
            await trio.lowlevel.checkpoint()
            return ""
        await trio.lowlevel.checkpoint_if_cancelled()
        hold, latest = secrets.token_hex(8), trio.current_time() + deadline
        self._waiting += wants_place
        try:
            asked = self._clerk.enter(self._ledger, self._limits, hold, deadline, wants_place=wants_place)
            # The first word is waited for however short the deadline is: it takes as long as the database does.
            await self._clerk.answered(asked.heard)
            with trio.move_on_at(latest):
                await asked.done.wait()
            told = asked.told
            if told.answer is Answer.FULL:
                raise pacing.full(self._who, told.waiting - 1, self._next_place(1, told.wait))
            if told.answer is not Answer.IN:
                raise self._late(told)
        except BaseException:
            self._clerk.leave(self._ledger, self._limits, hold, used=False)
            raise
        finally:
            self._waiting -= wants_place
        return hold

    def _late(self, told: Told) -> RateLimited:
        if told.wait > 0:
            return pacing.too_fast(self._who, self._limits, told.wait)
        return pacing.too_many(self._who, self._limits, self._next_place(max(told.waiting, 1), told.wait))

    def _next_place(self, position: int, pace: float) -> float:
        """Seconds until somebody at this position of the queue may expect to be let in."""
        if self._limits.max_concurrent <= 0:
            return max(pace, 1.0)
        mean = _UNTOLD if self._mean is None else self._mean
        return max(pace, mean * position / self._limits.max_concurrent, 1.0)
