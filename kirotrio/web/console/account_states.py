"""What pages show of one account: its state, what it is worth, and whose it is. Pure.

What the database says of it comes from a page of the list; what changes from moment to moment (pauses, what it is
answering) from the pool.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from kirotrio.accounts.cooldowns import Cooldown
from kirotrio.accounts.lending.members import Member
from kirotrio.accounts.lending.pool import Pool
from kirotrio.accounts.worth.usage import figures_of
from kirotrio.classes import frozen
from kirotrio.errors import Blame
from kirotrio.store.account_record import AccountRecord, ListedAccount, Worth
from kirotrio.web.console.languages import N_

STATES: Final[Mapping[str, str]] = {
    "usable": N_("Ready"),
    "cooling": N_("Pauses"),
    "marked": N_("Needs a person"),
    "disabled": N_("Disabled"),
}
"""What a list may be filtered by (`store.account_pages`)."""

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


@frozen(kw_only=True)
class State:
    """`word` is English, and in the catalogue; `tone` good, warn, bad or "". `reason`: the sentence of the refusal that
    it comes from. `since`, `until`: epoch seconds; `until` None for no pause, and for one that a person ends. `models`:
    those that the account is not asked for at present."""

    word: str
    tone: str
    reason: str = ""
    since: float | None = None
    until: float | None = None
    models: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        return self.tone == "good"


@frozen(kw_only=True)
class Shown:
    """One account. `share`: of its credits, what is used, from 0 to 1; None where nothing is known. `running`: the
    requests that it answers now; None where other processes did not tell. `kept`: whether it is in the database."""

    id: str
    name: str
    kind: str
    email: str
    state: State
    worth: Worth | None
    running: int | None
    priority: int = 100
    enabled: bool = True
    kept: bool = True
    lent: bool = True
    owner_id: str = ""
    owner: str = ""
    last_used_at: float | None = None
    where: str = ""

    @property
    def plan(self) -> str:
        return self.worth.plan if self.worth is not None else ""

    @property
    def share(self) -> float | None:
        """The part of the credits that is left, 0 to 1."""
        worth = self.worth
        if worth is None or not worth.credits_limit or worth.credits_used is None:
            return None
        return min(1.0, max(0.0, 1 - worth.credits_used / worth.credits_limit))

    @property
    def tells_more(self) -> bool:
        """Whether enabling it does something."""
        return not self.enabled or not self.state.is_ready or bool(self.state.models)


def kept_account(pool: Pool, listed: ListedAccount, running: int | None) -> Shown:
    """One of a page of the database's."""
    record, now = listed.record, pool.now()
    usage = pool.usage.known(record.name) if pool.kept(record.id) is not None else None
    worth = listed.worth
    if usage is not None and (worth is None or worth.fetched_at < usage.fetched_at):
        worth = figures_of(usage)  # told, and not written yet
    return Shown(
        id=record.id,
        name=record.name,
        kind=record.kind,
        email=record.email or (worth.email if worth is not None else ""),
        state=state_of(record.enabled, pool.cooldowns.of(record.id, now), now, record),
        worth=worth,
        running=running,
        priority=record.priority,
        enabled=record.enabled,
        lent=record.lent,
        owner_id=record.owner_id,
        owner=listed.owner,
        last_used_at=listed.last_used_at,
    )


def found_account(pool: Pool, member: Member, running: int | None) -> Shown:
    """One that is used without being kept."""
    now, usage = pool.now(), pool.usage.known(member.name)
    worth = figures_of(usage) if usage is not None else None
    return Shown(
        id=member.key,
        name=member.name,
        kind="",
        email=worth.email if worth is not None else "",
        state=state_of(member.enabled, pool.cooldowns.of(member.key, now), now),
        worth=worth,
        running=running,
        kept=False,
        where=member.account.where,
    )


def state_of(enabled: bool, pauses: Sequence[Cooldown], now: float, record: AccountRecord | None = None) -> State:
    models = tuple(pause.model for pause in pauses if pause.model)
    if not enabled:
        return State(word=N_("Disabled"), tone="", models=models)
    against = [pause for pause in pauses if not pause.model]
    if against:
        worst = max(against, key=lambda pause: pause.until)
        return State(
            word=_PAUSES.get(worst.blame, N_("Paused")),
            tone="bad" if worst.needs_person else "warn",
            reason=worst.reason[:_LONGEST_REASON],
            since=worst.began_at or None,
            until=None if worst.until == math.inf else worst.until,
            models=models,
        )
    if record is not None and record.registration_expires_at is not None and record.registration_expires_at <= now:
        expired = N_("the registration of its client has expired; sign in to it again")
        return State(word=N_("Signed out"), tone="bad", reason=expired, since=record.registration_expires_at)
    return State(word=N_("Ready"), tone="good", models=models)
