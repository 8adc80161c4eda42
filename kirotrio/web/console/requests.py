"""Requests as they went: the list, and one with its course in time. A member sees those of their own keys."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson

from kirotrio.access.audit import note
from kirotrio.classes import frozen
from kirotrio.errors import NotFound
from kirotrio.store.listing import Listed
from kirotrio.store.request_record import RequestRecord, ShownRequest
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import changes, reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.lists import Column, Filter, ListView, listing_of
from kirotrio.web.console.pages import page, page_headers
from kirotrio.web.console.recorded import recorded_of, whole_of
from kirotrio.web.console.visit import OPERATOR, OWNERS, Visit, people_of
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Reply, Runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

REQUESTS: Final = "/console/requests"
_RESULTS: Final = {"finished": N_("Finished"), "failed": N_("Failed")}
WIDTH: Final = 1000
"""Of the waterfall, in its own units."""


@frozen
class Span:
    """One part of a request's course, in seconds since it was taken; `x` and `width` are where it is drawn.

    `kind` is queue, connect, first or stream, and its class; `name` is English, and in the catalogue.
    """

    kind: str
    name: str
    begin: float
    end: float
    total: float

    @property
    def seconds(self) -> float:
        return round(self.end - self.begin, 3)

    @property
    def x(self) -> float:
        return round(WIDTH * self.begin / self.total, 1)

    @property
    def width(self) -> float:
        """Never so little that it cannot be seen."""
        return max(2.0, round(WIDTH * (self.end - self.begin) / self.total, 1))


def course_of(record: RequestRecord) -> tuple[Span, ...]:
    """Waiting for an account, connecting, waiting for the first event, streaming: as far as the request came."""
    total = max(record.seconds, 0.001)
    marks = [(N_("Queue"), "queue", record.queue_seconds)]
    if record.queue_seconds is not None and record.connect_seconds is not None:
        marks.append((N_("Connect"), "connect", record.queue_seconds + record.connect_seconds))
    if record.first_event_seconds is not None:
        marks += [(N_("First event"), "first", record.first_event_seconds), (N_("Stream"), "stream", record.seconds)]
    spans, at = [], 0.0
    for name, kind, mark in marks:
        if mark is None:
            continue
        end = min(max(mark, at), total)
        spans.append(Span(kind, name, at, end, total))
        at = end
    return tuple(spans)


def tries_of(record: RequestRecord) -> tuple[dict[str, Any], ...]:
    """The attempts, one dictionary each: account, began, seconds, outcome, status, upstream_id."""
    try:
        tries = orjson.loads(record.tries or "[]")
    except orjson.JSONDecodeError:
        return ()
    return tuple(one for one in tries if isinstance(one, dict)) if isinstance(tries, list) else ()


async def show_all(gateway: Gateway, visit: Visit) -> Runs:
    listing = listing_of(visit, filters=("account", "key", "model", "result"))

    def work(connection: Connection) -> Listed[ShownRequest]:
        from kirotrio.store import request_rows

        return request_rows.page(connection, listing, _owner(visit))

    view = ListView(
        REQUESTS,
        await (await people_of(gateway)).database.read(work),
        (
            Column(N_("Time"), "at"),
            Column(N_("Key"), "key"),
            Column(N_("Account"), "account"),
            Column(N_("Model"), "model"),
            Column(N_("Result")),
            Column(N_("Seconds"), "seconds", number=True),
            Column(N_("First event"), "first", number=True),
            Column(N_("Input"), "input", number=True),
            Column(N_("Output"), "output", number=True),
            Column(N_("Credits"), "credits", number=True),
        ),
        (
            Filter("result", N_("Result"), _RESULTS),
            Filter("account", N_("Account")),
            Filter("key", N_("Key")),
            Filter("model", N_("Model")),
        ),
    )
    return page(gateway, visit, "requests.html", view=view)


async def show_one(gateway: Gateway, visit: Visit, request_id: str) -> Runs:
    found = await _found(gateway, visit, request_id)
    course = course_of(found.record)
    return page(
        gateway,
        visit,
        "request.html",
        one=found.record,
        key=found.key,
        course=course,
        tries=tries_of(found.record),
        width=WIDTH,
        recorded=await recorded_of(gateway, request_id),
        kept=gateway.settings.recorder.requests,
        is_alone=gateway.several is None,
    )


async def download(gateway: Gateway, visit: Visit, form: Form, request_id: str) -> Runs:
    """The recording, for who has given the password again."""
    await _found(gateway, visit, request_id)
    people = await people_of(gateway)
    people.require_confirmed(visit.signed_in)
    whole = await whole_of(gateway, request_id, for_operator=visit.may(OPERATOR))
    entry = visit.actor.entry("recording.download", request_id, people.now(), {"bytes": len(whole)})
    await note(people.database, entry)
    headers = {
        **page_headers(visit.secure),
        "content-type": "application/json",
        "content-disposition": f'attachment; filename="{request_id}.json"',
    }
    return Reply(whole, headers=headers)


async def _found(gateway: Gateway, visit: Visit, request_id: str) -> ShownRequest:
    """Raises NotFound for a request that is not there, and for somebody else's."""

    def work(connection: Connection, owner_id: str | None) -> ShownRequest | None:
        from kirotrio.store import request_rows

        return request_rows.find(connection, request_id, owner_id)

    found = await (await people_of(gateway)).database.read(partial(work, owner_id=_owner(visit)))
    if found is None:
        raise NotFound("there is no such request; it may be too old to be kept, or not written yet")
    return found


def _owner(visit: Visit) -> str | None:
    """Whose requests this visit may see; None: everybody's."""
    return None if visit.may(OPERATOR) else visit.user.id


ROUTES = (
    reads(REQUESTS, show_all, OWNERS),
    reads(REQUESTS + "/<request_id>", show_one, OWNERS),
    changes(REQUESTS + "/<request_id>/recording", download, OWNERS),
)
