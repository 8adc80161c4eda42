"""What the clerk does in the database: each function is one transaction of milliseconds, which waits for nobody but the
other gateways' like ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection

from kirotrio.accounts.lending.ledger import Ledger
from kirotrio.classes import frozen
from kirotrio.store import gateway_rows as rows
from kirotrio.store import posted_rows as posted
from kirotrio.store.database import Database
from kirotrio.web.several.batch import Batch, Outcome, settle

HOUR = 3600.0
HOMES_FOR = 7 * 86_400.0
"""Seconds that a session without requests is remembered for."""
_IDLE = 7 * 86_400.0
"""Seconds after which a ledger that nobody wrote to is forgotten; longer than any answer takes."""
_NOTED_EVERY = HOUR
"""Seconds after which it is noted again that a session is in use."""
_NOT_YET_WRITTEN = 30.0
"""Seconds that a pause may take until it lies with the accounts, where a gateway that starts reads it."""


class Lapsed(Exception):
    """The others have taken this gateway for gone: it has to join again, with what it holds."""


@frozen
class Joined:
    """`number`: up to which news need not be heard any more by one that has just started."""

    now: float
    number: int
    gone: list[str]
    living: frozenset[str]


@frozen
class SharedState:
    """One gateway's way to it. `lapse`: seconds after which it counts as gone; `rate`: requests of one key
    within a minute. All methods block, and raise StoreUnavailable."""

    database: Database
    holder: str
    lapse: float
    rate: int

    def join(self, mine: Mapping[str, Ledger]) -> Joined:
        """Count as alive from now on, and hold what is in `mine`."""
        self._make(mine)

        def join(connection: Connection) -> Joined:
            rows.hurry(connection, self.database.deadline)
            found = rows.lock(connection, list(mine)) or {}
            now = rows.clock(connection)
            gone = rows.bury(connection, self.holder, now)
            rows.renew(connection, self.holder, now + self.lapse)
            living = rows.alive(connection, now)
            contents = {}
            for name, own in mine.items():
                ledger = Ledger.from_json(found.get(name, ""))
                ledger.tidy(now, living)
                ledger.rejoin(own, self.holder, now)
                contents[name] = ledger.to_json().decode()
            rows.save(connection, contents, now)
            return Joined(now, rows.newest(connection, now - _NOT_YET_WRITTEN), gone, frozenset(living))

        return self.database.writing(join)

    def turn(self, batch: Batch, seen: int, *, renew: bool) -> tuple[float, Outcome, list[str]]:
        """All that is wanted at this moment; the time, and who is gone. Raises Lapsed; then nothing was done."""
        try:
            return self.database.writing(self._turning(batch, seen, renew=renew))
        except _Missing:
            self._make(batch.names)
            return self.database.writing(self._turning(batch, seen, renew=renew))

    def _turning(
        self, batch: Batch, seen: int, *, renew: bool
    ) -> Callable[[Connection], tuple[float, Outcome, list[str]]]:
        def turn(connection: Connection) -> tuple[float, Outcome, list[str]]:
            look = rows.begin_turn(connection, self.holder, batch.names, batch.homes, seen, self.database.deadline)
            if look is None:
                raise _Missing
            now, living, found = look.now, look.alive(), look.found
            gone = rows.bury(connection, self.holder, now, look.gateways) if renew else []
            if self.holder not in living:
                raise Lapsed
            living.difference_update(gone)
            ledgers = {name: Ledger.from_json(found[name]) for name in batch.pages}
            for ledger in ledgers.values():
                ledger.tidy(now, living)
            times = {name: list(orjson.loads(found[name] or "[]")) for name in batch.counts}
            outcome = settle(batch, ledgers, self.holder, now, self.rate, times)
            outcome.homes = {session: account for session, (account, _) in look.homes.items()}
            outcome.number, outcome.heard = look.news
            outcome.living = frozenset(living)
            bound = {session: account for session, (account, at) in look.homes.items() if at < now - _NOTED_EVERY}
            bound |= batch.bound
            contents = {name: text for name, text in outcome.contents().items() if text != found[name]}
            until = now + self.lapse if renew else None
            last = not (bound or batch.news) and batch.live is None
            rows.end_turn(connection, contents, now, self.holder, until, last=last)
            rows.bind(connection, bound, now)
            if batch.live is not None:
                self._post(connection, batch.live, now)
            rows.tell(connection, self.holder, batch.news)
            return now, outcome, gone

        return turn

    def _post(self, connection: Connection, content: str, now: float) -> None:
        name = posted.LIVE + self.holder
        if content:
            posted.post(connection, name, content, now)
        else:
            posted.take_down(connection, [name])

    def _make(self, names: Any) -> None:
        if names:
            self.database.writing(lambda connection: rows.make(connection, names))

    def tidy(self) -> None:
        """Forget what nobody needs any more."""

        def tidy(connection: Connection) -> None:
            now = rows.clock(connection)
            rows.forget_news(connection, now - HOUR)
            rows.forget_homes(connection, now - HOMES_FOR)
            rows.forget_idle(connection, now - _IDLE)
            posted.forget_tasks(connection, now - HOUR)

        self.database.writing(tidy)

    def live(self) -> list[posted.Posted]:
        """What each gateway tells of its answers, this one among them."""

        def read(connection: Connection) -> list[posted.Posted]:
            return posted.live(connection, rows.clock(connection), self.lapse)

        return self.database.reading(read)

    def ping(self) -> None:
        """Whether it answers."""
        self.database.reading(rows.clock)

    def leave(self) -> None:
        """What it held is free."""
        self.database.writing(lambda connection: rows.leave(connection, self.holder))


class _Missing(Exception):
    """A ledger is not there yet."""
