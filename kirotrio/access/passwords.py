"""Passwords as argon2id hashes. A hash takes a tenth of a second and 46 MB on purpose, so it is made in a thread, and
few of them at one time.

Every check is one hash, also where there is nothing to compare with: nobody learns from the time whether a name is
known.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from kirotrio.classes import frozen
from kirotrio.errors import Overloaded

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_T = TypeVar("_T")

_AT_ONE_TIME = 2
_MOST_WAITING = 32
"""Beyond, an attempt is refused at once rather than kept waiting."""
_SALT, _HASH = 16, 32
"""Bytes."""


@frozen
class Cost:
    """What one hash takes: `memory` in KiB, `time` in passes."""

    memory: int = 47_104
    time: int = 2


USUAL: Final = Cost()
"""What a gateway's hashes cost."""


class Passwords:
    """Makes and checks hashes. `hashed` counts the hashes that were computed."""

    def __init__(self, cost: Cost | None = None) -> None:
        self.cost: Final = cost or USUAL
        self.hashed = 0
        self._limiter = trio.CapacityLimiter(_AT_ONE_TIME)
        self._hasher: PasswordHasher | None = None

    async def hash(self, password: str) -> str:
        """Cancellation is noticed before and after. Raises Overloaded where too many wait."""

        def work() -> str:
            return self._argon().hash(_encoded(password))

        return await self._run(work)

    async def matches(self, hashed: str, password: str) -> bool:
        """Whether this is the password; "" for a hash is nobody's, takes as long, and never matches.

        Raises Overloaded where too many wait.
        """

        def work() -> bool:
            from argon2.exceptions import InvalidHashError, VerificationError

            try:
                return self._argon().verify(hashed or self._nobodys(), _encoded(password)) and bool(hashed)
            except (VerificationError, InvalidHashError):
                return False

        return await self._run(work)

    def is_outdated(self, hashed: str) -> bool:
        """Whether it was made at another cost, so that it had better be made anew."""
        return self._argon().check_needs_rehash(hashed)

    def _argon(self) -> PasswordHasher:
        if self._hasher is None:
            from argon2 import PasswordHasher, Type

            self._hasher = PasswordHasher(
                self.cost.time, self.cost.memory, 1, hash_len=_HASH, salt_len=_SALT, type=Type.ID
            )
        return self._hasher

    def _nobodys(self) -> str:
        """A hash of the same cost that no password has."""
        salt, made = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (_SALT, _HASH))
        return f"$argon2id$v=19$m={self.cost.memory},t={self.cost.time},p=1${salt}${made}"

    async def _run(self, work: Callable[[], _T]) -> _T:
        if self._limiter.statistics().tasks_waiting >= _MOST_WAITING:
            raise Overloaded("too many sign-ins at one time; try again in a moment", retry_after=5.0)
        self.hashed += 1
        return await trio.to_thread.run_sync(work, limiter=self._limiter)


def _encoded(password: str) -> bytes:
    """Any text has a form, so that none is an error."""
    return password.encode("utf-8", "surrogatepass")
