"""One gateway among several on one database: what it shares with them, as the parts of a gateway ask for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import orjson
import trio

from kirotrio.accounts.cooldowns import News
from kirotrio.accounts.lending.pacing import GateLimits
from kirotrio.accounts.shared import Shared
from kirotrio.accounts.told import news_of, told_of
from kirotrio.config.settings import Settings
from kirotrio.errors import StoreUnavailable
from kirotrio.store.holders import are_family, same_machine
from kirotrio.store.posted_rows import Posted
from kirotrio.store.responses import StoredResponse
from kirotrio.store.shared_responses import SharedResponses
from kirotrio.telemetry.log import Log
from kirotrio.web.several.clerk import Clerk
from kirotrio.web.several.gate import SharedGate
from kirotrio.web.several.questions import Questions
from kirotrio.web.several.shared_tasks import SharedTasks
from kirotrio.web.several.transactions import SharedState

_ID: Final = 36
"""Characters of the id of an account that is kept in the store."""
_SEEN_FOR: Final = 0.5
"""Seconds for which what others have told of their answers is not read again, however many look."""


class Several:
    """`Colleagues`, the count of keys' requests, and a `ResponseStore`. Nothing may be asked before `run` has started.

    An account that is kept has the same key everywhere. One that a setting names, or that was found on this machine, is
    shared by the processes of this machine alone: on others the same name may be another account.
    """

    def __init__(self, settings: Settings, shared: Shared, log: Log) -> None:
        self._machine = f"{same_machine()}/"
        state = SharedState(
            shared.database, shared.holder, settings.store.gateway_lapse, settings.server.rate_per_minute
        )
        self._log = log
        self._state = state
        self._clerk = Clerk(state, log, settings.store.look_every, self._heard, self._live)
        self.questions = Questions(self._clerk, log, 2 * settings.store.look_every + shared.database.deadline)
        self.tasks = SharedTasks(shared.database, shared.sealer, self._clerk, self.questions, log)
        self._clerk.met = self.tasks.wake
        self.live: Callable[[], Any] = lambda: None
        """What others are to see of the answers that run here, as JSON can hold it."""
        self._posted: list[Posted] = []
        self._posted_at = -math.inf
        self._reading = trio.Lock()
        self._hear: Callable[[News], None] | None = None
        self.counts_requests = settings.server.rate_per_minute > 0
        limits = settings.responses
        self._responses = SharedResponses(shared.database, shared.sealer, limits.max_memory, limits.keep, log)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. Raises StoreUnavailable where the database does not answer to begin with."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.questions.run)
            await nursery.start(self._clerk.run)
            nursery.start_soon(self._responses.run)
            nursery.start_soon(self.tasks.run)
            task_status.started()

    @property
    def is_alone(self) -> bool:
        """Whether the database is away, and limits hold here alone."""
        return self._clerk.away

    # What runs in the others

    @property
    def has_others(self) -> bool:
        return bool(self._clerk.others)

    async def others(self) -> list[Posted]:
        """What the other gateways tell of their answers. Raises StoreUnavailable."""
        if self._clerk.away:
            raise StoreUnavailable("the database is away, so the other gateways' answers are not known here")
        if not self._clerk.others:
            return []
        async with self._reading:
            if trio.current_time() - self._posted_at >= _SEEN_FOR:
                self._posted = await trio.to_thread.run_sync(self._state.live, abandon_on_cancel=True)
                self._posted_at = trio.current_time()
        since = trio.current_time() - self._posted_at
        theirs = [one for one in self._posted if not are_family(one.holder, self._state.holder)]
        return [attrs.evolve(one, age=one.age + since) for one in theirs]

    async def ask(self, what: str, argument: Any) -> Any:
        """What another gateway says to this (`Questions.ask`)."""
        try:
            return await self.questions.ask(what, argument)
        finally:
            self._posted_at = -math.inf

    def _live(self) -> str:
        try:
            told = self.live()
            return orjson.dumps(told).decode() if told is not None else ""
        except Exception as error:  # one look must not part this gateway from the others
            self._log.error("other gateways cannot see what runs here", exc_info=error)
            return ""

    # Accounts (`Colleagues`)

    def gate(self, key: str, limits: GateLimits, name: str) -> SharedGate:
        return SharedGate(self._clerk, f"account/{self.public(key)}", limits, name)

    async def home(self, session: str) -> str:
        asked = self._clerk.home(session)
        await self._clerk.answered(asked.done)
        return self.private(asked.home) or ""

    def bind(self, session: str, key: str) -> None:
        self._clerk.bind(session, self.public(key))

    def tell(self, news: News) -> None:
        public = attrs.evolve(news, account=self.public(news.account))
        self._clerk.tell(orjson.dumps(told_of(public)).decode())

    def listen(self, hear: Callable[[News], None]) -> None:
        self._hear = hear

    def _heard(self, content: str) -> None:
        try:
            told = orjson.loads(content)
            if isinstance(told, dict):
                self.questions.hear(told)
            else:
                self._heard_of_pause(news_of(told))
        except (ValueError, TypeError, KeyError) as error:  # of another version, perhaps
            self._log.warning("what another gateway told was not understood", error=repr(error))

    def _heard_of_pause(self, news: News) -> None:
        key = self.private(news.account)
        if key is not None and self._hear is not None:
            self._hear(attrs.evolve(news, account=key))

    def public(self, key: str) -> str:
        """What the account of this key is called among all gateways."""
        return key if len(key) == _ID or key.startswith("personal-") else self._machine + key

    def private(self, key: str) -> str | None:
        """The key of an account that is called so among all gateways; None for one of another machine."""
        return key.removeprefix(self._machine) if "/" not in key or key.startswith(self._machine) else None

    # Keys

    async def admit(self, key_id: str) -> None:
        """Count one request of this key. Raises RateLimited."""
        asked = self._clerk.count(f"key/{key_id}")
        await self._clerk.answered(asked.done)
        if asked.refusal is not None:
            raise asked.refusal

    # Responses

    def put(self, owner: str, stored: StoredResponse) -> bool:
        return self._responses.put(owner, stored)

    async def get(self, owner: str, response_id: str) -> StoredResponse | None:
        return await self._responses.get(owner, response_id)

    async def delete(self, owner: str, response_id: str) -> bool:
        return await self._responses.delete(owner, response_id)

    async def chain(self, owner: str, response_id: str) -> list[dict[str, Any]]:
        return await self._responses.chain(owner, response_id)

    async def items(self, owner: str, wanted: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        return await self._responses.items(owner, wanted)
