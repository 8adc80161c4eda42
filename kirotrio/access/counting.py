"""Counting what keys with limits use: in the store, which all processes and gateways share, so that limits are exact.

A request is counted when it is let in, in one transaction for all of its key's windows; what its answer has used, when
that ends. Keys without limits come by here without a word to the store, but for the time of their last use, which is
written together with others'.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio
from attrs import field

from kirotrio.access.budget import Used
from kirotrio.access.keys import Key
from kirotrio.access.windows import Window
from kirotrio.classes import define
from kirotrio.errors import AuthenticationFailed, KirotrioError, LimitReached, StoreUnavailable
from kirotrio.store.database import Database
from kirotrio.store.key_record import Ceiling, Charge
from kirotrio.telemetry.log import Log

if TYPE_CHECKING:
    from sqlalchemy import Connection


HELD = 60.0
"""Seconds after which a request of a process that died counts as running no more."""
_UPKEEP = 10.0
"""Seconds between two rounds of upkeep."""
_FORGET_EVERY = 3600.0
_REMEMBERED = 10_000
"""Keys of which it is remembered that nothing is left."""
_KEPT = {Window.MINUTE: 2 * 3600.0, Window.DAY: 400 * 86_400.0}
"""Seconds for which the windows of each length are kept; months stay."""


@define(eq=False)
class Counting:
    """One process's part. `clock` is the wall clock (epoch seconds), which several gateways are to agree on; `deadline`
    the seconds that settling may take before it is put off."""

    _database: Database
    _log: Log
    deadline: float
    clock: Callable[[], float] = time.time
    _spent: dict[str, tuple[float, str]] = field(factory=dict, init=False)
    """Keys that were found to have nothing left: until when, and the sentence. Using more gives nothing back."""
    _owed: dict[tuple[str, str, int], tuple[int, float]] = field(factory=dict, init=False)
    """Tokens and credits that could not be written yet, by key, window and its beginning."""
    _held: set[tuple[str, str]] = field(factory=set, init=False)
    """Requests that run, of keys with a limit of them at one time."""
    _left: set[tuple[str, str]] = field(factory=set, init=False)
    """Those that have ended and are still to be given back."""
    _uses: dict[str, tuple[float, str]] = field(factory=dict, init=False)
    _pruned_at: float = field(default=0.0, init=False)

    def forget_refusals(self) -> None:
        """Keys were changed: what was found of them may hold no more."""
        self._spent.clear()

    def used(self, key_id: str, address: str) -> None:
        """Note that a key was used now, for the list of keys."""
        self._uses[key_id] = (self.clock(), address)

    def check(self, key: Key) -> None:
        """Refuse at once what is known to be refused. Raises LimitReached."""
        if not self._spent or (found := self._spent.get(key.id)) is None:
            return
        until, message = found
        now = self.clock()
        if now >= until:
            del self._spent[key.id]
            return
        raise LimitReached(message, retry_after=until - now)

    async def begin(self, key: Key, hold: str) -> None:
        """Count one request of this key and take its place among those that run; `hold` is a name for it.

        Raises LimitReached, with the time after which it may be asked again, AuthenticationFailed where the key is
        gone, StoreUnavailable. Then nothing is counted; so it is where this is cancelled.
        """
        self.check(key)
        now = self.clock()
        key.budget.check({}, now)  # a limit of nothing
        ceilings = ceilings_of(key, now)

        def count(connection: Connection) -> None:
            from kirotrio.store import key_usage_rows as rows

            if key.max_concurrent and not rows.take_hold(connection, key.id, hold, key.max_concurrent, now, now + HELD):
                raise _Busy
            # No further than the first that refuses: what is found used below has to be others' doing.
            if not rows.count_requests(connection, key.id, ceilings):
                raise _Spent(rows.used(connection, key.id, {one.window: one.began_at for one in ceilings}))

        await self._settle_debts()
        try:
            await self._database.write(count)
        except _Busy:
            raise LimitReached(
                f"this key has {key.max_concurrent} requests running, which is its limit; ask again when one has ended"
            ) from None
        except _Spent as spent:
            raise self._refusal(key, spent, now) from None
        except Exception as error:
            if not _is_missing(error):
                raise
            raise AuthenticationFailed(f"the key {key.prefix}… was removed; ask for another one") from None
        if key.max_concurrent:
            self._held.add((key.id, hold))

    async def check_again(self, key: Key) -> None:
        """Look, for a request that was let in, whether answers that ended since have left anything. Nothing is counted.

        Raises RateLimited, StoreUnavailable.
        """
        budget = key.budget.of_answers
        if not budget.limited:
            return
        now = self.clock()
        began = {window.value: window.begin(now) for window in budget.limited}

        def look(connection: Connection) -> dict[str, tuple[int, int, float]]:
            from kirotrio.store import key_usage_rows as rows

            return rows.used(connection, key.id, began)

        await self._settle_debts()
        used = await self._database.read(look)
        budget.check({Window(name): Used(*amounts) for name, amounts in used.items()}, now)

    async def settle(self, key: Key, hold: str, tokens: int, credits: float) -> None:
        """Charge what an answer has used to the windows of this moment, and give its place back. Raises nothing.

        Shielded, with a deadline of its own: what cannot be written until then is written later.
        """
        now = self.clock()
        if tokens or credits:
            for window in key.budget.limited:
                self._owe((key.id, window.value, window.begin(now)), tokens, credits)
        if (key.id, hold) in self._held:
            self._held.discard((key.id, hold))
            self._left.add((key.id, hold))
        with trio.move_on_after(self.deadline, shield=True):
            try:
                await self._settle_debts()
            except StoreUnavailable as error:
                self._log.warning("what a key has used is written later", key=key.id, error=error.in_full)
            except Exception as error:
                self._log.error("what a key has used was not written", key=key.id, exc_info=error)

    async def keep(self) -> None:
        """Until cancelled: write what is still to be written, and have requests that run count on."""
        try:
            while True:
                await trio.sleep(_UPKEEP)
                await self._tend()
        finally:
            with trio.move_on_after(self.deadline, shield=True):
                await self._tend()

    async def _tend(self) -> None:
        try:
            await self._settle_debts()
            await self._renew()
            await self._write_uses()
            await self._prune()
        except StoreUnavailable as error:
            self._log.warning("what keys have used is written later", error=error.in_full)
        except Exception as error:  # looked after in the background, which never ends the process
            self._log.error("looking after keys failed", exc_info=error)

    def _owe(self, name: tuple[str, str, int], tokens: int, credits: float) -> None:
        before = self._owed.get(name, (0, 0.0))
        self._owed[name] = (before[0] + tokens, before[1] + credits)

    async def _settle_debts(self) -> None:
        """Write what is owed, and what is to be given back. Raises StoreUnavailable; then it stays owed."""
        if not self._owed and not self._left:
            return
        owed, self._owed = self._owed, {}
        left, self._left = self._left, set()

        def write(connection: Connection) -> None:
            from kirotrio.store import key_usage_rows as rows

            for key_id, hold in sorted(left):
                rows.give_back(connection, key_id, hold)
            rows.charge(connection, [Charge(*name, *amount) for name, amount in owed.items()])

        try:
            await self._database.write(write)
        except BaseException:
            for name, amount in owed.items():
                self._owe(name, *amount)
            self._left |= left
            raise

    async def _renew(self) -> None:
        if not self._held:
            return
        until = self.clock() + HELD

        def renew(connection: Connection) -> None:
            from kirotrio.store import key_usage_rows as rows

            rows.renew(connection, held, until)

        held = set(self._held)
        await self._database.write(renew)

    async def _write_uses(self) -> None:
        if not self._uses:
            return
        uses, self._uses = self._uses, {}

        def touch(connection: Connection) -> None:
            from kirotrio.store import key_rows

            key_rows.touch(connection, uses)

        try:
            await self._database.write(touch)
        except BaseException:
            self._uses = {**uses, **self._uses}
            raise

    async def _prune(self) -> None:
        now = self.clock()
        if not self._database.is_used or now - self._pruned_at < _FORGET_EVERY:
            return
        before = {window.value: window.begin(now - kept) for window, kept in _KEPT.items()}

        def prune(connection: Connection) -> None:
            from kirotrio.store import key_usage_rows as rows

            rows.prune(connection, before)

        await self._database.write(prune)
        self._pruned_at = now

    def _refusal(self, key: Key, spent: _Spent, now: float) -> KirotrioError:
        used = {Window(name): Used(*amounts) for name, amounts in spent.used.items()}
        try:
            key.budget.check(used, now)
        except LimitReached as refusal:
            if len(self._spent) >= _REMEMBERED:
                self._spent.clear()
            self._spent[key.id] = (now + (refusal.retry_after or 0.0), refusal.message)
            return refusal
        raise AssertionError("a budget refuses what its own rows do not")


class _Busy(Exception):
    """As many requests of the key run as may."""


class _Spent(Exception):
    """Nothing is left in one of the windows. `used`: requests, tokens and credits by window."""

    def __init__(self, used: dict[str, tuple[int, int, float]]) -> None:
        self.used = used


def ceilings_of(key: Key, now: float) -> list[Ceiling]:
    """What may be used in each window of this moment that is limited, the shortest first."""
    limited = [(window, key.budget.windows[window]) for window in key.budget.limited]
    return [
        Ceiling(window.value, window.begin(now), most.requests, most.tokens, most.credits) for window, most in limited
    ]


def _is_missing(error: Exception) -> bool:
    from sqlalchemy.exc import IntegrityError

    return isinstance(error, IntegrityError)
