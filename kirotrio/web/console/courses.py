"""A request's course in time, as parts of a picture: what it waited for, what was tried, what was answered. Pure."""

from __future__ import annotations

from typing import Any, Final, TypeGuard

import orjson

from kirotrio.classes import frozen
from kirotrio.store.request_record import RequestRecord
from kirotrio.web.console.languages import N_

WIDTH: Final = 1000
"""Of the picture, in its own units."""
_NOTHING: Final = 0.001
"""Seconds; moments are told to the thousandth, so that less between two of them is none."""


@frozen
class Span:
    """One part of a request's course, in seconds since it was taken; `x` and `width` are where it is drawn.

    `kind` is queue, tried (an attempt that failed), round (one that did not), wait, connect, first or stream, and its
    class; `name` is English, and in the catalogue, with `number` for that of an attempt.
    """

    kind: str
    name: str
    begin: float
    end: float
    total: float
    number: int = 0

    @property
    def seconds(self) -> float:
        return round(self.end - self.begin, 3)

    @property
    def x(self) -> float:
        return round(min(WIDTH * self.begin / self.total, WIDTH - 2.0), 1)

    @property
    def width(self) -> float:
        """Never so little that it cannot be seen."""
        return max(2.0, round(WIDTH * (self.end - self.begin) / self.total, 1))


def course_of(record: RequestRecord) -> tuple[Span, ...]:
    """Waiting for an account, connecting, waiting for the first event, streaming: as far as the request came.

    Of several attempts each has its own part, and so has what was waited between two of them; the last one is told in
    its parts where it came to an answer.
    """
    total = max(record.seconds, 0.001)
    spans: list[Span] = []

    def add(kind: str, name: str, end: float, *, begin: float = -1.0, number: int = 0) -> None:
        """A part that begins where the one before it ended, or later."""
        at = spans[-1].end if spans else 0.0
        begin = min(max(begin, at), total)
        spans.append(Span(kind, name, begin, min(max(end, begin), total), total, number))

    if record.queue_seconds is not None:
        add("queue", N_("Queue"), record.queue_seconds)
    tries = _timed(record)
    answered = record.first_event_seconds is not None
    if len(tries) > 1:
        for number, (began, seconds, outcome) in enumerate(tries, 1):
            if number > 1 and began - spans[-1].end > _NOTHING:
                add("wait", N_("Wait"), began)
            if number == len(tries) and answered:
                break
            kind = "round" if outcome == "ok" else "tried"
            add(kind, N_("Attempt {number}"), began + seconds, begin=began, number=number)
    if record.queue_seconds is not None and record.connect_seconds is not None and (answered or len(tries) < 2):
        begin = tries[-1][0] if len(tries) > 1 else -1.0
        add("connect", N_("Connect"), record.queue_seconds + record.connect_seconds, begin=begin)
    if record.first_event_seconds is not None:
        add("first", N_("First event"), record.first_event_seconds)
        add("stream", N_("Stream"), record.seconds)
    return tuple(spans)


def tries_of(record: RequestRecord) -> tuple[dict[str, Any], ...]:
    """The attempts, one dictionary each: account, began, seconds, outcome, status, upstream_id."""
    try:
        tries = orjson.loads(record.tries or "[]")
    except orjson.JSONDecodeError:
        return ()
    return tuple(one for one in tries if isinstance(one, dict)) if isinstance(tries, list) else ()


def _timed(record: RequestRecord) -> list[tuple[float, float, object]]:
    """When each attempt began, how long it took, and what it came to; none where the record lacks some of these."""
    timed: list[tuple[float, float, object]] = []
    for one in tries_of(record):
        began, seconds = one.get("began"), one.get("seconds")
        if not (_is_time(began) and _is_time(seconds)):
            return []
        timed.append((began, seconds, one.get("outcome")))
    return timed


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
