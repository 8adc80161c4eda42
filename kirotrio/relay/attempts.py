"""How many generations one request may cost: the budget, the reasons, and the repair in between.

ARCHITECTURE rule 6: another attempt only before the first generation event was sent (in the buffered and JSON modes
nothing is sent before the end, so a failure in the middle may be tried again), only for failures that KIRO_PROTOCOL 4
calls retryable, three in all, at most one of them after the upstream had begun to generate. Another account is asked
only where the failure is this account's own, and never because of one that Kiro is looking into.
"""

from __future__ import annotations

import enum
import random
import time
from collections.abc import Awaitable, Callable

import trio
from attrs import field

from kirotrio.classes import define, frozen
from kirotrio.conversation.events import Batch
from kirotrio.conversation.request import Conversation
from kirotrio.conversation.usage import UsageLedger
from kirotrio.errors import Blame, Cause, EmptyAnswer, KirotrioError, NotFound, ProxyFailed, Recovery, without_frames
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.models import ModelProfile
from kirotrio.kiro.sessions import new_invocation_id
from kirotrio.relay.attempt import Send, SendNow, generate
from kirotrio.relay.estimate import Estimate
from kirotrio.relay.generation import Generation, prepare_generation
from kirotrio.relay.ports import Loan
from kirotrio.relay.request import LARGE, AnswerRequest, Mode, Relay
from kirotrio.relay.watch import Progress, Silence

_LONGEST_BACK_OFF = 10.0
"""Seconds. Whoever asks for a longer pause gets it from the client, with `retry-after`."""


@frozen
class Outlet:
    """Where an attempt's batches go. `restart` makes what was delivered so far void. `send_nowait`: the short way,
    where nothing stands in between."""

    send: Send
    restart: Callable[[], Awaitable[None]]
    send_nowait: SendNow | None = None


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
    began_at: float
    """Trio's time."""
    upstream_id: str = ""
    """The upstream's own name of it."""

    def __str__(self) -> str:
        return f"{self.outcome}({self.status})" if self.status else self.outcome


class _OutOfBudget(Exception):
    """The key has nothing left."""

    def __init__(self, error: KirotrioError) -> None:
        self.error = error


class Step(enum.Enum):
    REPEAT = "repeat"
    """The same account again, after what the error asks for."""
    SWITCH = "switch"
    """Another account."""


@define
class Budget:
    """What is left of one request's attempts, and which repairs have been made."""

    attempts: int
    paid: int = 1
    """Further attempts after the upstream had begun to generate."""
    empty: int = 1
    repairs: set[Recovery] = field(factory=set)

    def another(self, error: KirotrioError, progress: Progress, mode: Mode, *, others: bool) -> Step | None:
        """What may follow `error`, None for nothing; if something may, the budget is charged for it.

        `others`: whether another account could answer.
        """
        if self.attempts <= 0 or (mode is Mode.LIVE and progress.emitted):
            return None
        empty = isinstance(error, EmptyAnswer)
        if (empty and self.empty <= 0) or (progress.began and self.paid <= 0):
            return None
        repaired = error.recovery in self.repairs
        elsewhere = others and isinstance(error, ProxyFailed) and error.own
        if elsewhere or _is_of_the_account(error) or (repaired and error.recovery is Recovery.REFRESH_TOKEN):
            step = Step.SWITCH if others else None
        elif repaired or not error.retryable or (error.retry_after or 0.0) > _LONGEST_BACK_OFF:
            step = None
        else:
            step = Step.REPEAT
            once = error.cause is Cause.BODY_INVALID  # a body that is refused twice is wrong (KIRO_PROTOCOL 2.8)
            if once or error.recovery is not Recovery.RETRY:
                self.repairs.add(error.recovery)
        if step is not None:
            self.empty -= empty
            self.paid -= progress.began
            self.attempts -= 1
        return step


def _is_of_the_account(error: KirotrioError) -> bool:
    """Whether another account may well answer the same request."""
    if error.blame is Blame.SUSPICIOUS:
        return False
    return error.recovery is Recovery.SWITCH_ACCOUNT or error.blame is not Blame.NONE


@define
class Attempts:
    """All generations of one request, within one budget. Its fields tell what happened so far.

    `nursery` is the request's, `silence` its watch. `announce`: the client shall hear of it as soon as the upstream has
    taken the request on.
    """

    nursery: trio.Nursery
    silence: Silence
    relay: Relay
    request: AnswerRequest
    estimate: Estimate
    ledger: UsageLedger
    lent: Loan
    announce: bool = False
    records: list[AttemptRecord] = field(factory=list)
    begun: int = 0
    """Attempts, the running one included."""
    progress: Progress | None = None
    account: str = ""
    _budget: Budget = field(init=False)
    _generations: int = 0
    _strip: bool = False

    def __attrs_post_init__(self) -> None:
        self._budget = Budget(self.relay.settings.relay.attempts - 1)

    @property
    def model(self) -> ModelProfile:
        return self.lent.model

    @property
    def between(self) -> bool:
        """Whether one has failed and another is not begun."""
        return 0 < len(self.records) == self.begun and self.records[-1].outcome != "ok"

    async def generate(self, conversation: Conversation, outlet: Outlet) -> Batch:
        """Generate until an answer is whole or no attempt is left; the last batch, with the end, is returned.

        Raises the KirotrioError of the last attempt. Cancellation closes the upstream connection.
        """
        invocation_id = new_invocation_id()
        self._generations += 1
        number = 0
        while True:
            number += 1
            progress = self.progress = Progress()
            self.begun += 1
            token = ""
            generation: Generation | None = None
            self.account = self.lent.name
            try:
                await self.lent.pace(again=number > 1)
                await self._look_at_budget()
                credentials = await self.lent.credentials()
                token, self.account = credentials.access_token, credentials.account
                generation = await self._prepare(conversation, credentials, number, invocation_id)
                self._log_diagnostics(generation)
                last = await generate(
                    self.nursery,
                    self.silence,
                    self.relay.transport,
                    generation.call,
                    generation.pipeline,
                    self.estimate,
                    outlet.send,
                    progress,
                    generation.patience,
                    self.relay.log,
                    self.announce,
                    outlet.send_nowait,
                    self.relay.estimator,
                )
            except _OutOfBudget as refused:
                # The key's, not the account's: nothing was sent, and no other account would help.
                self.begun -= 1
                raise without_frames(refused.error) from None
            except KirotrioError as error:
                self._record(_outcome(error), progress)
                if not await self._go_on(error, progress, token, number):
                    raise self._explained(await self.lent.blamed(error)) from error
                without_frames(error)
                if progress.emitted:
                    await outlet.restart()
                self.ledger.discard_generation()
                self._strip = self._strip or error.recovery is Recovery.STRIP_SIGNATURES
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
                self.lent.served()
                self._learn()
                return last
            finally:
                for note in generation.pipeline.notes if generation else ():
                    self.relay.log.warning(
                        "answer note", note=note, request_id=self.request.request_id, attempt=len(self.records)
                    )

    async def _look_at_budget(self) -> None:
        """Ahead of the first word to the upstream: what the key had left may be used up by those that ran while this
        request waited for its place. Raises _OutOfBudget."""
        if self.begun > 1 or self.request.spending is None:
            return
        try:
            await self.request.spending.check_again()
        except KirotrioError as error:
            raise _OutOfBudget(error) from error

    async def _prepare(
        self, conversation: Conversation, credentials: Credentials, number: int, invocation_id: str
    ) -> Generation:
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
                session=self.request.wish.session,
            )

        if self.request.size > LARGE:
            return await trio.to_thread.run_sync(build, abandon_on_cancel=True)
        return build()

    async def _go_on(self, error: KirotrioError, progress: Progress, token: str, number: int) -> bool:
        """Whether there is another attempt; if so, everything is done that it needs to differ by."""
        if _is_of_the_account(error):
            await self.lent.blamed(error)
        match self._budget.another(error, progress, self.request.mode, others=self.lent.has_other):
            case None:
                return False
            case Step.SWITCH:
                await self.lent.blamed(error)
                return await self.lent.switch()
            case Step.REPEAT:
                return await self._repair(error, token, number)

    async def _repair(self, error: KirotrioError, token: str, number: int) -> bool:
        """Do what this account's next attempt needs, then wait where waiting is what it needs. An account that cannot
        be repaired leaves its place to another."""
        try:
            match error.recovery:
                case Recovery.REFRESH_TOKEN:
                    await self.lent.refused(token)
                case Recovery.RESOLVE_PROFILE:
                    await self.lent.resolve_profile()
                case Recovery.RETRY:
                    pause = error.retry_after
                    if pause is None:
                        spread = random.uniform(0.5, 1.5)  # noqa: S311 - only moves calls apart
                        pause = min(0.3 * 2 ** (number - 1), _LONGEST_BACK_OFF) * spread
                    await trio.sleep(pause)
                case _:
                    pass
        except KirotrioError as beyond_repair:
            if not _is_of_the_account(beyond_repair):
                raise
            told = await self.lent.blamed(beyond_repair)
            if self.lent.has_other and await self.lent.switch():
                return True
            raise self.lent.told(told) from beyond_repair
        return True

    def _learn(self) -> None:
        """Let the next estimate know how far off this one was, and what an answer of this model costs."""
        if (cost := self.ledger.metered) is not None:
            self.relay.prices.learn(self.model, *self.ledger.of_generation(), cost)
        measured = self.ledger.measured_prompt
        if measured is not None and self._generations == 1:
            self.relay.estimator.learn(self.model.family, self.estimate.tokens, measured, time.time())

    def _explained(self, error: KirotrioError) -> KirotrioError:
        """An unknown model is answered with those that the account has, others with what else could not answer."""
        told = self.lent.told(error)
        if told is not error or not isinstance(error, NotFound) or error.upstream_status is None:
            return told
        known = self.relay.models.known(self.account).models
        names = ", ".join(model.id for model in known if model.listed and model.id != self.model.id)
        return NotFound(
            f"model {self.request.model_shown!r} is not available to this account; it has: {names}",
            model=self.request.conversation.model,
            upstream_status=error.upstream_status,
        )

    def _record(self, outcome: str, progress: Progress) -> None:
        began_at = progress.started_at
        seconds = round(trio.current_time() - began_at, 3)
        number, upstream_id = len(self.records) + 1, progress.upstream_request_id
        self.records.append(
            AttemptRecord(number, self.account, outcome, progress.status, seconds, began_at, upstream_id)
        )

    def _log_diagnostics(self, generation: Generation) -> None:
        if self.records:
            return
        for diagnostic in generation.diagnostics:
            self.relay.log.debug(
                "diagnostic", path=diagnostic.path, message=diagnostic.message, request_id=self.request.request_id
            )
