"""What gates have in common whose places are given out elsewhere: by another process, or by a database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from kirotrio.accounts.lending.gate import GateLimits

Hold = TypeVar("Hold")


class RemoteGate(ABC, Generic[Hold]):
    """A `Gate` (see there). What it counts itself is this process's part; a `Hold` is what it knows its place by."""

    def __init__(self, limits: GateLimits) -> None:
        self._limits = limits
        self._taken = 0
        self._waiting = 0

    @property
    def busy(self) -> int:
        return self._taken

    @property
    def waiting(self) -> int:
        return self._waiting

    @property
    def is_free(self) -> bool:
        """Whether it is worth asking for a place that is had at once; whoever gives them out alone knows."""
        return True

    @property
    def limits(self) -> GateLimits:
        return self._limits

    @limits.setter
    def limits(self, limits: GateLimits) -> None:
        if limits != self._limits:
            self._limits = limits
            self._tell_limits()

    async def pace(self, deadline: float) -> None:
        await self._enter(deadline, wants_place=False)

    @abstractmethod
    def _tell_limits(self) -> None:
        """Have it known that the limits are others now. Never waits."""

    @abstractmethod
    async def _enter(self, deadline: float, *, wants_place: bool) -> Hold:
        """Wait for a place, or for one's turn. Raises as `Gate.place` does."""
