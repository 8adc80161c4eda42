"""Whose turn it is to refresh an account, among all processes that share a store."""

from __future__ import annotations

import math
from typing import Protocol

import trio
from attrs import field

from kirotrio.classes import define, frozen


class Turns(Protocol):
    async def take(self, name: str) -> bool:
        """Whether the turn is ours from now on. It ends by itself, should we never give it back.

        Raises StoreUnavailable: then nobody knows, and nothing is to be refreshed. Cancellation may leave it taken.
        """

    async def give_back(self, name: str) -> None:
        """Never raises; shield it, and give it a deadline."""


class OwnTurns:
    """For accounts that no other process knows."""

    async def take(self, name: str) -> bool:
        return True

    async def give_back(self, name: str) -> None:
        return


@frozen
class Whose:
    """The account in messages and in the log, and the name of its turn, which is the same in every process."""

    name: str
    turn: str = field()

    @turn.default
    def _own(self) -> str:
        return f"refresh:{self.name}"


@define(eq=False)
class Turn:
    """One account's turn, as this process takes it: for the first time, and again to keep it."""

    _turns: Turns
    _name: str
    _until: float = field(default=-math.inf, init=False)
    _before: float = field(default=-math.inf, init=False)

    async def take(self, lasts: float) -> bool:
        """As `Turns.take`. `lasts`: seconds after which it ends by itself."""
        asked = trio.current_time()
        taken = await self._turns.take(self._name)
        if taken:
            self._before, self._until = self._until, asked + lasts
        return taken

    @property
    def is_unbroken(self) -> bool:
        """Whether it is ours since before the latest taking. Where this process stood still for longer than a turn
        lasts, another may have had it meanwhile, and what was read before is not to be relied on."""
        return trio.current_time() < self._before

    async def give_back(self) -> None:
        """As `Turns.give_back`."""
        self._until = -math.inf
        await self._turns.give_back(self._name)
