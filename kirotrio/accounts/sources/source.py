"""What every place of credentials can do, and the same off the event loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

import trio

from kirotrio.accounts.credential import Credential, Refreshable
from kirotrio.accounts.credential_json import Unreadable
from kirotrio.errors import AccountUnavailable

_Result = TypeVar("_Result")

_REREADS = 2
_REREAD_PAUSE = 0.1
"""Seconds. Other programs do not replace their file in one step: one caught half-written is whole a moment later."""


class NotWritten(AccountUnavailable):
    """New tokens could not be put where they belong."""


class Store(Protocol):
    """One place of one credential. Every method blocks."""

    @property
    def name(self) -> str:
        """Short and stable: it names the account in logs."""

    @property
    def where(self) -> str:
        """The place, for messages."""

    @property
    def remedy(self) -> str:
        """What to do when the sign-in found here is refused, as the second half of a sentence."""

    def read(self) -> Credential | None:
        """What is there now, None if nothing is. Raises Unreadable, OSError or sqlite3.Error."""

    def original(self) -> Refreshable | None:
        """The sign-in as a person wrote it down, where `read` may give a successor of it; None elsewhere."""

    def obstacle(self) -> str | None:
        """Why new tokens may not be written here and what to change, as a clause; None if they may."""

    def write_back(self, old_refresh_token: str, new: Refreshable) -> bool:
        """Put `new` in place of the credential whose refresh token is `old_refresh_token`.

        False, with nothing changed, if another one stands there by now or none. Raises OSError or sqlite3.Error.
        """


class Source:
    """A store, used from the event loop. `setting`: what a person named it by; "" for one found by looking around.

    Cancellation is noticed before and after a blocking call, never inside one.
    """

    def __init__(self, store: Store, *, setting: str = "") -> None:
        self._store = store
        self.setting = setting
        self.name = store.name
        self.where = store.where
        self.remedy = store.remedy

    async def read(self) -> Credential | None:
        """As `Store.read`; raises Unreadable alone."""
        for _ in range(_REREADS):
            try:
                return await self._read_once()
            except Unreadable as error:
                if not error.torn:
                    raise
            await trio.sleep(_REREAD_PAUSE)
        return await self._read_once()

    async def original(self) -> Refreshable | None:
        return await self._run(self._store.original)

    async def obstacle(self) -> str | None:
        return await self._run(self._store.obstacle)

    async def write_back(self, old_refresh_token: str, new: Refreshable) -> bool:
        """As `Store.write_back`; raises NotWritten."""
        try:
            return await self._run(partial(self._store.write_back, old_refresh_token, new))
        except (OSError, sqlite3.Error, Unreadable) as error:
            raise NotWritten(
                f"A new token could not be written to {self.where} ({_reason(error)}), so it is not used. "
                "Make that place writable; it is tried again with the next request."
            ) from error

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await trio.to_thread.run_sync(work)

    async def _read_once(self) -> Credential | None:
        try:
            return await self._run(self._store.read)
        except (OSError, sqlite3.Error) as error:
            raise Unreadable(f"{self.where} cannot be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
