"""What the page of accounts shows of one account: its state, what it is worth, and whose it is. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from kirotrio.accounts.cooldowns import Cooldown
from kirotrio.accounts.lending.members import Member
from kirotrio.accounts.lending.pool import Pool
from kirotrio.classes import frozen
from kirotrio.errors import Blame
from kirotrio.kiro.usage import AccountUsage
from kirotrio.web.console.languages import N_

_PAUSES: Final[Mapping[Blame, str]] = {
    Blame.RATE: N_("Asked too often"),
    Blame.BURN_RATE: N_("Used too fast"),
    Blame.SHORT_QUOTA: N_("Used up for now"),
    Blame.QUOTA: N_("Used up"),
    Blame.SUSPICIOUS: N_("Under suspicion"),
    Blame.SUSPENDED: N_("Suspended"),
    Blame.ACCESS: N_("Not admitted"),
    Blame.SIGN_IN: N_("Signed out"),
}
_LONGEST_REASON: Final = 500


@frozen
class AccountRow:
    """One account. `state` is English, and in the catalogue; `tone` good, warn, bad or "". `until`: epoch seconds, None
    for no pause, and for one that a person ends. `share`: of the credits, what is used, from 0 to 1; None where
    nothing is known. `models`: those that it is not asked for at present."""

    id: str
    name: str
    kind: str
    email: str
    plan: str
    state: str
    tone: str
    reason: str
    until: float | None
    used: float | None
    limit: float | None
    share: float | None
    resets_at: float | None
    told_at: float | None
    running: int
    priority: int
    enabled: bool
    kept: bool
    lent: bool
    owner_id: str
    models: tuple[str, ...]


def row_of(pool: Pool, member: Member) -> AccountRow:
    """What is known of it, without asking anybody."""
    now, record = pool.now(), member.record
    pauses = pool.cooldowns.of(member.key, now)
    state, tone, pause = _state(member, pauses)
    usage = pool.usage.known(member.name)
    return AccountRow(
        id=member.key,
        name=member.name,
        kind=record.kind if record is not None else "",
        email=(record.email if record is not None else "") or (usage.email if usage is not None else ""),
        plan=usage.plan if usage is not None else "",
        state=state,
        tone=tone,
        reason=pause.reason[:_LONGEST_REASON] if pause is not None else "",
        until=None if pause is None or pause.until == math.inf else pause.until,
        used=usage.used if usage is not None else None,
        limit=usage.limit if usage is not None else None,
        share=_share(usage),
        resets_at=usage.resets_at if usage is not None else None,
        told_at=usage.fetched_at if usage is not None else None,
        running=member.gate.busy,
        priority=member.priority,
        enabled=member.enabled,
        kept=record is not None,
        lent=record is None or record.lent,
        owner_id=record.owner_id if record is not None else "",
        models=tuple(pause.model for pause in pauses if pause.model),
    )


def _state(member: Member, pauses: list[Cooldown]) -> tuple[str, str, Cooldown | None]:
    if not member.enabled:
        return N_("Disabled"), "", None
    against = [pause for pause in pauses if not pause.model]
    if against:
        worst = max(against, key=lambda pause: pause.until)
        return _PAUSES.get(worst.blame, N_("Paused")), "bad" if worst.needs_person else "warn", worst
    return N_("Ready"), "good", None


def _share(usage: AccountUsage | None) -> float | None:
    if usage is None or not usage.limit:
        return None
    return min(1.0, max(0.0, usage.used / usage.limit))
