"""What other processes of the same gateway share with this one as far as accounts go (`server.workers`).

A process that is alone has none, and pays nothing for them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from kirotrio.accounts.cooldowns import News
from kirotrio.accounts.lending.gate import GateLimits, Place


class Entrance(Protocol):
    """A `Gate`, here or shared with others."""

    limits: GateLimits

    @property
    def busy(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    @property
    def is_free(self) -> bool: ...

    def rename(self, name: str) -> None: ...

    def place(self, deadline: float) -> AbstractAsyncContextManager[Place]: ...

    async def pace(self, deadline: float) -> None: ...


class Colleagues(Protocol):
    """All of them together. `key` is `Member.key`: an account's, the same in every process."""

    def gate(self, key: str, limits: GateLimits, name: str) -> Entrance:
        """The gate to this account that all of them share."""

    async def home(self, session: str) -> str:
        """The key of the account that this session is on, "" where it is on none. Raises Overloaded."""

    def bind(self, session: str, key: str) -> None:
        """This session is on this account from now on."""

    def tell(self, news: News) -> None:
        """What was met here of an account's pauses."""

    def listen(self, hear: Callable[[News], None]) -> None:
        """`hear` is called with what others meet, and first with what they have met so far."""
