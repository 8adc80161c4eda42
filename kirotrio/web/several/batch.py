"""What a gateway wants of the shared state at one moment, and what came of it. Pure: the same is done to what lies in
the database and, where that is away, to what is known here."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Mapping

import orjson
from attrs import field

from kirotrio.access.rate import count
from kirotrio.accounts.lending.ledger import LOOK, Ledger, Waits
from kirotrio.accounts.lending.pacing import GateLimits
from kirotrio.classes import define, frozen
from kirotrio.errors import RateLimited

_LONGEST_LOOK = 1.0
"""Seconds between two looks where only the pace is waited for. Less than `ledger.STALE`."""


class Answer(enum.Enum):
    IN = "in"
    WAITS = "waits"
    FULL = "full"
    LATE = "late"


@frozen
class Told:
    """`wait`: seconds until the pace lets it in, at the earliest. `waiting`: how many stand in line, this one among
    them."""

    answer: Answer
    wait: float = 0.0
    waiting: int = 0


@frozen
class Entry:
    """One request that wants in, and for how many seconds it would wait."""

    hold: str
    wants_place: bool
    patience: float


@define(eq=False)
class Page:
    """What is wanted of one account's ledger."""

    limits: GateLimits
    entering: list[Entry] = field(factory=list)
    leaving: list[tuple[str, bool]] = field(factory=list)
    """Hold, and whether it was used."""


@define(eq=False)
class Batch:
    """`pages` by the name of the ledger; `counts`: keys whose requests are to be counted, one entry each, by the name
    of theirs."""

    pages: dict[str, Page] = field(factory=dict)
    counts: dict[str, list[str]] = field(factory=dict)
    homes: set[str] = field(factory=set)
    bound: dict[str, str] = field(factory=dict)
    news: list[str] = field(factory=list)
    live: str | None = None
    """What the others are to see of this gateway's answers from now on, "" for nothing; None: as it is."""

    @property
    def is_empty(self) -> bool:
        wanted = self.pages or self.counts or self.homes or self.bound or self.news
        return not wanted and self.live is None

    @property
    def names(self) -> list[str]:
        return [*self.pages, *self.counts]


@define(eq=False)
class Outcome:
    """`told` by hold, `refused` by the ticket of a count (None: counted), `looks`: seconds until the next look, by
    ledger; `ledgers` and `times` as they are now."""

    told: dict[str, Told] = field(factory=dict)
    refused: dict[str, RateLimited | None] = field(factory=dict)
    looks: dict[str, float] = field(factory=dict)
    ledgers: dict[str, Ledger] = field(factory=dict)
    times: dict[str, list[float]] = field(factory=dict)
    homes: dict[str, str] = field(factory=dict)
    heard: list[str] = field(factory=list)
    number: int = 0
    """Of the last news."""
    living: frozenset[str] = frozenset()
    """The gateways on this database."""

    def contents(self) -> dict[str, str]:
        """What is to stand in the ledgers."""
        accounts = {name: ledger.to_json().decode() for name, ledger in self.ledgers.items()}
        return accounts | {name: orjson.dumps(times).decode() for name, times in self.times.items()}


def settle(
    batch: Batch, ledgers: Mapping[str, Ledger], holder: str, now: float, rate: int, times: Mapping[str, list[float]]
) -> Outcome:
    """Do what is wanted to these ledgers, which are tidy, and to these times of requests. `rate`: of each key within a
    minute."""
    outcome = Outcome()
    for name, page in batch.pages.items():
        outcome.ledgers[name] = ledger = ledgers[name]
        _turn_page(page, ledger, holder, now, outcome)
        if waits := list(ledger.waits(holder)):
            outcome.looks[name] = _next_look(ledger, waits[0], page.limits, now)
    for name, tickets in batch.counts.items():
        known = deque(times[name])
        for ticket in tickets:
            try:
                count(known, rate, now)
            except RateLimited as error:
                outcome.refused[ticket] = error
            else:
                outcome.refused[ticket] = None
        outcome.times[name] = list(known)
    return outcome


def _turn_page(page: Page, ledger: Ledger, holder: str, now: float, outcome: Outcome) -> None:
    limits = page.limits
    for hold, used in page.leaving:
        ledger.leave(hold, used=used)
    for entry in page.entering:
        # One after another, so that each finds the line as long as it is when it comes.
        ledger.enter(entry.hold, holder, now, wants_place=entry.wants_place)
        outcome.told.update(dict.fromkeys(ledger.settle(limits, holder, now), Told(Answer.IN)))
        if entry.hold in outcome.told:
            continue
        waits = ledger.prospect(entry.hold, limits, now)
        told = outcome.told[entry.hold] = _told(entry, waits, limits, now)
        if told.answer is not Answer.WAITS:
            ledger.leave(entry.hold, used=False)
    outcome.told.update(dict.fromkeys(ledger.settle(limits, holder, now), Told(Answer.IN)))


def _told(entry: Entry, waits: Waits, limits: GateLimits, now: float) -> Told:
    wait = max(waits.turn - now, 0.0)
    answer = Answer.WAITS
    if entry.wants_place and waits.waiting > limits.max_queue > 0:
        answer = Answer.FULL
    elif (entry.wants_place and limits.max_queue <= 0) or entry.patience <= 0 or wait > entry.patience:
        answer = Answer.LATE
    return Told(answer, wait, waits.waiting)


def _next_look(ledger: Ledger, first: str, limits: GateLimits, now: float) -> float:
    if 0 < limits.max_concurrent <= len(ledger.places):
        return LOOK
    return min(max(ledger.prospect(first, limits, now).turn - now, LOOK), _LONGEST_LOOK)
