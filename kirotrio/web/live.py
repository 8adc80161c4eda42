"""What runs right now in all processes of this gateway, and the way to end one of it.

Nothing is asked upstream for this and nothing is written: it tells what is in memory.
"""

from __future__ import annotations

import math
import socket
import time
from collections import Counter
from typing import Any

import attrs

from kirotrio.access.audit import Actor, note
from kirotrio.accounts.lending.members import Member
from kirotrio.classes import frozen
from kirotrio.errors import Cancelled, StoreUnavailable
from kirotrio.relay.streams import LiveRow
from kirotrio.relay.tally import Lately
from kirotrio.web.gateway import Gateway

_TOLD = "a person has ended this answer from the gateway's live view"


@frozen(kw_only=True)
class LiveAccount:
    """One account as it is now. `state` is `ready`, `disabled`, or the value of the Blame that keeps it from serving,
    `until` then (epoch seconds; None where a person has to act), with a sentence in `reason`. Credits are None where
    they are not known; `most` is how many it answers at one time, 0 for any number."""

    name: str
    state: str
    until: float | None = None
    reason: str = ""
    plan: str = ""
    credits_left: float | None = None
    credits_limit: float | None = None
    resets_at: float | None = None
    busy: int = 0
    waiting: int = 0
    most: int = 0


@frozen
class Snapshot:
    """All of it at one moment, the oldest answer first."""

    answers: list[LiveRow]
    accounts: list[LiveAccount]
    lately: Lately
    processes: int = 1
    gateway: str = ""
    """The name of the only gateway that this tells of, where it is one of several on one database; else ""."""


async def live_rows(gateway: Gateway) -> list[LiveRow]:
    """Every running answer, the oldest first. Raises Overloaded where the other processes do not answer."""
    return (await snapshot(gateway)).answers


async def snapshot(gateway: Gateway) -> Snapshot:
    """Raises Overloaded where the other processes do not answer."""
    seat = gateway.seat
    parts = [_part(gateway)] if seat is None else await seat.everyone("live")
    rows = [LiveRow(**row) for part in parts for row in part["answers"]]
    busy: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    lately: Counter[str] = Counter()
    for part in parts:
        busy.update(part["busy"])
        waiting.update(part["waiting"])
        lately.update(part["lately"])
    accounts = [_account(gateway, member, busy, waiting) for member in gateway.accounts.everyone()]
    return Snapshot(
        sorted(rows, key=lambda row: (-row.age, row.id)), accounts, Lately(**lately), len(parts), told_of(gateway)
    )


async def busy(gateway: Gateway) -> dict[str, int]:
    """How many requests each account is answering, by its key. Raises as `live_rows` does."""
    if gateway.seat is None:
        return {member.key: member.gate.busy for member in gateway.accounts.everyone()}
    found: Counter[str] = Counter()
    for part in await gateway.seat.everyone("live"):
        found.update(part["busy"])
    return found


def told_of(gateway: Gateway) -> str:
    """What to call this gateway where there may be others, whose answers are not told here; "" where it is alone."""
    if gateway.several is None:
        return ""
    port = gateway.settings.server.port
    return f"{socket.gethostname()}:{port}" if port else socket.gethostname()


async def cancel(gateway: Gateway, actor: Actor, request_id: str, owner: str | None = None) -> bool:
    """End one answer with its dialect's legal error, and note who did; False where none of this id runs (any more), or
    where it came with a key of another user than `owner`, if one is given. Raises as `live_rows` does."""
    if gateway.seat is None:
        ended = _end(gateway, request_id, owner)
    else:
        ended = any(await gateway.seat.everyone("cancel", [request_id, owner]))
    if ended:
        try:
            await note(gateway.accounts.shared.database, actor.entry("answer.cancel", request_id, time.time()))
        except StoreUnavailable as error:  # the answer is ended all the same
            gateway.log.warning(
                "not noted in the audit log", action="answer.cancel", by=actor.name, error=error.message
            )
    return ended


def answer_colleagues(gateway: Gateway) -> None:
    """From now on this worker tells the others what it runs, and ends it where they ask for that."""
    if gateway.seat is not None:
        gateway.seat.answers["metrics"] = lambda _: gateway.relay.metrics.snapshot()
        gateway.seat.answers["live"] = lambda _: _part(gateway)
        gateway.seat.answers["cancel"] = lambda asked: _end(gateway, *asked)


def _end(gateway: Gateway, request_id: str, owner: str | None) -> bool:
    return gateway.relay.streams.end_one(request_id, Cancelled(_TOLD), owner)


def _part(gateway: Gateway) -> dict[str, Any]:
    """What one process knows, as JSON can hold it."""
    worker = gateway.seat.worker if gateway.seat is not None else 0
    members = gateway.accounts.everyone()
    return {
        "answers": [attrs.asdict(attrs.evolve(answer.row(), worker=worker)) for answer in gateway.relay.streams],
        "busy": {member.key: member.gate.busy for member in members},
        "waiting": {member.key: member.gate.waiting for member in members},
        "lately": attrs.asdict(gateway.relay.streams.tally.lately()),
    }


def _account(gateway: Gateway, member: Member, busy: Counter[str], waiting: Counter[str]) -> LiveAccount:
    pool = gateway.accounts
    account = LiveAccount(
        name=member.name,
        state="ready" if member.enabled else "disabled",
        busy=busy[member.key],
        waiting=waiting[member.key],
        most=member.gate.limits.max_concurrent,
    )
    pause = pool.cooldowns.against(member.key, "", pool.now())
    if pause is not None and member.enabled:
        until = None if pause.until == math.inf else pause.until
        account = attrs.evolve(account, state=pause.blame.value, until=until, reason=pause.reason)
    usage = pool.usage.known(member.name)
    if usage is None:
        return account
    return attrs.evolve(
        account,
        plan=usage.plan,
        credits_left=usage.left,
        credits_limit=usage.limit,
        resets_at=usage.resets_at,
    )
