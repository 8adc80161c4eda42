"""In what state an account is, as a person wants to know it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from kirotrio.accounts.cooldowns import Cooldown
from kirotrio.accounts.lending.states import moment
from kirotrio.accounts.records import followed_place
from kirotrio.classes import frozen
from kirotrio.errors import Blame
from kirotrio.store.account_record import AccountRecord

SOON = 7 * 86_400.0
"""Seconds. A client's registration that ends within them is worth a word."""

_WORDS = {
    Blame.RATE: "asked too often",
    Blame.BURN_RATE: "used too fast",
    Blame.SHORT_QUOTA: "used up for now",
    Blame.QUOTA: "used up",
    Blame.SUSPICIOUS: "under suspicion",
    Blame.SUSPENDED: "suspended",
    Blame.MODEL: "model not offered",
    Blame.ACCESS: "not admitted",
    Blame.SIGN_IN: "signed out",
}


@frozen
class State:
    """`word` is `ready`, `disabled`, or why it does not serve; `until` in epoch seconds, None where a person has to
    act. `reason` is a sentence, "" where there is no more to say."""

    word: str
    until: float | None = None
    reason: str = ""

    @property
    def serves(self) -> bool:
        return self.word == "ready"

    def __str__(self) -> str:
        return f"{self.word} until {moment(self.until)}" if self.until is not None else self.word


def state_of(record: AccountRecord, pauses: Iterable[Cooldown], now: float) -> State:
    """`pauses` are this account's cooldowns, marks among them; those of single models do not keep it from serving."""
    if not record.enabled:
        return State("disabled", reason=f"`kirotrio accounts enable {record.name}` lets it serve")
    against = [pause for pause in pauses if not pause.model and pause.until > now]
    if against:
        worst = max(against, key=lambda pause: pause.until)
        until = None if worst.until == math.inf else worst.until
        return State(_WORDS.get(worst.blame, "not served"), until, worst.reason)
    if record.registration_expires_at is not None and record.registration_expires_at <= now:
        again = f"the registration of its client has expired; run `kirotrio login --again {record.name}`"
        return State("signed out", reason=again)
    return State("ready")


def without_sign_in(state: State, missing: str) -> State:
    """The same of an account whose followed place has no sign-in, which `missing` is a sentence on; "" if it has."""
    return State("sign-in missing", reason=missing) if missing and state.serves else state


def told_expiry(record: AccountRecord, now: float) -> str:
    """How long the access token is good for, and by whom it is kept."""
    if record.kind == "api-key":
        return "never"
    if record.follows:
        return f"kept in {followed_place(record)}"
    if record.expires_at is None or record.expires_at <= now:
        return "refreshed with the next request"
    return moment(record.expires_at)


def span(seconds: float) -> str:
    """A length of time in its largest unit."""
    seconds = max(0.0, seconds)
    for size, unit in ((86_400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return "0 seconds"
