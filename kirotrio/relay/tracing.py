"""The spans of one answer, after OpenTelemetry's conventions for generative AI where they have a name for something.

Nothing of a body and no secret is in them: of what a client named only a model that could be one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kirotrio.relay.request import AnswerRequest
from kirotrio.store.request_endings import Ending, cause_of
from kirotrio.store.request_record import RequestRecord
from kirotrio.telemetry.traces import Span, Trace, Traces

if TYPE_CHECKING:
    from kirotrio.relay.attempts import Attempts
    from kirotrio.relay.course import Course

_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/\[\]-]{0,63}")


def trace(
    traces: Traces,
    request: AnswerRequest,
    record: RequestRecord,
    attempts: Attempts | None,
    course: Course,
    now: float,
    *,
    is_answered: bool,
) -> None:
    """Hand the spans of an answer over, if they are wanted. `now` is Trio's time, at which `record.at` was taken;
    `is_answered`: no error took the place of the answer or of its end."""
    place = traces.wanted(request.traceparent)
    if place is None:
        return
    shift = record.at - now
    model = attempts.model.id if attempts is not None else ""
    named = request.conversation.model if model and _MODEL.fullmatch(request.conversation.model) else ""

    def part(name: str, began: float, ended: float, **rest: object) -> Span:
        return Span(name=name, began_at=began + shift, ended_at=ended + shift, **rest)  # type: ignore[arg-type]  # Span's

    parts = [part("queue", course.began_at, course.lent_at or now)]
    if course.lent_at is not None:
        parts.append(part("prepare", course.lent_at, course.prepared_at or now))
    for attempt in attempts.records if attempts is not None else ():
        told = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": model,
            "kirotrio.account": attempt.account,
            "kirotrio.attempt": attempt.number,
            "http.response.status_code": attempt.status or None,
            "kirotrio.upstream_request_id": attempt.upstream_id,
        }
        error = "" if attempt.outcome in ("ok", "cancelled") else attempt.outcome
        ended = attempt.began_at + attempt.seconds
        parts.append(part("attempt", attempt.began_at, ended, attributes=told, error=error, calls=True))
    if course.first_sent_at is not None:
        parts.append(part("stream", course.first_sent_at, now))
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "kiro",
        "gen_ai.request.model": named,
        "gen_ai.response.model": model,
        "gen_ai.response.id": record.id,
        "gen_ai.response.finish_reasons": [record.outcome] if is_answered else None,
        "gen_ai.usage.input_tokens": record.input_tokens,
        "gen_ai.usage.output_tokens": record.output_tokens,
        "http.request.method": "POST",
        "http.response.status_code": record.status,
        "client.address": record.address,
        "kirotrio.outcome": cause_of(record.outcome),
        "kirotrio.surface": record.surface,
        "kirotrio.mode": record.mode,
        "kirotrio.key": record.key_id,
        "kirotrio.account": record.account,
        "kirotrio.usage": record.usage,
        "kirotrio.credits": record.credits,
        "kirotrio.attempts": record.attempts,
        "kirotrio.first_event_seconds": record.first_event_seconds,
    }
    error = cause_of(record.outcome) if record.ending is Ending.FAILED else ""
    root = part(f"chat {model}".rstrip(), course.began_at, now, attributes=attributes, error=error)
    traces.put(Trace(root=root, parts=parts, trace_id=place[0], parent_id=place[1]))
