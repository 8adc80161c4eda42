"""Requests as they went: the list, and one with its course in time. A member sees those of their own keys."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from kirotrio.access.audit import note
from kirotrio.errors import NotFound
from kirotrio.store.listing import Listed
from kirotrio.store.overview import DAY, By, Chosen
from kirotrio.store.request_record import ShownRequest
from kirotrio.web.console.courses import WIDTH, course_of, tries_of
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import changes, reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.lists import Column, Filter, ListView, listing_of
from kirotrio.web.console.pages import page, page_headers
from kirotrio.web.console.recorded import recorded_of, whole_of
from kirotrio.web.console.spans import SPANS
from kirotrio.web.console.visit import OPERATOR, OWNERS, Visit, people_of
from kirotrio.web.console.words import ENDINGS
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Reply, Runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

REQUESTS: Final = "/console/requests"
_RESULTS: Final = {value: name for value, (name, _) in ENDINGS.items()}


async def show_all(gateway: Gateway, visit: Visit) -> Runs:
    listing = listing_of(visit, filters=("account", "key", "model", "result", "span"))
    now, span = time.time(), next((one for one in SPANS if one.key == listing.filters.get("span")), None)
    between = span.ending(now) if span is not None else None

    def work(connection: Connection) -> tuple[Listed[ShownRequest], Mapping[str, str]]:
        from kirotrio.store import overview_rows, request_rows

        since, until = between or (0, int(now) + DAY)
        chosen = Chosen(since, until, until - since, _owner(visit))
        found = request_rows.page(connection, listing, _owner(visit), between)
        keys = dict(overview_rows.choices(connection, chosen, By.KEY))
        if sought := listing.filters.get("key"):
            keys.setdefault(sought, overview_rows.key_name_of(connection, sought, _owner(visit)))
        return found, keys

    listed, keys = await (await people_of(gateway)).database.read(work)
    view = ListView(
        REQUESTS,
        listed,
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
            Filter("span", N_("Span of time"), {one.key: one.name for one in SPANS}),
            Filter("result", N_("Result"), _RESULTS),
            Filter("account", N_("Account")),
            Filter("key", N_("Key"), keys, is_told=False),
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
        row=found,
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
