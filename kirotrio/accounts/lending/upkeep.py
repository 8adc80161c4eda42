"""What the application does for its accounts beside the requests: two tasks, listed in `web/serving`, and its end."""

from __future__ import annotations

import random

import trio
from attrs import field

from kirotrio.accounts.lending.members import Member
from kirotrio.accounts.lending.pool import Pool
from kirotrio.classes import define
from kirotrio.errors import Blame, KirotrioError, SettingsError, StoreUnavailable

_LOOK_EVERY = 5.0
"""Seconds between two looks at whose token is due, at most."""
_QUIET = 60.0
"""Seconds until a refresh ahead of time that failed is tried again."""
_LEAST_SLEEP = 0.01
APART = 1.0
"""Seconds between two refreshes ahead of time, at least; up to twice as many. Of accounts whose tokens ended while
nobody was looking, as on a machine that slept, all are due at one moment."""


async def keep_in_step(pool: Pool) -> None:
    """Until cancelled: take over what was changed in the store or in another program's, and write our own pauses there.

    Where the store is away, everything goes on with what is known, and what was not written is written later.
    """
    every = pool.settings.store.look_every
    away, read_just_now, told = False, True, ""
    while True:
        try:
            for member in pool.everyone():
                await member.account.save_pending()
            if not read_just_now:
                await pool.look()
            await pool.write()
            if away:
                pool.log.info("the database answers again")
            if told:
                pool.log.info("the accounts in the store can be used again")
            away, told = False, ""
        except StoreUnavailable as error:
            if not away:
                pool.log.warning("going on without the database", error=error.in_full)
            away = True
        except SettingsError as error:  # as where this machine has not the key to the secrets; it may be brought
            if error.message != told:
                pool.log.error("the accounts in the store cannot be used here", error=error.message)
            told = error.message
        except Exception as error:  # a look in the background never ends the process
            pool.log.error("looking at the accounts failed", exc_info=error)
        read_just_now = False
        for member in pool.present():
            try:
                await _follow_changes(pool, member)
                reconsider(pool, member)
            except Exception as error:
                pool.log.error("looking at an account failed", account=member.name, exc_info=error)
        await trio.sleep(every)


def reconsider(pool: Pool, member: Member) -> None:
    """Credits that are there again end the pause of a used-up account."""
    usage = pool.usage.known(member.name)
    cooldown = pool.cooldowns.against(member.key, "", pool.now())
    if usage is None or cooldown is None or cooldown.blame is not Blame.QUOTA:
        return
    if usage.fetched_at > cooldown.began_at and (usage.left or 0.0) > 0:
        pool.cooldowns.lift(member.key, pool.now(), Blame.QUOTA)


async def _follow_changes(pool: Pool, member: Member) -> None:
    """Look at the other program's file again where it was changed. A sign-in made anew there counts at once."""
    stamp = await trio.to_thread.run_sync(member.account.stamp, abandon_on_cancel=True)
    if stamp == member.stamp:
        return
    first, member.stamp = member.stamp is None, stamp
    if first and (not stamp or pool.is_kept_fresh(member)):
        return  # nothing is followed; or there is no mark, and it was read before or will be when it is needed
    if await member.account.look():
        pool.cooldowns.lift(member.key, pool.now(), Blame.SIGN_IN)


async def refresh_ahead(pool: Pool) -> None:
    """Until cancelled: have every account's token refreshed before it is needed, each at its own moment.

    An account that a person has switched off, or has to sign in to again, is left alone. One whose sign-in service
    hangs keeps no other waiting.
    """
    problem, seek_at = "", trio.current_time()
    async with trio.open_nursery() as nursery:
        rota = _Rota(pool, nursery)
        while True:
            if trio.current_time() >= seek_at:
                seek_at = trio.current_time() + _QUIET
                before, problem = problem, await _seek(pool)
                if problem not in ("", before):
                    pool.log.warning("no account can serve yet", error=problem)
            await trio.sleep(await rota.next())


async def _seek(pool: Pool) -> str:
    try:
        return await pool.seek()
    except Exception as error:
        pool.log.error("looking for an account failed", exc_info=error)
        return ""


async def finish(pool: Pool) -> None:
    """At the end, when no refresh runs any more: write what is still to be written. Shielded; each step has the
    deadline of its place."""
    with trio.CancelScope(shield=True):
        for work in (*(member.account.save_last for member in pool.everyone()), pool.write):
            try:
                await work()
            except KirotrioError as error:
                pool.log.warning("what is known of an account was not written", error=error.in_full)
            except Exception as error:  # it may not keep the others from being written
                pool.log.error("writing at the end failed", exc_info=error)


@define(eq=False)
class _Rota:
    """Whose turn it is to be refreshed ahead of time; one begins at a time."""

    pool: Pool
    nursery: trio.Nursery
    _running: set[str] = field(factory=set, init=False)
    _not_before: dict[str, float] = field(factory=dict, init=False)

    async def next(self) -> float:
        """Begin the refresh of one that is due, if there is one; seconds until the next look."""
        for member in self.pool.present():
            if await self._is_due(member):
                self._running.add(member.key)
                self.nursery.start_soon(self._keep_fresh, member)
                return random.uniform(APART, 2 * APART)  # noqa: S311 - only moves refreshes apart
        return self._until_due()

    async def _is_due(self, member: Member) -> bool:
        if member.key in self._running or trio.current_time() < self._not_before.get(member.key, 0.0):
            return False
        account = member.account
        if not account.is_due or not self.pool.is_kept_fresh(member):
            return False
        try:
            await account.look()  # which may be all that is needed
        except Exception as error:
            self._failed(member, error)
            return False
        return account.is_due

    def _until_due(self) -> float:
        now = self.pool.now()
        waits = [due - now for member in self.pool.present() if (due := member.account.refresh_due) is not None]
        return max(min([_LOOK_EVERY, *(wait for wait in waits if wait > 0)]), _LEAST_SLEEP)

    async def _keep_fresh(self, member: Member) -> None:
        try:
            await member.account.keep_fresh()
        except Exception as error:
            self._failed(member, error)
        finally:
            self._running.discard(member.key)

    def _failed(self, member: Member, error: Exception) -> None:
        pool = self.pool
        self._not_before[member.key] = trio.current_time() + _QUIET
        if not isinstance(error, KirotrioError):
            pool.log.error("refreshing a token failed", account=member.name, exc_info=error)
            return
        if error.blame is Blame.SIGN_IN:
            pool.cooldowns.note(member.key, error, pool.now())
        pool.log.warning("token not refreshed", account=member.name, error=error.in_full)
