"""One answer: the nursery of one request.

    [produce] attempts -> batches ───────one bounded channel──> [drain] -> encoder -> client
    [watch]   nothing sent for N seconds -> KeepAlive ──same──┘

`run` is one coroutine, so the nursery is lexical: whatever ends it (finished, client gone, deadline, shutdown)
cancels every task in it and closes the upstream connection. What a request needs beyond one generation (server tools,
repair) are rounds around it, in the same task. The watch borrows the producer's sender and never
clones it: a clone of its own would keep the channel open, and the drain would wait for ever (TRIO_STACK).
"""

from __future__ import annotations

import math
from typing import Final

import attrs
import trio
from attrs import field

from kirotrio.classes import define
from kirotrio.conversation.events import Accepted, Batch, Failed, Finish, KeepAlive, Usage
from kirotrio.conversation.usage import UsageLedger
from kirotrio.errors import Cause, DeadlineExceeded, KirotrioError, without_frames
from kirotrio.relay.attempts import Attempts, Outlet
from kirotrio.relay.conduit import Conduit
from kirotrio.relay.course import Course
from kirotrio.relay.drain import Item, Outgoing, Restart, drain_held, drain_live
from kirotrio.relay.estimate import Estimate, estimate_at_once, estimate_input
from kirotrio.relay.generation import shortest_patience
from kirotrio.relay.outcome import tell, usage_of
from kirotrio.relay.ports import Dialect, Loan, Sink
from kirotrio.relay.prepare import prepare
from kirotrio.relay.request import AnswerRequest, Mode, Relay
from kirotrio.relay.rounds import with_rounds
from kirotrio.relay.spools import open_spool
from kirotrio.relay.streams import Glance, LiveAnswer, LiveState
from kirotrio.relay.watch import Look, Progress, Silence, watch

_CAPACITY = 16
"""Batches between the producer and the drain: a client that does not read stops the upstream read (rule 3)."""

_LONGEST_COUNT = 3.0
"""Seconds that the end of a request may wait for what has no other use than its record."""

_KEEP_ALIVE: Final[Batch] = [KeepAlive()]


@define(eq=False)
class Answer:
    """One request being answered. Call `run` once.

    `run` returns when the answer, or the dialect's error in its place, has been handed to the sink. It raises
    nothing but what the sink raises. Cancelling it closes the upstream connection before it returns.
    """

    relay: Relay
    request: AnswerRequest
    dialect: Dialect
    began_at: float = field()
    _attempts: Attempts | None = None
    _estimate: Estimate = field(factory=Estimate)
    _producing: trio.CancelScope = field(factory=trio.CancelScope)
    _ending: KirotrioError | None = None
    _by_rule: bool = False
    """Whether a rule of the gateway refused it."""
    _lent: str = ""
    """The account that was lent first."""
    _lent_at: float | None = None
    _prepared_at: float | None = None

    @began_at.default
    def _now(self) -> float:
        taken_at = self.request.taken_at
        return trio.current_time() if taken_at is None else taken_at

    async def run(self, sink: Sink) -> None:
        settings = self.relay.settings
        outgoing = Outgoing(sink, self.dialect, self._identity, gaps=self.relay.metrics.gaps)
        live = self._live()
        self.relay.streams.add(live)
        try:
            async with trio.open_nursery() as nursery:
                batches: Conduit[Item] = Conduit(_CAPACITY)
                silence = Silence(shortest_patience(settings.deadlines), self.relay.log)
                looks = [self._total(outgoing.last_sent), silence.look]
                if self.request.mode is not Mode.JSON or settings.server.json_keepalive:
                    looks.append(self._keep_alive(batches, outgoing))
                if self.request.mode is not Mode.JSON and self.dialect.eager:
                    looks.append(self._begin(batches, outgoing.last_sent))
                nursery.start_soon(self._produce, nursery, batches, silence)
                nursery.start_soon(watch, looks)
                try:
                    await self._drain(batches, outgoing)
                finally:
                    # Ahead of closing the channel, or a producer with a batch in its hands would break.
                    nursery.cancel_scope.cancel()
                    batches.close()
        finally:
            # It counts as live until its record is there, so that a gateway that stops loses none.
            try:
                try:
                    await self._count_what_was_cut(outgoing.end)
                finally:
                    course = Course(
                        self.began_at, self._lent_at, self._prepared_at, outgoing.first_sent, outgoing.status
                    )
                    tell(self.relay, self.request, self._attempts, outgoing.end, course)
            finally:
                try:
                    await self._settle(outgoing.end)
                finally:
                    self.relay.streams.remove(live)

    async def _count_what_was_cut(self, end: Finish | Failed | None) -> None:
        """The record of an answer without its own end tells what was put out; a long one, and the first one, for which
        the vocabulary has to be loaded, are counted in a thread, one after the other."""
        if self._attempts is None or isinstance(end, Finish) or self._attempts.ledger.ready():
            return
        # Shielded, since a client that has left is no reason not to know what it was given (rule 4).
        with trio.move_on_after(_LONGEST_COUNT, shield=True):
            await trio.to_thread.run_sync(
                self._attempts.ledger.result, abandon_on_cancel=True, limiter=self.relay.counting
            )

    async def _settle(self, end: Finish | Failed | None) -> None:
        """Charge the key with what was used, once, however the request ended."""
        spending = self.request.spending
        if spending is not None and spending.is_open:
            await spending.settle(self._charged(end))

    def _charged(self, end: Finish | Failed | None) -> Usage | None:
        """What was used, with an estimate of what was not told of it: a client that leaves ahead of the end, where the
        upstream tells what an answer has cost, pays for what it was given all the same."""
        usage, attempts = usage_of(end, self._attempts), self._attempts
        if attempts is None:
            return usage
        ledger = attempts.ledger
        if usage is None:  # a count that took too long
            usage = Usage(ledger.estimated_input, ledger.so_far())
        if ledger.metered is not None or not (usage.measured or usage.output_tokens):
            return usage
        given = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        # Of several generations, those before the last one have told what they cost.
        put_out = usage.output_tokens if usage.credits is None else ledger.so_far_of_generation()
        estimate = attempts.relay.prices.estimate(attempts.model, given, put_out)
        return attrs.evolve(usage, credits=(usage.credits or 0.0) + estimate)

    async def _settle_ahead(self, end: Finish | Failed) -> None:
        """The same before the client has the end: it may ask again at once, and is to meet what this one has used."""
        if self.request.spending is not None and self.request.spending.is_open:
            await self._count_what_was_cut(end)
            await self._settle(end)

    async def _drain(self, batches: Conduit[Item], outgoing: Outgoing) -> None:
        try:
            if self.request.mode is Mode.LIVE:
                await drain_live(batches, outgoing, self._estimate)
            else:
                spool = open_spool(self.dialect, self.request.mode)
                await drain_held(batches, outgoing, spool, self.relay.settings.relay.spool)
        except Exception as error:
            # A fault of ours must not reach the server as a traceback in the middle of a body (TRIO_STACK, trap 6).
            self.relay.log.error("encoding failed", exc_info=error, request_id=self.request.request_id)
            await outgoing.fail(Failed(_internal()))

    def _end(self, error: KirotrioError) -> None:
        if self._ending is None:
            self._ending = error
            self._producing.cancel()

    async def _produce(self, nursery: trio.Nursery, batches: Conduit[Item], silence: Silence) -> None:
        """All attempts; whatever they raise goes down the channel as a `Failed`, so that no group gets out."""
        failure: KirotrioError | None = None
        try:
            with self._producing:
                try:
                    if self.request.spending is not None:
                        await self.request.spending.begin()
                    await self._generate_on_one(nursery, batches, silence)
                except KirotrioError as error:
                    failure = without_frames(error)
                    self._by_rule = error.rule is not None
                except Exception as error:
                    self.relay.log.error("answer failed", exc_info=error, request_id=self.request.request_id)
                    failure = _internal()
            if self._producing.cancelled_caught:
                failure = self._ending
            if failure is not None:
                self._estimate.settle_for(0)
                failed = Failed(failure)
                await self._settle_ahead(failed)
                await batches.send([failed])
        finally:
            batches.end()

    async def _generate_on_one(self, nursery: trio.Nursery, batches: Conduit[Item], silence: Silence) -> None:
        metrics = self.relay.metrics
        metrics.queued += 1
        waiting = True
        try:
            async with self.relay.lender.borrow(self.request.wish) as loan:
                metrics.queued -= 1
                waiting = False
                self._lent_at = trio.current_time()
                try:
                    await self._generate_on(loan, nursery, batches, silence)
                except BaseException:
                    # While the place is still this request's: whoever has it next looks at what is left.
                    if self.request.spending is not None and self.request.spending.is_open:
                        await self._count_what_was_cut(None)
                        await self._settle(None)
                    raise
        finally:
            metrics.queued -= waiting

    async def _generate_on(self, loan: Loan, nursery: trio.Nursery, batches: Conduit[Item], silence: Silence) -> None:
        relay, request = self.relay, self.request
        self._lent = loan.name
        conversation = await prepare(request.conversation, relay)
        self._prepared_at = trio.current_time()
        ledger = UsageLedger(
            0, relay.settings.usage.subtract_output, relay.estimator.count_text, relay.estimator.counts_at_once
        )
        announce = self.dialect.eager and request.mode is not Mode.JSON
        attempts = Attempts(nursery, silence, relay, request, self._estimate, ledger, loan, announce)
        self._attempts = attempts
        family, estimator = loan.model.family, relay.estimator
        if not estimate_at_once(conversation, request.size, family, estimator, self._estimate, relay.log):
            patience = relay.settings.deadlines.prepare
            nursery.start_soon(
                estimate_input, conversation, request.size, family, estimator, self._estimate, patience, relay.log
            )
        if not relay.models.has(loan.name):
            # Beside the answer, for its windows and for the next one; a list never keeps an answer waiting.
            nursery.start_soon(self._know_models, loan)

        async def send(item: Item) -> None:
            # A checkpoint after each batch would be a switch for nothing: the next read is one. Where the drain is
            # gone this task has been cancelled, and finds out here.
            if batches.closed or not batches.send_nowait(item):
                await batches.send(item)

        async def restart() -> None:
            await send(Restart.RESTART)

        outlet = Outlet(send, restart, batches.send_nowait)
        last = await with_rounds(attempts, conversation)(conversation, outlet)
        if self.request.spending is not None and isinstance(last[-1], Finish | Failed):
            await self._settle_ahead(last[-1])
        await send(last)

    async def _know_models(self, loan: Loan) -> None:
        name = loan.name
        try:
            await self.relay.models.current(name, loan.credentials)
        except Exception as error:
            self.relay.log.error("model list failed", exc_info=error, account=name)

    def _live(self) -> LiveAnswer:
        request = self.request
        return LiveAnswer(
            request.request_id,
            request.model_shown,
            self.began_at,
            self._end,
            self._glance,
            request.key_id,
            request.surface,
            request.mode.value,
            request.key_name,
            request.wish.owner,
        )

    def _glance(self) -> Glance:
        attempts = self._attempts
        if attempts is None or attempts.progress is None:
            state = LiveState.PREPARING if self._lent else LiveState.QUEUED
            return Glance(state if self._ending is None else LiveState.ENDING, self._lent)
        state = self._state(attempts, attempts.progress)
        so_far, first = attempts.ledger.so_far(), attempts.progress.first_event_at
        return Glance(state, attempts.account, attempts.begun, so_far, first)

    def _state(self, attempts: Attempts, progress: Progress) -> LiveState:
        if self._ending is not None:
            return LiveState.ENDING
        if progress.over:
            return LiveState.PREPARING if attempts.between else LiveState.FINISHING
        if progress.first_event_at is not None:
            return LiveState.ANSWERING
        if progress.head:
            return LiveState.ACCEPTED
        return LiveState.ASKED if progress.reading_since is not None else LiveState.PREPARING

    def _total(self, began_at: float) -> Look:
        total = self.relay.settings.deadlines.total
        due = began_at + total

        def look(now: float) -> float:
            if now < due:
                return due
            self._end(DeadlineExceeded(f"the answer was not finished within {total:g} seconds"))
            return math.inf

        return look

    def _keep_alive(self, batches: Conduit[Item], outgoing: Outgoing) -> Look:
        relay = self.relay.settings.relay
        interval = relay.keepalive_buffered if self.request.mode is Mode.BUFFERED else relay.keepalive_live
        not_before = -math.inf

        def look(now: float) -> float:
            nonlocal not_before
            due = max(outgoing.last_sent + interval, not_before)
            if now < due:
                return due
            if batches.ended:
                return math.inf  # the producer is done; the drain writes the end
            batches.send_nowait(_KEEP_ALIVE)  # no room: the client is behind, what waits for it is sign of life enough
            not_before = now + interval
            return not_before

        return look

    def _begin(self, batches: Conduit[Item], began_at: float) -> Look:
        """An eager stream begins, also while nothing is known yet of the upstream."""
        due = began_at + self.relay.settings.relay.begin_after

        def look(now: float) -> float:
            if now < due:
                return due
            if not batches.ended:
                batches.send_nowait([Accepted()])
            return math.inf

        return look

    def _identity(self) -> dict[str, str]:
        headers = {"request-id": self.request.request_id, "x-request-id": self.request.request_id}
        progress = self._attempts.progress if self._attempts else None
        if progress and progress.upstream_request_id:
            headers["x-kiro-request-id"] = progress.upstream_request_id
        return headers


def _internal() -> KirotrioError:
    return KirotrioError("an error inside the gateway; its log has the details", cause=Cause.INTERNAL)
