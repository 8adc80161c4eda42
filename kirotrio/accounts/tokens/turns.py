"""Whose turn it is to refresh an account, among all processes that share a store."""

from __future__ import annotations

from typing import Protocol

from attrs import field

from kirotrio.classes import frozen


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
