"""What every place of credentials can do, and the same off the event loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import trio

from kirotrio.accounts.credential import Credential, Refreshable
from kirotrio.accounts.credential_json import Unreadable
from kirotrio.errors import AccountUnavailable, KirotrioError, Recovery, StoreUnavailable

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
        """What is there now, None if nothing is. Raises Unreadable, StoreUnavailable, OSError or
        sqlite3.Error."""

    def watched(self) -> tuple[Path, ...]:
        """Files whose change means that another program has changed what is here."""

    def original(self) -> Refreshable | None:
        """The sign-in as a person wrote it down, where `read` may give a successor of it; None elsewhere."""

    def obstacle(self) -> str | None:
        """Why new tokens may not be written here and what to change, as a clause; None if they may."""

    def write_back(self, old_refresh_token: str, new: Refreshable) -> bool:
        """Put `new` in place of the credential whose refresh token is `old_refresh_token`.

        False, with nothing changed, if another one stands there by now or none. Raises StoreUnavailable, OSError
        or sqlite3.Error.
        """


class Source:
    """A store, used from the event loop. `setting`: what a person named it by; "" for one found by looking around.

    Cancellation is noticed before and after a blocking call, never inside one.
    """

    def __init__(self, store: Store, *, setting: str = "") -> None:
        self.store = store
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

    def stamp(self) -> object:
        """Differs after what is here was changed by another program. Blocking; never raises."""
        return tuple(_stamp(path) for path in self.store.watched())

    async def original(self) -> Refreshable | None:
        return await self._run(self.store.original)

    async def obstacle(self) -> str | None:
        return await self._run(self.store.obstacle)

    async def write_back(self, old_refresh_token: str, new: Refreshable) -> bool:
        """As `Store.write_back`; raises NotWritten."""
        try:
            return await self._run(partial(self.store.write_back, old_refresh_token, new))
        except (OSError, sqlite3.Error, StoreUnavailable, Unreadable) as error:
            raise NotWritten(
                f"A new token could not be written to {self.where} ({_reason(error)}), so it is not used. "
                "Make that place writable; it is tried again with the next request."
            ) from error

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await trio.to_thread.run_sync(work)

    async def _read_once(self) -> Credential | None:
        try:
            return await self._run(self.store.read)
        except (OSError, sqlite3.Error, StoreUnavailable) as error:
            unreadable = Unreadable(f"{self.where} cannot be read: {_reason(error)}")
            if isinstance(error, StoreUnavailable):  # it comes back by itself
                unreadable.recovery, unreadable.retry_after = Recovery.RETRY, error.retry_after
            raise unreadable from error


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _reason(error: Exception) -> str:
    if isinstance(error, KirotrioError):
        return error.message
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
