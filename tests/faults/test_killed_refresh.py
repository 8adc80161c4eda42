"""A gateway that is killed in the middle of a refresh, at every step of it, and what the next one finds.

The access token in use has some minutes left, as it always has when a refresh begins (`accounts.refresh_ahead`).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import frozen
from sqlalchemy import Connection, text
from support.engines import Place, open_database
from support.forks import SUPPORTED, Forked, Nest
from support.gateways import Local, World, hold_refreshes, until, world
from support.several import Kept, kept

from kirotrio.simulator import Simulator
from kirotrio.simulator.accounts import RefreshTokenUnknown

# Dying inside one call takes a process whose own code this file can change before it runs, and a dozen of them take
# support.forks, which is made of fork. What the store and the service find afterwards is the same on every system.
pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this system does not fork")

_PROLOGUE = """
import os, signal
def die(*given, **named):
    os.kill(os.getpid(), signal.SIGKILL)
def before(owner, name):
    setattr(owner, name, die)
def after(owner, name):
    call = getattr(owner, name)
    def called(*given, **named):
        call(*given, **named)
        die()
    setattr(owner, name, called)
def after_awaited(owner, name):
    call = getattr(owner, name)
    async def called(*given, **named):
        await call(*given, **named)
        die()
    setattr(owner, name, called)
from kirotrio.accounts.shared import _StoredTurns as Turns
from kirotrio.accounts.sources.kept import KeptStore
from kirotrio.accounts.tokens import renewal
from kirotrio.store import accounts, leases
"""


@frozen
class Point:
    """Where it dies. `code` ends the process; where there is none it is killed from outside, while the service has the
    call. `rotated`: whether the service has rotated by then, `kept`: and the new token is in the store; `turn`: whether
    its turn is taken in the store."""

    name: str
    code: str = ""
    rotated: bool = False
    kept: bool = False
    turn: bool = True

    @property
    def lost(self) -> bool:
        """Whether nobody has the token that the service gave out."""
        return self.rotated and not self.kept


POINTS = (
    Point("before the turn", "before(leases, 'take')", turn=False),
    Point("turn taken", "after_awaited(Turns, 'take')"),
    Point("call sent"),
    Point("rotated, answer not read", rotated=True),
    Point("answer read", "after_awaited(renewal, 'refresh_by')", rotated=True),
    Point("before the commit", "after(accounts, 'rotate')", rotated=True),
    Point("after the commit", "after(KeptStore, 'write_back')", rotated=True, kept=True),
    Point("before the turn is given back", "before(Turns, 'give_back')", rotated=True, kept=True),
)


def named(*names: str) -> pytest.MarkDecorator:
    points = [point for point in POINTS if not names or point.name in names]
    return pytest.mark.parametrize("point", points, ids=[point.name for point in points])


def nearly_over() -> Kept:
    return kept("work", row={"expires_at": time.time() + 120})


async def killed_at(w: World, point: Point, nest: Nest) -> None:
    """A gateway that refreshes as soon as it is up, and dies there."""
    processes: list[Forked] = []
    if not point.code:
        _kill_from_outside(w.simulator, lambda: processes[0].kill(), before=not point.rotated)
    processes.append(w.start(nest, f"{_PROLOGUE}{point.code}\n"))
    assert await processes[0].ended() == -signal.SIGKILL, f"it did not come to this point: {processes[0].said!r}"
    assert (w.refreshes == ["rotated"]) is point.rotated
    assert len(turns(w)) == point.turn


def _kill_from_outside(simulator: Simulator, kill: Callable[[], None], *, before: bool) -> None:
    """At the next refresh call, before the service rotates or after it did, and before anything is answered."""
    refresh = simulator.book.refresh

    def killing(*given: Any, **named: Any) -> Any:
        simulator.book.refresh = refresh
        if before:
            kill()
            raise RefreshTokenUnknown  # which nobody is there to read
        grant = refresh(*given, **named)
        kill()
        return grant

    simulator.book.refresh = killing


def turns(w: World) -> list[str]:
    """Those that are taken, by whom whatsoever."""

    def names(connection: Connection) -> list[str]:
        return list(connection.execute(text("SELECT name FROM leases")).scalars())

    database = open_database(w.settings.store.url, w.data_dir)
    try:
        return database.reading(names)
    finally:
        database.close()


def is_new(gateway: Local) -> bool:
    expires_at = gateway.member().account.expires_at
    return expires_at is not None and expires_at > time.time() + 1800


@named()
async def test_the_next_start_has_a_working_token(tmp_path: Path, nest: Nest, point: Point) -> None:
    account = nearly_over()
    async with world(tmp_path, account) as w:
        await w.keep(account)
        await killed_at(w, point, nest)
        gateway = await w.gateway()
        answer = await gateway.ask()
        assert answer.status_code == 200, f"the next start has no working token: {answer.text}"
        if point.lost:
            await until(lambda: "RefreshTokenDead" in w.refreshes)
            await used_to_its_end(w, gateway)
        else:
            await until(lambda: is_new(gateway))
            assert w.refreshes == ["rotated"], "what was committed is used, and what was not sent is sent once"
        # A turn lasts for more than a minute; nobody waited for the end of this one.
        await until(lambda: turns(w) == [])


async def used_to_its_end(w: World, gateway: Local) -> None:
    """The service has rotated, and nobody has the new token."""
    assert (await gateway.ask()).status_code == 200, "the access token is good to its end"
    assert gateway.pool.cooldowns.of(gateway.member().key, gateway.pool.now()) == []
    assert w.refreshes == ["rotated", "RefreshTokenDead"], "a dead token is sent once"
    w.simulator.expire_access_tokens()
    answer = await gateway.ask()
    assert answer.status_code == 503
    message = answer.json()["error"]["message"]
    assert "is over" in message, message
    assert "kirotrio login --again work" in message, message
    assert w.refreshes == ["rotated", "RefreshTokenDead"]


@named("rotated, answer not read", "before the commit")
async def test_a_service_that_goes_on_taking_the_old_token_costs_nothing(
    tmp_path: Path, nest: Nest, point: Point
) -> None:
    """KIRO_PROTOCOL 5.2: the old refresh token "may be invalidated"."""
    account = nearly_over()
    async with world(tmp_path, account) as w:
        w.simulator.book._bury = lambda refresh_token: None
        await w.keep(account)
        await killed_at(w, point, nest)
        gateway = await w.gateway()
        await until(lambda: is_new(gateway))
        w.simulator.revoke(account.account.access_token)
        assert (await gateway.ask()).status_code == 200, "the new token works"
        assert w.refreshes == ["rotated", "rotated"]


@named("turn taken")
async def test_the_turn_of_a_dead_process_is_given_back_at_the_next_start(
    place: Place, nest: Nest, point: Point
) -> None:
    account = nearly_over()
    async with world(place.data_dir, account, url=place.url) as w:
        await w.keep(account)
        await killed_at(w, point, nest)
        gateway = await w.gateway()
        await until(lambda: is_new(gateway))
        await until(lambda: turns(w) == [])


async def test_a_refresh_outlives_the_client_for_whom_it_was_begun(tmp_path: Path) -> None:
    account = kept("work", row={"expires_at": time.time() - 1})
    async with world(tmp_path, account) as w:
        gateway = await w.gateway()
        began, go_on = hold_refreshes(gateway)
        await w.keep(account)
        await until(gateway.pool.present)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(gateway.ask)
            await began.wait()
            nursery.cancel_scope.cancel()
        go_on.set()
        await until(lambda: is_new(gateway))
        assert w.refreshes == ["rotated"]
        await gateway.end()
        gateway = await w.gateway()
        assert (await gateway.ask()).status_code == 200
        assert w.refreshes == ["rotated"], "what was rotated is in the store"
