"""What runs right now in all processes of this gateway and in the others on its database, and the way to end one.

Nothing is asked upstream for this. Processes of one gateway tell what is in their memory when they are asked. Of
several gateways each posts it for the others, with its signs of life, where it has changed; where there are no others
nothing is written.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import orjson

from kirotrio.access.audit import Actor, note
from kirotrio.accounts.lending.members import Member
from kirotrio.classes import frozen
from kirotrio.errors import Cancelled, StoreUnavailable
from kirotrio.relay.streams import LiveRow
from kirotrio.relay.tally import Lately
from kirotrio.web.gateway import Gateway
from kirotrio.web.several.names import told_apart

_TOLD = "a person has ended this answer from the gateway's live view"
_MOST_POSTED = 500
"""Answers of one process that the other gateways see, the oldest; of more, how many there are."""


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
class LiveGateway:
    """One gateway of several. `told`: how old in seconds what is told of it is; 0 for the one that tells."""

    name: str
    told: float = 0.0


@frozen
class Snapshot:
    """All of it at one moment, the oldest answer first: by when it began, which its gateway has told once, so that two
    answers never change places as their ages are told anew."""

    answers: list[LiveRow]
    accounts: list[LiveAccount]
    lately: Lately
    processes: int = 1
    gateway: str = ""
    """The name of the only gateway that this tells of, where it cannot know of the others on its database; else ""."""
    gateways: Sequence[LiveGateway] = ()
    """All of them, this one first, where there are several."""
    untold: int = 0
    """Answers of other gateways of which nothing more is told."""


@frozen
class _Heard:
    """What one process of another gateway has posted. `gateway`: what that one is called here."""

    gateway: str
    told: float
    part: Mapping[str, Any]


async def live_rows(gateway: Gateway) -> list[LiveRow]:
    """Every running answer, the oldest first. Raises Overloaded where the other processes do not answer."""
    return (await snapshot(gateway)).answers


async def snapshot(gateway: Gateway) -> Snapshot:
    """Raises Overloaded where the other processes do not answer."""
    seat = gateway.seat
    parts = [_part(gateway)] if seat is None else await seat.everyone("live")
    name, others = await _heard(gateway)
    rows = [LiveRow(**row, gateway=name if others else "") for part in parts for row in part["answers"]]
    for one in others or ():
        rows += [_row_of(row, one) for row in one.part["answers"]]
    parts += [one.part for one in others or ()]
    busy: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    lately: Counter[str] = Counter()
    for part in parts:
        busy.update(part["busy"])
        waiting.update(part["waiting"])
        lately.update(part["lately"])
    return Snapshot(
        answers=sorted(rows, key=lambda row: (row.began, row.id)),
        accounts=[_account(gateway, member, busy, waiting) for member in gateway.accounts.everyone()],
        lately=Lately(**_known(Lately, lately)),
        processes=len(parts),
        gateway=name if others is None else "",
        gateways=_gateways(name, others) if others else (),
        untold=sum(part.get("more", 0) for part in parts),
    )


async def busy(gateway: Gateway) -> dict[str, int]:
    """How many requests each account is answering, by its key. Raises as `live_rows` does."""
    found: Counter[str] = Counter()
    if gateway.seat is None:
        found.update({member.key: member.gate.busy for member in gateway.accounts.everyone()})
    else:
        for part in await gateway.seat.everyone("live"):
            found.update(part["busy"])
    _, others = await _heard(gateway)
    for one in others or ():
        found.update(one.part["busy"])
    return found


async def cancel(gateway: Gateway, actor: Actor, request_id: str, owner: str | None = None) -> bool:
    """End one answer with its dialect's legal error, and note who did; False where none of this id runs (any more), or
    where it came with a key of another user than `owner`, if one is given.

    Raises Overloaded where another process or gateway does not answer, StoreUnavailable where others cannot be asked:
    then it may run there. Cancelling this may leave it ended."""
    if gateway.seat is None:
        ended = _end(gateway, request_id, owner)
    else:
        ended = any(await gateway.seat.everyone("cancel", [request_id, owner]))
    if ended:
        await _note(gateway, actor, request_id)
    elif gateway.several is not None:
        ended = bool(await gateway.several.ask("cancel", [request_id, owner, *attrs.astuple(actor)]))
    return ended


def answer_colleagues(gateway: Gateway) -> None:
    """From now on this process tells the others what it runs, and ends it where they ask for that."""
    if gateway.seat is not None:
        gateway.seat.answers["metrics"] = lambda _: gateway.relay.metrics.snapshot()
        gateway.seat.answers["live"] = lambda _: _part(gateway)
        gateway.seat.answers["cancel"] = lambda asked: _end(gateway, *asked)
    if gateway.several is not None:

        async def end_for_another(asked: Any) -> bool | None:
            request_id, owner, *actor = asked
            if not _end(gateway, request_id, owner):
                return None
            await _note(gateway, Actor(*actor), request_id)
            return True

        gateway.several.live = lambda: _posted(gateway)
        gateway.several.questions.answers["cancel"] = end_for_another


async def _note(gateway: Gateway, actor: Actor, request_id: str) -> None:
    try:
        await note(gateway.accounts.shared.database, actor.entry("answer.cancel", request_id, time.time()))
    except StoreUnavailable as error:  # the answer is ended all the same
        gateway.log.warning("not noted in the audit log", action="answer.cancel", by=actor.name, error=error.in_full)


def _posted(gateway: Gateway) -> dict[str, Any]:
    """What the other gateways see of this process, whose accounts are called here as among all."""
    assert gateway.several is not None  # noqa: S101 - who else would ask
    part, public = _part(gateway), gateway.several.public
    answers = sorted(part["answers"], key=lambda row: (row["began"], row["id"]))
    part["answers"], part["more"] = answers[:_MOST_POSTED], max(0, len(answers) - _MOST_POSTED)
    for counts in ("busy", "waiting"):
        part[counts] = {public(key): count for key, count in part[counts].items() if count}
    return {"gateway": gateway.name, "part": part}


async def _heard(gateway: Gateway) -> tuple[str, list[_Heard] | None]:
    """What this gateway is called, and what the others have posted; None where that cannot be known."""
    several = gateway.several
    if several is None:
        return gateway.name, []
    try:
        posted = await several.others()
    except StoreUnavailable:
        return gateway.name, None
    ours = gateway.accounts.shared.holder
    told = {one.holder: orjson.loads(one.content) for one in posted}
    names = told_apart({ours: gateway.name, **{holder: content["gateway"] for holder, content in told.items()}})
    heard = []
    for one in posted:
        part = told[one.holder]["part"]
        for counts in ("busy", "waiting"):
            known = {several.private(key): count for key, count in part[counts].items()}
            part[counts] = {key: count for key, count in known.items() if key is not None}
        heard.append(_Heard(names[one.holder], one.age, part))
    return names[ours], heard


def _row_of(row: Mapping[str, Any], heard: _Heard) -> LiveRow:
    told = round(heard.told, 3)
    fields = {**_known(LiveRow, row), "age": round(row["age"] + told, 3), "gateway": heard.gateway, "told": told}
    return LiveRow(**fields)


def _known(kind: Any, told: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a gateway of a later version tells besides."""
    names = {one.name for one in attrs.fields(kind)}
    return {name: value for name, value in told.items() if name in names}


def _gateways(name: str, heard: Sequence[_Heard]) -> list[LiveGateway]:
    """Each once, however many processes it has; as old as the oldest of what they tell."""
    told: dict[str, float] = {}
    for one in heard:
        told[one.gateway] = max(told.get(one.gateway, 0.0), round(one.told, 3))
    return [LiveGateway(name), *(LiveGateway(other, age) for other, age in sorted(told.items()))]


def _end(gateway: Gateway, request_id: str, owner: str | None) -> bool:
    return gateway.relay.streams.end_one(request_id, Cancelled(_TOLD), owner)


def _part(gateway: Gateway) -> dict[str, Any]:
    """What one process knows, as JSON can hold it."""
    worker = gateway.seat.worker if gateway.seat is not None else 0
    members = gateway.accounts.everyone()
    return {
        "answers": [_plain(attrs.evolve(answer.row(), worker=worker)) for answer in gateway.relay.streams],
        "busy": {member.key: member.gate.busy for member in members},
        "waiting": {member.key: member.gate.waiting for member in members},
        "lately": attrs.asdict(gateway.relay.streams.tally.lately()),
    }


def _plain(row: LiveRow) -> dict[str, Any]:
    """Without what another process or gateway makes of it."""
    return attrs.asdict(row, filter=attrs.filters.exclude("gateway", "told"))


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
