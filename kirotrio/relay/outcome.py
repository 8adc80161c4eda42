"""What an answer came to, told once to everyone who is to know: one record, one line in the log, the counts.

All of it is put together at the end, from moments that were noted on the way: nothing is done here per event.
"""

from __future__ import annotations

import time

import orjson
import trio

from kirotrio.conversation.events import Failed, Finish, Usage
from kirotrio.relay.attempts import AttemptRecord, Attempts
from kirotrio.relay.course import Course
from kirotrio.relay.drain import usage_kind
from kirotrio.relay.request import AnswerRequest, Relay
from kirotrio.store.request_endings import CLIENT_GONE, STOPPED, Ending, cause_of, label_of, outcome_of
from kirotrio.store.request_record import RequestRecord
from kirotrio.telemetry.metrics import Finished

_MOST_TRIES = 40
"""Attempts that a record tells of: server tools may make many."""


def tell(
    relay: Relay, request: AnswerRequest, attempts: Attempts | None, end: Finish | Failed | None, course: Course
) -> None:
    """One record, one line and one count of each per answer, however it ended. `end` is None for one that was cut."""
    progress = attempts.progress if attempts is not None else None
    usage = usage_of(end, attempts)
    error = end.error if isinstance(end, Failed) else None
    now = trio.current_time()

    def since_begin(moment: float | None) -> float | None:
        return None if moment is None else round(moment - course.began_at, 3)

    head_at = progress.head_at if progress is not None else None
    connected = head_at is not None and course.lent_at is not None
    tries = attempts.records[-_MOST_TRIES:] if attempts is not None else []
    record = RequestRecord(
        id=request.request_id,
        at=time.time(),
        key_id=request.key_id,
        account=attempts.account if attempts is not None else "",
        model=request.model_shown,
        surface=request.surface,
        mode=request.mode.value,
        outcome=_outcome(relay, end),
        error=error.message if error is not None else "",
        seconds=round(now - course.began_at, 3),
        first_event_seconds=since_begin(progress.first_event_at if progress is not None else None),
        attempts=len(attempts.records) if attempts is not None else 0,
        input_tokens=usage.input_tokens if usage is not None else None,
        output_tokens=usage.output_tokens if usage is not None else None,
        usage=usage_kind(usage) if usage is not None else "",
        credits=usage.credits if usage is not None else None,
        queue_seconds=since_begin(course.lent_at),
        connect_seconds=round(head_at - course.lent_at, 3) if connected else None,  # type: ignore[operator]  # connected
        status=course.status,
        upstream_id=progress.upstream_request_id if progress is not None else "",
        tries=orjson.dumps([_try(one, course.began_at) for one in tries]).decode() if tries else "",
        client=request.client,
        address=request.address,
    )
    if error is None or error.rule is None or relay.refusals.take():
        relay.record(record)
    _count(relay, record, attempts)
    _log(relay, record, request.key_name, attempts, usage)
    if relay.traces is not None:
        from kirotrio.relay.tracing import trace

        trace(relay.traces, request, record, attempts, course, now, is_answered=error is None)


def usage_of(end: Finish | Failed | None, attempts: Attempts | None) -> Usage | None:
    """What was used, as far as it is known without work that is worth a thread."""
    if isinstance(end, Finish):
        return end.usage
    return attempts.ledger.result() if attempts is not None and attempts.ledger.ready() else None


def _outcome(relay: Relay, end: Finish | Failed | None) -> str:
    match end:
        case None:
            return STOPPED if relay.streams.cut else CLIENT_GONE
        case Finish(cause):
            return cause.value
        case Failed(error):
            return outcome_of(error)


def _try(attempt: AttemptRecord, began_at: float) -> dict[str, object]:
    return {
        "account": attempt.account,
        "began": round(attempt.began_at - began_at, 3),
        "seconds": attempt.seconds,
        "outcome": attempt.outcome,
        "status": attempt.status,
        "upstream_id": attempt.upstream_id,
    }


def _count(relay: Relay, record: RequestRecord, attempts: Attempts | None) -> None:
    relay.streams.tally.put(record.ending, record.input_tokens, record.output_tokens, record.credits)
    relay.metrics.finished(
        Finished(
            surface=record.surface,
            model=attempts.model.id if attempts is not None else record.model,
            outcome=label_of(record.ending),
            cause=cause_of(record.outcome),
            seconds=record.seconds,
            first=record.first_event_seconds,
            queue=record.queue_seconds,
            input_tokens=record.input_tokens or 0,
            output_tokens=record.output_tokens or 0,
            credits=record.credits or 0.0,
            attempts=[(one.account, one.outcome) for one in attempts.records] if attempts is not None else (),
        )
    )


def _log(relay: Relay, record: RequestRecord, key_name: str, attempts: Attempts | None, usage: Usage | None) -> None:
    told: dict[str, object] = {
        "request_id": record.id,
        "surface": record.surface,
        "mode": record.mode,
        "model": record.model,
        "key": record.key_id,
        **({"key_name": key_name} if key_name else {}),
        "status": record.status,
        "seconds": record.seconds,
        "outcome": cause_of(record.outcome),
    }
    if attempts is not None:
        told["upstream_model"] = attempts.model.id
        told["account"] = record.account
        told["attempts"] = [str(attempt) for attempt in attempts.records]
        if attempts.progress is not None:
            told["upstream_request_id"] = record.upstream_id
    if record.first_event_seconds is not None:
        told["first_event_seconds"] = record.first_event_seconds
    if usage is not None:
        told["input_tokens"], told["output_tokens"] = record.input_tokens, record.output_tokens
        told["usage"], told["credits"] = record.usage, record.credits
    if record.error:
        told["error"] = record.error
    if record.ending is Ending.FAILED:
        relay.log.warning("request finished", **told)
    else:
        relay.log.info("request finished", **told)
