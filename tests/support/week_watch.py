"""What was promised of a week of accounts, held against what the service was asked and what it said.

The watch draws its own conclusions from the service's answers; it asks the gateway for none but whose gate is free.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar

import attrs
import trio
from attrs import define, field, frozen

from kirotrio.store.request_record import RequestRecord

HOUR, DAY = 3600.0, 86_400.0
INSTANT = 0.01
"""Seconds that are none."""
GRACE = 2.0
"""Seconds by which things may come late that the gateway looks at now and then."""
BURST = 5
"""Answers that may be begun at one time, of those that a minute allows."""
LONGEST_PAUSE = 1800.0
"""Of those that grow."""
ENDS_SOON = 60.0
"""Seconds before its end in which a token need not serve any more."""

asking: ContextVar[Trace | None] = ContextVar("asking", default=None)
"""The request on whose behalf something happens; None for what happens beside them."""

SWITCHED_OFF = "switched off"


@define(eq=False)
class Trace:
    """What became of one request."""

    session: str
    began_at: float
    asked: list[tuple[str, int]] = field(factory=list)
    """Accounts and the statuses that their calls met, in order."""
    home: str = ""
    """Where its session was when the request came, and could have stayed; "" where it could not."""
    record: RequestRecord | None = None
    left: bool = False


@frozen
class Closed:
    """An account must not be asked from `since` to `until`, and has to be at hand again from `opens` on."""

    why: str
    since: float
    until: float
    opens: float


@define(eq=False)
class Watch:
    """`lives` are the lifetimes of access tokens by account; an account without has a key. Seconds are Trio's.

    `step_behind`: seconds until a gateway has seen what a person changed. `wrong` are the broken promises.
    """

    lives: Mapping[str, float]
    names: tuple[str, ...]
    ahead: float
    concurrent: int
    per_minute: int
    step_behind: float
    wrong: list[str] = field(factory=list)
    closed: dict[str, list[Closed]] = field(factory=lambda: defaultdict(list))
    traces: list[Trace] = field(factory=list)
    refreshes: Counter[str] = field(factory=Counter)
    refused_refreshes: list[tuple[str, str]] = field(factory=list)
    """Refreshes that the service refused for good: whose and why."""
    unheard_refreshes: int = 0
    """Those that met a service that was down."""
    met: Counter[tuple[str, str]] = field(factory=Counter)
    """Refusals by account and reason."""
    answers: dict[str, list[float]] = field(factory=lambda: defaultdict(list))
    """When each account answered."""
    running: Counter[str] = field(factory=Counter)
    moves: list[tuple[str, str, str]] = field(factory=list)
    _homes: dict[str, str] = field(factory=dict)
    _rotated_at: dict[str, float] = field(factory=dict)
    _starts: dict[str, deque[float]] = field(factory=lambda: defaultdict(lambda: deque(maxlen=100)))

    def complain(self, sentence: str) -> None:
        self.wrong.append(f"{trio.current_time() / DAY:.4f} d: {sentence}")

    # The service

    def asked(self, name: str) -> None:
        """It is asked to generate, right now, with a token of this account."""
        now = trio.current_time()
        for closed in self.closed[name]:
            if closed.since + INSTANT < now < closed.until - INSTANT:
                self.complain(f"{name} was asked in its pause ({closed.why} since {now - closed.since:.0f} s)")
        self.running[name] += 1
        if self.running[name] > self.concurrent:
            self.complain(f"{name} has {self.running[name]} requests at one time")
        starts = self._starts[name]
        starts.append(now)
        for most, seconds in ((self.per_minute, 60.0), (BURST, 60.0 * BURST / self.per_minute)):
            if len(starts) > most and now - starts[-1 - most] < seconds - GRACE:
                self.complain(f"{name} began more than {most} answers in {seconds:.0f} seconds")

    def answered(self, name: str, status: int, reason: str, retry_after: float, resets_at: float | None) -> None:
        """`resets_at`: when that account's credits come back, by Trio's clock."""
        now = trio.current_time()
        if (trace := asking.get()) is not None:
            trace.asked.append((name, status))
        if status == 200:
            self.answers[name].append(now)
            return
        self.met[name, reason] += 1
        if reason == "MONTHLY_REQUEST_COUNT":
            assert resets_at is not None
            self._close(name, reason, resets_at, resets_at)
        elif reason == "TEMPORARILY_SUSPENDED":
            self._close(name, reason, math.inf, math.inf)
        elif reason in ("CREDIT_CONSUMPTION_RATE_EXCEEDED", "429"):
            self._close(name, reason, now + retry_after, now + max(retry_after, LONGEST_PAUSE))
        elif reason != "INSUFFICIENT_MODEL_CAPACITY":
            self.complain(f"{name} met {status} {reason}, which nobody told the service to say")

    def ended(self, name: str) -> None:
        """A call is over, however it went."""
        self.running[name] -= 1

    def refreshed(self, name: str, status: int, said: str) -> None:
        """The service was asked for new tokens."""
        now = trio.current_time()
        if status == 200:
            life = now - self._rotated_at.get(name, -math.inf)
            if life < self.lives[name] - 1.25 * self.ahead:
                self.complain(f"{name} was refreshed again after {life:.0f} seconds")
            self.signed_in(name)
            self.refreshes[name] += 1
        elif status in (400, 401):
            self.refused_refreshes.append((name, said))
            self._close(name, said, -math.inf, math.inf)
        else:
            self.unheard_refreshes += 1
        for closed in self.closed[name]:
            if closed.until == math.inf and now > closed.since + self.step_behind:
                self.complain(f"{name} was refreshed, though only a person can bring it back ({closed.why})")

    def signed_in(self, name: str) -> None:
        """It has a new token."""
        self._rotated_at[name] = trio.current_time()

    # The person

    def switched_off(self, name: str) -> None:
        since = trio.current_time() + self.step_behind
        self.closed[name].append(Closed(SWITCHED_OFF, since, math.inf, math.inf))

    def let_in(self, name: str, *, switched_on: bool = False) -> None:
        """A person has ended what only a person ends; what was switched off is so until it is switched on."""
        now = trio.current_time()
        self.closed[name] = [
            attrs.evolve(closed, until=min(closed.until, now), opens=now + self.step_behind)
            if closed.opens == math.inf and (closed.why == SWITCHED_OFF) == switched_on
            else closed
            for closed in self.closed[name]
        ]

    def serves(self, name: str, since: float, until: float) -> bool:
        """Whether it answered between these times."""
        return any(since <= at < until for at in self.answers[name])

    # The gateway

    def gateway_began(self) -> None:
        """It remembers no session and no pace."""
        self._homes.clear()
        self._starts.clear()

    def picked(self, names: Sequence[str], session: str, is_free: Callable[[str], bool]) -> None:
        """These accounts are about to be asked for a place, in this order."""
        trace = asking.get()
        if trace is None:
            return
        tried = {name for name, _ in trace.asked}
        missing = [name for name in self.names if name not in names and name not in tried and self._is_at_hand(name)]
        if missing:
            self.complain(f"{', '.join(missing)} could serve, and was not thought of")
        home = self._homes.get(session, "")
        if home in names and names[0] != home:
            self.complain(f"{session} was to leave {home}, which could serve, for {names[0]}")
        stays = home in names and home not in tried and is_free(home) and self._is_at_hand(home)
        trace.home = home if stays else ""

    def check(self, trace: Trace, is_free: Callable[[str], bool]) -> None:
        """The request is over."""
        record = trace.record
        if record is None:
            self.complain("a request has no record")
        elif record.error:
            self._check_refusal(trace, record, is_free)
        elif not trace.left:
            self._check_answer(trace, record)

    def _check_answer(self, trace: Trace, record: RequestRecord) -> None:
        if trace.asked[-1] != (record.account, 200):
            self.complain(f"{record.account} is said to have answered, and {trace.asked[-1]} did")
        home = self._homes.get(trace.session, record.account)
        if home != record.account:
            self.moves.append((trace.session, home, record.account))
            if trace.home == home and home not in {name for name, _ in trace.asked}:
                self.complain(f"{trace.session} moved from {home}, which could serve, to {record.account}")
        self._homes[trace.session] = record.account

    def _check_refusal(self, trace: Trace, record: RequestRecord, is_free: Callable[[str], bool]) -> None:
        """It says why, and nobody else could have answered."""
        tried = {name for name, _ in trace.asked}
        if record.outcome == "upstream_overloaded" and any(status == 429 for _, status in trace.asked):
            return  # the service's own trouble, whoever asks
        if not any(name in record.error for name in self.names):
            self.complain(f"a client was told nothing of the accounts: {record.error}")
        idle = [
            name
            for name in self.names
            if name not in tried
            and self._is_at_hand(name)
            and is_free(name)
            and f"The account {name!r}" not in record.error  # its queue was too long when the request came
        ]
        if idle and record.attempts < 3:
            self.complain(f"{', '.join(idle)} could have answered, and the client was told: {record.error}")

    def _close(self, name: str, why: str, until: float, opens: float) -> None:
        self.closed[name].append(Closed(why, trio.current_time(), until, opens))

    def _is_at_hand(self, name: str) -> bool:
        """Whether it certainly could serve."""
        now = trio.current_time()
        self.closed[name] = [closed for closed in self.closed[name] if max(closed.until, closed.opens) + HOUR > now]
        lives_until = self._rotated_at.get(name, -math.inf) + self.lives.get(name, math.inf)
        signed_in = name not in self.lives or now < lives_until - ENDS_SOON
        return signed_in and all(closed.opens + GRACE < now for closed in self.closed[name])
