"""The round that holds an answer against what the client demanded of it.

    generation ─► met: as it is
               ─► unmet: asked once more, if `relay.repair` is on and nothing has left ─► met, or told

A tool that was not called is told in the log, and the answer leaves as it is: it is one all the same. A text that is
not the JSON asked for is an error, since a client that parses it would only fail less clearly. In the live mode the
text has left by then, so the error ends the stream.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import trio

from kirotrio.classes import define
from kirotrio.conversation.demands import Answered, Unmet, asked_again, unmet
from kirotrio.conversation.events import Batch
from kirotrio.conversation.request import Conversation, OutputSchema
from kirotrio.errors import AnswerUnmet, DeadlineExceeded
from kirotrio.relay.attempts import Attempts, Outlet
from kirotrio.relay.estimate import count_text
from kirotrio.relay.request import Mode
from kirotrio.relay.rounds.round import Generate

T = TypeVar("T")


@define
class Repair:
    """Wraps a `Generate` and is one.

    Raises BodyInvalid, before anything is generated, for a schema that is none, and AnswerUnmet for an answer that does
    not meet it. Cancellation also ends the thread in which schemas are at work.
    """

    attempts: Attempts
    inner: Generate

    async def __call__(self, conversation: Conversation, outlet: Outlet) -> Batch:
        if conversation.output_schema is not None:
            await self._in_thread(partial(_check_schema, conversation.output_schema))
        answered, last = await self._answer(conversation, outlet)
        missing = await self._missing(conversation, answered)
        if missing is not None and self._may_repair(missing):
            self._log("asking again", missing)
            await outlet.restart()
            await self._next_generation(answered)
            answered, last = await self._answer(asked_again(conversation, answered, missing), outlet)
            missing = await self._missing(conversation, answered)
        if missing is not None:
            self._log("answer misses what was asked for", missing)
            if missing.kind == "output":
                raise AnswerUnmet(f"The answer is whole, but {missing.message}.{self._advice()}")
        return last

    async def _answer(self, conversation: Conversation, outlet: Outlet) -> tuple[Answered, Batch]:
        """An answer, passed on but for its last batch."""
        answered = Answered()

        async def send(batch: Batch) -> None:
            answered.feed(batch)
            await outlet.send(batch)

        async def restart() -> None:
            answered.clear()
            await outlet.restart()

        last = await self.inner(conversation, Outlet(send, restart))
        answered.feed(last)
        if len(last) > 1:
            # Ahead of the check, which may end a live answer with an error: what was generated is shown all the same.
            await outlet.send(last[:-1])
            last = last[-1:]
        return answered, last

    async def _missing(self, conversation: Conversation, answered: Answered) -> Unmet | None:
        if conversation.output_schema is None:
            return unmet(conversation, answered)
        return await self._in_thread(partial(unmet, conversation, answered))

    async def _in_thread(self, work: Callable[[Callable[[], object]], T]) -> T:
        """Schemas come from clients: how long they take is not known."""
        seconds = self.attempts.relay.settings.deadlines.prepare
        with trio.move_on_after(seconds):
            check = partial(work, trio.from_thread.check_cancelled)
            return await trio.to_thread.run_sync(check, abandon_on_cancel=True)
        late = DeadlineExceeded(f"the schema was not worked through within {seconds:g} seconds (deadlines.prepare)")
        late.should_retry = False
        raise late

    @property
    def _live(self) -> bool:
        return self.attempts.request.mode is Mode.LIVE

    def _may_repair(self, missing: Unmet) -> bool:
        return self.attempts.relay.settings.relay.repair and not self._live and missing.kind != "several_calls"

    async def _next_generation(self, answered: Answered) -> None:
        attempts = self.attempts
        added = await count_text(attempts.relay.estimator, answered.text)
        attempts.estimate.set(await attempts.estimate.get() + added)
        attempts.ledger.next_generation()

    def _advice(self) -> str:
        if self._live:
            return " The buffered mode can have such an answer repaired (relay.repair)."
        if self.attempts.relay.settings.relay.repair:
            return " It was asked for twice."
        return " With relay.repair it would be asked for once more."

    def _log(self, event: str, missing: Unmet) -> None:
        self.attempts.relay.log.info(
            event, demand=missing.kind, why=missing.message, request_id=self.attempts.request.request_id
        )


def _check_schema(wanted: OutputSchema, tick: Callable[[], object]) -> None:
    # A tenth of a second of imports that only such answers need.
    from kirotrio.conversation.output_schema import check_schema

    check_schema(wanted, tick)
