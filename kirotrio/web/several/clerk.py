"""The one task of a gateway that works on what it shares with others: it takes all that was asked for since the last
time, does it in one transaction, and tells each what came of it.

Together, because a transaction costs the same for one request and for fifty; and by looking again where somebody waits
rather than by LISTEN and NOTIFY: a look is one transaction for all that wait here, and none where nobody does, needs no
connection of its own, and misses nothing. `ledger.LOOK` is what it may be late by. Every transaction brings along what
the others have met, so nobody is let in to an account whose pause was told before.

Where the database is away it goes on with what is known here: the limits hold for this gateway alone, until it joins
again with what it holds then.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from collections.abc import Callable, Iterator

import trio
from attrs import field

from kirotrio.accounts.lending.ledger import LOOK, Ledger
from kirotrio.accounts.lending.pacing import GateLimits
from kirotrio.classes import define
from kirotrio.errors import Overloaded, RateLimited, StoreUnavailable
from kirotrio.store.holders import are_family
from kirotrio.telemetry.log import Log
from kirotrio.web.several.batch import Answer, Batch, Entry, Outcome, Page, Told, settle
from kirotrio.web.several.transactions import HOUR, Lapsed, SharedState

_BEATS = 3
"""How often a gateway says that it is alive within the time after which it would count as gone."""
_PATIENCE = 4
"""Steps of the database that an answer may take: a step of others before it, its own, and some to find out that the
database is away."""
_PENDING = 1000
"""Sessions and news that wait for the database at most."""
_KNOWN = 1000
"""Ledgers that are remembered for the time when the database is away."""


@define(eq=False)
class Asked:
    """What was asked. `heard` is set with the first answer, `done` with the last; `told` is the latest."""

    heard: trio.Event = field(factory=trio.Event)
    done: trio.Event = field(factory=trio.Event)
    told: Told = Told(Answer.LATE)
    refusal: RateLimited | None = None
    home: str = ""


@define(eq=False)
class Clerk:
    """`state` is touched by `run` alone; all else may be called from anywhere on the event loop. `look_every`: seconds
    between two tries to reach a database that is away, and between two looks for news. `heard` gets them."""

    state: SharedState
    log: Log
    look_every: float
    heard: Callable[[str], None] = lambda _: None
    live: Callable[[], str] = lambda: ""
    """What other gateways are to see of the answers that run here, "" for nothing: asked for with each sign of life,
    where there are others."""
    met: Callable[[], None] = lambda: None
    """Called when there are others where there were none."""
    others: frozenset[str] = frozenset()
    """The holders of the other gateways on this database, as they were last; processes of this gateway are none."""
    away: bool = False
    """Whether the limits hold for this gateway alone at present."""
    _batch: Batch = field(factory=Batch, init=False)
    _asked: trio.Event = field(factory=trio.Event, init=False)
    _entries: dict[str, Asked] = field(factory=dict, init=False)
    _counts: dict[str, Asked] = field(factory=dict, init=False)
    _sessions: dict[str, list[Asked]] = field(factory=dict, init=False)
    _limits: dict[str, GateLimits] = field(factory=dict, init=False)
    _ledgers: dict[str, Ledger] = field(factory=dict, init=False)
    """As they were when they were seen last."""
    _times: dict[str, list[float]] = field(factory=dict, init=False)
    _looks: dict[str, float] = field(factory=dict, init=False)
    """When to look again at those in which somebody of ours waits, in Trio's time."""
    _beat_at: float = field(default=-math.inf, init=False)
    _may_return: bool = field(default=False, init=False)
    """Whether the database has answered since it was away."""
    _gone_away: trio.Event = field(factory=trio.Event, init=False)
    _seen: int = field(default=0, init=False)
    _offset: float = field(default=0.0, init=False)
    """What the database's clock is ahead of this machine's."""
    _posted: str = field(default="", init=False)
    """What others can see of the answers that run here."""
    _eager: int = field(default=0, init=False)
    """How many wait for what others say."""
    _look_at: float = field(default=math.inf, init=False)

    # What may be asked for

    def enter(self, ledger: str, limits: GateLimits, hold: str, patience: float, *, wants_place: bool) -> Asked:
        """Stand in line. Whoever does not wait for `done` any more, or was let in, hands in a `leave`."""
        asked = self._entries[hold] = Asked()
        self._page(ledger, limits).entering.append(Entry(hold, wants_place, patience))
        self._asked.set()
        return asked

    def leave(self, ledger: str, limits: GateLimits, hold: str, *, used: bool) -> None:
        self._entries.pop(hold, None)
        page = self._page(ledger, limits)
        entering = [entry for entry in page.entering if entry.hold != hold]
        if len(entering) < len(page.entering):
            page.entering[:] = entering  # nobody has heard of it yet
        else:
            page.leaving.append((hold, used))
        self._asked.set()

    def look(self, ledger: str, limits: GateLimits) -> None:
        """Have whoever waits there judged by these limits."""
        self._page(ledger, limits)
        self._asked.set()

    def count(self, ledger: str) -> Asked:
        """One request more of a key."""
        ticket = secrets.token_hex(8)
        asked = self._counts[ticket] = Asked()
        self._batch.counts.setdefault(ledger, []).append(ticket)
        self._asked.set()
        return asked

    def home(self, session: str) -> Asked:
        asked = Asked()
        self._sessions.setdefault(session, []).append(asked)
        self._batch.homes.add(session)
        self._asked.set()
        return asked

    def bind(self, session: str, account: str) -> None:
        self._batch.bound[session] = account
        self._asked.set()

    def tell(self, news: str) -> None:
        self._batch.news.append(news)
        self._asked.set()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Within this, news are heard as soon as they are told."""
        self._eager += 1
        self._look_at = trio.current_time()
        self._asked.set()
        try:
            yield
        finally:
            self._eager -= 1

    def post(self) -> None:
        """Have others see at once what runs here now."""
        self._beat_at = -math.inf
        self._asked.set()

    async def answered(self, answer: trio.Event) -> None:
        """Wait for it. Raises Overloaded where it does not come."""
        with trio.move_on_after(_PATIENCE * self.state.database.deadline):
            await answer.wait()
            return
        raise Overloaded("the gateway cannot reach the others for a moment; ask again", retry_after=1.0)

    def _page(self, ledger: str, limits: GateLimits) -> Page:
        self._limits[ledger] = limits
        page = self._batch.pages.get(ledger)
        if page is None:
            page = self._batch.pages[ledger] = Page(limits)
        page.limits = limits
        return page

    # The task

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; then everything that this gateway holds is given back. Raises StoreUnavailable where the
        database cannot be reached to begin with."""
        await self._join()
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._probe)
                nursery.start_soon(self._tidy)
                while True:
                    with trio.CancelScope(deadline=self._due()):
                        await self._asked.wait()
                    await trio.lowlevel.checkpoint()  # those who ask at the same moment go together
                    await self._work()
        finally:
            with trio.move_on_after(self.state.database.deadline, shield=True):
                await self._end()

    def _due(self) -> float:
        signs = [] if self.away else [self._beat_at, self._look_at]
        return min([math.inf, *signs, *self._looks.values()])

    async def _work(self) -> None:
        now = trio.current_time()
        for name in [name for name, at in self._looks.items() if at <= now]:
            del self._looks[name]
            self._page(name, self._limits[name])
        if self.away and self._may_return:
            await self._come_back()
        renew = not self.away and now >= self._beat_at
        listens = not self.away and now >= self._look_at
        self._look_at = now + LOOK if self._eager else math.inf
        batch, self._batch, self._asked = self._batch, Batch(), trio.Event()
        if renew:
            posted = self.live() if self.others else ""
            batch.live = posted if posted != self._posted else None
        if batch.is_empty and not renew and not listens:
            return
        if not self.away:
            try:
                outcome = await self._turn(batch, renew=renew)
            except Exception as error:
                self._go_on_alone(error)
            else:
                self._answer(batch, outcome)
                return
        self._answer(batch, self._alone(batch))

    async def _turn(self, batch: Batch, *, renew: bool) -> Outcome:
        for _ in range(3):
            try:
                now, outcome, gone = await trio.to_thread.run_sync(
                    lambda: self.state.turn(batch, self._seen, renew=renew)
                )
            except Lapsed:
                self.log.warning("the others took this gateway for gone; it joins them again")
                await self._join()
            else:
                self._learn(now, gone)
                if renew:
                    self._beat_at = trio.current_time() + min(self.state.lapse / _BEATS, self.look_every)
                if batch.live is not None:
                    self._posted = batch.live
                self._meet(outcome.living)
                self._seen = outcome.number
                return outcome
        raise StoreUnavailable("this gateway counts as gone again and again; are the clocks of its machine right?")

    def _answer(self, batch: Batch, outcome: Outcome) -> None:
        for content in outcome.heard:
            self.heard(content)
        self._ledgers.update(outcome.ledgers)
        self._times.update(outcome.times)
        self._forget()
        now = trio.current_time()
        for name in batch.pages:
            self._looks.pop(name, None)
        self._looks.update({name: now + after for name, after in outcome.looks.items()})
        for hold, told in outcome.told.items():
            if (asked := self._entries.get(hold)) is not None:
                asked.told = told
                asked.heard.set()
                if told.answer is not Answer.WAITS:
                    del self._entries[hold]
                    asked.done.set()
        for ticket, refusal in outcome.refused.items():
            if (asked := self._counts.pop(ticket, None)) is not None:
                asked.refusal = refusal
                asked.done.set()
        for session in batch.homes:
            for asked in self._sessions.pop(session, ()):
                asked.home = outcome.homes.get(session, "")
                asked.done.set()

    def _forget(self) -> None:
        for name in list(self._ledgers):
            if len(self._ledgers) <= _KNOWN:
                break
            if not self._ledgers[name].belongs_to(self.state.holder):
                del self._ledgers[name]
                self._limits.pop(name, None)
        for name in list(self._times)[: max(len(self._times) - _KNOWN, 0)]:
            del self._times[name]

    def _learn(self, now: float, gone: list[str]) -> None:
        self._offset = now - time.time()
        for holder in gone:
            self.log.warning("a gateway is gone; what it held is free", gateway=holder)

    # Joining the others, and without them

    async def _join(self) -> None:
        mine = {name: one for name, one in self._ledgers.items() if one.belongs_to(self.state.holder)}
        joined = await trio.to_thread.run_sync(self.state.join, mine)
        self._learn(joined.now, joined.gone)
        self._beat_at = trio.current_time() + min(self.state.lapse / _BEATS, self.look_every)
        self._seen = max(self._seen, joined.number)
        self._posted, self.others = "", frozenset()
        self._meet(joined.living)

    def _meet(self, living: frozenset[str]) -> None:
        before, self.others = self.others, frozenset(one for one in living if not are_family(one, self.state.holder))
        if self.others and not before:
            self._beat_at = -math.inf  # they see from now on what runs here
            self.met()

    def _go_on_alone(self, error: Exception) -> None:
        told = error.in_full if isinstance(error, StoreUnavailable) else repr(error)
        unexpected = None if isinstance(error, StoreUnavailable) else error
        self.log.warning("limits hold for this gateway alone for now", error=told, exc_info=unexpected)
        self.away, self._may_return = True, False
        self._gone_away.set()
        self._ledgers = {name: ledger.only(self.state.holder) for name, ledger in self._ledgers.items()}

    async def _probe(self) -> None:
        """Beside the work, which may not wait for a database that hangs."""
        while True:
            await self._gone_away.wait()
            await trio.sleep(self.look_every)
            try:
                await trio.to_thread.run_sync(self.state.ping)
            except StoreUnavailable:
                continue
            self._gone_away = trio.Event()
            self._may_return = True
            self._asked.set()

    async def _come_back(self) -> None:
        self._may_return = False
        try:
            await self._join()
        except StoreUnavailable:
            self._gone_away.set()
            return
        self.away = False
        for name, ledger in self._ledgers.items():
            if any(True for _ in ledger.waits(self.state.holder)):
                self._page(name, self._limits[name])
        self.log.info("limits hold for all gateways again")

    def _alone(self, batch: Batch) -> Outcome:
        """What is wanted, done to what is known here."""
        holder, now = self.state.holder, time.time() + self._offset
        ledgers = {name: self._ledgers.get(name) or Ledger() for name in batch.pages}
        for ledger in ledgers.values():
            ledger.tidy(now, (holder,))
        times = {name: self._times.get(name, []) for name in batch.counts}
        outcome = settle(batch, ledgers, holder, now, self.state.rate, times)
        # Kept for the others, but for what is too much.
        self._batch.bound = dict(list((batch.bound | self._batch.bound).items())[-_PENDING:])
        self._batch.news = [*batch.news, *self._batch.news][-_PENDING:]
        return outcome

    async def _tidy(self) -> None:
        while True:
            await trio.sleep(HOUR)
            try:
                await trio.to_thread.run_sync(self.state.tidy)
            except StoreUnavailable as error:
                self.log.warning("what gateways share was not tidied", error=error.in_full)

    async def _end(self) -> None:
        batch, self._batch = self._batch, Batch()
        try:
            if not self.away:
                if batch.bound or batch.news:
                    await trio.to_thread.run_sync(
                        lambda: self.state.turn(Batch(bound=batch.bound, news=batch.news), self._seen, renew=False)
                    )
                await trio.to_thread.run_sync(self.state.leave)
        except (StoreUnavailable, Lapsed) as error:
            self.log.warning("the other gateways were not told that this one ends", error=str(error))
