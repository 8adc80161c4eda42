"""A set that one can wait on until it is empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class Register(Generic[T]):
    """Who is present right now. Iterating sees those who were present when it began."""

    def __init__(self) -> None:
        self._present: set[T] = set()
        self._empty = trio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._present)

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._present))

    def add(self, one: T) -> None:
        if not self._present:
            self._empty = trio.Event()
        self._present.add(one)

    def remove(self, one: T) -> None:
        self._present.remove(one)
        if not self._present:
            self._empty.set()

    async def wait_empty(self) -> None:
        """Return once nobody is present. Cancelling the wait changes nothing."""
        while self._present:
            await self._empty.wait()
