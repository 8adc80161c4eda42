"""What an operator tells everybody: the list, a form with a look at how it will be shown, and taking it away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from kirotrio.access import announcements
from kirotrio.access.announcements import LONGEST_BODY, LONGEST_TITLE, Draft
from kirotrio.access.markdown import rendered
from kirotrio.errors import BodyInvalid
from kirotrio.store.announcement import Announcement
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import changes, reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.lists import Column, Filter, ListView, listing_of
from kirotrio.web.console.pages import page, redirect, said
from kirotrio.web.console.visit import OPERATOR, Visit, people_of
from kirotrio.web.console.words import SEVERITIES
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from kirotrio.store.database import Database

LIST: Final = "/console/announcements"
NEW: Final = LIST + "/new"
_ONE: Final = LIST + "/<announcement_id>"

_REFUSALS: Final = (
    N_("title: an announcement needs a title"),
    N_("until_at: it must be later than the beginning"),
    N_("there is no such announcement; it may have been removed"),
)
"""What the operator may read of `access.announcements`."""
_MOMENT: Final = "%Y-%m-%dT%H:%M"


async def show_all(gateway: Gateway, visit: Visit) -> Runs:
    database, now = await _ground(gateway)
    listed = await announcements.listed(database, listing_of(visit, filters=("severity",)))
    view = ListView(
        LIST,
        listed,
        (
            Column(N_("Title"), "title"),
            Column(N_("Severity"), "severity"),
            Column(N_("From"), "from_at"),
            Column(N_("Until"), "until_at"),
            Column(""),
        ),
        (Filter("severity", N_("Severity"), SEVERITIES),),
    )
    return page(gateway, visit, "announcements.html", view=view, severities=SEVERITIES, now=now)


async def begin(gateway: Gateway, visit: Visit) -> Runs:
    return _form(gateway, visit, None, {"severity": "info"})


async def open_one(gateway: Gateway, visit: Visit, announcement_id: str) -> Runs:
    database, _ = await _ground(gateway)
    found = await database.read(lambda connection: announcements.one(connection, announcement_id))
    fields = {
        "title": found.title,
        "body": found.body,
        "severity": found.severity,
        "from_at": _moment(found.from_at),
        "until_at": _moment(found.until_at),
    }
    return _form(gateway, visit, found.id, fields)


async def take_new(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    def keep(connection: Connection, draft: Draft, now: float) -> Announcement:
        return announcements.create(connection, visit.actor, draft, now)

    return await _take(gateway, visit, form, None, keep)


async def take_one(gateway: Gateway, visit: Visit, form: Form, announcement_id: str) -> Runs:
    def keep(connection: Connection, draft: Draft, now: float) -> Announcement:
        return announcements.edit(connection, visit.actor, announcement_id, draft, now)

    return await _take(gateway, visit, form, announcement_id, keep)


async def remove(gateway: Gateway, visit: Visit, form: Form, announcement_id: str) -> Runs:
    database, now = await _ground(gateway)
    actor = visit.actor
    await database.write(lambda connection: announcements.remove(connection, actor, announcement_id, now))
    visit.tell("The announcement was removed.")
    return redirect(visit, LIST)


async def _take(
    gateway: Gateway,
    visit: Visit,
    form: Form,
    announcement_id: str | None,
    keep: Callable[[Connection, Draft, float], Announcement],
) -> Runs:
    """Keep what was written, or show how it would look."""
    database, now = await _ground(gateway)
    fields = {name: form(name, most=LONGEST_BODY * 3) for name in ("title", "body", "severity", "from_at", "until_at")}
    try:
        draft = _draft(fields, now).checked()
        if form("do") != "preview":
            await database.write(lambda connection: keep(connection, draft, now))
    except BodyInvalid as error:
        return _form(gateway, visit, announcement_id, fields, problem=said(visit.speech, error.message), status=400)
    if form("do") == "preview":
        return _form(gateway, visit, announcement_id, fields, preview=draft)
    visit.tell("The announcement was saved.")
    return redirect(visit, LIST)


def _form(
    gateway: Gateway,
    visit: Visit,
    announcement_id: str | None,
    fields: Mapping[str, str],
    *,
    problem: str = "",
    preview: Draft | None = None,
    status: int = 200,
) -> Runs:
    return page(
        gateway,
        visit,
        "announcement.html",
        status=status,
        address=NEW if announcement_id is None else f"{LIST}/{announcement_id}",
        announcement_id=announcement_id,
        fields={"title": "", "body": "", "from_at": "", "until_at": "", **fields},
        severities=SEVERITIES,
        longest_title=LONGEST_TITLE,
        longest_body=LONGEST_BODY,
        problem=problem,
        preview=preview,
        # What `rendered` gives is safe, which its own tests hold.
        shown=Markup(rendered(preview.body)) if preview is not None else "",  # noqa: S704 - sanitised as it is rendered
    )


def _draft(fields: Mapping[str, str], now: float) -> Draft:
    """Raises BodyInvalid."""
    begins = _time("from_at", fields["from_at"])
    return Draft(
        fields["title"], fields["body"], fields["severity"], now if begins is None else begins,
        _time("until_at", fields["until_at"]),
    )  # fmt: skip


def _time(name: str, text: str) -> float | None:
    """Epoch seconds of what a field for a moment sends, which are of UTC here."""
    if not text:
        return None
    try:
        return datetime.strptime(text[:16], _MOMENT).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise BodyInvalid(name, "must be a moment like 2026-01-31T18:00") from None


def _moment(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime(_MOMENT)


async def _ground(gateway: Gateway) -> tuple[Database, float]:
    """The store, and what time it is."""
    people = await people_of(gateway)
    return people.database, people.now()


ROUTES = (
    reads(LIST, show_all, OPERATOR),
    reads(NEW, begin, OPERATOR),
    changes(NEW, take_new, OPERATOR),
    reads(_ONE, open_one, OPERATOR),
    changes(_ONE, take_one, OPERATOR),
    changes(_ONE + "/remove", remove, OPERATOR),
)
