"""What the upstream said of each account: asked once in a while, remembered, and kept beyond a restart.

One rule for everything that is asked like this (usage, models): what is known is had without waiting; one call at a
time per account; a failure is not repeated for a minute; what another gateway or an earlier run was told, and is
still fresh, is not asked for again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeAlias, TypeVar

import orjson
import trio

from kirotrio.conversation.request import Json
from kirotrio.errors import KirotrioError
from kirotrio.kiro.credentials import Credentials
from kirotrio.telemetry.log import Log

_T = TypeVar("_T")

RETRY = 60.0
"""Seconds before what could not be had is asked for again."""

_SKEW = 60.0
"""Seconds by which the clocks of two machines may differ."""

CredentialsOf: TypeAlias = Callable[[], Awaitable[Credentials]]


class Snapshots(Protocol):
    """Where the upstream's last word on an account is kept. `content` is JSON, `fetched_at` epoch seconds."""

    async def save(self, account: str, topic: str, content: str, fetched_at: float) -> None:
        """Raises StoreUnavailable, which costs nothing but the memory of it."""

    async def load(self, account: str, topic: str) -> tuple[str, float] | None:
        """Content and `fetched_at`, None where nothing is kept. Raises StoreUnavailable."""


class Remembered(Generic[_T]):
    """`every`: seconds for which an answer is taken as it is; `now`: the wall clock, in epoch seconds.

    `ask` makes the calls and gives a JSON document, or raises KirotrioError; it is given what was known before.
    `read` makes a value of such a document, fetched at that time, or raises KirotrioError.
    """

    def __init__(
        self,
        topic: str,
        every: float,
        ask: Callable[[str, Credentials, _T | None], Awaitable[Json]],
        read: Callable[[Json, float], _T],
        log: Log,
        *,
        snapshots: Snapshots | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._topic = topic
        self._every = every
        self._ask = ask
        self._read = read
        self._log = log
        self._snapshots = snapshots
        self._now = now
        self._values: dict[str, _T] = {}
        self._fetched_at: dict[str, float] = {}
        self._troubles: dict[str, KirotrioError] = {}
        self._looks: dict[str, int] = {}
        """How many looks at each account have ended."""
        self._due: dict[str, float] = {}
        """When each account is to be asked again, by Trio's clock."""
        self._locks: dict[str, trio.Lock] = {}

    def known(self, account: str) -> _T | None:
        return self._values.get(account)

    def fetched_at(self, account: str) -> float | None:
        """Epoch seconds of what is known."""
        return self._fetched_at.get(account)

    def trouble(self, account: str) -> KirotrioError | None:
        """Why the last look failed; None after one that did not."""
        return self._troubles.get(account)

    def has(self, account: str) -> bool:
        """Whether the account has been looked at, with success or without."""
        return account in self._due

    def forget(self, account: str) -> None:
        """The account is gone, or is another one by now."""
        for memory in (self._values, self._fetched_at, self._troubles, self._looks, self._due):
            memory.pop(account, None)
        lock = self._locks.get(account)
        if lock is not None and not lock.locked():
            del self._locks[account]

    async def recall(self, account: str) -> _T | None:
        """What is known, from the snapshot where nothing newer is. Asks nobody; never raises."""
        kept = await self._kept(account)
        if kept is not None:
            self._adopt(account, *kept)
        return self.known(account)

    async def refresh(self, account: str, credentials: CredentialsOf, *, anew: bool = False) -> _T:
        """What is known, asked for if that is old, or `anew` however old it is.

        A failure is logged, raised, and raised again without a call for a minute. Cancellation leaves everything as
        it was.
        """
        looks = self._looks.get(account, 0)
        async with self._locks.setdefault(account, trio.Lock()):
            answered = self._looks.get(account, 0) > looks  # meanwhile, for somebody else
            if answered or (not anew and trio.current_time() < self._due.get(account, -math.inf)):
                if trouble := self._troubles.get(account):
                    raise trouble.with_traceback(None)
                return self._values[account]
            if not anew:
                recalled = await self.recall(account)
                if recalled is not None and trio.current_time() < self._due[account]:
                    return recalled
            return await self._look(account, credentials)

    async def _look(self, account: str, credentials: CredentialsOf) -> _T:
        try:
            document = await self._ask(account, await credentials(), self.known(account))
            fetched_at = self._now()
            value = self._read(document, fetched_at)
        except KirotrioError as error:
            self._log.warning(f"{self._topic} unavailable", account=account, error=error.message)
            self._troubles[account] = error
            self._looks[account] = self._looks.get(account, 0) + 1
            self._due[account] = trio.current_time() + RETRY
            raise
        self._adopt(account, value, fetched_at)
        self._looks[account] = self._looks.get(account, 0) + 1
        await self._keep(account, document, fetched_at)
        return value

    def _adopt(self, account: str, value: _T, fetched_at: float) -> None:
        self._values[account] = value
        self._fetched_at[account] = fetched_at
        self._troubles.pop(account, None)
        age = max(0.0, self._now() - fetched_at)
        self._due[account] = trio.current_time() + self._every - age

    async def _kept(self, account: str) -> tuple[_T, float] | None:
        """What the snapshot says, if that is newer than what is known."""
        if self._snapshots is None:
            return None
        try:
            kept = await self._snapshots.load(account, self._topic)
            if kept is None:
                return None
            content, fetched_at = kept
            if fetched_at > self._now():
                # By another machine's clock just now; or the clock was set back, and then nobody knows how old it is.
                skewed = fetched_at - self._now() <= _SKEW
                fetched_at = self._now() - (0.0 if skewed else self._every)
            if fetched_at <= self._fetched_at.get(account, -math.inf):
                return None
            return self._read(orjson.loads(content), fetched_at), fetched_at
        except (KirotrioError, ValueError) as error:
            self._log.debug("snapshot not readable", account=account, topic=self._topic, reason=str(error))
            return None

    async def _keep(self, account: str, document: Json, fetched_at: float) -> None:
        if self._snapshots is None:
            return
        try:
            await self._snapshots.save(account, self._topic, orjson.dumps(document).decode(), fetched_at)
        except KirotrioError as error:
            self._log.warning("snapshot not kept", account=account, topic=self._topic, reason=error.message)
