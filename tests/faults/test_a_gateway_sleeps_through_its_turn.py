"""A gateway stands still (SIGSTOP) in its turn to refresh, until that has run out and another has refreshed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx
import pytest
import trio
from faults.test_database_goes_away import make_due
from faults.test_killed_refresh import is_new, turns
from support.engines import PostgresServer
from support.forks import SUPPORTED, Nest
from support.gateways import HEADERS, ready, until, world
from support.several import kept
from support.stack import question

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this system does not fork")

BRIEF = {"deadlines": {"sign_in": 1.0, "store": 1.0}}
"""A turn lasts for five seconds."""
_PROLOGUE = """
import os, signal
from kirotrio.accounts.shared import _StoredTurns as Turns
from kirotrio.accounts.tokens.renewal import Token
def sleeping(owner, name, *, after):
    call = getattr(owner, name)
    async def called(*given, **named):
        setattr(owner, name, call)
        if not after:
            os.kill(os.getpid(), signal.SIGSTOP)
        found = await call(*given, **named)
        if after:
            os.kill(os.getpid(), signal.SIGSTOP)
        return found
    setattr(owner, name, called)
"""
POINTS = {
    "turn taken": "sleeping(Turns, 'take', after=True)",
    "token read": "sleeping(Token, '_keep_turn', after=False)",
    "turn kept": "sleeping(Token, '_keep_turn', after=True)",
}


def is_stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize("point", list(POINTS))
async def test_no_refresh_token_is_sent_twice(
    tmp_path: Path, postgresql: PostgresServer, nest: Nest, point: str
) -> None:
    account = kept("work", row={"expires_at": time.time() + 120})
    async with world(tmp_path, account, url=postgresql.migrated_database(), **BRIEF) as w:
        await w.keep(account)
        options = ["--set", "deadlines.sign_in=1", "--set", "deadlines.store=1"]
        sleeper = w.start(nest, _PROLOGUE + POINTS[point] + "\n", options=options)
        try:
            await until(lambda: is_stopped(sleeper.pid))
            assert w.refreshes == []
            other = await w.gateway()
            with trio.fail_after(30):
                while not is_new(other):
                    make_due(other.member().account)
                    assert (await other.ask()).status_code == 200
                    await trio.sleep(0.2)  # until the turn of the one that sleeps has run out
            assert w.refreshes == ["rotated"], "the turn of one that sleeps ends by itself"
            await until(lambda: turns(w) == [])
        finally:
            os.kill(sleeper.pid, signal.SIGCONT)
        async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
            answer = await http.post(f"{await ready(sleeper)}/v1/messages", json=question(), headers=HEADERS)
        assert answer.status_code == 200, answer.text
        await trio.sleep(0.5)  # for a refresh that must not come there is nothing to wait for
        assert w.refreshes == ["rotated"], "it sent a refresh token that another had used meanwhile"
