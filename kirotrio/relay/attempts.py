"""How many generations one request may cost: the budget, the reasons, and the repair in between.

ARCHITECTURE rule 6: another attempt only before the first generation event was sent (in the buffered and JSON modes
nothing is sent before the end, so a failure in the middle may be tried again), only for failures that KIRO_PROTOCOL 4
calls retryable, three in all, at most one of them after the upstream had begun to generate.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Awaitable, Callable

import trio
from attrs import define, field, frozen

from kirotrio.accounts.reset_date import next_reset, told
from kirotrio.conversation.events import Batch
from kirotrio.conversation.request import Conversation
from kirotrio.conversation.usage import UsageLedger
from kirotrio.errors import Cause, EmptyAnswer, KirotrioError, NotFound, QuotaExhausted, Recovery
from kirotrio.kiro.models import ModelProfile
from kirotrio.relay.attempt import Progress, Send, generate
from kirotrio.relay.estimate import Estimate
from kirotrio.relay.generation import Generation, prepare_generation
from kirotrio.relay.ports import Account
from kirotrio.relay.request import LARGE, AnswerRequest, Mode, Relay

_RESET_WITH_THE_PLAN = (None, "MONTHLY_REQUEST_COUNT", "OVERAGE_REQUEST_LIMIT_EXCEEDED")
"""Reasons that the next reset of the plan ends (KIRO_PROTOCOL 4); None where the status alone said so."""

_LONGEST_BACK_OFF = 10.0
"""Seconds. Whoever asks for a longer pause gets it from the client, with `retry-after`."""


@frozen
class Outlet:
    """Where an attempt's batches go. `restart` makes what was delivered so far void."""

    send: Send
    restart: Callable[[], Awaitable[None]]


def _outcome(error: KirotrioError) -> str:
    """One word for the log: the upstream's reason, or what had to be repaired, or ours."""
    if error.upstream_reason:
        return error.upstream_reason
    repairs = (Recovery.REFRESH_TOKEN, Recovery.STRIP_SIGNATURES, Recovery.RESOLVE_PROFILE)
    return error.recovery.value if error.recovery in repairs else error.cause.value


@frozen
class AttemptRecord:
    """What one attempt came to, for the log."""

    number: int
    account: str
    outcome: str
    status: int
    """The upstream's HTTP status; 0 where none had come."""
    seconds: float

    def __str__(self) -> str:
        return f"{self.outcome}({self.status})" if self.status else self.outcome


@define
class Budget:
    """What is left of one request's attempts, and which repairs have been made."""

    attempts: int
    paid: int = 1
    """Further attempts after the upstream had begun to generate."""
    empty: int = 1
    repairs: set[Recovery] = field(factory=set)

    def another(self, error: KirotrioError, progress: Progress, mode: Mode) -> bool:
        """Whether `error` may be followed by one more attempt; if so, the budget is charged for it."""
        if self.attempts <= 0 or not error.retryable:
            return False
        if mode is Mode.LIVE and progress.emitted:
            return False
        if error.retry_after is not None and error.retry_after > _LONGEST_BACK_OFF:
            return False
        empty = isinstance(error, EmptyAnswer)
        if (empty and self.empty <= 0) or (progress.began and self.paid <= 0):
            return False
        self.empty -= empty
        self.paid -= progress.began
        once = error.cause is Cause.BODY_INVALID  # a body that is refused twice is wrong (KIRO_PROTOCOL 2.8)
        if once or error.recovery in (Recovery.REFRESH_TOKEN, Recovery.STRIP_SIGNATURES, Recovery.RESOLVE_PROFILE):
            if error.recovery in self.repairs:
                return False
            self.repairs.add(error.recovery)
        elif error.recovery is Recovery.SWITCH_ACCOUNT:
            # There is one account; the same one would give the same answer.
            return False
        self.attempts -= 1
        return True


@define
class Attempts:
    """All generations of one request, within one budget. Its fields tell what happened so far.

    `announce`: the client shall hear of it as soon as the upstream has taken the request on.
    """

    relay: Relay
    request: AnswerRequest
    estimate: Estimate
    ledger: UsageLedger
    model: ModelProfile
    lent: Account
    announce: bool = False
    records: list[AttemptRecord] = field(factory=list)
    progress: Progress | None = None
    account: str = ""
    _budget: Budget = field(init=False)
    _generations: int = 0
    _strip: bool = False

    def __attrs_post_init__(self) -> None:
        self._budget = Budget(self.relay.settings.relay.attempts - 1)

    async def generate(self, conversation: Conversation, outlet: Outlet) -> Batch:
        """Generate until an answer is whole or no attempt is left; the last batch, with the end, is returned.

        Raises the KirotrioError of the last attempt. Cancellation closes the upstream connection.
        """
        invocation_id = str(uuid.uuid4())
        self._generations += 1
        number = 0
        while True:
            number += 1
            progress = self.progress = Progress()
            token = ""
            generation: Generation | None = None
            try:
                credentials = await self.lent.credentials()
                token, self.account = credentials.access_token, credentials.account
                generation = await self._prepare(conversation, number, invocation_id)
                self._log_diagnostics(generation)
                last = await generate(
                    self.relay.transport,
                    generation.call,
                    generation.pipeline,
                    self.estimate,
                    outlet.send,
                    progress,
                    generation.patience,
                    self.relay.log,
                    self.announce,
                )
            except KirotrioError as error:
                self._record(_outcome(error), progress)
                if not self._budget.another(error, progress, self.request.mode):
                    raise await self._explained(error) from error
                if progress.emitted:
                    await outlet.restart()
                self.ledger.discard_generation()
                self._strip = self._strip or error.recovery is Recovery.STRIP_SIGNATURES
                await self._repair(error, token, number)
            except Exception:
                self._record(Cause.INTERNAL.value, progress)
                raise
            except BaseException:
                # Cancelled: one exception, or a group of one for each task that was at work.
                self._record("cancelled", progress)
                raise
            else:
                self._record("ok", progress)
                # All of it before the end is sent: the drain cancels what still runs once it has the end.
                self.relay.standing.served(self.lent.name)
                self._learn()
                return last
            finally:
                for note in generation.pipeline.notes if generation else ():
                    self.relay.log.warning(
                        "answer note", note=note, request_id=self.request.request_id, attempt=len(self.records)
                    )

    async def _prepare(self, conversation: Conversation, number: int, invocation_id: str) -> Generation:
        credentials = await self.lent.credentials()

        def build() -> Generation:
            return prepare_generation(
                conversation,
                self.model,
                credentials,
                self.relay.settings,
                self.ledger,
                self.relay.estimator.count_text,
                self.request.mode,
                attempt=number,
                invocation_id=invocation_id,
                strip_signatures=self._strip,
            )

        if self.request.size > LARGE:
            return await trio.to_thread.run_sync(build, abandon_on_cancel=True)
        return build()

    async def _repair(self, error: KirotrioError, token: str, number: int) -> None:
        """Do what the next attempt needs to differ by, then wait where waiting is what it needs."""
        match error.recovery:
            case Recovery.REFRESH_TOKEN:
                await self.lent.refused(token)
            case Recovery.RESOLVE_PROFILE:
                await self.lent.resolve_profile()
            case Recovery.RETRY:
                pause = error.retry_after
                if pause is None:
                    pause = min(0.3 * 2 ** (number - 1), _LONGEST_BACK_OFF) * random.uniform(0.5, 1.5)  # noqa: S311
                await trio.sleep(pause)
            case _:
                pass

    def _learn(self) -> None:
        """Let the next estimate know how far off this one was."""
        measured = self.ledger.measured_prompt
        if measured is not None and self._generations == 1:
            self.relay.estimator.learn(self.model.family, self.estimate.tokens, measured, time.time())

    async def _explained(self, error: KirotrioError) -> KirotrioError:
        """An unknown model is answered with those that the account has, a used-up subscription with its reset."""
        if isinstance(error, QuotaExhausted):
            return await self._with_reset(error)
        if not isinstance(error, NotFound) or error.upstream_status is None:
            return error
        names = ", ".join(model.id for model in self.relay.models.known(self.account).models if model.listed)
        return NotFound(
            f"model {self.request.conversation.model!r} is not available to this account; it has: {names}",
            model=self.request.conversation.model,
            upstream_status=error.upstream_status,
        )

    async def _with_reset(self, error: QuotaExhausted) -> KirotrioError:
        if error.upstream_reason not in _RESET_WITH_THE_PLAN:
            return error  # an hour's or a day's limit ends earlier, and when is not known
        try:
            credentials = await self.lent.credentials()
        except KirotrioError:
            return error
        reset = await next_reset(self.relay.transport, self.relay.settings, credentials)
        wait = (reset or 0.0) - time.time()
        if reset is None or wait <= 0:
            return error
        return QuotaExhausted(
            f"{error.message} The next reset is at {told(reset)}.",
            retry_after=wait,
            upstream_status=error.upstream_status,
            upstream_reason=error.upstream_reason,
            upstream_request_id=error.upstream_request_id,
        )

    def _record(self, outcome: str, progress: Progress) -> None:
        seconds = round(trio.current_time() - progress.started_at, 3)
        self.records.append(AttemptRecord(len(self.records) + 1, self.account, outcome, progress.status, seconds))

    def _log_diagnostics(self, generation: Generation) -> None:
        if self.records:
            return
        for diagnostic in generation.diagnostics:
            self.relay.log.debug(
                "diagnostic", path=diagnostic.path, message=diagnostic.message, request_id=self.request.request_id
            )
